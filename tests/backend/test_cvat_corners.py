"""Regressions: unchanged labels that seemed changed, and work that was lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.backend.test_cvat_stories import HEIGHT, WIDTH, Run, dataset, make_project
from tests.backend.test_cvat_videos import film
from tests.cvat_servers import Server

import annobridge as ab
from annobridge_cvat import api

__all__ = ["dataset"]  # a fixture

BOX = [0.1, 0.1, 0.2, 0.2]


@pytest.fixture
def send(dataset: ab.Dataset, server: Server) -> Iterator[Any]:
    runs: list[Run] = []

    def call(schema: dict[str, Any], labels: dict[str, Any], **options: Any) -> Run:
        for field, given in labels.items():
            dataset.add_labels(field, given)
        runs.append(Run(dataset, server, schema, **options))
        return runs[-1]

    yield call
    for run in runs:
        run.close()


def mask(top: int) -> np.ndarray:
    pixels = np.zeros((HEIGHT, WIDTH), bool)
    pixels[top : top + 10, 5:30] = True
    return pixels


UNTOUCHED: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "a segmentation whose class is also that of instances": (
        {"inst": {"type": "instances", "classes": ["car"]}, "seg": {"type": "segmentation", "classes": ["car"]}},
        {"inst": {"s0": [ab.Detection("car", mask=mask(2))]}, "seg": {"s0": ab.Segmentation(mask(20), {1: "car"})}},
        {},
    ),
    "one name for attributes of two types": (
        {
            "a": {"type": "detections", "classes": ["x"], "attributes": {"flag": {"type": "checkbox"}}},
            "b": {"type": "detections", "classes": ["y"], "attributes": {"flag": {"type": "text"}}},
        },
        {"a": {"s0": [ab.Detection("x", BOX)]}, "b": {"s0": [ab.Detection("y", BOX, flag="up")]}},
        {},
    ),
    "a switch of shapes on a tag": (
        {"w": {"type": "classification", "classes": ["sun"], "attributes": {"hidden": {"type": "checkbox"}}}},
        {"w": {"s0": [ab.Classification("sun", hidden=True)]}},
        {"occluded_attr": "hidden"},
    ),
    "a group that only holds parts together": (
        {"p": {"type": "polygons", "classes": ["x"], "attributes": {"g": {"type": "int"}}}},
        {
            "p": {
                "s0": [
                    ab.Polyline("x", [[(0, 0), (0.1, 0), (0, 0.1)], [(0.5, 0.5), (0.6, 0.5), (0.5, 0.6)]], filled=True),
                    ab.Polyline("x", [[(0.7, 0), (0.8, 0), (0.7, 0.1)]], filled=True, g=1),
                ]
            }
        },
        {"group_id_attr": "g"},
    ),
    "a hidden joint with a place, and joints without visibility": (
        {"k": {"type": "skeletons", "classes": ["p"], "skeleton": {"labels": ["a", "b"]}}},
        {
            "k": [
                ab.Skeleton("p", [(0.1, 0.1), (0, 0)], [2, 0], sample_id="s0").row(),
                {"kind": "skeleton", "sample_id": "s1", "label": "p", "points": [[[0.1, 0.1], [0.2, 0.2]]]},
            ]
        },
        {},
    ),
    "a source that was not said": (
        {"a": {"type": "detections", "classes": ["x"], "attributes": {"by": {"type": "text"}}}},
        {
            "a": {
                "s0": [
                    ab.Detection("x", BOX),
                    ab.Detection("x", BOX, confidence=0.5),
                    ab.Detection("x", BOX, by="file"),
                ]
            }
        },
        {"source_attr": "by"},
    ),
    "classes that look like the names of others": (
        {
            "a": {"type": "detections", "classes": ["car", "car (b)"]},
            "b": {"type": "detections", "classes": ["car"]},
        },
        {"a": {"s0": [ab.Detection("car (b)", BOX)]}, "b": {"s0": [ab.Detection("car", BOX)]}},
        {},
    ),
    "a class that is called like a scalar": (
        {"a": {"type": "classifications", "classes": ["count"]}, "count": {"type": "scalar"}},
        {"a": {"s0": [ab.Classification("count")]}, "count": {"s0": [ab.Scalar(4)]}},
        {},
    ),
}


@pytest.mark.parametrize("case", UNTOUCHED)
def test_untouched_is_untouched(send: Any, case: str) -> None:
    schema, labels, options = UNTOUCHED[case]
    report = send(schema, labels, **options).load()
    assert report.total == 0, report.writes().to_pylist()


def test_ground_truth_alone_deletes_nothing(send: Any) -> None:
    schema = {"a": {"type": "detections", "classes": ["x"]}}
    run = send(schema, {"a": {"s0": [ab.Detection("x", BOX)], "s1": [ab.Detection("x", BOX)]}})
    job = {"task_id": run.task["task"], "type": "ground_truth", "frame_selection_method": "manual", "frames": [1]}
    run.editor.call("POST", "/api/jobs", json=job)
    assert run.load(job_types="ground_truth").total == 0


def test_a_segmentation_class_that_was_renamed_is_not_deleted(send: Any) -> None:
    schema = {"seg": {"type": "segmentation", "classes": ["sky"]}}
    run = send(schema, {"seg": {"s0": ab.Segmentation(mask(2), {1: "sky"})}})
    label = run.editor.label(run.task, "sky")
    run.editor.call("PATCH", f"/api/labels/{label['id']}", json={"name": "air", "color": label["color"]})
    report = run.load(unexpected="return")
    assert (report.total, len(report.unexpected)) == (0, 1)


def test_a_second_mask_of_a_class_keeps_the_attributes(send: Any) -> None:
    schema = {"seg": {"type": "segmentation", "classes": ["sky"], "attributes": {"q": {"type": "text"}}}}
    run = send(schema, {"seg": {"s0": ab.Segmentation(mask(2), {1: "sky"}, q="good")}})
    second = run.editor.draw(run.task, "mask", 0, "sky", [0, 4, 50, 40, 51, 41])
    assert run.load().edited == 1
    (row,) = run.ds.labels("seg").to_pylist()
    assert row["attributes"][0]["value"] == '"good"'
    spec = run.editor.label(run.task, "sky")["attributes"][0]["id"]
    run.editor.send(run.task, "update", "shapes", {**second, "attributes": [{"spec_id": spec, "value": "bad"}]})
    assert run.load().edited == 1
    (row,) = run.ds.labels("seg").to_pylist()
    assert row["attributes"][0]["value"] == '"bad"'


def test_what_is_changed_in_any_part_holds_for_the_label(send: Any) -> None:
    parts = [[(0, 0), (0.1, 0), (0, 0.1)], [(0.5, 0.5), (0.6, 0.5), (0.5, 0.6)]]
    schema = {"p": {"type": "polygons", "classes": ["x", "y"], "attributes": {"q": {"type": "text"}}}}
    run = send(schema, {"p": {"s0": [ab.Polyline("x", parts, filled=True, q="old")]}})
    _, second = sorted(run.editor.annotations(run.task)["shapes"], key=lambda s: s["points"])
    run.editor.send(
        run.task, "update", "shapes", {**second, "attributes": [{**second["attributes"][0], "value": "new"}]}
    )
    assert run.load().edited == 1
    assert run.ds.labels("p").to_pylist()[0]["attributes"][0]["value"] == '"new"'
    run.editor.send(run.task, "update", "shapes", {**second, "frame": 1})
    report = run.load()
    assert (report.added, report.edited, report.deleted) == (1, 1, 0)
    where = {r["sample_id"]: len(r["points"]) for r in run.ds.labels("p").to_pylist()}
    assert where == {"s0": 1, "s1": 1}


def test_keypoints_of_a_track_may_miss_points(server: Server, tmp_path: Path) -> None:
    ds = ab.create_dataset(tmp_path / "videos")
    sample = ab.Sample(film(tmp_path / "a.mp4"))
    points = [(0.1, 0.1), (float("nan"), float("nan")), (0.5, 0.5)]
    sample["frames.k"] = [ab.Keypoint("x", points, index=1, frame_number=n) for n in (1, 2, 4)]
    ds.add_samples([sample])
    run = Run(ds, server, {"frames.k": {"type": "keypoints", "classes": ["x"]}})
    assert run.load().total == 0
    run.close()


def test_what_nobody_expected_on_a_video_goes_to_a_field_of_frames(server: Server, tmp_path: Path) -> None:
    ds = ab.create_dataset(tmp_path / "videos")
    ds.add_samples([ab.Sample(film(tmp_path / "a.mp4"))])
    run = Run(ds, server, {"frames.o": {"type": "detections", "classes": ["x"]}})
    number = run.editor.label(run.task, "x")["id"]
    shape = {"type": "polygon", "frame": 3, "label_id": number, "points": [1, 1, 9, 1, 9, 9], "attributes": []}
    run.editor.send(run.task, "create", "shapes", shape)
    run.load(unexpected="keep")
    assert [(r["field"], r["frame_number"]) for r in ds.labels().to_pylist()] == [("frames.polygons", 4)]
    run.close()


def test_a_project_of_the_same_names_and_other_kinds_is_refused(server: Server, dataset: ab.Dataset) -> None:
    number = {"name": "c", "mutable": True, "input_type": "number", "default_value": "1", "values": ["0", "9", "1"]}
    editor, project = make_project(
        server, "annobridge unlike", [{"name": "x", "type": "polygon", "attributes": [number]}]
    )
    schema = {"a": {"type": "detections", "classes": ["x"], "attributes": {"c": {"type": "select", "values": ["red"]}}}}
    try:
        with pytest.raises(
            ab.Unsupported, match="'x' is for polygon, the attribute 'c' of 'x' is a number, mutable; make the"
        ):
            Run(dataset, server, schema, project_id=project, update_project=True)
        assert dataset.list_annotation_runs() == []
    finally:
        editor.call("DELETE", f"/api/projects/{project}")
        editor.close()


@pytest.mark.parametrize("body", [None, 500], ids=["after all", "between two bodies"])
def test_a_run_that_was_cut_off_while_labels_were_sent_is_resumed_as_it_was(
    server: Server, dataset: ab.Dataset, monkeypatch: pytest.MonkeyPatch, body: int | None
) -> None:
    """Labels edited and deleted here in between are edits of ours: the tool's old ones do not bring them back."""
    schema = {"objects": {"type": "detections", "classes": ["car", "person"], "attributes": False}}
    if body:
        monkeypatch.setattr(api, "MAX_BODY", body)
    put = api.Api.replace_annotations

    def cut_off(self: api.Api, task: int, part: Any) -> Any:
        put(self, task, part)
        raise ab.Unreachable("cut off")

    monkeypatch.setattr(api.Api, "replace_annotations", cut_off)
    with pytest.raises(ab.Unreachable, match="cut off"):
        Run(dataset, server, schema)
    monkeypatch.setattr(api.Api, "replace_annotations", put)
    dataset.set_labels([{"label_id": "car0", "bounding_box": [0.5, 0.5, 0.1, 0.1]}])
    dataset.delete_labels(["man1"])
    before = dataset.labels().to_pylist()
    dataset.resume_annotation("run", url=server.url, token=server.token, progress=False)
    report = dataset.load_annotations("run", url=server.url, token=server.token, progress=False)
    assert report.total == 0, report.writes().to_pylist()
    assert dataset.labels().to_pylist() == before
    dataset.abort_annotation("run", url=server.url, token=server.token)
