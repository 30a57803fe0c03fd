"""Tables: FiftyOne's CSV, and rows of boxes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.formats.label_files import files, image, packed, read

from annobridge.exceptions import InvalidOption, InvalidSource
from annobridge.formats import registry
from annobridge.formats.box_table import BoxTableFormat
from annobridge.formats.fiftyone_csv import FiftyOneCsvFormat

BOXES, FIFTYONE = BoxTableFormat(), FiftyOneCsvFormat()
TENSORFLOW = "filename,width,height,class,xmin,ymin,xmax,ymax\n"


def source(folder: Path, *rows: str, header: str = TENSORFLOW, name: str = "train/_annotations.csv") -> Path:
    image(folder / name.rpartition("/")[0] / "a 1.jpg")
    return files(folder, {name: header + "".join(f"{row}\n" for row in rows)})


@pytest.mark.parametrize(
    ("header", "row"),
    [
        (TENSORFLOW, "a 1.jpg,100,50,big bus,10,5,30,15"),
        ("Image Path;X1;Y1;X2;Y2;Label Name\n", "a 1.jpg;10;5;30;15;big bus"),
        ('"image"\t"x_min"\t"y_min"\t"x_max"\t"y_max"\t"label"\n', "a 1.jpg\t10.0\t5\t30\t1.5e1\tbig bus"),
        (
            "label_name,bbox_x,bbox_y,bbox_width,bbox_height,image_name,image_width,image_height\n",
            "big bus,10,5,20,10,a 1.jpg,100,50",
        ),
        ("filename,x,y,w,h,name\n", "./a 1.jpg,10,5,20,10,big bus"),
    ],
)
def test_columns_are_known_by_their_names(tmp_path: Path, header: str, row: str) -> None:
    zipped = packed(source(tmp_path / "x", row, header=header), tmp_path / "x.zip")
    assert registry.of(zipped).name == "csv-boxes"
    (sample,), (box,), found = read(BOXES, zipped, media_dir=tmp_path / "media")
    assert (box["label"], box["bounding_box"]) == ("big bus", pytest.approx([0.1, 0.1, 0.2, 0.2]))
    assert sample["split"] == "train"
    assert not found.notes


@pytest.mark.parametrize(
    ("name", "split"),
    [("train_labels.csv", "train"), ("boxes.csv", None), ("my valid/x.csv", None), ("valid/x.csv", "valid")],
)
def test_the_split_is_in_the_name(tmp_path: Path, name: str, split: str | None) -> None:
    (sample,), _, _ = read(BOXES, source(tmp_path, "a 1.jpg,100,50,bus,1,2,3,4", name=name))
    assert sample.get("split") == split


def test_confidences_and_splits(tmp_path: Path) -> None:
    header = "image,label,xmin,ymin,xmax,ymax,score,split\n"
    rows = ("a 1.jpg,bus,1,2,3,4,0.5,val", "a 1.jpg,bus,1,2,3,4,87,val", "a 1.jpg,bus,1,2,3,4,,val")
    (sample,), boxes, _ = read(BOXES, source(tmp_path, *rows, header=header), as_predictions=True)
    assert [(row.get("confidence"), row["attributes"]) for row in boxes] == [
        (0.5, {}),
        (None, {"score": 87.0}),
        (None, {}),
    ]
    assert {row["field"] for row in boxes} == {"predictions"}
    assert sample["split"] == "val"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a 1.jpg,100,50,bus,1,2,x,4", "no finite number"),
        ("a 1.jpg,100,50,bus,1,2,inf,4", "no finite number"),
        ("a 1.jpg,100,50,bus,1,2,,4", "no finite number"),
        ("a 1.jpg,100,50,,1,2,3,4", "no class"),
        (",100,50,bus,1,2,3,4", "names no image"),
        ("a 1.jpg,100,50,bus,3,2,1,4", "no area"),
        ("a 1.jpg,100,50,bus,1,2,3", "another number of cells"),
        ("none.jpg,100,50,bus,1,2,3,4", "its image was not found"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(tmp_path: Path, row: str, reason: str) -> None:
    _, boxes, found = read(BOXES, source(tmp_path, row, "a 1.jpg,100,50,bus,1,2,3,4"))
    assert len(boxes) == 1
    assert any(reason in note and "line 2" in note for note in found.notes)


def test_an_image_without_a_box(tmp_path: Path) -> None:
    (_,), boxes, found = read(BOXES, source(tmp_path, "a 1.jpg,,,,,,,"))
    assert not boxes
    assert not found.notes


def test_a_table_without_a_header(tmp_path: Path) -> None:
    """As of RetinaNet. The registry finds it, and reading says what to do."""
    place = source(tmp_path, "a 1.jpg,10,5,30,15,bus", "b.jpg,,,,,", header="")
    assert registry.of(place).name == "csv-boxes"
    with pytest.raises(InvalidSource, match=r"does not name .*columns='image,x1,y1,x2,y2,class'"):
        read(BOXES, place)
    image(tmp_path / "train/b.jpg")
    samples, (box,), _ = read(BOXES, place, columns="image,x1,y1,x2,y2,class")
    assert len(samples) == 2
    assert box["bounding_box"] == pytest.approx([0.1, 0.1, 0.2, 0.2])
    with pytest.raises(InvalidSource, match="What columns= says of"):
        read(BOXES, place, columns=("image", "x1", "y1", "x2", "y2", "what"))


def test_bad_tables(tmp_path: Path) -> None:
    with pytest.raises(InvalidSource, match="between 0 and 1"):
        read(BOXES, source(tmp_path / "a", "a 1.jpg,100,50,bus,0.1,0.2,0.3,0.4"))
    with pytest.raises(InvalidSource, match="no CSV file with the columns"):
        read(BOXES, files(tmp_path / "b", {"a.csv": "filename,caption\n"}))
    with pytest.raises(InvalidSource, match="UTF-8"):
        read(BOXES, files(tmp_path / "c", {"a.csv": TENSORFLOW.encode() + b"\xff,1,1,b,1,2,3,4\n"}))
    with pytest.raises(InvalidOption, match="cannot|not possible|can be read"):
        registry.options(BOXES.writing, {}, "Writing tables of boxes")


def test_tables_of_other_formats(tmp_path: Path) -> None:
    for name, text in {
        "metadata.csv": TENSORFLOW,
        "captions.csv": "filename,caption\na 1.jpg,hello\n",
        "empty.csv": "",
        "binary.csv": "\0\1\2",
        "prices.csv": "item,price,x,y,w,h\n",
    }.items():
        assert not BOXES.recognises(files(tmp_path / name, {name: text}))


def test_fiftyone(tmp_path: Path) -> None:
    for name in ("a.jpg", "cam 1/é.png", "c.jpg"):
        image(tmp_path / "x/data" / name)
    table = 'filepath,tags,scene.label,scene.confidence,size\na.jpg,train,day,0.5,1\ncam 1/é.png,"val,good",dusk,7,2\nc.jpg,,,,3\n'
    files(tmp_path / "x", {"labels.csv": table})
    assert registry.of(tmp_path / "x").name == "fiftyone-csv"
    samples, rows, found = read(FIFTYONE, tmp_path / "x")
    assert [sample["split"] for sample in samples] == ["train", "val", None]
    assert [(row["label"], row.get("confidence"), row["attributes"]) for row in rows] == [
        ("day", 0.5, {}), ("dusk", None, {"score": 7.0})
    ]  # fmt: skip
    assert "Columns of 'x/labels.csv' were not read: 'size'." in found.assumptions


def test_fiftyone_with_several_fields(tmp_path: Path) -> None:
    image(tmp_path / "x/a.jpg")
    files(tmp_path / "x", {"labels.csv": "filepath,scene.label,weather.label\na.jpg,day,rain\n,day,rain\n"})
    _, rows, found = read(FIFTYONE, tmp_path / "x")
    assert [(row["label"], row["attributes"]) for row in rows] == [
        ("day", {"field": "scene"}),
        ("rain", {"field": "weather"}),
    ]
    assert "no filepath ('x/labels.csv' line 3)" in found.notes[0]
    with pytest.raises(InvalidSource, match="no table with the columns filepath"):
        read(FIFTYONE, files(tmp_path / "y", {"a.csv": "filepath,label\n"}))
