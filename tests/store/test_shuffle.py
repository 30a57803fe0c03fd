"""Shuffle and TaskIndex: rows regrouped by task on disk, in the order they came."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annobridge.spill import groups as shuffle
from annobridge.spill.groups import Groups
from annobridge.store import task_index
from annobridge.store.task_index import TaskIndex

SCHEMA = pa.schema([("n", pa.int64()), ("s", pa.list_(pa.string()))])
quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def batch(numbers: list[int]) -> pa.RecordBatch:
    return pa.record_batch(
        [pa.array(numbers, pa.int64()), pa.array([[str(n)] if n % 3 else None for n in numbers])], schema=SCHEMA
    )


@quick
@given(groups=st.lists(st.lists(st.integers(-1, 4), max_size=12), max_size=6), chunk=st.sampled_from([1, 5, 65_536]))
def test_each_group_has_its_rows_in_the_order_they_came(tmp_path, monkeypatch, groups, chunk):
    monkeypatch.setattr(shuffle, "_CHUNK", chunk)
    held, expected, number = Groups(SCHEMA, tmp_path), {}, 0
    for part in groups:
        numbers = list(range(number, number + len(part)))
        number += len(part)
        held.feed(batch(numbers), np.array(part, np.int64))
        for n, group in zip(numbers, part, strict=True):
            expected.setdefault(group, []).append(n)
    for group in (4, 0, 1, 3, 2, 0):  # in any order, and again
        found = held.get(group)
        assert found.schema == SCHEMA
        assert found["n"].to_pylist() == expected.get(group, [])
        assert found["s"].to_pylist() == [[str(n)] if n % 3 else None for n in expected.get(group, [])]


def test_nothing_fed_is_nothing(tmp_path):
    assert Groups(SCHEMA, tmp_path).get(0).num_rows == 0


@quick
@given(data=st.data())
def test_the_task_of_each_sample(monkeypatch, data):
    monkeypatch.setattr(task_index, "_WINDOW", 3)
    sizes = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=6))
    ids = [f"s{n}" for n in range(sum(sizes))]
    random.Random(7).shuffle(ids)
    index = TaskIndex(pa.array(ids), np.array(sizes))
    tasks = np.repeat(np.arange(len(sizes)), sizes)
    for _ in range(3):
        asked = data.draw(st.lists(st.sampled_from([*ids, "strange", "other"]), max_size=15))
        expected = [int(tasks[ids.index(a)]) if a in ids else -1 for a in asked]
        assert index.task_numbers(pa.array(asked, pa.string())).tolist() == expected


def test_no_tasks_at_all():
    index = TaskIndex(pa.array([], pa.string()), np.zeros(0, np.int64))
    assert index.task_numbers(pa.array(["a"])).tolist() == [-1]
    assert index.task_numbers(pa.array([], pa.string())).tolist() == []
