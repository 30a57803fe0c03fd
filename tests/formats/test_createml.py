"""CreateML: lists of images with boxes by their centre."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.formats.label_files import files, image, packed, read, rewritten

from annobridge.exceptions import InvalidSource
from annobridge.formats.createml import CreateMLFormat

CREATEML = CreateMLFormat()
BOX = {"label": "quai nord", "coordinates": {"x": 20, "y": 10.5, "width": 20, "height": 10}}


def dataset(folder: Path, entries: Any, name: str = "train/_annotations.createml.json") -> Path:
    for path in ("train/a.jpg", "val/a.jpg"):
        image(folder / path)
    return files(folder, {name: json.dumps(entries), "val/_annotations.createml.json": "[]"})


@pytest.mark.parametrize(
    ("key", "labels"), [("image", "annotations"), ("imagefilename", "annotation"), ("imageURL", "annotations")]
)
def test_boxes(tmp_path: Path, key: str, labels: str) -> None:
    source = dataset(tmp_path / "x", [{key: "a.jpg", labels: [BOX, {"label": "day"}]}])
    samples, (box, whole), found = read(CREATEML, packed(source, tmp_path / "x.zip"), media_dir=tmp_path / "media")
    assert box["bounding_box"] == pytest.approx([0.1, 0.11, 0.2, 0.2])
    assert box["label"] == "quai nord"
    assert (whole["kind"], whole["label"]) == ("classification", "day")
    assert [s["split"] for s in samples if s["split"]] == ["train"]
    assert not found.notes


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        ({"coordinates": BOX["coordinates"]}, "has no label"),
        ("car", "has no label"),
        ({"label": "car", "coordinates": {"x": 1, "y": 2, "width": 3}}, "not the numbers x, y, width and height"),
        ({"label": "car", "coordinates": [1, 2, 3, 4]}, "not the numbers x, y, width and height"),
        ({"label": "car", "coordinates": {"x": True, "y": 2, "width": 3, "height": 4}}, "not the numbers"),
        ({"label": "car", "coordinates": {"x": 20, "y": 10, "width": -3, "height": 4}}, "no area"),
        ({"label": "car", "coordinates": {"x": 900, "y": 10, "width": 3, "height": 4}}, "outside its image"),
    ],
)
def test_a_bad_annotation_is_left_out_with_its_place(tmp_path: Path, annotation: Any, reason: str) -> None:
    _, rows, found = read(CREATEML, dataset(tmp_path / "x", [{"image": "a.jpg", "annotations": [BOX, annotation]}]))
    assert len(rows) == 1
    assert reason in found.notes[0]
    assert "image 0 (a.jpg) annotation 1" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[{", "in the middle of its JSON"),
        ("[{]", "not valid JSON|not JSON"),
        ("{}", "no list of images"),
        ("[" * 100_000, "nested more than"),
    ],
)
def test_a_bad_file(tmp_path: Path, text: str, message: str) -> None:
    image(tmp_path / "x/a.jpg")
    with pytest.raises(InvalidSource, match=message):
        read(CREATEML, files(tmp_path / "x", {"_annotations.createml.json": text}))


def test_entries_without_an_image(tmp_path: Path) -> None:
    _, rows, found = read(
        CREATEML, dataset(tmp_path / "x", [7, {"annotations": [BOX]}, {"image": "a.jpg", "annotations": [BOX]}])
    )
    assert len(rows) == 1
    assert "does not name an image" in found.notes[0]


def test_detection(tmp_path: Path) -> None:
    assert CREATEML.recognises(dataset(tmp_path / "x", [{"image": "a.jpg", "annotations": [BOX]}], "train/labels.json"))
    assert not CREATEML.recognises(
        files(tmp_path / "y", {"a.json": '[{"image": "a.jpg"}]', "b.json": '{"images": []}'})
    )


def test_writing(tmp_path: Path) -> None:
    source, out = (
        dataset(tmp_path / "x", [{"image": "a.jpg", "annotations": [BOX, {"label": "day"}]}]),
        tmp_path / "out",
    )
    assert rewritten(CREATEML, source, out) == []
    (entry,) = json.loads((out / "train/_annotations.createml.json").read_text())
    assert entry["image"] == "a.jpg"
    assert entry["annotations"][1] == {"label": "day"}
    assert entry["annotations"][0]["coordinates"] == pytest.approx(BOX["coordinates"])
    assert (out / "train/a.jpg").exists()
    before, after = (read(CREATEML, folder)[1] for folder in (source, out))
    for row, same in zip(after, before, strict=True):
        assert row.pop("bounding_box", 0) == pytest.approx(same.pop("bounding_box", 0))
        assert row == same
