"""What people do in DataGym's editor, and what is loaded then, in both editions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import datagym_servers
from tests.backend.datagym_cases import HEIGHT, NESTED, SCHEMA, WIDTH, dataset, finish, remote, row, single
from tests.contract.datagym_hands import Editor, add_class
from tests.datagym_servers import Server
from tests.doubles.datagym import config as configuration

import annobridge as ab
from annobridge.core.geometry import decode_rle
from annobridge.exceptions import Rejected, StalePlan

pytestmark = pytest.mark.filterwarnings("ignore::annobridge_datagym.upload.BacklogWarning")


@pytest.fixture(params=datagym_servers.KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with datagym_servers.running(request.param) as found:
        yield found


@pytest.fixture(params=datagym_servers.DOUBLES)
def doubled(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A double, which can be inspected and made to fail."""
    with datagym_servers.running(request.param) as found:
        yield found


@pytest.fixture
def ds(tmp_path: Path) -> ab.Dataset:
    return dataset(tmp_path)


def annotate(ds: ab.Dataset, server: Server, schema: Any = SCHEMA, **more: Any) -> ab.AnnotationResults:
    options = {**server.options(), **(NESTED if schema is SCHEMA else {}), **more}
    return ds.annotate("run", label_schema=schema, backend="datagym", progress=False, **options)


def load(ds: ab.Dataset, server: Server, **more: Any) -> Any:
    return ds.load_annotations("run", progress=False, **server.login(), **more)


def counts(report: Any) -> tuple[int, int, int]:
    return report.added, report.edited, report.deleted


def value(editor: Editor, sample: str, key: str) -> tuple[Any, Any]:
    task = editor.task(sample)
    return task, next(v for v in task["labelIteration"]["entryValues"] if v["entryKeyLcEntry"] == key)


def child(of: Any, key: str) -> Any:
    return next(c for c in of["children"] if c["entryKeyLcEntry"] == key)


def copied(editor: Editor, task: Any, of: Any, tag: str, **place: float) -> None:
    """Copy a shape, with the label id that it shows."""
    entry = {"id": of["lcEntryId"]}
    made = editor.draw(task, entry, **place)
    values = editor.task_again(task)["labelIteration"]["entryValues"]
    editor.update(task, child(next(v for v in values if v["id"] == made["id"]), "ab_id"), text=tag)


def change_class(editor: Editor, sample: str, key: str, to: str) -> None:
    task, found = value(editor, sample, key)
    path = f"{found['id']}/changeType"
    body = {"newLcEntryId": editor.entry(task, to, found["entryTypeLcEntry"])["id"]}
    editor.server.call("PUT", f"lcValue/{path}", f"lcvalues/{path}", json=body)


def delete(server: Server, found: Any) -> None:
    server.call("DELETE", f"lcValue/{found['id']}", f"lcvalues/{found['id']}")


def test_unedited_labels_come_back_unchanged(ds: ab.Dataset, server: Server) -> None:
    before = ds.labels().to_arrow()
    results = annotate(ds, server)
    assert load(ds, server).total == 0
    finish(server, results)
    report = load(ds, server, unexpected="return")
    assert (report.total, len(report.unexpected), report.notes) == (0, 0, ())
    assert ds.labels().to_arrow().equals(before)


def test_only_finished_images_are_loaded(ds: ab.Dataset, server: Server) -> None:
    results = annotate(ds, server)
    editor = Editor(server, results)
    for sample in ("s0", "s1"):
        delete(server, value(editor, sample, "bus")[1])
    assert load(ds, server, force=True).total == 0
    finish(server, results, "s1")
    assert counts(load(ds, server, force=True)) == (0, 0, 1)
    assert counts(load(ds, server, force=True, unfinished=True)) == (0, 0, 1)


def test_a_copy_is_an_addition(ds: ab.Dataset, server: Server) -> None:
    results = annotate(ds, server)
    editor = Editor(server, results)
    task, bus = value(editor, "s0", "bus")
    copied(editor, task, bus, "bus0", x=64.0, y=96.0, width=bus["width"], height=bus["height"])
    finish(server, results)
    report = load(ds, server)
    assert counts(report) == (1, 0, 0)
    assert counts(load(ds, server)) == (0, 0, 0)


def test_a_copy_is_an_addition_without_value_ids_too(ds: ab.Dataset, server: Server) -> None:
    """The copy was moved; the shape that is where it was sent to is the label."""
    results = annotate(ds, server, value_ids=False)
    editor = Editor(server, results)
    task, bus = value(editor, "s0", "bus")
    copied(editor, task, bus, "bus0", x=1.0, y=2.0, width=30.0, height=20.0)
    finish(server, results)
    report = load(ds, server)
    assert counts(report) == (1, 0, 0)
    assert report.writes()["bounding_box"].to_pylist() == [[1 / WIDTH, 2 / HEIGHT, 30 / WIDTH, 20 / HEIGHT]]


@pytest.mark.parametrize("value_ids", [True, False])
def test_a_changed_class_keeps_the_id_and_the_attributes(ds: ab.Dataset, server: Server, value_ids: bool) -> None:
    """DataGym makes a new value without label id and attributes; it is matched by its position."""
    results = annotate(ds, server, value_ids=value_ids)
    change_class(Editor(server, results), "s0", "bus", "tram")
    finish(server, results)
    report = load(ds, server)
    assert counts(report) == (0, 1, 0)
    assert report.writes()["components"].to_pylist() == [["label"]]
    assert (row(ds, "bus0")["label"], row(ds, "bus0")["attributes"]) == ("tram", {"number": 7})
    assert counts(load(ds, server)) == (0, 0, 0)


def test_a_class_that_is_changed_again_after_a_load_keeps_them_too(ds: ab.Dataset, server: Server) -> None:
    results = annotate(ds, server, show_ids=False)
    for key, to in (("bus", "tram"), ("tram", "bus")):
        change_class(Editor(server, results), "s0", key, to)
        finish(server, results)
        assert counts(load(ds, server)) == (0, 1, 0)
        assert (row(ds, "bus0")["label"], row(ds, "bus0")["attributes"]) == (to, {"number": 7})
        assert counts(load(ds, server)) == (0, 0, 0)


def test_a_cleared_attribute_is_removed_here_without_shown_ids_too(ds: ab.Dataset, server: Server) -> None:
    results = annotate(ds, server, show_ids=False)
    editor = Editor(server, results)
    task, bus = value(editor, "s0", "bus")
    editor.update(task, child(bus, "number"), text=None)
    finish(server, results)
    assert counts(load(ds, server)) == (0, 1, 0)
    assert row(ds, "bus0")["attributes"] == {}


def test_parts_that_were_deleted_stay_deleted(server: Server, tmp_path: Path) -> None:
    """The label keeps its id at DataGym, which names the values of all the parts that it had."""
    corners = [[(x, 0.1), (x + 0.1, 0.1), (x, 0.3)] for x in (0.1, 0.4, 0.7)]
    ds = single(tmp_path, cars=ab.Polyline("car", corners, filled=True, label_id="car0"))
    results = annotate(ds, server, {"cars": {"type": "polygons", "classes": ["car"]}})
    editor = Editor(server, results)
    left, middle, right = sorted(editor.task("s0")["labelIteration"]["entryValues"], key=lambda v: v["points"][0]["x"])
    delete(server, left)
    finish(server, results)
    assert counts(load(ds, server)) == (0, 1, 0)
    assert load(ds, server).total == 0
    delete(server, middle)
    editor.update(editor.task("s0"), right, points=[{"x": x, "y": y} for x, y in ((500, 48), (512, 48), (500, 144))])
    assert counts(load(ds, server)) == (0, 1, 0)
    assert row(ds, "car0")["points"] == [[[500 / 640, 0.1], [0.8, 0.1], [500 / 640, 0.3]]]
    assert load(ds, server).total == 0


def test_labels_that_datagym_cannot_show_are_not_deleted_here(server: Server, tmp_path: Path) -> None:
    """DataGym does not show an empty text or a mask without pixels."""
    nothing = ab.Detection("thing", [0.1, 0.1, 0.1, 0.1], mask=np.zeros((HEIGHT, WIDTH), bool), label_id="thing0")
    ds = single(tmp_path, note=ab.Scalar("", label_id="note0"), things=[nothing])
    schema = {"note": {"type": "scalar"}, "things": {"type": "instances", "classes": ["thing"]}}
    results = annotate(ds, server, schema)
    finish(server, results)
    assert load(ds, server, force=True).total == 0
    editor = Editor(server, results)
    editor.answer(*value(editor, "s0", "note"), "seen")
    assert counts(load(ds, server)) == (0, 1, 0)
    assert row(ds, "note0")["value"] == '"seen"'


def test_a_deleted_label_id_loses_nothing(ds: ab.Dataset, server: Server) -> None:
    results = annotate(ds, server)
    editor = Editor(server, results)
    task, bus = value(editor, "s0", "bus")
    editor.update(task, child(bus, "ab_id"), text=None)
    editor.update(task, bus, x=1.25)
    finish(server, results)
    report = load(ds, server)
    assert counts(report) == (0, 1, 0)
    assert row(ds, "bus0")["bounding_box"][0] == 1.25 / WIDTH


def test_an_edit_is_read_in_full_precision(ds: ab.Dataset, server: Server) -> None:
    """The export has whole pixels; the tasks of images with changes are read."""
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


@pytest.fixture
def older() -> Iterator[Server]:
    """A hosted server of an older version, whose API shows no tasks; only the export can be read."""
    with datagym_servers.hosted() as found:
        found.double.state.has_task_api = False
        yield found


def buses(server: Server, *images_: str) -> list[Any]:
    """The finished buses of images, as the server has them."""
    for task in server.double.state.tasks.values():
        task.state = "COMPLETED"
    tasks = [t for t in server.double.state.tasks.values() if not images_ or t.media.name in images_]
    return [v for task in tasks for v in task.values if v.entry.key == "bus"]


def test_a_server_without_task_calls_is_read_by_its_export(ds: ab.Dataset, older: Server) -> None:
    """The export has whole pixels and label ids; the rest of a changed label stays."""
    results = annotate(ds, older)
    assert set(results.receipts()[0].state["tasks"]) == {None}
    (bus,) = buses(older, "photo_0.png")
    bus.points = [(10.75, 20.75)]
    assert counts(load(ds, older)) == (0, 1, 0)
    assert row(ds, "bus0")["bounding_box"] == [10 / WIDTH, 20 / HEIGHT, 79 / WIDTH, 120 / HEIGHT]
    assert counts(load(ds, older)) == (0, 0, 0)


def test_a_copy_is_added_once_without_task_calls_too(ds: ab.Dataset, older: Server) -> None:
    """It shows the id of another label, and is matched by its position when it is loaded again."""
    annotate(ds, older)
    (bus,) = buses(older, "photo_0.png")
    copy = bus.copy()
    copy.points = [(300.0, 300.0)]
    next(t for t in older.double.state.tasks.values() if bus in t.values).values.append(copy)
    assert counts(load(ds, older)) == (1, 0, 0)
    assert counts(load(ds, older)) == (0, 0, 0)


def test_rounding_errors_do_not_change_whole_pixels(older: Server, tmp_path: Path) -> None:
    """29 / 640 * 640 may be 28.999999999999996, which the export truncates to 28."""
    odd = next(x for x in range(1, HEIGHT) if x / HEIGHT * HEIGHT < x)
    ds = single(tmp_path, buses=ab.Detection("bus", [0.1, odd / HEIGHT, 0.1, 0.1], label_id="bus0"))
    annotate(ds, older, {"buses": SCHEMA["buses"]})
    (bus,) = buses(older)
    bus.points = [(5.0, bus.points[0][1])]
    assert counts(load(ds, older)) == (0, 1, 0)
    assert row(ds, "bus0")["bounding_box"][1] == odd / HEIGHT


@pytest.mark.parametrize("option", [{"source": "tasks"}, {"unfinished": True}])
def test_options_that_need_tasks_are_refused_without_task_calls(ds: ab.Dataset, older: Server, option: Any) -> None:
    annotate(ds, older)
    with pytest.raises(Rejected, match="shows tasks to no program.*leave them out, and finished images are loaded"):
        load(ds, older, **option)


@pytest.mark.parametrize("show_ids", [True, False])
def test_a_shape_partly_off_the_image_is_not_deleted(ds: ab.Dataset, older: Server, show_ids: bool) -> None:
    """The export has nulls for it, so without the task it stays where it was."""
    annotate(ds, older, show_ids=show_ids)
    for bus in buses(older):
        bus.points = [(-5.0, 20.0)]
    report = load(ds, older)
    assert report.total == 0
    assert any("shapes that DataGym considers invalid" in note for note in report.notes)


def test_a_configuration_is_replaced_once_without_task_calls_too(ds: ab.Dataset, older: Server) -> None:
    """The second task cannot read that the configuration is the run's; replacing it again would delete the first one's labels."""
    (project,) = older.double.state.projects.values()
    poi = {"entryKey": "poi", "entryValue": "Poi", "type": "point", "children": []}
    configuration.replace_all(project, configuration.read([poi]))
    annotate(ds, older, replace_config_and_delete_all_labels=True, task_size=1)
    assert sum(method == "DELETE" for method, _ in older.double.state.calls) == 1
    assert len(buses(older)) == 2
    assert load(ds, older).total == 0


def test_a_class_that_was_removed_at_datagym_deletes_nothing_here(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    with datagym_servers.open_core() as server:
        results = annotate(ds, server)
        project = server.double.state.project(results.receipts()[0].state["project"])
        project.entries = [e for e in project.entries if e.key != "bus"]
        for task in server.double.state.tasks.values():
            task.values = [v for v in task.values if v.entry.key != "bus"]
        finish(server, results)
        report = load(ds, server)
    assert report.total == 0
    assert any("classes bus were removed" in note for note in report.notes)


def test_each_point_of_a_label_is_a_point_at_datagym(server: Server, tmp_path: Path) -> None:
    points = [(0.1, 0.1), (float("nan"), float("nan")), (0.3, 0.3), (0.4, 0.4)]
    ds = single(tmp_path, body=ab.Keypoint("person", points, label_id="body0"))
    results = annotate(ds, server, {"body": {"type": "keypoints", "classes": ["person"]}})
    assert len(remote(results, "body0")["remote_id"].split("+")) == 3
    editor = Editor(server, results)
    task = editor.task("s0")
    there = sorted(task["labelIteration"]["entryValues"], key=lambda v: v["point"]["x"])
    editor.update(task, there[0], x=32.0, y=24.0)
    delete(server, there[1])
    finish(server, results)
    assert counts(load(ds, server)) == (0, 1, 0)
    found = row(ds, "body0")
    assert found["points"][0][0] == [32 / WIDTH, 24 / HEIGHT]
    assert found["points"][0][3] == [0.4, 0.4]
    assert np.isnan(found["points"][0][1:3]).all()
    assert found["visibility"] == [2, 0, 0, 2]
    assert load(ds, server).total == 0


def test_a_mask_keeps_the_holes_of_unedited_regions(server: Server, tmp_path: Path) -> None:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[10:40, 10:60] = True
    mask[20:30, 20:40] = False  # a hole
    mask[100:120, 100:140] = True
    ds = single(tmp_path, things=ab.Detection("thing", mask=mask, label_id="thing0"))
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
    assert load(ds, server).total == 0


def test_nested_shapes_are_sent_and_loaded(server: Server, tmp_path: Path) -> None:
    corners = [[(0.2, 0.2), (0.3, 0.2), (0.3, 0.3)]]
    ds = single(
        tmp_path,
        cars=ab.Detection("car", [0.1, 0.1, 0.5, 0.5], label_id="car0", color="red"),
        plates=ab.Polyline("plate", corners, filled=True, label_id="plate0", parent="car0", color="white"),
    )
    colour = {"color": {"type": "text"}}
    schema = {
        "cars": {"type": "detections", "classes": ["car"], "attributes": colour},
        "plates": {"type": "polygons", "classes": ["plate"], "attributes": {**colour, "parent": {"type": "text"}}},
    }
    before = ds.labels().to_arrow()
    results = annotate(ds, server, schema, nested_fields={"plates": "cars"})
    editor = Editor(server, results)
    task, car = value(editor, "s0", "car")
    plate = child(car, "plate")
    finish(server, results)
    assert load(ds, server).total == 0
    assert ds.labels().to_arrow().equals(before)
    drawn = [{"x": x, "y": y} for x, y in ((64, 48), (128, 48), (128, 96))]
    editor.draw(task, {"id": plate["lcEntryId"]}, car["id"], points=drawn)
    report = load(ds, server)
    assert counts(report) == (1, 0, 0)
    assert report.writes()["attributes"].to_pylist() == [[{"name": "parent", "type": "str", "value": '"car0"'}]]
    assert load(ds, server).total == 0


def test_a_closed_line_is_a_polygon_at_datagym(server: Server, tmp_path: Path) -> None:
    corners = [[(0.2, 0.2), (0.3, 0.2), (0.3, 0.3)]]
    lanes = [ab.Polyline("lane", corners, label_id="open"), ab.Polyline("lane", corners, True, label_id="shut")]
    ds = single(tmp_path, lanes=lanes)
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


def test_attributes_of_one_name_may_differ_between_classes(server: Server, tmp_path: Path) -> None:
    boxes = [ab.Detection("car", [0.1, 0.1, 0.2, 0.2], kind="a"), ab.Detection("bus", [0.4, 0.4, 0.2, 0.2], kind="c")]
    ds = single(tmp_path, d=boxes)
    kinds = [
        {"classes": [c], "attributes": {"kind": {"type": "select", "values": v}}}
        for c, v in (("car", ["a", "b"]), ("bus", ["c", "d"]))
    ]
    results = annotate(ds, server, {"d": {"type": "detections", "classes": kinds}})
    finish(server, results)
    assert load(ds, server).total == 0


def test_a_run_with_a_long_name_in_several_tasks(ds: ab.Dataset, server: Server) -> None:
    """Names of projects and datasets are shortened, and stay distinct."""
    key, schema = "r" * 300, {"buses": SCHEMA["buses"]}
    results = ds.annotate(key, label_schema=schema, backend="datagym", progress=False, task_size=1, **server.options())
    finish(server, results)
    numbers = {receipt.state["dataset"] for receipt in results.receipts()}
    assert len({d["name"] for d in server.call("GET", "dataset") if d["id"] in numbers}) == 2
    assert results.plan().total == 0


def test_a_lost_answer_to_an_import_sends_no_label_twice(ds: ab.Dataset, doubled: Server) -> None:
    """The connection is closed after the server has stored the batch; it is sent again, and replaces the first one."""
    lost = []

    def cut(request: Any) -> bool:
        if request.path.endswith("/prediction") and not lost:
            lost.append(request)
            return True
        return False

    doubled.double.cut_after(cut)
    results = annotate(ds, doubled)
    assert len(lost) == 1
    finish(doubled, results)
    assert load(ds, doubled).total == 0


def test_status_counts_images_by_the_state_of_their_task(ds: ab.Dataset, server: Server) -> None:
    results = annotate(ds, server)
    (task,) = results.status()["tasks"].values()
    assert task["samples"] == ({"backlog": 2} if server.v1 else {"waiting": 2})
    assert task["url"].endswith(f"/projects/details/{results.receipts()[0].state['project']}/tasks")
    finish(server, results, "s0")
    assert sorted(results.status()["tasks"].popitem()[1]["samples"].values()) == [1, 1]


def test_the_hosted_edition_warns_that_tasks_are_in_the_backlog(ds: ab.Dataset) -> None:
    with (
        datagym_servers.hosted() as server,
        pytest.warns(UserWarning, match="in the backlog, where labelers do not see"),
    ):
        annotate(ds, server)


def test_cleaning_up_deletes_everything_of_the_run(ds: ab.Dataset, doubled: Server) -> None:
    results = annotate(ds, doubled)
    results.cleanup()
    state = doubled.double.state
    assert [p.name for p in state.projects.values() if not p.deleted] == (["Road signs"] if doubled.v1 else [])
    assert not [m for d in state.datasets.values() for m in d.present()]
    assert not state.tasks


def test_images_are_sent_as_addresses(ds: ab.Dataset, server: Server, tmp_path: Path) -> None:
    root = str(tmp_path / "images")
    results = annotate(ds, server, media="urls", media_root=root, url_root="https://pictures.example/ab")
    dataset_ = results.receipts()[0].state["dataset"]
    media = server.call("GET", f"dataset/{dataset_}", f"dataset/{dataset_}/file")
    media = media["media"] if server.v1 else media
    assert {(m["mediaSourceType"], m["mediaName"]) for m in media} == {
        ("SHAREABLE_LINK", f"photo_{n}.png") for n in range(2)
    }
    if not server.v1:  # which shows no addresses
        assert sorted(m["url"] for m in media) == [f"https://pictures.example/ab/photo_{n}.png" for n in range(2)]
    assert load(ds, server, unfinished=True).total == 0


def test_one_export_serves_all_tasks_of_a_load(tmp_path: Path, doubled: Server) -> None:
    ds = dataset(tmp_path, 4)
    results = annotate(ds, doubled, task_size=1)
    finish(doubled, results)
    doubled.double.state.calls.clear()
    assert load(ds, doubled).total == 0
    assert sum("export" in path for _, path in doubled.double.state.calls) == 1
    plan = results.plan()
    editor = Editor(doubled, results)
    task, bus = value(editor, "s0", "bus")
    editor.update(task, bus, x=1.0)
    with pytest.raises(StalePlan, match="went on since the plan"):
        plan.apply()


@pytest.mark.parametrize("unfinished", [False, True])
def test_unexpected_classes_are_returned_or_kept(ds: ab.Dataset, server: Server, unfinished: bool) -> None:
    """A box and a segment of classes that somebody added; once kept, they are matched when loaded again."""
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
    assert returned.total == 0
    kept = load(ds, server, unexpected="keep", unfinished=unfinished)
    assert counts(kept) == (2, 0, 0)
    segment = next(r for r in kept.writes().to_pylist() if r["kind"] == "segmentation")
    assert decode_rle(segment["mask"]).sum() == 64 * 48 - 10 * 10
    assert load(ds, server, unexpected="keep", unfinished=unfinished).total == 0


def test_an_id_of_another_image_is_reported(ds: ab.Dataset, server: Server) -> None:
    results = annotate(ds, server)
    editor = Editor(server, results)
    task, bus = value(editor, "s0", "bus")
    copied(editor, task, bus, "of elsewhere", x=300.0, y=300.0, width=20.0, height=20.0)
    finish(server, results)
    report = load(ds, server)
    assert counts(report) == (1, 0, 0)
    assert (
        "1 shapes show the id of no label that was sent with their image ('of elsewhere'); they are new ones."
        in report.notes
    )
