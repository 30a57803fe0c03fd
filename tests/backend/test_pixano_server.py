"""The Pixano backend and a real Pixano 0.8.0: what is sent comes back, and so do people's edits."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from annobridge.backend import Download, Receipt, Task
from annobridge.core import geometry, rows
from annobridge.core.schema import LabelSchema
from annobridge.exceptions import BackendError, Broken, Gone, Rejected, Unreachable
from annobridge_pixano import PixanoBackend, PixanoConfig, api, server, uploads
from annobridge_pixano.annotator import ScriptedAnnotator

from . import pixano_cases as cases


@dataclass
class Sent:
    backend: PixanoBackend
    annotator: ScriptedAnnotator
    task: Task
    receipt: Receipt

    @property
    def dataset(self) -> str:
        return str(self.receipt.state["dataset"])

    def changed(self) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]], set[str], Download]:
        """Edited rows by label id, new rows, ids of deleted labels, and the download."""
        got = self.backend.download(self.receipt)
        return *cases.changes(self.receipt.baseline, got.labels), got


@pytest.fixture
def backend(pixano_url: str) -> Iterator[PixanoBackend]:
    found = PixanoBackend(PixanoConfig(url=pixano_url))
    yield found
    found.close()


@pytest.fixture
def send(backend: PixanoBackend, pixano_url: str) -> Iterator[Callable[..., Sent]]:
    annotator, sent = ScriptedAnnotator(pixano_url), list[Sent]()

    def call(*args: Any) -> Sent:
        task = cases.task(*args)
        sent.append(Sent(backend, annotator, task, backend.upload(task)))
        return sent[-1]

    yield call
    for one in sent:
        backend.delete(one.receipt)
    annotator.close()


@pytest.fixture
def everything(send: Callable[..., Sent]) -> Sent:
    return send()


pytestmark = pytest.mark.server


def attributes(row: dict[str, Any]) -> dict[str, Any]:
    return {a["name"]: json.loads(a["value"]) for a in row["attributes"] or ()}


def test_baseline_is_what_was_sent_to_the_last_bit(everything: Sent) -> None:
    assert cases.plain(everything.receipt.baseline) == cases.plain(everything.task.labels)


def test_untouched_download_is_the_baseline(everything: Sent) -> None:
    edited, added, gone, got = everything.changed()
    assert (edited, added, gone, got.notes) == ({}, [], set(), ())
    assert sorted(got.samples.to_pylist()) == sorted(cases.SAMPLE_IDS)


def test_receipt_is_json_and_downloads_after_a_restart(everything: Sent) -> None:
    stored = replace(everything.receipt, state=json.loads(json.dumps(everything.receipt.state)))
    assert replace(everything, receipt=stored).changed()[:3] == ({}, [], set())


def test_upload_twice_makes_one_dataset(everything: Sent) -> None:
    before = len(everything.backend._api.datasets())
    again = everything.backend.upload(everything.task)
    assert again.state == everything.receipt.state
    assert cases.plain(again.baseline) == cases.plain(everything.receipt.baseline)
    remote = [sorted(t["remote_id"].to_pylist()) for t in (again.baseline, everything.receipt.baseline)]
    assert remote[0] == remote[1]
    assert len(everything.backend._api.datasets()) == before


def test_edits_made_before_the_receipt_was_kept_are_still_edits(everything: Sent) -> None:
    everything.annotator.rename(everything.dataset, "doomed", "bus")
    again = everything.backend.upload(everything.task)
    edited, *_ = replace(everything, receipt=again).changed()
    assert edited["doomed"]["label"] == "bus"


def test_import_left_running_by_a_lost_answer_is_waited_for(
    backend: PixanoBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, finish = cases.task(), backend._api.finish

    def lost(job: str, deadline: float) -> str:
        raise Unreachable("lost")

    monkeypatch.setattr(backend._api, "finish", lost)
    with pytest.raises(Unreachable):
        backend.upload(task)
    waited = list[str]()
    monkeypatch.setattr(backend._api, "finish", lambda job, deadline: waited.append(job) or finish(job, deadline))
    receipt = backend.upload(task)
    assert len(waited) == 1
    assert cases.plain(receipt.baseline) == cases.plain(task.labels)
    assert backend.download(receipt).labels.num_rows == task.labels.num_rows
    backend.delete(receipt)


def test_moved_box(everything: Sent) -> None:
    everything.annotator.move(everything.dataset, "doomed.bbox", [0.25, 0.25, 0.1, 1 / 3])
    edited, added, gone, _ = everything.changed()
    assert list(edited) == ["doomed"]
    assert edited["doomed"]["bounding_box"] == [0.25, 0.25, 0.1, 1 / 3]
    assert not added
    assert not gone


def test_edited_class_and_attributes(everything: Sent) -> None:
    for name, value in {"occluded": True, "score": 2, "number": 0.5, "count": 7, "plate": "123", "level": "2"}.items():
        everything.annotator.set_attribute(everything.dataset, "doomed", name, value)
    everything.annotator.set_attribute(everything.dataset, "doomed", "parts", ["p", "q"])
    everything.annotator.set_attribute(everything.dataset, "doomed", "attr_a_b", "dots")
    everything.annotator.rename(everything.dataset, "doomed", "bus")
    everything.annotator.set_attribute(everything.dataset, "l1", "plate", "")
    edited, *_ = everything.changed()
    assert set(edited) == {"doomed", "l1"}
    assert edited["doomed"]["label"] == "bus"
    assert attributes(edited["doomed"]) == {
        "occluded": True,
        "score": 2.0,
        "number": 0.5,
        "count": 7,
        "plate": "123",
        "level": 2,
        "parts": ["p", "q"],
        "a.b": "dots",
    }
    assert [(a["type"], a["value"]) for a in edited["doomed"]["attributes"] if a["name"] == "score"] == [
        ("float", "2.0")
    ]
    assert attributes(edited["l1"]) == {"number": 2.0, "level": "b", "line": "9"}


def test_drawn_box(everything: Sent) -> None:
    entity, bbox = everything.annotator.draw(
        everything.dataset, "s2", [0.1, 0.2, 0.3, 0.4], "car", occluded=True, count=0
    )
    assert len(entity) == len(bbox) == 10
    _, added, gone, _ = everything.changed()
    assert not gone
    (row,) = added
    assert (row["remote_id"], row["sample_id"], row["label_id"], row["field"]) == (bbox, "s2", None, None)
    assert (row["kind"], row["label"], row["bounding_box"]) == ("box", "car", [0.1, 0.2, 0.3, 0.4])
    # What a form leaves empty is absent; boxes of cars have a count, and no line.
    assert attributes(row) == {"occluded": True, "count": 0, "number": 0.0, "score": 0.0}


def test_deleted_object(everything: Sent) -> None:
    everything.annotator.delete(everything.dataset, "doomed")
    everything.annotator.delete(everything.dataset, "thing")
    assert everything.changed()[:3] == ({}, [], {"doomed", "thing"})


def test_shapes_edited(everything: Sent) -> None:
    ds, annotator = everything.dataset, everything.annotator
    mask = ~cases.pixels()
    rle = geometry.encode_rle(mask)
    annotator.reshape(ds, "masks", "thing.mask", size=rle["size"], counts=rle["counts"].decode())
    annotator.reshape(ds, "multi-paths", "area.multi_path", coords=[0, 0, 1, 0, 1, 1], num_points=[3], is_closed=True)
    annotator.reshape(ds, "multi-paths", "line.multi_path", coords=[0, 0, 1, 0.5], num_points=[2], is_closed=False)
    annotator.reshape(ds, "keypoints", "pose.keypoints", coords=[0.2, 0.2, 0.4, 0.4], states=["hidden", "visible"])
    edited, added, gone, _ = everything.changed()
    assert set(edited) == {"thing", "area", "line", "pose"}
    assert not added
    assert not gone
    assert np.array_equal(geometry.decode_rle(edited["thing"]["mask"]), mask)
    assert edited["thing"]["bounding_box"] == [0, 0, 1, 1]  # the brush does not move the box; the mask is the truth
    assert edited["area"]["points"] == [[[0, 0], [1, 0], [1, 1]]]
    assert (edited["area"]["kind"], edited["area"]["filled"]) == ("polygon", True)
    assert edited["line"]["points"] == [[[0, 0], [1, 0.5]]]
    assert (edited["line"]["kind"], edited["line"]["closed"]) == ("polyline", False)
    assert edited["pose"]["points"] == [[[0.2, 0.2], [0.4, 0.4]]]
    assert edited["pose"]["visibility"] == [1, 2]


def test_new_shapes_of_other_kinds(everything: Sent) -> None:
    ds, annotator = everything.dataset, everything.annotator
    rle = geometry.encode_rle(cases.pixels())
    wire = {"size": rle["size"], "counts": rle["counts"].decode()}
    alone, boxed = annotator.add_entity(ds, "s2", "car"), annotator.add_entity(ds, "s2", "car")
    masks = {annotator.add(ds, "masks", "s2", alone, **wire), annotator.add(ds, "masks", "s2", boxed, **wire)}
    box = {"coords": [0.1, 0.1, 0.5, 0.5], "format": "xywh", "is_normalized": True, "confidence": 1}
    annotator.add(ds, "bboxes", "s2", boxed, **box)
    annotator.add(ds, "multi-paths", "s2", alone, coords=[0, 0, 1, 0, 1, 1], num_points=[3], is_closed=True)
    annotator.add(ds, "multi-paths", "s2", "doomed", coords=[0, 0, 1, 0], num_points=[2], is_closed=False)
    annotator.add(
        ds, "keypoints", "s2", alone, template_id="face", coords=[0, 0, 0.5, 0.5], states=["invisible", "visible"]
    )
    edited, added, gone, _ = everything.changed()
    assert not edited
    assert not gone
    kinds = sorted(r["kind"] for r in added)
    assert kinds == ["keypoints", "mask", "mask", "polygon", "polyline"]
    boxes = sorted(r["bounding_box"] for r in added if r["remote_id"] in masks)
    assert boxes == sorted([[0.1, 0.1, 0.5, 0.5], geometry.mask_box(rle)])
    (pose,) = [r for r in added if r["kind"] == "keypoints"]
    assert np.isnan(pose["points"][0][0]).all()
    assert pose["visibility"] == [0, 2]


def test_new_mask_where_only_segmentation_is_labelled(send: Callable[..., Sent]) -> None:
    sent = send({"ground": {"type": "segmentation", "classes": ["road"]}}, [])
    rle = geometry.encode_rle(cases.pixels())
    entity = sent.annotator.add_entity(sent.dataset, "s2", "road")
    sent.annotator.add(sent.dataset, "masks", "s2", entity, size=rle["size"], counts=rle["counts"].decode())
    _, added, *_ = sent.changed()
    assert [(r["kind"], r["field"], r["label"]) for r in added] == [("segmentation", None, "road")]


def test_record_attributes_edited(everything: Sent) -> None:
    ds, annotator = everything.dataset, everything.annotator
    edits = {"scene": "night", "tags": ["b", "c", "c"], "count": 9, "mixed": "5", "code": "0070", "attr_status": True}
    for name, value in edits.items():
        annotator.set_record(ds, "s0", name, value)
    annotator.set_record(ds, "sample.1", "scene", "")
    annotator.set_record(ds, "s2", "scene", "day")
    annotator.set_record(ds, "s2", "nothing", "something")
    edited, added, gone, got = everything.changed()
    labels = {r["field"]: r for r in edited.values()}
    assert labels["scene"]["label"] == "night"
    values = {f: r["value"] for f, r in labels.items() if r["kind"] == "scalar"}
    assert values == {"count": "9.0", "mixed": "5", "code": '"0070"', "status": "true"}
    fresh = {(r["sample_id"], r["field"], r["label"] or r["value"]) for r in added}
    assert fresh == {("s0", "tags", "c"), ("s2", "scene", "day"), ("s2", "nothing", '"something"')}
    before = everything.receipt.baseline.to_pylist()
    assert {(r["sample_id"], r["field"], r["label"]) for r in before if r["label_id"] in gone} == {
        ("s0", "tags", "a"),
        (cases.SAMPLE_IDS[1], "scene", "night"),
    }
    assert len(got.samples) == 4


def test_messages_edited(everything: Sent) -> None:
    ids = {r["label_id"]: r["remote_id"] for r in everything.receipt.baseline.to_pylist()}
    annotator, ds = everything.annotator, everything.dataset
    assert {m["id"]: m["content"] for m in annotator.rows(ds, "messages")}[ids["chosen"]] == "[[A,C]] because"
    annotator._put(ds, "messages", ids["answered"], {"content": "dog"})
    annotator._put(ds, "messages", ids["chosen"], {"content": "[[B]]"})
    annotator.remove(ds, "messages", ids["asked"])
    new = {"record_id": "s2", "conversation_id": "c9", "number": 2, "type": "QUESTION", "content": "why?", "user": "me"}
    annotator._post(ds, "messages", {**new, "view_id": "", "entity_ids": [], "question_type": "OPEN", "choices": []})
    edited, added, gone, _ = everything.changed()
    assert {k: json.loads(r["value"]) for k, r in edited.items()} == {"answered": "dog", "chosen": "b"}
    assert gone == {"asked"}
    (row,) = added
    assert (row["kind"], row["label"], row["index"], row["sample_id"]) == ("message", "question", 2, "s2")
    assert attributes(row) == {"conversation": "c9", "question_type": "OPEN", "user": "me"}


def test_orphans_are_told_and_dropped(everything: Sent) -> None:
    everything.annotator.remove(everything.dataset, "entities", "doomed")
    everything.annotator.remove(everything.dataset, "records", "s0")
    _, added, gone, got = everything.changed()
    assert not added
    assert "doomed" in gone
    assert "s0" not in got.samples.to_pylist()
    assert any("bboxes" in n for n in got.notes)


def test_unreadable_shape_takes_its_sample_out(everything: Sent) -> None:
    everything.annotator.reshape(everything.dataset, "masks", "thing.mask", counts="!!!")
    *_, got = everything.changed()
    assert "s0" not in got.samples.to_pylist()
    assert "s0" not in got.labels["sample_id"].to_pylist()
    assert "s0" in got.notes[-1]


def test_status_and_editor(everything: Sent) -> None:
    everything.annotator.set_record(everything.dataset, "s2", "status", "validated")
    assert everything.backend.status(everything.receipt).samples == {"new": 3, "validated": 1}
    assert everything.backend.editor_url(everything.receipt).endswith(f"/#/explorer/{everything.dataset}")


def test_found_after_a_lost_answer_and_deleted_twice(everything: Sent) -> None:
    state = everything.backend.find(everything.task.name)
    assert state is not None
    everything.backend.delete(Receipt(everything.task.name, state))
    assert everything.backend.find(everything.task.name) is None
    everything.backend.delete(everything.receipt)
    for call in (everything.backend.download, everything.backend.status):
        with pytest.raises(Gone, match="library any more"):
            call(everything.receipt)


def test_removed_dataset_leaves_room_where_the_disk_is_not_ours(
    everything: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads.Disk, "of", lambda source: None)
    everything.backend.delete(everything.receipt)
    assert everything.backend.find(everything.task.name) is None
    with pytest.raises(Gone):
        everything.backend.download(everything.receipt)
    again = everything.backend.upload(everything.task)
    assert cases.plain(again.baseline) == cases.plain(everything.task.labels)
    monkeypatch.undo()
    everything.backend.delete(again)


def test_refused_upload_names_the_finding_and_leaves_nothing(
    backend: PixanoBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = cases.task({"objects": {"type": "detections", "classes": ["car"]}}, [])
    monkeypatch.setattr("annobridge_pixano.records.metadata_jsonl.lines", lambda *a: iter([b'{"nonsense": 1}\n']))
    closed = list[str]()
    monkeypatch.setattr(backend._api, "close_upload", closed.append)
    with pytest.raises(Rejected, match="refuses"):
        backend.upload(task)
    assert closed
    assert backend.find(task.name) is None


def test_no_labels_at_all(send: Callable[..., Sent]) -> None:
    sent = send({"objects": {"type": "detections", "classes": ["car"]}}, [])
    assert sent.receipt.baseline.num_rows == 0
    assert sent.changed()[:3] == ({}, [], set())


def test_attribute_that_does_not_fit_is_refused_before_sending(backend: PixanoBackend) -> None:
    schema = {"objects": {"type": "detections", "classes": ["car"], "attributes": {"count": {"type": "int"}}}}
    task = cases.task(schema, [("s0", "objects", rows.Detection("car", [0, 0, 1, 1], count="many"))])
    assert "'count'" in next(iter(backend.check_task(task)))


def test_check_asks_the_server(backend: PixanoBackend) -> None:
    task = cases.task()
    assert list(backend.check(task.schema, task.samples)) == []
    assert list(backend.check_task(task)) == []


# --- servers that are something else


@pytest.fixture
def fake() -> Iterator[Callable[[Any], PixanoBackend]]:
    """A backend at a server that answers everything with one thing: JSON, or text as a web page."""
    running = []

    def start(answer: Any) -> PixanoBackend:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if answer is None:
                    threading.Event().wait(3)
                text = answer if isinstance(answer, str) else json.dumps(answer)
                self.send_response(200)
                self.send_header("Content-Type", "text/html" if isinstance(answer, str) else "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: Any) -> None:
                pass

        web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        web.daemon_threads = True
        threading.Thread(target=web.serve_forever, daemon=True).start()
        backend = PixanoBackend(PixanoConfig(url=f"http://127.0.0.1:{web.server_port}", timeout=0.2))
        running.append((web, backend))
        return backend

    yield start
    for web, backend in running:
        backend.close()
        web.shutdown()
        web.server_close()


NO_SAMPLES = pa.table({"sample_id": []})


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"info": {"title": "FastAPI"}, "paths": {"/items/{dataset_id}": {}}}, "Pixano 0.6 answers"),
        ({"info": {"title": "Pixano"}, "paths": {"/datasets/{dataset_id}/records": {}}}, "Pixano 0.7 answers"),
        ({"info": {"title": "Pixano", "version": "0.9.1"}, "paths": {"/io/imports": {}}}, "Pixano 0.9 answers"),
        ({"info": {"title": "Shop"}, "paths": {}}, "is not Pixano"),
        ([1], "is not Pixano"),
    ],
)
def test_another_generation_is_named(fake: Callable[[Any], PixanoBackend], answer: Any, words: str) -> None:
    with pytest.raises(Rejected, match=words) as error:
        fake(answer).check(LabelSchema({}), NO_SAMPLES)
    assert f"pixano=={api.VERSION}" in str(error.value)


def test_a_web_page_is_no_pixano(fake: Callable[[Any], PixanoBackend]) -> None:
    with pytest.raises(Broken, match="Is this the url of a pixano server"):
        fake("<!doctype html><title>Hello</title>").check(LabelSchema({}), NO_SAMPLES)


def test_a_server_that_hangs(fake: Callable[[Any], PixanoBackend]) -> None:
    with pytest.raises(Unreachable, match="took too long"):
        fake(None).check(LabelSchema({}), NO_SAMPLES)


def test_a_server_that_is_down(pixano_url: str) -> None:
    backend = PixanoBackend(PixanoConfig(url=f"http://127.0.0.1:{server._free_port()}", timeout=0.2))
    with pytest.raises(Unreachable, match="Is the server running"):
        backend.check(LabelSchema({}), NO_SAMPLES)
    backend.close()


def test_a_page_that_fails_is_no_deletion(everything: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    get = everything.backend._http.get

    def broken(path: str, params: Any = None, **options: Any) -> Any:
        answer = get(path, params, **options)
        return {**answer, "items": answer["items"][1:]} if path.endswith("/bboxes") else answer

    monkeypatch.setattr(everything.backend._http, "get", broken)
    with pytest.raises(BackendError, match="bboxes"):
        everything.backend.download(everything.receipt)


# --- the server's own life


def test_up_twice_is_one_server_and_down_ends_it(tmp_path: Path) -> None:
    root = tmp_path / "data of pixano"
    running = server.up(root, 0)
    try:
        assert server.up(root, 0) == running == server.status(root)
        with pytest.raises(Unreachable, match="in use"):
            server.up(tmp_path / "other", int(running.url.rpartition(":")[2]))
    finally:
        assert server.down(root)
    assert server.status(root) is None
    assert not server.down(root)


def test_down_leaves_a_process_that_is_not_the_server(tmp_path: Path) -> None:
    import os

    other = {"url": "http://127.0.0.1:1", "pid": os.getpid(), "started": "0", "root": "", "log": ""}
    (tmp_path / server.STATE).write_text(json.dumps(other))
    assert not server.down(tmp_path)
