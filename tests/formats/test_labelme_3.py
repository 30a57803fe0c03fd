"""LabelMe 3.0: an XML file for each image, and pictures of masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.formats.label_files import files, image, opened, packed, parts, read, rewritten

from annobridge.core.geometry import decode_rle
from annobridge.core.rows import attributes
from annobridge.exceptions import InvalidSource
from annobridge.formats.base import Part
from annobridge.formats.labelme_3 import Labelme3Format
from annobridge.formats.labelme_3.attributes import parse, text_of

LABELME = Labelme3Format()
TEN = "<pt><x>10</x><y>5</y></pt><pt><x>30</x><y>5</y></pt><pt><x>30</x><y>20</y></pt><pt><x>10</x><y>20</y></pt>"
BOX = f"<type>bounding_box</type><polygon>{TEN}<username>alice</username></polygon>"
POLYGON = f"<polygon>{TEN}</polygon>"
MASK = "<segm><mask>a_mask_0.png</mask><box><xmin>0</xmin></box><username>bob</username></segm>"


def thing(shape: str, name: str = "car", more: str = "") -> str:
    return f"<object><name>{name}</name><deleted>0</deleted>{more}{shape}</object>\n"


def document(*objects: str, filename: str = "a.png", folder: str = "", writer: str = "Datumaro") -> str:
    return (
        f"<annotation><filename>{filename}</filename><folder>{folder}</folder>"
        f"<source><sourceImage/><sourceAnnotation>{writer}</sourceAnnotation></source>"
        f"<imagesize><nrows>50</nrows><ncols>100</ncols></imagesize>\n{''.join(objects)}</annotation>"
    )


def mask(path: Path, mode: str = "RGBA", size: tuple[int, int] = (100, 50)) -> Path:
    """A mask of 20 × 10 pixels; its red channel is 0 everywhere, and its alpha is not 255."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((size[1], size[0], 4), np.uint8)
    pixels[10:20, 30:50] = (0, 203, 255, 153)
    picture = Image.fromarray(pixels, "RGBA")
    if mode == "L":
        picture = Image.fromarray((pixels[..., 2] > 0).astype(np.uint8))
    elif mode == "P":
        picture = Image.fromarray((pixels[..., 2] > 0).astype(np.uint8), "P")
        picture.putpalette([0, 0, 0, 0, 0, 0])
    elif mode == "RGB":
        picture = picture.convert("RGB")
    picture.save(path)
    return path


def dataset(folder: Path, *objects: str, name: str = "default/a.xml", **given: Any) -> Path:
    image(folder / Path(name).with_suffix(".png"))
    return files(folder, {name: document(*objects, **given)})


def test_boxes_polygons_and_attributes(tmp_path: Path) -> None:
    more = "<occluded>yes</occluded><attributes>colour=red, n=2.0, track_id=7, score=0.5</attributes>"
    source = dataset(tmp_path / "x", thing(BOX, more=more), thing(POLYGON, "péniche", "<occluded>no</occluded>"))
    samples, (box, polygon), found = read(LABELME, packed(source, tmp_path / "x.zip"), media_dir=tmp_path / "m")
    assert box["bounding_box"] == pytest.approx([0.1, 0.1, 0.2, 0.3])
    assert box["attributes"] == {"colour": "red", "n": 2.0, "occluded": True}
    assert (box["index"], box["confidence"], box["annotator"]) == (7, 0.5, "alice")
    assert (polygon["kind"], polygon["label"], polygon["attributes"]) == ("polygon", "péniche", {"occluded": False})
    assert np.allclose(polygon["points"], [[[0.1, 0.1], [0.3, 0.1], [0.3, 0.4], [0.1, 0.4]]])
    assert samples[0].get("split") is None
    assert not found.notes


def test_a_turned_bounding_box(tmp_path: Path) -> None:
    points = "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in ((20, 5), (30, 15), (20, 25), (10, 15)))
    source = dataset(tmp_path, thing(f"<type>bounding_box</type><polygon>{points}</polygon>"))
    _, (row,), _ = read(LABELME, source)
    assert (row["kind"], row["rotation"]) == ("box", pytest.approx(45.0))


@pytest.mark.parametrize("mode", ["RGBA", "RGB", "L", "P"])
@pytest.mark.parametrize("place", ["default/Masks/a_mask_0.png", "Masks/a_mask_0.png", "Masks/default/a_mask_0.png"])
def test_masks(tmp_path: Path, mode: str, place: str) -> None:
    mask(tmp_path / place, mode)
    samples, (row,), found = read(LABELME, dataset(tmp_path, thing(MASK)))
    assert decode_rle(row["mask"]).sum() == 200
    assert row["bounding_box"] == pytest.approx([0.3, 0.2, 0.2, 0.2])
    assert row["annotator"] == "bob"
    assert len(samples) == 1  # a mask is no image
    assert not found.notes


def test_masks_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for split, size in (("train", (100, 50)), ("val", (60, 40))):
        mask(tmp_path / f"Masks/{split}/a_mask_0.png", size=size)
        image(tmp_path / f"Images/{split}/a.png", *size)
        text = document(thing(MASK), folder=split).replace("50", str(size[1])).replace("100", str(size[0]))
        files(tmp_path, {f"Annotations/{split}/a.xml": text})
    samples, rows, found = read(LABELME, tmp_path)
    assert sorted(s["split"] for s in samples) == ["train", "val"]
    assert [row["mask"]["size"] for row in rows] == [[50, 100], [40, 60]]
    assert not found.notes


def test_parts_are_groups(tmp_path: Path) -> None:
    def part(number: int, has: str = "", of: str = "") -> str:
        parts_ = f"<parts><hasparts>{has}</hasparts><ispartof>{of}</ispartof></parts>"
        return thing(POLYGON, more=f"<id>{number}</id>{parts_}")

    source = dataset(
        tmp_path, part(0), part(1, "2,3"), part(2, of="1"), part(3, "9", "1"), part(4, of="5"), part(5, "4")
    )
    _, rows, _ = read(LABELME, source)
    assert [row["attributes"].get("group") for row in rows] == [None, 1, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("name", "filename", "folder", "split", "path"),
    [
        ("default/a.xml", "a.png", "", None, "default/a.png"),
        ("train/cam 1/a.xml", "a.png", "cam 1", "train", "train/cam 1/a.png"),
        ("train/cam 1/a.xml", "cam 1/a.png", "train", "train", "train/cam 1/a.png"),
        ("train/item_0.xml", "a.png", "cam 1", "train", "train/cam 1/a.png"),
        ("a.xml", "a.png", "", None, "a.png"),
    ],
)
def test_names(tmp_path: Path, name: str, filename: str, folder: str, split: str | None, path: str) -> None:
    image(tmp_path / path)
    source = files(tmp_path, {name: document(thing(BOX), filename=filename, folder=folder)})
    (sample,), (row,), _ = read(LABELME, source)
    assert (sample.get("split"), row["image"]) == (split, "a.png")


def test_a_folder_of_the_web_tool_is_no_split(tmp_path: Path) -> None:
    image(tmp_path / "Images/my collection/a.png")
    text = document(thing(POLYGON), folder="my collection", writer="LabelMe Webtool")
    (sample,), (row,), _ = read(LABELME, files(tmp_path, {"Annotations/my collection/a.xml": text}))
    assert sample.get("split") is None
    assert row["attributes"] == {}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (thing(BOX).replace("<deleted>0", "<deleted>1"), "marked as deleted"),
        (thing(""), "neither a <polygon> nor a <segm>"),
        (thing("<polygon><pt><x>1</x><y>2</y></pt></polygon>"), "polygon of 1 points"),
        (thing(POLYGON.replace("<x>10</x>", "<x>ten</x>")), "no number"),
        (thing(POLYGON.replace("<x>10</x>", "<x>nan</x>")), "no number"),
        (thing(POLYGON.replace("<x>10</x>", "<x>1e999</x>")), "no number"),
        (thing(MASK), "the file of its mask is not in the source"),
        (thing(BOX.replace("<x>", "<x>9")), "outside its image"),
    ],
)
def test_a_bad_object_is_left_out_with_its_line(tmp_path: Path, given: str, reason: str) -> None:
    _, rows, found = read(LABELME, dataset(tmp_path, thing(BOX), given))
    assert len(rows) == 1
    assert reason in found.notes[0]
    assert "a.xml', line 3" in found.notes[0]


def test_a_mask_of_another_size_is_left_out(tmp_path: Path) -> None:
    mask(tmp_path / "default/Masks/a_mask_0.png", size=(60, 40))
    _, rows, found = read(LABELME, dataset(tmp_path, thing(MASK)))
    assert not rows
    assert "not of the size of the image" in found.notes[0]


def test_a_damaged_mask_is_left_out(tmp_path: Path) -> None:
    files(dataset(tmp_path, thing(MASK)), {"default/Masks/a_mask_0.png": b"\x89PNG nothing"})
    _, rows, found = read(LABELME, tmp_path)
    assert not rows
    assert "cannot be decoded" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('<!DOCTYPE x [<!ENTITY e "x">]><annotation><filename>&e;</filename></annotation>', "document type"),
        ("<annotation>\n<filename>a.png</filename>", "line 2, is not well-formed XML"),
        ("<annotation>" + "<a>" * 100_000, "is not well-formed XML"),
        ("<annotation/>", "no XML with the root"),
    ],
)
def test_a_bad_file(tmp_path: Path, text: str, message: str) -> None:
    image(tmp_path / "x/default/a.png")
    with pytest.raises(InvalidSource, match=message):
        read(LABELME, files(tmp_path / "x", {"default/a.xml": text}))


# --- attributes -------------------------------------------------------------------------------------------------------

_JSON = st.recursive(
    st.booleans() | st.integers(-(10**15), 10**15) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300)
@given(st.dictionaries(st.text(min_size=1), _JSON, max_size=4))
def test_attributes_survive(values: dict[str, Any]) -> None:
    found = parse(text_of(values))
    assert found == values
    assert {name: type(value) for name, value in found.items()} == {name: type(value) for name, value in values.items()}


@given(st.text(max_size=60))
def test_any_text_is_read(text: str) -> None:
    assert isinstance(parse(text), dict)


# --- writing ----------------------------------------------------------------------------------------------------------


def test_writing(tmp_path: Path) -> None:
    more = "<occluded>no</occluded><attributes>colour=red, text=a, n=7, track_id=7, score=0.5</attributes>"
    mask(tmp_path / "x/train/Masks/a_mask_0.png")
    source = dataset(tmp_path / "x", thing(BOX, more=more), thing(POLYGON), thing(MASK), name="train/a.xml")
    assert rewritten(LABELME, source, tmp_path / "out") == []
    assert (tmp_path / "out/train/a.png").exists()
    assert (tmp_path / "out/train/Masks/a_mask_2.png").exists()
    text = (tmp_path / "out/train/a.xml").read_text()
    assert "<type>bounding_box</type>" in text
    assert "<x>10.00</x>" in text
    before, after = (read(LABELME, folder)[1] for folder in (source, tmp_path / "out"))
    for row, same in zip(after, before, strict=True):
        for name in ("bounding_box", "points"):
            if name in same:
                assert np.allclose(row.pop(name), same.pop(name), atol=1e-8), name
        assert row == same


def made(folder: Path, *rows: dict[str, Any]) -> tuple[list[str], str, list[dict[str, Any]]]:
    """Labels of one image, written; the notes, the XML, and the labels that are read."""
    (part,) = parts(opened(LABELME, dataset(folder / "x")))
    own = {"sample_id": part.samples["sample_id"][0].as_py(), "field": "f", "label_id": "l", "rev": 0, "label": "car"}
    labels = pa.Table.from_pylist([own | row for row in rows], schema=part.labels.schema)
    (folder / "out").mkdir(parents=True)
    notes = LABELME.write([Part(part.samples, labels)], folder / "out", LABELME.writing())
    return notes, (folder / "out/default/a.xml").read_text(), read(LABELME, folder / "out")[1]


def test_a_turned_box_survives(tmp_path: Path) -> None:
    row = {
        "kind": "box",
        "bounding_box": [0.2, 0.3, 0.3, 0.2],
        "rotation": 30.0,
        "attributes": attributes({"a": "x, y"}),
    }
    notes, text, (back,) = made(tmp_path, row)
    assert notes == []
    assert "bounding_box" not in text  # other tools take it for a polygon, which has the right outline
    assert back["bounding_box"] == pytest.approx(row["bounding_box"], abs=1e-6)
    assert back["rotation"] == pytest.approx(30.0, abs=1e-4)
    assert back["attributes"] == {"a": "x, y"}


def test_an_upright_box_may_have_an_attribute_rotation(tmp_path: Path) -> None:
    row = {"kind": "box", "bounding_box": [0.2, 0.3, 0.3, 0.2], "attributes": attributes({"rotation": 30.0})}
    _, _, (back,) = made(tmp_path, row)
    assert (back.get("rotation"), back["attributes"]) == (None, {"rotation": 30.0})


def test_what_is_no_shape_of_labelme(tmp_path: Path) -> None:
    ring = [[0.1, 0.1], [0.5, 0.1], [0.5, 0.9]]
    notes, text, back = made(
        tmp_path,
        {"kind": "polygon", "points": [ring, [[0.6, 0.6], [0.7, 0.6], [0.7, 0.8]]], "closed": True, "filled": True},
        {"kind": "ellipse", "bounding_box": [0.1, 0.1, 0.4, 0.4]},
        {"kind": "polyline", "points": [ring], "closed": False, "filled": False},
        {"kind": "polygon", "points": [ring], "closed": True, "filled": True, "attributes": attributes({"group": 5})},
        {"kind": "polygon", "points": [ring], "closed": True, "filled": True, "attributes": attributes({"group": 5})},
    )
    assert notes == [
        "f: 1 labels of several parts become several labels.",
        "f: 1 ellipses will be written as polygons.",
        "f: 1 polylines cannot be written, and are left out.",
    ]
    assert "<hasparts>1</hasparts>" in text
    assert [row["attributes"].get("group") for row in back] == [1, 1, None, 5, 5]


def test_detection(tmp_path: Path) -> None:
    assert LABELME.recognises(dataset(tmp_path / "x", thing(BOX)))
    voc = "<annotation><filename>a.png</filename><size><width>1</width></size><object><bndbox/></object></annotation>"
    assert not LABELME.recognises(files(tmp_path / "y", {"Annotations/a.xml": voc, "b.xml": "<annotations/>"}))
