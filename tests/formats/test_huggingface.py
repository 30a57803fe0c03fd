"""Hugging Face's tables: Parquet and saved datasets with images inside; written as tables and as folders of images."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet
from tests.formats.label_files import files, opened, packed, read

import annobridge as ab
from annobridge.core.geometry import decode_rle
from annobridge.core.rows import Classification, Cuboid, Detection, Polyline, Sample, Skeleton
from annobridge.exceptions import InvalidSource
from annobridge.formats.huggingface import HuggingFaceFormat

HF = HuggingFaceFormat()
NAMES = ["péniche à moteur", "bouée"]
LABEL = {"names": NAMES, "_type": "ClassLabel"}
FEATURES = {
    "image": {"_type": "Image"},
    "scene": {"names": ["day", "dusk"], "_type": "ClassLabel"},
    "objects": [{"category": LABEL}],
}


def png(width: int = 100, height: int = 50, colour: int = 0, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (colour, 0, 0)).save(buffer, form)
    return buffer.getvalue()


def mask(values: Any, mode: str = "L") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(values, np.uint8), mode).save(buffer, "PNG")
    return buffer.getvalue()


def picture(path: str | None, data: bytes | None = None) -> dict[str, Any]:
    return {"bytes": png() if data is None else data, "path": path}


def table(path: Path, rows: list[dict[str, Any]], features: dict[str, Any] | None = None, groups: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    found = pa.Table.from_pylist(rows)
    if features is not None:
        found = found.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    if path.suffix == ".parquet":
        parquet.write_table(found, path, row_group_size=groups)
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, found.schema) as stream:
            stream.write_table(found, groups)
    return path


OBJECTS = [
    {"id": 7, "bbox": [10.0, 5.0, 20.0, 10.0], "category": 0, "score": 0.5, "iscrowd": 0},
    {"id": 8, "bbox": [50.0, 25.0, 50.0, 25.0], "category": 1, "score": None, "iscrowd": 1},
]
ROWS = [
    {"image": picture("cam 1/é.png"), "scene": 1, "objects": OBJECTS, "caption": "two"},
    {"image": picture("b.png", png(colour=9)), "scene": -1, "objects": [], "caption": None},
]


def boxes(rows: list[dict[str, Any]]) -> list[list[float]]:
    return [np.round(row["bounding_box"], 9).tolist() for row in rows if row["kind"] == "box"]


def as_lists(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "objects": {key: [o[key] for o in row["objects"]] for key in OBJECTS[0]}} for row in rows]


@pytest.mark.parametrize("form", ["list of structs", "struct of lists"])
@pytest.mark.parametrize("packing", ["folder", "zip", "file"])
def test_objects(tmp_path: Path, form: str, packing: str) -> None:
    rows = ROWS if form == "list of structs" else as_lists(ROWS)
    path = table(tmp_path / "x/data/val-00000-of-00001.parquet", rows, FEATURES, groups=1)
    source = {"folder": tmp_path / "x", "zip": tmp_path / "x.zip", "file": path}[packing]
    if packing == "zip":
        packed(tmp_path / "x", source)
    assert HF.recognises(source)
    samples, labels, found = read(HF, source, media_dir=tmp_path / "media")
    assert [Path(s["filepath"]).relative_to(tmp_path / "media").as_posix() for s in samples] == [
        "val/cam 1/é.png",
        "val/b.png",
    ]
    assert [(s["split"], s["caption"], s["width"], s["height"]) for s in samples] == [
        ("val", "two", 100, 50),
        ("val", None, 100, 50),
    ]
    one, two, scene = sorted(labels, key=lambda row: row["kind"])
    assert {row["label"] for row in (one, two)} == set(NAMES)
    assert (scene["kind"], scene["label"], scene["image"]) == ("classification", "dusk", "é.png")
    by_name = {row["label"]: row for row in labels}
    first, second = by_name[NAMES[0]], by_name[NAMES[1]]
    assert first["bounding_box"] == pytest.approx([0.1, 0.1, 0.2, 0.2])
    assert first["confidence"] == 0.5
    assert first["attributes"] == {"id": 7, "iscrowd": False}
    assert second["attributes"] == {"id": 8, "iscrowd": True}
    assert "confidence" not in second
    assert not found.notes


def test_a_saved_dataset(tmp_path: Path) -> None:
    root = tmp_path / "x"
    for split in ("train", "my part"):
        table(root / split / "data-00000-of-00001.arrow", ROWS)
        files(root / split, {"dataset_info.json": json.dumps({"features": FEATURES}),
                             "state.json": json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]})})  # fmt: skip
    files(root, {"dataset_dict.json": json.dumps({"splits": ["train", "my part"]})})
    table(root / "train/cache-1.arrow", ROWS)
    report = ab.import_dataset(packed(root, tmp_path / "x.zip"), tmp_path / "ds", progress=False)
    assert (report.format, report.samples, report.labels) == ("huggingface", 4, {"classifications": 2, "detections": 4})
    assert {s["split"] for s in report.dataset.samples().to_pylist()} == {"train", "my part"}
    assert {x["label"] for x in report.dataset.labels("detections").to_pylist()} == set(NAMES)


def test_a_folder_is_imported_with_its_images_beside_the_dataset(tmp_path: Path) -> None:
    table(tmp_path / "x/train-00000-of-00001.parquet", ROWS, FEATURES)
    report = ab.import_dataset(tmp_path / "x", tmp_path / "ds", progress=False)
    assert sorted(p.name for p in (tmp_path / "ds-media/x/train").rglob("*.png")) == ["b.png", "é.png"]
    again = ab.import_dataset(tmp_path / "x", tmp_path / "ds", mode="add", progress=False)
    assert (report.samples, again.samples, again.known) == (2, 0, 2)


def test_masks(tmp_path: Path) -> None:
    values = np.zeros((50, 100), int)
    values[:10, :10], values[20:30, 20:40] = 1, 2
    rows = [{"image": picture("a.png"), "annotation": picture("a.png", mask(values)), "other": picture("o.png")}]
    _, labels, found = read(HF, table(tmp_path / "a.parquet", rows), media_dir=tmp_path / "m")
    assert {row["label"]: int(decode_rle(row["mask"]).sum()) for row in labels} == {"1": 100, "2": 200}
    assert any("'other'" in note for note in found.notes)
    _, named, _ = read(HF, tmp_path / "a.parquet", media_dir=tmp_path / "m", classes=["none", "ship", "quay"])
    assert {row["label"] for row in named} == {"ship", "quay"}


@pytest.mark.parametrize("data", [b"junk", mask([[1, 2]]), b""])
def test_bad_masks_are_left_out(tmp_path: Path, data: bytes) -> None:
    rows = [{"image": picture("a.png"), "mask": picture("a.png", data)}]
    _, labels, found = read(HF, table(tmp_path / "a.parquet", rows), media_dir=tmp_path / "m")
    assert not labels
    assert "row 0" in found.notes[0]


@pytest.mark.parametrize(
    ("bbox", "options", "said"),
    [
        ([0.25, 0.5, 0.5, 0.5], {}, "relative to the image"),
        ([25, 25, 50, 25], {}, None),
        ([25, 25, 75, 50], {}, "[x1, y1, x2, y2], in pixels"),
        ([0.25, 0.5, 0.75, 1.0], {}, "[x1, y1, x2, y2], relative"),
        ([25, 25, 75, 50], {"box_format": "xyxy"}, None),
        ([0.25, 0.5, 0.5, 0.5], {"coordinates": "normalized", "box_format": "xywh"}, None),
        ({"xmin": 25, "ymin": 25, "xmax": 75, "ymax": 50}, {}, None),
        ({"x": 25, "y": 25, "w": 50, "h": 25}, {}, None),
    ],
)
def test_the_form_of_boxes(tmp_path: Path, bbox: Any, options: dict[str, Any], said: str | None) -> None:
    rows = [{"image": picture("a.png"), "objects": [{"bbox": bbox, "label": "x"}]}]
    _, labels, found = read(HF, table(tmp_path / "a.parquet", rows), media_dir=tmp_path / "m", **options)
    assert boxes(labels) == [[0.25, 0.5, 0.5, 0.5]]
    sentences = [s for s in found.assumptions if "Boxes were read" in s]
    assert [said in s for s in sentences] == ([True] if said else [])


@pytest.mark.parametrize(
    ("objects", "reason"),
    [
        ([{"bbox": [1.0, 2, 3], "category": 0}], "its box is not four numbers"),
        ([{"bbox": None, "category": 0}, {"bbox": [1.0, 2, 3, 4], "category": 1}], "its box is not four numbers"),
        ([{"bbox": [1.0, math.nan, 3, 4], "category": 0}], "a number of its box is not finite"),
        ([{"bbox": [1.0, math.inf, 3, 4], "category": 0}], "a number of its box is not finite"),
        ([{"bbox": [1.0, 2, 3, 4], "category": 2}], "a number that stands for none"),
        ([{"bbox": [1.0, 2, 3, 4], "category": -1}], "a number that stands for none"),
        ([{"bbox": [1.0, 2, 3, 4], "category": None}], "it has no class"),
        ([{"bbox": [400.0, 2, 3, 4], "category": 0}], "it is outside its image"),
        ([{"bbox": [4.0, 2, -3, 4], "category": 0}], "no area"),
    ],
)
def test_bad_objects_are_left_out(tmp_path: Path, objects: Any, reason: str) -> None:
    rows = [*ROWS[:1], {"image": picture("z.png", png(colour=3)), "scene": 0, "objects": objects, "caption": ""}]
    _, labels, found = read(HF, table(tmp_path / "a.parquet", rows, FEATURES), media_dir=tmp_path / "m")
    assert len(boxes(labels)) == 1 + len(objects)
    assert reason in found.notes[0]
    assert "'a.parquet' row 1" in found.notes[0]


def test_lists_that_differ_in_length(tmp_path: Path) -> None:
    good = {"image": picture("a.png"), "objects": {"bbox": [[1.0, 2, 30, 4]], "category": ["x"], "note": []}}
    bad = {"image": picture("b.png"), "objects": {"bbox": [[1.0, 2, 30, 4]], "category": ["x", "y"], "note": []}}
    _, labels, found = read(HF, table(tmp_path / "a.parquet", [bad, good]), media_dir=tmp_path / "m")
    assert len(labels) == 1
    assert "row 0" in found.notes[0]
    assert "differ in length" in found.notes[0]


def test_lists_beside_each_other_and_polygons(tmp_path: Path) -> None:
    rows = [
        {
            "image": picture("a.png"),
            "bboxes": [[0.0, 0, 10, 10]],
            "labels": ["x"],
            "segmentation": [[[0.0, 0, 50, 0, 50, 25]]],
        }
    ]
    _, (row,), _ = read(HF, table(tmp_path / "a.parquet", rows), media_dir=tmp_path / "m")
    assert (row["kind"], row["label"]) == ("polygon", "x")
    assert row["points"] == [[[0, 0], [0.5, 0], [0.5, 0.5]]]


def test_names_of_images(tmp_path: Path) -> None:
    """Paths that lead elsewhere, no paths, and two images of one name."""
    paths = ["/data/secret/a.png", "../../a.png", None, "x", ".hidden.png", "C:\\photos\\b.png"]
    rows = [{"image": picture(path, png(colour=n, form="JPEG" if n > 1 else "PNG"))} for n, path in enumerate(paths)]
    samples, _, _ = read(HF, table(tmp_path / "a.parquet", rows), media_dir=tmp_path / "m")
    names = [Path(s["filepath"]).relative_to(tmp_path / "m").as_posix() for s in samples]
    assert names == [
        "images/a.png",
        "images/a_2.png",
        "images/00000002.jpg",
        "images/x.jpg",
        "images/00000004.jpg",
        "images/b.png",
    ]
    assert len(list((tmp_path / "m").rglob("*.*"))) == len(rows)


def test_images_that_are_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/a.png").write_bytes(png())
    rows = [{"image": {"bytes": None, "path": "somewhere/a.png"}, "objects": OBJECTS}]
    schema = pa.schema([("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))])
    found = pa.Table.from_pylist(rows)
    found = found.set_column(0, "image", pa.array([rows[0]["image"]], schema.field("image").type))
    parquet.write_table(found, tmp_path / "a.parquet")
    _, labels, _ = read(HF, tmp_path / "a.parquet", image_dir=tmp_path / "pictures")
    assert len(labels) == 2


def test_limits_and_a_place_for_the_images(tmp_path: Path) -> None:
    source = table(tmp_path / "a.parquet", ROWS)
    with pytest.raises(InvalidSource, match="are inside its files; give media_dir="):
        opened(HF, source)
    with pytest.raises(InvalidSource, match="holds more images than max_files=1"):
        opened(HF, source, media_dir=tmp_path / "m", max_files=1)
    with pytest.raises(InvalidSource, match="holds more images than max_bytes="):
        opened(HF, source, media_dir=tmp_path / "m", max_bytes=200)


@pytest.mark.parametrize("name", ["a.parquet", "train/data-00000-of-00001.arrow"])
@pytest.mark.parametrize("damage", ["cut", "junk", "middle"])
def test_a_damaged_table(tmp_path: Path, name: str, damage: str) -> None:
    path = table(tmp_path / "x" / name, ROWS, FEATURES)
    data = path.read_bytes()
    half = len(data) // 2
    path.write_bytes(
        {"cut": data[:half], "junk": b"PAR1" + b"\0" * 99, "middle": data[:8] + b"\xff" * 40 + data[48:]}[damage]
    )
    with pytest.raises(InvalidSource, match="cannot be read as a table|There is no table"):
        opened(HF, tmp_path / "x", media_dir=tmp_path / "m")


def test_a_saved_dataset_without_its_files(tmp_path: Path) -> None:
    table(tmp_path / "x/data.arrow", ROWS)
    files(tmp_path / "x", {"state.json": '{"_data_files": [{"filename": "../data.arrow"}]}'})
    with pytest.raises(InvalidSource, match="which is not there"):
        opened(HF, tmp_path / "x")
    files(tmp_path / "x", {"state.json": "{}"})
    with pytest.raises(InvalidSource, match="does not list the files"):
        opened(HF, tmp_path / "x")


def test_tables_of_others_are_not_recognised(tmp_path: Path) -> None:
    assert not HF.recognises(table(tmp_path / "a/a.parquet", [{"x": 1}]).parent)
    assert not HF.recognises(table(tmp_path / "b/metadata.parquet", ROWS).parent)


def dataset(folder: Path) -> ab.Dataset:
    samples = []
    inside = np.zeros((50, 100), bool)
    inside[10:20, 10:30] = True
    square = [[0.1, 0.2], [0.5, 0.2], [0.5, 0.6]]
    corners = [[0.1, 0.2], [0.1, 0.6], [0.4, 0.2], [0.4, 0.6], [0.5, 0.1], [0.5, 0.5], [0.2, 0.1], [0.2, 0.5]]
    for n in range(3):
        path = folder / f"img/{'abc'[n]}.v1.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(colour=n))
        labels: dict[str, Any] = {
            "boxes": [
                Detection("car", [0.1, 0.2, 0.3, 0.4], confidence=0.25, seen=True, n=3, part=0.5, text="é"),
                Detection("bus è", [0.2, 0.3, 0.3, 0.4], rotation=30.0, index=4),
            ],
            "polygons": [Polyline("car", [square, [[0.3, 0.3], [0.4, 0.3], [0.4, 0.35]]], filled=True)],
            "lines": [Polyline("road", [[[0.1, 0.1], [0.5, 0.6]]])],
            "masks": [Detection("bus è", mask=inside)],
            "people": [Skeleton("person", [[0.1, 0.2], [math.nan] * 2, [0.5, 0.4]], [2, 0, 1])],
            "cuboids": [Cuboid("car", corners)],
            "scene": Classification("day"),
        }
        samples.append(
            Sample(str(path), split=("train", "my val", "train")[n], caption=f"text {n}", **(labels if n < 2 else {}))
        )
    ds = ab.create_dataset(folder / "ds")
    ds.add_samples(samples)
    return ds


def test_tables_are_written(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    report = ab.export_dataset(ds, tmp_path / "out", "huggingface", progress=False, classes=["person"])
    assert sorted(p.name for p in (tmp_path / "out/data").iterdir()) == [
        "my_val-00000-of-00001.parquet",
        "train-00000-of-00001.parquet",
    ]
    assert "masks: 2 instances will be written as polygons along the edges of their pixels." in report.notes
    schema = parquet.read_schema(tmp_path / "out/data/train-00000-of-00001.parquet")
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"}
    assert features["label"] == {"names": ["person", "bus è", "car", "day", "road"], "_type": "ClassLabel"}
    again = ab.import_dataset(tmp_path / "out", tmp_path / "again", progress=False)
    assert (again.samples, again.labels) == (3, {"classifications": 2, "detections": 8, "polygons": 6})
    assert sorted((s["split"], s["caption"]) for s in again.dataset.samples().to_pylist()) == [
        ("my_val", "text 1"),
        ("train", "text 0"),
        ("train", "text 2"),
    ]
    rows = again.dataset.labels("detections").to_pylist()
    car = next(row for row in rows if row["label"] == "car")
    assert car["bounding_box"] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert car["confidence"] == 0.25
    assert {a["name"]: (a["type"], a["value"]) for a in car["attributes"]} == {
        "seen": ("bool", "true"), "n": ("int", "3"), "part": ("float", "0.5"), "text": ("str", json.dumps("é")),
    }  # fmt: skip
    bus = next(row for row in rows if row["label"] == "bus è")
    assert (bus["rotation"], bus["index"]) == (30.0, 4)
    polygons = again.dataset.labels("polygons").to_pylist()
    assert max(len(row["points"]) for row in polygons) == 2


def test_shards_have_a_size(tmp_path: Path) -> None:
    ds = dataset(tmp_path)
    ab.export_dataset(ds, tmp_path / "out", "huggingface", progress=False, shard_bytes=1, save_media=False)
    assert len(list((tmp_path / "out/data").iterdir())) == 2
    assert parquet.read_table(tmp_path / "out/data")["image"].to_pylist()[0]["bytes"] is None


@pytest.mark.parametrize("metadata", ["parquet", "jsonl"])
def test_folders_of_images_are_written(tmp_path: Path, metadata: str) -> None:
    ds = dataset(tmp_path)
    report = ab.export_dataset(
        ds, tmp_path / "out", "huggingface", progress=False, layout="imagefolder", metadata=metadata
    )
    assert "boxes: 2 rotations are lost." in report.notes
    assert (tmp_path / f"out/train/metadata.{metadata}").exists()
    again = ab.import_dataset(tmp_path / "out", tmp_path / "again", progress=False)
    assert (again.format, again.samples, again.labels) == ("folder", 3, {"label": 2, "objects": 14})
    car = next(r for r in again.dataset.labels("objects").to_pylist() if r["label"] == "car" and r["confidence"])
    assert car["bounding_box"] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert {a["name"]: json.loads(a["value"]) for a in car["attributes"]} == {
        "seen": True,
        "n": 3,
        "part": 0.5,
        "text": "é",
    }


def test_lines_have_no_lists_that_begin_with_null(tmp_path: Path) -> None:
    """As pyarrow's reader of JSON, which ``datasets`` uses, moves the values of such a list."""
    ab.export_dataset(
        dataset(tmp_path), tmp_path / "out", "huggingface", progress=False, layout="imagefolder", metadata="jsonl"
    )
    assert "null" not in (tmp_path / "out/train/metadata.jsonl").read_text().replace('"label": null', "")


def test_strict(tmp_path: Path) -> None:
    with pytest.raises(ab.Unsupported, match="cannot hold all of this"):
        ab.export_dataset(dataset(tmp_path), tmp_path / "out", "huggingface", progress=False, strict=True)
