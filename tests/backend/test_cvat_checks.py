"""What CVAT cannot store is reported before anything is sent, with the cure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from annobridge.backend import Task
from annobridge.core import rows
from annobridge.core.labels import LABELS, SAMPLES
from annobridge.core.schema import LabelSchema
from annobridge.store.media import FileMedia
from annobridge_cvat import CvatConfig, checks, media, values

DETECTIONS: dict[str, Any] = {"type": "detections", "classes": ["car"]}


def samples(*paths: str, media_type: str = "image") -> pa.Table:
    found = [{"sample_id": f"s{n}", "filepath": p, "media_type": media_type} for n, p in enumerate(paths or ["a.jpg"])]
    return pa.Table.from_pylist(found, schema=SAMPLES)


def of_schema(fields: dict[str, Any], media_type: str = "image", **options: Any) -> list[str]:
    schema = LabelSchema.parse(fields)
    return list(checks.schema_problems(schema, samples(media_type=media_type), CvatConfig(**options)))


def with_attribute(name: str, **spec: Any) -> dict[str, Any]:
    return {"field": {**DETECTIONS, "attributes": {name: spec}}}


@pytest.mark.parametrize(
    ("fields", "options", "sentence"),
    [
        ({"field": {**DETECTIONS, "classes": [" car"]}}, {}, "The label ' car' begins or ends with a space"),
        (with_attribute("note ", type="text"), {}, "begins or ends with a space, which CVAT does not keep"),
        ({"field": DETECTIONS}, {"media_type": "video"}, "name the field 'frames.field', or leave videos out"),
        ({"frames.field": DETECTIONS}, {}, "not all samples are videos; leave the images out"),
        ({"field": {**DETECTIONS, "classes": ["c" * 65]}}, {}, "has 65 characters, and CVAT takes 64; shorten it"),
        (
            {"field": {"type": "skeletons", "classes": ["p"]}},
            {},
            "needs the names of a skeleton's points; add 'skeleton'",
        ),
        (with_attribute("a" * 65, type="text"), {}, "has 65 characters, and CVAT takes 64; shorten the name"),
        (with_attribute("a", type="text", default="d" * 129), {}, "its default is longer than CVAT's 128 characters"),
        (with_attribute("a", type="select", values=["v" * 3000, "w" * 3000]), {}, "longer than CVAT's 4096 characters"),
        (
            {"field": DETECTIONS},
            {"occluded_attr": "hid"},
            "occluded_attr names 'hid', which is an attribute of no field",
        ),
        (
            with_attribute("hid", type="text"),
            {"occluded_attr": "hid"},
            "occluded_attr: 'hid' is text; make it checkbox",
        ),
        (with_attribute("gid", type="text"), {"group_id_attr": "gid"}, "group_id_attr: 'gid' is text; make it int"),
        ({"field": DETECTIONS}, {"job_reviewers": ["ada"]}, "CVAT 2 has no reviewers; give the jobs to them"),
        ({"field": DETECTIONS}, {"media": "cloud", "media_root": "."}, "needs cloud_storage_id"),
        ({"field": DETECTIONS}, {"project_id": 1, "project_name": "p"}, "are both given; give one of them"),
        ({"field": DETECTIONS}, {"media": "share", "media_root": "/elsewhere"}, "is not below media_root='/elsewhere'"),
        (
            {"field": DETECTIONS},
            {"media": "share"},
            "media='share' needs media_root, the folder of the dataset's files",
        ),
        (
            with_attribute("a", type="select", values=["x", " x"]),
            {},
            "has choices of several lines, or that only spaces",
        ),
        (
            with_attribute("a", type="select", values=["x\ny", "z"]),
            {},
            "has choices of several lines, or that only spaces",
        ),
        ({"frames.field": DETECTIONS}, {"media_type": "video", "media": "archive"}, "send videos with media='upload'"),
    ],
)
def test_a_schema_that_cvat_cannot_hold(fields: dict[str, Any], options: dict[str, Any], sentence: str) -> None:
    (found,) = of_schema(fields, **options)
    assert sentence in found


def test_all_problems_are_told_at_once() -> None:
    fields = {"one": {**DETECTIONS, "classes": ["c" * 65]}, "two": {"type": "skeletons", "classes": ["p"]}}
    assert len(of_schema(fields, job_reviewers="ada", media="cloud", media_root=".")) == 4


def test_what_fits_is_no_problem() -> None:
    fields = {"field": {**DETECTIONS, "attributes": {"hid": {"type": "checkbox"}, "gid": {"type": "int"}}}}
    assert of_schema(fields, occluded_attr="hid", group_id_attr="gid") == []
    assert of_schema({"frames.field": DETECTIONS}, media_type="video") == []


def of_labels(
    label: rows.Label | list[rows.Label], spec: dict[str, Any], field: str = "field", **options: Any
) -> list[str]:
    made = label if isinstance(label, list) else [label]
    table = [
        one.row() | {"label_id": f"a{n}", "sample_id": "s0", "field": field, "rev": 1} for n, one in enumerate(made)
    ]
    found = samples()
    labels = pa.Table.from_pylist(table, schema=LABELS)
    task = Task("t", LabelSchema.parse({field: spec}), found, labels, FileMedia.of(found))
    return list(checks.task_problems(task, CvatConfig(**options)))


KEYPOINTS = {"type": "keypoints", "classes": ["p"]}
TEXT = {**DETECTIONS, "attributes": {"note": {"type": "text"}}}
SIDE = {**DETECTIONS, "attributes": {"side": {"type": "select", "values": ["left"]}}}
TRACK = {**DETECTIONS, "attributes": {"make": {"type": "text", "mutable": False}}}
BOX = [0.1, 0.1, 0.2, 0.2]


def followed(frame: int, **extra: Any) -> rows.Label:
    return rows.Detection("car", BOX, index=1, frame_number=frame, **extra)


@pytest.mark.parametrize(
    ("label", "spec", "field", "sentence"),
    [
        (rows.Keypoint("p", [(np.nan, np.nan)]), KEYPOINTS, "field", "keypoints of which none is there; delete them"),
        (rows.Detection("car", BOX, note="n" * 4097), TEXT, "field", "has 4097 characters, and CVAT keeps 4096"),
        (
            rows.Detection("car", BOX, side="up"),
            SIDE,
            "field",
            "side = \"up\", which is not one of 'left'; correct them",
        ),
        (rows.Detection("car", BOX, note=5), TEXT, "field", "note = 5, which is not of the type text"),
        (rows.Cuboid("car", [(0, 0)] * 7), {"type": "cuboids", "classes": ["car"]}, "field", "without eight corners"),
        ([followed(1), followed(1)], DETECTIONS, "frames.field", "the track 1 has two 'car' in frame 1 of sample 's0'"),
        ([followed(1, make="A"), followed(2, make="B")], TRACK, "frames.field", "make: changes within a track; give"),
        (
            rows.Polyline("car", [[(0, 0), (1, 1)], [(0, 1), (1, 0)]], index=1, frame_number=1),
            {"type": "polylines", "classes": ["car"]},
            "frames.field",
            "tracked shapes of several parts, which CVAT cannot follow",
        ),
        (rows.Scalar("s" * 5000), {"type": "scalar"}, "field", "has 5000 characters, and CVAT keeps 4096; shorten it"),
        (
            rows.Skeleton("p", [(0, 0)]),
            {"type": "skeletons", "classes": ["p"], "skeleton": {"labels": ["a", "b"]}},
            "field",
            "skeletons that do not have the 2 points of the schema",
        ),
    ],
)
def test_labels_that_cvat_cannot_hold(label: Any, spec: dict[str, Any], field: str, sentence: str) -> None:
    found = of_labels(label, spec, field)
    assert len(found) == 1, found
    assert sentence in found[0]


CHECKLIST = {**DETECTIONS, "attributes": {"sides": {"type": "list", "values": ["l", "r", 1]}}}
OWN = {
    "type": "detections",
    "classes": [
        {"classes": ["car"], "attributes": {"side": {"type": "select", "values": ["left"]}}},
        {"classes": ["bus"], "attributes": {"side": {"type": "select", "values": ["up"]}}},
        "van",
    ],
}
GRADE = {"type": "scalar", "classes": [5, 6]}


@pytest.mark.parametrize(
    ("label", "spec", "sentence"),
    [
        (
            rows.Detection("car", BOX, sides=["l", "x"]),
            CHECKLIST,
            "which is not a list of 'l', 'r', 1, each once at most",
        ),
        (rows.Detection("car", BOX, sides="l"), CHECKLIST, 'sides = "l", which is not a list of'),
        (rows.Detection("car", BOX, side="up"), OWN, "side = \"up\", which is not one of 'left'"),
        (rows.Detection("bus", BOX, side="left"), OWN, "side = \"left\", which is not one of 'up'"),
        (rows.Scalar(7), GRADE, "some labels have the value 7, which is not one of 5, 6"),
        (rows.Scalar("5"), GRADE, 'some labels have the value "5", which is not one of 5, 6'),
    ],
)
def test_values_are_held_against_the_attribute_of_their_class(label: Any, spec: dict[str, Any], sentence: str) -> None:
    (found,) = of_labels(label, spec)
    assert sentence in found


@pytest.mark.parametrize(
    ("label", "spec"),
    [
        (rows.Detection("car", BOX, sides=[1, "r"]), CHECKLIST),
        (rows.Detection("car", BOX, sides=[]), CHECKLIST),
        (rows.Detection("car", BOX, side="left"), OWN),
        (rows.Detection("bus", BOX, side="up"), OWN),
        (rows.Scalar(5), GRADE),
        (rows.Scalar(6.0), GRADE),
    ],
)
def test_values_that_fit_their_class(label: Any, spec: dict[str, Any]) -> None:
    assert of_labels(label, spec) == []
    assert of_schema({"field": spec}) == []


def test_a_checklist_is_typed_as_a_json_list() -> None:
    (a,) = LabelSchema.parse({"field": CHECKLIST}).fields["field"].attributes
    made = values.definition(a)
    assert (made["input_type"], made["values"], made["default_value"]) == ("text", [""], "")
    for text in ('["l", 1]', "[]"):
        assert values.decoder(a)(values.encode(a, text)) == text
    assert values.decoder(a)("l") == '"l"'  # which is no list, and is reported
    assert values.decoder(a)("") is None


def test_an_attribute_that_is_fixed_for_one_class_is_followed_in_that_class_only() -> None:
    make = {"type": "text"}
    spec = {"type": "detections", "classes": [
        {"classes": ["car"], "attributes": {"make": {**make, "mutable": True}}},
        {"classes": ["bus"], "attributes": {"make": {**make, "mutable": False}}},
    ]}  # fmt: skip
    moving = [rows.Detection("car", BOX, index=1, frame_number=n, make=str(n)) for n in (1, 2)]
    assert of_labels(moving, spec, "frames.field") == []
    moving = [rows.Detection("bus", BOX, index=1, frame_number=n, make=str(n)) for n in (1, 2)]
    (found,) = of_labels(moving, spec, "frames.field")
    assert "make: changes within a track" in found


def test_a_source_that_cvat_does_not_know() -> None:
    spec = {**DETECTIONS, "attributes": {"by": {"type": "text"}}}
    (found,) = of_labels(rows.Detection("car", BOX, by="robot"), spec, source_attr="by")
    assert 'by = "robot"; CVAT knows manual, auto, semi-auto, file, consensus.' in found


def test_files_get_names_that_cvat_keeps_apart(tmp_path: Path) -> None:
    """Equal names in two folders, signs that servers trip over, no suffix at all, and very long ones."""
    from PIL import Image

    places = ["a/é 🦄.jpg", "b/é 🦄.jpg", "c/100%?.PNG", "d/plain", f"e/{'x' * 240}.webp"]
    for place in places:
        path = tmp_path / place
        path.parent.mkdir()
        Image.new("RGB", (4, 4)).save(path, "PNG")
    table = samples(*(str(tmp_path / p) for p in places))
    names = [f.name for f in media.files(table, FileMedia.of(table), CvatConfig())]
    assert names[:4] == ["000000_é 🦄.jpg", "000001_é 🦄.jpg", "000002_100__.PNG", "000003_plain.png"]
    assert len(names[4]) < 130
    assert names[4].endswith(".webp")


def test_archives_and_shares_keep_folders() -> None:
    table = samples("/data/a/1.jpg", "/data/b/1.jpg")
    kept = media.files(table, FileMedia.of(table), CvatConfig(media="archive"))
    assert [f.name for f in kept] == ["a/1.jpg", "b/1.jpg"]
    named = media.files(table, FileMedia.of(table), CvatConfig(media="share", media_root="/data"))
    assert [f.name for f in named] == ["a/1.jpg", "b/1.jpg"]
