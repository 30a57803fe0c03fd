"""The rows of tasks are found and read, however they lie in the table."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.generated import examples

import annobridge as ab
from annobridge.core.labels import LABELS, OURS, conform
from annobridge.store import task_rows
from annobridge.store.by_task import ByTask
from annobridge.store.stores import Stores

SAMPLES = [f"s{n:02d}" for n in range(12)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sets")


def dataset(uri, samples: list[str], delete: list[int], append: list[str]) -> Stores:
    """Labels on these samples in this order, of which some are deleted, and to which others are appended."""
    ds = ab.create_dataset(uri)
    ds.add_samples([ab.Sample(f"/img/{name}.jpg", name) for name in SAMPLES])
    for at, some in enumerate((samples, append)):
        if some:
            ids = [f"{at}-{n}" for n in range(len(some))]
            field = ["mine" if n % 3 else "other" for n in range(len(some))]
            ds.stores.labels.commit(
                ds.stores.labels.version(),
                added=ds.stores.labels.write(rows(ids, some, field).to_batches()),
            )
    if delete and samples:
        ds.delete_labels([f"0-{n % len(samples)}" for n in set(delete)])
    return ds.stores


def rows(ids, samples, field) -> pa.Table:
    table = pa.table({"label_id": ids, "sample_id": samples, "field": field, "label": ["car"] * len(ids)})
    return conform(table, LABELS, kind="classification", rev=0)


names = st.sampled_from(SAMPLES)


@examples(25)
@given(
    samples=st.one_of(st.lists(names, max_size=60), st.lists(names, max_size=60).map(sorted)),
    delete=st.lists(st.integers(0, 59), max_size=10),
    append=st.lists(names, max_size=8),
    per_task=st.integers(1, 5),
    lookup=st.booleans(),
)
def test_each_task_gets_its_rows_and_no_others(folder, samples, delete, append, per_task, lookup):
    uri = folder / f"set{len(list(folder.iterdir()))}"
    stores = dataset(uri, samples, delete, append)
    tasks = ByTask([pa.array(SAMPLES[at : at + per_task]) for at in range(0, len(SAMPLES) - 1, per_task)])
    version = stores.labels.version()
    found = stores.labels.find_rows(tasks, "field = 'mine'", version)
    everything = pa.Table.from_batches(stores.labels.scan_ours("true", version), OURS).to_pylist()
    counts = found.count(len(tasks))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task_rows, "_LOOKUP_COST", 0.0 if lookup else 1e9)
        for number, sample_ids in enumerate(tasks.sample_ids):
            expected = [r for r in everything if r["field"] == "mine" and r["sample_id"] in sample_ids.to_pylist()]
            assert sorted(stores.labels.rows_at(found.of([number])).to_pylist(), key=str) == sorted(expected, key=str)
            assert counts[number] == len(expected)
        together = stores.labels.rows_at(found.of(list(range(len(tasks)))))
        assert together.num_rows == counts.sum()


def test_a_table_in_the_order_of_the_tasks_takes_one_run_of_rows_for_each():
    addresses = np.arange(10) + (3 << 32)
    runs = task_rows._runs(np.array([0, 0, 0, 1, 1, -1, 2, 2, 2, 2]), addresses, 100)
    assert runs.tolist() == [[0, 3, 100, 0, 3], [1, 3, 103, 3, 2], [2, 3, 106, 6, 4]]
