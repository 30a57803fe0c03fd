"""VGG Image Annotator: projects and exports, as JSON and CSV."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from tests.formats.label_files import files, image, packed, read

from annobridge.exceptions import InvalidSource
from annobridge.formats import registry
from annobridge.formats.via import ViaFormat

VIA = ViaFormat()
RECT = {"name": "rect", "x": 10, "y": 5, "width": 20, "height": 10}
LINE = {"name": "polygon", "all_points_x": [10, 30, 30, 10], "all_points_y": [5, 5, 15, 5]}


def region(shape: Any, **attributes: Any) -> dict[str, Any]:
    return {"shape_attributes": shape, "region_attributes": attributes}


def entry(*regions: Any, name: str = "é 1.jpg") -> dict[str, Any]:
    return {f"{name}123": {"filename": name, "size": 123, "regions": list(regions), "file_attributes": {}}}


def source(folder: Path, document: Any, name: str = "via.json") -> Path:
    image(folder / "é 1.jpg")
    return files(folder, {name: document if isinstance(document, str) else json.dumps(document)})


def test_a_project(tmp_path: Path) -> None:
    shapes = (
        region(RECT, label="car", colour="red", flags={"wet": True, "old": True}),
        region({"name": "circle", "cx": 50, "cy": 25, "r": 10}, label="wheel"),
        region({"name": "ellipse", "cx": 50, "cy": 25, "rx": 10, "ry": 5, "theta": math.pi / 6}, label="lamp"),
        region({**LINE, "name": "polyline"}, label="wire"),
        region({"name": "point", "cx": 50, "cy": 25}, label="nose"),
    )
    project = {"_via_settings": {"ui": {}}, "_via_img_metadata": entry(*shapes), "_via_attributes": {"region": {}}}
    zipped = packed(source(tmp_path / "x", project), tmp_path / "x.zip")
    assert registry.of(zipped).name == "via"
    _, rows, found = read(VIA, zipped, media_dir=tmp_path / "media")
    by = {row["label"]: row for row in rows}
    assert [row["kind"] for row in rows] == ["box", "ellipse", "ellipse", "polyline", "keypoints"]
    assert by["car"]["bounding_box"] == pytest.approx([0.1, 0.1, 0.2, 0.2])
    assert by["car"]["attributes"] == {"colour": "red", "flags": ["wet", "old"]}
    assert by["wheel"]["bounding_box"] == pytest.approx([0.4, 0.3, 0.2, 0.4])
    assert by["lamp"]["rotation"] == pytest.approx(30)
    assert by["nose"]["points"] == [[[0.5, 0.5]]]
    assert not found.notes


def test_an_export_of_via_1(tmp_path: Path) -> None:
    document = entry() | entry(name="b.jpg")
    document["é 1.jpg123"]["regions"] = {"0": region(LINE, what="roof"), "1": region(RECT, kind={"a": True}, what="x")}
    image(tmp_path / "x/b.jpg")
    samples, (roof, plain), _ = read(VIA, source(tmp_path / "x", document))
    assert len(samples) == 2
    assert (roof["label"], len(roof["points"][0])) == ("roof", 3)
    assert "label" not in plain
    assert plain["attributes"] == {"kind": "a", "what": "x"}
    assert read(VIA, tmp_path / "x", class_key="kind")[1][1]["label"] == "a"


def test_csv(tmp_path: Path) -> None:
    header = "#filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n"

    def row(shape: Any, attributes: Any) -> str:
        cells = (json.dumps(value).replace('"', '""') for value in (shape, attributes))
        return 'é 1.jpg,123,"{}",1,0,"' + '","'.join(cells) + '"\n'

    text = header + row(RECT, {"class": "car"}) + row({}, {}) + 'é 1.jpg,1,"{}",1,0,"{",""\n'
    place = source(tmp_path / "x", text, "via.csv")
    assert registry.of(place).name == "via"
    _, (box,), found = read(VIA, place)
    assert (box["kind"], box["label"]) == ("box", "car")
    assert "its attributes are not JSON ('x/via.csv' line 4)" in found.notes[0]


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ({"name": "spline"}, "none of rect, circle"),
        (7, "none of rect, circle"),
        ({"name": "rect", "x": 1, "y": 2, "width": 3}, "not all there"),
        ({"name": "rect", "x": "1", "y": 2, "width": 3, "height": 4}, "not all there"),
        ({"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1]}, "not all there"),
        ({"name": "polygon", "all_points_x": 7, "all_points_y": [1]}, "not all there"),
        ({**RECT, "width": 0}, "no area"),
        ({**RECT, "x": 500}, "outside its image"),
    ],
)
def test_a_bad_region_is_left_out_with_its_place(tmp_path: Path, shape: Any, reason: str) -> None:
    _, rows, found = read(VIA, source(tmp_path / "x", entry(region(RECT, label="car"), region(shape, label="car"))))
    assert len(rows) == 1
    assert reason in found.notes[0]
    assert "region 1" in found.notes[0]


def test_bad_files(tmp_path: Path) -> None:
    bad = entry(region(RECT)) | {"x": 7, "y": {"filename": "é 1.jpg", "regions": "none"}}
    _, (row,), found = read(VIA, source(tmp_path / "x", bad))
    assert row["kind"] == "box"
    assert any("it has no filename" in note for note in found.notes)
    assert any("its regions are no list" in note for note in found.notes)
    with pytest.raises(InvalidSource, match="in the middle of its JSON"):
        read(VIA, source(tmp_path / "y", json.dumps(entry(region(RECT)))[:-5]))
    with pytest.raises(InvalidSource, match="no JSON or CSV of VIA"):
        read(VIA, files(tmp_path / "z", {"a.json": "{}"}))
