"""What is in memory at once is bounded by labels and samples, whichever side has them."""

from __future__ import annotations

import pyarrow as pa
import pytest

import annobridge as ab
from annobridge.backend.memory import SERVERS
from annobridge.bridge import task_planner
from annobridge.core.labels import REMOTE
from annobridge.store.baseline import Baseline

AT_ONCE = 20
TASKS, SAMPLES = 12, 2  # of each task
URL = "memory://sizes"


@pytest.fixture
def merged(monkeypatch):
    """How many labels of the tool each merge looked at."""
    counts = []
    merge = task_planner.merge
    monkeypatch.setattr(
        task_planner, "merge", lambda base, theirs, *rest, **more: (
            counts.append(theirs.num_rows), merge(base, theirs, *rest, **more)
        )[1],
    )  # fmt: skip
    return counts


def send(path, labels):
    ds = ab.create_dataset(path)
    boxes = [ab.Detection("car", [n / 20, 0.1, 0.01, 0.1]) for n in range(labels)]
    ds.add_samples(ab.Sample(f"{i:02}.jpg", sample_id=f"s{i:02}", objects=boxes) for i in range(TASKS * SAMPLES))
    schema = {"objects" if labels else "found": {"type": "detections", "classes": ["car", "bus"]}}
    SERVERS.pop(URL, None)
    return ds, ds.annotate("r", label_schema=schema, backend="memory", url=URL, task_size=SAMPLES, progress=False)


def draw(labels, field):
    """Draw so many labels on each sample."""
    server = SERVERS[URL]
    for task, samples in server.samples.items():
        rows = [
            {"sample_id": s, "field": field, "kind": "box", "label": "bus", "bounding_box": [n / 50, 0.5, 0.01, 0.1],
             "attributes": [], "remote_id": f"{s}-{n}"}
            for s in samples.to_pylist() for n in range(labels)
        ]  # fmt: skip
        server.labels[task] = pa.concat_tables(
            [server.labels[task], pa.Table.from_pylist(rows, REMOTE)]
        ).combine_chunks()


def test_labels_of_a_field_that_was_empty_are_merged_some_at_a_time(tmp_path, merged):
    ds, results = send(tmp_path / "ds", labels=0)
    draw(5, "found")
    assert results.load(labels_per_job=AT_ONCE, progress=False).added == TASKS * SAMPLES * 5
    assert len(merged) > 1
    assert max(merged) <= 5 * AT_ONCE // 4 + 5 * SAMPLES  # and the task with which it is enough
    assert ds.count_labels("found") == TASKS * SAMPLES * 5
    assert results.load(progress=False).version is None


def test_many_more_labels_than_were_sent(tmp_path, merged):
    _, results = send(tmp_path / "ds", labels=1)
    draw(10, "objects")
    assert results.load(labels_per_job=AT_ONCE, progress=False).added == TASKS * SAMPLES * 10
    assert max(merged) <= 5 * AT_ONCE // 4 + 11 * SAMPLES
    assert results.load(progress=False).version is None


def test_the_size_of_jobs_does_not_change_what_is_planned(tmp_path):
    found = []
    for at_once in (1, AT_ONCE, 80_000):
        _, results = send(tmp_path / str(at_once), labels=2)
        draw(3, "objects")
        plan = results.plan(labels_per_job=at_once, progress=False)
        found.append(sorted(map(str, plan.writes().select(["sample_id", "label", "bounding_box"]).to_pylist())))
    assert found[0] == found[1] == found[2]


def test_the_baseline_of_one_job_is_in_memory_and_that_of_the_first_task_of_the_next(tmp_path, monkeypatch):
    happened = []

    def rows_at(self, places):
        happened.append("read")
        return read(self, places)

    def at_once(self):
        happened.append("merge")
        return merge(self)

    read, merge = Baseline.rows_at, task_planner._JobPlanner._at_once
    monkeypatch.setattr(Baseline, "rows_at", rows_at)
    monkeypatch.setattr(task_planner._JobPlanner, "_at_once", at_once)
    _, results = send(tmp_path / "ds", labels=5)  # two tasks make a job
    assert results.load(labels_per_job=AT_ONCE, workers=1, progress=False).version is None
    assert happened == ["read", "read", *["read", "merge", "read"] * (TASKS // 2 - 1), "merge"]
