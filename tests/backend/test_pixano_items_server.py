"""The Pixano backend and a server of the earlier generation: what is sent comes back, and so do people's edits."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image
from tests.doubles.pixano_items import PixanoItems, servers
from tests.doubles.pixano_items.annotator import ScriptedAnnotator

from annobridge.backend import Receipt, Task
from annobridge.core import rows
from annobridge.core.schema import LabelSchema
from annobridge.exceptions import BackendError, Broken, Gone, Rejected
from annobridge_pixano import PixanoBackend, PixanoConfig, api
from annobridge_pixano.items import import_folder
from annobridge_pixano.names import dataset_name

from . import pixano_cases as cases
from . import pixano_items_cases as own
from .pushing import edits_of

NO_SAMPLES = pa.table({"sample_id": []})
BOXES = LabelSchema.parse({"objects": {"type": "detections", "classes": ["car"]}})


@dataclass
class Sent:
    backend: PixanoBackend
    annotator: ScriptedAnnotator
    task: Task
    receipt: Receipt

    def changed(self) -> tuple[dict[str, Any], list[dict[str, Any]], set[str], Any]:
        """Edited rows by label id, new rows, ids of deleted labels, and the download."""
        got = self.backend.download(self.receipt)
        return *cases.changes(self.receipt.baseline, got.labels), got


@pytest.fixture(params=servers.KINDS)
def options(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mapping[str, str]]:
    with servers.options(request.param, tmp_path / "pixano") as given:
        yield given


@pytest.fixture
def backend(options: Mapping[str, str]) -> Iterator[PixanoBackend]:
    found = PixanoBackend(PixanoConfig(**options))
    yield found
    found.close()


@pytest.fixture
def send(backend: PixanoBackend, options: Mapping[str, str]) -> Iterator[Callable[[Task], Sent]]:
    sent = list[Sent]()

    def call(task: Task) -> Sent:
        receipt = backend.upload(task)
        sent.append(Sent(backend, ScriptedAnnotator(options["url"], str(receipt.state["dataset"])), task, receipt))
        return sent[-1]

    yield call
    for one in sent:
        one.annotator.http.close()
        backend.delete(one.receipt)


@pytest.fixture
def double(tmp_path: Path) -> Iterator[PixanoItems]:
    with PixanoItems(tmp_path / "double") as found:
        yield found


def at(double: PixanoItems, **options: Any) -> PixanoBackend:
    given = {"url": double.url, "executable": str(double.executable), "folder": str(double.folder)}
    return PixanoBackend(PixanoConfig(**{**given, **options}))


def problems(backend: PixanoBackend, schema: LabelSchema = BOXES) -> list[str]:
    try:
        return list(backend.check(schema, NO_SAMPLES))
    finally:
        backend.close()


def attributes(row: dict[str, Any]) -> dict[str, Any]:
    return {a["name"]: json.loads(a["value"]) for a in row["attributes"] or ()}


# --- there and back


def test_all_that_was_sent_comes_back_and_is_found_again(send: Callable[[Task], Sent]) -> None:
    sent = send(own.task())
    assert cases.plain(sent.receipt.baseline) == cases.plain(sent.task.labels)
    stored = replace(sent.receipt, state=json.loads(json.dumps(sent.receipt.state)))
    edited, added, gone, got = replace(sent, receipt=stored).changed()
    assert (edited, added, gone, got.notes) == ({}, [], set(), ())
    assert sorted(got.samples.to_pylist()) == sorted(cases.SAMPLE_IDS)
    sent.annotator.edit("objects", "doomed", category="bus")
    again = sent.backend.upload(sent.task)
    assert again.state == sent.receipt.state
    assert replace(sent, receipt=again).changed()[0]["doomed"]["label"] == "bus"
    assert sent.backend.find(sent.task.name) == {k: again.state[k] for k in ("generation", "dataset", "name")}
    assert sent.backend.status(again).state == "unknown"
    assert str(sent.backend.editor_url(again)).endswith(f"/{again.state['dataset']}/dataset")


def test_ids_are_kept_in_rows_and_in_attributes(send: Callable[[Task], Sent]) -> None:
    sent = send(own.task())
    entities = sent.annotator.rows("objects")
    kept = {key: (r["data"]["label_id"], r["data"]["label_field"]) for key, r in entities.items()}
    assert kept["thing"] == ("thing", "things")
    assert kept["label.2"] == ("bad/id é", "objects")
    assert {r["data"]["sample_id"] for r in sent.annotator.rows("item").values()} == set(cases.SAMPLE_IDS)


def test_texts_that_look_like_dates_stay_texts(send: Callable[[Task], Sent]) -> None:
    task = own.task(
        {"day": {"type": "scalar"}, "note": {"type": "detections", "classes": ["2024-01-01"]}},
        [(s, "day", rows.Scalar("2024-01-01")) for s in cases.SAMPLE_IDS]
        + [("s0", "note", rows.Detection("2024-01-01", [0, 0, 1, 1], label_id="2024-01-01"))],
    )
    sent = send(task)
    assert cases.plain(sent.receipt.baseline) == cases.plain(task.labels)


def test_labels_edited(send: Callable[[Task], Sent]) -> None:
    sent = send(own.task())
    annotator = sent.annotator
    annotator.edit("objects", "l0", category="bus", plate="new", occluded=False, parts=["z"], level="2", attr_a_b="")
    annotator.edit("bboxes", "doomed.bbox", coords=[0.5, 0.5, 0.25, 0.125])
    annotator.edit("bboxes", "l1.bbox", coords=[0.25, 0.5, 0.5, 0.75], format="xyxy")
    mask = cases.rows.Detection("car", mask=cases.pixels()[::-1].copy()).row()["mask"]
    annotator.edit("masks", "thing.mask", counts=mask["counts"].decode())
    annotator.edit("keypoints", "pose.keypoints", coords=[0.2, 0.2, 0.4, 0.4], states=["visible", "hidden"])
    annotator.delete("label.2")
    drawn = annotator.draw("s2", [0.1, 0.2, 0.3, 0.4], category="car", count=7)
    edited, added, gone, got = sent.changed()
    assert set(edited) == {"l0", "doomed", "l1", "thing", "pose"}
    assert edited["l0"]["label"] == "bus"
    changed = {"plate": "new", "occluded": False, "parts": ["z"], "level": 2}
    assert {n: v for n, v in attributes(edited["l0"]).items() if n in (*changed, "a.b")} == changed
    assert edited["doomed"]["bounding_box"] == [0.5, 0.5, 0.25, 0.125]
    assert edited["l1"]["bounding_box"] == [0.25, 0.5, 0.25, 0.25]
    assert edited["thing"]["mask"] == mask
    assert edited["pose"]["visibility"] == [2, 1]
    (new,) = added
    assert (new["sample_id"], new["kind"], new["label"]) == ("s2", "box", "car")
    assert attributes(new)["count"] == 7
    assert (gone, got.notes) == ({"bad/id é"}, ())
    assert annotator.rows("objects")[drawn]["data"]["label_id"] == ""


def test_what_an_image_has_as_a_whole_edited(send: Callable[[Task], Sent]) -> None:
    sent = send(own.task())
    annotator = sent.annotator
    annotator.edit("item", annotator.item("s0"), scene="night", tags=["b", "c"], count=9.0, attr_status=True)
    annotator.edit("item", annotator.item(cases.SAMPLE_IDS[1]), scene="")
    edited, added, gone, _ = sent.changed()
    labels = {r["field"]: r for r in edited.values()}
    assert labels["scene"]["label"] == "night"
    assert {f: r["value"] for f, r in labels.items() if r["kind"] == "scalar"} == {"count": "9.0", "status": "true"}
    assert [(r["field"], r["label"]) for r in added] == [("tags", "c")]
    assert len(gone) == 2


def test_messages_edited(send: Callable[[Task], Sent]) -> None:
    sent = send(own.task())
    annotator = sent.annotator
    assert annotator.rows("messages")["chosen.message"]["data"]["content"] == "[[A,C]] because"
    annotator.edit("messages", "answered.message", content="dog")
    annotator.edit("messages", "chosen.message", content="[[B]]")
    annotator.api.remove(annotator.dataset, "messages", ["asked.message"])
    thread = next(k for k in annotator.rows("conversations") if k.endswith(":0"))
    data = annotator.rows("messages")["answered.message"]["data"]
    said = {"type": "QUESTION", "content": "why?", "number": 9, "user": "me"}
    annotator.add("messages", "fresh", **{**data, **said, "entity_ref": {"name": "conversations", "id": thread}})
    edited, added, gone, _ = sent.changed()
    assert {k: json.loads(r["value"]) for k, r in edited.items()} == {"answered": "dog", "chosen": "b"}
    assert gone == {"asked"}
    (row,) = added
    assert (row["kind"], row["label"], row["index"], row["sample_id"]) == ("message", "question", 9, "s0")
    assert attributes(row) == {"conversation": "0", "question_type": "OPEN", "user": "me"}


def test_orphans_are_told_and_images_without_an_item_say_nothing(send: Callable[[Task], Sent]) -> None:
    sent = send(own.boxes())
    annotator = sent.annotator
    annotator.api.remove(annotator.dataset, "objects", ["l0"])
    annotator.api.remove(annotator.dataset, "item", [annotator.item("s2")])
    _, added, gone, got = sent.changed()
    assert (added, gone) == ([], {"l0", "l1"})
    assert "s2" not in got.samples.to_pylist()
    assert "bboxes whose entity or record was deleted" in got.notes[0]


# --- cut off


@pytest.mark.parametrize("table", ["source", "objects", "masks", "messages", "item"])
def test_sending_is_gone_on_with_where_it_stopped(
    backend: PixanoBackend, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    task, real, sent = own.task(), backend._http.send, list[str]()

    def cut(method: str, path: str, **more: Any) -> Any:
        if table in path.replace("/sources/", "/source/").replace("/items/", "/item/").split("/"):
            raise BackendError("the connection is lost")
        sent.append(path)
        return real(method, path, **more)

    monkeypatch.setattr(backend._http, "send", cut)
    with pytest.raises(BackendError, match="lost"):
        backend.upload(task)
    monkeypatch.setattr(backend._http, "send", lambda m, p, **more: (sent.append(p), real(m, p, **more))[1])
    receipt = backend.upload(task)
    assert cases.plain(receipt.baseline) == cases.plain(task.labels)
    assert len(sent) == len(set(sent))  # nothing is sent twice, and no second dataset is made
    backend.delete(receipt)


def test_what_a_broken_import_left_is_overwritten(backend: PixanoBackend, options: Mapping[str, str]) -> None:
    task = own.boxes()
    left = Path(options["folder"]) / "media" / dataset_name(task.name)
    left.mkdir()
    (left / "half.png").touch()
    receipt = backend.upload(task)
    assert len(receipt.baseline) == 2
    assert not (left / "half.png").exists()
    backend.delete(receipt)
    assert not left.exists()


# --- removing


def test_deleting_twice_is_quiet_and_leaves_nothing(backend: PixanoBackend, options: Mapping[str, str]) -> None:
    task = own.boxes()
    receipt = backend.upload(task)
    state = backend.find(task.name)
    assert state is not None
    backend.delete(Receipt(task.name, state))
    backend.delete(receipt)
    assert backend.find(task.name) is None
    assert not list(Path(options["folder"]).glob(f"*/{receipt.state['name']}"))
    for call in (backend.download, backend.status):
        with pytest.raises(Gone, match="is not in Pixano's library any more"):
            call(receipt)


def test_a_dataset_elsewhere_loses_its_rows_and_is_gone(options: Mapping[str, str]) -> None:
    near, far = PixanoBackend(PixanoConfig(**options)), PixanoBackend(PixanoConfig(url=options["url"]))
    task = own.boxes()
    receipt = near.upload(task)
    far.delete(receipt)
    assert far.find(task.name) is None
    with pytest.raises(Gone):
        far.download(receipt)
    again = near.upload(task)  # and the next one takes its place
    assert len(near.download(again).labels) == 2
    near.delete(again)
    near.close()
    far.close()


# --- what is refused, and how it is said


def test_without_a_program_it_is_an_old_pixano(double: PixanoItems) -> None:
    for missing in ("executable", "folder"):
        with pytest.raises(Rejected, match="Pixano 0.6 answers there") as error:
            problems(at(double, **{missing: None}))
        assert f"pixano=={api.VERSION}" in str(error.value)
        assert "`executable`" in str(error.value)
        assert "`folder`" in str(error.value)


def test_all_that_is_wrong_is_told_at_once(double: PixanoItems, tmp_path: Path) -> None:
    schema = LabelSchema.parse({n: cases.SCHEMA[n] for n in ("areas", "lines")})
    found = problems(at(double, executable=str(tmp_path / "nothing"), folder=str(tmp_path / "nowhere")), schema)
    assert [t.split(" ")[0] for t in found] == ["areas:", "lines:", "folder:", "executable:"]
    assert "cannot label polygons; it can: classification," in found[0]
    assert f"{tmp_path / 'nowhere'} is not there; give the folder" in found[2]
    assert f"{tmp_path / 'nothing'} is no program; give the path of `pixano`" in found[3]
    assert not [path for _, path, _ in double.calls if path != "/openapi.json"]


def test_a_folder_that_is_no_pixano_folder(double: PixanoItems, tmp_path: Path) -> None:
    (problem,) = problems(at(double, folder=str(tmp_path)))
    assert "has no `library` and `media` in it" in problem


def test_the_folder_of_another_server(double: PixanoItems, tmp_path: Path) -> None:
    backend = at(double)
    backend.upload(own.boxes())
    with PixanoItems(tmp_path / "other") as other:
        (problem,) = problems(at(double, folder=str(other.folder)))
        assert "which is not in" in problem
        assert "give the folder that this server was started on" in problem
        other_backend = at(double, folder=str(other.folder))
        with pytest.raises(Rejected, match="does not show it; set `folder`"):
            other_backend.upload(own.boxes())
        assert not list((other.folder / "library").iterdir())
        other_backend.close()
    backend.close()


def script(folder: Path, text: str) -> str:
    path = folder / "pixano"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("says", ["No such command 'data'.", "--info file.py:attr --mode", ""])
def test_the_program_of_another_generation(double: PixanoItems, tmp_path: Path, says: str) -> None:
    (problem,) = problems(at(double, executable=script(tmp_path, f"echo '{says}' >&2; exit 2")))
    assert "has no `data import --type --schema`, so it is of another generation" in problem


def test_a_program_that_hangs_is_stopped(double: PixanoItems, tmp_path: Path) -> None:
    backend = at(double, executable=script(tmp_path, "exec sleep 60"), deadline=0.3)
    with pytest.raises(Broken, match=r"did not end within 0.3 s and was stopped; .*`deadline`"):
        backend.upload(own.boxes())
    backend.close()


def test_a_program_that_cannot_start(double: PixanoItems, tmp_path: Path) -> None:
    backend = at(double, executable=str(tmp_path))
    with pytest.raises(Broken, match="cannot be run"):
        backend.upload(own.boxes())
    backend.close()


def test_an_import_that_fails_early_is_cleared_away(double: PixanoItems, tmp_path: Path) -> None:
    """It breaks the list of all datasets, as long as it is there."""
    made = 'mkdir -p "$3/library/$6"; echo "{\\"id\\": \\"i\\", \\"name\\": \\"$6\\"}" > "$3/library/$6/info.json"'
    backend = at(double, executable=script(tmp_path, f"{made}; echo 'NameError: x' >&2; exit 1"), timeout=1)
    with pytest.raises(Rejected, match="NameError: x"):
        backend.upload(own.boxes())
    assert not list((double.folder / "library").iterdir())
    assert backend.find("anything") is None
    backend.close()


class BrokenImages(cases.Images):
    def open(self, sample_id: str) -> Any:
        return io.BytesIO(b"no image")


def test_an_import_that_fails_leaves_nothing_and_says_why(backend: PixanoBackend, options: Mapping[str, str]) -> None:
    task = replace(own.boxes(), media=BrokenImages())
    with pytest.raises(Rejected, match="the import failed, and what it left was removed") as error:
        backend.upload(task)
    assert "cannot identify image file" in str(error.value)
    assert not list(Path(options["folder"]).glob(f"*/{dataset_name(task.name)}"))
    assert backend.find(task.name) is None  # the server's list of datasets works: a broken one would end it


def test_images_that_the_import_skips_are_missed(double: PixanoItems, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_folder, "file_name", lambda number, path: f"{number:06d}.xyz")
    backend = at(double)
    with pytest.raises(Broken, match="4 of the task's 4 images are not in the dataset"):
        backend.upload(own.boxes())
    backend.close()


def test_rows_that_did_not_arrive_are_missed(backend: PixanoBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    real = backend._http.send

    def less(method: str, path: str, **more: Any) -> Any:
        return real(method, path, **{**more, "json": more["json"][:1]} if path.endswith("/bboxes") else more)

    monkeypatch.setattr(backend._http, "send", less)
    task = own.boxes()
    with pytest.raises(Broken, match="1 of 2 bboxes"):
        backend.upload(task)
    state = backend.find(task.name)
    assert state is not None
    monkeypatch.undo()
    backend.delete(Receipt(task.name, state))


def test_a_receipt_and_another_pixano(double: PixanoItems, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = at(double)
    receipt = backend.upload(own.boxes())
    routes = {"info": {"title": "Pixano", "version": "0.8.0"}, "paths": {"/io/imports": {}}}
    real = backend._http.get
    monkeypatch.setattr(backend._http, "get", lambda p, q=None: routes if p == "/openapi.json" else real(p, q))
    for call in (backend.download, backend.status, backend.delete):
        with pytest.raises(Rejected, match=r"Pixano 0\.8 answers at .* was sent to a Pixano of an earlier generation"):
            call(receipt)
    backend.close()


def test_values_that_do_not_fit_are_refused_before_sending(double: PixanoItems) -> None:
    backend = at(double)
    schema = {"objects": {"type": "detections", "classes": ["car"], "attributes": {"count": {"type": "int"}}}}
    task = own.task(schema, [("s0", "objects", rows.Detection("car", [0, 0, 1, 1], count="many"))])
    assert "'count'" in next(iter(backend.check_task(task)))
    backend.close()


def test_no_path_or_secret_of_the_environment_is_told(
    double: PixanoItems, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "s3cr3t-canary")
    backend = at(double, executable=script(tmp_path, "echo 'ValueError: it failed' >&2; exit 1"))
    with pytest.raises(Rejected, match="it failed") as error:
        backend.upload(own.boxes())
    assert "s3cr3t" not in str(error.value)
    backend.close()


def test_no_labels_at_all(backend: PixanoBackend) -> None:
    receipt = backend.upload(own.task({"objects": {"type": "detections", "classes": ["car"]}}, []))
    assert receipt.baseline.num_rows == 0
    assert backend.download(receipt).labels.num_rows == 0
    backend.delete(receipt)


def test_images_are_images_there(send: Callable[[Task], Sent], options: Mapping[str, str]) -> None:
    sent = send(own.boxes())
    for view in sent.annotator.rows("image").values():
        with Image.open(Path(options["folder"]) / "media" / view["data"]["url"]) as image:
            assert image.size == (cases.WIDTH, cases.HEIGHT) == (view["data"]["width"], view["data"]["height"])


def test_nothing_is_pushed_or_adopted(send: Callable[[Task], Sent]) -> None:
    sent = send(own.task())
    edits = edits_of(sent.task, sent.receipt, {}, [], [sent.receipt.baseline["label_id"][0].as_py()])
    (why,) = sent.backend.check_push(sent.receipt)
    assert why.startswith(f"The task {sent.task.name!r} is in a Pixano of the earlier generation")
    assert why.endswith("annotate the samples under a new key.")
    with pytest.raises(Rejected, match="pushes to Pixano 0.8 only"):
        sent.backend.push(sent.receipt, edits)
    with pytest.raises(
        Rejected, match="adopts datasets of Pixano 0.8 only; import the folder of images and metadata.jsonl"
    ):
        sent.backend.find_tasks(["street"], None)
    assert sent.changed()[:3] == ({}, [], set())
    assert sent.backend.download(sent.receipt).reviewed.num_rows == 0
