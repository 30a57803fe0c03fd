"""Runs on CVAT whose changes are pushed while people work there: on doubles, and on a real server where one is configured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.backend.cvat_cases import HEIGHT, OBJECTS, WIDTH
from tests.backend.test_cvat_videos import film
from tests.contract.cvat_hands import Editor
from tests.cvat_servers import Server

import annobridge as ab
from annobridge.exceptions import MergeError, Unreachable
from annobridge_cvat.api import Api

VIDEO = {"frames.objects": {"type": "detections", "classes": ["car", "bus"], "attributes": {"side": {"type": "text"}}}}


@pytest.fixture
def dataset(tmp_path: Path) -> ab.Dataset:
    """Four images with a car and a person each, and a video in which a car drives."""
    ds = ab.create_dataset(tmp_path / "dataset")
    for n in range(4):
        Image.new("RGB", (WIDTH, HEIGHT), (60 * n, 90, 120)).save(tmp_path / f"{n}.png")
    ds.add_samples(
        ab.Sample(
            tmp_path / f"{n}.png", sample_id=f"s{n}",
            objects=[
                ab.Detection("car", [0.1, 0.1, 1 / 3, 0.3], label_id=f"car{n}", plate="007", hidden=True),
                ab.Detection("person", [0.6, 0.2, 0.123456789, 0.5], label_id=f"man{n}", rotation=12.5),
            ],
        )
        for n in range(4)
    )  # fmt: skip
    video = ab.Sample(film(tmp_path / "v.mp4"), sample_id="v")
    video["frames.objects"] = [
        ab.Detection("car", [0.02 * n, 0.2, 0.15, 0.2], index=1, frame_number=n, label_id=f"v{n}", side="left")
        for n in range(1, 9)
    ]
    ds.add_samples([video])
    return ds


class Run:
    """A run on a server, and a person at its editor."""

    def __init__(self, ds: ab.Dataset, server: Server, schema: dict[str, Any], view: Any, **options: Any) -> None:
        self.ds, self.options = ds, {"url": server.url, "token": server.token, "progress": False}
        self.results = view.annotate("run", label_schema=schema, backend="cvat", **self.options, **options)
        self.editor = Editor(server.url, server.token, self.results)
        self.task = self.editor.tasks[0]

    def push(self, **options: Any) -> Any:
        return self.ds.push_annotations("run", **{**self.options, **options})

    def load(self) -> Any:
        return self.ds.load_annotations("run", **self.options)

    def shape(self, frame: int, label: str) -> dict[str, Any]:
        number = self.editor.label(self.task, label)["id"]
        shapes = self.editor.annotations(self.task)["shapes"]
        return next(s for s in shapes if (s["frame"], s["label_id"]) == (frame, number))

    def close(self) -> None:
        self.ds.abort_annotation("run", url=self.options["url"], token=self.options["token"])
        self.editor.close()


@pytest.fixture
def images(dataset: ab.Dataset, server: Server) -> Iterator[Run]:
    view = dataset.select([f"s{n}" for n in range(4)])
    run = Run(dataset, server, {"objects": OBJECTS}, view, segment_size=2)
    yield run
    run.close()


@pytest.fixture
def video(dataset: ab.Dataset, server: Server) -> Iterator[Run]:
    run = Run(dataset, server, VIDEO, dataset.select(["v"]))
    yield run
    run.close()


def change_here(ds: ab.Dataset) -> None:
    """One label is moved, one gets another class, one is deleted, one is added."""
    ds.set_labels([{"label_id": "car0", "bounding_box": [0.2, 0.2, 0.25, 0.5]}])
    ds.set_labels([{"label_id": "man1", "label": "car"}])
    ds.delete_labels(where="label_id = 'car3'")
    ds.add_labels("objects", {"s2": [ab.Detection("car", [0.5, 0.5, 0.125, 0.25], label_id="new", side="left")]})


@pytest.mark.every_version
def test_changes_of_both_sides_come_together(images: Run) -> None:
    ds = images.ds
    moved = {**images.shape(3, "person"), "points": [0, 0, 32, 24]}
    images.editor.send(images.task, "update", "shapes", moved)
    ids = {s["id"] for s in images.editor.annotations(images.task)["shapes"]}
    change_here(ds)
    report = images.push()
    assert (report.added, report.edited, report.deleted) == (1, 2, 1), report
    there = images.editor.annotations(images.task)["shapes"]
    assert len({s["id"] for s in there} & ids) == 7
    assert images.shape(3, "person")["points"] == [0, 0, 32, 24]
    assert images.push().total == 0
    report = images.load()
    assert (report.added, report.edited, report.deleted) == (0, 1, 0)
    assert images.load().total == 0


@pytest.mark.parametrize("step", range(5))
def test_a_push_that_breaks_off_is_finished_by_the_next(
    images: Run, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before and after each call that changes something: nothing is there twice, and nothing is lost."""
    ds, patch, calls = images.ds, Api.patch_job, iter(range(100))
    change_here(ds)

    def broken(self: Api, *arguments: Any) -> Any:
        number = next(calls)
        if number == step // 2 and step % 2 == 0:
            raise Unreachable("the cable was pulled")
        answer = patch(self, *arguments)
        if number == step // 2:
            raise Unreachable("the cable was pulled")
        return answer

    monkeypatch.setattr(Api, "patch_job", broken)
    with pytest.raises(Unreachable):
        images.push()
    monkeypatch.setattr(Api, "patch_job", patch)
    images.push()
    assert images.load().total == 0
    assert len(images.editor.annotations(images.task)["shapes"]) == 8
    assert images.shape(0, "car")["points"] == pytest.approx([12.8, 9.6, 28.8, 33.6])


def test_a_conflict_is_listed_and_the_choice_wins(images: Run) -> None:
    images.editor.send(images.task, "update", "shapes", {**images.shape(0, "car"), "points": [0, 0, 32, 24]})
    images.ds.set_labels([{"label_id": "car0", "bounding_box": [0.2, 0.2, 0.25, 0.5]}])
    assert images.push().edited == 0
    assert images.shape(0, "car")["points"] == [0, 0, 32, 24]
    assert images.push(conflicts="ours").edited == 1
    assert images.shape(0, "car")["points"] == pytest.approx([12.8, 9.6, 28.8, 33.6])


def test_a_finished_job_is_changed_with_force_only(images: Run) -> None:
    jobs = images.editor.call("GET", "/api/jobs", params={"task_id": images.task["task"], "sort": "id"})["results"]
    images.editor.call("PATCH", f"/api/jobs/{jobs[0]['id']}", json={"state": "completed"})
    images.ds.set_labels([{"label_id": "car0", "label": "person"}])
    with pytest.raises(MergeError):
        images.push()
    assert images.shape(0, "car")
    assert images.push(force=True).edited == 1
    jobs = images.editor.call("GET", "/api/jobs", params={"task_id": images.task["task"], "sort": "id"})["results"]
    assert jobs[0]["state"] == "completed"


@pytest.mark.every_version
def test_frames_of_a_track_are_pushed_while_people_move_others(video: Run) -> None:
    (track,) = video.editor.annotations(video.task)["tracks"]
    track["shapes"] = [{**s, "points": [0, 0, 32, 24]} if s["frame"] == 6 else s for s in track["shapes"]]
    video.editor.send(video.task, "update", "tracks", track)
    ds = video.ds
    ds.set_labels([{"label_id": "v2", "bounding_box": [0.25, 0.25, 0.25, 0.25]}])
    ds.delete_labels(where="label_id = 'v8'")
    ds.add_labels(
        "frames.objects",
        {"v": [ab.Detection("car", [0.5, 0.5, 0.25, 0.25], index=1, frame_number=9, label_id="v9", side="left")]},
    )
    report = video.push()
    assert (report.added, report.edited, report.deleted) == (1, 1, 1), report
    report = video.load()
    assert (report.added, report.edited, report.deleted) == (0, 1, 0)
    (row,) = ds.labels(where="label_id = 'v7'").to_pylist()
    assert row["bounding_box"] == [0, 0, 0.5, 0.5]
    assert video.load().total == 0
    assert len(video.editor.annotations(video.task)["tracks"]) == 1
