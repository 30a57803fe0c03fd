"""Datumaro's JSON: as CVAT and datumaro write it, what cannot be read, and what comes back after writing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.formats.label_files import files, image, packed, read, rewritten

from annobridge.core.geometry import decode_rle, encode_rle
from annobridge.core.labels import LABELS, SAMPLES
from annobridge.core.rows import attributes
from annobridge.exceptions import InvalidSource
from annobridge.formats.base import Part
from annobridge.formats.coco import CocoFormat
from annobridge.formats.datumaro import DatumaroFormat

DATUMARO = DatumaroFormat()
_NAMES = (("car", ""), ("pose", ""), ("nose", "pose"), ("hand", "pose"))
LABEL_LIST = [{"name": name, "parent": parent, "attributes": []} for name, parent in _NAMES]
CATEGORIES = {
    "label": {"labels": LABEL_LIST, "attributes": []},
    "points": {"items": [{"label_id": 1, "labels": ["nose", "hand"], "joints": [[1, 2]]}]},
}
BOX = {
    "id": 1,
    "type": "bbox",
    "attributes": {},
    "group": 0,
    "label_id": 0,
    "z_order": 2,
    "bbox": [10.0, 5.0, 20.0, 25.0],
}
WIDE = [0.1, 0.1, 0.2, 0.5]  # BOX


def document(*annotations: dict[str, Any], path: str = "a.jpg", item: str = "a", **more: Any) -> str:
    items = [{"id": item, "annotations": annotations, "attr": {"frame": 0}, "image": {"path": path, "size": [50, 100]}}]
    return json.dumps({"info": {}, "categories": CATEGORIES, "items": items} | more)


def dataset(folder: Path, *annotations: dict[str, Any], **more: Any) -> Path:
    image(folder / "images" / "default" / "a.jpg")
    return files(folder, {"annotations/default.json": document(*annotations, **more)})


def one(folder: Path, annotation: dict[str, Any]) -> dict[str, Any]:
    _, [label], _ = read(DATUMARO, dataset(folder, {"id": 1, "attributes": {}, "group": 0, "label_id": 0} | annotation))
    return label


class TestLayouts:
    def test_an_archive_without_images(self, tmp_path: Path) -> None:
        source = packed(files(tmp_path / "in", {"annotations/default.json": document(BOX)}), tmp_path / "x.zip")
        image(tmp_path / "images" / "a.jpg")
        samples, [label], _ = read(DATUMARO, source, image_dir=tmp_path / "images")
        assert label["bounding_box"] == WIDE
        assert "split" not in samples[0]
        assert label["attributes"] == {"z_order": 2}

    def test_an_export_of_cvat_without_images(self, tmp_path: Path) -> None:
        """CVAT writes an empty point cloud for each image then."""
        items = [{"id": "a", "annotations": [BOX], "attr": {"frame": 0}, "point_cloud": {"path": ""}}]
        text = json.dumps({"info": {}, "categories": CATEGORIES, "items": items})
        source = packed(files(tmp_path / "in", {"annotations/default.json": text}), tmp_path / "x.zip")
        image(tmp_path / "images" / "a.jpg")
        _, [label], found = read(DATUMARO, source, image_dir=tmp_path / "images")
        assert label["bounding_box"] == WIDE
        assert not found.skipped.num_rows

    @pytest.mark.parametrize("cloud", [{"path": "a.pcd"}, {"path": ""}])
    def test_point_clouds_are_left_out(self, tmp_path: Path, cloud: dict[str, str]) -> None:
        solid = {
            "id": 0,
            "type": "cuboid_3d",
            "label_id": 0,
            "position": [0, 0, 0],
            "rotation": [0, 0, 0],
            "scale": [1, 1, 1],
        }
        items = [{"id": "a", "annotations": [solid], "point_cloud": cloud}]
        text = json.dumps({"info": {}, "categories": CATEGORIES, "items": items})
        _, labels, found = read(DATUMARO, files(tmp_path, {"annotations/default.json": text}))
        assert labels == []
        assert found.skipped["reason"].to_pylist() == ["it is a point cloud"]

    def test_subsets_are_splits(self, tmp_path: Path) -> None:
        for split in ("train", "val"):
            image(tmp_path / "images" / split / "a.jpg")
            files(tmp_path, {f"annotations/{split}.json": document(BOX)})
        samples, labels, _ = read(DATUMARO, tmp_path)
        assert sorted(row["split"] for row in samples) == ["train", "val"]
        assert len(labels) == 2

    def test_an_image_whose_file_has_another_name(self, tmp_path: Path) -> None:
        image(tmp_path / "images" / "default" / "cam 1_a.jpg")
        source = files(tmp_path, {"annotations/default.json": document(BOX, path="cam 1_a.jpg", item="cam 1/a")})
        _, [label], _ = read(DATUMARO, source)
        assert label["image"] == "cam 1_a.jpg"

    def test_a_path_of_another_machine(self, tmp_path: Path) -> None:
        image(tmp_path / "pictures" / "sub" / "a.jpg")
        source = files(
            tmp_path / "in", {"annotations/default.json": document(BOX, path="/data/x/sub/a.jpg", item="sub/a")}
        )
        _, [label], _ = read(DATUMARO, source, image_dir=tmp_path / "pictures")
        assert label["image"] == "a.jpg"

    def test_categories_after_the_items(self, tmp_path: Path) -> None:
        members = json.loads(document(BOX))
        text = json.dumps({"dm_format_version": "1.0", "items": members["items"], "categories": CATEGORIES})
        _, [label], _ = read(DATUMARO, files(dataset(tmp_path), {"annotations/default.json": text}))
        assert label["label"] == "car"

    def test_is_recognised(self, tmp_path: Path) -> None:
        source = dataset(tmp_path, BOX)
        assert DATUMARO.reason(source) == "annotations/default.json has Datumaro's categories and items"
        assert not CocoFormat().recognises(source)


class TestShapes:
    def test_rotation_track_and_score(self, tmp_path: Path) -> None:
        given = {"rotation": 30, "track_id": 7, "score": 0.5, "occluded": True, "n": 2.0}
        label = one(tmp_path, BOX | {"attributes": given, "group": 4})
        assert (label["rotation"], label["index"], label["confidence"]) == (30, 7, 0.5)
        assert label["attributes"] == {"occluded": True, "n": 2.0, "group": 4, "z_order": 2}

    def test_lines(self, tmp_path: Path) -> None:
        flat = [0, 0, 50, 0, 50, 25]
        polygon = one(tmp_path / "a", {"type": "polygon", "points": flat})
        assert (polygon["kind"], polygon["points"]) == ("polygon", [[[0, 0], [0.5, 0], [0.5, 0.5]]])
        line = one(tmp_path / "b", {"type": "polyline", "points": flat})
        assert (line["kind"], line["closed"], line["filled"]) == ("polyline", False, False)

    def test_points(self, tmp_path: Path) -> None:
        label = one(tmp_path, {"type": "points", "points": [10, 10, 0, 0], "visibility": [1, 0], "label_id": 1})
        assert (label["kind"], label["visibility"]) == ("keypoints", [1, 0])
        assert label["attributes"] == {"keypoints": ["nose", "hand"]}

    @pytest.mark.parametrize(
        "shape",
        [
            {"points": [10, 10, 2, 20, 20, 1]},
            {"elements": [
                {"type": "points", "label_id": 3, "points": [20, 20], "visibility": [1]},
                {"type": "points", "label_id": 2, "points": [10, 10], "visibility": [2]},
            ]},
        ],
    )  # fmt: skip
    def test_skeletons(self, tmp_path: Path, shape: dict[str, Any]) -> None:
        label = one(tmp_path, {"type": "skeleton", "label_id": 1} | shape)
        assert (label["kind"], label["label"], label["visibility"]) == ("skeleton", "pose", [2, 1])
        assert label["points"] == [[[0.1, 0.2], [0.2, 0.4]]]
        assert label["attributes"] == {"keypoints": ["nose", "hand"]}

    def test_masks_classes_and_other_boxes(self, tmp_path: Path) -> None:
        pixels = np.zeros((50, 100), bool)
        pixels[10:20, 30:50] = True
        rle = {"size": [50, 100], "counts": encode_rle(pixels)["counts"].decode()}
        assert (decode_rle(one(tmp_path / "a", {"type": "mask", "rle": rle})["mask"]) == pixels).all()
        assert one(tmp_path / "b", {"type": "label"})["kind"] == "classification"
        turned = one(tmp_path / "c", {"type": "rotated_bbox", "rotated_bbox": [20, 17.5, 20, 25, 30]})
        assert (turned["bounding_box"], turned["rotation"]) == (WIDE, 30)
        assert one(tmp_path / "d", {"type": "ellipse", "points": [10, 5, 30, 30]})["bounding_box"] == WIDE


class TestBadInput:
    @pytest.mark.parametrize(
        ("annotation", "reason"),
        [
            ({"type": "cuboid_3d"}, "annotations of the type 'cuboid_3d' are not read"),
            ({"type": "label", "label_id": 9}, "its label_id is not in the file"),
            ({"type": "label", "label_id": -1}, "its label_id is not in the file"),
            ({"type": "bbox", "bbox": [1, 2, 3]}, "it is not as Datumaro has it"),
            ({"type": "bbox", "bbox": [1, 2, float("inf"), 3]}, "it is not as Datumaro has it"),
            ({"type": "polygon", "points": [1, 2, 3, 4]}, "its polygon has too few points"),
            ({"type": "polygon", "points": [1, 2, 3]}, "it is not as Datumaro has it"),
            ({"type": "points", "points": [1, 2], "visibility": [2, 2]}, "its visibility is not as long as its points"),
            ({"type": "mask", "rle": {"size": [50, 100], "counts": [1]}}, "its RLE has fewer pixels than its size"),
            ({"type": "skeleton", "points": [1, 2]}, "its points are not [x, y, visibility, …]"),
        ],
    )
    def test_is_left_out_with_its_place(self, tmp_path: Path, annotation: dict[str, Any], reason: str) -> None:
        _, labels, found = read(DATUMARO, dataset(tmp_path, BOX, {"id": 2, "label_id": 0} | annotation))
        assert len(labels) == 1
        place = f"({str(tmp_path.name) + '/annotations/default.json'!r} item 'a' annotation 2)"
        assert found.notes == [f"1 annotations were left out: {reason} {place}."]

    def test_categories_that_are_none(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidSource, match="The categories of .*default.json' cannot be read"):
            read(DATUMARO, dataset(tmp_path, categories={"label": {"labels": [{"parent": ""}]}}))

    def test_an_item_without_an_id(self, tmp_path: Path) -> None:
        members = json.loads(document(BOX))
        members["items"].append({"annotations": [BOX]})
        _, labels, found = read(DATUMARO, files(dataset(tmp_path), {"annotations/default.json": json.dumps(members)}))
        assert len(labels) == 1
        assert "it is not as Datumaro has it" in found.notes[0]


def write(folder: Path, rows: list[dict], **options: Any) -> list[str]:
    samples = [{"sample_id": "s1", "filepath": str(image(folder / "in" / "a.jpg")), "width": 100, "height": 50}]
    defaults = {"sample_id": "s1", "field": "objects", "rev": 0, "label": "car"}
    table = pa.Table.from_pylist([defaults | {"label_id": f"l{n}"} | row for n, row in enumerate(rows)], schema=LABELS)
    (folder / "out").mkdir()
    part = Part(pa.Table.from_pylist(samples, schema=SAMPLES), table)
    return DATUMARO.write([part], folder / "out", DATUMARO.writing(**options))


class TestWriting:
    def test_the_form_that_others_read(self, tmp_path: Path) -> None:
        skeleton = {"kind": "skeleton", "label": "pose", "points": [[[0.1, 0.2], [0.2, 0.4]]], "visibility": [2, 1]}
        skeleton |= {"attributes": attributes({"keypoints": ["nose", "hand"], "group": 3})}
        assert write(tmp_path, [{"kind": "box", "bounding_box": WIDE, "rotation": 30.0}, skeleton]) == []
        found = json.loads((tmp_path / "out/annotations/default.json").read_text())
        assert [(x["name"], x["parent"]) for x in found["categories"]["label"]["labels"]] == [
            ("car", ""), ("pose", ""), ("nose", "pose"), ("hand", "pose"),
        ]  # fmt: skip
        assert found["categories"]["points"]["items"] == [{"label_id": 1, "labels": ["nose", "hand"], "joints": []}]
        [item] = found["items"]
        assert (item["id"], item["image"]) == ("a", {"path": "a.jpg", "size": [50, 100]})
        assert (tmp_path / "out/images/default/a.jpg").is_file()
        box, points = item["annotations"]
        assert (box["type"], box["bbox"], box["attributes"]) == ("bbox", [10.0, 5.0, 20.0, 25.0], {"rotation": 30.0})
        assert (points["type"], points["group"], points["points"]) == ("skeleton", 3, [10.0, 10.0, 2, 20.0, 20.0, 1])

    def test_parts_of_a_polygon_are_a_group(self, tmp_path: Path) -> None:
        parts = [[[0, 0], [0.1, 0], [0.1, 0.1]], [[0.5, 0.5], [0.6, 0.5], [0.6, 0.6]]]
        row = {"kind": "polygon", "points": parts, "closed": True, "filled": True}
        assert write(tmp_path, [row]) == ["objects: 1 labels of several parts become several labels."]
        _, labels, _ = read(DATUMARO, tmp_path / "out")
        assert [row["attributes"] for row in labels] == [{"group": 1}] * 2

    def test_comes_back(self, tmp_path: Path) -> None:
        rle = encode_rle(np.pad(np.ones((10, 20), bool), ((5, 35), (10, 70))))
        shapes = [
            BOX | {"attributes": {"rotation": 12.5, "track_id": 4, "text": "x", "score": 0.125}, "group": 2},
            {"type": "polygon", "label_id": 0, "points": [0, 0, 50, 0, 50, 25], "z_order": 0},
            {"type": "polyline", "label_id": 0, "points": [0, 0, 50, 0, 50, 25], "attributes": {"closed": True}},
            {"type": "points", "label_id": 0, "points": [10, 10, 0, 0], "visibility": [1, 0]},
            {"type": "points", "label_id": 1, "points": [10, 10, 0, 0], "visibility": [1, 0]},
            {"type": "skeleton", "label_id": 1, "points": [10, 10, 2, 20, 20, 1]},
            {"type": "mask", "label_id": 0, "rle": {"size": [50, 100], "counts": rle["counts"].decode()}},
            {"type": "label", "label_id": 0, "attributes": {"day": True}},
        ]
        source = dataset(tmp_path / "a", *shapes)
        assert rewritten(DATUMARO, source, tmp_path / "b") == []
        before, after = (read(DATUMARO, place)[1] for place in (source, tmp_path / "b"))
        assert str(before) == str(after)
        assert len(after) == len(shapes)
