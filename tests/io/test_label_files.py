"""Label files become a dataset, or labels of one: from a folder or a zip, with images inside, beside, or in the dataset already."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import annobridge as ab

SIZE = (64, 48)
NAMES = ("a.jpg", "night/b.jpg")


def document(**changes: Any) -> dict[str, Any]:
    """A COCO file of two images with a box each."""
    images = [{"id": n, "file_name": name, "width": SIZE[0], "height": SIZE[1]} for n, name in enumerate(NAMES)]
    boxes = [
        {"id": 7, "image_id": 0, "category_id": 0, "bbox": [16, 12, 32, 24], "area": 768, "iscrowd": 0},
        {"id": 9, "image_id": 1, "category_id": 3, "bbox": [0, 0, 8, 8], "area": 64, "iscrowd": 0},
    ]
    return {
        "images": images,
        "annotations": boxes,
        "categories": [{"id": 0, "name": "car"}, {"id": 3, "name": "bus"}],
        **changes,
    }


def photos(folder: Path) -> Path:
    for name in NAMES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", SIZE, "tan").save(path)
    return folder


def archive(path: Path, given: dict[str, Any] | None = None, *, with_images: bool = True) -> Path:
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("annotations/instances_train.json", json.dumps(document() if given is None else given))
        if with_images:
            folder = photos(path.parent / "photos")
            for name in NAMES:
                target.write(folder / name, f"images/{name}")
    return path


def boxes(ds: ab.Dataset) -> list[tuple[str, list[float]]]:
    return sorted((row["label"], row["bounding_box"]) for row in ds.labels().to_pylist())


EXPECTED = [("bus", [0.0, 0.0, 0.125, 8 / 48]), ("car", [0.25, 0.25, 0.5, 0.5])]


def test_a_zip_with_images_becomes_a_dataset(tmp_path: Path) -> None:
    report = ab.import_dataset(archive(tmp_path / "export.zip"), tmp_path / "ds.lancedb")
    assert (report.format, report.samples, report.labels) == ("coco", 2, {"detections": 2})
    assert report.reason == "annotations/instances_train.json has images and annotations"
    assert boxes(report.dataset) == EXPECTED
    paths = [Path(row["filepath"]) for row in report.dataset.samples().to_pylist()]
    assert all(path.is_file() and path.is_relative_to(tmp_path / "ds-media") for path in paths)
    report.dataset.annotate("r", label_field="detections", backend="memory")  # the images can be sent


def test_labels_without_images_find_them_in_a_folder(tmp_path: Path) -> None:
    source = archive(tmp_path / "export.zip", with_images=False)
    folder = photos(tmp_path / "elsewhere")
    report = ab.import_dataset(source, tmp_path / "ds", image_dir=folder, field="objects")
    assert (report.samples, report.labels) == (2, {"objects": 2})
    assert "2 images were found in image_dir." in report.notes


def test_labels_without_images_are_added_to_a_dataset_that_has_them(tmp_path: Path) -> None:
    ab.import_dataset(photos(tmp_path / "photos"), tmp_path / "ds")
    source = archive(tmp_path / "export.zip", with_images=False)
    report = ab.import_dataset(source, tmp_path / "ds", mode="add", as_predictions=True)
    assert (report.samples, report.known, report.labels) == (0, 2, {"predictions": 2})
    assert boxes(report.dataset) == EXPECTED


def test_images_in_an_archive_that_a_dataset_has_already_are_not_added_again(tmp_path: Path) -> None:
    ab.import_dataset(photos(tmp_path / "photos"), tmp_path / "ds")
    report = ab.import_dataset(archive(tmp_path / "export.zip"), tmp_path / "ds", mode="add", field="objects")
    assert (report.samples, report.known, report.labels) == (0, 2, {"objects": 2})
    assert "2 images were found in the dataset, by name and content." in report.notes
    assert not (tmp_path / "ds-media").exists()
    assert boxes(report.dataset) == EXPECTED


def test_another_image_of_a_name_that_a_dataset_has_is_a_new_sample(tmp_path: Path) -> None:
    folder = photos(tmp_path / "mine")
    for path in folder.rglob("*.jpg"):
        path.write_bytes(path.read_bytes() + b"another")
    ab.import_dataset(folder, tmp_path / "ds")
    report = ab.import_dataset(archive(tmp_path / "export.zip"), tmp_path / "ds", mode="add")
    assert (report.samples, report.known) == (2, 0)


def test_images_that_are_nowhere_are_an_error_and_nothing_is_made(tmp_path: Path) -> None:
    source = archive(tmp_path / "export.zip", with_images=False)
    with pytest.raises(ab.InvalidSource, match=r"None of the 2 images .* give image_dir="):
        ab.import_dataset(source, tmp_path / "ds")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export.zip"]


def test_what_is_skipped_is_listed_with_its_place(tmp_path: Path) -> None:
    wrong = document()
    wrong["annotations"] += [
        {"id": 11, "image_id": 5, "category_id": 0, "bbox": [0, 0, 1, 1]},
        {"id": 12, "image_id": 0, "category_id": 8, "bbox": [0, 0, 1, 1]},
    ]
    report = ab.import_dataset(archive(tmp_path / "export.zip", wrong), tmp_path / "ds")
    assert boxes(report.dataset) == EXPECTED
    assert [("11" in row["place"], "12" in row["place"]) for row in report.skipped.to_pylist()] == [
        (True, False),
        (False, True),
    ]
    assert sum("left out" in note for note in report.notes) == 2
    with pytest.raises(ab.InvalidSource, match="strict=True"):
        ab.import_dataset(tmp_path / "export.zip", tmp_path / "strict", strict=True)
    assert not (tmp_path / "strict").exists()
    assert not (tmp_path / "strict-media").exists()


def test_an_export_reads_back_equal(tmp_path: Path) -> None:
    dataset = ab.import_dataset(archive(tmp_path / "export.zip"), tmp_path / "ds").dataset
    done = ab.export_dataset(dataset, tmp_path / "out", "coco")
    assert (done.samples, done.labels, done.notes) == (2, 2, [])
    again = ab.import_dataset(tmp_path / "out", tmp_path / "again")
    assert (again.format, boxes(again.dataset)) == ("coco", EXPECTED)


def test_a_truncated_zip_is_refused_by_name(tmp_path: Path) -> None:
    source = archive(tmp_path / "export.zip")
    source.write_bytes(source.read_bytes()[:-200])
    with pytest.raises(ab.AnnobridgeError, match=r"export\.zip"):
        ab.import_dataset(source, tmp_path / "ds", format="coco")
    assert not (tmp_path / "ds").exists()
