"""What a plan comes to, counted."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from annobridge.core.merge.changed import ACTIONS, by_sample, changed, class_pairs, shares

CLASSES = st.sampled_from(["car", "bus", None])
ROWS = st.lists(st.tuples(st.sampled_from("st"), st.sampled_from("fg"), st.sampled_from(ACTIONS), CLASSES, CLASSES))
Row = tuple[str, str, str, str | None, str | None]


def table(rows: list[Row]) -> pa.Table:
    """``CHANGED`` of a plan of these rows: sample, field, action, class before and after."""
    schema = pa.schema([(name, pa.string()) for name in ("label_id", "sample_id", "field", "action", "label")])
    given = list(enumerate(rows))
    before = [(str(n), s, f, a, old) for n, (s, f, a, old, _) in given if a != "add"]
    writes = [(str(n), s, f, a, new) for n, (s, f, a, _, new) in given if a != "delete"]
    tables = (
        pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in side], schema)
        for side in (before, writes)
    )
    return changed(*tables)


@given(ROWS)
def test_every_change_is_there_once_and_deletions_come_first(rows: list[Row]) -> None:
    found = table(rows).to_pylist()
    assert [row["action"] for row in found] == sorted((r[2] for r in rows), key=ACTIONS.index)
    for row in found:
        sample, field, action, old, new = rows[int(row["label_id"])]
        expected = (sample, field, action, None if action == "add" else old, None if action == "delete" else new)
        assert tuple(row[n] for n in ("sample_id", "field", "action", "before", "after")) == expected


@given(ROWS)
def test_counts_are_of_all_rows(rows: list[Row]) -> None:
    found = table(rows)
    pairs = {(p["field"], p["before"], p["after"]): p["labels"] for p in class_pairs(found).to_pylist()}
    assert pairs == Counter((r["field"], r["before"], r["after"]) for r in found.to_pylist())
    assert list(class_pairs(found)["labels"].to_pylist()) == sorted(pairs.values(), reverse=True)
    samples = {s["sample_id"]: [s[a] for a in ACTIONS] for s in by_sample(found).to_pylist()}
    counts = Counter((r["sample_id"], r["action"]) for r in found.to_pylist())
    assert samples == {s: [counts[s, a] for a in ACTIONS] for s, _ in counts}
    totals = [sum(n) for n in samples.values()]
    assert totals == sorted(totals, reverse=True)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=4), st.integers(0, 60))
def test_a_list_that_is_cut_has_rows_of_every_kind(counts: list[int], limit: int) -> None:
    given_ = shares(counts, limit)
    assert sum(given_) == min(limit, sum(counts))
    assert all(0 <= n <= count for n, count in zip(given_, counts, strict=True))
    if limit >= len(counts):
        assert all(n or not count for n, count in zip(given_, counts, strict=True))
