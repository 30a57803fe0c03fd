"""An import into a dataset that has some of the samples: what is not taken, and what may be there twice, is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import annobridge as ab


def photos(folder: Path, *lines: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    rows = [{"file_name": f"{n}.png", **line} for n, line in enumerate(lines)]
    for row in rows:
        Image.new("RGB", (40, 20)).save(folder / row["file_name"])
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def forget_content(ds: ab.Dataset) -> None:
    """Make a dataset one of an earlier version, which did not record the content of files."""
    shutil.rmtree(Path(ds.uri) / "annotation_files.lance")


def test_other_values_and_new_columns_are_told_with_counts(tmp_path: Path) -> None:
    first = photos(tmp_path / "in", {"place": "Lyon", "n": 1}, {"place": "Lyon", "n": 2}, {"place": "Brest"})
    ds = ab.import_dataset(first, tmp_path / "ds").dataset
    before = ds.samples().to_pylist()
    photos(first, {"place": "Nantes", "n": 1}, {"place": "Lyon", "n": 3, "rain": True}, {"place": "Brest"})
    report = ab.import_dataset(first, tmp_path / "ds", mode="add")
    (note,) = report.notes
    assert note.startswith(
        "2 samples that the dataset has already keep their values, and the source has others: 'n' (1), "
    )
    assert (
        "'place' (1), 'rain' (1, a new column). To take them, import the source into a new dataset, or with mode="
        in note
    )
    assert report.dataset.samples().to_pylist() == before


def test_the_same_again_has_nothing_to_tell(tmp_path: Path) -> None:
    source = photos(tmp_path / "in", {"place": "Lyon", "tags": ["a"], "sizes": [1, 2]}, {"place": None})
    ab.import_dataset(source, tmp_path / "ds", tags=["new"])
    report = ab.import_dataset(source, tmp_path / "ds", mode="add")
    assert [note for note in report.notes if "'tags'" not in note] == []


@pytest.mark.parametrize("way", ["moved", "link"])
def test_files_that_may_be_there_twice_are_told(tmp_path: Path, way: str) -> None:
    ds = ab.import_dataset(photos(tmp_path / "old", {}, {}), tmp_path / "ds").dataset
    forget_content(ds)
    (tmp_path / "new").symlink_to(tmp_path / "old") if way == "link" else (tmp_path / "old").rename(tmp_path / "new")
    (note,) = ab.import_dataset(tmp_path / "new", tmp_path / "ds", mode="add").notes
    if way == "link":  # the files are there to be compared
        assert note.startswith("2 files are in the dataset already, at other paths")
        return
    assert note.startswith(
        "2 of the new samples have the file name and the size of samples that the dataset has at another"
    )
    assert f"{str(tmp_path / 'new/0.png')!r} and {str(tmp_path / 'old/0.png')!r}" in note
    assert "delete_samples" in note


def test_other_images_of_the_same_names_are_not_taken_for_them(tmp_path: Path) -> None:
    ab.import_dataset(photos(tmp_path / "old", {}), tmp_path / "ds")
    Image.new("RGB", (41, 20)).save(photos(tmp_path / "new", {}) / "0.png")
    assert ab.import_dataset(tmp_path / "new", tmp_path / "ds", mode="add").notes == []
