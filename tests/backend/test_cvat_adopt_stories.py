"""Tasks that people made on CVAT become runs, on doubles, and on a real server where one is configured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.backend.cvat_cases import HEIGHT, WIDTH
from tests.backend.test_cvat_adopt import Somebody, attribute
from tests.backend.test_cvat_videos import film
from tests.cvat_servers import Server

import annobridge as ab
from annobridge.exceptions import InvalidSchema, Rejected, RunError, StoreError

LABELS = [
    {"name": "car", "type": "rectangle", "attributes": [attribute("plate", "text")]},
    {"name": "road", "type": "polygon", "attributes": []},
    {"name": "day", "type": "tag", "attributes": []},
]
ROAD = [6.4, 24, 57.6, 24, 57.6, 43.2]


@pytest.fixture
def somebody(server: Server) -> Iterator[Somebody]:
    person = Somebody(server)
    yield person
    person.clear()


@pytest.fixture
def dataset(tmp_path: Path) -> ab.Dataset:
    """Four images without labels."""
    ds = ab.create_dataset(tmp_path / "dataset")
    for n in range(4):
        Image.new("RGB", (WIDTH, HEIGHT), (60 * n, 90, 120)).save(tmp_path / f"{n}.png")
    ds.add_samples(ab.Sample(tmp_path / f"{n}.png", sample_id=f"s{n}") for n in range(4))
    return ds


@pytest.fixture
def task(somebody: Somebody, tmp_path: Path, dataset: ab.Dataset) -> int:
    """A car on each of the images, in two jobs, a road on the first, and a tag on the last."""
    number = somebody.task(
        "street", {f"{n}.png": (tmp_path / f"{n}.png").read_bytes() for n in range(4)}, LABELS, segment_size=2
    )
    cars = [somebody.shape(number, "car", [16, 12, 32, 24], n, attributes={"plate": f"p{n}"}) for n in range(4)]
    day = {k: v for k, v in somebody.shape(number, "day", [], 3).items() if k not in ("type", "points")}
    somebody.draw(number, shapes=[*cars, somebody.shape(number, "road", ROAD, 0, "polygon")], tags=[day])
    return number


def options(server: Server) -> dict[str, Any]:
    return {"url": server.url, "token": server.token, "progress": False}


@pytest.mark.every_version
def test_a_task_made_by_hand_is_loaded_edited_and_pushed_to(
    server: Server, dataset: ab.Dataset, somebody: Somebody, task: int
) -> None:
    adoption = dataset.adopt_annotation("theirs", backend="cvat", tasks=[task], **options(server))
    assert (adoption.matched, adoption.created) == (4, 0)
    report = dataset.load_annotations("theirs", **options(server))
    assert (report.added, report.edited, report.deleted) == (6, 0, 0)
    assert dataset.count_labels() == 6
    (car,) = dataset.labels("detections", where="sample_id = 's1'").to_pylist()
    assert (car["bounding_box"], car["attributes"][0]["value"]) == ([0.25] * 4, '"p1"')
    assert dataset.load_annotations("theirs", **options(server)).total == 0

    there = somebody.call("GET", f"/api/tasks/{task}/annotations")
    moved = next(s for s in there["shapes"] if s["frame"] == 2)
    body = {"version": 0, "tags": [], "tracks": [], "shapes": [{**moved, "points": [0, 0, 32, 24]}]}
    somebody.call("PATCH", f"/api/tasks/{task}/annotations", params={"action": "update"}, json=body)
    dataset.set_labels([{"label_id": car["label_id"], "bounding_box": [0.5, 0.5, 0.25, 0.25]}])
    dataset.delete_labels(field="classifications")
    report = dataset.push_annotations("theirs", **options(server))
    assert (report.added, report.edited, report.deleted) == (0, 1, 1)
    report = dataset.load_annotations("theirs", **options(server))
    assert (report.added, report.edited, report.deleted) == (0, 1, 0)
    after = somebody.call("GET", f"/api/tasks/{task}/annotations")
    assert after["tags"] == []
    assert {s["id"] for s in after["shapes"]} == {s["id"] for s in there["shapes"]}
    assert {tuple(s["points"]) for s in after["shapes"] if s["frame"] == 1} == {(32, 24, 48, 36)}
    dataset.undo_annotations("theirs")


def test_labels_of_both_sides_are_paired(server: Server, dataset: ab.Dataset, somebody: Somebody, task: int) -> None:
    dataset.add_labels(
        "detections", {"s0": [ab.Detection("car", [0.26, 0.25, 0.25, 0.25], label_id="mine", plate="p0")]}
    )
    dataset.adopt_annotation("theirs", backend="cvat", tasks=[task], **options(server))
    report = dataset.load_annotations("theirs", **options(server))
    assert (report.added, report.edited) == (5, 1)
    (mine,) = dataset.labels(where="label_id = 'mine'").to_pylist()
    assert mine["bounding_box"] == [0.25] * 4


def test_reviewed_samples_are_known(server: Server, dataset: ab.Dataset, somebody: Somebody, task: int) -> None:
    somebody.call("PATCH", f"/api/jobs/{somebody.jobs(task)[1]['id']}", json={"state": "completed"})
    dataset.adopt_annotation("theirs", backend="cvat", tasks=[task], **options(server))
    dataset.load_annotations("theirs", **options(server))
    rows = {row["sample_id"]: (row["reviewed"], row["state"]) for row in dataset.reviewed("theirs").to_pylist()}
    new, done = (False, "annotation, new"), (True, "annotation, completed")
    assert rows == {"s0": new, "s1": new, "s2": done, "s3": done}


@pytest.mark.every_version
def test_a_video_is_adopted_with_its_tracks(server: Server, tmp_path: Path, somebody: Somebody) -> None:
    path = film(tmp_path / "drive.mp4")
    number = somebody.task("film", {"drive.mp4": path.read_bytes()}, LABELS[:1])
    key = {"type": "rectangle", "outside": False, "occluded": False, "z_order": 0, "rotation": 0, "attributes": []}
    track = {
        "frame": 2, "label_id": somebody.labels(number)["car"]["id"], "group": 0, "source": "manual", "attributes": [],
        "elements": [], "shapes": [{**key, "frame": 2, "points": [0, 0, 16, 12]}, {**key, "frame": 6, "points": [16, 0, 32, 12]},
                                   {**key, "frame": 7, "points": [16, 0, 32, 12], "outside": True}],
    }  # fmt: skip
    somebody.draw(number, tracks=[track])
    ds = ab.create_dataset(tmp_path / "videos")
    ds.add_samples([ab.Sample(path, sample_id="v")])
    ds.adopt_annotation("film", backend="cvat", tasks=[number], **options(server))
    assert ds.load_annotations("film", **options(server)).added == 5
    rows = sorted(ds.labels("frames.detections").to_pylist(), key=lambda row: row["frame_number"])
    assert [row["frame_number"] for row in rows] == [3, 4, 5, 6, 7]
    assert len({row["index"] for row in rows}) == 1
    ds.set_labels([{"label_id": rows[2]["label_id"], "bounding_box": [0.5, 0.5, 0.25, 0.25]}])
    assert ds.push_annotations("film", **options(server)).edited == 1
    assert ds.load_annotations("film", **options(server)).total == 0
    (after,) = somebody.call("GET", f"/api/tasks/{number}/annotations")["tracks"]
    assert {s["frame"]: s["points"] for s in after["shapes"]}[4] == [32, 24, 48, 36]


def test_a_video_whose_jobs_share_frames_is_pushed_to(server: Server, tmp_path: Path, somebody: Somebody) -> None:
    """Frames 5 and 6, of 12, are in both jobs, with the labels twice: those of the first job are taken, and changed."""
    path = film(tmp_path / "drive.mp4")
    number = somebody.task("shared", {"drive.mp4": path.read_bytes()}, LABELS[:1], segment_size=7, overlap=2)
    key = {"type": "rectangle", "outside": False, "occluded": False, "z_order": 0, "rotation": 0, "attributes": []}
    track = {
        "frame": 0, "label_id": somebody.labels(number)["car"]["id"], "group": 0, "source": "manual", "attributes": [],
        "elements": [], "shapes": [{**key, "frame": 0, "points": [0, 20, 8, 30]}, {**key, "frame": 11, "points": [22, 20, 30, 30]}],
    }  # fmt: skip
    somebody.draw(
        number, shapes=[somebody.shape(number, "car", [n, 1, n + 9, 9], n) for n in range(12)], tracks=[track]
    )
    ds = ab.create_dataset(tmp_path / "videos")
    ds.add_samples([ab.Sample(path, sample_id="v")])
    ds.adopt_annotation("film", backend="cvat", tasks=[number], **options(server))
    assert ds.load_annotations("film", **options(server)).added == 24
    rows = {(r["index"] is None, r["frame_number"]): r["label_id"] for r in ds.labels("frames.detections").to_pylist()}
    moved = [rows[single, frame] for single in (True, False) for frame in (6, 7, 8)]
    ds.set_labels([{"label_id": label_id, "bounding_box": [0.5, 0.5, 0.25, 0.25]} for label_id in moved])
    ds.delete_labels([rows[True, 1], rows[False, 12]])
    report = ds.push_annotations("film", **options(server))
    assert (report.edited, report.deleted, report.left_out) == (6, 2, 0)
    assert ds.load_annotations("film", **options(server)).total == 0
    assert ds.count_labels() == 22


def test_images_that_are_not_here_are_downloaded(server: Server, tmp_path: Path, somebody: Somebody, task: int) -> None:
    ds = ab.create_dataset(tmp_path / "empty")
    adoption = ds.adopt_annotation("theirs", backend="cvat", tasks=[task], create=True, **options(server))
    assert (adoption.matched, adoption.created) == (0, 4)
    assert ds.load_annotations("theirs", **options(server)).added == 6
    files = [Path(p) for p in ds.samples().to_arrow()["filepath"].to_pylist()]
    assert sorted(p.read_bytes() for p in files) == sorted((tmp_path / f"{n}.png").read_bytes() for n in range(4))


def test_what_cannot_be_adopted_changes_nothing(
    server: Server, dataset: ab.Dataset, somebody: Somebody, task: int
) -> None:
    def adopt(**given: Any) -> None:
        dataset.adopt_annotation("theirs", backend="cvat", **given, **options(server))

    empty = somebody.task("empty", None)
    with pytest.raises(Rejected, match="has no images or video yet"):
        adopt(tasks=[task, empty])
    with pytest.raises(Rejected, match="CVAT has no task 'nowhere'"):
        adopt(tasks=["nowhere"])
    with pytest.raises(InvalidSchema, match="no label 'tram'"):
        adopt(tasks=[task], label_schema={"objects": {"type": "detections", "classes": ["car", "tram"]}})
    strange = somebody.task("strange", {"no such.png": (dataset_file(dataset)).read_bytes()}, LABELS)
    with pytest.raises(StoreError):
        adopt(tasks=[strange])
    assert dataset.list_annotation_runs() == []
    adopt(tasks=[task])
    with pytest.raises(RunError, match=f"holds the task {task} already"):
        dataset.adopt_annotation("again", backend="cvat", tasks=[task], **options(server))


def dataset_file(dataset: ab.Dataset) -> Path:
    return Path(dataset.samples().to_arrow()["filepath"][0].as_py())


@pytest.mark.every_version
def test_what_cvat_does_not_leave_empty_is_not_set_on_labels_that_are_here_too(
    server: Server, dataset: ab.Dataset, somebody: Somebody, tmp_path: Path
) -> None:
    """The default of a choice, and a checkbox that is off, are values of new labels only."""
    box = [0.25, 0.25, 0.25, 0.25]
    dataset.add_labels("detections", {f"s{n}": [ab.Detection("car", box, label_id=f"car{n}")] for n in (0, 1)})
    choices = [
        attribute("side", "select", ["left", "right"], "left"),
        attribute("parked", "checkbox", ["false"], "false"),
    ]
    labels = [{"name": "car", "type": "rectangle", "attributes": choices}]
    number = somebody.task("cars", {f"{n}.png": (tmp_path / f"{n}.png").read_bytes() for n in range(3)}, labels)
    values = [
        {"side": "left", "parked": "false"},
        {"side": "right", "parked": "true"},
        {"side": "left", "parked": "false"},
    ]
    cars = [somebody.shape(number, "car", [16, 12, 32, 24], n, attributes=v) for n, v in enumerate(values)]
    somebody.draw(number, shapes=cars)
    adoption = dataset.adopt_annotation("theirs", backend="cvat", tasks=[number], **options(server))
    assert (adoption.paired, adoption.only_there) == (2, 1)
    report = dataset.load_annotations("theirs", **options(server))
    assert (report.added, report.edited, report.deleted) == (1, 1, 0)
    found = {
        row["sample_id"]: {a["name"]: a["value"] for a in row["attributes"] or ()}
        for row in dataset.labels("detections").to_pylist()
    }
    assert found == {
        "s0": {},
        "s1": {"side": '"right"', "parked": "true"},
        "s2": {"side": '"left"', "parked": "false"},
    }
