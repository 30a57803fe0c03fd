"""Edits and failures in CVAT, on doubles of two versions, and on a real server where one is configured."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from tests.backend.cvat_cases import HEIGHT, OBJECTS, WIDTH
from tests.contract.cvat_hands import Editor
from tests.cvat_servers import Server

import annobridge as ab
from annobridge.backend import Receipt, _transport
from annobridge.bridge.pending_tasks import PendingTasks
from annobridge.core import rows
from annobridge.exceptions import RefusedTaskWarning
from annobridge_cvat import CvatBackend, CvatConfig, api


@pytest.fixture
def dataset(tmp_path: Path) -> ab.Dataset:
    """Three images with a car and a person each: car0, man0, …"""
    ds = ab.create_dataset(tmp_path / "dataset")
    for n in range(3):
        Image.new("RGB", (WIDTH, HEIGHT), (60 * n, 90, 120)).save(tmp_path / f"{n}.png")
    ds.add_samples(
        ab.Sample(
            tmp_path / f"{n}.png",
            sample_id=f"s{n}",
            objects=[
                ab.Detection(
                    "car", [0.1, 0.1, 1 / 3, 0.3], label_id=f"car{n}", confidence=0.9, plate="007", hidden=True
                ),
                ab.Detection("person", [0.6, 0.2, 0.123456789, 0.5], label_id=f"man{n}", rotation=12.5),
            ],
        )
        for n in range(3)
    )
    return ds


class Run:
    """A run on a server, and a person at its editor."""

    def __init__(self, ds: ab.Dataset, server: Server, schema: dict[str, Any] | None = None, **options: Any) -> None:
        self.ds, self.options = ds, {"url": server.url, "token": server.token, "progress": False}
        self.results = ds.annotate(
            "run", label_schema=schema or {"objects": OBJECTS}, backend="cvat", **self.options, **options
        )
        self.editor = Editor(server.url, server.token, self.results)
        self.task = self.editor.tasks[0]

    def load(self, **options: Any) -> Any:
        return self.ds.load_annotations("run", **{**self.options, **options})

    def shape(self, label_id: str) -> dict[str, Any]:
        """The shape that a label became."""
        for receipt in self.results.receipts():
            for row in self.results.with_baseline(receipt).baseline.to_pylist():
                if row["label_id"] == label_id:
                    number = int(row["remote_id"].split(":")[1])
                    return next(s for s in self.editor.annotations(self.task)["shapes"] if s["id"] == number)
        raise AssertionError(label_id)

    def label(self, label_id: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = self.ds.labels(where=f"label_id = '{label_id}'").to_pylist()
        return found[0]

    def close(self) -> None:
        self.ds.abort_annotation("run", url=self.options["url"], token=self.options["token"])
        self.editor.close()


@pytest.fixture
def send(dataset: ab.Dataset, server: Server) -> Iterator[Any]:
    runs: list[Run] = []

    def call(schema: dict[str, Any] | None = None, **options: Any) -> Run:
        runs.append(Run(dataset, server, schema, **options))
        return runs[-1]

    yield call
    for run in runs:
        run.close()


def without_ids(shape: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {k: v for k, v in {**shape, **changes}.items() if k not in ("id", "score")}


# Ids that annotators cannot break


def test_a_copy_in_the_same_image_is_an_addition(send: Any) -> None:
    run = send()
    run.editor.send(run.task, "create", "shapes", without_ids(run.shape("car0")))
    report = run.load()
    assert (report.added, report.edited, report.deleted) == (1, 0, 0)
    assert run.label("car0")["confidence"] == 0.9
    assert run.load().total == 0


def test_a_copy_in_another_image_is_an_addition(send: Any) -> None:
    run = send()
    run.editor.send(run.task, "create", "shapes", without_ids(run.shape("car0"), frame=2))
    assert (run.load().added, run.ds.count_labels()) == (1, 7)


def test_a_class_set_by_hand_keeps_the_label(send: Any) -> None:
    run = send()
    run.editor.edit({**run.label("car1"), "remote_id": f"shape:{run.shape('car1')['id']}"}, label="person")
    report = run.load()
    assert (report.added, report.edited, report.deleted) == (0, 1, 0)
    assert (run.label("car1")["label"], run.label("car1")["confidence"]) == ("person", 0.9)


@pytest.mark.every_version
def test_an_emptied_attribute_is_none_any_more(send: Any) -> None:
    run = send()
    shape = run.shape("car0")
    specs = {a["name"]: a["id"] for a in run.editor.label(run.task, "car")["attributes"]}
    shape["attributes"] = [a if a["spec_id"] != specs["plate"] else {**a, "value": ""} for a in shape["attributes"]]
    run.editor.send(run.task, "update", "shapes", shape)
    assert run.load().edited == 1
    assert [a["name"] for a in run.label("car0")["attributes"]] == ["hidden"]


@pytest.mark.every_version
def test_a_rotation_comes_back_without_any_attribute(send: Any) -> None:
    run = send({"objects": {"type": "detections", "classes": ["car", "person"], "attributes": False}})
    run.editor.send(run.task, "update", "shapes", {**run.shape("car0"), "rotation": 0.5})
    assert run.load().edited == 1
    assert run.label("car0")["rotation"] == 0.5
    assert run.label("man0")["rotation"] == 12.5


@pytest.mark.every_version
def test_new_labels_keep_their_id_and_what_was_added_here(send: Any) -> None:
    """D8: drawn there, loaded, tagged here, loaded again: the same label, with its tag."""
    run = send()
    run.editor.draw(run.task, "rectangle", 0, "car", [1, 1, 9, 9])
    run.load()
    (new,) = [r for r in run.ds.labels().to_pylist() if not r["label_id"].startswith(("car", "man"))]
    run.ds.set_labels([{"label_id": new["label_id"], "tags": ["mine"]}])
    assert run.load().total == 0
    assert run.label(new["label_id"])["tags"] == ["mine"]


def test_ids_of_several_tasks_are_all_known(send: Any) -> None:
    """D10."""
    run = send(task_size=1)
    assert len(run.editor.tasks) == 3
    assert run.load().total == 0


def test_text_stays_text_whatever_it_looks_like(send: Any, dataset: ab.Dataset) -> None:
    """D5; and CVAT drops the space around a text, which is no edit."""
    words = ["007", "true", "1e5", "null", " two \n lines ", '🦄 "quoted"', "  ", "x" * 4096]
    boxes = [ab.Detection("car", [0.1, 0.05 * n, 0.1, 0.05], note=w) for n, w in enumerate(words)]
    dataset.add_labels("texts", {"s0": boxes})
    run = send({"texts": {"type": "detections", "classes": ["car"], "attributes": {"note": {"type": "text"}}}})
    assert run.load().total == 0
    found = [json.loads(r["attributes"][0]["value"]) for r in dataset.labels("texts").to_pylist()]
    assert sorted(found) == sorted(words)


# What CVAT has itself


@pytest.mark.every_version
def test_switches_and_groups_of_cvat_are_attributes(send: Any) -> None:
    spec = {**OBJECTS, "attributes": {**OBJECTS["attributes"], "group": {"type": "int"}, "layer": {"type": "int"}}}
    run = send({"objects": spec}, occluded_attr="hidden", group_id_attr="group", z_order_attr="layer")
    car = run.shape("car0")
    assert (car["occluded"], run.shape("man0")["occluded"]) == (True, False)
    assert run.load().total == 0
    run.editor.send(run.task, "update", "shapes", {**car, "occluded": False, "group": 4, "z_order": 2})
    assert run.load().edited == 1
    found = {a["name"]: json.loads(a["value"]) for a in run.label("car0")["attributes"]}
    assert found == {"plate": "007", "hidden": False, "group": 4, "layer": 2}


def test_parts_of_one_polyline_stay_one_label(send: Any, dataset: ab.Dataset) -> None:
    """D3: two parts, closed; one part is moved, then one is deleted."""
    parts = [[(0.1, 0.1), (0.2, 0.2), (0.3, 0.1)], [(0.5, 0.5), (0.6, 0.6), (0.7, 0.5)]]
    line = ab.Polyline("lane", parts, closed=True, label_id="lane")
    dataset.add_labels("lanes", {"s0": [line]})
    run = send({"lanes": {"type": "polylines", "classes": ["lane"]}})
    assert run.load().total == 0
    one, two = sorted(run.editor.annotations(run.task)["shapes"], key=lambda s: s["points"])
    assert one["group"] == two["group"] != 0
    run.editor.send(run.task, "update", "shapes", {**one, "points": [0, 0, *one["points"][2:]]})
    assert run.load().edited == 1
    now = run.label("lane")
    assert (now["points"][0][0], now["points"][1], now["closed"]) == ([0.0, 0.0], [list(p) for p in parts[1]], True)
    run.editor.send(run.task, "delete", "shapes", two)
    assert run.load().edited == 1
    assert len(run.label("lane")["points"]) == 1


@pytest.mark.every_version
def test_masks_do_not_shrink(send: Any, dataset: ab.Dataset) -> None:
    """D4: three round trips."""
    pixels = np.zeros((HEIGHT, WIDTH), bool)
    pixels[10:40, 5:60] = True
    dataset.add_labels("masks", {"s0": [ab.Detection("car", mask=pixels, label_id="mask")]})
    run = send({"masks": {"type": "instances", "classes": ["car"]}})
    before = run.label("mask")
    for _ in range(3):
        assert run.load().total == 0
    shape = run.editor.annotations(run.task)["shapes"][0]
    assert shape["points"][-4:] == [5, 10, 59, 39]
    moved = [*shape["points"][:-4], 6, 10, 60, 39]
    run.editor.send(run.task, "update", "shapes", {**shape, "points": moved})
    assert run.load().edited == 1
    assert run.label("mask")["mask"] == rows.geometry.encode_rle(np.roll(pixels, 1, axis=1))
    assert before["bounding_box"] == [5 / 64, 10 / 48, 55 / 64, 30 / 48]


@pytest.mark.every_version
def test_scalars_are_tags_with_a_value(send: Any, dataset: ab.Dataset) -> None:
    dataset.add_labels("lux", {"s0": [ab.Scalar(7)], "s1": [ab.Scalar(8)]})
    dataset.add_labels("place", {"s0": [ab.Scalar("Lyon")]})
    run = send({"lux": {"type": "scalar"}, "place": {"type": "scalar", "classes": ["Lyon", "Köln"]}})
    assert run.load().total == 0
    tags = {(t["frame"], t["attributes"][0]["value"]): t for t in run.editor.annotations(run.task)["tags"]}
    seven = tags[0, "7"]
    run.editor.send(run.task, "update", "tags", {**seven, "attributes": [{**seven["attributes"][0], "value": "9"}]})
    new = {k: v for k, v in seven.items() if k != "id"} | {"frame": 2}
    run.editor.send(run.task, "create", "tags", {**new, "attributes": [{**seven["attributes"][0], "value": "12"}]})
    report = run.load()
    assert (report.added, report.edited) == (1, 1)
    values = {r["sample_id"]: r["value"] for r in run.ds.labels("lux").to_pylist()}
    assert values == {"s0": "9", "s1": "8", "s2": "12"}


def test_a_scalar_is_typed_as_what_its_field_holds(send: Any, dataset: ab.Dataset) -> None:
    """CVAT asks for it as a text, on images that had none too, even where their whole task has none. Absent is not false."""
    dataset.add_labels("wet", {"s0": [ab.Scalar(True)], "s1": [ab.Scalar(False)]})
    run = send({"wet": {"type": "scalar"}}, task_size=2)
    first, second = run.editor.tasks
    tags = {t["frame"]: t for t in run.editor.annotations(first)["tags"]}

    def type_in(task: dict[str, Any], frame: int, word: str, number: int | None = None) -> None:
        label = run.editor.label(task, "wet")
        tag = {"frame": frame, "label_id": label["id"], "group": 0, "source": "manual",
               "attributes": [{"spec_id": label["attributes"][0]["id"], "value": word}]}  # fmt: skip
        if number is None:
            run.editor.send(task, "create", "tags", tag)
        else:
            run.editor.send(task, "update", "tags", {**tag, "id": number})

    assert run.load().total == 0
    type_in(first, 1, "True", tags[1]["id"])
    type_in(second, 0, "false")
    report = run.load()
    assert (report.added, report.edited, report.notes) == (1, 1, ())
    values = {"s0": "true", "s1": "true", "s2": "false"}
    assert {r["sample_id"]: r["value"] for r in dataset.labels("wet").to_pylist()} == values
    type_in(first, 0, "yes", tags[0]["id"])
    type_in(second, 0, "dry")
    report = run.load()
    assert report.total == 0
    assert [n.partition(";")[0] for n in report.notes] == [
        "wet: somebody typed \"yes\" on sample 's0', which is not true or false as the other values are",
        "wet: somebody typed \"dry\" on sample 's2', which is not true or false as the other values are",
    ]
    assert {r["sample_id"]: r["value"] for r in dataset.labels("wet").to_pylist()} == values


def test_two_fields_with_one_class_are_told_apart_by_the_shape(send: Any, dataset: ab.Dataset) -> None:
    """And by a label of their own, where the shape is the same."""
    schema = {
        "boxes": {"type": "detections", "classes": ["car"]},
        "more": {"type": "detections", "classes": ["car"]},
        "outlines": {"type": "polygons", "classes": ["car"]},
    }
    run = send(schema)
    run.editor.draw(run.task, "rectangle", 0, "car", [1, 1, 9, 9])
    run.editor.draw(run.task, "rectangle", 0, "car (more)", [2, 2, 9, 9])
    run.editor.draw(run.task, "polygon", 0, "car", [1, 1, 9, 1, 9, 9])
    assert run.load().added == 3
    found = {r["field"]: r["label"] for r in run.ds.labels(["boxes", "more", "outlines"]).to_pylist()}
    assert found == {"boxes": "car", "more": "car", "outlines": "car"}


# Jobs


def test_only_the_jobs_that_are_asked_for_are_loaded(send: Any) -> None:
    run = send(segment_size=1)
    for frame in range(3):
        run.editor.draw(run.task, "rectangle", frame, "car", [1, 1, 9, 9])
    jobs = sorted(run.editor.call("GET", f"/api/jobs?task_id={run.task['task']}&page_size=all")["results"],
                  key=lambda j: j["start_frame"])  # fmt: skip
    run.editor.call("PATCH", f"/api/jobs/{jobs[1]['id']}", json={"stage": "acceptance", "state": "completed"})
    assert run.load(only_stages=["acceptance"]).added == 1
    assert run.load(only_states="new", only_samples=["s0"]).added == 1
    found = run.results.status()["tasks"].popitem()[1]
    assert found["samples"] == {"new": 2, "completed": 1}
    assert [job["state"] for job in found["jobs"]] == ["annotation, new", "acceptance, completed", "annotation, new"]
    assert found["jobs"][1]["url"].endswith(f"/jobs/{jobs[1]['id']}")
    assert run.load().added == 1
    assert run.ds.count_labels() == 9


@pytest.mark.every_version
def test_jobs_are_given_out_in_turn(send: Any, server: Server, dataset: ab.Dataset) -> None:
    if server.double is not None:
        server.double.add_user("alice", "alice-Pass-1234")
    run = send(segment_size=1, job_assignees=["alice", "admin"], task_assignee="alice")
    jobs = sorted(run.editor.call("GET", f"/api/jobs?task_id={run.task['task']}&page_size=all")["results"],
                  key=lambda j: j["start_frame"])  # fmt: skip
    assert [j["assignee"]["username"] for j in jobs] == ["alice", "admin", "alice"]
    run.editor.draw(run.task, "rectangle", 1, "car", [1, 1, 9, 9])
    run.editor.draw(run.task, "rectangle", 2, "car", [1, 1, 9, 9])
    report = run.load(only_assignees="alice")
    assert report.added == 1
    assert report.writes()["annotator"].to_pylist() == ["alice"]


def test_ground_truth_is_left_out_unless_asked_for(send: Any) -> None:
    """D15."""
    run = send()
    job = {"task_id": run.task["task"], "type": "ground_truth", "frame_selection_method": "manual", "frames": [1]}
    truth = run.editor.call("POST", "/api/jobs", json=job)
    number = run.editor.label(run.task, "car")["id"]
    shape = {"type": "rectangle", "frame": 1, "label_id": number, "points": [1, 1, 9, 9], "attributes": []}
    body = {"tags": [], "tracks": [], "shapes": [shape]}
    run.editor.call("PATCH", f"/api/jobs/{truth['id']}/annotations?action=create", json=body)
    assert run.load().total == 0
    assert run.load(job_types=["annotation", "ground_truth"]).added == 1


def test_the_editor_opens_at_the_first_job(send: Any, server: Server) -> None:
    run = send()
    url = run.results.backend.editor_url(run.results.receipts()[0])
    assert url.startswith(f"{server.url}/tasks/{run.task['task']}/jobs/")


# What changes on the server


def test_a_removed_image_says_nothing_about_its_labels(send: Any) -> None:
    """D16."""
    run = send()
    run.editor.draw(run.task, "rectangle", 1, "car", [1, 1, 9, 9])
    run.editor.send(run.task, "delete", "shapes", run.shape("car1"))
    run.editor.call("PATCH", f"/api/tasks/{run.task['task']}/data/meta", json={"deleted_frames": [1]})
    report = run.load()
    assert report.total == 0
    assert any("1 images were removed in CVAT" in note and "s1" in note for note in report.to_dict()["notes"])


def test_a_label_that_was_renamed_there_is_unexpected(send: Any) -> None:
    """D17."""
    run = send()
    label = run.editor.label(run.task, "car")
    run.editor.call("PATCH", f"/api/labels/{label['id']}", json={"name": "auto", "color": label["color"]})
    with pytest.raises(ab.UnexpectedLabels, match=r"3 unexpected labels \(3 × class not in the schema: auto\)"):
        run.load()
    report = run.load(unexpected="return")
    assert (report.total, len(report.unexpected)) == (0, 3)
    assert "The label 'car' is called 'auto' in CVAT now." in report.to_dict()["notes"]


def test_a_label_that_was_added_there_is_unexpected_and_nothing_is_lost(send: Any) -> None:
    """D18."""
    run = send()
    run.editor.call("PATCH", f"/api/tasks/{run.task['task']}", json={"labels": [{"name": "bike", "attributes": []}]})
    shape = run.shape("car0")
    bike = run.editor.label(run.task, "bike")["id"]
    run.editor.send(run.task, "update", "shapes", {**shape, "label_id": bike, "attributes": []})
    report = run.load(unexpected="return")
    assert (report.deleted, run.label("car0")["label"], len(report.unexpected)) == (0, "car", 1)
    assert run.load(unexpected="keep").edited == 1
    assert (run.label("car0")["label"], run.label("car0")["confidence"]) == ("bike", 0.9)


@pytest.mark.every_version
def test_a_label_that_was_removed_there_deletes_nothing_here(send: Any) -> None:
    run = send()
    run.editor.call("DELETE", f"/api/labels/{run.editor.label(run.task, 'person')['id']}")
    report = run.load()
    assert report.total == 0
    assert any("The label 'person' was removed from CVAT" in note for note in report.to_dict()["notes"])


def test_a_task_that_was_deleted_is_gone(send: Any) -> None:
    run = send(task_size=2)
    run.editor.call("DELETE", f"/api/tasks/{run.editor.tasks[0]['task']}")
    run.editor.draw(run.editor.tasks[1], "rectangle", 0, "car", [1, 1, 9, 9])
    report = run.load()
    assert (report.added, report.deleted) == (1, 0)
    run.editor.call("DELETE", f"/api/tasks/{run.editor.tasks[1]['task']}")
    with pytest.raises(ab.Gone, match="Nothing of the run 'run' is on the server any more"):
        run.load()


# Projects


class _Nothing:
    """No run: an editor that only looks at the server."""

    def receipts(self) -> list[Any]:
        return []


def make_project(editor_of: Server, name: str, labels: list[dict[str, Any]]) -> tuple[Editor, int]:
    editor = Editor(editor_of.url, editor_of.token, _Nothing())  # type: ignore[arg-type]
    return editor, editor.call("POST", "/api/projects", json={"name": name, "labels": labels})["id"]


def test_a_project_that_was_there_is_not_changed_unless_asked(server: Server, dataset: ab.Dataset) -> None:
    """D19."""
    editor, project = make_project(server, "annobridge old", [{"name": "car", "attributes": []}])
    options = {"url": server.url, "token": server.token, "progress": False, "backend": "cvat", "project_id": project}
    try:
        with pytest.raises(
            ab.Unsupported, match=r"lacks the attribute 'plate' of 'car', .*the label 'person'; add them there, "
        ):
            dataset.annotate("run", label_schema={"objects": OBJECTS}, **options)
        assert dataset.list_annotation_runs() == []
        before = editor.call("GET", f"/api/labels?project_id={project}&page_size=all")["results"]
        assert [(label["name"], label["attributes"]) for label in before] == [("car", [])]
        results = dataset.annotate("run", label_schema={"objects": OBJECTS}, update_project=True, **options)
        after = editor.call("GET", f"/api/labels?project_id={project}&page_size=all")["results"]
        assert {label["name"]: len(label["attributes"]) for label in after} == {"car": 3, "person": 3}
        assert before[0]["color"] in {label["color"] for label in after}
        assert dataset.load_annotations("run", url=server.url, token=server.token, progress=False).total == 0
        results.cleanup()
        assert editor.call("GET", f"/api/projects/{project}")["id"] == project
    finally:
        editor.call("DELETE", f"/api/projects/{project}")
        editor.close()


@pytest.mark.every_version
def test_a_project_that_a_run_made_goes_with_its_last_task(send: Any, server: Server) -> None:
    """D11."""
    run = send(project_name="annobridge new", task_size=2)
    (project,) = run.editor.call("GET", "/api/projects?name=annobridge new")["results"]
    assert project["tasks"]["count"] == 2
    run.results.cleanup()
    assert run.editor.call("GET", "/api/projects?name=annobridge new")["count"] == 0


NAMED = "annobridge cut off"


def projects_called(server: Server, name: str) -> list[dict[str, Any]]:
    editor = Editor(server.url, server.token, _Nothing())  # type: ignore[arg-type]
    found: list[dict[str, Any]] = editor.call("GET", "/api/projects", params={"name": name})["results"]
    editor.close()
    return found


def run_that_dies(monkeypatch: pytest.MonkeyPatch, last: str, *args: Any, **options: Any) -> None:
    """Nothing is heard of the server any more once it has made the first of ``last``."""
    create = api.Api.create

    def cut_off(self: api.Api, collection: str, body: Any) -> Any:
        made = create(self, collection, body)
        if collection == last:
            raise ab.Unreachable("cut off")
        return made

    with monkeypatch.context() as cut:
        cut.setattr(api.Api, "create", cut_off)
        with pytest.raises(ab.Unreachable, match="cut off"):
            Run(*args, **options)


@pytest.mark.parametrize("resumed", [False, True], ids=["aborted", "resumed"])
@pytest.mark.parametrize("last", ["projects", "tasks"])
def test_a_project_of_a_run_that_died_is_still_its_own(
    server: Server, dataset: ab.Dataset, monkeypatch: pytest.MonkeyPatch, last: str, resumed: bool
) -> None:
    login = {"url": server.url, "token": server.token}
    options = {"project_name": NAMED, "issue_tracker": "https://bugs.test/7", "task_size": 2}
    run_that_dies(monkeypatch, last, dataset, server, **options)
    (project,) = projects_called(server, NAMED)
    assert project["bug_tracker"].startswith("https://bugs.test/7")
    if resumed:
        dataset.resume_annotation("run", **login, progress=False)
        assert [p["id"] for p in projects_called(server, NAMED)] == [project["id"]]
        assert dataset.load_annotations("run", **login, progress=False).total == 0
    dataset.abort_annotation("run", **login)
    assert projects_called(server, NAMED) == []


@pytest.mark.parametrize("last", ["tasks", None], ids=["died", "whole"])
def test_a_project_that_was_there_outlives_the_run(
    server: Server, dataset: ab.Dataset, monkeypatch: pytest.MonkeyPatch, last: str | None
) -> None:
    """Empty, and of the very labels, as the run would have made it."""
    schema = {"a": {"type": "detections", "classes": ["x"]}}
    editor, project = make_project(server, NAMED, [{"name": "x", "type": "rectangle", "attributes": []}])
    try:
        if last:
            run_that_dies(monkeypatch, last, dataset, server, schema, project_name=NAMED)
        else:
            Run(dataset, server, schema, project_name=NAMED)
        dataset.abort_annotation("run", url=server.url, token=server.token)
        (left,) = projects_called(server, NAMED)
        assert (left["id"], left["tasks"]["count"], left["bug_tracker"]) == (project, 0, "")
    finally:
        editor.call("DELETE", f"/api/projects/{project}")
        editor.close()


def test_a_project_that_is_not_there(server: Server, dataset: ab.Dataset) -> None:
    with pytest.raises(ab.Rejected, match="cvat has no project 987654, or not for you; give the number of one"):
        dataset.annotate(
            "run",
            label_schema={"objects": OBJECTS},
            backend="cvat",
            url=server.url,
            token=server.token,
            project_id=987654,
        )
    assert dataset.list_annotation_runs() == []


# What goes wrong while sending


@pytest.mark.every_version
def test_an_unknown_assignee(server: Server, dataset: ab.Dataset) -> None:
    with pytest.raises(ab.Unsupported, match="CVAT has no user 'nobody', or you may not see them; correct the name"):
        dataset.annotate(
            "run", label_schema={"objects": OBJECTS}, backend="cvat", url=server.url, token=server.token,
            job_assignees="nobody",
        )  # fmt: skip
    assert dataset.list_annotation_runs() == []


def test_a_corrupt_image_is_refused_here_before_anything_is_sent(
    server: Server, dataset: ab.Dataset, tmp_path: Path
) -> None:
    (tmp_path / "1.png").write_bytes(b"\x89PNG not an image")
    with pytest.raises(ab.InvalidMedia, match=r"1.png' of sample 's1' is not an image"):
        Run(dataset, server)
    assert dataset.list_annotation_runs() == []


class _Corrupt:
    """Media of which the server can make nothing, though they passed here."""

    def open(self, sample_id: str) -> io.BytesIO:
        if sample_id == "s1":
            return io.BytesIO(b"\xff\xd8\xff\xe0 not an image")
        buffer = io.BytesIO()
        Image.new("RGB", (WIDTH, HEIGHT)).save(buffer, "PNG")
        return io.BytesIO(buffer.getvalue())

    def path(self, sample_id: str) -> None:
        return None


@pytest.mark.every_version
def test_a_corrupt_image_that_only_the_server_finds_is_named_and_the_task_removed(
    server: Server, dataset: ab.Dataset
) -> None:
    """D12."""
    run = Run(dataset, server)
    backend = run.results.backend
    stores, ledger = dataset.stores, run.results.run
    todo = [("corrupt-task", stores.runs.tasks(ledger)["sample_ids"][0].values)]
    with PendingTasks(stores, ledger, todo, {}, [], stores.labels.version()) as outgoing:
        task = outgoing.task(0)
        with pytest.raises(
            ab.Rejected, match=r"could not read the media: .*1.png', of sample 's1': mend or replace the file"
        ) as e:
            backend.upload(type(task)(task.name, task.schema, task.samples, task.labels, _Corrupt()))
    assert "Traceback" not in str(e.value)
    assert backend.find("corrupt-task") is None
    run.close()


@pytest.fixture
def strange(dataset: ab.Dataset, tmp_path: Path) -> ab.Dataset:
    """The second image is of a format that Pillow reads and CVAT does not."""
    Image.new("P", (WIDTH, HEIGHT)).save(tmp_path / "1.blp")
    ds = ab.create_dataset(tmp_path / "strange")
    ds.add_samples([ab.Sample(tmp_path / f"{n}.{'blp' if n == 1 else 'png'}", sample_id=f"s{n}") for n in range(3)])
    return ds


def test_a_task_that_is_refused_stops_the_run_which_is_not_burnt(server: Server, strange: ab.Dataset) -> None:
    """D13: the run can be resumed or aborted, and then the key is free."""
    with pytest.raises(ab.Rejected, match=r"could not read the media.*resume_annotation\('run'\) sends the rest"):
        Run(strange, server, task_size=1)
    with pytest.raises(ab.RunIncomplete, match="stopped after 1 of 3 tasks"):
        strange.load_annotations("run", url=server.url, token=server.token)
    strange.abort_annotation("run", url=server.url, token=server.token)
    assert strange.list_annotation_runs() == []


def test_a_task_that_is_refused_is_left_out_when_asked(server: Server, strange: ab.Dataset) -> None:
    with pytest.warns(RefusedTaskWarning, match="The tool refused 1 of 3 samples, which are not in the run 'run':"):
        run = Run(strange, server, task_size=1, on_rejected="skip")
    assert [t["samples"] for t in run.editor.tasks] == [["s0"], ["s2"]]
    run.editor.draw(run.editor.tasks[1], "rectangle", 0, "car", [1, 1, 9, 9])
    assert run.load().added == 1
    run.close()


def test_a_run_of_which_every_task_is_refused_is_no_run(server: Server, strange: ab.Dataset) -> None:
    view = strange.select(["s1"])
    with pytest.raises(ab.Rejected, match="The tool refused every sample, so there is no run 'run'"):
        Run(view, server, on_rejected="skip", project_name=NAMED)
    assert strange.list_annotation_runs() == []
    assert projects_called(server, NAMED) == []


@pytest.mark.every_version
def test_an_image_that_is_turned_by_its_exif_data(server: Server, tmp_path: Path) -> None:
    """Positions and masks are of what people see; a mask of the other size is refused when it is added."""
    ds = ab.create_dataset(tmp_path / "dataset")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 48)).save(tmp_path / "a.jpg", exif=exif)
    ds.add_samples(
        [ab.Sample(tmp_path / "a.jpg", sample_id="a", objects=[ab.Detection("car", [0.25, 0.5, 0.5, 0.25])])]
    )
    run = Run(ds, server, {"objects": {"type": "detections", "classes": ["car"]}})
    assert run.editor.annotations(run.task)["shapes"][0]["points"] == [12, 32, 36, 48]
    assert run.load().total == 0
    run.close()
    with pytest.raises(ab.InvalidLabels, match="covers 64×48 pixels, but the image has 48×64"):
        ds.add_labels("masks", {"a": [ab.Detection("car", mask=np.ones((48, 64), bool))]})
    ds.add_labels("masks", {"a": [ab.Detection("car", mask=np.ones((64, 48), bool))]})
    masks = Run(ds, server, {"masks": {"type": "instances", "classes": ["car"]}})
    assert masks.load().total == 0
    masks.close()


# Media


@pytest.mark.every_version
def test_a_zip_keeps_folders(server: Server, tmp_path: Path) -> None:
    ds = ab.create_dataset(tmp_path / "dataset")
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / folder / "1.png")
    ds.add_samples([ab.Sample(tmp_path / f / "1.png", sample_id=f) for f in ("b", "a")])
    run = Run(ds, server, media="archive")
    frames = run.editor.call("GET", f"/api/tasks/{run.task['task']}/data/meta")["frames"]
    assert [f["name"] for f in frames] == ["a/1.png", "b/1.png"]
    run.editor.add("b", label="car", bounding_box=[0.25, 0.25, 0.5, 0.5])
    run.load()
    assert run.ds.labels().to_arrow()["sample_id"].to_pylist() == ["b"]
    run.close()


@pytest.mark.parametrize("batch", [2_000, 500])
@pytest.mark.every_version
def test_large_media_go_in_batches_and_in_pieces(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """With a batch of 2 kB some files go together, with one of 500 bytes each goes alone and in pieces."""
    from annobridge_cvat import media

    monkeypatch.setattr(media, "MAX_BATCH", batch)
    monkeypatch.setattr(media, "CHUNK", 300)
    ds = ab.create_dataset(tmp_path / "dataset")
    noise = np.random.default_rng(0)
    for n in range(5):
        Image.fromarray(noise.integers(0, 255, (16, 16, 3), np.uint8)).save(tmp_path / f"{n}.png")
    ds.add_samples([ab.Sample(tmp_path / f"{n}.png", sample_id=f"s{n}") for n in range(5)])
    run = Run(ds, server)
    assert run.task["samples"] == [f"s{n}" for n in range(5)]
    for n in (0, 4):
        path = f"/api/tasks/{run.task['task']}/data?type=frame&number={n}&quality=original"
        answer = run.editor.session.get(server.url + path, timeout=60)
        assert answer.content == (tmp_path / f"{n}.png").read_bytes()
    run.close()


def test_ten_thousand_is_not_too_many_for_one_body(send: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels go in several bodies where they are many, and each is known afterwards."""
    from annobridge_cvat import api

    monkeypatch.setattr(api, "MAX_BODY", 700)
    run = send()
    assert run.load().total == 0
    assert len(run.editor.annotations(run.task)["shapes"]) == 6


# Lost answers, refusals: only a double can be told to


@pytest.fixture(params=["cvat_2_15", "cvat_2_73"])
def double(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", r"/api/tasks$"), ("POST", r"/api/tasks/\d+/data"), ("PUT", r"/annotations$")],
    ids=["create", "data", "annotations"],
)
@pytest.mark.every_version
def test_a_lost_answer_makes_no_second_task(
    double: Server, dataset: ab.Dataset, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    monkeypatch.setattr(_transport, "_BACKOFF", _transport._BACKOFF.new(backoff_factor=0, backoff_jitter=0))
    double.double.fail_next(method, path, drop=True, times=5 if method == "PUT" else 1)
    with pytest.raises(ab.Unreachable):
        Run(dataset, double)
    double.double.clear_faults()
    results = dataset.resume_annotation("run", url=double.url, token=double.token, progress=False)
    (task,) = [t["task"] for r in results.receipts() for t in r.state["tasks"]]
    editor = Editor(double.url, double.token, results)
    named = editor.call("GET", f"/api/tasks?name={results.receipts()[0].task}")["results"]
    assert [t["id"] for t in named] == [task]
    assert len(editor.annotations(editor.tasks[0])["shapes"]) == 6
    assert dataset.load_annotations("run", url=double.url, token=double.token, progress=False).total == 0
    dataset.abort_annotation("run", url=double.url, token=double.token)
    editor.close()


def test_an_aborted_run_leaves_nothing_on_the_server(double: Server, dataset: ab.Dataset) -> None:
    double.double.fail_next("PUT", r"/annotations$", status=500, body="<h1>Server Error (500)</h1>", times=1)
    with pytest.raises(ab.Broken, match=r"PUT .*/annotations fails on the server \(500\)"):
        Run(dataset, double)
    name = dataset.stores.runs.tasks(dataset.stores.runs.get_idle("run"))["task"][0].as_py()
    dataset.abort_annotation("run", url=double.url, token=double.token)
    backend = CvatBackend(CvatConfig(url=double.url, token=double.token))
    assert backend.find(name) is None
    backend.close()


@pytest.mark.every_version
def test_a_token_that_is_revoked_in_the_middle(double: Server, dataset: ab.Dataset) -> None:
    double.double.fail_next("PUT", r"/annotations$", status=401, body={"detail": "Invalid token."}, times=1)
    with pytest.raises(
        ab.Denied, match=r"Check the credentials \(`annobridge login cvat`\).*resume_annotation\('run'\)"
    ):
        Run(dataset, double)
    dataset.resume_annotation("run", url=double.url, token=double.token, progress=False)
    assert dataset.load_annotations("run", url=double.url, token=double.token, progress=False).total == 0
    dataset.abort_annotation("run", url=double.url, token=double.token)


def test_a_body_that_a_proxy_does_not_take(double: Server, dataset: ab.Dataset) -> None:
    double.double.fail_next("POST", r"/data", status=413, body="<html><h1>413 Request Entity Too Large</h1></html>")
    with pytest.raises(ab.Rejected, match=r"takes no body of .* MB; raise the limit of the proxy before CVAT"):
        Run(dataset, double)
    dataset.abort_annotation("run", url=double.url, token=double.token)


@pytest.mark.every_version
def test_an_organization_without_rights(double: Server, dataset: ab.Dataset) -> None:
    double.double.add_organization("closed", owner="admin", members=[])
    double.double.add_user("guest", "guest-Pass-1234")
    with pytest.raises((ab.Denied, ab.Rejected), match="closed|denied"):
        dataset.annotate(
            "run", label_schema={"objects": OBJECTS}, backend="cvat", url=double.url, username="guest",
            password="guest-Pass-1234", organization="closed", progress=False,
        )  # fmt: skip
    assert dataset.list_annotation_runs() == []


def test_media_of_the_servers_share(double: Server, dataset: ab.Dataset, tmp_path: Path) -> None:
    for n in range(3):
        double.double.share[f"{n}.png"] = (tmp_path / f"{n}.png").read_bytes()
    run = Run(dataset, double, media="share", media_root=str(tmp_path))
    assert run.load().total == 0
    assert not [r for r in double.double.requests if r.path.endswith(f"/{run.task['task']}/data") and r.size > 2_000]
    run.close()


@pytest.mark.every_version
def test_one_mistake_of_the_server_is_told_with_its_reason(double: Server, dataset: ab.Dataset) -> None:
    """D20, D14: the server's reason is shown, the bytes of images are not."""
    double.double.fail_next("POST", r"/data", status=400, body=["image_quality is wrong"])
    with pytest.raises(ab.Rejected, match="image_quality is wrong") as e:
        Run(dataset, double)
    assert len(str(e.value)) < 1_000
    dataset.abort_annotation("run", url=double.url, token=double.token)


@pytest.mark.every_version
def test_ids_of_another_task_are_strangers(send: Any) -> None:
    """A shape that bears the number of a label of another task is never taken for it: samples are part of the key."""
    run = send(task_size=1)
    receipt = run.results.receipts()[0]
    stolen = run.results.with_baseline(receipt)
    other = run.results.with_baseline(run.results.receipts()[1])
    found = run.results.backend.download(Receipt(stolen.task, other.state, stolen.baseline))
    assert set(found.samples.to_pylist()) == {"s1"}
    assert pa.compute.is_in(found.labels["sample_id"], value_set=pa.array(["s1"])).to_pylist() == [True, True]
