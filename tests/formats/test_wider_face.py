"""WIDER Face: lists of images with boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.formats.label_files import files, image, packed, read, rewritten

from annobridge.core.labels import LABELS, SAMPLES
from annobridge.exceptions import InvalidSource, Unsupported
from annobridge.formats.base import Part
from annobridge.formats.wider_face import WiderFaceFormat

WIDER = WiderFaceFormat()
LIST = "wider_face_split/wider_face_train_bbx_gt.txt"
TEXT = """0--Parade/0_Parade_1.jpg
2
10 5 20 10 2 0 1 2 0 0
40 10 20 20 0 1 0 0 0 1
1--big event/sub 1/é.jpg
0
0 0 0 0 0 0 0 0 0 0
"""


def source(folder: Path, text: str = TEXT, **more: str) -> Path:
    for name in ("0--Parade/0_Parade_1.jpg", "1--big event/sub 1/é.jpg"):
        image(folder / "WIDER_train/images" / name)
    return files(folder, {LIST: text, **more})


def test_boxes_with_attributes_and_classes_of_images(tmp_path: Path) -> None:
    zipped = packed(source(tmp_path / "x", **{"wider_face_split/readme.txt": "An example.\n"}), tmp_path / "x.zip")
    assert WIDER.recognises(zipped)
    samples, rows, found = read(WIDER, zipped, media_dir=tmp_path / "media")
    first, second = (row for row in rows if row["kind"] == "box")
    assert first["bounding_box"] == pytest.approx([0.1, 0.1, 0.2, 0.2])
    assert first["label"] == "face"
    given = {"blur": 2, "expression": 0, "illumination": 1, "occluded": True, "occlusion": 2, "pose": 0, "invalid": 0}
    assert first["attributes"] == given
    assert second["attributes"]["occluded"] is False
    assert [(row["image"], row["label"]) for row in rows if row["kind"] == "classification"] == [
        ("0_Parade_1.jpg", "Parade"),
        ("é.jpg", "big event"),
    ]
    assert {sample["split"] for sample in samples} == {"train"}
    assert not found.notes


@pytest.mark.parametrize(
    ("line", "label", "attributes"),
    [
        ("1 2 3 4", "face", {}),
        ("1.5 2 3 4 grue mobile", "grue mobile", {}),
        ("1 2 3 4 - - - True - - traffic light", "traffic light", {"occluded": True}),
        ("1 2 3 4 heavy - - - - - traffic light", "traffic light", {"blur": "heavy"}),
        ("1 2 3 4 a b c d e f", "a b c d e f", {}),
        ("1 2 3 4 1 2 3 4 5 6", "1 2 3 4 5 6", {}),
    ],
)
def test_classes_and_attributes_of_cvat(tmp_path: Path, line: str, label: str, attributes: dict[str, Any]) -> None:
    image(tmp_path / "WIDER_default/images/no_label/a.jpg")
    names = "face\ntraffic light\na b c d e f\n1 2 3 4 5 6\n"
    text = f"no_label/a.jpg\n1\n{line}\n"
    files(tmp_path, {"wider_face_split/wider_face_default_bbx_gt.txt": text, "labels.txt": names})
    (sample,), (row,), _ = read(WIDER, tmp_path)
    assert (row["label"], row["attributes"]) == (label, attributes)
    assert sample.get("split") is None


def test_images_without_a_count_and_a_plain_list(tmp_path: Path) -> None:
    image(tmp_path / "WIDER_test/images/no_label/a.jpg")
    image(tmp_path / "WIDER_test/images/car/b.jpg")
    files(
        tmp_path, {"wider_face_split/wider_face_test_filelist.txt": "no_label/a.jpg\ncar\\b.jpg\n", "labels.txt": "car"}
    )
    samples, (row,), _ = read(WIDER, tmp_path)
    assert len(samples) == 2
    assert (row["kind"], row["label"], row["image"]) == ("classification", "car", "b.jpg")


def test_images_of_a_task_have_no_folder_of_a_class(tmp_path: Path) -> None:
    files(tmp_path / "x", {LIST: "1--car/sub/frame_000003.jpg\n1\n1 2 3 4\n"})
    image(tmp_path / "images/sub/frame_000003.png")
    _, rows, _ = read(WIDER, tmp_path / "x", image_dir=tmp_path / "images")
    assert [row["kind"] for row in rows] == ["classification", "box"]


@pytest.mark.parametrize(
    ("text", "reason", "line"),
    [
        ("0--Parade/0_Parade_1.jpg\n1\n1 2 x 4\n", "no image, no count and no box", 3),
        ("0--Parade/0_Parade_1.jpg\n1\n1 2 3\n", "no image, no count and no box", 3),
        ("0--Parade/0_Parade_1.jpg\n1\n1 2 nan 4\n", "not a finite number", 3),
        ("0--Parade/0_Parade_1.jpg\n1\n1 2 0 4\n", "no area", 3),
        ("0--Parade/0_Parade_1.jpg\n1\n900 2 5 4\n", "outside its image", 3),
        ("0--Parade/0_Parade_1.jpg\n1\n1 2 3 4\n5 6 7 8\n", "more boxes than the count says", 4),
        ("1 2 3 4\n0--Parade/0_Parade_1.jpg\n", "before the first image", 1),
        ("0--Parade/0_Parade_1.jpg\n0--Parade/none.jpg\n1\n1 2 3 4\n", "its image was not found", 4),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(tmp_path: Path, text: str, reason: str, line: int) -> None:
    _, _, found = read(WIDER, source(tmp_path / "x", text))
    assert any(reason in note and f"line {line}" in note for note in found.notes)


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(InvalidSource, match="not UTF-8"):
        read(WIDER, files(tmp_path / "x", {LIST: b"0--Parade/\xff.jpg\n"}))
    with pytest.raises(InvalidSource, match="has no list wider_face_split"):
        read(WIDER, files(tmp_path / "y", {"a.txt": "x"}))
    assert not WIDER.recognises(tmp_path / "y")


def test_writing(tmp_path: Path) -> None:
    origin, out = source(tmp_path / "x"), tmp_path / "out"
    assert rewritten(WIDER, origin, out) == []
    lines = (out / LIST).read_text().splitlines()
    assert lines[:4] == ["0--Parade/0_Parade_1.jpg", "2", "10 5 20 10 2 0 1 2 0 0", "40 10 20 20 0 1 0 0 0 1"]
    assert lines[4:] == ["1--big event/sub 1/é.jpg", "0", "0 0 0 0 0 0 0 0 0 0"]
    assert (out / "labels.txt").read_text() == "Parade\nbig event\nface\n"
    assert (out / "WIDER_train/images/1--big event/sub 1/é.jpg").exists()
    assert read(WIDER, out)[1] == read(WIDER, origin)[1]


def labelled(folder: Path, *rows: dict[str, Any]) -> Part:
    sample = {"sample_id": "s", "filepath": str(image(folder / "a.jpg")), "width": 100, "height": 50}
    common = {"sample_id": "s", "field": "f", "rev": 0}
    labels = [{"label_id": str(n), **common, **row} for n, row in enumerate(rows)]
    return Part(pa.Table.from_pylist([sample], schema=SAMPLES), pa.Table.from_pylist(labels, schema=LABELS))


def test_what_is_lost_is_told(tmp_path: Path) -> None:
    scenes = [{"kind": "classification", "label": name} for name in ("day", "rain")]
    turned = {"kind": "box", "label": "car", "bounding_box": [0.4, 0.4, 0.2, 0.2], "rotation": 90.0}
    part = labelled(tmp_path, *scenes, turned)
    (tmp_path / "out").mkdir()
    notes = WIDER.write([part], tmp_path / "out", WIDER.writing(fill_attributes=True))
    assert notes == ["f: 1 rotations are lost.", "1 classes of images that have another one are lost."]
    text = (tmp_path / "out/wider_face_split/wider_face_default_bbx_gt.txt").read_text()
    assert text == "1--day/a.jpg\n1\n45 15 10 20 0 0 0 0 0 0 car\n"
    with pytest.raises(Unsupported, match="another one are lost"):
        WIDER.write([part], tmp_path / "strict", WIDER.writing(strict=True))
    odd = labelled(tmp_path, {"kind": "classification", "label": "a/b"})
    with pytest.raises(Unsupported, match="cannot be the name of a folder"):
        WIDER.write([odd], tmp_path / "odd", WIDER.writing())
