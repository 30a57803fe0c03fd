"""Tasks that others have made on CVAT are adopted: on doubles, and on a real server where one is configured."""

from __future__ import annotations

import io
import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import requests
from PIL import Image
from tests.backend.cvat_cases import HEIGHT, WIDTH
from tests.backend.test_cvat_videos import FRAMES, film
from tests.cvat_servers import Server

from annobridge.backend import Edits, FoundTask, Receipt, Task
from annobridge.backend.checked import CheckedBackend
from annobridge.core.labels import LABELS, REMOTE, SAMPLES
from annobridge.core.schema import LabelSchema
from annobridge.exceptions import InvalidSchema, Rejected
from annobridge.store.media import FileMedia
from annobridge_cvat import CvatBackend, CvatConfig

Json = dict[str, Any]


def attribute(name: str, kind: str, values: Sequence[str] = (), default: str = "", *, mutable: bool = True) -> Json:
    return {"name": name, "mutable": mutable, "input_type": kind, "default_value": default, "values": [*values]}


SIDE = attribute("side", "select", ["left", "right"], "left")
AGE = attribute("age", "number", ["0", "10", "1"], "1")
LABELS_THERE: list[Json] = [
    {"name": "car", "type": "any", "attributes": [SIDE, attribute("parked", "checkbox", ["false"], "false")]},
    {"name": "tree", "type": "any", "attributes": [SIDE, AGE]},
    {"name": "road", "type": "polygon", "attributes": []},
    {"name": "sky", "type": "mask", "attributes": []},
    {"name": "day", "type": "tag", "attributes": []},
    {"name": "pose", "type": "skeleton", "attributes": [],
     "sublabels": [{"name": n, "type": "points", "attributes": []} for n in ("head", "foot", "hand")],
     "svg": '<line x1="1" y1="1" x2="2" y2="2" data-type="edge" data-node-from="1" data-node-to="3"></line>' + "".join(
         f'<circle r="0.75" cx="{n}" cy="{n}" data-type="element node" data-element-id="{n}" data-node-id="{n}" '
         f'data-label-name="{name}"></circle>' for n, name in ((1, "head"), (2, "foot"), (3, "hand")))},
]  # fmt: skip


class Somebody:
    """Makes tasks through the server's own API, and knows nothing of annobridge."""

    def __init__(self, server: Server, token: str | None = None) -> None:
        self.url, self.made = server.url.rstrip("/"), list[int]()
        token = token or server.token
        self.headers = {"Authorization": f"{'Bearer' if '.' in token else 'Token'} {token}", "Accept": "*/*"}
        self.tag = uuid.uuid4().hex[:8]

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        answer = requests.request(method, self.url + path, headers=self.headers, timeout=120, **arguments)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        return answer.json() if answer.content else None

    def task(self, name: str, files: Mapping[str, bytes] | None, labels: Any = LABELS_THERE, **more: Any) -> int:
        body = {"name": f"{name} {self.tag}", **({} if "project_id" in more else {"labels": labels}), **more}
        number = int(self.call("POST", "/api/tasks", json=body)["id"])
        self.made.append(number)
        if files is None:
            return number
        sent = [(f"client_files[{n}]", (name, content)) for n, (name, content) in enumerate(files.items())]
        settings = {"image_quality": "70", "sorting_method": "lexicographical"}
        self.call("POST", f"/api/tasks/{number}/data", data=settings, files=sent)
        deadline = time.monotonic() + 60
        while not (self.call("GET", f"/api/tasks/{number}").get("size") and self.jobs(number)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        return number

    def name_of(self, task: int) -> str:
        return str(self.call("GET", f"/api/tasks/{task}")["name"])

    def jobs(self, task: int) -> list[Json]:
        found = self.call("GET", "/api/jobs", params={"task_id": task, "page_size": "all"})["results"]
        return sorted(found, key=lambda job: job["id"])

    def labels(self, task: int) -> dict[str, Json]:
        found = self.call("GET", "/api/labels", params={"task_id": task, "page_size": "all"})["results"]
        return {label["name"]: label for label in found}

    def draw(self, task: int, **objects: Any) -> None:
        body = {"version": 0, "tags": [], "shapes": [], "tracks": [], **objects}
        self.call("PATCH", f"/api/tasks/{task}/annotations", params={"action": "create"}, json=body)

    def shape(
        self, task: int, label: str, points: list[float], frame: int = 0, kind: str = "rectangle", **more: Any
    ) -> Json:
        values = more.pop("attributes", {})
        of = self.labels(task)[label]
        specs = {a["name"]: a["id"] for a in of["attributes"]}
        return {
            "type": kind, "frame": frame, "label_id": of["id"], "points": points, "source": "manual", "group": 0,
            "attributes": [{"spec_id": specs[n], "value": v} for n, v in values.items()], **more,
        }  # fmt: skip

    def clear(self) -> None:
        for task in self.made:
            requests.delete(f"{self.url}/api/tasks/{task}", headers=self.headers, timeout=60)


@pytest.fixture
def somebody(server: Server) -> Iterator[Somebody]:
    person = Somebody(server)
    yield person
    person.clear()


@pytest.fixture
def backend(server: Server) -> Iterator[CheckedBackend]:
    made = CvatBackend(CvatConfig(url=server.url, token=server.token))
    yield CheckedBackend(made)
    made.close()


def picture(n: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (WIDTH, HEIGHT), (20 * n, 90, 120)).save(buffer, "PNG")
    return buffer.getvalue()


PICTURES = {f"{n}.png": picture(n) for n in range(4)}


def adopt(backend: CheckedBackend, found: FoundTask, ids: Sequence[str | None], schema: Any = None) -> Receipt:
    parsed = LabelSchema.parse(schema or found.label_schema)
    state = backend.adopt(found, parsed, pa.array(ids, pa.string()))
    return Receipt("adopted-00000", json.loads(json.dumps(state)))


# Finding tasks


@pytest.mark.every_version
def test_a_task_is_found_by_id_and_by_name(somebody: Somebody, backend: CheckedBackend) -> None:
    number = somebody.task("by hand", PICTURES)
    for given in (str(number), somebody.name_of(number)):
        (found,) = backend.find_tasks([given], None)
        assert (found.key, found.title) == (str(number), somebody.name_of(number))
        assert found.media.to_pylist() == [
            {"name": name, "media_type": "image", "width": WIDTH, "height": HEIGHT, "frames": None} for name in PICTURES
        ]


def test_the_tasks_of_a_project(somebody: Somebody, backend: CheckedBackend) -> None:
    project = somebody.call(
        "POST", "/api/projects", json={"name": f"p {somebody.tag}", "labels": [{"name": "a", "attributes": []}]}
    )
    try:
        with pytest.raises(Rejected, match="has no tasks in CVAT"):
            list(backend.find_tasks([], str(project["id"])))
        made = [somebody.task(f"t{n}", {"x.png": picture(n)}, project_id=project["id"]) for n in range(2)]
        for given in (str(project["id"]), project["name"]):
            assert [found.key for found in backend.find_tasks([], given)] == list(map(str, made))
    finally:
        somebody.call("DELETE", f"/api/projects/{project['id']}")


def test_unknown_and_ambiguous_names(somebody: Somebody, backend: CheckedBackend) -> None:
    with pytest.raises(Rejected, match="CVAT has no task 'no such one', or not for you; give its id"):
        list(backend.find_tasks(["no such one"], None))
    with pytest.raises(Rejected, match="CVAT has no project '99999999'"):
        list(backend.find_tasks([], "99999999"))
    one, two = (somebody.task("twice", {"x.png": picture(0)}) for _ in range(2))
    with pytest.raises(
        Rejected, match=rf"2 tasks that are called 'twice {somebody.tag}'; give the id of one: {one}, {two}\."
    ):
        list(backend.find_tasks([f"twice {somebody.tag}"], None))


@pytest.mark.every_version
def test_a_task_without_data(somebody: Somebody, backend: CheckedBackend) -> None:
    number = somebody.task("empty", None)
    with pytest.raises(
        Rejected, match=rf"The CVAT task {number} \('empty .*'\) has no images or video yet; upload them there"
    ):
        list(backend.find_tasks([str(number)], None))


def test_a_task_with_honeypots(cvat_2_73: Server) -> None:
    double = cvat_2_73.double
    person = Somebody(cvat_2_73)
    number = person.task("honey", PICTURES)
    double.tasks[number].data.validation = double.tasks[number].data.validation or _pool()
    backend = CvatBackend(CvatConfig(url=cvat_2_73.url, token=cvat_2_73.token))
    with pytest.raises(Rejected, match="has honeypots"):
        list(backend.find_tasks([str(number)], None))
    backend.close()
    person.clear()


def _pool() -> Any:
    from tests.doubles.cvat.state import Validation

    return Validation("gt_pool", [3])


def test_a_video_is_one_row(somebody: Somebody, backend: CheckedBackend, tmp_path: Path) -> None:
    number = somebody.task("film", {"v.mp4": film(tmp_path / "v.mp4").read_bytes()})
    (found,) = backend.find_tasks([str(number)], None)
    assert found.media.to_pylist() == [
        {"name": "v.mp4", "media_type": "video", "width": WIDTH, "height": HEIGHT, "frames": FRAMES}
    ]
    assert set(found.label_schema) == {
        f"frames.{n}" for n in ("detections", "polygons", "instances", "classifications", "skeletons")
    }
    with pytest.raises(Rejected, match="CVAT gives the frames of a video, and not its file 'v.mp4'; import the file"):
        backend.read_media(found, 0)


def test_original_files_are_read(somebody: Somebody, backend: CheckedBackend) -> None:
    number = somebody.task("files", PICTURES)
    (found,) = backend.find_tasks([str(number)], None)
    for n, content in enumerate(PICTURES.values()):
        with backend.read_media(found, n) as stream:
            assert stream.read() == content


# The schema


def test_the_schema_is_inferred(somebody: Somebody, backend: CheckedBackend) -> None:
    """A class of the type any is in the fields of its annotations."""
    number = somebody.task("schema", PICTURES)
    tree = [
        somebody.shape(number, "tree", p, 1, kind)
        for kind, p in (("ellipse", [9, 9, 12, 5]), ("polygon", [1, 1, 9, 9, 1, 9]))
    ]
    somebody.draw(number, shapes=tree)
    (found,) = backend.find_tasks([str(number)], None)
    side = {"type": "select", "values": ["left", "right"], "default": "left", "mutable": True}
    parked, age = (
        {"type": "checkbox", "default": False, "mutable": True},
        {"type": "int", "default": 1, "mutable": True},
    )
    trees = {"classes": ["tree"], "attributes": {"side": side, "age": age}}
    skeleton = {"labels": ["head", "foot", "hand"], "edges": [[0, 2]]}
    assert found.label_schema == {
        "classifications": {"type": "classifications", "classes": ["day"]},
        "detections": {
            "type": "detections",
            "classes": [{"classes": ["car"], "attributes": {"side": side, "parked": parked}}],
        },
        "instances": {"type": "instances", "classes": ["sky"]},
        "polygons": {"type": "polygons", "classes": [trees, "road"]},
        "ellipses": {"type": "ellipses", "classes": [trees]},
        "skeletons": {"type": "skeletons", "classes": ["pose"], "skeleton": skeleton},
    }
    adopt(backend, found, [None] * 4)


def test_another_schema_is_refused_with_all_that_is_lacking(somebody: Somebody, backend: CheckedBackend) -> None:
    number = somebody.task("other", PICTURES)
    (found,) = backend.find_tasks([str(number)], None)
    schema = {
        "objects": {
            "type": "detections",
            "classes": ["car", "tram"],
            "attributes": {"speed": {"type": "int"}, "side": {"type": "text"}},
        },
        "areas": {"type": "detections", "classes": ["road"]},
    }
    with pytest.raises(InvalidSchema) as error:
        adopt(backend, found, [None] * 4, schema)
    assert [*error.value.problems] == [
        "the task has no attribute 'speed' of 'car'.",
        "the task has no label 'tram'.",
        "the attribute 'side' of 'car' is a select, mutable in CVAT.",
        "the label 'road' is for polygon in CVAT.",
    ]
    assert f"The label set of the CVAT task {number}" in str(error.value)
    assert "'car' with side (select), parked (checkbox)" in str(error.value)


def test_fields_of_frames_are_for_videos(somebody: Somebody, backend: CheckedBackend) -> None:
    number = somebody.task("images", {"x.png": picture(0)})
    (found,) = backend.find_tasks([str(number)], None)
    with pytest.raises(InvalidSchema, match="frames.objects: name it without 'frames.', as there is no video"):
        adopt(backend, found, [None], {"frames.objects": {"type": "detections", "classes": ["car"]}})


# The labels


@pytest.mark.every_version
def test_labels_come_from_frames_that_have_a_sample(somebody: Somebody, backend: CheckedBackend) -> None:
    number = somebody.task("labels", PICTURES, segment_size=2)
    somebody.draw(number, shapes=[
        somebody.shape(number, "car", [16, 12, 32, 24], n, attributes={"side": "right"}) for n in range(4)
    ])  # fmt: skip
    (found,) = backend.find_tasks([str(number)], None)
    receipt = adopt(backend, found, ["a", None, None, "d"])
    got = backend.download(receipt)
    assert sorted(got.samples.to_pylist()) == ["a", "d"]
    assert got.notes == ()
    rows = got.labels.to_pylist()
    assert [(r["sample_id"], r["field"], r["label"], r["bounding_box"]) for r in rows] == [
        (s, "detections", "car", [0.25, 0.25, 0.25, 0.25]) for s in ("a", "d")
    ]
    assert all(r["time"] is not None for r in rows)
    assert {r["sample_id"] for r in got.reviewed.to_pylist()} == {"a", "d"}
    assert backend.task_keys(receipt) == {str(number)}
    status = backend.status(receipt)
    assert [(job["samples"], job["reviewed"]) for job in status.jobs] == [(1, 0), (1, 0)]
    assert CvatBackend.file_names(receipt) == {"0.png": "a", "3.png": "d", "frame_000000": "a", "frame_000003": "d"}
    assert (backend.editor_url(receipt) or "").endswith(f"/tasks/{number}/jobs/{somebody.jobs(number)[0]['id']}")


def test_an_adopted_task_is_pushed_to(somebody: Somebody, backend: CheckedBackend, tmp_path: Path) -> None:
    number = somebody.task("push", PICTURES)
    somebody.draw(number, shapes=[somebody.shape(number, "car", [6.4, 4.8, 32, 24], n) for n in range(2)])
    (found,) = backend.find_tasks([str(number)], None)
    receipt = adopt(backend, found, ["a", None, "c", "d"])
    got = backend.download(receipt).labels.to_pylist()
    baseline = [{**row, "label_id": f"l{n}", "rev": 0} for n, row in enumerate(got)]
    receipt = replace(receipt, baseline=pa.Table.from_pylist(baseline, REMOTE))
    assert backend.check_push(receipt) == ()
    (row,) = baseline
    moved = {k: v for k, v in row.items() if k in LABELS.names} | {"bounding_box": [0.5, 0.5, 0.25, 0.25]}
    new = {**moved, "label_id": "new", "sample_id": "c"}
    samples = pa.Table.from_pylist([{"sample_id": s, "media_type": "image"} for s in "acd"], SAMPLES)
    schema = LabelSchema.parse(found.label_schema)
    task = Task(receipt.task, schema, samples, pa.Table.from_pylist([moved, new], LABELS), FileMedia({}))
    done = backend.push(receipt, Edits(task, pa.array([row["remote_id"], None]), REMOTE.empty_table()))
    assert len(done.baseline) == 2
    there = {(s["frame"], *s["points"]) for s in somebody.call("GET", f"/api/tasks/{number}/annotations")["shapes"]}
    assert there == {(0, 32, 24, 48, 36), (1, 6.4, 4.8, 32, 24), (2, 32, 24, 48, 36)}


def test_labels_on_removed_frames_and_comments_without_a_sample_are_left_out(
    somebody: Somebody, backend: CheckedBackend
) -> None:
    number = somebody.task("removed", PICTURES)
    somebody.draw(number, shapes=[somebody.shape(number, "car", [6.4, 4.8, 32, 24], n) for n in range(3)])
    somebody.call("PATCH", f"/api/tasks/{number}/data/meta", json={"deleted_frames": [0]})
    job = somebody.jobs(number)[0]["id"]
    for frame in (1, 2):
        issue = {"job": job, "frame": frame, "position": [1, 1, 9, 9], "message": f"look at {frame}"}
        somebody.call("POST", "/api/issues", json=issue)
    (found,) = backend.find_tasks([str(number)], None)
    assert found.media.num_rows == 4
    got = backend.download(adopt(backend, found, ["a", None, "c", "d"]))
    assert got.labels["sample_id"].to_pylist() == ["c"]
    assert [c["text"] for c in got.comments.to_pylist()] == ["look at 2"]
    assert got.notes == (f"1 images were removed in CVAT (task {number}; a); their labels here stay as they are.",)


def test_scalars_have_the_type_of_the_values_that_are_there(somebody: Somebody, backend: CheckedBackend) -> None:
    labels = [{"name": "count", "type": "tag", "attributes": [attribute("value", "text")]}]
    number = somebody.task("scalars", PICTURES, labels)
    tag = somebody.shape(number, "count", [], attributes={"value": "3"})
    somebody.draw(number, tags=[{k: v for k, v in tag.items() if k not in ("type", "points")}])
    (found,) = backend.find_tasks([str(number)], None)
    receipt = adopt(backend, found, list("abcd"), {"count": {"type": "scalar"}})
    assert backend.download(receipt).labels["value"].to_pylist() == ["3"]


@pytest.mark.every_version
def test_each_label_on_frames_of_two_jobs_comes_once(
    somebody: Somebody, backend: CheckedBackend, tmp_path: Path
) -> None:
    """CVAT shares frames between the jobs of a video, and keeps the labels there twice."""
    number = somebody.task("overlap", {"v.mp4": film(tmp_path / "v.mp4").read_bytes()}, segment_size=6, overlap=2)
    assert len(somebody.jobs(number)) == 3
    key = {"type": "rectangle", "outside": False, "occluded": False, "z_order": 0, "rotation": 0, "attributes": []}
    shapes = [somebody.shape(number, "car", [n, 1, n + 9, 9], n) for n in range(FRAMES)]
    track = {
        "frame": 0, "label_id": somebody.labels(number)["car"]["id"], "group": 0, "source": "manual", "attributes": [],
        "elements": [], "shapes": [{**key, "frame": 0, "points": [1, 20, 9, 30]}, {**key, "frame": 11, "points": [31, 20, 39, 30]}],
    }  # fmt: skip
    somebody.draw(number, shapes=shapes, tracks=[track])
    (found,) = backend.find_tasks([str(number)], None)
    receipt = adopt(backend, found, ["v"])
    got = backend.download(receipt)
    single = [r["frame_number"] for r in got.labels.to_pylist() if r["index"] is None]
    tracked = [r["frame_number"] for r in got.labels.to_pylist() if r["index"] is not None]
    assert sorted(single) == sorted(tracked) == list(range(1, FRAMES + 1))
    assert got.notes == (f"4 frames of the CVAT task {number} are in two jobs each, with labels of their own; those of the earlier "
                         "job are taken.",)  # fmt: skip
