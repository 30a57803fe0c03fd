"""Decisions: which counts, and what state each change is in."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from annobridge.core.review.decisions import DECISIONS, VERDICTS, latest, states

made = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(VERDICTS), st.sampled_from(["now", "before"])), max_size=8
)


def table(rows: list[tuple[str, str, str]]) -> pa.Table:
    names = ("change_id", "verdict", "bound_to")
    found = [{"run_id": "r", "by": f"by {n}", "at": datetime(2026, 1, 1, n, tzinfo=UTC), **dict(zip(names, row, strict=True))}
             for n, row in enumerate(rows)]  # fmt: skip
    return pa.Table.from_pylist(found, DECISIONS)


@given(made)
def test_the_last_decision_about_a_change_counts(rows: list[tuple[str, str, str]]) -> None:
    last = {change: (verdict, bound) for change, verdict, bound in rows}
    found = latest(table(rows)).to_pylist()
    assert {row["change_id"]: (row["verdict"], row["bound_to"]) for row in found} == last
    assert len(found) == len(last)


@given(made, st.integers(0, 8))
def test_a_change_is_open_decided_or_stale(rows: list[tuple[str, str, str]], recorded: int) -> None:
    ids = pa.chunked_array([["a", "b", "c"]])
    found = states(ids, pa.chunked_array([["now"] * 3]), table(rows), recorded).to_pylist()
    for row in found:
        mine = [(n, verdict, bound) for n, (change, verdict, bound) in enumerate(rows) if change == row["change_id"]]
        if not mine or mine[-1][1] == "open":
            assert (row["state"], row["verdict"], row["by"], row["recorded"]) == ("open", None, None, False)
            continue
        number, verdict, bound = mine[-1]
        assert (row["state"], row["verdict"]) == ("decided" if bound == "now" else "stale", verdict)
        assert row["by"] == f"by {number}"
        assert row["recorded"] == (bound == "now" and number < recorded)


def test_no_decisions_leave_everything_open() -> None:
    found = states(pa.chunked_array([["a"]]), pa.chunked_array([["now"]]), DECISIONS.empty_table())
    assert found["state"].to_pylist() == ["open"]
