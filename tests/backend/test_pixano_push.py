"""Labels that changed here are pushed into a dataset of a real Pixano 0.8.0."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from annobridge.backend import Edits, Pushed
from annobridge.backend.return_values import check_pushed
from annobridge.core import geometry, rows
from annobridge.core.rows import Label, attributes
from annobridge.exceptions import Gone, Unreachable
from annobridge_pixano import PixanoBackend, PixanoConfig
from annobridge_pixano.annotator import ScriptedAnnotator

from . import pixano_cases as cases
from .pushing import after, edits_of
from .test_pixano_server import Sent

pytestmark = pytest.mark.server
ODD = cases.SAMPLE_IDS[1]


@pytest.fixture
def everything(pixano_url: str) -> Iterator[Sent]:
    backend, annotator, task = PixanoBackend(PixanoConfig(url=pixano_url)), ScriptedAnnotator(pixano_url), cases.task()
    sent = Sent(backend, annotator, task, backend.upload(task))
    yield sent
    backend.delete(sent.receipt)
    backend.close()
    annotator.close()


def pushed(sent: Sent, edits: Edits) -> tuple[Pushed, Sent]:
    """What a push returned, and the task as it is known afterwards."""
    found = check_pushed(sent.backend.push(sent.receipt, edits), edits)
    return found, replace(sent, receipt=after(sent.receipt, edits, found))


def new(label: Label, label_id: str, sample: str = "s2", field: str = "objects") -> dict[str, Any]:
    return label.row() | {"label_id": label_id, "sample_id": sample, "field": field}


def row_of(sent: Sent, label_id: str) -> dict[str, Any]:
    (row,) = [r for r in sent.receipt.baseline.to_pylist() if r["label_id"] == label_id]
    return row


def own(sent: Sent, label_id: str, **changed: Any) -> dict[str, Any]:
    """The attributes of a label with some of them changed."""
    kept = {a["name"]: a["value"] for a in row_of(sent, label_id)["attributes"] or ()}
    return {"attributes": attributes({n: json.loads(v) for n, v in kept.items()} | changed)}


def intended(edits: Edits) -> dict[str, str]:
    return cases.plain(edits.task.labels)


def check(sent: Sent, edits: Edits) -> Sent:
    """Push, and find exactly what was meant: in the new baseline, in a download after it, and nothing else changed."""
    found, now = pushed(sent, edits)
    assert (found.left_out.to_pylist(), found.notes) == ([], ())
    assert cases.plain(found.baseline) == intended(edits)
    assert now.changed()[:3] == ({}, [], set())
    return now


GEOMETRIES: Mapping[str, Mapping[str, Any]] = {
    "doomed": {"bounding_box": [0.30000000000000004, 0.2, 0.1, 1 / 3]},
    "area": {"points": [[[0.1, 0.1], [0.2, 0.1], [0.2, 1 / 3]]]},
    "line": {"points": [[[0.1, 0.1], [0.25, 0.1], [0.2, 0.4]]]},
    "pose": {"points": [[[0.15, 0.1], [0.5, 0.6]]], "visibility": [1, 2]},
}


@pytest.mark.parametrize("label", GEOMETRIES)
def test_edited_geometry(everything: Sent, label: str) -> None:
    check(everything, edits_of(everything.task, everything.receipt, {label: GEOMETRIES[label]}))


def test_edited_mask_and_its_box(everything: Sent) -> None:
    mask = geometry.encode_rle(~cases.pixels())
    columns = {"mask": mask, "bounding_box": geometry.mask_box(mask)}
    now = check(everything, edits_of(everything.task, everything.receipt, {"thing": columns}))
    check(now, edits_of(now.task, now.receipt, {"thing": {"bounding_box": None}}))


def test_edited_class_and_attributes(everything: Sent) -> None:
    columns = {
        "label": "bus",
        **own(everything, "l0", occluded=False, score=0.1, count=None, parts=[], level="b", plate="ü"),
    }
    check(everything, edits_of(everything.task, everything.receipt, {"l0": columns}))


def test_labels_of_whole_images(everything: Sent) -> None:
    ids = {(r["sample_id"], r["field"], r["label"]): r["label_id"] for r in everything.receipt.baseline.to_pylist()}
    tag, scene = ids["s0", "tags", "b"], ids["s0", "scene", "day"]
    count = next(r["label_id"] for r in everything.receipt.baseline.to_pylist() if r["field"] == "count")
    code = next(r["label_id"] for r in everything.receipt.baseline.to_pylist() if r["field"] == "code")
    edit = {tag: {"label": "c"}, scene: {"label": "night"}, count: {"value": "7.5"}}
    add = [
        new(rows.Classification("b"), "n1", "s2", "tags"),
        new(rows.Classification("day"), "n2", "s2", "scene"),
        new(rows.Scalar(False), "n3", "s2", "status"),
        new(rows.Scalar(3), "n4", "s2", "code"),
    ]
    now = check(everything, edits_of(everything.task, everything.receipt, edit, add, [code]))
    check(now, edits_of(now.task, now.receipt, {}, [], ["n1", "n2", "n3", "n4", tag, count]))


def test_new_labels_of_all_kinds_and_their_deletion(everything: Sent) -> None:
    ring = [[0.1, 0.1], [0.2, 0.1], [0.2, 0.3]]
    full = {"occluded": True, "count": 0, "plate": "x", "a.b": "y"}
    add = [
        new(rows.Detection("car", [0.1, 1 / 3, 0.2, 0.2], confidence=0.25, attributes=full), "new box"),
        new(rows.Detection("car", [0.1, 1 / 3, 0.2, 0.2]), "n-2", ODD),
        new(rows.Detection("car", mask=cases.pixels()), "n-3", "s2", "things"),
        new(rows.Polyline("car", [ring], filled=True), "n-4", "s2", "areas"),
        new(rows.Polyline("car", [ring[:2]]), "n-5", "s2", "lines"),
        new(rows.Keypoint("car", [[0.5, 0.5], [cases.NAN, cases.NAN]], visibility=[1, 0]), "n-6", "s2", "poses"),
        *(new(g, "n-7", "s2", "ground") for g in rows.Segmentation(cases.pixels() * 1, {1: "road"})),
        new(rows.Message("question", "how?", 9), "n-8", "s0", "talk"),
        new(rows.Message("answer", "so", 9, user="me"), "n-9", "s0", "talk"),
        new(
            rows.Message("question", "first?", 0, question_type="SINGLE_CHOICE", choices=["a", "b"]),
            "n-10",
            "s2",
            "talk",
        ),
        new(rows.Message("answer", "b", 0), "n-11", "s2", "talk"),
    ]
    now = check(everything, edits_of(everything.task, everything.receipt, {}, add))
    remote = {r["label_id"]: r["remote_id"] for r in now.receipt.baseline.to_pylist()}
    assert (remote["n-2"], remote["n-4"], remote["n-8"]) == ("n-2.bbox", "n-4.multi_path", "n-8.message")
    messages = {m["id"]: m for m in everything.annotator.rows(everything.dataset, "messages")}
    assert messages[remote["n-8"]]["number"] == messages[remote["n-9"]]["number"]
    assert messages[remote["n-11"]]["content"] == "[[B]]"
    entities = len(everything.annotator.rows(everything.dataset, "entities"))
    check(now, edits_of(now.task, now.receipt, {}, [], [r["label_id"] for r in add]))
    assert len(everything.annotator.rows(everything.dataset, "entities")) == entities - 7


def test_messages_are_edited(everything: Sent) -> None:
    edit = {
        "asked": {"value": '"why?"'},
        "answered": {"value": '"because"', **own(everything, "answered", user="ann")},
        "chosen": {"value": '"b: no"', "index": 4},
    }
    check(everything, edits_of(everything.task, everything.receipt, edit, [], []))


def test_ids_stay_and_other_labels_are_not_written(everything: Sent) -> None:
    before = {t: everything.annotator.rows(everything.dataset, t) for t in ("bboxes", "entities", "masks", "records")}
    everything.annotator.rename(everything.dataset, "l1", "car")
    edits = edits_of(everything.task, everything.receipt, {"doomed": {"label": "bus"}})
    found, now = pushed(everything, edits)
    assert found.baseline["remote_id"].to_pylist() == ["doomed.bbox"]
    edited, added, gone, _ = now.changed()
    assert {label: row["label"] for label, row in edited.items()} == {"l1": "car"}
    assert (added, gone) == ([], set())
    after_ = {t: everything.annotator.rows(everything.dataset, t) for t in before}
    assert {t: sorted(map(str, r)) for t, r in after_.items() if t != "entities"} == {
        t: sorted(map(str, r)) for t, r in before.items() if t != "entities"
    }


def test_labels_that_were_deleted_there_are_left_out(everything: Sent) -> None:
    everything.annotator.delete(everything.dataset, "doomed")
    everything.annotator.delete(everything.dataset, "l0")
    edit = {"doomed": {"label": "bus"}, "l1": {"label": "car"}}
    found, now = pushed(everything, edits_of(everything.task, everything.receipt, edit, [], ["l0"]))
    assert found.left_out.to_pylist() == ["doomed"]
    assert found.notes == ("1 labels (doomed) were deleted in Pixano meanwhile.",)
    assert found.baseline["label_id"].to_pylist() == ["l1"]
    assert now.changed()[:3] == ({}, [], set())


def test_what_pixano_cannot_hold_is_left_out(everything: Sent) -> None:
    add = [
        new(rows.Detection("car", [0.5, 0.5, 0.2, 0.2], rotation=10.0), "turned"),
        new(rows.Detection("car", [0.5, 0.5, 0.2, 0.2], count="many"), "text"),
        new(rows.Scalar("many"), "word", ODD, "count"),
        new(rows.Classification("a"), "twice", "s0", "tags"),
        new(rows.Detection("car", [0.5, 0.5, 0.2, 0.2]), "good"),
    ]
    found, now = pushed(everything, edits_of(everything.task, everything.receipt, {}, add))
    assert sorted(found.left_out.to_pylist()) == ["text", "turned", "twice", "word"]
    assert len(found.notes) == 4
    assert found.baseline["label_id"].to_pylist() == ["good"]
    assert now.changed()[:3] == ({}, [], set())


def test_twice_is_once(everything: Sent) -> None:
    add = [
        new(rows.Detection("car", [0.5, 0.5, 0.2, 0.2]), "n1"),
        new(rows.Message("question", "how?", 9), "n2", "s0", "talk"),
    ]
    edits = edits_of(everything.task, everything.receipt, {"doomed": {"label": "bus"}}, add, ["l1"])
    first, _ = pushed(everything, edits)
    again, now = pushed(everything, edits)
    assert cases.plain(again.baseline) == cases.plain(first.baseline)
    assert again.baseline["remote_id"].to_pylist() == first.baseline["remote_id"].to_pylist()
    assert now.changed()[:3] == ({}, [], set())


def test_a_push_that_is_cut_off_at_each_call_has_whole_values_and_is_continued(
    everything: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = [[0.1, 0.1], [0.2, 0.1], [0.2, 0.3]]
    add = [
        new(rows.Detection("car", [0.5, 1 / 3, 0.2, 0.2], plate="x"), "n1"),
        new(rows.Polyline("car", [ring], filled=True), "n2", "s0", "areas"),
    ]
    edit = {
        "doomed": {"label": "bus", "bounding_box": [1 / 3, 0.1, 0.1, 0.1]},
        "area": {"points": [[*ring[:2], [0.2, 1 / 7]]]},
    }
    edits = edits_of(everything.task, everything.receipt, edit, add, ["l1"])
    send = everything.backend._http.send

    def once() -> None:
        """Push, but lose the connection after the first call that changes something."""
        made = list[str]()

        def dying(method: str, path: str, **options: Any) -> Any:
            if made:
                raise Unreachable("lost")
            made.append(path)
            return send(method, path, **options)

        monkeypatch.setattr(everything.backend._http, "send", dying)
        everything.backend.push(everything.receipt, edits)

    attempts = 0
    while attempts < 20:
        try:
            once()
        except Unreachable:
            attempts += 1
            check_values_are_old_or_new(everything, edits)
        else:
            break
    assert attempts == 8  # nine calls
    monkeypatch.undo()
    check(everything, edits)


def check_values_are_old_or_new(sent: Sent, edits: Edits) -> None:
    """With the intended values as the baseline, a download has exactly these, or those from before."""
    meant = {row["label_id"]: row for row in edits.task.labels.to_pylist()}
    remote = {"n1": "n1.bbox", "n2": "n2.multi_path", "doomed": "doomed.bbox", "area": "area.multi_path"}
    others = [r for r in sent.receipt.baseline.to_pylist() if r["label_id"] not in {*meant, "l1"}]
    wanted = [{**row, "remote_id": remote[label]} for label, row in meant.items()]
    baseline = pa.Table.from_pylist([*others, *wanted], schema=sent.receipt.baseline.schema)
    got = sent.backend.download(replace(sent.receipt, baseline=baseline)).labels
    there = {row["remote_id"]: row for row in got.to_pylist()}
    before = {row["label_id"]: row for row in sent.receipt.baseline.to_pylist()}
    for label, row in meant.items():
        if (now := there.get(remote[label])) is None:
            assert label in ("n1", "n2")
            continue
        for name in ("label", "bounding_box", "points", "attributes"):
            assert now[name] in (row[name], before.get(label, row)[name])


def test_a_dataset_that_is_gone(everything: Sent) -> None:
    edits = edits_of(everything.task, everything.receipt, {"doomed": {"label": "bus"}})
    everything.backend.delete(everything.receipt)
    with pytest.raises(Gone, match="is not in Pixano's library any more"):
        everything.backend.push(everything.receipt, edits)


def test_a_box_drawn_by_a_person_is_edited(everything: Sent) -> None:
    entity, bbox = everything.annotator.draw(everything.dataset, "s2", [0.1, 0.2, 0.3, 0.4], "car")
    polygon = {"coords": [0, 0, 1, 0, 1, 1], "num_points": [3], "is_closed": True}
    path = everything.annotator.add(everything.dataset, "multi-paths", "s2", entity, **polygon)
    drawn = [r for r in everything.backend.download(everything.receipt).labels.to_pylist() if r["label_id"] is None]
    named = [
        {**r, "label_id": r["kind"], "field": "objects" if r["kind"] == "box" else "areas", "rev": 1} for r in drawn
    ]
    baseline = pa.concat_tables(
        [everything.receipt.baseline, pa.Table.from_pylist(named, schema=everything.receipt.baseline.schema)]
    )
    sent = replace(everything, receipt=replace(everything.receipt, baseline=baseline))
    found, _ = pushed(sent, edits_of(sent.task, sent.receipt, {"box": {"label": "bus"}}))
    assert found.left_out.to_pylist() == ["box"]
    assert "parts of one object with others" in found.notes[0]
    now = check(sent, edits_of(sent.task, sent.receipt, {"box": {"label": "bus"}, "polygon": {"label": "bus"}}))
    now = check(now, edits_of(now.task, now.receipt, {"box": {"bounding_box": [0, 0, 0.5, 0.5]}}, [], ["polygon"]))
    assert [r["id"] for r in everything.annotator.rows(everything.dataset, "bboxes", entity_id=entity)] == [bbox]
    assert everything.annotator.rows(everything.dataset, "multi-paths", entity_id=entity) == []
    assert path
    check(now, edits_of(now.task, now.receipt, {}, [], ["box"]))
    assert entity not in {r["id"] for r in everything.annotator.rows(everything.dataset, "entities")}
