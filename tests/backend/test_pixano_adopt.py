"""Datasets that were made in a real Pixano 0.8.0 without annobridge become tasks, and are worked on there and here."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from annobridge.backend import FoundTask, Receipt
from annobridge.backend.return_values import check_download, check_found, check_pushed
from annobridge.core import rows
from annobridge.core.schema import LabelSchema
from annobridge.exceptions import Gone, InvalidOption, InvalidSchema, Rejected
from annobridge_pixano import PixanoBackend, PixanoConfig, removal
from annobridge_pixano.annotator import ScriptedAnnotator

from . import pixano_cases as cases
from . import pixano_library_cases as library
from .pushing import after, edits_of

pytestmark = pytest.mark.server


@pytest.fixture
def backend(pixano_url: str) -> Iterator[PixanoBackend]:
    found = PixanoBackend(PixanoConfig(url=pixano_url))
    yield found
    found.close()


@pytest.fixture
def annotator(pixano_url: str) -> Iterator[ScriptedAnnotator]:
    found = ScriptedAnnotator(pixano_url)
    yield found
    found.close()


@pytest.fixture
def name(backend: PixanoBackend, pixano_url: str) -> Iterator[str]:
    """The name of a dataset in the library."""
    name = f"street_{uuid.uuid4().hex[:8]}"
    library.imported(pixano_url, name)
    yield name
    removal.remove(backend._api, name, 60.0)


def find(backend: PixanoBackend, *names: str) -> list[FoundTask]:
    return [check_found(found) for found in backend.find_tasks(names, None)]


def adopted(
    backend: PixanoBackend, found: FoundTask, schema: Any = None, samples: list[str | None] | None = None
) -> Receipt:
    """The receipt of a dataset that was adopted, with the baseline of its first download: every label has an id and a field."""
    schema = LabelSchema.parse(found.label_schema if schema is None else schema)
    given = samples or [f"sample {n}" for n in range(len(found.media))]
    receipt = Receipt("adopted-00000", dict(backend.adopt(found, schema, pa.array(given, pa.string()))))
    receipt = replace(receipt, state=json.loads(json.dumps(receipt.state)))
    of_kind = {spec.kind: field for field, spec in schema.fields.items()}
    first = check_download(backend.download(receipt)).labels.to_pylist()
    named = [
        {**r, "label_id": r["label_id"] or f"id of {r['remote_id']}", "field": r["field"] or of_kind[r["kind"]]}
        for r in first
    ]
    return replace(receipt, baseline=pa.Table.from_pylist(named, schema=receipt.baseline.schema))


def values(row: dict[str, Any]) -> dict[str, Any]:
    return {a["name"]: json.loads(a["value"]) for a in row["attributes"] or ()}


def test_what_is_found_in_a_dataset(backend: PixanoBackend, name: str) -> None:
    (found,) = find(backend, name)
    assert (found.title, found.media["name"].to_pylist()) == (name, ["rec-a.png", "rec-b.png", "rec-c.png"])
    assert list(zip(found.media["width"].to_pylist(), found.media["height"].to_pylist(), strict=True)) == [
        *library.SIZES.values()
    ]
    attributes = {"occluded": {"type": "checkbox"}, "plate": {"type": "text"}, "n": {"type": "int"}}
    assert found.label_schema == {
        "detections": {"type": "detections", "classes": ["bus", "car"], "attributes": attributes},
        "polygons": {"type": "polygons", "classes": ["bus"], "attributes": attributes},
    }
    assert [f.key for f in find(backend, found.key, name)] == [found.key, found.key]  # which the bridge refuses
    with backend.read_media(found, 2) as stream:
        assert stream.read() == library.picture((100, 50))


def test_images_by_an_attribute_of_their_records(pixano_url: str, name: str) -> None:
    backend = PixanoBackend(PixanoConfig(url=pixano_url, name_attribute="file"))
    (found,) = find(backend, name)
    assert found.media["name"].to_pylist() == ["drive/a.png", "drive/b.png", "drive/c.png"]
    backend.close()
    backend = PixanoBackend(PixanoConfig(url=pixano_url, name_attribute="speed"))
    with pytest.raises(Rejected, match="have the text attributes weather, file; give one of these"):
        find(backend, name)
    backend.close()


def test_its_labels_are_downloaded(backend: PixanoBackend, name: str) -> None:
    receipt = adopted(backend, *find(backend, name))
    got = {r["remote_id"]: r for r in receipt.baseline.to_pylist()}
    assert set(got) == {"b1", "b2", "b3", "p2"}
    assert got["b1"]["bounding_box"] == [8 / 64, 12 / 48, 16 / 64, 6 / 48]
    assert got["b2"]["bounding_box"] == [0.1, 0.1, 0.4 - 0.1, 0.4 - 0.1]
    assert values(got["b1"]) == {"occluded": True, "plate": "007", "n": 2}
    assert [got[i]["sample_id"] for i in ("b1", "b2", "b3")] == ["sample 0", "sample 0", "sample 2"]
    again = backend.download(receipt)
    assert cases.changes(receipt.baseline, again.labels) == ({}, [], set())
    assert (again.notes, again.samples.to_pylist()) == ((), ["sample 0", "sample 1", "sample 2"])
    assert backend.task_keys(receipt) == {find(backend, name)[0].key}


def test_adopting_writes_nothing_into_the_library(backend: PixanoBackend, pixano_url: str) -> None:
    name = f"boxes_{uuid.uuid4().hex[:8]}"
    dataset = library.imported(pixano_url, name, {**library.SCHEMA, "annotations": ["bbox"]}, library.LINES[2:])
    before = backend._api.describe(dataset)
    receipt = adopted(backend, *find(backend, name))
    backend.delete(receipt)
    assert backend._api.describe(dataset) == before
    assert set(before["tables"]) == {"records", "entities", "bboxes", "images"}
    assert backend.download(receipt).labels["remote_id"].to_pylist() == ["b3"]
    removal.remove(backend._api, name, 60.0)


def test_people_and_pushes_change_it(backend: PixanoBackend, annotator: ScriptedAnnotator, name: str) -> None:
    schema = {
        "boxes": {
            "type": "detections",
            "classes": ["car", "bus"],
            "attributes": {"n": {"type": "int"}, "occluded": {"type": "checkbox"}},
        },
        "areas": {"type": "polygons", "classes": ["bus", "tree"]},
        "weather": {"type": "classification", "classes": ["sunny", "rain", "fog"]},
        "keys": {"type": "classifications", "classes": ["x", "y", "z"]},
        "speed": {"type": "scalar"},
    }
    (found,) = find(backend, name)
    receipt = adopted(backend, found, schema)
    annotator.rename(found.key, "car-1", "bus")
    annotator.move(found.key, "b3", [0, 0, 0.5, 0.5])
    new, _ = annotator.draw(found.key, "rec-b", [0.1, 0.2, 0.3, 0.4], "car", n=5)
    annotator.set_record(found.key, "rec-b", "weather", "fog")
    edited, added, gone = cases.changes(receipt.baseline, backend.download(receipt).labels)
    assert edited["id of b1"]["label"] == "bus"
    assert edited["id of b3"]["bounding_box"] == [0, 0, 0.5, 0.5]
    assert edited["id of rec-b/weather"]["label"] == "fog"
    assert [(r["sample_id"], values(r)) for r in added] == [("sample 1", {"n": 5, "occluded": False})]
    assert (len(edited), gone) == (3, set())
    annotator.delete(found.key, new)
    task = cases.task(schema, [])
    ids = {r["remote_id"]: r["label_id"] for r in receipt.baseline.to_pylist()}
    edit = {
        ids["b1"]: {"bounding_box": [1 / 3, 0.1, 0.2, 0.2]},
        ids["rec-a/weather"]: {"label": "fog"},
        ids["rec-a/speed"]: {"value": "9"},
        ids["rec-a/keys/y"]: {"label": "z"},
    }
    ring = [[0.1, 0.1], [0.2, 0.1], [0.2, 0.3]]
    add = [
        rows.Polyline("tree", [ring], filled=True).row()
        | {"label_id": "t1", "sample_id": "sample 1", "field": "areas"},
        rows.Detection("car", [0.1, 0.1, 1 / 3, 0.2], n=4).row()
        | {"label_id": "t2", "sample_id": "sample 2", "field": "boxes"},
    ]
    edits = edits_of(task, receipt, edit, add, [ids["b2"]])
    pushed = check_pushed(backend.push(receipt, edits), edits)
    assert pushed.left_out.to_pylist() == []
    edit[ids["b1"]]["label"] = "bus"  # the class that people gave it, which the push does not change
    assert cases.plain(pushed.baseline) == cases.plain(edits_of(task, receipt, edit, add, []).task.labels)
    edited, added, gone = cases.changes(
        after(receipt, edits, pushed).baseline, backend.download(after(receipt, edits, pushed)).labels
    )
    assert (set(edited), added, gone) == ({"id of b3", "id of rec-b/weather"}, [], set())
    assert {r["id"] for r in annotator.rows(found.key, "entities")} >= {
        "bus-1",
        "t1",
        "t2",
    }  # the polygon of bus-1 is still there
    assert {r["id"]: r["coords"] for r in annotator.rows(found.key, "bboxes")}["b1"] == [1 / 3, 0.1, 0.2, 0.2]


def test_images_without_a_sample_are_left_out(backend: PixanoBackend, annotator: ScriptedAnnotator, name: str) -> None:
    (found,) = find(backend, name)
    receipt = adopted(backend, found, samples=[None, None, "mine"])
    got = backend.download(receipt)
    assert (got.labels["remote_id"].to_pylist(), got.samples.to_pylist(), got.notes) == (["b3"], ["mine"], ())
    annotator.set_record(found.key, "rec-c", "status", "validated")
    annotator.set_record(found.key, "rec-a", "status", "validated")
    reviewed = backend.download(receipt).reviewed.to_pylist()
    assert reviewed == [{"sample_id": "mine", "reviewed": True, "state": "validated", "by": None, "time": None}]
    status = backend.status(receipt)
    assert (status.state, dict(status.samples), status.reviewed) == ("validated", {"validated": 1}, 1)


def test_a_dataset_that_annobridge_sent_has_its_ids(backend: PixanoBackend) -> None:
    task = cases.task()
    sent = backend.upload(task)
    (found,) = find(backend, sent.state["name"])
    by_name = {row["filepath"].rpartition("/")[2]: row["sample_id"] for row in task.samples.to_pylist()}
    ids = [by_name[name] for name in found.media["name"].to_pylist()]
    assert sorted(ids) == sorted(cases.SAMPLE_IDS)
    types = {name: spec["type"] for name, spec in found.label_schema.items()}
    assert types == {
        "objects": "detections", "things": "instances", "areas": "polygons", "lines": "polylines", "poses": "keypoints",
        "ground": "instances", "scene": "classification", "tags": "classifications", "count": "scalar",
        "mixed": "classification", "code": "classification", "attr_status": "scalar", "messages": "messages",
    }  # fmt: skip
    assert set(found.label_schema["objects"]["attributes"]) > {"occluded", "plate", "attr_a_b", "line"}
    assert found.label_schema["lines"]["attributes"] == {}
    schema = {n: s for n, s in cases.SCHEMA.items() if n not in ("mixed", "status", "code", "nothing", "talk")}
    receipt = Receipt("a-0", dict(backend.adopt(found, LabelSchema.parse(schema), pa.array(ids))))
    before = {r["label_id"]: r for r in task.labels.to_pylist()}
    labels = backend.download(receipt).labels.to_pylist()
    spatial = [r for r in labels if r["kind"] not in ("classification", "scalar")]
    assert {r["label_id"] for r in spatial} == {
        i for i, r in before.items() if r["kind"] not in ("classification", "scalar", "message")
    }
    assert {(r["label_id"], r["field"], r["sample_id"]) for r in spatial if r["field"]} <= {
        (i, r["field"], r["sample_id"]) for i, r in before.items()
    }
    backend.delete(receipt)
    assert backend.download(sent).labels.num_rows == task.labels.num_rows
    backend.delete(sent)


# --- what is refused


def test_unknown_and_removed_datasets(backend: PixanoBackend, name: str) -> None:
    with pytest.raises(Rejected, match=r"there is no dataset 'nowhere' in the library; it has '.*'"):
        find(backend, name, "nowhere")
    with pytest.raises(Rejected, match="Pixano has no projects; give the names or ids of datasets"):
        list(backend.find_tasks([], "street"))
    with pytest.raises(Rejected, match="Pixano has no projects"):
        list(backend.find_tasks([], None))


def test_a_name_of_two_datasets(backend: PixanoBackend, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    there = backend._api.datasets()
    twin = [{**d, "id": "twin"} for d in there if d["name"] == name]
    monkeypatch.setattr(backend._api, "datasets", lambda: [*there, *twin])
    with pytest.raises(Rejected, match=rf"2 datasets are called {name!r}; give the id of one of them: .*, twin"):
        find(backend, name)


def test_a_schema_that_does_not_fit(backend: PixanoBackend, name: str) -> None:
    (found,) = find(backend, name)
    schema = {
        "boxes": {
            "type": "detections",
            "classes": ["car"],
            "attributes": {"n": {"type": "text"}, "colour": {"type": "text"}},
        },
        "speed": {"type": "classification", "classes": ["fast"]},
        "talk": {"type": "messages"},
    }
    before = backend._api.describe(found.key)
    with pytest.raises(InvalidSchema) as error:
        adopted(backend, found, schema)
    assert error.value.problems == (
        "n: is a column of type int in Pixano, and would have to be one of type str.",
        "colour: the entities have no attribute 'colour'; they have occluded, plate, n.",
        "speed: is a column of type int in Pixano, and would have to be one of type str.",
        f"There are no conversations in the Pixano dataset {name!r}; leave the field of messages out.",
    )
    with pytest.raises(InvalidSchema) as error:
        adopted(backend, found, {"boxes": {"type": "detections", "classes": ["car"]}})
    assert error.value.problems == (
        "boxes: the dataset has the classes bus, which the schema lacks; add them.",
        "The dataset has 1 labels of the kind polygon, and the schema no field of polygons; add one.",
    )
    assert backend._api.describe(found.key) == before


def test_a_class_attribute_that_is_none(pixano_url: str, name: str) -> None:
    backend = PixanoBackend(PixanoConfig(url=pixano_url, class_attribute="colour"))
    with pytest.raises(
        InvalidOption, match=f"class_attribute='colour': the entities of the Pixano dataset '{name}' have"
    ):
        find(backend, name)
    backend.close()


def test_another_class_attribute(pixano_url: str, name: str) -> None:
    backend = PixanoBackend(PixanoConfig(url=pixano_url, class_attribute="plate"))
    (found,) = find(backend, name)
    assert found.label_schema["detections"]["classes"] == ["007"]
    assert set(found.label_schema["detections"]["attributes"]) == {"category", "occluded", "n"}
    schema = {
        "boxes": {"type": "detections", "classes": ["007", "008"]},
        "areas": {"type": "polygons", "classes": ["x"]},
    }
    receipt = adopted(backend, found, schema)
    edits = edits_of(cases.task(schema, []), receipt, {"id of b1": {"label": "008"}})
    assert cases.plain(backend.push(receipt, edits).baseline) == cases.plain(edits.task.labels)
    assert {r["id"]: (r["plate"], r["category"]) for r in backend._http.pages(f"/datasets/{found.key}/entities")}[
        "car-1"
    ] == ("008", "car")
    backend.close()


def test_several_images_per_record(backend: PixanoBackend, pixano_url: str) -> None:
    name = f"stereo_{uuid.uuid4().hex[:8]}"
    schema = {"views": {"left": "image", "right": "image"}, "annotations": ["bbox"]}
    library.imported(pixano_url, name, schema, [{"id": "r", "views": {"left": "a.png", "right": "b.png"}}])
    with pytest.raises(Rejected, match="has records of several images"):
        find(backend, name)
    removal.remove(backend._api, name, 60.0)


def test_images_that_pixano_shows_from_elsewhere(backend: PixanoBackend, pixano_url: str, tmp_path: Path) -> None:
    (tmp_path / "drive").mkdir()
    (tmp_path / "drive" / "a.png").write_bytes(library.picture((64, 48)))
    name = f"linked_{uuid.uuid4().hex[:8]}"
    with files_at(tmp_path) as url:
        line = {"id": "r", "views": {"image": f"{url}/drive/a.png"}, "entities": library.LINES[2]["entities"]}
        library.imported(pixano_url, name, lines=[line], media="uri")
        (found,) = find(backend, name)
    assert found.media.select(["name", "width"]).to_pylist() == [{"name": "drive/a.png", "width": None}]
    with pytest.raises(Rejected, match=f"'drive/a.png' is not in Pixano, which shows it from {url}/drive/a.png"):
        backend.read_media(found, 0)
    assert adopted(backend, found).baseline["remote_id"].to_pylist()
    removal.remove(backend._api, name, 60.0)


@contextmanager
def files_at(folder: Path) -> Iterator[str]:
    """The address of a web server of a folder."""
    web = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=web.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{web.server_port}"
    web.shutdown()
    web.server_close()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.parametrize(("table", "what"), [("sequence_frames", "frames of videos"), ("point_clouds", "point clouds")])
def test_datasets_of_other_media(
    backend: PixanoBackend, name: str, monkeypatch: pytest.MonkeyPatch, table: str, what: str
) -> None:
    monkeypatch.setattr(backend._api, "counts", lambda dataset: {"images": 3, table: 9})
    with pytest.raises(Rejected, match=f"has {what}, and annobridge adopts images only; leave it out"):
        find(backend, name)


def test_an_adopted_dataset_that_is_gone(backend: PixanoBackend, pixano_url: str) -> None:
    name = f"lost_{uuid.uuid4().hex[:8]}"
    library.imported(pixano_url, name)
    receipt = adopted(backend, *find(backend, name))
    removal.remove(backend._api, name, 60.0)
    with pytest.raises(Gone, match=f"the dataset {name!r}"):
        backend.download(receipt)
    with pytest.raises(Gone, match=f"the dataset {name!r}"):
        backend.push(receipt, edits_of(cases.task(None, []), receipt))
