"""Supervisely: projects of images."""

from __future__ import annotations

import base64
import io
import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.formats.label_files import files, image, packed, read
from tests.formats.test_huggingface import dataset

import annobridge as ab
from annobridge.core.geometry import decode_rle
from annobridge.exceptions import InvalidSource
from annobridge.formats.supervisely import SuperviselyFormat

SLY = SuperviselyFormat()
META = {
    "classes": [
        {"id": 5, "title": "quai nord", "shape": "any", "color": "#FF0000"},
        {"id": 6, "title": "person", "shape": "graph", "geometry_config": {
            "nodes": {"n1": {"label": "nose", "loc": [0, 0]}, "n2": {"label": "eye", "loc": [1, 1]}}, "edges": []}},
    ],
    "tags": [{"id": 9, "name": "scene", "value_type": "oneof_string", "values": ["day", "dusk"]},
             {"name": "wet", "value_type": "oneof_string", "values": ["true", "false"]}],
}  # fmt: skip
BOX = {
    "classTitle": "quai nord",
    "geometryType": "rectangle",
    "points": {"exterior": [[29, 14], [10, 5]], "interior": []},
    "tags": [],
}


def mask(pixels: Any, mode: str = "palette") -> str:
    pixels = np.asarray(pixels, np.uint8)
    buffer = io.BytesIO()
    if mode == "palette":
        picture = Image.fromarray(pixels, "P")
        picture.putpalette([0, 0, 0, 255, 255, 255])
        picture.save(buffer, "PNG", transparency=0)
    elif mode == "alpha":
        Image.fromarray(np.dstack([pixels * 255] * 4), "RGBA").save(buffer, "PNG")
    else:
        Image.fromarray(pixels * 255, "L").save(buffer, "PNG")
    data = buffer.getvalue()
    return base64.b64encode(data if mode == "raw" else zlib.compress(data)).decode()


def project(folder: Path, objects: Any = (), tags: Any = (), meta: Any = META, size: Any = None) -> Path:
    for name in ("train/img/é a.jpg", "val/img/b.jpg"):
        image(folder / name)
    annotation = {"size": size or {"width": 100, "height": 50}, "tags": list(tags), "objects": list(objects)}
    return files(folder, {"meta.json": json.dumps(meta), "train/ann/é a.jpg.json": json.dumps(annotation)})


def one(folder: Path, entry: Any) -> Any:
    _, labels, found = read(SLY, project(folder, [entry]))
    assert len(labels) == 1, found.notes
    return labels[0]


def figure(kind: str, **values: Any) -> dict[str, Any]:
    return {"classTitle": "quai nord", "geometryType": kind, "tags": [], **values}


def test_a_project_in_a_zip(tmp_path: Path) -> None:
    tags = [{"name": "scene", "value": "dusk"}, {"name": "checked", "value": None}, {"tagId": 9, "value": "day"}]
    values = {"score": 0.25, "wet": "false", "n": 3, "seen": None}
    given = [{"name": name, "value": value} for name, value in values.items()]
    entry = {**BOX, "description": "old", "labelerLogin": "ann", "tags": given}
    source = packed(project(tmp_path / "x/my project", [entry], tags).parent, tmp_path / "x.zip")
    assert SLY.recognises(source)
    samples, labels, found = read(SLY, source, media_dir=tmp_path / "media")
    assert {(Path(s["filepath"]).name, s["split"]) for s in samples} == {("é a.jpg", "train"), ("b.jpg", "val")}
    (box,) = [row for row in labels if row["kind"] == "box"]
    assert box["bounding_box"] == pytest.approx([0.1, 0.1, 0.2, 0.2])
    assert (box["confidence"], box["annotator"]) == (0.25, "ann")
    assert box["attributes"] == {"description": "old", "n": 3, "seen": True, "wet": False}
    assert [(row["label"], row["attributes"]) for row in labels if row["kind"] == "classification"] == [
        ("dusk", {"tag": "scene"}), ("checked", {}), ("day", {"tag": "scene"}),
    ]  # fmt: skip
    assert not found.notes


def test_the_dataset_that_has_no_name_is_no_split(tmp_path: Path) -> None:
    image(tmp_path / "ds0/img/a.jpg")
    image(tmp_path / "city/datasets/north/img/b.jpg")
    files(
        tmp_path,
        {"meta.json": json.dumps(META), "ds0/ann/a.jpg.json": "{}", "city/datasets/north/ann/b.jpg.json": "{}"},
    )
    assert sorted(str(s["split"]) for s in read(SLY, tmp_path)[0]) == ["None", "city/north"]


def test_other_geometries(tmp_path: Path) -> None:
    ring, hole = [[0, 0], [50, 0], [50, 25]], [[20, 5], [30, 5], [30, 8]]
    row = one(tmp_path / "1", figure("polygon", points={"exterior": ring, "interior": [hole]}))
    assert (row["kind"], len(row["points"]), row["points"][0][1]) == ("polygon", 2, [0.5, 0.0])
    row = one(tmp_path / "2", figure("line", points={"exterior": ring, "interior": []}))
    assert (row["kind"], row["closed"]) == ("polyline", False)
    row = one(tmp_path / "3", figure("point", points={"exterior": [[50, 25]], "interior": []}))
    assert (row["kind"], row["points"], row["visibility"]) == ("keypoints", [[[0.5, 0.5]]], [2])
    row = one(tmp_path / "4", figure("oriented_bbox", points=[[10, 10], [29, 19]], angle=math.pi / 6))
    assert row["bounding_box"] == pytest.approx([0.1, 0.2, 0.2, 0.2])
    assert row["rotation"] == pytest.approx(30)
    nodes = {"n2": {"loc": [50, 25], "disabled": True}}
    row = one(tmp_path / "5", {**figure("graph", nodes=nodes), "classTitle": "person"})
    assert (row["kind"], row["visibility"], row["attributes"]) == ("skeleton", [0, 1], {"keypoints": ["nose", "eye"]})
    assert math.isnan(row["points"][0][0][0])
    assert row["points"][0][1] == [0.5, 0.5]
    row = one(
        tmp_path / "6", figure("cuboid", points=[[10, 20], [30, 20], [30, 40], [10, 40], [20, 10], [40, 10], [40, 30]])
    )
    assert row["kind"] == "cuboid"
    pixels = (np.array(row["points"][0]) * (100, 50)).round(6).tolist()
    assert pixels == [[10, 20], [10, 40], [30, 20], [30, 40], [40, 10], [40, 30], [20, 10], [20, 30]]
    row = one(tmp_path / "7", {**BOX, "classTitle": None, "classId": 5})
    assert row["label"] == "quai nord"


@pytest.mark.parametrize("mode", ["palette", "alpha", "grey", "raw"])
def test_masks(tmp_path: Path, mode: str) -> None:
    pixels = [[1, 1, 0], [1, 0, 0]]
    row = one(tmp_path, figure("bitmap", bitmap={"origin": [98, 40], "data": mask(pixels, mode)}))
    found = decode_rle(row["mask"])
    assert np.argwhere(found).tolist() == [[40, 98], [40, 99], [41, 98]]


PNG = mask([[1]])


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (7, "no JSON object"),
        ({**BOX, "classTitle": None}, "has no class"),
        ({**BOX, "classId": [1], "classTitle": 3}, "has no class"),
        ({**BOX, "points": {"exterior": [[1, 2]]}}, "has 1 points, and needs 2"),
        ({**BOX, "points": {"exterior": [[1, "2"], [3, 4]]}}, "a position is not a number"),
        ({**BOX, "points": {"exterior": [[1, 2, 3], [3, 4]]}}, "is not complete|not a number"),
        ({**BOX, "points": None}, "is not complete"),
        ({**BOX, "points": {"exterior": [[900, 5], [910, 9]]}}, "outside its image"),
        (figure("polygon", points={"exterior": [[1, 2], [3, 4]]}), "has 2 points, and needs 3"),
        (figure("graph", nodes={"a": {}}), "is not complete"),
        (figure("cuboid", points=[[1, 2]] * 3), "has 3 points, and needs 7"),
        (figure("cuboid_2d", vertices={"face1-topleft": {"loc": [1, 2]}}), "is not complete"),
        (figure("point_cloud"), "is not one of images"),
        (figure("oriented_bbox", points=[[1, 2], [3, 4]], angle="x"), "its angle is not a number"),
        (figure("bitmap", bitmap={"origin": [0, 0], "data": "%%%"}), "cannot be decoded"),
        (figure("bitmap", bitmap={"origin": [0, 0], "data": "abc"}), "not base64|cannot be decoded"),
        (figure("bitmap", bitmap={"origin": [0, 0]}), "is not complete"),
        (figure("bitmap", bitmap={"origin": [0, 0], "data": mask(np.ones((80, 20)))}), "its mask is not inside its image"),
        (figure("bitmap", bitmap={"origin": [0, 0], "data": base64.b64encode(zlib.compress(b"\0" * (1 << 29))).decode()}),
         "more bytes than a mask needs"),
        (figure("bitmap", bitmap={"origin": ["a", 0], "data": PNG}), "not a number"),
    ],
)  # fmt: skip
def test_a_bad_object_is_left_out_with_its_place(tmp_path: Path, entry: Any, reason: str) -> None:
    _, labels, found = read(SLY, project(tmp_path, [BOX, entry]))
    assert len(labels) == 1
    assert any(part in found.notes[0] for part in reason.split("|"))
    assert "é a.jpg.json' object 1" in found.notes[0]


def test_bad_files(tmp_path: Path) -> None:
    for name, text in (("meta.json", "{"), ("meta.json", "[" * 100_000), ("train/ann/é a.jpg.json", "[]")):
        root = files(project(tmp_path / "x", [BOX]), {name: text})
        with pytest.raises(InvalidSource, match=r"is not JSON|is no JSON object"):
            read(SLY, root)
    root = files(project(tmp_path / "y", [BOX]), {"train/ann/é a.jpg.json": '{"framesCount": 3, "frames": []}'})
    assert "it is of a video" in read(SLY, root)[2].notes[0]
    _, labels, found = read(SLY, project(tmp_path / "z", [BOX], tags=[{"value": 3}, 7], size={"width": "a"}))
    assert len(labels) == 1
    assert "2 annotations were left out: a tag has no name" in found.notes[0]


def test_detection(tmp_path: Path) -> None:
    assert not SLY.recognises(files(tmp_path / "a", {"meta.json": '{"classes": [], "tags": []}'}))
    assert not SLY.recognises(files(tmp_path / "b", {"meta.json": "{}", "x/ann/a.jpg.json": "{}"}))


def test_writing(tmp_path: Path) -> None:
    report = ab.export_dataset(dataset(tmp_path), tmp_path / "out", "supervisely", progress=False)
    assert report.notes == []
    meta = json.loads((tmp_path / "out/meta.json").read_text())
    assert {c["title"]: c["shape"] for c in meta["classes"]} == {
        "bus è": "any", "car": "any", "person": "graph", "road": "line",
    }  # fmt: skip
    kinds = {tag["name"]: tag["value_type"] for tag in meta["tags"]}
    numbers = dict.fromkeys(("n", "part", "score", "track_id"), "any_number")
    assert kinds == {**numbers, "class": "oneof_string", "seen": "oneof_string", "text": "any_string"}
    written = json.loads((tmp_path / "out/my val/ann/b.v1.png.json").read_text())
    assert written["size"] == {"width": 100, "height": 50}
    assert written["objects"][0]["points"]["exterior"] == [[10, 10], [39, 29]]
    assert (tmp_path / "out/my val/img/b.v1.png").exists()
    again = ab.import_dataset(tmp_path / "out", tmp_path / "again", progress=False)
    assert again.labels == {
        "classifications": 2, "cuboids": 2, "detections": 4, "instances": 2, "polygons": 2, "polylines": 2, "skeletons": 2,
    }  # fmt: skip
    before = ab.load_dataset(tmp_path / "ds")
    names = {
        "boxes": "detections",
        "masks": "instances",
        "polygons": "polygons",
        "people": "skeletons",
        "cuboids": "cuboids",
    }
    for old, new in names.items():
        for row, same in zip(*(sorted(ds.labels(name).to_pylist(), key=lambda r: (r["label"], str(r["sample_id"])))
                               for ds, name in ((before, old), (again.dataset, new))), strict=True):  # fmt: skip
            assert row["label"] == same["label"]
            assert row["mask"] == same["mask"]
            assert row["visibility"] == same["visibility"]
            assert row["confidence"] == same["confidence"]
            assert same["rotation"] == (None if row["rotation"] is None else pytest.approx(row["rotation"]))
            if row["kind"] == "box":
                assert row["bounding_box"] == pytest.approx(same["bounding_box"])
                assert (row["attributes"] or []) == (same["attributes"] or [])
            if row["points"]:
                a, b = ([np.array(part) for part in r["points"]] for r in (row, same))
                assert [len(part) for part in a] == [len(part) for part in b]
                for part, other in zip(a, b, strict=True):
                    np.testing.assert_allclose(part, other, atol=0.011)
