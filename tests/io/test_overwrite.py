"""An import that overwrites a dataset deletes what is in its folder, and so no source may be there."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import annobridge as ab


def images(folder: Path) -> Path:
    folder.mkdir(parents=True)
    Image.new("RGB", (4, 3)).save(folder / "0.png")
    return folder


@pytest.mark.parametrize("by_link", [False, True])
def test_a_source_inside_the_dataset_is_refused_and_stays(tmp_path: Path, by_link: bool) -> None:
    ds = ab.create_dataset(tmp_path / "ds")
    source = images(tmp_path / "ds/.images")
    if by_link:
        (tmp_path / "alias").symlink_to(tmp_path / "ds")
        source = tmp_path / "alias/.images"
    with pytest.raises(
        ab.StoreError, match=r"\.images' is inside the dataset .*, and overwriting would delete it; move"
    ):
        ab.import_dataset(source, ds.uri, mode="overwrite")
    assert (source / "0.png").exists()
    assert len(ab.load_dataset(ds.uri)) == 0


def test_a_source_beside_the_dataset_is_taken(tmp_path: Path) -> None:
    ds = ab.create_dataset(tmp_path / "ds")
    report = ab.import_dataset(images(tmp_path / "ds2"), ds.uri, mode="overwrite")
    assert (report.samples, report.dataset.check_media().ok) == (1, True)
