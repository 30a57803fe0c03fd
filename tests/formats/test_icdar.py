"""ICDAR: texts of images, where texts are, and the pixels of characters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.formats.label_files import files, image, opened, packed, parts, read, rewritten

from annobridge.core.geometry import decode_rle
from annobridge.formats.common.file_format import FileFormat
from annobridge.formats.createml import CreateMLFormat
from annobridge.formats.icdar import LocalizationFormat, RecognitionFormat, SegmentationFormat

WORDS, PLACES, PIXELS = RecognitionFormat(), LocalizationFormat(), SegmentationFormat()


def with_image(folder: Path, name: str = "train/images/a.png") -> Path:
    image(folder / name)
    return folder


def bitmap(path: Path) -> Path:
    """Two characters, 4 × 2 and 3 × 5 pixels, on white."""
    pixels = np.full((50, 100, 3), 255, np.uint8)
    pixels[10:12, 20:24], pixels[30:35, 40:43] = (10, 20, 30), (0, 0, 255)
    Image.fromarray(pixels).save(path)
    return path


CHARACTERS = '# a comment\n10 20 30 3 4 20 10 24 12 "J"\n\n0 0 255 41 32 40 30 43 35 """\n'


def characters(folder: Path) -> Path:
    with_image(folder)
    bitmap(folder / "train/a_GT.bmp")
    return files(folder, {"train/a_GT.txt": CHARACTERS})


# --- Recognition ------------------------------------------------------------------------------------------------------


def test_texts(tmp_path: Path) -> None:
    for name in ("word 1.png", "sub/word 1.png", "c.png"):
        image(tmp_path / f"x/word_recognition/val/images/{name}")
    lines = 'word 1.png, "say "yes", no"\nsub/word 1.png, "PROPER"\nc.png, \n'
    files(tmp_path / "x", {"word_recognition/val/gt.txt": lines})
    samples, rows, found = read(WORDS, packed(tmp_path / "x", tmp_path / "x.zip"), media_dir=tmp_path / "m")
    assert [row["attributes"] for row in rows] == [{"caption": 'say "yes", no'}, {"caption": "PROPER"}]
    assert {(row["kind"], row["label"]) for row in rows} == {("classification", "icdar")}
    assert [s["split"] for s in samples] == ["val"] * 3
    assert not found.notes


def test_a_line_that_is_no_text_is_left_out(tmp_path: Path) -> None:
    files(with_image(tmp_path), {"train/gt.txt": 'a.png, "x"\nnothing here\nb.png plain, 7\n'})
    _, rows, found = read(WORDS, tmp_path)
    assert len(rows) == 1
    assert "line 2" in found.notes[0]
    assert "not NAME" in found.notes[0]


def test_writing_texts(tmp_path: Path) -> None:
    files(with_image(tmp_path / "x"), {"train/gt.txt": 'a.png, "a, "b""\n'})
    assert rewritten(WORDS, tmp_path / "x", tmp_path / "out") == []
    assert (tmp_path / "out/train/gt.txt").read_text() == 'a.png, "a, "b""\n'
    assert read(WORDS, tmp_path / "out")[1] == read(WORDS, tmp_path / "x")[1]


# --- Localization -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "kind", "shape", "text"),
    [
        ('10.0 5.0 30.5 15.0 "a, "b""', "box", [0.1, 0.1, 0.205, 0.2], 'a, "b"'),
        ('30,15,10,5,"x"', "box", [0.1, 0.1, 0.2, 0.2], "x"),
        ('1,1,9,1,9,8,1,8,"xyz"', "polygon", [[0.01, 0.02], [0.09, 0.02], [0.09, 0.16], [0.01, 0.16]], "xyz"),
        ("10,5,30,5,30,15,10,15,Genaxis Theatre, 2", "polygon", None, "Genaxis Theatre,2"),
        ("10,5,30,5,30,15,10,15,2020", "polygon", None, "2020"),
        ("10 5 30 15 two words", "box", [0.1, 0.1, 0.2, 0.2], "two words"),
        ("10 5 30 15", "box", [0.1, 0.1, 0.2, 0.2], None),
        ('10,5,30,5,30,15,20,20,10,15,"five"', "polygon", None, "five"),
    ],
)
def test_places(tmp_path: Path, line: str, kind: str, shape: list[float] | None, text: str | None) -> None:
    source = files(with_image(tmp_path), {"train/gt_a.txt": f"{line}\n"})
    samples, (row,), found = read(PLACES, source)
    assert (row["kind"], row["label"], row["attributes"].get("text")) == (kind, "icdar", text)
    if shape is not None:
        got = row["bounding_box"] if kind == "box" else row["points"][0]
        assert np.allclose(got, shape)
    assert samples[0]["split"] == "train"
    assert not found.notes


@pytest.mark.parametrize("line", ["1 2 3", "a b c d", '1,2,3,4,5,"x"', "nan nan nan nan", '1e999 1 2 3 "x"'])
def test_a_line_without_a_place_is_left_out(tmp_path: Path, line: str) -> None:
    source = files(with_image(tmp_path), {"train/gt_a.txt": f'1 2 30 40 "ok"\n{line}\n'})
    _, rows, found = read(PLACES, source)
    assert len(rows) == 1
    assert "line 2" in found.notes[0]


def test_nested_images_and_empty_files(tmp_path: Path) -> None:
    for name in ("cam 1/frame.png", "frame.png"):
        image(tmp_path / f"val/images/{name}")
    files(tmp_path, {"val/cam 1/gt_frame.txt": '1 2 30 40 "x"\n', "val/gt_frame.txt": ""})
    samples, (row,), _ = read(PLACES, tmp_path)
    paths = {s["sample_id"]: s["filepath"] for s in samples}
    assert sorted(path.partition("images/")[2] for path in paths.values()) == ["cam 1/frame.png", "frame.png"]
    assert row["image"] == "frame.png"
    assert {s["split"] for s in samples} == {"val"}


def test_writing_places(tmp_path: Path) -> None:
    lines = '10 5 30 15 "a, "b""\n1,1,9,1,9,8,1,8,"xyz"\n'
    source = files(with_image(tmp_path / "x"), {"train/gt_a.txt": lines})
    assert rewritten(PLACES, source, tmp_path / "out") == []
    assert (tmp_path / "out/train/gt_a.txt").read_text() == lines
    assert (tmp_path / "out/train/images/a.png").exists()


# --- Segmentation -----------------------------------------------------------------------------------------------------


def test_characters(tmp_path: Path) -> None:
    samples, (one, other), found = read(
        PIXELS, packed(characters(tmp_path / "x"), tmp_path / "x.zip"), media_dir=tmp_path
    )
    assert one["attributes"] == {"index": 0, "color": "10 20 30", "center": "3 4", "text": "J", "group": 1}
    assert other["attributes"] == {"index": 1, "color": "0 0 255", "center": "41 32", "text": '"', "group": 2}
    assert [int(decode_rle(row["mask"]).sum()) for row in (one, other)] == [8, 15]
    assert one["bounding_box"] == pytest.approx([0.2, 0.2, 0.04, 0.04])
    assert len(samples) == 1
    assert not found.notes


def test_boxes_where_the_pixels_are_missing(tmp_path: Path) -> None:
    (characters(tmp_path) / "train/a_GT.bmp").unlink()
    _, (one, _), found = read(PIXELS, tmp_path)
    assert one["bounding_box"] == pytest.approx([0.2, 0.2, 0.04, 0.04])
    assert "their boxes were read" in found.notes[0]


@pytest.mark.parametrize("line", ["1 2 3 4", '1 2 3 4 "x"', '300 0 0 1 1 1 1 1 1 "x"', '1 2 3 4 5 6 7 8 nan "x"'])
def test_a_line_that_is_no_character_is_left_out(tmp_path: Path, line: str) -> None:
    source = files(characters(tmp_path), {"train/a_GT.txt": f"{CHARACTERS}{line}\n"})
    _, rows, found = read(PIXELS, source)
    assert len(rows) == 2
    assert "line 5" in found.notes[0]


def test_a_damaged_picture_is_left_out(tmp_path: Path) -> None:
    (characters(tmp_path) / "train/a_GT.bmp").write_bytes(b"BM nothing")
    _, rows, found = read(PIXELS, tmp_path)
    assert not rows
    assert "cannot be decoded" in found.notes[0]


def test_writing_characters(tmp_path: Path) -> None:
    source = characters(tmp_path / "x")
    notes = rewritten(PIXELS, source, tmp_path / "out")
    assert notes == ["instances: 2 values of the attribute 'group' are lost."]
    assert read(PIXELS, tmp_path / "out")[1] == read(PIXELS, source)[1]
    assert (tmp_path / "out/train/a_GT.txt").read_text() == CHARACTERS.partition("\n")[2]


def test_labels_without_colours_get_distinct_ones(tmp_path: Path) -> None:
    lines = '10 10 30 20 "x"\n40 10 60 20 "y"\n'
    source = files(with_image(tmp_path / "x"), {"train/gt_a.txt": lines})
    (tmp_path / "out").mkdir()
    notes = PIXELS.write(parts(opened(PLACES, source)), tmp_path / "out", PIXELS.writing())
    assert notes == ["detections: 2 detections will be painted as masks."]
    _, rows, _ = read(PIXELS, tmp_path / "out")
    assert [row["attributes"]["text"] for row in rows] == ["x", "y"]
    assert [int(decode_rle(row["mask"]).sum()) for row in rows] == [200, 200]


# --- all three --------------------------------------------------------------------------------------------------------


def test_each_recognises_its_own(tmp_path: Path) -> None:
    sources = {
        WORDS.name: files(with_image(tmp_path / "w"), {"train/gt.txt": 'a.png, "x"\n'}),
        PLACES.name: files(with_image(tmp_path / "p"), {"train/gt_a.txt": '1 2 3 4 "x"\n'}),
        PIXELS.name: characters(tmp_path / "c"),
    }
    formats: list[FileFormat] = [WORDS, PLACES, PIXELS]
    for name, source in sources.items():
        assert [f.name for f in formats if f.recognises(source)] == [name]
    mot = files(tmp_path / "mot", {"gt/gt.txt": "1,1,1363,569,103,241,1,1,0.86\n"})
    assert not any(f.recognises(mot) for f in formats)


def test_lost_classes_are_named(tmp_path: Path) -> None:
    image(tmp_path / "x/a.png")
    text = '[{"image": "a.png", "annotations": [{"label": "car", "coordinates": {"x": 20, "y": 10, "width": 4, "height": 4}}]}]'
    source = files(tmp_path / "x", {"_annotations.createml.json": text})
    (tmp_path / "out").mkdir()
    notes = PLACES.write(parts(opened(CreateMLFormat(), source)), tmp_path / "out", PLACES.writing())
    assert notes == ["detections: 1 classes other than 'icdar' are lost."]
