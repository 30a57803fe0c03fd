"""Masks that are read only: Segment Anything and MVTec AD."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.formats.label_files import files, image, packed, read
from tests.formats.test_mask_formats import png

from annobridge.core.geometry import decode_rle, encode_rle
from annobridge.exceptions import InvalidSource
from annobridge.formats import registry
from annobridge.formats.mvtec import MvtecFormat
from annobridge.formats.segment_anything import SegmentAnythingFormat

SAM, MVTEC = SegmentAnythingFormat(), MvtecFormat()
PIXELS = np.zeros((50, 100), np.uint8)
PIXELS[10:20, 30:60] = 255
COUNTS = encode_rle(PIXELS)["counts"].decode()
RLE = {"size": [50, 100], "counts": COUNTS}


def sam(folder: Path, *annotations: Any, **image_keys: Any) -> Path:
    image(folder / "é 1.jpg")
    about = {"image_id": 1, "file_name": "é 1.jpg", "width": 100, "height": 50} | image_keys
    return files(folder, {"sa_1.json": json.dumps({"image": about, "annotations": list(annotations)})})


def test_masks_without_a_class(tmp_path: Path) -> None:
    known = {"predicted_iou": 0.9, "stability_score": 1, "point_coords": [[4.5, 7]], "crop_box": [0, 0, 100, 50]}
    plain = {"segmentation": {"size": [50, 100], "counts": [0, 5000]}, "point_coords": [[]], "crop_box": [0, 0, 0, 0]}
    place = sam(tmp_path / "x", {"segmentation": RLE, "id": 7, "area": 300, **known}, plain)
    zipped = packed(place, tmp_path / "x.zip")
    assert registry.of(zipped).name == "segment-anything"
    _, (first, second), found = read(SAM, zipped, media_dir=tmp_path / "media")
    assert first["attributes"] == known
    assert "label" not in first
    assert np.array_equal(decode_rle(first["mask"]), PIXELS > 0)
    assert first["bounding_box"] == pytest.approx([0.3, 0.2, 0.3, 0.2])
    assert decode_rle(second["mask"]).all()
    assert second["attributes"] == {}
    assert not found.notes


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        ({}, "no RLE"),
        ({"segmentation": [[1, 2, 3, 4]]}, "no RLE"),
        ({"segmentation": {"size": [50], "counts": COUNTS}}, "no RLE"),
        ({"segmentation": {"size": ["a", "b"], "counts": COUNTS}}, "no RLE"),
        ({"segmentation": {"size": [50, 100], "counts": {"a": 1}}}, "no RLE"),
        ({"segmentation": {"size": [50, 10**12], "counts": COUNTS}}, "size of its RLE"),
        ({"segmentation": {"size": [50, 100], "counts": [3, 4]}}, "counts 7 pixels"),
        ({"segmentation": {"size": [50, 100], "counts": [-3, 5003]}}, "negative count"),
        ({"segmentation": {"size": [50, 90], "counts": [0, 4500]}}, "not of the size of the image"),
    ],
)
def test_a_bad_mask_is_left_out_with_its_place(tmp_path: Path, annotation: Any, reason: str) -> None:
    _, rows, found = read(SAM, sam(tmp_path / "x", {"segmentation": RLE}, annotation))
    assert len(rows) == 1
    assert reason in found.notes[0]
    assert "sa_1.json' annotation 1" in found.notes[0]


def test_bad_files(tmp_path: Path) -> None:
    _, rows, found = read(
        SAM,
        files(
            sam(tmp_path / "x", {"segmentation": RLE}),
            {"b.json": '{"image": {}, "annotations": []}', "c.json": '{"annotations": [{}, {}]}'},
        ),
    )
    assert len(rows) == 1
    assert any("has no file_name ('x/b.json')" in note for note in found.notes)
    assert any("2 annotations were left out: its image is missing" in note for note in found.notes)
    for text, message in (
        ('{"image": {', "in the middle"),
        ('{"image": ' + "[" * 10**5, "nested more than|in the middle"),
        ('{"image": {"a": 01}}', "not JSON"),
        ('{"annotations": [7]}', "not valid JSON, in line 1"),
    ):
        with pytest.raises(InvalidSource, match=message):
            read(SAM, files(tmp_path / "y", {"a.json": text}))


def mvtec(folder: Path, *images: str, **masks: np.ndarray) -> Path:
    for name in images:
        image(folder / name)
    return files(folder, {name: png(pixels) for name, pixels in masks.items()})


def test_defects_are_classes(tmp_path: Path) -> None:
    names = [f"bottle/{name}" for name in ("train/good/000.png", "test/good/000.png", "test/broken large/000.png")]
    place = mvtec(tmp_path / "x", *names, **{"bottle/ground_truth/broken large/000_mask.png": PIXELS})
    zipped = packed(place, tmp_path / "x.zip")
    assert registry.of(zipped).name == "mvtec"
    samples, rows, found = read(MVTEC, zipped, media_dir=tmp_path / "media")
    assert sorted(sample["split"] for sample in samples) == ["test", "test", "train"]
    assert sorted((row["kind"], row["label"]) for row in rows) == [
        ("classification", "broken large"), ("classification", "good"), ("classification", "good"), ("mask", "broken large")
    ]  # fmt: skip
    (mask,) = (row["mask"] for row in rows if row["kind"] == "mask")
    assert np.array_equal(decode_rle(mask), PIXELS > 0)
    assert not found.notes


def test_masks_without_folders_of_defects(tmp_path: Path) -> None:
    """As datumaro writes it."""
    place = mvtec(
        tmp_path,
        "train/a.jpg",
        "val/cam 1/b.png",
        "val/c.png",
        **{"ground_truth/c_mask.png": PIXELS, "ground_truth/gone_mask.png": PIXELS},
    )
    assert MVTEC.recognises(place)
    samples, (row,), found = read(MVTEC, place)
    assert len(samples) == 3
    assert (row["kind"], row["image"], row.get("label")) == ("mask", "c.png", None)
    assert "the image of the mask is not there" in found.notes[0]


def test_bad_masks(tmp_path: Path) -> None:
    place = mvtec(
        tmp_path,
        "test/a.png",
        "test/b.png",
        "test/c.png",
        **{"ground_truth/a_mask.png": PIXELS[:, :50], "ground_truth/c_mask.png": PIXELS * 0},
    )
    files(place, {"ground_truth/b_mask.png": b"junk"})
    _, rows, found = read(MVTEC, place)
    assert not rows
    assert any("not of the size of the image" in note for note in found.notes)
    assert any("the mask cannot be decoded" in note for note in found.notes)
