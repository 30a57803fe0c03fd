"""A tool that converts coordinates returns other last digits; they are no edits of this side, whatever else was edited here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import annobridge as ab
from annobridge.backend.memory import SERVERS, MemoryBackend
from annobridge.core.labels import REMOTE

URL = "memory://converted-numbers"
BOX = [0.1, 0.2, 0.3, 0.4]
LOST = 1e-12  # by which the tool is off


def converted(table: pa.Table) -> pa.Table:
    rows = table.to_pylist()
    for row in rows:
        x, y, width, height = row["bounding_box"]
        row["bounding_box"] = [x, y, width + LOST, height + LOST]
    return pa.Table.from_pylist(rows, table.schema)


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ab.Dataset]:
    """A run in a tool that converts, in which one label had its class edited here since."""
    upload = MemoryBackend.upload

    def converting(self: MemoryBackend, task: ab.Task) -> ab.Receipt:
        receipt = upload(self, task)
        labels = SERVERS[URL].labels
        labels.update({name: converted(table) for name, table in labels.items()})
        return replace(receipt, baseline=converted(receipt.baseline))

    monkeypatch.setattr(MemoryBackend, "upload", converting)
    ds = ab.create_dataset(tmp_path / "set")
    ds.add_samples([ab.Sample("/img/0.jpg", "s0", objects=[ab.Detection("car", BOX, label_id="edited")])])
    ds.annotate("k", label_field="objects", classes=["car", "bus", "van"], backend="memory", url=URL)
    ds.set_labels([{"label_id": "edited", "label": "van"}])
    yield ds
    SERVERS.pop(URL, None)


def move(x: float) -> None:
    """A person moves the box in the tool."""
    server = SERVERS[URL]
    (task,) = server.labels
    rows: list[dict[str, Any]] = server.labels[task].to_pylist()
    rows[0]["bounding_box"] = [x, 0.2, *rows[0]["bounding_box"][2:]]
    server.labels[task] = pa.Table.from_pylist(rows, REMOTE)


def label(ds: ab.Dataset) -> tuple[str, list[float]]:
    (row,) = ds.labels().to_pylist()
    return row["label"], row["bounding_box"]


def test_a_load_takes_what_was_moved_and_leaves_what_was_edited_here(dataset: ab.Dataset) -> None:
    for x in (0.5, 0.6):  # also after a load
        move(x)
        report = dataset.load_annotations("k", conflicts="ours")
        assert (report.edited, len(report.conflicts)) == (1, 0)
        assert label(dataset) == ("van", [x, *BOX[1:]])


@pytest.mark.parametrize("loads_before", [0, 1])
def test_a_push_takes_the_edit_only(dataset: ab.Dataset, loads_before: int) -> None:
    for _ in range(loads_before):
        move(0.5)
        dataset.load_annotations("k")
    plan = dataset.plan_push("k")
    assert (plan.changes["component"].to_pylist(), len(plan.conflicts)) == (["label"], 0)
    dataset.push_annotations("k")
    ((row,),) = (table.to_pylist() for table in SERVERS[URL].labels.values())
    assert (row["label"], row["bounding_box"][2]) == ("van", BOX[2] + LOST)
    assert dataset.plan_push("k").total == 0


def test_a_number_that_was_edited_here_is_a_conflict(dataset: ab.Dataset) -> None:
    dataset.set_labels([{"label_id": "edited", "bounding_box": [0.1, 0.2, 0.3, 0.5]}])
    move(0.5)
    report = dataset.load_annotations("k", conflicts="ours")
    assert report.conflicts["component"].to_pylist() == ["spatial"]
    assert label(dataset) == ("van", [0.1, 0.2, 0.3, 0.5])
