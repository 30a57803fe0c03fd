"""``metadata.csv`` and ``metadata.parquet``, in folders and in zips; the names of classes; the class of an image."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from tests.formats.label_files import files, image, packed
from tests.formats.metadata_cases import contents, folder, opened, refused

import annobridge as ab
from annobridge.formats.base import Context
from annobridge.formats.folder import FolderFormat
from annobridge.formats.metadata.options import Reading

OBJECTS = {"bbox": [[1, 2, 3, 4], [10, 20, 5, 6]], "categories": ["car", "bus"]}
CSV = 'file_name,label,text,count,part,flag,code\na.jpg,day,"two, and\na ""line""",3,0.5,true,007\nb.jpg,,plain,4,1,False,12\n'


def rows(root: Path, **options: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return contents(opened(root, **options))


def test_csv(tmp_path: Path) -> None:
    root = folder(tmp_path / "in", ("a.jpg", "b.jpg"))
    files(root, {"metadata.csv": "\ufeff" + CSV})
    samples, labels = rows(root)
    assert [[s[k] for k in ("text", "count", "part", "flag", "code")] for s in samples] == [
        ['two, and\na "line"', 3, 0.5, True, "007"],
        ["plain", 4, 1.0, False, "12"],
    ]
    assert [(x["field"], x["kind"], x["label"], x["image"]) for x in labels] == [
        ("label", "classification", "day", "a.jpg")
    ]


def test_objects_in_a_cell(tmp_path: Path) -> None:
    root = folder(tmp_path / "in", ("a.jpg",))
    cell = json.dumps(OBJECTS).replace('"', '""')
    files(root, {"metadata.csv": f'file_name,objects\na.jpg,"{cell}"\n'})
    assert [x["label"] for x in rows(root)[1]] == ["car", "bus"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has no header"),
        ("file_name,a,a\na.jpg,1,2\n", "metadata.csv:1 has the column 'a' twice"),
        ("file_name,a\na.jpg,1,2\n", "metadata.csv:2 has 3 cells, and the header 2"),
        ('file_name,a\na.jpg,"x\n', "cannot be read as CSV"),
        ("file_name,a\nz.jpg,x\n", "metadata.csv:2 names the image 'z.jpg', which does not exist"),
        ("name,a\na.jpg,x\n", "metadata.csv:2 names no image"),
        (b"file_name\n\xff\xfe.jpg\n", "is not UTF-8"),
    ],
)
def test_a_bad_csv(tmp_path: Path, text: str | bytes, sentence: str) -> None:
    root = files(folder(tmp_path / "in", ("a.jpg",)), {"metadata.csv": text})
    assert sentence in refused(root)


def table(path: Path, rows: list[dict[str, Any]], features: dict[str, Any] | None = None) -> None:
    found = pa.Table.from_pylist(rows)
    if features:
        found = found.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    parquet.write_table(found, path)


def test_parquet_of_splits_in_a_zip(tmp_path: Path) -> None:
    for split, name in (("train", "a.jpg"), ("val", "cam 1/é.jpg")):
        image(tmp_path / "in/data" / split / name, 64, 48)
        objects = {**OBJECTS, "score": [0.5, 0.75]}
        table(tmp_path / f"in/data/{split}/metadata.parquet", [{"file_name": name, "label": "day", "objects": objects}])
    source = packed(tmp_path / "in", tmp_path / "in.zip")
    report = ab.import_dataset(source, tmp_path / "ds", progress=False)
    assert (report.format, report.samples, report.labels) == ("folder", 2, {"label": 2, "objects": 4})
    samples = report.dataset.samples().to_pylist()
    assert {Path(s["filepath"]).relative_to(tmp_path / "ds-media/in/data").as_posix() for s in samples} == {
        "train/a.jpg",
        "val/cam 1/é.jpg",
    }
    assert {s["split"] for s in samples} == {"train", "val"}
    assert {x["confidence"] for x in report.dataset.labels("objects").to_pylist()} == {0.5, 0.75}
    assert not list((tmp_path / "ds-media").rglob("metadata.*"))


def test_lines_in_a_zip_and_no_place_for_its_images(tmp_path: Path) -> None:
    root = folder(tmp_path / "in", ("a.jpg",), [{"file_name": "a.jpg", "objects": OBJECTS}])
    source = packed(root, tmp_path / "in.zip")
    found = FolderFormat().open(source, Reading(), Context(media_folder=tmp_path / "media"))
    assert [x["label"] for x in contents(found)[1]] == ["car", "bus"]
    assert refused(source).startswith(f"The images of {str(source)!r} are inside the archive; give media_dir=")


def test_a_zip_that_is_refused_leaves_nothing(tmp_path: Path) -> None:
    root = folder(tmp_path / "in", ("a.jpg",), [{"file_name": "b.jpg"}])
    source = packed(root, tmp_path / "in.zip")
    with pytest.raises(ab.InvalidSource, match=r"metadata.jsonl:1 names the image 'b.jpg'"):
        ab.import_dataset(source, tmp_path / "ds", progress=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "in.zip"]
    with zipfile.ZipFile(source, "a") as archive:
        archive.writestr("../x.jpg", "")
    with pytest.raises(ab.InvalidSource, match="leads out of the archive"):
        ab.import_dataset(source, tmp_path / "ds", progress=False, format="folder")


def test_other_images_in_the_folder_of_unpacked_ones_are_not_read(tmp_path: Path) -> None:
    image(tmp_path / "ds-media/in/old.jpg")
    source = packed(folder(tmp_path / "in", ("a.jpg",)), tmp_path / "in.zip")
    assert ab.import_dataset(source, tmp_path / "ds", progress=False).samples == 1


NAMES = ["zero", "car", "bus"]
NUMBERS = [{"file_name": "a.jpg", "label": 2, "objects": {"bbox": [[1, 2, 3, 4]], "category": [1]}}]
FEATURES = {
    "label": {"names": NAMES, "_type": "ClassLabel"},
    "objects": {"feature": {"category": {"names": NAMES, "_type": "ClassLabel"}}, "_type": "Sequence"},
}
README = """---
dataset_info:
  features:
  - name: label
    dtype: {class_label: {names: {'0': zero, '2': bus, '1': car}}}
  - name: objects
    sequence:
    - name: category
      dtype:
        class_label:
          names: {'0': zero, '1': car}
---
# text
"""


@pytest.mark.parametrize("where", ["parquet", "dataset_info.json", "dataset_infos.json", "README.md"])
def test_names_of_classes(tmp_path: Path, where: str) -> None:
    root = folder(tmp_path / "in", ("a.jpg",))
    table(root / "metadata.parquet", NUMBERS, FEATURES if where == "parquet" else None)
    texts = {
        "dataset_info.json": json.dumps({"features": FEATURES}),
        "dataset_infos.json": json.dumps({"default": {"features": FEATURES}}),
        "README.md": README,
    }
    if where in texts:
        files(root, {where: texts[where]})
    source = opened(root)
    assert {(x["field"], x["label"]) for x in contents(source)[1]} == {("label", "bus"), ("objects", "car")}
    assert not source.notes


def test_numbers_without_names_are_texts_and_said(tmp_path: Path) -> None:
    root = folder(tmp_path / "in", ("a.jpg",))
    table(root / "metadata.parquet", NUMBERS)
    source = opened(root)
    assert {x["label"] for x in contents(source)[1]} == {"1", "2"}
    assert len([note for note in source.notes if "numbers without names" in note]) == 2
    with pytest.raises(ab.InvalidSource, match="numbers without names"):
        ab.import_dataset(root, tmp_path / "ds", strict=True, progress=False)


def test_a_broken_parquet(tmp_path: Path) -> None:
    root = files(folder(tmp_path / "in", ("a.jpg",)), {"metadata.parquet": b"PAR1 and no more"})
    assert "metadata.parquet cannot be read as Parquet" in refused(root)
    table(root / "metadata.parquet", NUMBERS)
    files(root, {"metadata.csv": CSV})
    assert "There are metadata.csv and metadata.parquet in" in refused(root)


def test_the_class_of_an_image_is_written_again(tmp_path: Path) -> None:
    lines = [{"file_name": "a.jpg", "label": "day"}, {"file_name": "b.jpg", "label": None}]
    report = ab.import_dataset(folder(tmp_path / "in", ("a.jpg", "b.jpg"), lines), tmp_path / "ds", progress=False)
    ab.export_metadata(report.dataset, tmp_path / "out", "file_name", progress=False)
    written = [json.loads(line) for line in (tmp_path / "out/metadata.jsonl").read_text().splitlines()]
    assert {row["file_name"]: row["label"] for row in written} == {"a.jpg": "day", "b.jpg": None}


def test_a_class_among_other_values(tmp_path: Path) -> None:
    lines = [{"file_name": "a.jpg", "label": "day"}, {"file_name": "b.jpg", "label": ["x"]}]
    assert "has 'label' = ['x']" in refused(folder(tmp_path / "in", ("a.jpg", "b.jpg"), lines))
