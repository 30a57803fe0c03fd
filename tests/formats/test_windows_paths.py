r"""Labels that were made on Windows: their paths have backslashes, and may begin with a drive that this machine does not have.

Every format finds the images of ``images\0.png``, and of ``C:\Users\me\photos\images\0.png`` by the end of the path.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import annobridge as ab
from annobridge.formats.names import in_folder

NAMES = ("0.png", "1.png")
BOX = [4, 2, 20, 10]
Write = Callable[[Path, list[str]], Any]


def metadata(folder: Path, paths: list[str]) -> None:
    lines = [{"file_name": path, "objects": {"bbox": [BOX], "categories": ["car"]}} for path in paths]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def coco(folder: Path, paths: list[str]) -> None:
    images = [{"id": n, "file_name": path, "width": 40, "height": 20} for n, path in enumerate(paths)]
    boxes = [{"id": n, "image_id": n, "category_id": 1, "bbox": BOX} for n in range(len(paths))]
    document = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "car"}]}
    (folder / "labels.json").write_text(json.dumps(document))


def csv_boxes(folder: Path, paths: list[str]) -> None:
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"])
        rows.writerows([path, 40, 20, "car", 4, 2, 24, 12] for path in paths)


def fiftyone(folder: Path, paths: list[str]) -> None:
    box = {"_cls": "Detection", "label": "car", "bounding_box": [0.1, 0.1, 0.5, 0.5]}
    samples = [{"filepath": path, "objects": {"_cls": "Detections", "detections": [box]}} for path in paths]
    (folder / "samples.json").write_text(json.dumps({"samples": samples}))
    field = {"name": "objects", "ftype": "fiftyone.core.fields.EmbeddedDocumentField",
             "embedded_doc_type": "fiftyone.core.labels.Detections"}  # fmt: skip
    about = {"name": "w", "media_type": "image", "sample_fields": [field]}
    (folder / "metadata.json").write_text(json.dumps(about))


def via(folder: Path, paths: list[str]) -> None:
    shape = {"name": "rect", "x": 4, "y": 2, "width": 20, "height": 10}
    regions = [{"shape_attributes": shape, "region_attributes": {"label": "car"}}]
    files = {f"{path}-1": {"filename": path, "size": -1, "regions": regions, "file_attributes": {}} for path in paths}
    (folder / "via.json").write_text(json.dumps(files))


def labelme(folder: Path, paths: list[str]) -> None:
    for name, path in zip(NAMES, paths, strict=True):
        shape = {"label": "car", "points": [[4, 2], [24, 12]], "shape_type": "rectangle"}
        document = {"imagePath": path, "imageHeight": 20, "imageWidth": 40, "shapes": [shape], "imageData": None}
        (folder / Path(name).with_suffix(".json")).write_text(json.dumps(document | {"version": "5.0", "flags": {}}))


def createml(folder: Path, paths: list[str]) -> None:
    box = {"label": "car", "coordinates": {"x": 14, "y": 7, "width": 20, "height": 10}}
    (folder / "labels.json").write_text(json.dumps([{"image": path, "annotations": [box]} for path in paths]))


def fiftyone_csv(folder: Path, paths: list[str]) -> None:
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["filepath", "objects.label"], *([path, "car"] for path in paths)])


FORMATS: dict[str, Write] = {
    "folder": metadata, "coco": coco, "csv-boxes": csv_boxes, "fiftyone": fiftyone, "via": via, "labelme": labelme,
    "createml": createml, "fiftyone-csv": fiftyone_csv,
}  # fmt: skip


def images(folder: Path) -> Path:
    (folder / "images").mkdir(parents=True)
    for n, name in enumerate(NAMES):
        Image.new("RGB", (40, 20), (n, 0, 0)).save(folder / "images" / name)
    return folder


@pytest.mark.parametrize(
    "prefix",
    ["images\\", ".\\images\\", "C:\\Users\\me\\photos\\images\\", "d:/photos/images/", "\\\\nas\\photos\\images\\"],
)
@pytest.mark.parametrize("name", FORMATS)
def test_images_are_found_by_paths_of_windows(tmp_path: Path, name: str, prefix: str) -> None:
    source = images(tmp_path / "in")
    FORMATS[name](source, [f"{prefix}{image}" for image in NAMES])
    report = ab.import_dataset(source, tmp_path / "ds", format=name)
    files = sorted(row["filepath"] for row in report.dataset.samples().to_pylist())
    assert files == [str(source / "images" / image) for image in NAMES]
    assert sum(report.labels.values()) == 2


@pytest.mark.parametrize(("name", "words"), [("folder", "looked for"), ("fiftyone", "Media are missing")])
def test_where_no_end_of_a_path_is_a_file_it_is_told_where_it_was_looked_for(
    tmp_path: Path, name: str, words: str
) -> None:
    source = images(tmp_path / "in")
    FORMATS[name](source, ["C:\\photos\\7.png", "C:\\photos\\8.png"])
    with pytest.raises(ab.InvalidSource) as found:
        ab.import_dataset(source, tmp_path / "ds", format=name)
    assert words in str(found.value)
    assert "7.png" in str(found.value)
    assert str(source) in str(found.value)
    assert not (tmp_path / "ds").exists()


@given(st.lists(st.sampled_from(["..", ".", "a", "b", "0.png", ""]), max_size=6))
def test_no_path_of_windows_leads_out_of_the_folder(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("in") / "a"
    (folder / "b").mkdir(parents=True)
    for place in (folder.parent, folder, folder / "b"):
        (place / "0.png").touch()
    found = in_folder(str(folder), "C:\\" + "\\".join(parts))
    assert found is None or Path(found).resolve().is_relative_to(folder)
