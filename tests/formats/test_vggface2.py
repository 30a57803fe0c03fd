"""VGGFace2: tables with a box and five landmarks for each image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.formats.label_files import files, image, packed, read, rewritten

from annobridge.core.labels import LABELS, SAMPLES
from annobridge.exceptions import InvalidSource, Unsupported
from annobridge.formats.base import Part
from annobridge.formats.vggface2 import VggFace2Format

VGG = VggFace2Format()
BOXES, MARKS = "bb_landmark/loose_bb_train.csv", "bb_landmark/loose_landmark_train.csv"
HEADER = "NAME_ID,P1X,P1Y,P2X,P2Y,P3X,P3Y,P4X,P4Y,P5X,P5Y\n"
TABLES = {
    BOXES: 'NAME_ID,X,Y,W,H\n"Ann Lee/a 1",10,5,20.5,10\nno_label/sub/é,1,2,3,4\n',
    MARKS: f"{HEADER}Ann Lee/a 1,1,2,3,4,5,6,7,8,9,10\nAnn Lee/c{',' * 10}\nno_label/d{',' * 10}\n",
    "labels.txt": "Ann Lee\n",
}


def source(folder: Path, **more: str) -> Path:
    for name in ("Ann Lee/a 1.jpg", "no_label/sub/é.png", "Ann Lee/c.jpg", "no_label/d.jpg"):
        image(folder / "train" / name)
    return files(folder, TABLES | more)


def test_boxes_landmarks_and_classes(tmp_path: Path) -> None:
    zipped = packed(source(tmp_path / "x"), tmp_path / "x.zip")
    assert VGG.recognises(zipped)
    samples, rows, found = read(VGG, zipped, media_dir=tmp_path / "media")
    by = {(row["image"], row["kind"]): row for row in rows}
    assert len(samples) == len(by) == 4
    assert {sample["split"] for sample in samples} == {"train"}
    assert by["a 1.jpg", "box"]["bounding_box"] == pytest.approx([0.1, 0.1, 0.205, 0.2])
    points = by["a 1.jpg", "keypoints"]["points"]
    assert points == [[pytest.approx([x / 100, y / 50]) for x, y in ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10))]]
    assert by["a 1.jpg", "keypoints"]["label"] == by["c.jpg", "classification"]["label"] == "Ann Lee"
    assert "label" not in by["é.png", "box"]
    assert not found.notes


def test_images_of_a_task_have_no_folder_of_a_class(tmp_path: Path) -> None:
    image(tmp_path / "images/sub/frame_000003.jpg")
    table = "NAME_ID,X,Y,W,H\ncar/sub/frame_000003,1,2,3,4\n"
    files(tmp_path / "x", {"bb_landmark/loose_bb_default.csv": table})
    (sample,), (row,), _ = read(VGG, tmp_path / "x", image_dir=tmp_path / "images")
    assert row["label"] == "car"
    assert sample.get("split") is None


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("Ann Lee/a 1,1,2,x,4\n", "not all there, or are no numbers"),
        ("Ann Lee/a 1,1,2,,4\n", "not all there, or are no numbers"),
        ("Ann Lee/a 1,1,2,inf,4\n", "not all there, or are no numbers"),
        ("Ann Lee/a 1,1,2\n", "another number of cells than the header"),
        (",1,2,3,4\n", "no NAME_ID"),
        ("Ann Lee/none,1,2,3,4\n", "its image was not found"),
        ("Ann Lee/a 1,1,2,0,4\n", "no area"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(tmp_path: Path, rows: str, reason: str) -> None:
    origin = source(tmp_path / "x", **{BOXES: f"NAME_ID,X,Y,W,H\n{rows}Ann Lee/c,1,2,3,4\n", MARKS: HEADER})
    _, (row,), found = read(VGG, origin)
    assert row["image"] == "c.jpg"
    assert any(reason in note and "line 2" in note for note in found.notes)


def test_bad_files(tmp_path: Path) -> None:
    bad = source(tmp_path / "x", **{BOXES: "NAME_ID,X,Y,W,H\na,1,2,3,4\n"})
    (bad / BOXES).write_bytes(b"NAME_ID,X,Y,W,H\n\xff,1,2,3,4\n")
    with pytest.raises(InvalidSource, match="cannot be read as a table"):
        read(VGG, bad)
    with pytest.raises(InvalidSource, match="has no bb_landmark/loose_bb_NAME.csv"):
        read(VGG, files(tmp_path / "y", {"a.csv": "x\n"}))


def test_writing(tmp_path: Path) -> None:
    origin, out = source(tmp_path / "x"), tmp_path / "out"
    assert rewritten(VGG, origin, out) == []
    assert (out / BOXES).read_text().splitlines()[1:] == [
        "Ann Lee/a 1,10.0,5.0,20.5,10.0",
        "no_label/sub/é,1.0,2.0,3.0,4.0",
    ]
    assert (out / MARKS).read_text().splitlines()[2:] == [f"Ann Lee/c{',' * 10}", f"no_label/d{',' * 10}"]
    assert (out / "train/no_label/sub/é.png").exists()

    def ordered(folder: Path) -> list[dict[str, Any]]:
        return sorted(read(VGG, folder)[1], key=lambda row: (row["image"], row["kind"]))

    for before, after in zip(ordered(origin), ordered(out), strict=True):
        for name in ("bounding_box", "points"):
            assert pa.array([after.pop(name, None)]).equals(pa.array([before.pop(name, None)]))
        assert before == after


def test_what_is_lost_is_told(tmp_path: Path) -> None:
    sample = {"sample_id": "s", "filepath": str(image(tmp_path / "a.jpg")), "width": 100, "height": 50}
    box = {"kind": "box", "bounding_box": [0.1, 0.1, 0.2, 0.2]}
    points = {"kind": "keypoints", "label": "car", "points": [[[0.1, 0.1]] * 4]}
    five = {"kind": "keypoints", "label": "car", "points": [[[0.1, 0.1]] * 5]}
    rows = [box | {"label": "car"}, box | {"label": "bus"}, box | {"label": "car"}, five, points]

    def part(*rows: dict[str, Any]) -> Part:
        labels = [{"label_id": str(n), "sample_id": "s", "field": "f", "rev": 0, **row} for n, row in enumerate(rows)]
        return Part(pa.Table.from_pylist([sample], schema=SAMPLES), pa.Table.from_pylist(labels, schema=LABELS))

    (tmp_path / "out").mkdir()
    assert VGG.write([part(*rows)], tmp_path / "out", VGG.writing()) == [
        "f: 2 keypoints will be written, where they have five points that are all there.",
        "1 labels have another class than the first label of their image, and are left out.",
        "1 detections of images that have another one are lost.",
        "1 keypoints of images that have another one are lost.",
    ]
    assert [(row["kind"], row["label"]) for row in read(VGG, tmp_path / "out")[1]] == [
        ("keypoints", "car"),
        ("box", "car"),
    ]
    with pytest.raises(Unsupported, match="1 keypoints cannot be written"):
        VGG.write([part(points)], tmp_path / "strict", VGG.writing(strict=True))
