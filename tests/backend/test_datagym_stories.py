"""What people do at DataGym's editor, and what comes of it here; in both editions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import datagym_servers
from tests.backend.datagym_cases import HEIGHT, NESTED, SCHEMA, WIDTH, dataset, finish, images, remote, row
from tests.contract.datagym_hands import Editor, add_class
from tests.datagym_servers import Server

import annobridge as ab
from annobridge.core.geometry import decode_rle
from annobridge.exceptions import StalePlan

pytestmark = pytest.mark.filterwarnings("ignore::annobridge_datagym.filling.BacklogWarning")


@pytest.fixture(params=["hosted", "open_core"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with getattr(datagym_servers, request.param)() as found:
        yield found


@pytest.fixture
def ds(tmp_path: Path) -> ab.Dataset:
    return dataset(tmp_path)


def annotate(ds: ab.Dataset, server: Server, schema: Any = SCHEMA, **more: Any) -> ab.AnnotationResults:
    options = {**server.options(), **(NESTED if schema is SCHEMA else {}), **more}
    return ds.annotate("run", label_schema=schema, backend="datagym", progress=False, **options)


def load(ds: ab.Dataset, server: Server, **more: Any) -> Any:
    options = {k: v for k, v in server.options().items() if k != "project_name"}
    return ds.load_annotations("run", progress=False, **options, **more)


def counts(report: Any) -> tuple[int, int, int]:
    return report.added, report.edited, report.deleted


def value(editor: Editor, sample: str, key: str) -> tuple[Any, Any]:
    task = editor.task(sample)
    return task, next(v for v in task["labelIteration"]["entryValues"] if v["entryKeyLcEntry"] == key)


def test_everything_comes_back_untouched(ds: ab.Dataset, server: Server) -> None:
    before = ds.labels().to_arrow()
    results = annotate(ds, server)
    assert load(ds, server).changes == 0
    finish(server, results)
    report = load(ds, server, unexpected="return")
    assert (report.changes, len(report.unexpected), report.notes) == (0, 0, ())
    assert ds.labels().to_arrow().equals(before)


def test_only_finished_images_are_loaded(ds: ab.Dataset, server: Server) -> None:
    results = annotate(ds, server)
    editor = Editor(server, results)
    for sample in ("s0", "s1"):
        _, bus = value(editor, sample, "bus")
        server.call("DELETE", f"lcValue/{bus['id']}", f"lcvalues/{bus['id']}")
    assert load(ds, server, force=True).changes == 0
    finish(server, results, "s1")
    assert counts(load(ds, server, force=True)) == (0, 0, 1)
    assert counts(load(ds, server, force=True, unfinished=True)) == (0, 0, 1)


def test_a_copied_tag_is_an_addition(ds: ab.Dataset, server: Server) -> None:
    results = annotate(ds, server)
    editor = Editor(server, results)
    task, bus = value(editor, "s0", "bus")
    copy = editor.draw(task, {"id": bus["lcEntryId"]}, x=64.0, y=96.0, width=bus["width"], height=bus["height"])
    tag = next(c for c in copy["children"] if c["entryKeyLcEntry"] == "ab_id")
    editor.update(task, tag, text="bus0")
    finish(server, results)
    report = load(ds, server)
    assert counts(report) == (1, 0, 0)
    assert counts(load(ds, server)) == (0, 0, 0)


def test_a_copied_tag_is_an_addition_without_ids_of_values_too(ds: ab.Dataset, server: Server) -> None:
    """The copy was moved; the one that lies where it was sent to is the label."""
    results = annotate(ds, server, value_ids=False)
    editor = Editor(server, results)
    task, bus = value(editor, "s0", "bus")
    copy = editor.draw(task, {"id": bus["lcEntryId"]}, x=1.0, y=2.0, width=30.0, height=20.0)
    editor.update(task, next(c for c in copy["children"] if c["entryKeyLcEntry"] == "ab_id"), text="bus0")
    finish(server, results)
    report = load(ds, server)
    assert counts(report) == (1, 0, 0)
    assert report.writes()["bounding_box"].to_pylist() == [[1 / WIDTH, 2 / HEIGHT, 30 / WIDTH, 20 / HEIGHT]]


@pytest.mark.parametrize("value_ids", [True, False])
def test_a_changed_class_keeps_the_id_and_the_attributes(ds: ab.Dataset, server: Server, value_ids: bool) -> None:
    """DataGym makes a new value without tag and attributes; the place says which label it is."""
    results = annotate(ds, server, value_ids=value_ids)
    editor = Editor(server, results)
    task, bus = value(editor, "s0", "bus")
    tram = editor.entry(task, "tram", "RECTANGLE")
    body = {"newLcEntryId": tram["id"]}
    server.call("PUT", f"lcValue/{bus['id']}/changeType", f"lcvalues/{bus['id']}/changeType", json=body)
    finish(server, results)
    report = load(ds, server)
    assert counts(report) == (0, 1, 0)
    assert report.writes()["components"].to_pylist() == [["label"]]
    assert (row(ds, "bus0")["label"], row(ds, "bus0")["attributes"]) == ("tram", {"number": 7})
    assert counts(load(ds, server)) == (0, 0, 0)


def test_a_deleted_tag_loses_nothing(ds: ab.Dataset, server: Server) -> None:
    results = annotate(ds, server)
    editor = Editor(server, results)
    task, bus = value(editor, "s0", "bus")
    editor.update(task, next(c for c in bus["children"] if c["entryKeyLcEntry"] == "ab_id"), text=None)
    editor.update(task, bus, x=1.25)
    finish(server, results)
    report = load(ds, server)
    assert counts(report) == (0, 1, 0)
    assert row(ds, "bus0")["bounding_box"][0] == 1.25 / WIDTH


def test_an_edit_is_read_in_full_precision(ds: ab.Dataset, server: Server) -> None:
    """The export has whole pixels; of images with changes the tasks are read."""
    results = annotate(ds, server)
    editor = Editor(server, results)
    task, bus = value(editor, "s0", "bus")
    editor.update(task, bus, x=100.125)
    finish(server, results)
    assert counts(load(ds, server)) == (0, 1, 0)
    assert row(ds, "bus0")["bounding_box"][0] == 100.125 / WIDTH


def test_a_move_of_less_than_a_pixel_is_found_when_every_task_is_read(ds: ab.Dataset, server: Server) -> None:
    results = annotate(ds, server)
    editor = Editor(server, results)
    task, bus = value(editor, "s0", "bus")
    editor.update(task, bus, x=64.5)
    finish(server, results)
    assert counts(load(ds, server)) == (0, 0, 0)
    assert counts(load(ds, server, source="tasks")) == (0, 1, 0)


def test_a_server_without_task_calls_is_read_by_its_export(tmp_path: Path) -> None:
    """Older hosted servers: whole pixels, and tags; the rest of a changed label stays."""
    ds = dataset(tmp_path)
    with datagym_servers.hosted() as server:
        server.double.state.has_task_api = False
        results = annotate(ds, server)
        assert set(results.receipts()[0].state["tasks"]) == {None}
        state = server.double.state
        for task in state.tasks.values():
            task.state = "COMPLETED"
            for found in task.values:
                if found.entry.key == "bus" and task.media.name == "photo_0.png":
                    found.points = [(10.75, 20.75)]
        assert counts(load(ds, server)) == (0, 1, 0)
        assert row(ds, "bus0")["bounding_box"] == [10 / WIDTH, 20 / HEIGHT, 79 / WIDTH, 120 / HEIGHT]
        assert counts(load(ds, server)) == (0, 0, 0)


def test_a_shape_partly_off_the_image_is_not_deleted(tmp_path: Path) -> None:
    """The export has nulls for it: without the task it stays where it was."""
    ds = dataset(tmp_path)
    with datagym_servers.hosted() as server:
        server.double.state.has_task_api = False
        annotate(ds, server)
        for task in server.double.state.tasks.values():
            task.state = "COMPLETED"
            for found in task.values:
                if found.entry.key == "bus":
                    found.points = [(-5.0, 20.0)]
        report = load(ds, server)
    assert report.changes == 0
    assert any("shapes that DataGym holds for broken" in note for note in report.notes)


def test_a_class_that_was_removed_there_deletes_nothing_here(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    with datagym_servers.open_core() as server:
        results = annotate(ds, server)
        project = server.double.state.project(results.receipts()[0].state["project"])
        project.entries = [e for e in project.entries if e.key != "bus"]
        for task in server.double.state.tasks.values():
            task.values = [v for v in task.values if v.entry.key != "bus"]
        finish(server, results)
        report = load(ds, server)
    assert report.changes == 0
    assert any("classes bus were removed" in note for note in report.notes)


def test_each_point_of_a_label_is_a_point_there(server: Server, tmp_path: Path) -> None:
    ds = ab.create_dataset(tmp_path / "data")
    points = [(0.1, 0.1), (float("nan"), float("nan")), (0.3, 0.3), (0.4, 0.4)]
    sample = ab.Sample(images(tmp_path / "images", 1)[0], sample_id="s0")
    sample["body"] = ab.Keypoint("person", points, label_id="body0")
    ds.add_samples([sample])
    results = annotate(ds, server, {"body": {"type": "keypoints", "classes": ["person"]}})
    assert len(remote(results, "body0")["remote_id"].split("+")) == 3
    editor = Editor(server, results)
    task = editor.task("s0")
    there = sorted(task["labelIteration"]["entryValues"], key=lambda v: v["point"]["x"])
    editor.update(task, there[0], x=32.0, y=24.0)
    server.call("DELETE", f"lcValue/{there[1]['id']}", f"lcvalues/{there[1]['id']}")
    finish(server, results)
    assert counts(load(ds, server)) == (0, 1, 0)
    found = row(ds, "body0")
    assert found["points"][0][0] == [32 / WIDTH, 24 / HEIGHT]
    assert found["points"][0][3] == [0.4, 0.4]
    assert np.isnan(found["points"][0][1:3]).all()
    assert found["visibility"] == [2, 0, 0, 2]


def test_a_mask_keeps_the_holes_of_regions_that_nobody_touched(server: Server, tmp_path: Path) -> None:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[10:40, 10:60] = True
    mask[20:30, 20:40] = False  # a hole
    mask[100:120, 100:140] = True
    ds = ab.create_dataset(tmp_path / "data")
    sample = ab.Sample(images(tmp_path / "images", 1)[0], sample_id="s0")
    sample["things"] = ab.Detection("thing", mask=mask, label_id="thing0")
    ds.add_samples([sample])
    results = annotate(ds, server, {"things": {"type": "instances", "classes": ["thing"]}})
    editor = Editor(server, results)
    task = editor.task("s0")
    right = max(task["labelIteration"]["entryValues"], key=lambda v: v["points"][0]["x"])
    editor.update(task, right, points=[{"x": x, "y": y} for x, y in ((200, 100), (240, 100), (240, 120), (200, 120))])
    finish(server, results)
    assert counts(load(ds, server)) == (0, 1, 0)
    mask[100:120, 100:140] = False
    mask[100:120, 200:240] = True
    assert np.array_equal(decode_rle(row(ds, "thing0")["mask"]), mask)


def test_shapes_in_shapes_go_there_and_back(server: Server, tmp_path: Path) -> None:
    ds = ab.create_dataset(tmp_path / "data")
    sample = ab.Sample(images(tmp_path / "images", 1)[0], sample_id="s0")
    sample["cars"] = ab.Detection("car", [0.1, 0.1, 0.5, 0.5], label_id="car0", color="red")
    sample["plates"] = ab.Polyline(
        "plate", [[(0.2, 0.2), (0.3, 0.2), (0.3, 0.3)]], filled=True, label_id="plate0", parent="car0", color="white"
    )
    ds.add_samples([sample])
    colour = {"color": {"type": "text"}}
    schema = {
        "cars": {"type": "detections", "classes": ["car"], "attributes": colour},
        "plates": {"type": "polygons", "classes": ["plate"], "attributes": {**colour, "parent": {"type": "text"}}},
    }
    before = ds.labels().to_arrow()
    results = annotate(ds, server, schema, nested_fields={"plates": "cars"})
    editor = Editor(server, results)
    task, car = value(editor, "s0", "car")
    plate = next(c for c in car["children"] if c["entryKeyLcEntry"] == "plate")
    finish(server, results)
    assert load(ds, server).changes == 0
    assert ds.labels().to_arrow().equals(before)
    corners = ((64, 48), (128, 48), (128, 96))
    editor.draw(task, {"id": plate["lcEntryId"]}, car["id"], points=[{"x": x, "y": y} for x, y in corners])
    report = load(ds, server)
    assert counts(report) == (1, 0, 0)
    assert report.writes()["attributes"].to_pylist() == [[{"name": "parent", "type": "str", "value": '"car0"'}]]


def test_a_closed_line_is_a_polygon_there(server: Server, tmp_path: Path) -> None:
    ds = ab.create_dataset(tmp_path / "data")
    sample = ab.Sample(images(tmp_path / "images", 1)[0], sample_id="s0")
    corners = [[(0.2, 0.2), (0.3, 0.2), (0.3, 0.3)]]
    sample["lanes"] = [
        ab.Polyline("lane", corners, label_id="open"),
        ab.Polyline("lane", corners, True, label_id="shut"),
    ]
    ds.add_samples([sample])
    results = annotate(ds, server, {"lanes": {"type": "polylines", "classes": ["lane"]}})
    editor = Editor(server, results)
    task, closed = value(editor, "s0", "lane closed")
    assert closed["entryTypeLcEntry"] == "POLYGON"
    square = [{"x": x, "y": y} for x, y in ((0, 0), (64, 0), (64, 48))]
    editor.draw(task, {"id": closed["lcEntryId"]}, points=square)
    finish(server, results)
    report = load(ds, server)
    assert counts(report) == (1, 0, 0)
    assert report.writes()["closed"].to_pylist() == [True]
    assert report.writes()["kind"].to_pylist() == ["polyline"]


def test_a_lost_answer_to_an_import_sends_no_label_twice(ds: ab.Dataset, server: Server) -> None:
    """The connection breaks off after the server has stored the batch; it is sent again, and replaces itself."""
    lost = []

    def cut(request: Any) -> bool:
        if request.path.endswith("/prediction") and not lost:
            lost.append(request)
            return True
        return False

    server.double.cut_after(cut)
    results = annotate(ds, server)
    assert len(lost) == 1
    finish(server, results)
    assert load(ds, server).changes == 0


def test_status_counts_images_by_the_state_of_their_task(ds: ab.Dataset, server: Server) -> None:
    results = annotate(ds, server)
    (task,) = results.status()["tasks"].values()
    assert task["samples"] == ({"backlog": 2} if server.v1 else {"waiting": 2})
    assert task["url"].endswith(f"/projects/details/{results.receipts()[0].state['project']}/tasks")
    finish(server, results, "s0")
    assert sorted(results.status()["tasks"].popitem()[1]["samples"].values()) == [1, 1]


def test_the_hosted_edition_says_that_tasks_wait_in_the_backlog(ds: ab.Dataset) -> None:
    with (
        datagym_servers.hosted() as server,
        pytest.warns(UserWarning, match="in the backlog, where labelers do not see"),
    ):
        annotate(ds, server)


def test_cleaning_up_leaves_nothing_of_ours(ds: ab.Dataset, server: Server) -> None:
    results = annotate(ds, server)
    results.cleanup()
    state = server.double.state
    assert [p.name for p in state.projects.values() if not p.deleted] == (["Road signs"] if server.v1 else [])
    assert not [m for d in state.datasets.values() for m in d.present()]
    assert not state.tasks


def test_images_are_sent_as_addresses(ds: ab.Dataset, server: Server, tmp_path: Path) -> None:
    root = str(tmp_path / "images")
    annotate(ds, server, media="urls", media_root=root, url_root="https://pictures.example/ab")
    (dataset_,) = server.double.state.datasets.values()
    assert sorted(m.url for m in dataset_.media) == [f"https://pictures.example/ab/photo_{n}.png" for n in range(2)]
    assert load(ds, server, unfinished=True).changes == 0


def test_one_export_serves_all_tasks_of_a_load(tmp_path: Path, server: Server) -> None:
    ds = dataset(tmp_path, 4)
    results = annotate(ds, server, task_size=1)
    finish(server, results)
    server.double.state.calls.clear()
    assert load(ds, server).changes == 0
    assert sum("export" in path for _, path in server.double.state.calls) == 1
    plan = results.plan()
    editor = Editor(server, results)
    task, bus = value(editor, "s0", "bus")
    editor.update(task, bus, x=1.0)
    with pytest.raises(StalePlan, match="went on since the plan"):
        plan.apply()


@pytest.mark.parametrize("unfinished", [False, True])
def test_classes_that_nobody_expected_are_returned_or_kept(ds: ab.Dataset, server: Server, unfinished: bool) -> None:
    """A box and a segment of classes that somebody added; kept once, they are found again."""
    results = annotate(ds, server)
    editor = Editor(server, results)
    project = results.receipts()[0].state["project"]
    box = add_class(server, project, {"entryKey": "zebra", "entryValue": "Zebra", "type": "rectangle"})
    area = add_class(server, project, {"entryKey": "grass", "entryValue": "Grass", "type": "image_segmentation"})
    task = editor.task("s1")
    editor.draw(task, box, x=10.0, y=10.0, width=20.0, height=20.0)
    rings = [[(0, 0), (64, 0), (64, 48), (0, 48)], [(10, 10), (20, 10), (20, 20), (10, 20)]]
    editor.draw(task, area, pointsCollection=[{"points": [{"x": x, "y": y} for x, y in ring]} for ring in rings])
    if not unfinished:
        finish(server, results)
    returned = load(ds, server, unexpected="return", unfinished=unfinished)
    assert sorted(returned.unexpected["kind"].to_pylist()) == ["box", "segmentation"]
    assert returned.changes == 0
    kept = load(ds, server, unexpected="keep", unfinished=unfinished)
    assert counts(kept) == (2, 0, 0)
    segment = next(r for r in kept.writes().to_pylist() if r["kind"] == "segmentation")
    assert decode_rle(segment["mask"]).sum() == 64 * 48 - 10 * 10
    assert load(ds, server, unexpected="keep", unfinished=unfinished).changes == 0


def test_an_id_of_another_image_is_told(ds: ab.Dataset, server: Server) -> None:
    results = annotate(ds, server)
    editor = Editor(server, results)
    task, bus = value(editor, "s0", "bus")
    drawn = editor.draw(task, {"id": bus["lcEntryId"]}, x=300.0, y=300.0, width=20.0, height=20.0)
    editor.update(task, next(c for c in drawn["children"] if c["entryKeyLcEntry"] == "ab_id"), text="of elsewhere")
    finish(server, results)
    report = load(ds, server)
    assert counts(report) == (1, 0, 0)
    assert (
        "1 shapes bear the id of no label that was sent with their image ('of elsewhere'); they are new ones."
        in report.notes
    )
