"""Projects that were made at DataGym without annobridge become tasks; and what DataGym says about the progress of images."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image
from tests import datagym_servers
from tests.backend.test_datagym_existing import entry
from tests.datagym_servers import Server

import annobridge as ab
from annobridge.backend import FoundTask, Receipt
from annobridge.backend.return_values import check_download, check_found
from annobridge.core.schema import LabelSchema
from annobridge.exceptions import Gone, InvalidSchema, Rejected, RunError, Unsupported
from annobridge_datagym import DatagymBackend, DatagymConfig
from annobridge_datagym.api import STATES

SIZE = (64, 48)
CONFIG = [
    entry("bus", "rectangle", entry("ab_id", "freetext", maxLength=64)),
    entry(
        "car",
        "polygon",
        entry("car_type", "select", options={"van": "Van", "suv": "Suv"}),
        entry("occluded", "select", options={"true": "yes", "false": "no"}),
        entry("wheel", "rectangle"),
    ),
    entry("street", "line"),
    entry("sky", "image_segmentation"),
    entry(
        "weather",
        "select",
        entry("daytime", "select", options={"day": "Day"}),
        options={"sunny": "Sunny", "rain": "Rain"},
    ),
    entry("note", "freetext", maxLength=255),
]
SCHEMA = {
    "detections": {"type": "detections", "classes": ["bus"]},
    "polygons": {
        "type": "polygons",
        "classes": ["car"],
        "attributes": {"car_type": {"type": "select", "values": ["suv", "van"]}, "occluded": {"type": "checkbox"}},
    },
    "polylines": {"type": "polylines", "classes": ["street"]},
    "weather": {
        "type": "classification",
        "classes": ["rain", "sunny"],
        "attributes": {"daytime": {"type": "select", "values": ["day"]}},
    },
    "note": {"type": "scalar"},
}


@dataclass
class Place:
    """A project that a person has made, with a dataset of three images."""

    server: Server
    project: Mapping[str, Any]
    dataset: str
    dataset_name: str

    def tasks(self) -> dict[str, dict[str, Any]]:
        """By the name of the image."""
        if not self.server.v1:
            listed = self.server.browse("GET", f"project/{self.project['id']}/task")
        else:
            path = f"task/{self.project['id']}/list"
            listed = [t for state in STATES for t in self.server.call("GET", path, params={"state": state})]
        return {t["mediaName"]: t for t in listed}

    def label(self, image: str, **content: Any) -> None:
        """Put labels on an image."""
        item = {"internal_media_ID": self.tasks()[image]["mediaId"], "keepData": True, **content}
        answer = self.server.call(
            "POST", f"project/{self.project['id']}/prediction", data=json.dumps([item]),
            headers_={"Content-Type": "application/json"},
        )  # fmt: skip
        assert answer == {"errorMessages": ""}

    def shown(self, image: str) -> dict[str, Any]:
        return dict(self.server.call("GET", f"task/{self.tasks()[image]['taskId']}"))

    def remove(self) -> None:
        """Take the dataset out of the project, with its tasks."""
        self.server.call("DELETE", f"project/{self.project['id']}/dataset/{self.dataset}/remove")


def picture() -> bytes:
    stream = BytesIO()
    Image.new("RGB", SIZE).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(params=datagym_servers.KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with datagym_servers.running(request.param) as found:
        yield found


@pytest.fixture
def place(server: Server) -> Place:
    if server.shared:
        pytest.skip("the project is that of all tests")
    name, owner = f"By hand {uuid.uuid4().hex}", server.double.state.owner if server.double else datagym_servers.OWNER
    made = {"owner": owner, "name": name, "shortDescription": "x", "mediaType": "IMAGE"}
    if server.project is None:
        server.project = server.browse("POST", "project", json=made)["name"]
    project = next(p for p in server.call("GET", "project") if p["name"] == server.project)
    config = project["labelConfigurationId"]
    if server.v1:
        server.call("PUT", f"config/{config}", json=CONFIG)
    else:
        server.browse("POST", f"lconfig/{config}/import", json=CONFIG)
    of_v1 = {"name": name, "shortDescription": "x"}
    dataset = server.call("POST", "dataset", json=of_v1 if server.v1 else made)["id"]
    for image in ("a.png", "b.png", "c.png"):
        sent_name = image if server.v1 else base64.b64encode(image.encode()).decode()
        headers = {"X-filename": sent_name, "Content-Type": "application/octet-stream"}
        paths = f"media/{dataset}/file", f"dataset/{dataset}/file"
        server.call("POST", *paths, headers_=headers, data=picture())
    server.call("POST", f"project/{project['id']}/dataset/{dataset}")
    found = Place(server, project, dataset, name)
    box = {"rectangle": [{"x": 10.5, "y": 20, "w": 30, "h": 10.25}], "classifications": {"ab_id": ["mine"]}}
    ring = [{"x": 1.5, "y": 2}, {"x": 20, "y": 2.25}, {"x": 20, "y": 30}]
    van = {"polygon": ring, "classifications": {"car_type": ["van"], "occluded": ["true"]}}
    found.label(
        "a.png", labels={"bus": [box], "car": [van]}, global_classifications={"weather": ["rain"], "note": ["wet"]}
    )
    found.label("b.png", labels={"street": [{"line": ring}]})
    return found


@pytest.fixture
def backend(server: Server) -> Iterator[DatagymBackend]:
    made = DatagymBackend(DatagymConfig(**server.login()))
    yield made
    made.close()


def find(backend: DatagymBackend, *tasks: str, project: str | None = None) -> list[FoundTask]:
    return [check_found(found) for found in backend.find_tasks(tasks, project)]


def adopted(
    backend: DatagymBackend, found: FoundTask, schema: Any = None, samples: list[str | None] | None = None
) -> Receipt:
    """The receipt with the baseline of its first download, in which every label has an id and a field."""
    parsed = LabelSchema.parse(found.label_schema if schema is None else schema)
    given = samples or [f"sample {name}" for name in found.media["name"].to_pylist()]
    state = json.loads(json.dumps(backend.adopt(found, parsed, pa.array(given, pa.string()))))
    receipt = Receipt("adopted-00000", state)
    rows = check_download(backend.download(receipt)).labels.to_pylist()
    named = [{**row, "label_id": row["label_id"] or f"id of {n}"} for n, row in enumerate(rows)]
    return replace(receipt, baseline=pa.Table.from_pylist(named, schema=receipt.baseline.schema))


def test_what_is_found_in_a_project(backend: DatagymBackend, place: Place) -> None:
    (found,) = find(backend, project=place.project["name"])
    assert (found.key, found.title) == (
        f"{place.project['id']}-{place.dataset}",
        f"{place.project['name']}: {place.dataset_name}",
    )
    assert found.media["name"].to_pylist() == ["a.png", "b.png", "c.png"]
    assert {*found.media["width"].to_pylist()} == {SIZE[0]}
    assert {*found.media["height"].to_pylist()} == {SIZE[1]}
    assert found.label_schema == SCHEMA
    LabelSchema.parse(found.label_schema)
    for tasks, project in (
        ((), place.project["id"]),
        ((place.dataset,), None),
        ((place.dataset_name,), place.project["id"]),
    ):
        assert [f.key for f in find(backend, *tasks, project=project)] == [found.key]
    with backend.read_media(found, 1) as stream:
        assert stream.read() == picture()


def test_its_labels_are_downloaded_whatever_their_state(backend: DatagymBackend, place: Place) -> None:
    (found,) = find(backend, project=place.project["id"])
    receipt = adopted(backend, found)
    rows = {(row["field"], row["sample_id"]): row for row in receipt.baseline.to_pylist()}
    assert set(rows) == {
        ("detections", "sample a.png"), ("polygons", "sample a.png"), ("weather", "sample a.png"), ("note", "sample a.png"),
        ("polylines", "sample b.png"),
    }  # fmt: skip
    box = rows["detections", "sample a.png"]
    assert (box["label"], box["label_id"]) == ("bus", "mine")
    assert box["bounding_box"] == [10.5 / 64, 20 / 48, 30 / 64, 10.25 / 48]
    polygon = rows["polygons", "sample a.png"]
    assert {a["name"]: json.loads(a["value"]) for a in polygon["attributes"]} == {"car_type": "van", "occluded": True}
    assert (rows["weather", "sample a.png"]["label"], rows["note", "sample a.png"]["value"]) == ("rain", '"wet"')
    assert backend.task_keys(receipt) == {found.key}


def test_people_edit_and_finish_what_was_adopted(backend: DatagymBackend, place: Place) -> None:
    (found,) = find(backend, project=place.project["id"])
    receipt = adopted(backend, found)
    assert backend.download(receipt).samples.to_pylist() == []  # nothing is finished
    shown = place.shown("a.png")
    value = next(v for v in shown["labelIteration"]["entryValues"] if v["entryKeyLcEntry"] == "bus")
    body = {
        "id": value["id"], "lcEntryId": value["lcEntryId"], "labelTaskId": shown["taskId"], "x": 0, "y": 0, "width": 32,
        "height": 24, "valid": True,
    }  # fmt: skip
    place.server.call("PUT", f"lcValue/{value['id']}", f"lcvalues/{value['id']}", json=body)
    place.server.finish([shown["taskId"]])
    tasks = place.tasks()
    place.server.call("PUT", f"task/{tasks['b.png']['taskId']}/skipTask")
    got = check_download(backend.download(receipt))
    edited = {r["label_id"]: r for r in got.labels.to_pylist()}
    before = {r["label_id"]: r for r in receipt.baseline.to_pylist()}
    assert edited["mine"]["bounding_box"] == [0, 0, 0.5, 0.5]
    assert {i for i, row in edited.items() if repr(row) != repr(before[i])} == {"mine"}
    assert sorted(got.samples.to_pylist()) == ["sample a.png", "sample b.png"]
    reviewed = {r["sample_id"]: (r["reviewed"], r["state"]) for r in got.reviewed.to_pylist()}
    assert reviewed == {
        "sample a.png": (True, "completed"),
        "sample b.png": (False, "skipped"),
        "sample c.png": (False, "backlog"),
    }
    status = backend.status(receipt)
    assert (status.reviewed, dict(status.samples)) == (1, {"completed": 1, "skipped": 1, "backlog": 1})


def test_images_without_a_sample_are_left_out(backend: DatagymBackend, place: Place) -> None:
    (found,) = find(backend, project=place.project["id"])
    receipt = adopted(backend, found, samples=[None, "mine", None])
    assert {row["field"] for row in receipt.baseline.to_pylist()} == {"polylines"}
    place.server.finish([t["taskId"] for t in place.tasks().values()])
    got = backend.download(receipt)
    assert (got.samples.to_pylist(), got.reviewed["sample_id"].to_pylist(), got.notes) == (["mine"], ["mine"], ())


def test_what_was_adopted_is_not_deleted(backend: DatagymBackend, place: Place) -> None:
    receipt = adopted(backend, *find(backend, project=place.project["id"]))
    backend.delete(receipt)
    assert [f.media.num_rows for f in find(backend, project=place.project["id"])] == [3]


def test_names_of_ones_own(backend: DatagymBackend, place: Place) -> None:
    """Classes and attributes are found by their keys or by what people read, in fields of any name."""
    (found,) = find(backend, project=place.project["id"])
    schema = {
        "boxes": {"type": "detections", "classes": ["Bus"]},
        "cars": {
            "type": "instances",
            "classes": ["car"],
            "attributes": {"car_type": {"type": "radio", "values": ["Van"]}},
        },
        "lanes": {"type": "polylines", "classes": ["Street"]},
        "weather": {"type": "classification", "classes": ["Sunny", "Rain"]},
        "note": {"type": "scalar"},
    }
    receipt = adopted(backend, found, schema)
    rows = {row["field"]: row for row in receipt.baseline.to_pylist()}
    assert {name: (row["kind"], row["label"]) for name, row in rows.items()} == {
        "boxes": ("box", "Bus"), "cars": ("mask", "car"), "lanes": ("polyline", "Street"), "weather": ("classification", "Rain"),
        "note": ("scalar", None),
    }  # fmt: skip
    assert [json.loads(a["value"]) for a in rows["cars"]["attributes"]] == ["Van"]


# --- what is refused


def test_unknown_projects_and_datasets(backend: DatagymBackend, place: Place) -> None:
    with pytest.raises(Rejected, match=r"there is no project 'nowhere', or not for this token; there is '.*"):
        find(backend, project="nowhere")
    with pytest.raises(Rejected, match="there is no dataset 'nothing', or not for this token; there is 'By hand"):
        find(backend, "nothing", project=place.project["id"])
    with pytest.raises(Rejected, match="give the project to adopt, by name or id, or some of its datasets"):
        find(backend)


def test_a_dataset_of_two_projects(backend: DatagymBackend, place: Place) -> None:
    if place.server.double is None or place.server.v1:
        pytest.skip("a second project would stay on a real server, and the API of the hosted edition makes none")
    body = {"owner": place.server.double.state.owner, "name": "Other", "shortDescription": "x", "mediaType": "IMAGE"}
    other = place.server.browse("POST", "project", json=body)
    place.server.browse("POST", f"project/{other['id']}/dataset/{place.dataset}")
    with pytest.raises(Rejected, match=r"is in 2 projects \('By hand .*', 'Other'\); give the project as well"):
        find(backend, place.dataset_name)
    assert len(find(backend, place.dataset_name, project=place.project["name"])) == 1
    with pytest.raises(InvalidSchema, match="has no rectangle class 'bus'"):
        adopted(backend, *find(backend, project="Other"), {"detections": {"type": "detections", "classes": ["bus"]}})


def test_a_project_without_images(backend: DatagymBackend, place: Place) -> None:
    place.remove()
    with pytest.raises(Rejected, match="has no datasets, so there is nothing to adopt"):
        find(backend, project=place.project["id"])


def test_a_schema_that_does_not_fit(backend: DatagymBackend, place: Place) -> None:
    (found,) = find(backend, project=place.project["id"])
    schema = {
        "boxes": {"type": "detections", "classes": ["bus", "tram"]},
        "cars": {
            "type": "polygons",
            "classes": ["car"],
            "attributes": {
                "car_type": {"type": "select", "values": ["van", "lorry"]},
                "occluded": {"type": "text"},
                "age": {"type": "int"},
            },
        },
        "weather": {"type": "classifications", "classes": ["sunny"]},
        "scene": {"type": "classification", "classes": ["day"]},
    }
    with pytest.raises(InvalidSchema) as error:
        adopted(backend, found, schema)
    assert error.value.problems == (
        "boxes: the project has no rectangle class 'tram'.",
        "cars.car.car_type: the project has no choice 'lorry'; it has suv, van.",
        "cars.car: the attribute 'occluded' is a select in the project, and a text would be a freetext.",
        "cars.car: the project has no attribute 'age' there.",
        "weather: is a select in the project, which is a field of classification.",
        "scene: the project has no classification of this name, for the whole image.",
        "The label schema lacks 'note', 'street', 'weather', which the project has; add them.",
    )
    with pytest.raises(InvalidSchema) as error:
        adopted(backend, found, {**SCHEMA, "weather": {"type": "classification", "classes": ["sunny"]}})
    assert error.value.problems == ("weather: the project has the classes rain, which the schema lacks; add them.",)
    assert {t["labelTaskState"] for t in place.tasks().values()} == {"BACKLOG"}


def test_files_adopt_nothing() -> None:
    backend = DatagymBackend(DatagymConfig(transport="files"))
    with pytest.raises(Rejected, match="transport='files' cannot see the server's projects"):
        backend.find_tasks([], "x")


def test_a_project_that_is_gone(backend: DatagymBackend, place: Place) -> None:
    receipt = adopted(backend, *find(backend, project=place.project["id"]))
    place.remove()
    with pytest.raises(Gone, match="is not in the project"):
        backend.download(receipt)


# --- the whole story


def test_a_project_of_others_becomes_a_run(place: Place, tmp_path: Path) -> None:
    ds = ab.create_dataset(tmp_path / "data")
    options = {"backend": "datagym", "progress": False, **place.server.login()}
    adoption = ds.adopt_annotation("taken", project=place.project["name"], create=True, **options)
    assert (adoption.matched, adoption.created, adoption.only_there) == (0, 3, 5)
    with pytest.raises(RunError, match="holds the task"):
        ds.adopt_annotation("again", project=place.project["name"], create=True, **options)
    first = ds.load_annotations("taken", progress=False, **place.server.login())
    assert (first.added, first.edited, first.deleted) == (5, 0, 0)
    assert ds.load_annotations("taken", progress=False, **place.server.login()).total == 0
    shown = place.shown("b.png")
    (line,) = [v for v in shown["labelIteration"]["entryValues"] if v["entryKeyLcEntry"] == "street"]
    place.server.call("DELETE", f"lcValue/{line['id']}", f"lcvalues/{line['id']}")
    assert ds.load_annotations("taken", progress=False, **place.server.login()).total == 0  # the image is not finished
    place.server.finish([shown["taskId"]])
    then = ds.load_annotations("taken", progress=False, **place.server.login())
    assert (then.added, then.edited, then.deleted) == (0, 0, 1)
    assert len(ds.match_reviewed("taken")) == 1
    with pytest.raises(Unsupported, match="under a new key"):
        ds.push_annotations("taken", progress=False, **place.server.login())
    ds.delete_annotation_run("taken")
    assert len(place.tasks()) == 3
