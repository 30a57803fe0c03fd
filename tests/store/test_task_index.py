"""The task of a sample, looked up in windows of a long list of ids."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annobridge.store import task_index as module
from annobridge.store.task_index import TaskIndex

quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@quick
@given(data=st.data())
def test_the_task_of_each_sample(monkeypatch, data):
    monkeypatch.setattr(module, "_WINDOW", 3)
    sizes = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=6))
    ids = [f"s{n}" for n in range(sum(sizes))]
    random.Random(7).shuffle(ids)
    task_index = TaskIndex(pa.array(ids), np.array(sizes))
    tasks = np.repeat(np.arange(len(sizes)), sizes)
    for _ in range(3):
        asked = data.draw(st.lists(st.sampled_from([*ids, "strange", "other"]), max_size=15))
        expected = [int(tasks[ids.index(a)]) if a in ids else -1 for a in asked]
        assert task_index.task_numbers(pa.array(asked, pa.string())).tolist() == expected


def test_no_tasks_at_all():
    task_index = TaskIndex(pa.array([], pa.string()), np.zeros(0, np.int64))
    assert task_index.task_numbers(pa.array(["a"])).tolist() == [-1]
    assert task_index.task_numbers(pa.array([], pa.string())).tolist() == []
