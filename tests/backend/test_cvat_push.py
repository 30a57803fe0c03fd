"""Pushes to CVAT: on doubles, and on a real server where one is configured."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.backend.cvat_pushes import Pushing, image_samples, label_rows, video_sample
from tests.backend.test_cvat_videos import FRAMES, film
from tests.cvat_servers import Server

from annobridge.backend import Pushed
from annobridge.backend.checked import CheckedBackend
from annobridge.core import rows
from annobridge.core.geometry import encode_rle
from annobridge.exceptions import Denied, Gone, Rejected
from annobridge.testing import examples
from annobridge_cvat import CvatBackend, CvatConfig
from annobridge_cvat.api import Api

Sender = Callable[..., Pushing]
TYPES = [
    "classification", "classifications", "detections", "instances", "polygons", "polylines", "keypoints", "skeletons", "ellipses",
    "cuboids", "segmentation", "scalar",
]  # fmt: skip
ATTRIBUTES: dict[str, Any] = {
    "plate": {"type": "text"},
    "hidden": {"type": "checkbox"},
    "side": {"type": "select", "values": ["left", "right"]},
}
BOXES = {"objects": {"type": "detections", "classes": ["car", "person"], "attributes": ATTRIBUTES}}
SKELETON = {"labels": ["head", "hand", "foot"], "edges": [[0, 1]]}


@pytest.fixture
def send(server: Server, tmp_path: Path) -> Iterator[Sender]:
    """Send a task of three images."""
    made: list[Pushing] = []

    def call(schema: Any = None, labels: Any = (), samples: pa.Table | None = None, **options: Any) -> Pushing:
        samples = image_samples(tmp_path, 3) if samples is None else samples
        made.append(Pushing(server, schema or BOXES, samples, labels, **options))
        return made[-1]

    yield call
    for one in made:
        one.close()


def schema_of(label_type: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"type": label_type}
    if label_type != "scalar":
        spec |= {"classes": examples.CLASSES, "attributes": ATTRIBUTES}
    if label_type == "skeletons":
        spec["skeleton"] = SKELETON
    return {"field": spec}


def car(sample: str = "s0", n: int = 0, **columns: Any) -> dict[str, Any]:
    (row,) = label_rows("objects", sample, [rows.Detection("car", [0.1, 0.1 + n / 10, 1 / 3, 0.3])])
    return {**row, "label_id": f"car-{sample}-{n}", **columns}


def values(**given: Any) -> list[dict[str, str]]:
    return rows.attributes(given)


# Every kind of label


@pytest.mark.parametrize("label_type", TYPES)
@pytest.mark.every_version
def test_labels_of_each_type_are_edited_added_and_deleted(send: Sender, label_type: str) -> None:
    sent = [row for n in (1, 3) for row in label_rows("field", f"s{n // 2}", examples.labels(label_type, n))]
    run = send(schema_of(label_type), sent)
    before = run.rows()
    first = next(row for row in sent if row["sample_id"] == "s0")
    other = label_rows("field", "s1", examples.labels(label_type, 5))[0]
    spatial = ("bounding_box", "points", "mask", "rotation", "visibility", "closed", "filled", "value")
    change = {name: other.get(name) for name in spatial if name in other}
    if label_type != "scalar":
        change["attributes"] = values(plate="007", hidden=True, side="right")
    run.push({first["label_id"]: change})
    assert run.rows()[first["label_id"]]["remote_id"] == before[first["label_id"]]["remote_id"]
    del before[first["label_id"]]
    assert repr({i: row for i, row in run.rows().items() if i in before}) == repr(before)
    added = [
        {**row, "label_id": f"new{n}"}
        for n, row in enumerate(label_rows("field", "s2", examples.labels(label_type, 1)))
    ]
    done = run.push(add=added)
    assert not len(done.left_out), done.notes
    run.push(delete=[first["label_id"]])
    assert set(run.rows()) == {*before, *(row["label_id"] for row in added)}


@pytest.mark.parametrize("label_type", [t for t in TYPES if t != "scalar"])
def test_a_class_is_changed(send: Sender, label_type: str) -> None:
    run = send(schema_of(label_type), label_rows("field", "s0", examples.labels(label_type, 1, plate="x")))
    (first, *_) = run.rows()
    run.push({first: {"label": "traffic light"}})
    assert run.rows()[first]["label"] == "traffic light"
    assert run.rows()[first]["attributes"] == values(plate="x")


def test_values_come_back_with_their_very_bits(send: Sender) -> None:
    run = send(labels=[car()])
    box = [0.1 + 1e-9, 1 / 7, 0.123456789012345, 1 / 9]
    run.push({"car-s0-0": {"bounding_box": box, "attributes": values(plate="", hidden=None)}})
    assert run.rows()["car-s0-0"]["bounding_box"] == box


def test_parts_are_added_and_removed(send: Sender) -> None:
    triangle, square = [[0.1, 0.1], [0.2, 0.1], [0.2, 0.3]], [[0.5, 0.5], [0.7, 0.5], [0.7, 0.7], [0.5, 0.7]]
    run = send(
        {"field": {"type": "polygons", "classes": ["car"]}},
        label_rows("field", "s0", [rows.Polyline("car", [triangle], closed=True, filled=True)]),
    )
    run.push({"field-s0-0": {"points": [triangle, square]}})
    (row,) = run.rows().values()
    assert row["remote_id"].count("+") == 1
    groups = {s["group"] for s in run.editor.annotations(run.editor.tasks[0])["shapes"]}
    assert len(groups) == 1
    assert groups != {0}
    run.push({"field-s0-0": {"points": [square]}})
    (row,) = run.rows().values()
    assert "+" not in row["remote_id"]
    assert len(run.editor.annotations(run.editor.tasks[0])["shapes"]) == 1


def test_builtin_properties_are_changed(send: Sender) -> None:
    schema = {
        "objects": {
            "type": "detections",
            "classes": ["car"],
            "attributes": {"occ": {"type": "checkbox"}, "src": {"type": "text"}},
        }
    }
    run = send(schema, [car()], occluded_attr="occ", source_attr="src")
    run.push({"car-s0-0": {"attributes": values(occ=True, src="file")}})
    (shape,) = run.editor.annotations(run.editor.tasks[0])["shapes"]
    assert (shape["occluded"], shape["source"]) == (True, "file")


def test_the_type_of_a_scalar_is_learned_from_the_first_value(send: Sender) -> None:
    run = send({"count": {"type": "scalar"}})
    run.push(add=label_rows("count", "s0", [rows.Scalar(3)]))
    task = run.editor.tasks[0]
    (tag,) = run.editor.annotations(task)["tags"]
    tag["attributes"][0]["value"] = "4"
    run.editor.send(task, "update", "tags", tag)
    assert [row["value"] for row in run.there().values()] == ["4"]


# What people did meanwhile


@pytest.mark.every_version
def test_what_people_changed_meanwhile_stays(send: Sender) -> None:
    """They move a box while its attribute is pushed: both arrive, and the next download finds their change."""
    run = send(labels=[car()])
    task = run.editor.tasks[0]
    (shape,) = run.editor.annotations(task)["shapes"]
    score = {"score": 0.25} if "score" in shape else {}
    run.editor.send(task, "update", "shapes", {**shape, "points": [0, 0, 32, 24], "z_order": 4, **score})
    edits = run.edits({"car-s0-0": {"attributes": values(plate="new")}})
    done = run.send(edits)
    run.advance(edits, done)
    (shape,) = run.editor.annotations(task)["shapes"]
    assert (shape["points"], shape["z_order"], shape.get("score", 1)) == ([0, 0, 32, 24], 4, score.get("score", 1))
    (row,) = run.there().values()
    assert row["bounding_box"] == [0, 0, 0.5, 0.5]
    assert row["attributes"] == values(plate="new")
    assert run.rows()["car-s0-0"]["bounding_box"] == car()["bounding_box"]


def test_an_edit_of_what_is_gone_is_left_out_and_a_deletion_is_done(send: Sender) -> None:
    run = send(labels=[car(), car(n=1), car(n=2)])
    task = run.editor.tasks[0]
    base = run.rows()
    for label in ("car-s0-0", "car-s0-1"):
        run.editor.delete(base[label])
    done = run.send(run.edits({"car-s0-0": {"label": "person"}}, delete=["car-s0-1"]))
    assert done.left_out.to_pylist() == ["car-s0-0"]
    assert done.notes == (
        f"1 label of the CVAT task {task['task']} were not pushed, as they were deleted in CVAT meanwhile.",
    )
    assert len(run.editor.annotations(task)["shapes"]) == 1


def test_an_attribute_that_the_new_class_lacks_is_left_out(send: Sender) -> None:
    schema = {
        "objects": {
            "type": "detections",
            "classes": [{"classes": ["car"], "attributes": {"plate": {"type": "text"}}}, "person"],
        }
    }
    run = send(schema, [car()])
    task = run.editor.tasks[0]
    (shape,) = run.editor.annotations(task)["shapes"]
    person = run.editor.label(task, "person")["id"]
    run.editor.send(task, "update", "shapes", {**shape, "label_id": person, "attributes": []})
    done = run.send(run.edits({"car-s0-0": {"attributes": values(plate="x")}}))
    assert done.left_out.to_pylist() == ["car-s0-0"]
    assert "no attribute 'plate' in CVAT any more" in done.notes[0]


def test_a_second_tag_of_a_single_field_is_left_out(send: Sender) -> None:
    run = send({"field": {"type": "classification", "classes": ["day", "night"]}})
    task = run.editor.tasks[0]
    tag = {
        "frame": 0,
        "label_id": run.editor.label(task, "day")["id"],
        "group": 0,
        "source": "manual",
        "attributes": [],
    }
    run.editor.send(task, "create", "tags", tag)
    done = run.send(run.edits(add=label_rows("field", "s0", [rows.Classification("night")])))
    assert done.left_out.to_pylist() == ["field-s0-0"]
    assert "load first" in done.notes[0]
    assert len(run.editor.annotations(task)["tags"]) == 1


# Killed pushes


@pytest.mark.parametrize("label_type", TYPES)
def test_a_repeated_push_makes_nothing_twice(send: Sender, label_type: str) -> None:
    """A push that was killed after its work is repeated with the old baseline."""
    run = send(schema_of(label_type), label_rows("field", "s0", examples.labels(label_type, 1)))
    first = next(iter(run.rows()))
    change = (
        {"value": "41"}
        if label_type == "scalar"
        else {"label": "person" if label_type == "classification" else "traffic light"}
    )
    edits = run.edits({first: change}, add=label_rows("field", "s2", examples.labels(label_type, 1)))
    once = run.send(edits)
    there = run.there()
    again = run.send(edits)
    assert repr(again.baseline.to_pylist()) == repr(once.baseline.to_pylist())
    assert not len(again.left_out), again.notes
    assert run.there().keys() == there.keys()


@pytest.mark.parametrize("label_type", TYPES)
def test_what_a_killed_push_brought_is_recognized_by_its_values(send: Sender, label_type: str) -> None:
    """A download with the intended values as the baseline returns exactly these for labels that arrived."""
    run = send(schema_of(label_type), label_rows("field", "s0", examples.labels(label_type, 1)))
    first = next(iter(run.rows()))
    other = label_rows("field", "s1", examples.labels(label_type, 5))[0]
    names = ("bounding_box", "points", "mask", "rotation", "visibility", "value")
    edits = run.edits({first: {name: other.get(name) for name in names if name in other}})
    run.send(edits)
    intended = edits.task.labels.append_column("remote_id", edits.remote_ids).cast(run.receipt.baseline.schema)
    run.advance(edits, Pushed(intended))
    run.check()


# Tracks


VIDEO = {"frames.objects": {"type": "detections", "classes": ["car", "bus"], "attributes": {
    "side": {"type": "text"}, "plate": {"type": "text", "mutable": False}}}}  # fmt: skip


def walk(
    index: int, frames: list[int], keys: list[int] | None = None, label: str = "car", **more: Any
) -> list[dict[str, Any]]:
    made = [
        rows.Detection(label, [0.02 * n, 0.2, 0.15, 0.2], index=index, frame_number=n, label_id=f"{index}-{n}",
                       **({} if keys is None else {"keyframe": n in keys}), **more)
        for n in frames
    ]  # fmt: skip
    return label_rows("frames.objects", "v", made)


@pytest.fixture(params=[None, 5])
def video(request: pytest.FixtureRequest, send: Sender, tmp_path: Path) -> Callable[..., Pushing]:
    """Send a video: as one job, and cut into jobs of five frames."""
    options = {"segment_size": request.param} if request.param else {}
    sample = video_sample(film(tmp_path / "v.mp4"), FRAMES)
    return lambda labels, schema=VIDEO: send(schema, labels, sample, **options)


@pytest.mark.every_version
def test_one_frame_of_a_track_is_moved_and_the_others_stay(video: Callable[..., Pushing]) -> None:
    run = video(walk(1, [*range(1, 11)], [1, 10]))
    box = [0.5, 0.5, 0.25, 0.125]
    done = run.push({"1-4": {"bounding_box": box, "attributes": values(side="left")}})
    assert not len(done.left_out)
    assert run.rows()["1-4"]["bounding_box"] == box
    assert len(run.rows()) == 10


def test_first_and_last_frames_are_edited(video: Callable[..., Pushing]) -> None:
    run = video(walk(1, [*range(2, 12)], [2, 11]))
    for n in (2, 5, 6, 11):
        run.push({f"1-{n}": {"bounding_box": [0.1, 0.1, 0.25, 0.125]}})


@pytest.mark.every_version
def test_frames_are_deleted_and_added(video: Callable[..., Pushing]) -> None:
    run = video(walk(1, [*range(1, 9)], [1, 8]))
    run.push(delete=["1-4", "1-5", "1-8"])
    done = run.push(add=walk(1, [4, 9, 10]))
    assert not len(done.left_out), done.notes
    assert {row["frame_number"] for row in run.rows().values()} == {1, 2, 3, 4, 6, 7, 9, 10}
    run.push(delete=list(run.rows()))
    assert run.editor.annotations(run.editor.tasks[0])["tracks"] == []


def test_a_new_track_is_added(video: Callable[..., Pushing]) -> None:
    run = video(walk(1, [1, 2, 3]))
    run.push(add=walk(7, [2, 3, 4, 5, 6, 9], side="left"))
    assert {row["index"] for row in run.rows().values()} == {1, 7}
    run.push({"7-3": {"attributes": values(side="right")}})


def test_a_class_of_a_whole_track_is_changed_and_of_a_part_is_left_out(video: Callable[..., Pushing]) -> None:
    run = video(walk(1, [1, 2, 3], plate="a", side="left"))
    done = run.push({"1-2": {"label": "bus"}})
    assert done.left_out.to_pylist() == ["1-2"]
    assert "on some of its frames only" in done.notes[0]
    done = run.push({"1-2": {"attributes": values(plate="b", side="left")}})
    assert done.left_out.to_pylist() == ["1-2"]
    done = run.push({f"1-{n}": {"label": "bus", "attributes": values(plate="b", side="x")} for n in (1, 2, 3)})
    assert not len(done.left_out), done.notes
    assert {row["label"] for row in run.rows().values()} == {"bus"}


def test_an_index_is_changed(video: Callable[..., Pushing]) -> None:
    """Of a whole track, nothing happens in CVAT; a frame that goes to another track moves there."""
    run = video([*walk(1, [1, 2, 3]), *walk(2, [7, 8])])
    run.push({f"1-{n}": {"index": 5} for n in (1, 2, 3)})
    done = run.push({"1-3": {"index": 9}})
    assert not len(done.left_out), done.notes
    assert run.rows()["1-3"]["index"] == 9
    assert {row["index"] for row in run.there().values()} == {5, 9, 2}


def test_people_hid_the_frame_that_is_edited(send: Sender, tmp_path: Path) -> None:
    run = send(VIDEO, walk(1, [1, 2, 3]), video_sample(film(tmp_path / "v.mp4"), FRAMES))
    task = run.editor.tasks[0]
    (track,) = run.editor.annotations(task)["tracks"]
    track["shapes"] = [{**s, "outside": s["frame"] >= 2} for s in track["shapes"]]
    run.editor.send(task, "update", "tracks", track)
    done = run.send(
        run.edits({"1-3": {"bounding_box": [0.1, 0.1, 0.1, 0.1]}, "1-2": {"bounding_box": [0.1, 0.1, 0.1, 0.1]}})
    )
    assert done.left_out.to_pylist() == ["1-3"]


def test_people_moved_another_frame_meanwhile(send: Sender, tmp_path: Path) -> None:
    run = send(VIDEO, walk(1, [1, 2, 3, 4, 5]), video_sample(film(tmp_path / "v.mp4"), FRAMES))
    task = run.editor.tasks[0]
    (track,) = run.editor.annotations(task)["tracks"]
    track["shapes"] = [{**s, "points": [0, 0, 32, 24]} if s["frame"] == 4 else s for s in track["shapes"]]
    run.editor.send(task, "update", "tracks", track)
    edits = run.edits({"1-2": {"bounding_box": [0.1, 0.1, 0.1, 0.1]}})
    run.advance(edits, run.send(edits))
    boxes = {row["frame_number"]: row["bounding_box"] for row in run.there().values()}
    assert boxes[2] == [0.1, 0.1, 0.1, 0.1]
    assert boxes[5] == [0, 0, 0.5, 0.5]


def test_skeleton_tracks_are_edited(send: Sender, tmp_path: Path) -> None:
    schema = {"frames.pose": {"type": "skeletons", "classes": ["person"], "skeleton": SKELETON}}
    made = [
        rows.Skeleton(
            "person", [(0.1 + n / 50, 0.2), (0.3, 0.3), (0.5, 0.5)], index=1, frame_number=n, label_id=f"1-{n}"
        )
        for n in range(1, 8)
    ]
    run = send(schema, label_rows("frames.pose", "v", made), video_sample(film(tmp_path / "v.mp4"), FRAMES))
    points = [[[0.4, 0.4], [float("nan")] * 2, [0.6, 0.6]]]
    done = run.push({"1-4": {"points": points, "visibility": [2, 0, 1]}}, delete=["1-6"])
    assert not len(done.left_out), done.notes
    assert len(run.rows()) == 6


def test_polygon_tracks_are_edited(video: Callable[..., Pushing]) -> None:
    schema = {"frames.shape": {"type": "polygons", "classes": ["car"]}}
    made = [
        rows.Polyline("car", [[(0.1 + n / 50, 0.2), (0.5, 0.3), (0.5, 0.5)]], closed=True, filled=True, index=1, frame_number=n,
                      label_id=f"1-{n}")
        for n in range(1, 8)
    ]  # fmt: skip
    run = video(label_rows("frames.shape", "v", made), schema)
    run.push({"1-4": {"points": [[[0.1, 0.1], [0.4, 0.1], [0.4, 0.4], [0.1, 0.4]]]}}, delete=["1-6"])


def test_a_shape_becomes_a_track(send: Sender) -> None:
    """On images: a label that gets an index is another object in CVAT."""
    run = send(labels=[car(), car("s1")])
    done = run.push({f"car-s{n}-0": {"index": 3} for n in (0, 1)})
    assert not len(done.left_out), done.notes
    assert {row["remote_id"].partition(":")[0] for row in run.rows().values()} == {"track"}
    assert run.editor.annotations(run.editor.tasks[0])["shapes"] == []
    run.push({"car-s1-0": {"index": None}})


def test_a_shape_that_finds_no_place_in_a_track_stays_where_it_is(send: Sender) -> None:
    track = [car(f"s{n}", index=1, attributes=values(plate="a")) for n in (0, 1)]
    run = send(labels=[*track, car("s2", attributes=values(plate="b"))])
    done = run.push({"car-s2-0": {"index": 1}})
    assert done.left_out.to_pylist() == ["car-s2-0"]
    assert "other values of attributes that are not mutable" in done.notes[0]
    assert len(run.editor.annotations(run.editor.tasks[0])["shapes"]) == 1


def test_a_part_that_a_killed_push_has_made_is_not_made_again(send: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    triangle, square = [[0.1, 0.1], [0.2, 0.1], [0.2, 0.3]], [[0.5, 0.5], [0.7, 0.5], [0.7, 0.7], [0.5, 0.7]]
    run = send(
        {"field": {"type": "polygons", "classes": ["car"]}},
        label_rows("field", "s0", [rows.Polyline("car", [triangle], closed=True, filled=True)]),
    )
    patch = Api.patch_job

    def killed(self: Api, job: int, action: Any, part: Any) -> Any:
        answer = patch(self, job, action, part)
        if action == "create":
            raise KeyboardInterrupt
        return answer

    edits = run.edits({"field-s0-0": {"points": [triangle, square]}})
    monkeypatch.setattr(Api, "patch_job", killed)
    with pytest.raises(KeyboardInterrupt):
        run.send(edits)
    monkeypatch.setattr(Api, "patch_job", patch)
    run.advance(edits, run.send(edits))
    run.check()
    assert len(run.editor.annotations(run.editor.tasks[0])["shapes"]) == 2


# What has no place


def test_labels_on_removed_and_unknown_frames_are_left_out(send: Sender) -> None:
    run = send(labels=[car(), car("s1")])
    task = run.editor.tasks[0]
    run.editor.call("PATCH", f"/api/tasks/{task['task']}/data/meta", json={"deleted_frames": [1]})
    done = run.send(run.edits({"car-s1-0": {"label": "person"}}, add=[car("elsewhere")], delete=["car-s0-0"]))
    assert sorted(done.left_out.to_pylist()) == ["car-elsewhere-0", "car-s1-0"]
    assert len(run.editor.annotations(task)["shapes"]) == 1


def test_a_class_outside_of_the_label_set_is_left_out(send: Sender) -> None:
    run = send(labels=[car()])
    task = run.editor.tasks[0]["task"]
    done = run.send(run.edits({"car-s0-0": {"label": "tram"}}))
    assert done.left_out.to_pylist() == ["car-s0-0"]
    assert done.notes == (
        f"1 label of the CVAT task {task} were not pushed, as they have a class that is not in CVAT's label set.",
    )


def test_an_empty_mask_and_one_of_another_size_are_left_out(send: Sender) -> None:
    run = send({"field": {"type": "instances", "classes": ["car"]}})
    (row,) = label_rows("field", "s0", [rows.Detection("car", mask=np.ones((48, 64), bool))])
    (small,) = label_rows("field", "s0", [rows.Detection("car", mask=np.ones((8, 8), bool))])
    empty = {**row, "label_id": "empty", "mask": encode_rle(np.zeros((48, 64), bool))}
    done = run.send(run.edits(add=[{**small, "label_id": "small"}, empty]))
    assert sorted(done.left_out.to_pylist()) == ["empty", "small"]


def test_values_that_cvat_cannot_store_are_refused_as_a_whole(send: Sender) -> None:
    run = send(labels=[car()])
    with pytest.raises(Rejected, match="cvat: some values cannot be pushed"):
        run.send(run.edits({"car-s0-0": {"attributes": values(plate="x" * 5000)}}))
    run.check()


@pytest.mark.every_version
def test_what_the_server_refuses_changes_nothing(send: Sender) -> None:
    """A label set without the attribute's label: the server refuses the object."""
    run = send(labels=[car()])
    edits = run.edits({"car-s0-0": {"rotation": 12.0, "attributes": values(side="right")}})
    if run.server.double is None:
        pytest.skip("a real server refuses nothing that is sent to it here")
    run.server.double.fail_next("PATCH", r"/api/jobs/\d+/annotations", 400, ["label_id `1` is invalid"])
    with pytest.raises(Rejected, match="label_id"):
        run.send(edits)
    run.check()


# May it be pushed?


def test_a_task_may_be_pushed_to(send: Sender) -> None:
    run = send(labels=[car()])
    before = run.backend.status(run.receipt).mark
    assert run.backend.check_push(run.receipt) == ()
    assert run.backend.status(run.receipt).mark == before


def test_a_task_that_is_gone(send: Sender) -> None:
    run = send(labels=[car()])
    task = run.editor.tasks[0]["task"]
    edits = run.edits({"car-s0-0": {"label": "person"}})
    run.editor.call("DELETE", f"/api/tasks/{task}")
    (problem,) = run.backend.check_push(run.receipt)
    assert problem.startswith(f"The CVAT task {task} is not on the server any more, or not for you;")
    with pytest.raises(Gone):
        run.send(edits)


def as_user(run: Pushing, token: str) -> Iterator[CheckedBackend]:
    backend = CvatBackend(CvatConfig(url=run.server.url, token=token))
    yield CheckedBackend(backend)
    backend.close()


def test_a_token_that_is_read_only(send: Sender) -> None:
    run = send(labels=[car()])
    version = run.editor.call("GET", "/api/server/about")["version"]
    if tuple(map(int, version.split(".")[:2])) < (2, 48):
        pytest.skip("the server has no access tokens")
    reads = {"name": "reads", "expiry_date": None, "read_only": True}
    made = run.editor.call("POST", "/api/auth/access_tokens", json=reads)
    task = run.editor.tasks[0]["task"]
    for backend in as_user(run, made["value"]):
        (problem,) = backend.check_push(run.receipt)
        assert problem == (
            f"You may read the CVAT task {task}, and not change its annotations; use a token that is not read-only, or ask its "
            "owner to assign it to you."
        )
        with pytest.raises(Denied):
            backend.push(run.receipt, run.edits({"car-s0-0": {"label": "person"}}))
    run.editor.call("DELETE", f"/api/auth/access_tokens/{made['id']}")
    run.check()


@pytest.mark.every_version
def test_another_user(server: Server, send: Sender) -> None:
    """Who has a job, and not the task, is not shown the task; its assignee may push."""
    if server.double is None:
        pytest.skip("the password of a second user is not known")
    server.double.add_user("alice", "alice-Pass-1234")
    run = send(labels=[car()])
    task = run.editor.tasks[0]["task"]
    (job,) = run.editor.call("GET", "/api/jobs", params={"task_id": task})["results"]
    user = run.editor.call("GET", "/api/users", params={"username": "alice"})["results"][0]["id"]
    edits = run.edits({"car-s0-0": {"label": "person"}})
    for backend in as_user(run, server.double.key_of("alice")):
        for assigned in (False, True):
            if assigned:
                run.editor.call("PATCH", f"/api/jobs/{job['id']}", json={"assignee": user})
            with pytest.raises(Denied):
                tuple(backend.check_push(run.receipt))
            with pytest.raises(Denied):
                backend.push(run.receipt, edits)
        run.check()
        run.editor.call("PATCH", f"/api/tasks/{task}", json={"assignee_id": user})
        assert backend.check_push(run.receipt) == ()
        run.advance(edits, backend.push(run.receipt, edits))
    run.check()


def test_a_server_that_is_too_old(cvat_2_73: Server, send: Sender) -> None:
    """One before 2.15 is refused when it is asked for its version, before anything else."""
    run = send(labels=[car()])
    cvat_2_73.double.fail_next("GET", "/api/server/about", 200, {"version": "2.14.3"})
    backend = CheckedBackend(CvatBackend(CvatConfig(url=cvat_2_73.url, token=cvat_2_73.token)))
    with pytest.raises(
        Rejected, match=r"is version 2\.14\.3, and annobridge speaks with 2\.15 and newer; upgrade the server\."
    ):
        tuple(backend.check_push(run.receipt))
    run.check()


def test_a_task_with_other_files(send: Sender) -> None:
    run = send(labels=[car()])
    stored = run.receipt.state["tasks"][0]
    stored["names"][1] = "other.png"
    (problem,) = run.backend.check_push(run.receipt)
    assert problem.startswith(f"The CVAT task {stored['task']} has other files now than when the run began")


def test_one_request_is_of_bounded_size(send: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annobridge_cvat.api.MAX_BODY", 1000)
    run = send(labels=[car(n=n) for n in range(9)])
    run.push(
        {f"car-s0-{n}": {"label": "person"} for n in range(5)},
        add=[car("s2", n) for n in range(9)],
        delete=["car-s0-7"],
    )
    assert len(run.rows()) == 17
    assert json.dumps(run.receipt.state)
