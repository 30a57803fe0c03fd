"""Rows regrouped on disk: each group has its rows, in the order in which they were added."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annobridge.spill import groups as groups_module
from annobridge.spill.groups import Groups

SCHEMA = pa.schema([("n", pa.int64()), ("s", pa.list_(pa.string()))])
quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def batch(numbers: list[int]) -> pa.RecordBatch:
    return pa.record_batch(
        [pa.array(numbers, pa.int64()), pa.array([[str(n)] if n % 3 else None for n in numbers])], schema=SCHEMA
    )


@quick
@given(groups=st.lists(st.lists(st.integers(-1, 4), max_size=12), max_size=6), chunk=st.sampled_from([1, 5, 65_536]))
def test_each_group_has_its_rows_in_the_order_they_came(monkeypatch, groups, chunk):
    monkeypatch.setattr(groups_module, "_CHUNK", chunk)
    held, expected, number = Groups(SCHEMA), {}, 0
    for part in groups:
        numbers = list(range(number, number + len(part)))
        number += len(part)
        held.add(batch(numbers), np.array(part, np.int64))
        for n, group in zip(numbers, part, strict=True):
            expected.setdefault(group, []).append(n)
    for group in (4, 0, 1, 3, 2, 0):  # in any order, and again
        found = held.get(group)
        assert found.schema == SCHEMA
        assert found["n"].to_pylist() == expected.get(group, [])
        assert found["s"].to_pylist() == [[str(n)] if n % 3 else None for n in expected.get(group, [])]


def test_nothing_added_is_nothing():
    assert Groups(SCHEMA).get(0).num_rows == 0
