"""DOTA: layouts, corners as turned boxes, and what comes back after writing."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.formats.label_files import files, image, packed, read, rewritten

from annobridge.formats.dota import DotaFormat

DOTA = DotaFormat()
HEAD = "imagesource:GoogleEarth\ngsd:0.146\n"
UPRIGHT = "10 5 30 5 30 15 10 15 small-vehicle 0\n"
TURNED = "36.68 11.07 71.32 31.07 63.32 44.93 28.68 24.93 quai nord 1\n"


def dataset(folder: Path, **texts: str) -> Path:
    for split, name in (("train", "a b.png"), ("val", "sub/c.png")):
        image(folder / split / "images" / name)
    written = {
        "train/labelTxt/a b.txt": texts.get("a", HEAD + UPRIGHT + TURNED),
        "val/labelTxt/sub/c.txt": texts.get("c", ""),
    }
    return files(folder, written)


def test_boxes(tmp_path: Path) -> None:
    source = dataset(tmp_path / "x")
    samples, (upright, turned), found = read(DOTA, packed(source, tmp_path / "x.zip"), media_dir=tmp_path / "media")
    assert [(Path(s["filepath"]).name, s["split"]) for s in samples] == [("a b.png", "train"), ("c.png", "val")]
    assert upright["bounding_box"] == pytest.approx([0.1, 0.1, 0.2, 0.2])
    assert "rotation" not in upright
    assert (upright["label"], upright["attributes"]) == ("small-vehicle", {"difficult": False})
    assert turned["rotation"] == pytest.approx(30, abs=0.01)
    assert turned["attributes"] == {"difficult": True}
    assert turned["label"] == "quai nord"
    assert turned["bounding_box"] == pytest.approx([0.3, 0.4, 0.4, 0.32], abs=1e-3)
    assert not found.notes
    assert "four corners" in str(DOTA.reason(source))


def test_without_difficult_and_with_the_folder_inside(tmp_path: Path) -> None:
    image(tmp_path / "x/images/train/a.png")
    source = files(
        tmp_path / "x", {"labelTxt-v1.0/train/a.txt": "", "labelTxt-v1.5/train/a.txt": "10 5 30 5 30 15 10 15 ship\n"}
    )
    samples, (row,), _ = read(DOTA, source)
    assert (row["label"], row["attributes"], samples[0]["split"]) == ("ship", {}, "train")


def test_other_quadrilaterals_are_polygons(tmp_path: Path) -> None:
    _, (row,), found = read(DOTA, dataset(tmp_path / "x", a="0 0 40 0 30 30 5 20 ship 0\n"))
    assert row["kind"] == "polygon"
    assert row["points"][0][1] == [0.4, 0]
    assert "no rectangles" in found.notes[0]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1 2 3 4 5 6 7 8", "less than eight numbers and a class"),
        ("ship 1 2 3 4 5 6 7 8 0", "first eight values are not all numbers"),
        ("1 2 3 4 5 6 7 nan ship 0", "not a finite number"),
        ("110 5 130 5 130 15 110 15 ship 0", "outside its image"),
    ],
)
def test_a_bad_line_is_left_out_with_its_place(tmp_path: Path, line: str, reason: str) -> None:
    _, rows, found = read(DOTA, dataset(tmp_path / "x", a=HEAD + line + "\n" + UPRIGHT))
    assert len(rows) == 1
    (note,) = found.notes
    assert reason in note
    assert "labelTxt/a b.txt' line 3" in note


def test_writing(tmp_path: Path) -> None:
    source, out = dataset(tmp_path / "x"), tmp_path / "out"
    notes = rewritten(DOTA, source, out)
    assert notes == [
        "1 classes have spaces in their names, as 'quai nord'; many readers of DOTA stop at the first space."
    ]
    assert (out / "train/labelTxt/a b.txt").read_text().splitlines()[0].endswith(" small-vehicle 0")
    assert (out / "val/labelTxt/sub/c.txt").read_text() == ""
    _, before, _ = read(DOTA, source)
    _, after, _ = read(DOTA, out)
    for row, same in zip(after, before, strict=True):
        assert row.pop("bounding_box") == pytest.approx(same.pop("bounding_box"), abs=1e-9)
        assert row.pop("rotation", 0) == pytest.approx(same.pop("rotation", 0), abs=1e-6)
        assert row == same
