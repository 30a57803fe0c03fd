"""COCO: its tasks as tools write them, what cannot be read, and what comes back after writing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from tests.formats.label_files import files, image, packed, read, rewritten

from annobridge.core.geometry import decode_rle, encode_rle
from annobridge.core.labels import LABELS, SAMPLES
from annobridge.core.rows import attributes
from annobridge.exceptions import InvalidSource, Unsupported
from annobridge.formats.base import Part
from annobridge.formats.coco import CocoFormat
from annobridge.formats.common.json_stream import JsonStream

COCO = CocoFormat()
CLASSES = [{"id": 0, "name": "car"}, {"id": 7, "name": "quai nord"}]
BOX = {"id": 1, "image_id": 5, "category_id": 7, "bbox": [10, 5, 20, 25], "segmentation": [], "iscrowd": 0, "area": 500}
WIDE = [0.1, 0.1, 0.2, 0.5]  # BOX
POINTS = {"id": 9, "name": "pose", "keypoints": ["nose", "hand"], "skeleton": [[1, 2]]}


def document(*annotations: dict[str, Any], images: list[dict] | None = None, **more: Any) -> str:
    """A document with one image of 100 × 50 pixels, unless it has others."""
    images = images or [{"id": 5, "file_name": "a.jpg", "width": 100, "height": 50}]
    return json.dumps({"images": images, "annotations": annotations, "categories": [*CLASSES, POINTS]} | more)


def dataset(
    folder: Path, *annotations: dict[str, Any], name: str = "annotations/instances_default.json", **more: Any
) -> Path:
    image(folder / "images" / "a.jpg")
    return files(folder, {name: document(*annotations, **more)})


def boxes(labels: list[dict]) -> list[tuple]:
    return [(row["image"], row["label"], np.round(row["bounding_box"], 9).tolist()) for row in labels]


def one(folder: Path, annotation: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The label of the only annotation."""
    _, [label], _ = read(COCO, dataset(folder, annotation, **more))
    return label


def left_out(folder: Path, annotation: dict[str, Any]) -> str:
    """The note on an annotation that is left out beside one that is read."""
    _, labels, found = read(COCO, dataset(folder, BOX, {"id": 2, "image_id": 5, "category_id": 7} | annotation))
    assert boxes(labels) == [("a.jpg", "quai nord", WIDE)]
    [note] = found.notes
    return note


class TestLayouts:
    @pytest.mark.parametrize(
        ("name", "picture", "split"),
        [
            ("annotations/instances_train.json", "images/train/a.jpg", "train"),
            ("annotations/instances_train2017.json", "train2017/a.jpg", "train"),
            ("annotations/instances_default.json", "images/a.jpg", None),
            ("valid/_annotations.coco.json", "valid/a.jpg", "valid"),
            ("test/labels.json", "test/data/a.jpg", "test"),
            ("labels.json", "data/a.jpg", None),
            ("result.json", "images/a.jpg", None),
            ("annotations/val.json", "images/a.jpg", "val"),
            ("my_train_set.json", "a.jpg", "train"),
        ],
    )
    def test_of_tools(self, tmp_path: Path, name: str, picture: str, split: str | None) -> None:
        image(tmp_path / picture)
        source = files(tmp_path, {name: document(BOX)})
        samples, labels, _ = read(COCO, source)
        assert [row.get("split") for row in samples] == [split]
        assert boxes(labels) == [("a.jpg", "quai nord", WIDE)]

    def test_a_zip_without_images(self, tmp_path: Path) -> None:
        source = packed(
            files(tmp_path / "in", {"annotations/instances_default.json": document(BOX)}), tmp_path / "x.zip"
        )
        image(tmp_path / "images" / "a.jpg")
        _, labels, found = read(COCO, source, image_dir=tmp_path / "images")
        assert boxes(labels) == [("a.jpg", "quai nord", WIDE)]
        assert found.assumptions == ("1 images were found in image_dir.",)

    def test_a_bare_file(self, tmp_path: Path) -> None:
        files(tmp_path, {"anything.json": document(BOX)})
        image(tmp_path / "images" / "a.jpg")
        _, labels, _ = read(COCO, tmp_path / "anything.json", image_dir=tmp_path / "images")
        assert len(labels) == 1

    def test_names_with_folders_and_an_image_without_labels(self, tmp_path: Path) -> None:
        images = [
            {"id": 1, "file_name": "cam 1/frame.jpg"}, {"id": 2, "file_name": "frame.jpg"}, {"id": 3, "file_name": "é.png"},
        ]  # fmt: skip
        for row in images:
            image(tmp_path / "images" / row["file_name"])
        source = files(tmp_path, {"annotations/instances_default.json": document(BOX | {"image_id": 2}, images=images)})
        samples, labels, _ = read(COCO, source)
        assert [Path(row["filepath"]).relative_to(tmp_path / "images").as_posix() for row in samples] == [
            "cam 1/frame.jpg", "frame.jpg", "é.png",
        ]  # fmt: skip
        assert boxes(labels) == [("frame.jpg", "quai nord", WIDE)]

    def test_uploads_of_label_studio(self, tmp_path: Path) -> None:
        images = [{"id": 5, "file_name": "..\\/..\\/upload\\/1\\/4e0bce4e-my_car.jpg".replace("\\/", "/")}]
        image(tmp_path / "pictures" / "my car.jpg")
        source = files(tmp_path / "in", {"result.json": document(BOX, images=images)})
        _, labels, found = read(COCO, source, image_dir=tmp_path / "pictures")
        assert boxes(labels) == [("my car.jpg", "quai nord", WIDE)]
        assert found.assumptions == ("1 images were found by the name that they had before they were uploaded.",)

    def test_a_size_the_wrong_way_round(self, tmp_path: Path) -> None:
        swapped = [{"id": 5, "file_name": "a.jpg", "width": 50, "height": 100}]
        _, labels, found = read(COCO, dataset(tmp_path, BOX | {"bbox": [80, 5, 20, 25]}, images=swapped))
        assert boxes(labels) == [("a.jpg", "quai nord", [0.8, 0.1, 0.2, 0.5])]
        assert "1 boxes are on images whose width and height are swapped in the file." in found.notes

    @pytest.mark.parametrize("bbox", [[10, 45, 20, 15], [10, 30, 20, 25]])
    def test_a_box_over_the_border_turns_no_image(self, tmp_path: Path, bbox: list[int]) -> None:
        _, labels, found = read(COCO, dataset(tmp_path, BOX | {"bbox": bbox}, BOX | {"id": 2, "bbox": [80, 5, 15, 10]}))
        x, y, width, height = bbox[0] / 100, bbox[1] / 50, bbox[2] / 100, min(bbox[3], 50 - bbox[1]) / 50
        assert sorted(label[2] for label in boxes(labels)) == sorted([[x, y, width, height], [0.8, 0.1, 0.15, 0.2]])
        assert not any("swapped" in note for note in found.notes)

    @pytest.mark.parametrize(
        "order", [("categories", "annotations", "images"), ("annotations", "images", "categories")]
    )
    def test_members_in_any_order(self, tmp_path: Path, order: tuple[str, ...]) -> None:
        members = json.loads(document(BOX))
        image(tmp_path / "a.jpg")
        text = json.dumps({"info": {"a": "]}"}} | {key: members[key] for key in order}, indent=2)
        _, labels, _ = read(COCO, files(tmp_path, {"a.json": "\ufeff" + text}))
        assert boxes(labels) == [("a.jpg", "quai nord", WIDE)]

    def test_is_recognised(self, tmp_path: Path) -> None:
        assert COCO.reason(dataset(tmp_path / "a")) == "annotations/instances_default.json has images and annotations"
        others = {"a.json": '{"items": [{"annotations": []}], "categories": {"label": {}}}', "b.json": '{"shapes": []}'}
        assert not COCO.recognises(files(tmp_path / "b", others))


class TestShapes:
    def test_polygons_of_several_parts(self, tmp_path: Path) -> None:
        parts = [[0, 0, 50, 0, 50, 25], [60, 30, 80, 30, 80, 40, 60, 40]]
        label = one(tmp_path, BOX | {"segmentation": parts})
        assert (label["kind"], label["filled"], label["closed"]) == ("polygon", True, True)
        assert label["points"] == [[[0, 0], [0.5, 0], [0.5, 0.5]], [[0.6, 0.6], [0.8, 0.6], [0.8, 0.8], [0.6, 0.8]]]

    @pytest.mark.parametrize("compressed", [True, False])
    @pytest.mark.parametrize("crowd", [0, 1])
    def test_masks(self, tmp_path: Path, compressed: bool, crowd: int) -> None:
        pixels = np.zeros((50, 100), bool)
        pixels[10:20, 30:50] = True
        pixels[12:14, 33:36] = False
        rle = encode_rle(pixels)
        flat = np.flatnonzero(np.diff(np.concatenate([[0], pixels.ravel(order="F"), [2]])))
        counts = rle["counts"].decode() if compressed else np.diff(np.concatenate([[0], flat])).tolist()
        label = one(tmp_path, BOX | {"segmentation": {"size": [50, 100], "counts": counts}, "iscrowd": crowd})
        assert (decode_rle(label["mask"]) == pixels).all()
        assert label["bounding_box"] == [0.3, 0.2, 0.2, 0.2]
        assert label["attributes"] == ({"iscrowd": True} if crowd else {})

    def test_keypoints_with_names_and_the_box_beside_them(self, tmp_path: Path) -> None:
        annotation = BOX | {"category_id": 9, "id": 4, "keypoints": [10, 10, 1, 0, 0, 0], "num_keypoints": 1}
        _, labels, _ = read(COCO, dataset(tmp_path, annotation, name="annotations/person_keypoints_default.json"))
        box, points = sorted(labels, key=lambda row: row["kind"])
        assert (box["kind"], box["attributes"]) == ("box", {"group": 4})
        assert (points["kind"], points["visibility"]) == ("skeleton", [1, 0])
        assert points["attributes"] == {"group": 4, "keypoints": ["nose", "hand"]}
        assert points["points"][0][0] == [0.1, 0.2]
        assert np.isnan(points["points"][0][1]).all()

    def test_keypoints_without_names_or_box(self, tmp_path: Path) -> None:
        annotation = {"image_id": 5, "category_id": 7, "keypoints": [10, 10, 2, 20, 20, 2], "score": [0.5, 0.25]}
        label = one(tmp_path, annotation)
        assert (label["kind"], label["visibility"]) == ("keypoints", [2, 2])
        assert label["attributes"] == {"point_confidence": [0.5, 0.25]}

    def test_persons_without_a_keypoint_have_their_polygon_only(self, tmp_path: Path) -> None:
        polygon = [[0, 0, 50, 0, 50, 25]]
        label = one(tmp_path, BOX | {"category_id": 9, "keypoints": [0] * 6, "segmentation": polygon})
        assert (label["kind"], label["attributes"]) == ("polygon", {})

    def test_classes_of_images(self, tmp_path: Path) -> None:
        annotation = {"id": 1, "image_id": 5, "category_id": 0}
        label = one(tmp_path, annotation, name="annotations/labels_default.json")
        assert (label["kind"], label["label"]) == ("classification", "car")

    def test_attributes_keep_their_types(self, tmp_path: Path) -> None:
        given = {
            "occluded": True,
            "n": 2.0,
            "k": 2,
            "text": "é",
            "list": [1],
            "rotation": 30,
            "track_id": 7,
            "score": 0.5,
        }
        label = one(tmp_path, BOX | {"attributes": given})
        assert label["attributes"] == {"occluded": True, "n": 2.0, "k": 2, "text": "é", "list": [1]}
        assert (label["rotation"], label["index"], label["confidence"]) == (30, 7, 0.5)

    def test_keys_of_the_annotation_are_attributes(self, tmp_path: Path) -> None:
        label = one(tmp_path, BOX | {"decks": 2, "color": "red", "score": 0.25, "ignore": 0, "area": None})
        assert label["attributes"] == {"decks": 2, "color": "red"}
        assert label["confidence"] == 0.25

    def test_ids_that_repeat(self, tmp_path: Path) -> None:
        _, labels, found = read(COCO, dataset(tmp_path, BOX, BOX | {"bbox": [0, 0, 10, 10]}))
        assert len(labels) == 2
        assert not found.notes

    def test_numbers_as_text(self, tmp_path: Path) -> None:
        label = one(tmp_path, BOX | {"bbox": ["10", "5", "20", "25.0"], "image_id": "5", "category_id": 7.0})
        assert boxes([label]) == [("a.jpg", "quai nord", WIDE)]

    def test_a_flat_segmentation(self, tmp_path: Path) -> None:
        label = one(tmp_path, BOX | {"segmentation": [0, 0, 50, 0, 50, 25]})
        assert label["points"] == [[[0, 0], [0.5, 0], [0.5, 0.5]]]

    def test_a_polygon_that_is_a_line_is_its_box(self, tmp_path: Path) -> None:
        _, labels, found = read(COCO, dataset(tmp_path, BOX | {"segmentation": [[0, 0, 5, 5]]}))
        assert boxes(labels) == [("a.jpg", "quai nord", WIDE)]
        assert found.notes == ["1 polygons have fewer than three points; their boxes were read instead."]

    def test_classes_without_categories_are_numbers(self, tmp_path: Path) -> None:
        _, [label], found = read(COCO, dataset(tmp_path, BOX, categories=[]))
        assert label["label"] == "7"
        assert found.notes == ["1 categories are not in the source; their numbers are the classes."]


class TestTasks:
    def test_keypoints_beside_instances_are_not_read_twice(self, tmp_path: Path) -> None:
        person = BOX | {"category_id": 9, "id": 3}
        points = person | {"keypoints": [10, 10, 2, 20, 20, 2]}
        source = dataset(tmp_path, BOX, person)
        files(source, {"annotations/person_keypoints_default.json": document(points)})
        _, labels, _ = read(COCO, source)
        assert sorted(row["kind"] for row in labels) == ["box", "box", "skeleton"]

    def test_panoptic(self, tmp_path: Path) -> None:
        numbers = np.zeros((50, 100), np.uint32)
        numbers[10:20, 30:50], numbers[0:5, 0:10] = 70000, 3
        colours = np.stack([numbers % 256, numbers // 256 % 256, numbers // 65536], axis=2).astype(np.uint8)
        segments = [
            {"id": 70000, "category_id": 7, "iscrowd": 0, "attributes": {"color": "red"}},
            {"id": 3, "category_id": 0, "iscrowd": 1}, {"id": 9, "category_id": 0}, {"id": 3, "category_id": 99},
        ]  # fmt: skip
        annotation = {"image_id": 5, "file_name": "a_b.png", "segments_info": segments}
        source = dataset(tmp_path, annotation, name="annotations/panoptic_default.json")
        (tmp_path / "annotations/panoptic_default").mkdir()
        Image.fromarray(colours).save(tmp_path / "annotations/panoptic_default/a_b.png")
        samples, labels, found = read(COCO, source)
        assert len(samples) == 1
        assert [(r["label"], r["bounding_box"], r["attributes"]) for r in labels] == [
            ("quai nord", [0.3, 0.2, 0.2, 0.2], {"color": "red"}),
            ("car", [0, 0, 0.1, 0.1], {"iscrowd": True}),
        ]
        assert [note.partition(" (")[0] for note in found.notes] == [
            "1 annotations were left out: its segment has no pixel in the PNG",
            "1 annotations were left out: its category is not in the file",
        ]
        files(source, {"annotations/instances_default.json": document(BOX)})
        _, labels, found = read(COCO, source)
        assert [row["kind"] for row in labels] == ["box"]
        assert found.notes == [
            "1 file was not read (annotations/panoptic_default.json), since the objects are in another file of the split; "
            "files='panoptic_default.json' reads it."
        ]
        _, labels, _ = read(COCO, source, files="panoptic_*.json")
        assert [row["kind"] for row in labels] == ["mask", "mask"]

    def test_results(self, tmp_path: Path) -> None:
        result = {"image_id": 5, "category_id": 0, "bbox": [0, 0, 50, 25], "score": 0.75}
        source = dataset(tmp_path, BOX)
        files(source, {"results.json": json.dumps([result])})
        _, labels, found = read(COCO, source)
        assert boxes(labels) == [("a.jpg", "quai nord", WIDE)]
        assert found.notes[0].startswith("1 file of results was not read (results.json)")
        _, [label], found = read(COCO, source, as_predictions=True)
        assert (label["label"], label["confidence"], label["field"]) == ("car", 0.75, "predictions")
        assert not found.notes

    def test_results_that_are_asked_for_by_name(self, tmp_path: Path) -> None:
        result = {"image_id": 5, "category_id": 0, "bbox": [0, 0, 50, 25], "score": 0.75}
        source = files(dataset(tmp_path, BOX), {"results.json": json.dumps([result])})
        _, [label], _ = read(COCO, source, files="results.json")
        assert (label["label"], label["confidence"], label["image"]) == ("car", 0.75, "a.jpg")

    def test_results_without_their_images(self, tmp_path: Path) -> None:
        result = {"image_id": 139, "category_id": 7, "bbox": [0, 0, 50, 25], "score": 0.75}
        source = files(tmp_path / "in", {"results.json": json.dumps([result])}) / "results.json"
        image(tmp_path / "images" / "000000000139.jpg")
        _, [label], _ = read(COCO, source, image_dir=tmp_path / "images")
        assert (label["label"], label["image"]) == ("7", "000000000139.jpg")
        images = [{"id": 139, "file_name": "000000000139.jpg", "width": 100, "height": 50}]
        truth = files(tmp_path / "truth", {"instances_val.json": document(images=images)})
        _, [label], _ = read(COCO, source, image_dir=tmp_path / "images", ground_truth=truth)
        assert (label["label"], label["confidence"]) == ("quai nord", 0.75)


class TestBadInput:
    @pytest.mark.parametrize(
        ("annotation", "reason"),
        [
            ({"image_id": 6, "bbox": [0, 0, 1, 1]}, "its image is not in the file"),
            ({"category_id": 3, "bbox": [0, 0, 1, 1]}, "its category is not in the file"),
            ({"category_id": None, "bbox": [0, 0, 1, 1]}, "its category is not in the file"),
            ({"category_id": None, "caption": "A boat."}, "it is a caption, and captions are not read"),
            ({"bbox": [1, 2, 3]}, "its bbox is not [x, y, width, height]"),
            ({"bbox": [1, float("nan"), 3, 4]}, "it has a number that is not finite"),
            ({"bbox": [1, 2, 3, "wide"]}, "it is not as COCO has it: Expected 'float', got 'str' - at 'bbox[3]'"),
            ({"bbox": [1, 2, 0, 4]}, "it has the box [0.01, 0.04, 0.0, 0.08], which has no area"),
            ({"bbox": [200, 2, 5, 5]}, "it is outside its image"),
            ({"segmentation": [[1, 2]], "bbox": None}, "its polygon has no part of three points"),
            ({"segmentation": {"size": [50, 100], "counts": [10, 5]}}, "its RLE has fewer pixels than its size"),
            ({"segmentation": {"size": [50, 100], "counts": [10, 5000]}}, "its RLE has more pixels than its size"),
            ({"segmentation": {"size": [50, 100], "counts": [-1, 5001]}}, "its RLE has a negative count"),
            ({"segmentation": {"size": [50, 100], "counts": "~~~"}}, "its RLE is not COCO's compressed text"),
            ({"segmentation": {"size": [50, 100], "counts": [5000]}}, "its mask has no pixel"),
            ({"segmentation": {"size": [10, 10], "counts": [50, 50]}}, "its mask is not of the size of the image"),
            (
                {"segmentation": {"size": [10**6, 10**6], "counts": [10**12]}},
                "its RLE has no size [height, width] that an image can have",
            ),
            ({"keypoints": [1, 2, 2, 3], "bbox": None}, "its keypoints are not [x, y, visibility, …]"),
        ],
    )
    def test_is_left_out_with_its_place(self, tmp_path: Path, annotation: dict[str, Any], reason: str) -> None:
        place = f"({str(tmp_path.name) + '/annotations/instances_default.json'!r} annotation 2)."
        assert left_out(tmp_path, annotation) == f"1 annotations were left out: {reason} {place}"

    def test_infinite_numbers(self, tmp_path: Path) -> None:
        source = dataset(tmp_path)
        files(source, {"annotations/instances_default.json": document(BOX).replace("[10, 5,", "[1e999, 5,")})
        _, labels, found = read(COCO, source)
        assert not labels
        assert "not finite" in found.notes[0]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                '{"images": [{"id": 1, "file_name": "a.jpg"',
                "ends in the middle of its JSON, in line 1; copy or download",
            ),
            ('{"images": [],\n"annotations": [{"id": 1,, "a": 2}]}', "is not valid JSON, in line 2: "),
            ('{"images": [],\n"annotations": [1, 2]}', "in line 2: an element of a list is no object"),
            ('{"images": [] "a" 5}', "is not valid JSON, in line 1: ':' is missing; correct the file."),
            ('{"images": [' + '{"a":' * 10**5 + "1" + "}" * 10**5 + "]}", "brackets are nested more than 64 deep"),
        ],
    )
    def test_a_broken_file_is_named_with_its_line(self, tmp_path: Path, text: str, message: str) -> None:
        image(tmp_path / "a.jpg")
        with pytest.raises(InvalidSource) as caught:
            read(COCO, files(tmp_path, {"a.json": text}))
        assert "a.json" in str(caught.value)
        assert message in str(caught.value)

    def test_a_png_of_segments_that_is_none(self, tmp_path: Path) -> None:
        segments = [{"id": 1, "category_id": 0}]
        annotation = {"image_id": 5, "file_name": "a.png", "segments_info": segments}
        source = dataset(tmp_path, annotation, name="annotations/panoptic_default.json")
        files(source, {"annotations/panoptic_default/a.png": "no picture"})
        with pytest.raises(InvalidSource, match="cannot be read as a PNG of segments"):
            read(COCO, source)

    def test_no_file_fits(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidSource, match="has no JSON file with COCO's images and annotations"):
            read(COCO, dataset(tmp_path, BOX), files="panoptic_*.json")


def write(folder: Path, rows: list[dict], samples: list[dict] | None = None, **options: Any) -> list[str]:
    """Write labels on images of 100 × 50 pixels."""
    samples = samples or [{"sample_id": "s1", "filepath": str(image(folder / "in" / "a.jpg"))}]
    known = [{"width": 100, "height": 50, "media_type": "image", "split": None} | row for row in samples]
    schema = SAMPLES.append(pa.field("split", pa.string()))
    defaults = {"sample_id": "s1", "field": "objects", "rev": 0, "label": "car"}
    table = pa.Table.from_pylist([defaults | {"label_id": f"l{n}"} | row for n, row in enumerate(rows)], schema=LABELS)
    (folder / "out").mkdir()
    return COCO.write(
        [Part(pa.Table.from_pylist(known, schema=schema), table)], folder / "out", COCO.writing(**options)
    )


def written(folder: Path, name: str = "instances_default") -> dict[str, Any]:
    return json.loads((folder / "out" / "annotations" / f"{name}.json").read_text("utf-8"))


class TestWriting:
    def test_the_layout_that_others_read(self, tmp_path: Path) -> None:
        box = {"kind": "box", "bounding_box": WIDE, "rotation": 30.0, "confidence": 0.5, "index": 3}
        ring = {"kind": "polygon", "points": [[[0, 0], [0.5, 0], [0.5, 0.5]]], "closed": True, "filled": True}
        notes = write(
            tmp_path, [box, ring | {"attributes": attributes({"n": 1, "iscrowd": True})}], classes=("bus", "car")
        )
        assert notes == []
        found = written(tmp_path)
        assert [c["name"] for c in found["categories"]] == ["bus", "car"]
        assert [c["id"] for c in found["categories"]] == [1, 2]
        assert (tmp_path / "out/images" / found["images"][0]["file_name"]).is_file()
        assert found["annotations"] == [
            {
                "id": 1, "image_id": 1, "category_id": 2, "segmentation": [], "area": 500.0, "bbox": [10.0, 5.0, 20.0, 25.0],
                "iscrowd": 0, "score": 0.5, "attributes": {"track_id": 3, "rotation": 30.0},
            },
            {
                "id": 2, "image_id": 1, "category_id": 2, "segmentation": [[0.0, 0.0, 50.0, 0.0, 50.0, 25.0]], "area": 625.0,
                "bbox": [0.0, 0.0, 50.0, 25.0], "iscrowd": 1, "attributes": {"n": 1},
            },
        ]  # fmt: skip

    def test_splits_and_tasks_are_files_of_their_own(self, tmp_path: Path) -> None:
        samples = [
            {"sample_id": f"s{n}", "filepath": str(image(tmp_path / "in" / f"{n}.jpg")), "split": split}
            for n, split in enumerate(["train2017", "default"], 1)
        ]
        skeleton = {"kind": "skeleton", "points": [[[0.1, 0.2], [float("nan")] * 2]], "visibility": [1, 0]}
        skeleton |= {"attributes": attributes({"keypoints": ["nose", "hand"]})}
        write(tmp_path, [{"kind": "box", "bounding_box": WIDE}, {"kind": "classification"}, skeleton], samples)
        names = sorted(p.name for p in (tmp_path / "out" / "annotations").iterdir())
        assert names == [
            f"{task}_{split}.json"
            for task in ("instances", "labels", "person_keypoints") for split in ("default", "train2017")
        ]  # fmt: skip
        [category] = written(tmp_path, "person_keypoints_train2017")["categories"]
        assert category["keypoints"] == ["nose", "hand"]
        [points] = written(tmp_path, "person_keypoints_train2017")["annotations"]
        assert (points["keypoints"], points["num_keypoints"]) == ([10.0, 10.0, 1, 0.0, 0.0, 0], 1)
        samples_read, labels, _ = read(COCO, tmp_path / "out")
        assert sorted(row["split"] for row in samples_read) == ["default", "train2017"]
        assert sorted(row["kind"] for row in labels) == ["box", "classification", "skeleton"]

    def test_polygons_with_holes_are_masks(self, tmp_path: Path) -> None:
        outer, hole = [[0, 0], [0.8, 0], [0.8, 0.8], [0, 0.8]], [[0.2, 0.2], [0.6, 0.2], [0.6, 0.6], [0.2, 0.6]]
        row = {"kind": "polygon", "points": [outer, hole], "closed": True, "filled": True}
        assert write(tmp_path, [row]) == [
            "objects: 1 polygons have holes, which are painted: these polygons will be masks."
        ]
        _, [label], _ = read(COCO, tmp_path / "out")
        pixels = decode_rle(label["mask"])
        assert pixels[5, 5]
        assert not pixels[20, 40]
        assert pixels.sum() == 80 * 40 - 40 * 20
        (tmp_path / "again").mkdir()
        with pytest.raises(Unsupported, match="have holes"):
            write(tmp_path / "again", [row], strict=True)

    def test_the_skeletons_of_the_options(self, tmp_path: Path) -> None:
        row = {"kind": "skeleton", "points": [[[0.1, 0.2], [0.3, 0.4]]]}
        write(tmp_path, [row], skeletons={"car": {"labels": ["front", "back"], "edges": [[0, 1]]}})
        [category] = written(tmp_path, "person_keypoints_default")["categories"]
        assert (category["keypoints"], category["skeleton"]) == (["front", "back"], [[1, 2]])

    def test_comes_back(self, tmp_path: Path) -> None:
        rle = encode_rle(np.pad(np.ones((10, 20), bool), ((5, 35), (10, 70))))
        person = BOX | {
            "category_id": 9,
            "id": 30,
            "keypoints": [10, 10, 1, 20, 20, 2],
            "attributes": {"occluded": True},
        }
        mask = {"size": [50, 100], "counts": rle["counts"].decode()}
        annotations = [
            BOX | {"attributes": {"rotation": 12.5, "track_id": 4, "text": "x"}, "score": 0.125},
            BOX | {"segmentation": [[0, 0, 50, 0, 50, 25], [60, 30, 80, 30, 80, 40]], "decks": 2},
            BOX | {"segmentation": mask, "iscrowd": 1}, person, {"image_id": 5, "category_id": 0},
        ]  # fmt: skip
        source = dataset(tmp_path / "a", *annotations)
        assert rewritten(COCO, source, tmp_path / "b") == []
        before, after = (read(COCO, place)[1] for place in (source, tmp_path / "b"))
        key = lambda row: (row["kind"], str(row))  # noqa: E731
        assert str(sorted(before, key=key)) == str(sorted(after, key=key))

    def test_is_the_same_every_time(self, tmp_path: Path) -> None:
        source = dataset(tmp_path / "a", BOX, BOX | {"segmentation": [[0, 0, 50, 0, 50, 25]]})
        for name in ("b", "c"):
            rewritten(COCO, source, tmp_path / name)
        texts = [(tmp_path / n / "annotations/instances_default.json").read_bytes() for n in ("b", "c")]
        assert texts[0] == texts[1]


class TestStreaming:
    @pytest.mark.parametrize("window", [1, 7, 64, 1 << 20])
    def test_any_window_gives_the_same_elements(
        self, tmp_path: Path, window: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("annobridge.formats.common.json_stream._WINDOW", window)
        elements = [{"a": 'x"]}\\', "b": [[1], {"c": "\\\\"}]}, {}, {"d": '{[\\"'}] * 5
        text = json.dumps({'k\\"': 1.5, "list": elements, "o": {"p": "}"}, "t": 'a\\"]', "empty": []}, indent=1)
        (tmp_path / "a.json").write_text(text)
        with (tmp_path / "a.json").open("rb") as stream:
            found: dict[str, Any] = {}
            for key, value in JsonStream(stream, "a.json").members():
                if isinstance(value, bytes):
                    found[key] = json.loads(value)
                else:
                    chunks = list(value)
                    found[key] = [json.loads(t) for chunk in chunks for _, _, t in chunk.elements()]
                    lines = [line for chunk in chunks for _, line, _ in chunk.elements()]
                    assert lines == sorted(lines)
        assert found == json.loads(text)
