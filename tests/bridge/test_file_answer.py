"""A file of labels as the answer of a tool: the same as if the work had come over the tool's API."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from tests.formats.label_files import files, image, packed

import annobridge as ab
from annobridge.backend.memory import SERVERS, MemoryBackend
from annobridge.core.geometry import encode_rle, mask_box
from annobridge.core.labels import LABELS
from annobridge.core.rows import attributes
from annobridge.exceptions import (
    BackendError,
    Conflict,
    InvalidOption,
    InvalidSource,
    RunIncomplete,
    RunNotFound,
    StalePlan,
    StoreError,
    TooManyDeletions,
    UnexpectedLabels,
)
from annobridge.formats import registry

from .conftest import Bridge, Hands

FORMATS = ("coco", "cvat", "yolo", "voc", "datumaro", "createml", "segmentation-mask", "kitti")
SIZE = (200, 100)
ROAD = [(0.05, 0.6), (1 / 3, 0.6), (0.3, 0.9), (0.05, 0.95)]
SCHEMA: dict[str, Any] = {
    "objects": {
        "type": "detections",
        "classes": ["car", "person"],
        "attributes": {
            "color": {"type": "select", "values": ["red", "blue"]},
            "parked": {"type": "checkbox", "default": False},
            "wheels": {"type": "int"},
        },
    },
    "areas": {"type": "polygons", "classes": ["road", "grass"]},
    "lanes": {"type": "polylines", "classes": ["lane", "edge"]},
    "weather": {"type": "classification", "classes": ["sun", "rain"]},
    "things": {"type": "instances", "classes": ["dog", "cat"]},
}


def blob(x: int, y: int, radius: int = 12) -> dict[str, Any]:
    """The mask of a disc."""
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    return dict(encode_rle((columns - x) ** 2 + (rows - y) ** 2 < radius**2))


def fill(ds: ab.Dataset, folder: Path, names: list[str]) -> None:
    """Images, each with two cars, a person, a piece of road, a lane, the weather and a dog. Ids: car0, bus0, man0, road0, …"""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", SIZE, (40, 90, 60)).save(folder / name)
    ds.add_samples(
        ab.Sample(
            str(folder / name),
            sample_id=f"s{i}",
            objects=[
                ab.Detection("car", [0.1, 0.1, 0.3, 1 / 3], label_id=f"car{i}", color="red", parked=True, wheels=4),
                ab.Detection("car", [0.55, 0.1, 0.3, 1 / 3], label_id=f"bus{i}", color="blue", parked=False, note="x"),
                ab.Detection("person", [0.5, 0.6, 0.1, 0.2], label_id=f"man{i}"),
            ],
            areas=ab.Polyline("road", [ROAD], filled=True, label_id=f"road{i}"),
            lanes=ab.Polyline("lane", [[(0.1, 0.5), (0.4, 2 / 3), (0.9, 0.5)]], label_id=f"lane{i}"),
            weather=ab.Classification("sun", label_id=f"sun{i}"),
            things=ab.Detection("dog", mask=blob(160, 75), label_id=f"dog{i}"),
        )
        for i, name in enumerate(names)
    )  # fmt: skip


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("answers")
    fill(ab.create_dataset(folder / "ds"), folder / "images", [f"cam/{i}.png" for i in range(4)])
    return folder / "ds"


@pytest.fixture
def street(template: Path, tmp_path: Path) -> Any:
    shutil.copytree(template, tmp_path / "ds")
    bridge = Bridge(tmp_path / "ds", ab.load_dataset(tmp_path / "ds"))
    yield bridge
    SERVERS.pop(bridge.url, None)


def copied(bridge: Bridge) -> ab.Dataset:
    """The dataset once more: what a person works on at their own desk."""
    target = bridge.path.parent / "desk"
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(bridge.path, target)
    return ab.load_dataset(target)


def exported(desk: ab.Dataset, target: Path, format_: str, view: ab.View | None = None, **options: Any) -> Path:
    """A dataset, or a view of it, as a zip in a format, without media."""
    folder = target.with_suffix("")
    ab.export_dataset(view or desk, folder, format=format_, save_media=False, progress=False, **options)
    return packed(folder, target)


# --- nothing was edited ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", FORMATS)
def test_a_file_that_nobody_edited_changes_nothing(street: Bridge, tmp_path: Path, format_: str) -> None:
    street.annotate(schema=SCHEMA)
    before = street.labels()
    report = street.again_is_nothing(path=exported(copied(street), tmp_path / "a.zip", format_))
    assert street.labels() == before
    notes = "\n".join(report.notes)
    assert f"{tmp_path / 'a.zip'}' as {registry.get(format_).title}." in notes
    assert "4 images were found in the dataset, by name." in notes
    assert "by place and class matched with those that were sent, 0 new; 0 that were sent are not in it." in notes
    if format_ == "createml":  # boxes and classes of images
        assert "4 polygons that were sent stay as they are, as the file does not hold such labels" in notes


HARD: dict[str, Any] = {
    "objects": {"type": "detections", "classes": ["car"], "attributes": {"occluded": {"type": "checkbox"}}},
    "areas": {"type": "polygons", "classes": ["road"]},
    "lanes": {"type": "polylines", "classes": ["lane"]},
    "rings": {"type": "ellipses", "classes": ["ring"]},
    "parts": {"type": "keypoints", "classes": ["hand"]},
}
HOLE = [(0.6, 0.6), (0.9, 0.6), (0.9, 0.95), (0.6, 0.95)], [(0.7, 0.7), (0.8, 0.7), (0.8, 0.8), (0.7, 0.8)]
TWO = [(0.05, 0.6), (0.1, 0.6), (0.1, 0.9)], [(0.4, 0.6), (0.45, 0.6), (0.45, 0.9)]


@pytest.fixture
def hard(tmp_path: Path) -> Any:
    """One image with labels of which most formats lose something: turned, in parts, with holes, tracks, hidden points."""
    image(tmp_path / "images" / "a.png", *SIZE)
    ds = ab.create_dataset(tmp_path / "ds")
    ds.add_samples([ab.Sample(
        str(tmp_path / "images" / "a.png"), sample_id="s0",
        objects=[
            ab.Detection("car", [0.3, 0.1, 0.3, 0.1], label_id="turned", rotation=33.3333, confidence=0.5),
            ab.Detection("car", [0.7, 0.1, 0.05, 1 / 3], label_id="steep", rotation=90.0, index=7),
            ab.Detection("car", [0.05, 0.1, 0.1, 0.2], label_id="plain", index=3, tags=["mine"]),
        ],
        areas=[ab.Polyline("road", list(HOLE), filled=True, label_id="hole"),
               ab.Polyline("road", list(TWO), filled=True, label_id="two")],
        lanes=[ab.Polyline("lane", [[(0.2, 0.5), (0.4, 0.55), (0.5, 0.4)]], closed=True, label_id="closed")],
        rings=[ab.Ellipse("ring", [0.2, 0.2, 0.1, 0.1], rotation=20.0, label_id="ring")],
        parts=[ab.Keypoint("hand", [(0.6, 0.3), (0.65, 0.5), (0.62, 0.55)], visibility=[2, 1, 2], label_id="hand"),
               ab.Keypoint("hand", [(0.3, 0.3), (nan, nan), (0.32, 0.55)], visibility=[2, 0, 2], label_id="half")],
    )])  # fmt: skip
    bridge = Bridge(tmp_path / "ds", ds)
    yield bridge
    SERVERS.pop(bridge.url, None)


@pytest.mark.parametrize("field", HARD)
@pytest.mark.parametrize("format_", [*FORMATS, "yolo-1.1", "dota"])
def test_what_a_format_cannot_hold_is_no_change(hard: Bridge, tmp_path: Path, format_: str, field: str) -> None:
    hard.annotate(schema={field: HARD[field]})
    desk = copied(hard)
    for other in HARD.keys() - {field}:
        desk.delete_labels(field=other)
    path = exported(desk, tmp_path / "a.zip", format_)
    before = hard.labels()
    report = hard.load(path=path, format=format_, unexpected="ignore")
    assert (report.total, len(report.refused), len(report.unexpected)) == (0, 0, 0), report
    assert repr(hard.labels()) == repr(before)  # missing points are NaN, which equals nothing


# --- the same as over the tool's API --------------------------------------------------------------------------------

BOXES = {
    "coco": True, "cvat": True, "voc": True, "datumaro": True,  # whether attributes are written
    "yolo": False, "createml": False, "kitti": False,
}  # fmt: skip
MOVED = [0.12, 0.11, 0.3, 1 / 3]
WIDER = [0.55, 0.1, 0.35, 1 / 3]
NEW = [0.7, 0.65, 0.1, 0.25]
BENT = [[list(point) for point in [(0.07, 0.6), *ROAD[1:]]]]
LINE = [[[0.1, 0.5], [0.4, 0.6], [0.9, 0.5]]]


def edit_desk(desk: ab.Dataset, fields: set[str], with_attributes: bool) -> None:
    """One edit of each kind, in some fields of the copy."""
    if "objects" in fields:
        desk.set_labels(pa.table({"label_id": ["car0", "bus3"], "bounding_box": [MOVED, WIDER]}))
        desk.set_labels(pa.table({"label_id": ["man1"], "label": ["car"]}))
        desk.delete_labels(["bus2", "man2"])
        desk.add_labels("objects", {"s3": [ab.Detection("person", NEW)]})
        if with_attributes:
            rows = pa.table(
                {"label_id": ["bus1"], "attributes": [attributes({"color": "red", "parked": True, "wheels": 6})]}
            )
            desk.set_labels(rows.cast(pa.schema([rows.schema.field(0), LABELS.field("attributes")])))
    if "areas" in fields:
        desk.set_labels(pa.table({"label_id": ["road0"], "points": [BENT]}))
        desk.set_labels(pa.table({"label_id": ["road1"], "label": ["grass"]}))
        desk.delete_labels(["road2"])
        desk.add_labels("areas", {"s3": [ab.Polyline("grass", [[(0.6, 0.6), (0.7, 0.6), (0.7, 0.75)]], filled=True)]})
    if "lanes" in fields:
        desk.set_labels(pa.table({"label_id": ["lane0"], "points": [LINE]}))
        desk.set_labels(pa.table({"label_id": ["lane1"], "label": ["edge"]}))
        desk.delete_labels(["lane2"])
        desk.add_labels("lanes", {"s3": [ab.Polyline("lane", [[(0.1, 0.9), (0.5, 0.85)]])]})
    if "weather" in fields:
        desk.set_labels(pa.table({"label_id": ["sun1"], "label": ["rain"]}))
        desk.delete_labels(["sun2"])
    if "things" in fields:
        rows = pa.Table.from_pylist([{"label_id": "dog0", "mask": blob(158, 75), "bounding_box": box_of(158, 75)}],
                                    schema=pa.schema([LABELS.field(n) for n in ("label_id", "mask", "bounding_box")]))  # fmt: skip
        desk.set_labels(rows)
        desk.set_labels(pa.table({"label_id": ["dog1"], "label": ["cat"]}))
        desk.delete_labels(["dog2"])
        desk.add_labels("things", {"s3": [ab.Detection("cat", mask=blob(60, 80))]})


def box_of(x: int, y: int, radius: int = 12) -> list[float]:
    return mask_box(blob(x, y, radius))


def edit_tool(hands: Hands, fields: set[str], with_attributes: bool) -> None:
    """The same edits in the tool."""
    if "objects" in fields:
        hands.set("car0", bounding_box=MOVED)
        hands.set("bus3", bounding_box=WIDER)
        hands.set("man1", label="car")
        hands.delete("bus2", "man2")
        hands.add("s3", label="person", bounding_box=NEW)
        if with_attributes:
            hands.set("bus1", attributes={"color": "red", "parked": True, "wheels": 6})
    if "areas" in fields:
        hands.set("road0", points=BENT)
        hands.set("road1", label="grass")
        hands.delete("road2")
        points = [[[0.6, 0.6], [0.7, 0.6], [0.7, 0.75]]]
        hands.add("s3", label="grass", field="areas", kind="polygon", points=points, closed=True, filled=True)
    if "lanes" in fields:
        hands.set("lane0", points=LINE)
        hands.set("lane1", label="edge")
        hands.delete("lane2")
        points = [[[0.1, 0.9], [0.5, 0.85]]]
        hands.add("s3", label="lane", field="lanes", kind="polyline", points=points, closed=False, filled=False)
    if "weather" in fields:
        hands.set("sun1", label="rain")
        hands.delete("sun2")
    if "things" in fields:
        hands.set("dog0", mask=blob(158, 75), bounding_box=box_of(158, 75))
        hands.set("dog1", label="cat")
        hands.delete("dog2")
        hands.add("s3", label="cat", field="things", kind="mask", mask=blob(60, 80), bounding_box=box_of(60, 80))


def tidy(bridge: Bridge) -> list[Any]:
    """The labels in a form that is the same however they came here; new ones without their ids."""
    sent = {"car", "bus", "man", "road", "lane", "sun", "dog"}
    found = []
    for row in bridge.labels().values():
        label_id = row["label_id"] if row["label_id"][:-1] in sent else "new"
        shape = [np.round(np.ravel(row[name][0] if name == "points" else row[name]), 3).tolist()
                 for name in ("bounding_box", "points") if row[name] is not None]  # fmt: skip
        values = {a["name"]: a["value"] for a in row["attributes"] or []}
        found.append((label_id, row["sample_id"], row["field"], row["kind"], row["label"], shape, values, row["mask"]))
    return sorted(found, key=repr)


@pytest.mark.parametrize(
    ("format_", "fields"),
    [
        *((name, {"objects"}) for name in BOXES),
        ("yolo", {"areas"}),
        ("segmentation-mask", {"things"}),
        ("coco", {"objects", "areas", "weather", "things"}),
        ("voc", {"objects", "weather", "things"}),
        ("kitti", {"objects", "things"}),
        ("createml", {"objects", "weather"}),
        ("cvat", set(SCHEMA)),
        ("datumaro", set(SCHEMA)),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(sorted(value)),
)
def test_edits_in_a_file_do_what_they_do_in_the_tool(
    street: Bridge, template: Path, tmp_path: Path, format_: str, fields: set[str]
) -> None:
    with_attributes = BOXES.get(format_, False)
    schema = {name: SCHEMA[name] for name in fields}
    shutil.copytree(template, tmp_path / "other")
    other = Bridge(tmp_path / "other", ab.load_dataset(tmp_path / "other"))
    for bridge in (street, other):
        bridge.annotate(schema=schema)
    desk = copied(street)
    for field in SCHEMA.keys() - fields:
        desk.delete_labels(field=field)
    edit_desk(desk, fields, with_attributes)
    edit_tool(other.hands, fields, with_attributes)
    path = exported(desk, tmp_path / "a.zip", format_)

    expected, report = other.load(), street.load(path=path)
    assert report.counts == expected.counts
    assert not report.refused.num_rows
    assert tidy(street) == tidy(other)
    street.again_is_nothing(path=path)
    taken_back, also = street.ds.undo_annotations("r"), other.ds.undo_annotations("r")
    assert taken_back.counts == also.counts
    assert tidy(street) == tidy(other)
    SERVERS.pop(other.url, None)


# --- restrictions, conflicts, what is unexpected --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flag", "refused"),
    [
        ("allow_additions", {("existence", "additions are not allowed"): 4}),
        ("allow_deletions", {("existence", "deletions are not allowed"): 6}),
        ("allow_label_edits", {("label", "label edits are not allowed"): 5}),
        ("allow_spatial_edits", {("spatial", "spatial edits are not allowed"): 5}),
    ],
)
def test_what_annotators_may_not_change_is_refused(
    street: Bridge, tmp_path: Path, flag: str, refused: dict[tuple[str, str], int]
) -> None:
    street.annotate(schema=SCHEMA, **{flag: False})
    before = street.labels()
    desk = copied(street)
    edit_desk(desk, set(SCHEMA), True)
    path = exported(desk, tmp_path / "a.zip", "cvat")
    report = street.load(path=path)
    assert Counter((r["component"], r["reason"]) for r in report.refused.to_pylist()) == refused
    assert report.total == 21 - sum(refused.values())
    after = street.labels()
    assert (len(street.new(before)) == 0) == (flag == "allow_additions")
    assert ("lane2" in after) == ("dog2" in after) == (flag == "allow_deletions")
    assert (after["road1"] == before["road1"]) == (flag == "allow_label_edits")
    assert (after["bus3"] == before["bus3"]) == (flag == "allow_spatial_edits")
    again = street.again_is_nothing(path=path)
    assert again.refused.num_rows == report.refused.num_rows


@pytest.mark.parametrize("conflicts", ["theirs", "ours"])
def test_conflicts_are_settled_as_those_of_the_tool(street: Bridge, tmp_path: Path, conflicts: str) -> None:
    street.annotate(schema=SCHEMA)
    desk = copied(street)
    edit_desk(desk, {"objects"}, False)
    street.ds.set_labels(pa.table({"label_id": ["car0", "bus3"], "bounding_box": [[0.0, 0.0, 0.2, 0.2]] * 2}))
    street.ds.delete_labels(["man1"])
    report = street.load(path=exported(desk, tmp_path / "a.zip", "coco"), conflicts=conflicts)
    found = {(row["label_id"], row["component"]) for row in report.conflicts.to_pylist()}
    assert found == {("car0", "spatial"), ("bus3", "spatial"), ("man1", "existence")}
    labels = street.labels()
    assert np.allclose(labels["car0"]["bounding_box"], MOVED if conflicts == "theirs" else [0, 0, 0.2, 0.2], atol=1e-6)
    assert ("man1" in labels) == (conflicts == "theirs")


def test_conflicts_stop_a_load_that_must_have_none(street: Bridge, tmp_path: Path) -> None:
    street.annotate(schema=SCHEMA)
    desk = copied(street)
    edit_desk(desk, {"objects"}, False)
    street.ds.set_labels(pa.table({"label_id": ["car0"], "label": ["person"], "bounding_box": [[0.0, 0.0, 0.2, 0.2]]}))
    before = street.labels()
    with pytest.raises(Conflict, match=r"1 changes were made both here and in the tool: car0 \(spatial\)"):
        street.load(path=exported(desk, tmp_path / "a.zip", "coco"), conflicts="fail")
    assert street.labels() == before


def test_classes_and_types_outside_the_schema_are_unexpected(street: Bridge, tmp_path: Path) -> None:
    street.annotate(schema={"objects": SCHEMA["objects"]})
    desk = copied(street)
    for field in SCHEMA.keys() - {"objects"}:
        desk.delete_labels(field=field)
    desk.set_labels(pa.table({"label_id": ["car0"], "label": ["truck"]}))
    desk.add_labels("objects", {"s1": [ab.Detection("bike", [0.3, 0.7, 0.05, 0.2])]})
    desk.add_labels("shapes", {"s2": [ab.Polyline("car", [[(0.3, 0.7), (0.4, 0.7), (0.4, 0.9)]], filled=True)]})
    path = exported(desk, tmp_path / "a.zip", "coco")
    before = street.labels()
    with pytest.raises(UnexpectedLabels, match="The tool returned 3 unexpected labels"):
        street.load(path=path)
    assert street.labels() == before
    assert street.load(path=path, unexpected="ignore").total == 0
    plan = street.plan(path=path, unexpected="ignore")
    assert {(r["component"], r["theirs"]) for r in plan.unexpected.to_pylist()} == {
        ("label", "truck"), ("label", "bike"), ("type", "polygons")
    }  # fmt: skip
    report = street.load(path=path, unexpected="keep")
    assert (report.added, report.edited, report.deleted) == (2, 1, 0)
    assert street.label("car0")["label"] == "truck"
    assert {row["field"] for row in street.new(before)} == {"objects", "polygons"}
    street.again_is_nothing(path=path, unexpected="keep")


def test_another_field_takes_the_result(street: Bridge, tmp_path: Path) -> None:
    street.annotate(schema={"objects": SCHEMA["objects"]})
    before = street.labels()
    desk = copied(street)
    for field in SCHEMA.keys() - {"objects"}:
        desk.delete_labels(field=field)
    edit_desk(desk, {"objects"}, False)
    path = exported(desk, tmp_path / "a.zip", "yolo")
    desk_boxes = desk.count_labels("objects")
    report = street.load(path=path, dest_field="reviewed")
    assert {name: row for name, row in street.labels().items() if row["field"] != "reviewed"} == before
    assert street.ds.count_labels("reviewed") == report.added
    assert report.added == desk_boxes == 11  # all labels, as the person left them
    street.again_is_nothing(path=path, dest_field="reviewed")


def test_an_undo_takes_the_file_back(street: Bridge, tmp_path: Path) -> None:
    street.annotate(schema=SCHEMA)
    before = tidy(street)
    desk = copied(street)
    edit_desk(desk, set(SCHEMA), True)
    path = exported(desk, tmp_path / "a.zip", "datumaro")
    report = street.load(path=path)
    assert report.total == 21
    assert street.ds.undo_annotations("r").counts == {"add": 4, "edit": 11, "delete": 6}
    assert tidy(street) == before
    assert street.load(path=path).counts == report.counts  # and once more


# --- plans ----------------------------------------------------------------------------------------------------------


def test_a_plan_of_a_file_that_changed_is_stale(street: Bridge, tmp_path: Path) -> None:
    street.annotate(schema=SCHEMA)
    desk = copied(street)
    path = exported(desk, tmp_path / "a.zip", "coco")
    plan = street.plan(path=path)
    assert plan.apply().version is None  # nothing changed
    edit_desk(desk, {"objects"}, False)
    shutil.rmtree(path.with_suffix(""))
    plan = street.plan(path=path)
    exported(desk, path, "coco")
    before = street.labels()
    with pytest.raises(StalePlan, match=r"The work in a\.zip went on since the plan of 'r' was made; plan again\."):
        plan.apply()
    assert street.labels() == before
    plan = street.plan(path=path)
    assert (plan.added, plan.edited, plan.deleted) == (1, 3, 2)
    path.touch()  # the same once more
    assert plan.apply().total == 6
    plan = street.plan(path=path)
    path.unlink()
    with pytest.raises(StoreError, match="There is no file or folder"):
        plan.apply()


# --- which images ---------------------------------------------------------------------------------------------------


def test_images_that_are_not_in_the_file_keep_their_labels(street: Bridge, tmp_path: Path) -> None:
    street.annotate(schema=SCHEMA)
    before = street.labels()
    desk = copied(street)
    desk.delete_labels(["car1", "car2"])
    path = exported(desk, tmp_path / "a.zip", "coco", desk.select(["s0", "s1"]))
    report = street.load(path=path)
    assert "2 images of the run are not in the file; their labels stay as they are." in report.notes
    assert street.labels() == {name: row for name, row in before.items() if name != "car1"}


def test_images_that_are_not_of_the_run_are_left_out(street: Bridge, tmp_path: Path) -> None:
    street.annotate(view=street.ds.select(["s0", "s1"]), schema=SCHEMA)
    desk = copied(street)
    desk.delete_labels(["car1", "car2"])
    report = street.load(path=exported(desk, tmp_path / "a.zip", "coco"))
    assert (report.total, report.deleted) == (1, 1)
    assert "2 images were not found, as '2.png'; they and their labels were left out." in report.notes


def test_a_file_of_other_images_is_refused(street: Bridge, tmp_path: Path) -> None:
    street.annotate(view=street.ds.select(["s0", "s1"]), schema=SCHEMA)
    path = exported(street.ds, tmp_path / "a.zip", "coco", street.ds.select(["s2"]))
    with pytest.raises(
        InvalidSource, match=r"None of the images of .*a\.zip' is one of the run 'r', so nothing was loaded"
    ):
        street.load(path=path)


def test_samples_that_were_deleted_here_are_left_out(street: Bridge, tmp_path: Path) -> None:
    street.annotate(schema=SCHEMA)
    desk = copied(street)
    edit_desk(desk, {"objects"}, False)
    path = exported(desk, tmp_path / "a.zip", "coco")
    street.ds.delete_samples(["s0", "s3"])
    report = street.load(path=path)
    assert (report.added, report.edited, report.deleted) == (0, 1, 2)
    assert any(note.startswith("2 samples of the run are not in the dataset any more") for note in report.notes)


NAMES = ["a b/1.png", "a b/2.png", "été/1.png", "été/🦄 x.png", "日本.png"]


@pytest.mark.parametrize("format_", FORMATS)
def test_names_with_folders_and_other_letters(tmp_path: Path, format_: str) -> None:
    fill(ab.create_dataset(tmp_path / "ds"), tmp_path / "images", NAMES)
    bridge = Bridge(tmp_path / "ds", ab.load_dataset(tmp_path / "ds"))
    field = "things" if format_ == "segmentation-mask" else "objects"
    bridge.annotate(schema={field: SCHEMA[field]})
    desk = copied(bridge)
    for other in SCHEMA.keys() - {field}:
        desk.delete_labels(field=other)
    desk.delete_labels(["dog3" if field == "things" else "car3"])
    desk.set_labels(
        pa.table(
            {"label_id": ["dog4" if field == "things" else "car4"], "label": ["cat" if field == "things" else "person"]}
        )
    )
    report = bridge.load(path=exported(desk, tmp_path / "a.zip", format_))
    assert (report.added, report.edited, report.deleted) == (0, 1, 1)
    assert "5 images were found in the dataset, by name." in report.notes
    SERVERS.pop(bridge.url, None)


def test_names_that_files_have_in_the_tool(street: Bridge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    street.annotate(schema=SCHEMA)
    desk = copied(street)
    desk.delete_labels(["car1"])
    path = exported(desk, tmp_path / "a.zip", "coco")
    (file,) = path.with_suffix("").rglob("instances_*.json")
    file.write_text(re.sub(r'"(\d)\.png"', r'"upload \1 \1.png"', file.read_text()))
    for other in path.with_suffix("").rglob("labels_*.json"):
        other.unlink()
    packed(path.with_suffix(""), path)
    with pytest.raises(InvalidSource, match="None of the images"):
        street.load(path=path)
    names = {f"upload {n} {n}.png": f"s{n}" for n in range(4)}
    monkeypatch.setattr(MemoryBackend, "file_names", classmethod(lambda cls, receipt: names))
    report = street.load(path=path)
    assert (report.total, report.deleted) == (1, 1)
    assert "4 images were found in the dataset, by name." in report.notes


def test_a_name_that_files_of_two_tasks_have_is_not_guessed(
    street: Bridge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    street.annotate(schema=SCHEMA, task_size=2)
    desk = copied(street)
    desk.delete_labels(["car0", "car1", "car2", "car3"])
    path = exported(desk, tmp_path / "a.zip", "coco")
    (file,) = path.with_suffix("").rglob("instances_*.json")
    text = re.sub(r'"(\d)\.png"', r'"upload \1.png"', file.read_text()).replace("upload 2", "upload 0")
    packed(files(tmp_path / "out", {"annotations/instances_default.json": text}), path)

    def names(cls: type, receipt: Any) -> dict[str, str]:
        first = receipt.task.endswith("-0") or receipt.task == min(street.server.labels)
        return {"upload 0.png": "s0", "upload 1.png": "s1"} if first else {"upload 0.png": "s2", "upload 3.png": "s3"}

    monkeypatch.setattr(MemoryBackend, "file_names", classmethod(names))
    report = street.load(path=path)
    assert "2 images of the run are not in the file; their labels stay as they are." in report.notes
    assert {"car0", "car2"} <= street.labels().keys()
    assert not {"car1", "car3"} & street.labels().keys()


def test_images_of_one_name_in_two_splits(tmp_path: Path) -> None:
    """That of the other split is not taken for the one that was sent."""
    fill(ab.create_dataset(tmp_path / "ds"), tmp_path / "images", ["train/frame.png", "train/a.png"])
    bridge = Bridge(tmp_path / "ds", ab.load_dataset(tmp_path / "ds"))
    bridge.annotate(schema={"objects": SCHEMA["objects"]})
    line = "0 0.25 0.266667 0.3 0.333333\n"
    texts = {"data.yaml": "names: [car, person]\ntrain: images/train\nval: images/val\n",
             "labels/train/frame.txt": line, "labels/val/frame.txt": "1 0.5 0.5 0.1 0.1\n" * 3}  # fmt: skip
    for split in ("train", "val"):
        image(tmp_path / "yolo" / "images" / split / "frame.png", *SIZE)
    plan = bridge.plan(path=files(tmp_path / "yolo", texts))
    assert (plan.added, plan.edited, plan.deleted) == (0, 0, 2)
    assert "1 images were not found, as 'frame.png'; they and their labels were left out." in "".join(plan.notes)
    SERVERS.pop(bridge.url, None)


def test_images_are_not_found_by_numbers_if_others_are_not(street: Bridge, tmp_path: Path) -> None:
    street.annotate(schema=SCHEMA)
    names = [{"id": n, "file_name": f"frame_00000{n}.png", "width": 200, "height": 100} for n in range(6)]
    path = write(
        tmp_path / "a.json", json.dumps({"images": names, "annotations": [], "categories": [{"id": 1, "name": "car"}]})
    )
    ds = ab.create_dataset(tmp_path / "others")
    fill(ds, tmp_path / "images", [f"dock_{n}.png" for n in range(4)])
    ds.annotate("r", label_schema=SCHEMA, backend="memory", url=street.url + "-2", progress=False)
    with pytest.raises(InvalidSource, match="None of the images"):
        ds.load_annotations("r", path=path)
    SERVERS.pop(street.url + "-2", None)


TRACK = """<track id="{id}" label="{label}" source="manual">{boxes}</track>"""
TRACKED = (
    """<box frame="{frame}" keyframe="1" outside="0" occluded="0" xtl="{left}" ytl="10" xbr="{right}" ybr="30"/>"""
)


def test_tracks_of_a_video_that_the_file_numbers_anew(empty: Bridge, tmp_path: Path) -> None:
    empty.ds.add_samples(
        [{"filepath": "clip.mp4", "sample_id": "v", "media_type": "video", "width": 100, "height": 50, "frames": 10}]
    )
    box = [0.1, 0.2, 0.2, 0.4]
    tracks = {1: ("car", box), 2: ("bus", [0.6, *box[1:]])}
    empty.ds.add_labels("frames.f", [
        ab.Detection(label, place, sample_id="v", frame_number=frame, index=index, label_id=f"{label}{frame}")
        for index, (label, place) in tracks.items() for frame in (1, 2, 3)
    ])  # fmt: skip
    empty.annotate(schema={"frames.f": {"type": "detections", "classes": ["car", "bus"]}})

    def track(number: int, label: str, lefts: list[int]) -> str:
        boxes = [TRACKED.format(frame=n, left=left, right=left + 20) for n, left in enumerate(lefts)]
        return TRACK.format(id=number, label=label, boxes="".join(boxes))

    def xml(*found: str) -> Path:
        size = "<original_size><width>100</width><height>50</height></original_size>"
        meta = f"<meta><task>{size}<source>clip.mp4</source></task></meta>"
        return write(tmp_path / "a.xml", f"<annotations><version>1.1</version>{meta}{''.join(found)}</annotations>")

    path = xml(track(7, "bus", [60, 60, 60]), track(8, "car", [10, 10, 10]))
    before = empty.labels()
    empty.again_is_nothing(path=path)
    path = xml(track(7, "bus", [60, 60, 30]), track(8, "car", [10, 10, 10]), track(9, "car", [40]))
    report = empty.load(path=path)
    assert (report.added, report.edited, report.deleted) == (1, 1, 0)
    assert empty.label("bus3")["bounding_box"] == pytest.approx([0.3, 0.2, 0.2, 0.4])
    (new,) = [row for row in empty.labels().values() if row["label_id"] not in before]
    assert (new["index"], new["frame_number"]) == (3, 1)
    empty.again_is_nothing(path=path)


def test_runs_of_several_tasks(street: Bridge, tmp_path: Path) -> None:
    street.annotate(schema=SCHEMA, task_size=2)
    desk = copied(street)
    edit_desk(desk, set(SCHEMA), True)
    path = exported(desk, tmp_path / "a.zip", "cvat")
    report = street.load(path=path)
    assert (report.added, report.edited, report.deleted) == (4, 11, 6)
    assert "Labels in the file: 108 by place" not in report.notes
    assert sum("Labels in the file" in note for note in report.notes) == 1
    street.again_is_nothing(path=path)


def test_a_folder_is_as_good_as_a_zip(street: Bridge, tmp_path: Path) -> None:
    street.annotate(schema=SCHEMA)
    desk = copied(street)
    edit_desk(desk, {"objects"}, False)
    folder = exported(desk, tmp_path / "a.zip", "coco").with_suffix("")
    assert street.load(path=str(folder)).total == 6
    street.again_is_nothing(path=folder)


# --- a file, and the tool -------------------------------------------------------------------------------------------


def test_the_tool_is_not_asked(street: Bridge, tmp_path: Path) -> None:
    street.annotate(schema=SCHEMA)
    desk = copied(street)
    edit_desk(desk, {"objects"}, False)
    street.hands.drop_task()
    assert street.load(path=exported(desk, tmp_path / "a.zip", "coco")).total == 6


def test_a_load_from_the_tool_after_one_from_its_export(street: Bridge, tmp_path: Path) -> None:
    """Nothing is there twice: labels that came in the file get the tool's ids, and are deleted if they are deleted there."""
    street.annotate(schema=SCHEMA)
    desk = copied(street)
    edit_desk(desk, set(SCHEMA), True)
    edit_tool(street.hands, set(SCHEMA), True)
    assert street.load(path=exported(desk, tmp_path / "a.zip", "cvat")).total == 21
    after = tidy(street)
    report = street.load()
    assert (report.added, report.deleted, len(report.unexpected)) == (0, 0, 0)
    assert tidy(street) == after
    street.again_is_nothing()
    (new,) = [row for row in street.hands.rows() if row["label"] == "cat" and row["sample_id"] == "s3"]
    street.hands.delete(new["remote_id"])
    assert street.load().counts["things"] == {"add": 0, "edit": 0, "delete": 1}
    street.again_is_nothing()


def test_labels_of_a_file_that_the_tool_never_had_stay(street: Bridge, tmp_path: Path) -> None:
    street.annotate(schema=SCHEMA)
    desk = copied(street)
    desk.add_labels("objects", {"s3": [ab.Detection("person", NEW)]})
    path = exported(desk, tmp_path / "a.zip", "coco")
    assert street.load(path=path).added == 1
    before = street.labels()
    street.hands.set("car0", label="person")
    report = street.load()
    assert (report.added, report.edited, report.deleted) == (0, 1, 0)
    assert "1 labels that came from a file are not in memory; they stay as they are." in report.notes
    assert street.labels().keys() == before.keys()
    street.again_is_nothing()
    desk.delete_labels(field="objects", where="sample_id = 's3' AND label = 'person'")
    shutil.rmtree(path.with_suffix(""))
    report = street.load(path=exported(desk, path, "coco"))  # what is missing in a newer file was deleted
    assert report.counts["objects"]["delete"] == 2


def test_two_equal_new_labels_are_two_labels(street: Bridge, tmp_path: Path) -> None:
    street.annotate(schema=SCHEMA)
    before = street.labels()
    desk = copied(street)
    desk.add_labels("objects", {"s3": [ab.Detection("person", NEW), ab.Detection("person", NEW)]})
    path = exported(desk, tmp_path / "a.zip", "coco")
    assert street.load(path=path).added == 2
    assert len(street.new(before)) == 2
    street.again_is_nothing(path=path)


# --- what is refused ------------------------------------------------------------------------------------------------


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def forged(path: Path, name: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, "{}")
    return path


@pytest.mark.parametrize(
    ("make", "options", "error", "message"),
    [
        (lambda f: f / "nowhere.zip", {}, StoreError, "There is no file or folder '.*nowhere.zip' that can be read"),
        (lambda f: write(f / "x.bin", "hello"), {}, InvalidSource, "format of '.*x.bin' was not recognised; say which .* format="),
        (lambda f: image(f / "pictures" / "a.png").parent, {}, InvalidSource, "was not recognised; .*one of .*coco, .*yolo"),
        (lambda f: write(f / "x.zip", "hello"), {"format": "coco"}, InvalidSource, "is no whole zip"),
        (lambda f: write(f / "x.zip", b"PK\\x03\\x04" + bytes(40)), {}, InvalidSource, "was not recognised"),
        (lambda f: forged(f / "x.zip", "../instances.json"), {"format": "coco"}, InvalidSource, "leads out of the archive"),
        (lambda f: write(f / "x.json", '{"images": [], "annotations": ['), {"format": "coco"}, InvalidSource, "x.json"),
        (lambda f: f, {"format": "folder"}, InvalidOption, "cannot be loaded into a run; give labels in one of the formats .*coco"),
        (lambda f: f, {"format": "cooc"}, InvalidOption, "There is no format 'cooc'; .*coco"),
        (lambda f: f, {"format": "coco", "image_dir": "x"}, InvalidOption, "image_dir is an option of imports, and"),
        (lambda f: f, {"format": "coco", "field": "x"}, InvalidOption, "field is an option of imports, .*; leave it out."),
        (lambda f: f, {"format": "coco", "filez": "x"}, InvalidOption, "has no option 'filez'; .*files"),
        (lambda f: f, {"format": "coco", "max_files": "x"}, InvalidOption, "max_files: Input should be a valid integer"),
    ],
)  # fmt: skip
def test_what_cannot_be_loaded_is_refused_in_a_sentence(
    street: Bridge, tmp_path: Path, make: Callable[[Path], Path], options: Any, error: type[Exception], message: str
) -> None:
    street.annotate(schema=SCHEMA)
    (tmp_path / "given").mkdir()
    before = street.state()
    with pytest.raises(error, match=message):
        street.load(path=make(tmp_path / "given"), **options)
    assert street.state() == before


def test_a_truncated_zip_is_refused(street: Bridge, tmp_path: Path) -> None:
    street.annotate(schema=SCHEMA)
    path = exported(copied(street), tmp_path / "a.zip", "coco")
    whole, before = path.read_bytes(), street.state()
    for cut in (len(whole) // 2, len(whole) - 30):
        path.write_bytes(whole[:cut])
        with pytest.raises(InvalidSource, match=r"a\.zip"):
            street.load(path=path, format="coco")
    damaged = bytearray(whole)
    damaged[100:160] = bytes(60)
    path.write_bytes(bytes(damaged))
    with pytest.raises(InvalidSource, match="cannot be unpacked"):
        street.load(path=path, format="coco")
    assert street.state() == before


def test_options_that_do_not_go_together(street: Bridge, tmp_path: Path) -> None:
    street.annotate(schema=SCHEMA)
    path = exported(copied(street), tmp_path / "a.zip", "coco")
    with pytest.raises(InvalidOption, match="format='coco' is the format of a file; give its path=, too."):
        street.load(format="coco")
    with pytest.raises(InvalidOption, match=r"cleanup=True removes the tasks .*them with results\.cleanup\(\)"):
        street.load(path=path, cleanup=True)
    with pytest.raises(InvalidOption, match="unexpected='sometimes' is not known"):
        street.load(path=path, unexpected="sometimes")
    assert len(street.server.labels) == 1


def test_a_run_that_was_not_sent_in_full_takes_no_file(
    street: Bridge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = exported(copied(street), tmp_path / "a.zip", "coco")
    with pytest.raises(RunNotFound):
        street.load(path=path)
    upload = MemoryBackend.upload

    def failing(self: MemoryBackend, task: Any) -> Any:
        if len(self.server.labels) == 1:
            raise BackendError("no more")
        return upload(self, task)

    monkeypatch.setattr(MemoryBackend, "upload", failing)
    with pytest.raises(BackendError, match="no more"):
        street.annotate(schema=SCHEMA, task_size=2)
    with pytest.raises(RunIncomplete, match="stopped after 1 of 2 tasks"):
        street.load(path=path)


def test_most_of_a_run_is_not_deleted_by_an_empty_file(street: Bridge, tmp_path: Path) -> None:
    street.annotate(schema=SCHEMA)
    before = street.labels()
    desk = copied(street)
    for field in SCHEMA:
        desk.delete_labels(field=field)
    path = write(tmp_path / "a.json", json.dumps({
        "images": [{"id": n, "file_name": f"cam/{n}.png", "width": 200, "height": 100} for n in range(4)],
        "annotations": [], "categories": [{"id": 1, "name": "car"}],
    }))  # fmt: skip
    with pytest.raises(TooManyDeletions, match="The load would delete 24 of the 28 labels"):
        street.load(path=path)
    assert street.labels() == before
    assert street.load(path=path, force=True).deleted == 24  # COCO has no lines


def test_names_that_several_tasks_have_are_nobodys(
    street: Bridge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As CVAT's files, which are numbered in each task anew."""
    street.annotate(schema=SCHEMA, task_size=2)
    samples = iter(["s0", "s2", "s0", "s2"])
    monkeypatch.setattr(MemoryBackend, "file_names", classmethod(lambda cls, receipt: {"000000_a.png": next(samples)}))
    desk = copied(street)
    path = exported(desk, tmp_path / "a.zip", "coco")
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, re.sub(rb"cam/\d\.png|\b\d\.png", b"000000_a.png", content))
    before = street.labels()
    with pytest.raises(
        InvalidSource, match="Several tasks of the run 'r' have files of the same names, as '000000_a.png'"
    ):
        street.load(path=path)
    assert street.labels() == before
