"""opsml's records, by the shape of its classes in both major versions; opsml itself is not installed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel
from tests.formats.metadata_cases import OPSML, OPSML_SIZE, contents, folder, image

import annobridge as ab
from annobridge.core.rows import Detection
from annobridge.exceptions import InvalidSource, Unsupported
from annobridge.formats import opsml
from annobridge.formats.metadata.options import Reading

CLASSES = Reading(classes=("mask", "glove", "coverall"))


class BBox(BaseModel):
    bbox: list[list[float]]
    categories: list[str | int | float]


class ImageRecord(BaseModel):
    file_name: str
    caption: str | None = None
    categories: list[str | int | float] | None = None
    objects: BBox | None = None


@dataclass
class Metadata:
    records: list[Any]


class FileRecord(BaseModel):
    filepath: Path
    size: int | None = None
    caption: str | None = None
    categories: list[str | int | float] | None = None
    objects: BBox | None = None


NAMES = ("0001.png", "0002.png", "0003.png")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return folder(tmp_path / "image_dir", (*NAMES, "unlisted.png"), size=OPSML_SIZE)


def told(source: Any) -> list[tuple[Any, ...]]:
    return [(x["image"], x["label"]) for x in contents(source)[1]]


FOUND = [("0001.png", "mask"), ("0002.png", "glove"), ("0003.png", "coverall"), ("0003.png", "coverall")]


def test_the_records_of_the_document(images: Path) -> None:
    records = [ImageRecord(**line) for line in OPSML]
    for given in (Metadata(records), records, OPSML):
        source = opsml.source_of(given, images, CLASSES)
        assert source.count == 3
        assert told(source) == FOUND
    samples, labels = contents(opsml.source_of(records, images, CLASSES))
    assert [s["caption"] for s in samples] == [None, OPSML[1]["caption"], None]
    assert labels[1]["bounding_box"] == [810 / 943, 100 / 663, 57 / 943, 28 / 663]


def test_records_of_2(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(images.parent)
    lines = [{"filepath": Path("image_dir") / line["file_name"], **line} for line in OPSML]
    assert told(opsml.source_of([FileRecord(**line) for line in lines], options=CLASSES)) == FOUND
    there = [FileRecord(filepath=images / "0001.png")]
    assert opsml.source_of(there).count == 1
    assert opsml.source_of([FileRecord(filepath="0001.png")], images).count == 1


@pytest.mark.parametrize(
    ("records", "place", "sentence"),
    [
        ([{"caption": "x"}], True, "record:1 has not one of file_name and filepath; give one of them."),
        ([{"file_name": "a.png", "filepath": "a.png"}], True, "record:1 has not one of file_name and filepath"),
        (
            [{"file_name": "0001.png"}],
            False,
            "The records name their images without a folder; say which with image_dir=….",
        ),
        (
            [{"file_name": "0001.png"}, {"file_name": "9.png"}],
            True,
            "record:2 names the image '9.png', which does not exist in",
        ),
        ([{"filepath": "/elsewhere/a.png"}], True, "record:1 names the image '/elsewhere/a.png', which is not in "),
        (
            [OPSML[0]],
            True,
            "record:1 has the class 0 in 'categories' of 'objects', a number; say what the numbers mean",
        ),
        (
            [{**OPSML[0], "objects": {"bbox": [[1, 2, 3, 4]], "categories": []}}],
            True,
            "record:1 has arrays of several lengths",
        ),
    ],
)
def test_records_that_do_not_fit(images: Path, records: Any, place: bool, sentence: str) -> None:
    with pytest.raises(InvalidSource) as caught:
        opsml.source_of(records, images if place else None)
    assert sentence in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidSource, match="There is no folder .* of images; correct image_dir"):
        opsml.source_of([{"file_name": "a.png"}], tmp_path / "nowhere")


def test_what_are_records() -> None:
    record = ImageRecord(file_name="a.png")
    assert opsml.is_records(record)
    assert opsml.is_records([record, record])
    assert opsml.is_records(Metadata([]))
    assert not opsml.is_records([])
    assert not opsml.is_records([Detection("x", [0, 0, 1, 1])])
    assert not opsml.is_records([{"file_name": "a.png"}])  # a dictionary is a row of columns to add_samples


@pytest.mark.parametrize("version", [1, 2])
def test_written_lines_are_read_by_opsml_and_by_us(images: Path, version: Any) -> None:
    target = images / "metadata.jsonl"
    source = opsml.source_of([ImageRecord(**line) for line in OPSML], images, CLASSES)
    notes = opsml.write_metadata(source.parts(), target, version)
    assert notes == ["opsml has no ids of samples and labels; an import makes them anew."]
    lines = [json.loads(line) for line in target.read_text().splitlines()]
    if version == 1:
        assert [set(line) for line in lines] == [{"file_name", "caption", "categories", "objects"}] * 3
        records = [ImageRecord(**line) for line in lines]
    else:
        assert all(line["size"] == (images / line["filepath"]).stat().st_size for line in lines)
        records = [FileRecord(**line) for line in lines]
    assert told(opsml.source_of(records, images)) == FOUND
    first = lines[0]["objects"]["bbox"][0]
    assert np.allclose(first, OPSML[0]["objects"]["bbox"][0], rtol=1e-15)
    assert sorted(p.name for p in images.iterdir()) == [*NAMES, "metadata.jsonl", "unlisted.png"]


def test_images_must_lie_below_the_file(tmp_path: Path, images: Path) -> None:
    source = opsml.source_of([{"file_name": "0001.png"}], images)
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(Unsupported, match=r"is not in .*elsewhere', where the file of opsml is to be"):
        opsml.write_metadata(source.parts(), tmp_path / "elsewhere/metadata.jsonl")
    assert not list((tmp_path / "elsewhere").iterdir())
    assert image(images / "0001.png").exists()


def test_a_dataset_takes_records_and_writes_them(images: Path, tmp_path: Path) -> None:
    records = Metadata([ImageRecord(**line) for line in OPSML])
    names = ["mask", "glove", "coverall"]
    ds = ab.create_dataset(tmp_path / "ds")
    with pytest.raises(ab.InvalidSource, match="say which with image_dir="):
        ds.add_samples(records)
    assert len(ds) == 0
    assert len(ds.add_samples(records, image_dir=images, classes=names)) == 3
    assert ds.count_labels("objects") == 4
    assert ab.write_metadata(ds, images / "metadata.jsonl", version=1)
    assert ab.import_dataset(images, tmp_path / "copy").labels == {"objects": 4}
    assert ds.add_labels("again", records, image_dir=images, classes=names) == 4
    empty = ab.create_dataset(tmp_path / "empty")
    with pytest.raises(ab.SampleNotFound, match=r"no sample of .*0001\.png.*add the samples before"):
        empty.add_labels("objects", records, image_dir=images, classes=names)
    assert empty.count_labels() == 0
