"""A dataset whose media are inside its folder is moved to another place, and everything goes on as before."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

import annobridge as ab
from annobridge import demo
from annobridge.ingest.importer import Importer


def source(folder: Path, count: int = 3) -> Path:
    """A zip with images and boxes, as a tool exports them."""
    (folder / "in").mkdir()
    ds = ab.create_dataset(folder / "first")
    for n in range(count):
        Image.new("RGB", (40, 20), (9 * n, 0, 0)).save(folder / f"in/{n}.png")
    ds.add_samples(
        [ab.Sample(folder / f"in/{n}.png", objects=[ab.Detection("car", [0.1, 0.1, 0.5, 0.5])]) for n in range(count)]
    )
    ds.export(folder / "in.zip", "coco")
    shutil.rmtree(folder / "in")
    return folder / "in.zip"


@pytest.mark.parametrize("mode", ["create", "add"])
def test_a_dataset_with_its_media_is_moved_annotated_and_loaded(tmp_path: Path, mode: str) -> None:
    place = tmp_path / "a" / "ds"
    place.parent.mkdir()
    if mode == "add":
        ab.create_dataset(place)
    ds = ab.import_dataset(source(tmp_path), place, mode=mode, media_dir=place / "media").dataset
    assert all(Path(row["filepath"]).is_relative_to(place / "media") for row in ds.samples().to_pylist())
    assert ds.check_media(content=True).ok
    assert [p.name for p in place.parent.iterdir()] == ["ds"]

    shutil.move(place.parent, tmp_path / "b")
    moved = ab.load_dataset(tmp_path / "b/ds")
    assert all(Path(row["filepath"]).is_relative_to(tmp_path / "b/ds") for row in moved.samples().to_pylist())
    assert moved.check_media(content=True).ok
    run = moved.annotate("k", label_schema={"detections": {"classes": ["car", "bus"]}}, backend="memory")
    demo.annotator(run).set_class(moved.labels().to_pylist()[0]["label_id"], "bus")
    assert moved.load_annotations("k").edited == 1
    assert len(moved.match_labels("detections", "label = 'bus'")) == 1
    moved.export(tmp_path / "out", "yolo")
    assert len(list((tmp_path / "out").rglob("*.png"))) == 3

    again = ab.import_dataset(tmp_path / "in.zip", moved.uri, mode="add", media_dir=tmp_path / "elsewhere")
    assert (again.samples, again.known) == (0, 3)


def test_a_copy_of_a_dataset_reads_its_own_media(tmp_path: Path) -> None:
    ds = ab.import_dataset(source(tmp_path), tmp_path / "ds", media_dir=tmp_path / "ds/media").dataset
    shutil.copytree(ds.uri, tmp_path / "copy")
    (tmp_path / "ds/media").rename(tmp_path / "gone")
    assert ds.check_media().counts == {"missing": 3}
    assert ab.load_dataset(tmp_path / "copy").check_media(content=True).ok


def test_an_import_that_fails_leaves_no_media(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = source(tmp_path)
    before = sorted(tmp_path.iterdir())

    def fail(_: Importer) -> None:
        raise ab.StoreError("no more")

    monkeypatch.setattr(Importer, "commit", fail)
    with pytest.raises(ab.StoreError, match="no more"):
        ab.import_dataset(archive, tmp_path / "ds", media_dir=tmp_path / "ds/media")
    assert sorted(tmp_path.iterdir()) == before
