"""What happens in a project of Label Studio: faults of other integrations, people who work side by side, and what is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import labelstudio_servers
from tests.backend.labelstudio_cases import annotate, dataset, editor, load, make_project, tasks
from tests.doubles.labelstudio.server import OTHER
from tests.labelstudio_servers import Server

from annobridge.core.geometry import encode_rle
from annobridge.core.rows import Classification, Detection, Keypoint, Polyline, Scalar, Segmentation
from annobridge.exceptions import FinishedWork
from annobridge.formats.labelstudio.brush_rle import encode
from annobridge_labelstudio.choice import Candidate, choose


@pytest.fixture
def server() -> Iterator[Server]:
    with labelstudio_servers.double() as made:
        yield made


def test_files_go_in_several_requests_and_each_is_under_its_sample(server: Server, tmp_path: Path) -> None:
    made = dataset(tmp_path, count=230)
    results = annotate(server, made)
    sent = [path for path in server.double.paths("POST") if "commit_to_project" in path]
    assert len(sent) == 3  # of at most 100 files
    paths = dict(zip(made.sample_ids(), (row["filepath"] for row in made.samples().to_pylist()), strict=True))
    for task in tasks(server, results):
        shown = server.send("GET", task["data"]["image"]).content
        assert shown == Path(paths[task["data"]["annobridge_sample"]]).read_bytes()


def test_the_order_of_tasks_and_files_says_nothing(server: Server, tmp_path: Path) -> None:
    made = dataset(tmp_path, count=6)
    results = annotate(server, made)
    state = server.double.state
    state.tasks = dict(reversed(state.tasks.items()))
    state.annotations = dict(reversed(state.annotations.items()))
    editor(server, results).draw(
        "s4", "objects", "rectanglelabels", {"x": 1, "y": 2, "width": 3, "height": 4, "rotation": 0}, "bus"
    )
    report = load(server, made)
    assert (report.added, report.edited, report.deleted) == (1, 0, 0)
    assert [row["sample_id"] for row in made.labels(where="label = 'bus'").to_pylist()] == ["s4"]


def test_attributes_come_back_with_their_regions(server: Server, tmp_path: Path) -> None:
    made = dataset(tmp_path)
    results = annotate(server, made)
    row = made.labels().to_pylist()[0]
    person = editor(server, results)
    person.edit(row | {"remote_id": row["label_id"]}, attributes={"colour": "blue"})
    report = load(server, made)
    assert report.edited == 1
    (now,) = made.labels(where=f"label_id = '{row['label_id']}'").to_pylist()
    assert {a["name"]: json.loads(a["value"]) for a in now["attributes"]} == {"colour": "blue", "note": "a"}


@pytest.mark.parametrize("filled", [True, False])
def test_every_part_of_a_shape_is_a_region_and_comes_back(server: Server, tmp_path: Path, filled: bool) -> None:
    parts = [[(0.1, 0.1), (0.9, 0.1), (0.5, 0.9)], [(0.4, 0.2), (0.6, 0.2), (0.5, 0.4)], [(0, 0), (0.1, 0), (0, 0.1)]]
    made = dataset(tmp_path, [Polyline("car", parts, filled=filled)], count=1)
    type_ = "polygons" if filled else "polylines"
    results = annotate(server, made, {"objects": {"type": type_, "classes": ["car"]}})
    (task,) = tasks(server, results)
    regions = task["annotations"][0]["result"]
    assert len(regions) == 3
    assert load(server, made).total == 0
    if filled:
        regions[1]["value"]["points"][0] = [45, 25]
    else:
        regions[1]["value"]["vertices"][0] |= {"x": 45, "y": 25}
    server.call("PATCH", f"/api/annotations/{task['annotations'][0]['id']}/", json={"result": regions})
    assert load(server, made).edited == 1
    (row,) = made.labels().to_pylist()
    assert row["points"][1][0] == pytest.approx([0.45, 0.25])
    copy = {**regions[2], "id": "copied-one"}
    server.call("PATCH", f"/api/annotations/{task['annotations'][0]['id']}/", json={"result": [*regions, copy]})
    report = load(server, made)
    assert (report.added, report.edited, report.deleted) == (1, 0, 0)  # a copy of a part is a label by itself


def test_annotations_that_a_busy_server_loses_are_sent_again(server: Server, tmp_path: Path) -> None:
    made = dataset(tmp_path, count=3)
    server.double.state.busy = 1
    results = annotate(server, made)
    assert [len(task["annotations"]) for task in tasks(server, results)] == [1, 1, 1]
    assert load(server, made).total == 0


def test_people_work_side_by_side(server: Server, tmp_path: Path) -> None:
    """Two annotations of one image: the latest counts, or that of one person, or the one with the star."""
    made = dataset(tmp_path, count=1)
    results = annotate(server, made)
    (task,) = tasks(server, results)
    before = task["annotations"][0]["result"]
    bob = Server(server.url, OTHER)
    path = f"/api/tasks/{task['id']}/annotations/?project={task['project']}"
    bob.call("POST", path, json={"result": _of_class(before, "bus")})
    server.call("POST", path, json={"result": before, "ground_truth": True})
    report = load(server, made)
    assert report.total == 0
    told = " ".join(report.notes)
    assert "annotation 2 of task 1, by bob@example.com; annotation 3 of task 1, by admin@example.com was taken" in told
    assert "annotation that is its latest counts" in told
    report = load(server, made, only_annotators=["bob@example.com"])
    assert report.edited == 1
    assert "its annotator is not one of only_annotators" in " ".join(report.notes)
    (row,) = made.labels().to_pylist()
    assert (row["label"], row["annotator"]) == ("bus", "bob@example.com")
    assert load(server, made, which="ground_truth").edited == 1
    assert made.labels().to_pylist()[0]["label"] == "car"


def test_two_annotations_of_one_person_are_told(server: Server, tmp_path: Path) -> None:
    made = dataset(tmp_path, count=1)
    results = annotate(server, made)
    (task,) = tasks(server, results)
    changed = _of_class(task["annotations"][0]["result"], "bus")
    server.call("POST", f"/api/tasks/{task['id']}/annotations/?project={task['project']}", json={"result": changed})
    report = load(server, made)
    assert report.edited == 1
    assert (
        "annotation 1 of task 1, by admin@example.com; annotation 2 of task 1, by admin@example.com was taken"
        in " ".join(report.notes)
    )


def test_skipped_images_drafts_and_deleted_ones_say_nothing(server: Server, tmp_path: Path) -> None:
    made = dataset(tmp_path, count=4)
    results = annotate(server, made)
    before = made.labels().to_arrow()
    skipped, drafted, emptied, deleted = tasks(server, results)
    server.call(
        "PATCH", f"/api/annotations/{skipped['annotations'][0]['id']}/", json={"was_cancelled": True, "result": []}
    )
    server.call("POST", f"/api/tasks/{drafted['id']}/drafts?project=1", json={"result": []})
    server.call("DELETE", f"/api/annotations/{emptied['annotations'][0]['id']}/")
    server.call("DELETE", f"/api/tasks/{deleted['id']}/")
    report = load(server, made)
    assert report.total == 0
    told = " ".join(report.notes)
    assert "1 annotations were left out: its annotator skipped the image" in told
    assert "1 images have drafts, which nobody submitted" in told
    assert "2 images have no annotation that counts" in told
    assert "1 images are not in Label Studio any more" in told
    assert made.labels().to_arrow().equals(before)
    status = results.status()
    assert status["state"] == "sent"


def test_predictions_stay_predictions_until_somebody_submits(server: Server, tmp_path: Path) -> None:
    made = dataset(tmp_path, count=2)
    results = annotate(server, made, as_predictions=True)
    assert [(len(t["annotations"]), len(t["predictions"])) for t in tasks(server, results)] == [(0, 1), (0, 1)]
    assert load(server, made).total == 0
    first = tasks(server, results)[0]
    server.call("POST", f"/api/tasks/{first['id']}/annotations/?project=1", json={"result": []})
    assert load(server, made, reviewed_only=True).deleted == 1


def test_what_people_have_saved_is_pushed_over_only_when_asked(server: Server, tmp_path: Path) -> None:
    made = dataset(tmp_path, count=1)
    results = annotate(server, made)
    (row,) = made.labels().to_pylist()
    made.set_labels([{"label_id": row["label_id"], "label": "bus"}])
    assert made.push_annotations("run", progress=False, **server.options()).edited == 1
    assert load(server, made).total == 0
    made.set_labels([{"label_id": row["label_id"], "label": "car"}])  # a push is no work of people
    assert made.push_annotations("run", progress=False, **server.options()).edited == 1
    editor(server, results).draw("s0", "objects", "rectanglelabels", {"x": 1, "y": 2, "width": 3, "height": 4}, "bus")
    made.set_labels([{"label_id": row["label_id"], "label": "bus"}])
    with pytest.raises(FinishedWork, match="people have finished"):
        made.push_annotations("run", progress=False, **server.options())
    assert load(server, made).added == 1


def test_labels_of_all_types_are_pushed(server: Server, tmp_path: Path) -> None:
    """New values of a class, of classes, of a scalar and of keypoints are in the tool, and nothing is left to load."""
    schema = {
        "scene": {"type": "classification", "classes": ["day", "night"]},
        "tags": {"type": "classifications", "classes": ["wet", "dark", "cold"]},
        "count": {"type": "scalar"},
        "body": {"type": "keypoints", "classes": ["person"]},
    }
    made = dataset(tmp_path, [], count=1)
    made.add_labels("scene", [Classification("day", sample_id="s0")], label_type="classification")
    made.add_labels(
        "tags", [Classification(name, sample_id="s0") for name in ("wet", "dark")], label_type="classifications"
    )
    made.add_labels("count", [Scalar(3, sample_id="s0")], label_type="scalar")
    made.add_labels("body", [Keypoint("person", [(0.1, 0.2), (0.3, 0.4)], sample_id="s0")], label_type="keypoints")
    annotate(server, made, schema)
    assert load(server, made).total == 0
    rows = {(row["field"], row["label"]): row["label_id"] for row in made.labels().to_pylist()}
    made.set_labels(
        [
            {"label_id": rows["scene", "day"], "label": "night"},
            {"label_id": rows["tags", "dark"], "label": "cold"},
            {"label_id": rows["count", None], "value": "4"},
            {"label_id": rows["body", "person"], "points": [[[0.5, 0.5], [0.3, 0.4]]]},
        ]
    )
    report = made.push_annotations("run", progress=False, **server.options())
    assert (report.added, report.edited, report.deleted, report.left_out) == (0, 4, 0, 0)
    assert load(server, made).total == 0
    (task,) = server.call("GET", "/api/tasks?project=1&fields=all")["tasks"]
    values = {one["from_name"]: one["value"] for one in task["annotations"][0]["result"]}
    assert (values["scene"], values["tags"]["choices"], values["count"]) == (
        {"choices": ["night"]},
        ["wet", "cold"],
        {"number": 4},
    )


def test_a_project_of_others_is_joined_by_the_names_of_its_controls(server: Server, tmp_path: Path) -> None:
    config = """<View><Image name="img" value="$photo"/><RectangleLabels name="boxes" toName="img"><Label value="car"/>
      <Label value="bus"/><Label value="tram"/></RectangleLabels>
      <Choices name="colour" toName="img" perRegion="true" whenTagName="boxes">
      <Choice value="red"/><Choice value="blue"/></Choices>
      <TextArea name="remark" toName="img" perRegion="true"/></View>"""
    number = make_project(server, config)
    made = dataset(tmp_path)
    names = {"objects": "boxes", "objects.colour": "colour", "objects.note": "remark"}
    results = annotate(server, made, project="Streets", controls=names)
    assert next(iter(results.receipts())).state["project"] == number
    assert load(server, made).total == 0
    (first, *_) = tasks(server, results)[0]["annotations"][0]["result"]
    assert (first["from_name"], first["to_name"]) == ("boxes", "img")
    results.cleanup()
    assert server.call("GET", f"/api/projects/{number}")["id"] == number  # it is not ours to delete


def test_scalars_are_asked_by_whatever_control_a_project_has(server: Server, tmp_path: Path) -> None:
    config = """<View><Image name="image" value="$image"/><Rating name="stars" toName="image"/>
      <TextArea name="count" toName="image"/><Choices name="sky" toName="image">
      <Choice value="7"/><Choice value="blue"/></Choices></View>"""
    make_project(server, config)
    made = dataset(tmp_path, [], count=1)
    for name, value in (("stars", 4), ("count", 12), ("sky", 7)):
        made.add_labels(name, [Scalar(value, sample_id="s0")], label_type="scalar")
    schema: dict[str, Any] = {
        "stars": {"type": "scalar"},
        "count": {"type": "scalar"},
        "sky": {"type": "scalar", "classes": [7, "blue"]},
    }
    results = annotate(server, made, schema, project="Streets")
    assert load(server, made).total == 0
    (task,) = tasks(server, results)
    assert {one["from_name"]: one["value"] for one in task["annotations"][0]["result"]} == {
        "stars": {"rating": 4}, "count": {"text": ["12"]}, "sky": {"choices": ["7"]},
    }  # fmt: skip
    answers: dict[str, Any] = {"stars": {"rating": 5}, "count": {"text": ["13"]}, "sky": {"choices": ["blue"]}}
    changed = [one | {"value": answers[one["from_name"]]} for one in task["annotations"][0]["result"]]
    server.call("PATCH", f"/api/annotations/{task['annotations'][0]['id']}/", json={"result": changed})
    assert load(server, made).edited == 3
    assert {row["field"]: row["value"] for row in made.labels().to_pylist()} == {
        "stars": "5",
        "count": "13",
        "sky": '"blue"',
    }


def test_files_that_the_server_reads_are_named_and_not_sent(server: Server, tmp_path: Path) -> None:
    made = dataset(tmp_path)
    results = annotate(server, made, media="storage", media_root=str(tmp_path))
    assert [task["data"]["image"] for task in tasks(server, results)] == [
        f"/data/local-files/?d=images/{n}.png" for n in range(2)
    ]
    assert not server.double.state.files


def test_instances_of_the_page_come_as_masks(server: Server, tmp_path: Path) -> None:
    mask = np.zeros((48, 64), bool)
    mask[5:20, 7:30] = True
    made = dataset(tmp_path, [Detection("car", mask=mask)], count=1)
    results = annotate(server, made, {"objects": {"type": "instances", "classes": ["car", "bus"]}})
    assert load(server, made).total == 0
    (task,) = tasks(server, results)
    given = task["annotations"][0]["result"][0]["value"]
    editor(server, results).draw("s0", "objects", "brushlabels", {"format": "rle", "rle": given["rle"]}, "bus")
    assert load(server, made).added == 1
    assert [row["mask"]["counts"] for row in made.labels().to_pylist()] == [encode_rle(mask)["counts"]] * 2


def test_brushes_of_one_class_are_one_mask_of_a_segmentation(server: Server, tmp_path: Path) -> None:
    ground, more = np.zeros((48, 64), np.uint8), np.zeros((48, 64), bool)
    ground[:10], more[20:30] = 1, True
    made = dataset(tmp_path, Segmentation(ground, {1: "road"}), count=1)
    results = annotate(server, made, {"objects": {"type": "segmentation", "classes": ["road"]}})
    assert load(server, made).total == 0
    editor(server, results).draw("s0", "objects", "brushlabels", {"format": "rle", "rle": encode(more)}, "road")
    report = load(server, made)
    assert (report.added, report.edited, report.deleted) == (0, 1, 0)
    (row,) = made.labels().to_pylist()
    assert row["mask"]["counts"] == encode_rle((ground > 0) | more)["counts"]
    assert load(server, made).total == 0


@pytest.mark.parametrize("which", ["latest", "ground_truth"])
def test_the_choice_among_annotations(which: Any) -> None:
    def one(number: int, minute: int, truth: bool) -> Candidate:
        time = datetime(2026, 11, 1, 10, minute, tzinfo=UTC)
        return Candidate(1, "s", number, "a", time, time, truth)

    candidates = [one(1, 5, True), one(2, 9, False), one(3, 5, True)]
    found = choose(candidates, which)
    assert found is not None
    assert found.annotation_id == {"latest": 2, "ground_truth": 3}[which]
    assert choose([], which) is None


def _of_class(results: list[dict[str, Any]], label: str) -> list[dict[str, Any]]:
    changed = json.loads(json.dumps(results))
    for one in changed:
        if one["type"] == "rectanglelabels":
            one["value"]["rectanglelabels"] = [label]
    return list(changed)
