"""Open Images V6: tables of boxes, of classes of images and of masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.formats.label_files import files, image, packed, parts, read, rewritten
from tests.formats.test_mask_formats import png

from annobridge.core.geometry import decode_rle, encode_rle
from annobridge.core.labels import LABELS, SAMPLES
from annobridge.core.rows import attributes
from annobridge.exceptions import InvalidSource, Unsupported
from annobridge.formats.base import Part
from annobridge.formats.open_images import OpenImagesFormat

OPEN_IMAGES = OpenImagesFormat()
IMAGES, CLASSES = "annotations/train-images-with-rotation.csv", "annotations/class-descriptions.csv"
BOXES, LABELS_OF = "annotations/train-annotations-bbox.csv", "annotations/train-annotations-human-imagelabels.csv"
MASKS = "annotations/train-annotations-object-segmentation.csv"
BOX_HEADER = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n"
)
MASK_HEADER = "MaskPath,ImageID,LabelName,BoxID,BoxXMin,BoxXMax,BoxYMin,BoxYMax,PredictedIoU,Clicks\n"
TEXTS: dict[str, str | bytes] = {
    IMAGES: "ImageID,Subset,Title\na,train,\ncam 1/é,val,A title, of three, cells\nempty,train,\n",
    CLASSES: '/m/01g317,Person\n"traffic, light",x\n/m/07jdr,Train\n/m/0k4j,Train\n',
    "annotations/bbox_labels_600_hierarchy.json": '{"LabelName": "/m/0bl9f"}',
    BOXES: (
        f'{BOX_HEADER}a,xclick,/m/01g317,1,0.1,0.5,0.2,0.4,1,0,-1,-1,-1\na,,"traffic, light",0.25,0.5,0.6,0.5,0.75,-1,-1,-1,-1,-1\n'
    ),
    LABELS_OF: "ImageID,Source,LabelName,Confidence\na,verification,/m/0k4j,1\ncam 1/é,,/m/07jdr,0\n",
    MASKS: (
        f"{MASK_HEADER}one.png,a,/m/01g317,0f,0.1,0.5,0.2,0.4,0.75,\ntwo.png,cam 1/é,/m/01g317,10,,,,,,0.1 0.2 1\n"
    ),
}


def mask(size: tuple[int, int] = (100, 50)) -> np.ndarray:
    pixels = np.zeros(size[::-1], np.uint8)
    pixels[: size[1] // 2, : size[0] // 2] = 255
    return pixels


def source(folder: Path, **more: str | bytes) -> Path:
    for name in ("train/a.jpg", "val/cam 1/é.png", "train/empty.jpg"):
        image(folder / "images" / name)
    pngs = {"masks/train/one.png": png(mask((20, 10))), "masks/train/two.png": png(mask() // 255)}
    return files(folder, TEXTS | pngs | more)


def test_boxes_classes_and_masks(tmp_path: Path) -> None:
    zipped = packed(source(tmp_path / "x"), tmp_path / "x.zip")
    assert OPEN_IMAGES.recognises(zipped)
    samples, rows, found = read(OPEN_IMAGES, zipped, media_dir=tmp_path / "media")
    assert {Path(s["filepath"]).name: s["split"] for s in samples} == {
        "a.jpg": "train",
        "é.png": "val",
        "empty.jpg": "train",
    }
    person, light = (row for row in rows if row["kind"] == "box")
    assert (person["label"], person["confidence"]) == ("Person", 1.0)
    assert person["bounding_box"] == pytest.approx([0.1, 0.2, 0.4, 0.2])
    assert person["attributes"] == {"occluded": True, "truncated": False, "source": "xclick", "group": 1}
    assert (light["label"], light["confidence"], light["attributes"]) == ("traffic, light", 0.25, {})
    # Names that several ids have are not used.
    classes = [(r["label"], r["confidence"], r["attributes"]) for r in rows if r["kind"] == "classification"]
    assert classes == [("/m/0k4j", 1.0, {"source": "verification"}), ("/m/07jdr", 0.0, {})]
    assert found.notes == ["1 classes of images have a confidence of 0: they are not on the image."]


def test_masks_are_resized_to_their_image(tmp_path: Path) -> None:
    _, rows, _ = read(OPEN_IMAGES, source(tmp_path))
    small, whole = (row for row in rows if row["kind"] == "mask")
    for row in (small, whole):
        assert np.array_equal(decode_rle(row["mask"]), mask() > 0)
        assert row["bounding_box"] == [0, 0, 0.5, 0.5]
    assert small["attributes"] == {"box_id": "0f", "predicted_iou": 0.75, "group": 1}
    assert whole["attributes"] == {"box_id": "10", "clicks": "0.1 0.2 1"}


def test_without_images_sizes_are_in_a_file(tmp_path: Path) -> None:
    meta = "# <image name> <height> <width>\n\na 50 100\n'cam 1/é' 50 100\n"
    files(tmp_path / "x", {n: t for n, t in TEXTS.items() if n != IMAGES} | {"annotations/images.meta": meta})
    for name in ("a.png", "cam 1/é.png"):
        image(tmp_path / "images" / name)
    samples, rows, found = read(OPEN_IMAGES, tmp_path / "x", image_dir=tmp_path / "images")
    assert [sample["split"] for sample in samples] == ["train", "train"]  # as the names of the tables say
    assert len(rows) == 4
    assert "2 annotations were left out: its mask is not in the archive" in found.notes[0]


@pytest.mark.parametrize("name", ["oidv6-train-annotations-bbox.csv", "train/labels/detections.csv", "boxes.csv"])
def test_other_layouts(tmp_path: Path, name: str) -> None:
    """Of the original, of FiftyOne, and a table by itself."""
    files(tmp_path / "x", {name: TEXTS[BOXES], "classes.csv": "/m/01g317,Person\n"})
    image(tmp_path / "x/train/data/a.jpg")
    assert OPEN_IMAGES.recognises(tmp_path / "x")
    (sample,), rows, found = read(OPEN_IMAGES, tmp_path / "x")
    assert sample.get("split") == ("train" if "train" in name else None)
    assert [row["label"] for row in rows] == ["Person", "traffic, light"]
    assert "1 labels have a class that is not among the class descriptions." in found.notes


@pytest.mark.parametrize(
    ("file", "row", "reason"),
    [
        (BOXES, "a,,x,1,0.1,nan,0.2,0.4,1,0,-1,-1,-1", "no finite number"),
        (BOXES, "a,,x,1,0.1,,0.2,0.4,1,0,-1,-1,-1", "no finite number"),
        (BOXES, "a,,x,1,0.5,0.1,0.2,0.4,1,0,-1,-1,-1", "no area"),
        (BOXES, "a,,,1,0.1,0.5,0.2,0.4,1,0,-1,-1,-1", "no LabelName"),
        (BOXES, ",,x,1,0.1,0.5,0.2,0.4,1,0,-1,-1,-1", "no ImageID"),
        (BOXES, "a,,x,1,0.1,0.5", "another number of cells"),
        (BOXES, "none,,x,1,0.1,0.5,0.2,0.4,1,0,-1,-1,-1", "its image was not found"),
        (LABELS_OF, "a,,,1", "no LabelName"),
        (IMAGES, ",train,", "no ImageID"),
        (MASKS, "none.png,a,x,1,,,,,,", "its mask is not in the archive"),
        (MASKS, "bad.png,a,x,1,,,,,,", "the mask cannot be decoded"),
        (MASKS, "one.png,,x,1,,,,,,", "no ImageID"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(tmp_path: Path, file: str, row: str, reason: str) -> None:
    text = str(TEXTS[file])
    more: dict[str, str | bytes] = {file: f"{text.splitlines()[0]}\n{row}\n", "masks/bad.png": b"junk"}
    if file == IMAGES:
        more[file] = f"{more[file]!s}a,train,\n"
    _, _, found = read(OPEN_IMAGES, source(tmp_path, **more))
    note = next(note for note in found.notes if reason in note)
    assert "line 2" in note or "bad.png" in note


def test_other_flaws(tmp_path: Path) -> None:
    boxes = f"{BOX_HEADER}a,,x,7,0.1,0.5,0.2,0.4,x,1,-1,-1,-1\na,,x,high,0.1,0.5,0.2,0.4,x,1,-1,-1,-1\n"
    relations = "ImageID,LabelName1,LabelName2,RelationLabel\na,x,y,on\n"
    meta = "'a 50 100\na fifty 100\na\n"
    more = {BOXES: boxes, "annotations/train-annotations-vrd.csv": relations, "annotations/images.meta": meta}
    _, rows, found = read(OPEN_IMAGES, source(tmp_path, **more))
    assert [row["attributes"] for row in rows if row["kind"] == "box"] == [
        {"score": 7.0, "truncated": True}, {"score": "high", "truncated": True}
    ]  # fmt: skip
    assert any("1 annotations were left out: relationships are not read" in note for note in found.notes)
    assert any("3 annotations were left out: it is no name with height and width" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"ImageID,LabelName,Confidence\n\xff,a,1\n", "UTF-8"),
        ("ImageID,LabelName,Confidence,ImageID\na,b,1,a\n", "twice"),
    ],
)
def test_bad_files(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InvalidSource, match=message):
        read(OPEN_IMAGES, source(tmp_path, **{LABELS_OF: text}))
    with pytest.raises(InvalidSource, match="has no table with the columns of Open Images"):
        read(OPEN_IMAGES, files(tmp_path / "y", {"a.csv": "x\n"}))


def test_other_tables_are_named(tmp_path: Path) -> None:
    _, _, found = read(OPEN_IMAGES, source(tmp_path, **{"prices.csv": "item,price\n"}))
    assert "1 other file was not read: 'prices.csv'." in found.assumptions


def test_the_same_id_in_two_subsets(tmp_path: Path) -> None:
    for split in ("train", "val"):
        image(tmp_path / f"images/{split}/a.jpg")
        table = f"ImageID,Source,LabelName,Confidence\na,,{split},1\n"
        lists = {f"annotations/{split}-images-with-rotation.csv": f"ImageID,Subset\na,{split}\n"}
        files(tmp_path, {f"annotations/{split}-annotations-human-imagelabels.csv": table, **lists})
    samples, rows, _ = read(OPEN_IMAGES, tmp_path)
    assert {s["split"] for s in samples} == {row["label"] for row in rows} == {"train", "val"}


def test_writing(tmp_path: Path) -> None:
    origin, out = source(tmp_path / "x"), tmp_path / "out"
    assert sorted(rewritten(OPEN_IMAGES, origin, out)) == [
        "detections: 1 values of the attribute 'group' are lost.",
        "instances: 1 values of the attribute 'group' are lost.",
    ]
    assert (out / BOXES).read_text().startswith(f"{BOX_HEADER}a,xclick,Person,1,0.1,0.5,0.2,0.4,1,0,-1,-1,-1\n")
    assert (out / CLASSES).read_text().splitlines()[2:] == ["Person,Person", '"traffic, light","traffic, light"']
    assert "\n'cam 1/é' 50 100\n" in (out / "annotations/images.meta").read_text()
    assert (out / "masks/train/a_Person_0f.png").exists()
    assert (out / "images/val/cam 1/é.png").exists()
    assert not (out / "annotations/val-annotations-bbox.csv").exists()

    def ordered(folder: Path) -> list[dict[str, Any]]:
        return sorted(read(OPEN_IMAGES, folder)[1], key=lambda row: (row["image"], row["kind"], row["label"]))

    for before, after in zip(ordered(origin), ordered(out), strict=True):
        assert after.pop("bounding_box", None) == pytest.approx(before.pop("bounding_box", None), abs=1e-15)
        assert before == after


def test_what_is_painted_and_lost_is_told(tmp_path: Path) -> None:
    sample = {"sample_id": "s", "filepath": str(image(tmp_path / "a.jpg")), "width": 100, "height": 50}
    square = {
        "kind": "polygon",
        "label": "car",
        "points": [[[0, 0], [0.5, 0], [0.5, 0.5], [0, 0.5]]],
        "closed": True,
        "filled": True,
    }
    ellipse = {
        "kind": "ellipse",
        "label": "car",
        "bounding_box": [0.2, 0.2, 0.2, 0.2],
        "attributes": attributes({"box_id": "00000000"}),
    }
    turned = {"kind": "box", "label": "car", "bounding_box": [0.4, 0.4, 0.2, 0.2], "rotation": 90.0}
    nothing = {"kind": "mask", "mask": encode_rle(mask())}
    labels = [
        {"label_id": str(n), "sample_id": "s", "field": "f", "rev": 0, **row}
        for n, row in enumerate([square, ellipse, turned, nothing])
    ]
    part = Part(pa.Table.from_pylist([sample], schema=SAMPLES), pa.Table.from_pylist(labels, schema=LABELS))
    (tmp_path / "out").mkdir()
    notes = OPEN_IMAGES.write([part], tmp_path / "out", OPEN_IMAGES.writing())
    assert "f: 1 polygons will be painted as masks." in notes
    assert "1 labels have no class, and are left out." in notes
    _, rows, _ = read(OPEN_IMAGES, tmp_path / "out")
    assert [(row["kind"], row["attributes"].get("box_id")) for row in rows] == [
        ("mask", None), ("mask", "00000000"), ("box", None)
    ]  # fmt: skip
    assert np.array_equal(decode_rle(rows[0]["mask"]), mask() > 0)
    assert rows[2]["bounding_box"] == pytest.approx([0.45, 0.3, 0.1, 0.4])
    with pytest.raises(Unsupported, match="have no class"):
        OPEN_IMAGES.write([part], tmp_path / "strict", OPEN_IMAGES.writing(strict=True))


def test_names_of_masks_stay_in_their_folder(tmp_path: Path) -> None:
    (part,) = parts(OPEN_IMAGES.open(source(tmp_path / "x"), OPEN_IMAGES.reading()))
    labels = part.labels.set_column(
        part.labels.schema.get_field_index("label"), "label", pa.repeat("../é/x", part.labels.num_rows)
    )
    (tmp_path / "out").mkdir()
    OPEN_IMAGES.write([Part(part.samples, labels)], tmp_path / "out", OPEN_IMAGES.writing())
    assert sorted(p.name for p in (tmp_path / "out/masks").rglob("*.png")) == [
        "a_..-é-x_0f.png",
        "cam-1-é_..-é-x_10.png",
    ]
