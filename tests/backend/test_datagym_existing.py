"""What exists at DataGym already or changes there meanwhile: other configurations, older exports, deleted images."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import datagym_servers
from tests.backend.datagym_cases import SCHEMA, ByHand, dataset, finish, row, single
from tests.backend.test_datagym_files import through
from tests.contract.datagym_hands import Editor
from tests.datagym_servers import Server

import annobridge as ab
from annobridge.exceptions import AnnobridgeError, InvalidLabels

pytestmark = pytest.mark.filterwarnings("ignore::annobridge_datagym.upload.BacklogWarning")
SHAPES = {
    "streets": {"type": "polylines", "classes": ["street"]},
    "pois": {"type": "keypoints", "classes": ["poi"]},
    "buses": {"type": "detections", "classes": ["bus"]},
}
LINE = [[(0.0, 1 / 3), (1.0, 0.4), (0.5, 0.7)]]


def entry(key: str, type_: str, *children: Any, **more: Any) -> dict[str, Any]:
    return {"entryKey": key, "entryValue": key, "type": type_, "children": list(children), **more}


VENDOR = [  # the configuration that the vendor's document describes
    entry("bus", "rectangle"),
    entry("car", "polygon", entry("car_type", "select", options={"van": "Van"})),
    entry("street", "line"),
    entry("poi", "point"),
    entry("weather", "select", entry("daytime", "select", options={"day": "Day"}), options={"sunny": "Sunny"}),
]


@pytest.fixture(params=datagym_servers.KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with datagym_servers.running(request.param) as found:
        yield found


@pytest.fixture
def vendors(server: Server) -> Server:
    """A server whose project has the vendor's configuration, made by hand."""
    if server.double is not None:
        from tests.doubles.datagym import config, places

        state = server.double.state
        if not state.projects:
            server.project = "Road signs"
            places.create_project(state, {"owner": state.owner, "name": server.project, "shortDescription": "x"})
        (project,) = state.projects.values()
        config.replace_all(project, config.read(VENDOR))
    else:
        if server.shared:
            pytest.skip("the project is that of all tests")
        found = next(p for p in server.browse("GET", "project") if p["name"] == server.project)
        server.browse("POST", f"lconfig/{found['labelConfigurationId']}/import", json=VENDOR)
    return server


def annotate(ds: ab.Dataset, server: Server, schema: Any = SHAPES, **more: Any) -> ab.AnnotationResults:
    options = {"show_ids": False, **server.options(), **more}
    return ds.annotate("run", label_schema=schema, backend="datagym", progress=False, **options)


def test_the_vendors_configuration_is_used_as_it_is(vendors: Server, tmp_path: Path) -> None:
    """It has no class for closed lines and no attribute for the number of a point, which these labels do not need."""
    ds = single(
        tmp_path,
        streets=ab.Polyline("street", LINE),
        pois=ab.Keypoint("poi", [(0.25, 1 / 7)], label_id="poi0"),
        buses=ab.Detection("bus", [0.1, 0.2, 0.3, 0.4]),
    )
    results = annotate(ds, vendors)
    finish(vendors, results)
    assert ds.load_annotations("run", progress=False, **vendors.login()).total == 0
    editor = Editor(vendors, results)
    task = editor.task("s0")
    poi = next(v for v in task["labelIteration"]["entryValues"] if v["entryKeyLcEntry"] == "poi")
    editor.update(task, poi, x=320.0, y=240.0)
    report = ds.load_annotations("run", progress=False, **vendors.login())
    assert (report.added, report.edited, report.deleted) == (0, 1, 0)
    assert row(ds, "poi0")["points"] == [[[0.5, 0.5]]]


@pytest.mark.parametrize(
    ("field", "label", "message"),
    [
        (
            "streets",
            ab.Polyline("street", LINE, closed=True),
            "a closed line, and the project has no polygon class 'street closed'",
        ),
        (
            "pois",
            ab.Keypoint("poi", [(0.1, 0.1), (0.2, 0.2)]),
            "several points, and the class 'poi' of the project has no .* 'ab_point'",
        ),
        ("pois", ab.Keypoint("poi", [(0.1, 0.1), (float("nan"),) * 2]), "several points"),
    ],
)
def test_labels_that_need_more_are_named_before_anything_is_sent(
    vendors: Server, tmp_path: Path, field: str, label: Any, message: str
) -> None:
    ds = single(tmp_path, **{field: label})
    if vendors.v1 and vendors.double is None:
        pytest.skip("v1 shows a configuration with a task only")
    with pytest.raises(AnnobridgeError, match=f"{message}.*add it there, or pass update_project=True"):
        annotate(ds, vendors)
    assert ds.labels().to_arrow().num_rows == 1


def test_missing_entries_are_added_on_request(vendors: Server, tmp_path: Path) -> None:
    if vendors.v1:
        pytest.skip("the hosted edition adds nothing")
    ds = single(tmp_path, streets=ab.Polyline("street", LINE, closed=True))
    results = annotate(ds, vendors, update_project=True)
    finish(vendors, results)
    assert ds.load_annotations("run", progress=False, **vendors.login()).total == 0


def test_deleted_images_are_reported(server: Server, tmp_path: Path) -> None:
    ds = dataset(tmp_path, 3)
    results = annotate(ds, server, SCHEMA)
    before = ds.labels().to_arrow()
    finish(server, results)
    for media in results.receipts()[0].state["media"][:2]:
        server.call("DELETE", f"media/{media}")
    for more in ({}, {"source": "tasks"}, {"unfinished": True}):
        report = ds.load_annotations("run", progress=False, **server.login(), **more)
        assert "2 images of this task were deleted at DataGym; their labels here stay as they are." in report.notes
        assert report.total == 0
    assert ds.labels().to_arrow().equals(before)


def test_projects_and_datasets_are_listed_once(tmp_path: Path) -> None:
    """However many tasks there are: listing projects is slow on a real server."""
    for kind in datagym_servers.DOUBLES:
        with datagym_servers.running(kind) as server:
            ds = dataset(tmp_path / kind, 6)
            results = annotate(ds, server, SCHEMA, task_size=1)
            calls = server.double.state.calls
            listed = [path for method, path in calls if method == "GET" and path.endswith(("/project", "/dataset"))]
            assert sum(path.endswith("/dataset") for path in listed) == 1
            assert (
                sum(path.endswith("/project") for path in listed) <= 3
            )  # once to see who answers, once for each verb's step
            finish(server, results)
            calls.clear()
            assert ds.load_annotations("run", progress=False, **server.login()).total == 0
            assert sum(path.endswith("/project") for method, path in calls if method == "GET") <= 2


# --- exports of other versions ------------------------------------------------------------------------------------------


def exported(tmp_path: Path, ds: ab.Dataset, change: Callable[[Any], None]) -> Path:
    """The export of a run by files, finished and then changed."""
    with datagym_servers.open_core() as server:
        person = ByHand(server)
        through(person, ds, tmp_path)
        person.finish()
        head, *items = json.loads(person.download(tmp_path / "export.json").read_text())
    head["label_classes"].append({"class_name": "zebra", "geometry_type": "line"})
    for item in items:
        change(item)
    (tmp_path / "export.json").write_text(json.dumps([head, *items]))
    return tmp_path / "export.json"


def untyped(item: Any) -> None:
    for labels in item["labels"].values():
        for label in labels:
            label["geometry"] = label.pop(next(k for k in label if k in ("polygon", "line", "point", "rectangle")))


def load(ds: ab.Dataset, path: Path, **more: Any) -> Any:
    return ds.load_annotations("run", path=str(path), progress=False, **more)


def test_shapes_without_their_type_are_those_of_their_class(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    assert load(ds, exported(tmp_path, ds, untyped)).total == 0


def test_shapes_without_a_type_of_an_unknown_class_are_what_the_export_says(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    three = [{"x": 1, "y": 2}, {"x": 30, "y": 4}, {"x": 5, "y": 26}]

    def change(item: Any) -> None:
        item["labels"]["zebra"] = [{"geometry": three, "classifications": {}}]
        item["labels"]["gnu"] = [{"geometry": three, "classifications": {}}]

    report = load(ds, exported(tmp_path, ds, change), unexpected="return")
    assert sorted(set(zip(*(report.unexpected[n].to_pylist() for n in ("label", "kind")), strict=True))) == [
        ("gnu", "polygon"), ("zebra", "polyline"),
    ]  # fmt: skip


@pytest.mark.parametrize("part", ["labels", "global_classifications"])
def test_a_missing_part_of_an_item_changes_nothing(tmp_path: Path, part: str) -> None:
    ds = dataset(tmp_path)
    before = ds.labels().to_arrow()
    assert load(ds, exported(tmp_path, ds, lambda item: item.pop(part, None))).total == 0
    assert ds.labels().to_arrow().equals(before)


def test_an_empty_list_of_labels_is_a_deletion(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    assert load(ds, exported(tmp_path, ds, lambda item: item.update(labels={}))).deleted == 5


def test_labels_that_cannot_be_sent_change_nothing_on_the_server(tmp_path: Path) -> None:
    """The project keeps its configuration and its labels."""
    with datagym_servers.open_core() as server:
        ds = single(tmp_path, streets=ab.Polyline("street", LINE, closed=True))
        project = ByName(server)
        with pytest.raises(InvalidLabels, match="a closed line"):
            annotate(ds, server, project_name=project.name)
        assert server.call("GET", "project")[0]["datasets"] == []
        assert ds.list_annotation_runs() == []


class ByName:
    """The vendor's project on a double."""

    def __init__(self, server: Server) -> None:
        from tests.doubles.datagym import config, places

        self.name = "By name"
        state = server.double.state
        made = places.create_project(state, {"owner": state.owner, "name": self.name, "shortDescription": "x"})
        config.replace_all(made, config.read(VENDOR))
