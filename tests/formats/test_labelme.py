"""labelme's JSON: a file beside each image, with shapes, flags, and sometimes the image itself."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from tests.formats.label_files import files, image, opened, packed, parts, read, rewritten, tidy

from annobridge.core.geometry import decode_rle, encode_rle
from annobridge.core.rows import attributes
from annobridge.exceptions import InvalidSource
from annobridge.formats.base import Context, Part
from annobridge.formats.labelme import LabelmeFormat

LABELME = LabelmeFormat()


def png(pixels: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


MASK = np.array([[1, 1, 1], [1, 0, 1]], np.uint8)


def shape(type_: str, points: list[list[float]], **more: Any) -> dict[str, Any]:
    base = {
        "label": "car",
        "points": points,
        "group_id": None,
        "description": "",
        "shape_type": type_,
        "flags": {},
        "mask": None,
    }
    return base | more


def dataset(folder: Path, *shapes: Any, name: str = "a.json", **keys: Any) -> Path:
    image(folder / Path(name).with_suffix(".png"))
    content = {
        "version": "5.5.0", "flags": {}, "shapes": list(shapes), "imagePath": Path(name).with_suffix(".png").name,
        "imageData": None, "imageHeight": 50, "imageWidth": 100,
    } | keys  # fmt: skip
    return files(folder, {name: json.dumps(content)})


@pytest.mark.parametrize(
    ("given", "kind", "columns"),
    [
        (shape("rectangle", [[30, 20], [10, 5]]), "box", {"bounding_box": [0.1, 0.1, 0.2, 0.3]}),
        (shape("rectangle", [[10, 5], [30, 5], [30, 20], [10, 20]]), "box", {"bounding_box": [0.1, 0.1, 0.2, 0.3]}),
        (
            shape("oriented_rectangle", [[30, 10], [30, 30], [20, 30], [20, 10]]), "box",
            {"bounding_box": [0.2, 0.2, 0.1, 0.4]},
        ),
        (
            shape("rotation", [[20, 5], [30, 15], [20, 25], [10, 15]]), "box",
            {"rotation": 45.0},
        ),
        (
            shape("polygon", [[10, 5], [30, 5], [30, 20]]), "polygon",
            {"points": [[[0.1, 0.1], [0.3, 0.1], [0.3, 0.4]]], "closed": True, "filled": True},
        ),
        (shape("linestrip", [[10, 5], [30, 5], [30, 20]]), "polyline", {"closed": False, "filled": False}),
        (shape("line", [[0, 0], [10, 5]]), "polyline", {"points": [[[0.0, 0.0], [0.1, 0.1]]]}),
        (shape("point", [[10, 5]]), "keypoints", {"points": [[[0.1, 0.1]]], "visibility": [2]}),
        (shape("points", [[10, 5], [20, 5]]), "keypoints", {"visibility": [2, 2]}),
        (shape("circle", [[20, 20], [26, 28]]), "ellipse", {"bounding_box": [0.1, 0.2, 0.2, 0.4]}),
        (shape("mask", [[10, 5], [12, 6]], mask=png(MASK)), "mask", {"bounding_box": [0.1, 0.1, 0.03, 0.04]}),
        (shape("mask", [[12, 6], [10, 5]], mask=png(MASK * 255)), "mask", {"bounding_box": [0.1, 0.1, 0.03, 0.04]}),
    ],
)  # fmt: skip
def test_shapes(tmp_path: Path, given: dict[str, Any], kind: str, columns: dict[str, Any]) -> None:
    _, (row,), found = read(LABELME, dataset(tmp_path, given))
    assert (row["kind"], row["label"]) == (kind, "car")
    for name, value in columns.items():
        assert np.allclose(row[name], value), name
    assert not found.notes


def test_the_pixels_of_a_mask(tmp_path: Path) -> None:
    _, (row,), _ = read(LABELME, dataset(tmp_path, shape("mask", [[10, 5], [12, 6]], mask=png(MASK))))
    wanted = np.zeros((50, 100), bool)
    wanted[5:7, 10:13] = MASK
    assert (decode_rle(row["mask"]) == wanted).all()


def test_attributes(tmp_path: Path) -> None:
    given = shape(
        "rectangle", [[10, 5], [30, 20]], group_id=3, description="parked", flags={"occluded": True, "wet": False},
        score=0.75, difficult=False, attributes={"colour": "red", "doors": 4, "none": None}, track_id=7, kie_linking=[],
    )  # fmt: skip
    _, (row,), _ = read(LABELME, dataset(tmp_path, given))
    assert row["attributes"] == {
        "group": 3, "description": "parked", "occluded": True, "wet": False, "difficult": False, "colour": "red", "doors": 4,
    }  # fmt: skip
    assert (row["confidence"], row["index"]) == (0.75, 7)


def test_flags_of_the_image_are_classes(tmp_path: Path) -> None:
    _, rows, _ = read(LABELME, dataset(tmp_path, flags={"day": True, "night": False}))
    assert [(row["kind"], row["label"]) for row in rows] == [("classification", "day")]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("car", "it is no shape"),
        (shape("rectangle", [[1, 2]]), "without two or four corners"),
        (shape("polygon", [[1, 2], [3, 4]]), "fewer than 3 points"),
        (shape("line", [[1, 2]]), "fewer than 2 points"),
        (shape("circle", [[1, 2]]), "without a centre"),
        (shape("polygon", []), "it has no points"),
        (shape("polygon", [[1, 2, 3]]), "not two numbers"),
        (shape("polygon", [["1", 2]]), "not two numbers"),
        (shape("polygon", [[True, 2]]), "not two numbers"),
        (shape("hexagon", [[1, 2]]), "'hexagon' is not known"),
        (shape("rectangle", [[1, 2], [3, 4]], label=7), "its label is no text"),
        (shape("rectangle", [[900, 2], [930, 4]]), "outside its image"),
        (shape("mask", [[1, 2], [3, 4]], mask="nothing"), "cannot be decoded"),
        (shape("mask", [[1, 2], [3, 4]]), "pixels in base64"),
        (shape("mask", [[1, 2], [30, 40]], mask=png(MASK)), "not of the size that its corners say"),
        (shape("mask", [[1, 1], [200, 2]], mask=png(np.ones((2, 200), np.uint8))), "larger than its image"),
        (shape("mask", [[200, 5], [202, 6]], mask=png(MASK)), "outside its image"),
    ],
)
def test_a_bad_shape_is_left_out_with_its_place(tmp_path: Path, given: Any, reason: str) -> None:
    _, rows, found = read(LABELME, dataset(tmp_path, shape("rectangle", [[10, 5], [30, 20]]), given))
    assert len(rows) == 1
    assert reason in found.notes[0]
    assert "a.json', shape 1" in found.notes[0]


def test_a_huge_mask_is_not_decoded(tmp_path: Path) -> None:
    huge = png(np.zeros((9000, 9000), np.uint8))
    given = shape("mask", [[0, 0], [8999, 8999]], mask=huge)
    _, rows, found = read(LABELME, dataset(tmp_path, given))
    assert not rows
    assert "larger than its image" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"shapes": [], "imagePath": "a.png", ', "'x/a.json', line 1, is not valid JSON"),
        ('{\n"shapes": [{"points": [[NaN, 1]]}], "imagePath": "a.png"}', "line 2, is not valid JSON"),
        ('{"imagePath": "a.png", "shapes": ' + "[" * 100_000, "is not valid JSON"),
        ('{"shapes": [], "imageData": null}', "has no imagePath"),
        ('{"no": 1}', "no JSON file of labelme"),
    ],
)
def test_a_bad_file(tmp_path: Path, text: str, message: str) -> None:
    image(tmp_path / "x/a.png")
    with pytest.raises(InvalidSource, match=message):
        read(LABELME, files(tmp_path / "x", {"a.json": text}))


def test_other_files_are_named(tmp_path: Path) -> None:
    source = files(
        dataset(tmp_path, shape("rectangle", [[10, 5], [30, 20]])), {"settings.json": "[1, 2]", "x.json": "{"}
    )
    _, rows, found = read(LABELME, source)
    assert len(rows) == 1
    assert "it is no JSON of labelme ('" in found.notes[0]
    assert "settings.json" in found.notes[0]


@pytest.mark.parametrize("path", ["..\\images\\a.png", "../images/a.png", "/home/me/images/a.png", "C:\\me\\a.png"])
def test_paths_of_images(tmp_path: Path, path: str) -> None:
    image(tmp_path / "x/images/a.png")
    text = {
        "shapes": [shape("point", [[1, 2]])],
        "imagePath": path,
        "imageData": None,
        "imageHeight": 50,
        "imageWidth": 100,
    }
    samples, rows, _ = read(LABELME, files(tmp_path / "x", {"labels/a.json": json.dumps(text)}))
    assert [Path(s["filepath"]).name for s in samples] == ["a.png"]
    assert len(rows) == 1


def test_splits_are_folders(tmp_path: Path) -> None:
    dataset(tmp_path, shape("point", [[1, 2]]), name="train/a.json")
    dataset(tmp_path, name="val/cam 1/a.json")
    samples, _, _ = read(LABELME, tmp_path)
    assert sorted(s["split"] for s in samples) == ["train", "val"]


# --- images inside the files ------------------------------------------------------------------------------------------


def embedded(folder: Path) -> Path:
    data = base64.b64encode(image(folder / "a.png").read_bytes()).decode()
    dataset(folder, shape("rectangle", [[10, 5], [30, 20]]), imageData=data)
    (folder / "a.png").unlink()
    return folder


def test_an_image_inside_the_file(tmp_path: Path) -> None:
    source = packed(embedded(tmp_path / "x"), tmp_path / "x.zip")
    samples, (row,), found = read(LABELME, source, media_dir=tmp_path / "media")
    assert samples[0]["filepath"] == str(tmp_path / "media/a.png")
    with Image.open(tmp_path / "media/a.png") as unpacked:
        assert unpacked.size == (100, 50)
    assert row["bounding_box"] == pytest.approx([0.1, 0.1, 0.2, 0.3])
    assert "in the label files" in found.assumptions[0]


def test_an_image_inside_a_file_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InvalidSource, match="media_dir="):
        opened(LABELME, embedded(tmp_path / "x"))
    samples, _, _ = read(LABELME, tmp_path / "x", media_dir=tmp_path / "media")
    assert Path(samples[0]["filepath"]).exists()


def test_the_image_of_the_dataset_is_preferred(tmp_path: Path) -> None:
    known = pa.table({
        "sample_id": ["s"], "filepath": ["/data/a.png"], "media_type": ["image"], "width": pa.array([100], pa.int32()),
        "height": pa.array([50], pa.int32()), "frames": pa.array([None], pa.int32()),
    })  # fmt: skip
    found = LABELME.open(embedded(tmp_path / "x"), LABELME.reading(), Context(known))
    (part,) = found.parts()
    assert part.samples["sample_id"].to_pylist() == ["s"]


@pytest.mark.parametrize("data", ["", "AAAA", "no base64!", 7])
def test_image_data_that_are_no_image(tmp_path: Path, data: Any) -> None:
    _, rows, found = read(LABELME, dataset(tmp_path, shape("point", [[1, 2]]), imageData=data))
    assert len(rows) == 1
    assert not found.notes  # the image is beside the file
    (tmp_path / "a.png").unlink()
    with pytest.raises(InvalidSource, match="None of the 1 images"):
        read(LABELME, tmp_path)


# --- writing ----------------------------------------------------------------------------------------------------------

SHAPES = (
    shape("rectangle", [[10.0, 5.0], [30.0, 20.0]], flags={"occluded": True}, description="x", group_id=2, score=0.5),
    shape("oriented_rectangle", [[20.0, 5.0], [30.0, 15.0], [20.0, 25.0], [10.0, 15.0]]),
    shape("polygon", [[10.0, 5.0], [30.0, 5.0], [30.0, 20.0]], attributes={"colour": "red", "n": 7, "list": [1]}),
    shape("linestrip", [[10.0, 5.0], [30.0, 5.0]], track_id=4),
    shape("point", [[10.0, 5.0]]),
    shape("circle", [[20.0, 20.0], [30.0, 20.0]]),
    shape("mask", [[10.0, 5.0], [12.0, 6.0]], mask=png(MASK)),
)


def test_writing(tmp_path: Path) -> None:
    source = dataset(tmp_path / "x", *SHAPES, flags={"day": True}, name="train/a.json")
    assert rewritten(LABELME, source, tmp_path / "out") == []
    content = json.loads((tmp_path / "out/train/a.json").read_text())
    assert (content["imagePath"], content["imageData"], content["flags"]) == ("a.png", None, {"day": True})
    assert [s["shape_type"] for s in content["shapes"]] == [s["shape_type"] for s in SHAPES]
    assert (tmp_path / "out/labels.txt").read_text() == "car\n"
    assert (tmp_path / "out/flags.txt").read_text() == "day\n"
    before, after = (read(LABELME, folder)[1] for folder in (source, tmp_path / "out"))
    for row, same in zip(after, before, strict=True):
        for name in ("bounding_box", "points", "rotation"):
            if name in same:
                assert np.allclose(row.pop(name), same.pop(name)), name
        assert row == same


def test_writing_images_into_the_files(tmp_path: Path) -> None:
    source = dataset(tmp_path / "x", *SHAPES)
    Image.new("RGB", (50, 100)).save(tmp_path / "x/a.jpg", exif=_turned())
    text = json.loads((source / "a.json").read_text()) | {"imagePath": "a.jpg"}
    files(source, {"a.json": json.dumps(text)})
    (source / "a.png").unlink()
    rewritten(LABELME, source, tmp_path / "out", embed_images=True, save_media=False)
    content = json.loads((tmp_path / "out/a.json").read_text())
    assert Image.open(io.BytesIO(base64.b64decode(content["imageData"]))).size == (100, 50)
    assert not (tmp_path / "out/a.jpg").exists()


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def made(folder: Path, *rows: dict[str, Any]) -> tuple[list[str], list[dict[str, Any]], list[dict[str, Any]]]:
    """Labels of one image, written; the notes, the shapes in the file, and the labels that are read."""
    source = opened(LABELME, dataset(folder / "x"))
    (part,) = parts(source)
    own = {"sample_id": part.samples["sample_id"][0].as_py(), "field": "f", "label_id": "l", "rev": 0, "label": "car"}
    labels = pa.Table.from_pylist([own | row for row in rows], schema=part.labels.schema)
    (folder / "out").mkdir(parents=True)
    notes = LABELME.write([Part(part.samples, labels)], folder / "out", LABELME.writing())
    content = json.loads((folder / "out/a.json").read_text())
    again = opened(LABELME, folder / "out")
    back = [row for p in again.parts() for row in p.labels.to_pylist()]
    names = {row["sample_id"]: "a.png" for row in back}
    return notes, content["shapes"], [tidy(row, names) for row in back]


def test_missing_points_and_visibility_survive(tmp_path: Path) -> None:
    nan = float("nan")
    row = {"kind": "keypoints", "points": [[[0.1, 0.2], [nan, nan], [0.3, 0.4]]], "visibility": [1, 0, 2]}
    notes, (written,), (back,) = made(tmp_path, row)
    assert notes == []
    assert len(written["points"]) == 2
    assert back["visibility"] == [1, 0, 2]
    assert np.allclose(back["points"], row["points"], equal_nan=True)


def test_what_is_no_shape_of_labelme(tmp_path: Path) -> None:
    hole = [[0.1, 0.1], [0.5, 0.1], [0.5, 0.9], [0.1, 0.9]], [[0.2, 0.2], [0.3, 0.2], [0.3, 0.4]]
    pixels = np.zeros((50, 100), bool)
    notes, written, back = made(
        tmp_path,
        {"kind": "polygon", "points": list(hole), "closed": True, "filled": True},
        {"kind": "polygon", "points": [hole[1], [[0.6, 0.6], [0.7, 0.6], [0.7, 0.8]]], "closed": True, "filled": True},
        {"kind": "ellipse", "bounding_box": [0.1, 0.1, 0.4, 0.4], "rotation": 30.0},
        {"kind": "mask", "mask": encode_rle(pixels)},
        {
            "kind": "skeleton",
            "points": [[[0.1, 0.1]]],
            "visibility": [2],
            "attributes": attributes({"keypoints": ["nose"]}),
        },
    )
    assert notes == [
        "f: 1 polygons have holes, which are bridged into the ring around them.",
        "f: 1 labels of several parts become several labels.",
        "f: 1 ellipses will be written as polygons where they are no circles.",
        "f: 1 skeletons will be written as keypoints.",
        "1 labels have no pixel or no point, and are left out.",
    ]
    assert [s["shape_type"] for s in written] == ["polygon"] * 4 + ["point"]
    assert written[1]["group_id"] == written[2]["group_id"] == 1
    assert back[-1]["attributes"] == {"keypoints": ["nose"]}


def test_labels_without_a_class(tmp_path: Path) -> None:
    _, (written,), (back,) = made(tmp_path, {"kind": "box", "bounding_box": [0.1, 0.1, 0.2, 0.2], "label": None})
    assert written["label"] == ""
    assert "label" not in back


def test_detection(tmp_path: Path) -> None:
    assert LABELME.recognises(dataset(tmp_path / "x"))
    assert LABELME.recognises(dataset(tmp_path / "y") / "a.json")
    others = {"coco.json": '{"images": [], "annotations": []}', "s.json": '{"shapes": [1]}', "list.json": "[1]"}
    assert not LABELME.recognises(files(tmp_path / "z", others))
