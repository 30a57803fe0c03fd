"""What an undo says of labels that it leaves as they are, and which it does not leave."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import annobridge as ab
from annobridge.backend.memory import SERVERS
from annobridge.core.labels import REMOTE

URL = "memory://undo-reasons"
BOX = [0.1, 0.2, 0.3, 0.4]


@pytest.fixture
def dataset(tmp_path: Path) -> Iterator[ab.Dataset]:
    ds = ab.create_dataset(tmp_path / "set")
    boxes = [ab.Detection("car", BOX, label_id=name) for name in ("edited", "deleted", "left")]
    ds.add_samples([ab.Sample("/img/0.jpg", "s0", objects=boxes)])
    ds.annotate("k", label_field="objects", classes=["car", "bus", "van"], backend="memory", url=URL)
    yield ds
    SERVERS.pop(URL, None)


def load(ds: ab.Dataset) -> str:
    """A person edits a label, deletes one and draws one, and the work is loaded; the id of the new label."""
    server = SERVERS[URL]
    (task,) = server.labels
    rows: list[dict[str, Any]] = [r for r in server.labels[task].to_pylist() if r["label_id"] != "deleted"]
    rows[0]["label"] = "bus"
    rows.append({**rows[0], "label_id": None, "remote_id": "new", "bounding_box": [0.5, 0.5, 0.2, 0.2]})
    server.labels[task] = pa.Table.from_pylist(rows, REMOTE)
    ds.load_annotations("k")
    (new,) = {row["label_id"] for row in ds.labels().to_pylist()} - {"edited", "left"}
    return new


def reason(ds: ab.Dataset) -> str:
    (found,) = ds.undo_annotations("k").kept["reason"].to_pylist()
    return str(found)


def move(ds: ab.Dataset) -> list[float]:
    """A person moves a box in a tool that returns its size with other last digits, and the work is loaded; the box here."""
    server = SERVERS[URL]
    (task,) = server.labels
    rows: list[dict[str, Any]] = server.labels[task].to_pylist()
    rows[0]["bounding_box"] = [0.5, 0.5, BOX[2] + 1e-12, BOX[3]]
    server.labels[task] = pa.Table.from_pylist(rows, REMOTE)
    report = ds.load_annotations("k")
    assert (report.added, report.edited, report.deleted, len(report.conflicts)) == (0, 1, 0, 0)
    return box(ds)


def box(ds: ab.Dataset) -> list[float]:
    (found,) = ds.labels(where="label_id = 'edited'").to_pylist()
    return list(found["bounding_box"])


@pytest.mark.parametrize("edited_before", [False, True], ids=["", "with an edit of before the load"])
def test_what_the_tool_rounds_is_no_edit(dataset: ab.Dataset, edited_before: bool) -> None:
    """Numbers that nobody changed stay exact here; no undo takes them for an edit since the load, the second one neither."""
    if edited_before:
        dataset.set_labels([{"label_id": "edited", "label": "van"}])
    for _ in range(2):
        assert move(dataset) == [0.5, 0.5, *BOX[2:]]
        undone = dataset.undo_annotations("k")
        assert (undone.to_dict()["taken_back"]["edit"], len(undone.kept)) == (1, 0)
        assert box(dataset) == BOX
    (label,) = dataset.labels(where="label_id = 'edited'").to_pylist()
    assert label["label"] == ("van" if edited_before else "car")


def test_after_an_undo_and_another_load_there_is_nothing_to_push(dataset: ab.Dataset) -> None:
    move(dataset)
    dataset.undo_annotations("k")
    move(dataset)
    plan = dataset.plan_push("k")
    assert (plan.total, len(plan.conflicts)) == (0, 0)


def test_an_added_label_that_was_edited_since_stays(dataset: ab.Dataset) -> None:
    dataset.set_labels([{"label_id": load(dataset), "label": "van"}])
    assert reason(dataset) == "added by the load, and edited here since; it stays as it is"


def test_an_edit_of_what_the_load_edited_stays(dataset: ab.Dataset) -> None:
    load(dataset)
    dataset.set_labels([{"label_id": "edited", "label": "van"}])
    assert reason(dataset) == "edited here since the load; it stays as it is"


def test_an_edited_label_that_was_deleted_since_stays_away(dataset: ab.Dataset) -> None:
    load(dataset)
    dataset.delete_labels(["edited"])
    assert reason(dataset) == "edited by the load, and deleted here since; it stays as it is"


def test_a_deleted_label_that_was_added_again_stays(dataset: ab.Dataset) -> None:
    load(dataset)
    dataset.add_labels("objects", {"s0": [ab.Detection("van", BOX, label_id="deleted")]})
    assert reason(dataset) == "deleted by the load, and here again with other values; it stays as it is"
