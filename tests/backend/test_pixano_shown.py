"""What a real Pixano 0.8.0 is given for people to see, beside the labels; and what an upload that was cut off leaves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from annobridge.backend import Task
from annobridge.core import rows
from annobridge.exceptions import Unreachable
from annobridge_pixano import PixanoBackend, PixanoConfig, offered_choices, uploads
from annobridge_pixano.annotator import ScriptedAnnotator
from annobridge_pixano.names import dataset_name

from . import pixano_cases as cases

pytestmark = pytest.mark.server

BOXES = {
    "objects": {
        "type": "detections",
        "classes": ["car", "bus"],
        "attributes": {"side": {"type": "select", "values": ["left", "right"]}},
    }
}


@pytest.fixture
def backend(pixano_url: str) -> Iterator[PixanoBackend]:
    found = PixanoBackend(PixanoConfig(url=pixano_url))
    yield found
    found.close()


@pytest.fixture
def disk(backend: PixanoBackend) -> uploads.Disk:
    found = uploads.find_disk(backend._api)
    assert found is not None
    return found


@pytest.fixture
def annotator(pixano_url: str) -> Iterator[ScriptedAnnotator]:
    found = ScriptedAnnotator(pixano_url)
    yield found
    found.close()


def boxes(**columns: list[Any]) -> Task:
    """A task of one kind of label, with columns of samples."""
    task = cases.task(BOXES, [("s0", "objects", rows.Detection("car", [0, 0, 0.5, 0.5], side="left"))])
    samples = task.samples
    for name, values in columns.items():
        samples = samples.append_column(name, pa.array(values))
    return replace(task, samples=samples, title="round1 of street.lancedb")


def test_splits_and_columns_are_shown_and_never_taken_back(
    backend: PixanoBackend, annotator: ScriptedAnnotator
) -> None:
    task = boxes(split=["val", "train", None, "my split/é"], place=["Lyon", "Paris", "", None], speed=[1, 2, 3, None])
    receipt = backend.upload(task)
    assert any("no value in speed" in note for note in receipt.notes)
    dataset = receipt.state["dataset"]
    there = {r["sample_id"]: (r["split"], r["place"], r["speed"]) for r in annotator.rows(dataset, "records")}
    expected = [("val", "Lyon", 1), ("train", "Paris", 2), ("train", "", 3), ("my split/é", "", 0)]
    assert there == dict(zip(cases.SAMPLE_IDS, expected, strict=True))
    assert backend.download(receipt).notes == ()
    annotator.set_record(dataset, "s0", "place", "Rome")
    got = backend.download(receipt)
    assert cases.changes(receipt.baseline, got.labels) == ({}, [], set())
    assert got.notes == (
        "Somebody edited place of samples in Pixano. Columns of samples are shown there and never taken back; change them "
        "in the dataset.",
    )
    assert backend._api.dataset(id=dataset)["description"] == "Sent by annobridge: round1 of street.lancedb"  # type: ignore[index]
    backend.delete(receipt)


def test_choices_are_known_to_the_running_server(backend: PixanoBackend, disk: uploads.Disk) -> None:
    task = boxes()
    receipt = backend.upload(task)
    assert receipt.notes == ()
    choices = backend._http.get(f"/datasets/{receipt.state['dataset']}")["feature_values"]
    assert [c["values"] for c in choices["entities"]["entities"]] == [["car", "bus"], ["left", "right"]]
    assert backend._api.dataset(id=receipt.state["dataset"])["bookmarks"] == []  # type: ignore[index]
    file = disk.library / receipt.state["name"] / offered_choices.FILE
    theirs = json.loads(file.read_text()) | {
        "entities": {"entities": [{"name": "x", "restricted": False, "values": []}]}
    }
    file.write_text(json.dumps(theirs))
    backend.upload(task)  # what somebody has written is left
    assert json.loads(file.read_text()) == theirs
    backend.delete(receipt)


def test_choices_are_written_by_the_next_try(
    backend: PixanoBackend, disk: uploads.Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: Any) -> None:
        raise Unreachable("cut off")

    task = boxes()
    with monkeypatch.context() as patch:
        patch.setattr(offered_choices, "offer", cut)
        with pytest.raises(Unreachable):
            backend.upload(task)
    receipt = backend.upload(task)
    written = json.loads((disk.library / receipt.state["name"] / offered_choices.FILE).read_text())
    assert written["entities"]["entities"][0]["values"] == ["car", "bus"]
    backend.delete(receipt)


def test_where_its_disk_is_not_here_the_choices_are_not_offered_and_that_is_told(
    backend: PixanoBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads.Disk, "of", lambda source: None)
    receipt = backend.upload(boxes())
    assert receipt.notes == (offered_choices.REMOTE_NOTE,)
    monkeypatch.undo()
    backend.delete(receipt)


def test_a_library_that_cannot_be_written_is_told(backend: PixanoBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(offered_choices.os, "replace", refuse)
    receipt = backend.upload(boxes())
    (note,) = receipt.notes
    assert "cannot be written (Permission denied)" in note
    monkeypatch.undo()
    backend.delete(receipt)


def test_keypoints_get_the_template_of_their_size(backend: PixanoBackend, annotator: ScriptedAnnotator) -> None:
    schema = {"poses": {"type": "keypoints", "classes": ["c"]}}
    poses = [("s0", "poses", rows.Keypoint("c", [[0.5, 0.5]] * n, label_id=f"of{n}")) for n in (4, 5, 7, 11)]
    receipt = backend.upload(cases.task(schema, poses))
    there = {r["entity_id"]: r["template_id"] for r in annotator.rows(receipt.state["dataset"], "keypoints")}
    assert there == {"of4": "face", "of5": "annobridge", "of7": "person", "of11": "cow"}
    (note,) = receipt.notes
    assert note.startswith("1 keypoint labels are kept, but Pixano's page lists them without drawing them")
    backend.delete(receipt)


# --- uploads that were cut off


@pytest.fixture
def killed(backend: PixanoBackend, monkeypatch: pytest.MonkeyPatch) -> Callable[[Task], None]:
    """Send a task as a process that is killed amid its images: nothing is cleared away."""

    def send(task: Task) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(backend._api, "close_upload", lambda upload: None)
            patch.setattr(uploads.Disk, "of", lambda source: None)  # its own session would be left too
            patch.setattr("annobridge_pixano.metadata_jsonl.lines", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                backend.upload(task)

    return send


def named(folders: list[Path]) -> list[str]:
    return [uploads._dataset_name(f) or "" for f in folders]


def test_the_next_try_removes_what_the_one_before_it_left(
    backend: PixanoBackend, disk: uploads.Disk, killed: Callable[[Task], None]
) -> None:
    ours, others = boxes(), boxes()
    killed(ours)
    killed(others)
    before = named(uploads.session_folders(disk.uploads))
    receipt = backend.upload(ours)
    after = named(uploads.session_folders(disk.uploads))
    assert receipt.state["name"] in before
    assert receipt.state["name"] not in after
    assert dataset_name(others.name) in after
    assert backend.find(others.name) is None  # as abort does
    assert dataset_name(others.name) not in named(uploads.session_folders(disk.uploads))
    backend.delete(receipt)
