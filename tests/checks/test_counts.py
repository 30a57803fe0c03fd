"""Counts of classes and values before and after a load."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from annobridge.checks import counts
from annobridge.checks.base import ATTRIBUTES, CLASSES
from annobridge.core.labels import LABELS
from annobridge.testing.strategies import tables


@given(tables(), tables(), tables(), tables())
def test_the_counts_are_those_of_the_labels(here: pa.Table, other: pa.Table, old: pa.Table, new: pa.Table) -> None:
    """``other`` is not in the run; of the run, ``old`` is on samples that change, and becomes ``new``."""
    table = counts.classes(
        in_dataset=[counts.of_classes(t) for t in (other, here, old)], before=[counts.of_classes(t) for t in (here, old)],
        changed=[counts.of_classes(old)], after=[counts.of_classes(new)],
    )  # fmt: skip
    assert table.schema == CLASSES
    sides = {"in_dataset": (other, here, old), "before": (here, old), "after": (here, new)}
    for name, parts in sides.items():
        expected = Counter((r["field"], r["label"]) for t in parts for r in t.to_pylist())
        assert {(r["field"], r["label"]): r[name] for r in table.to_pylist() if r[name]} == expected

    values = counts.attribute_values(
        [counts.of_attributes(t) for t in (here, old)], [counts.of_attributes(old)], [counts.of_attributes(new)]
    )
    assert values.schema == ATTRIBUTES
    for name, parts in {"before": (here, old), "after": (here, new)}.items():
        found = {(r["field"], r["name"], r["value"]): r[name] for r in values.to_pylist() if r[name]}
        assert found == Counter(v for t in parts for v in values_of(t))


def values_of(table: pa.Table) -> list[tuple[Any, ...]]:
    return [(row["field"], a["name"], a["value"]) for row in table.to_pylist() for a in row["attributes"] or ()]


def test_nothing_is_counted_of_nothing() -> None:
    none = LABELS.empty_table()
    assert counts.classes([counts.of_classes(none)], [], [], []).equals(CLASSES.empty_table())
    assert counts.attribute_values([], [counts.of_attributes(none)], []).equals(ATTRIBUTES.empty_table())


@given(st.lists(tables(), max_size=3))
def test_batches_are_counted_as_their_whole_is(parts: list[pa.Table]) -> None:
    whole = pa.concat_tables([LABELS.empty_table(), *parts])
    one, many = ([counts.of_classes(t) for t in of] for of in ([whole], parts))
    assert counts.classes(one, one, [], []).equals(counts.classes(many, many, [], []))
