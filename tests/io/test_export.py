"""``View.export``: folders and zips, fields, splits, media, and what is left after an error."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from tests.formats.label_files import image
from typer.testing import CliRunner

import annobridge as ab
from annobridge.cli import app


@pytest.fixture
def ds(tmp_path: Path) -> ab.Dataset:
    """Two images in two splits, each with a car and a polygon."""
    image(tmp_path / "images" / "train" / "a b.png")
    image(tmp_path / "images" / "val" / "é.png")
    ds = ab.import_dataset(tmp_path / "images", tmp_path / "data.lancedb").dataset
    for sample_id in ds.sample_ids():
        ds.add_labels(
            "boxes", [{"sample_id": sample_id, "kind": "box", "label": "car", "bounding_box": [0.1, 0.1, 0.5, 0.5]}]
        )
        ring = [[0.1, 0.1], [0.5, 0.1], [0.5, 0.5]]
        ds.add_labels("shapes", [{"sample_id": sample_id, "kind": "polyline", "label": "lane", "points": [ring]}])
    return ds


def test_a_zip_is_what_the_folder_is_and_two_exports_are_equal(ds: ab.Dataset, tmp_path: Path) -> None:
    report = ds.export(tmp_path / "one.zip", "coco", fields="boxes")
    assert (report.folder, report.samples, report.labels, report.notes) == (tmp_path / "one.zip", 2, 2, [])
    ds.export(tmp_path / "two.zip", "coco", fields="boxes")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    ds.export(tmp_path / "folder", "coco", fields="boxes")
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert files == {
        p.relative_to(tmp_path / "folder").as_posix(): p.read_bytes()
        for p in (tmp_path / "folder").rglob("*")
        if p.is_file()
    }
    again = ab.import_dataset(tmp_path / "one.zip", tmp_path / "again.lancedb")
    assert (again.format, again.samples, again.labels) == ("coco", 2, {"detections": 2})
    assert sorted(again.dataset.samples().to_arrow()["split"].to_pylist()) == ["train", "val"]


def test_a_view_exports_its_samples(ds: ab.Dataset, tmp_path: Path) -> None:
    report = ds.match("split = 'val'").export(
        tmp_path / "out", "yolo", fields=["boxes"], classes=["bus", "car"], save_media=False
    )
    assert (report.samples, report.labels) == (1, 1)
    assert (tmp_path / "out" / "labels" / "val" / "é.txt").read_text().split()[0] == "1"
    assert not list((tmp_path / "out").rglob("*.png"))


def test_losses_are_told_before_and_refused_if_asked(ds: ab.Dataset, tmp_path: Path) -> None:
    losses = [str(loss) for loss in ds.export_losses("coco")]
    assert losses == ["shapes: 2 polylines cannot be written, and are left out."]
    assert ds.export_losses("coco", fields="boxes") == []
    with pytest.raises(ab.Unsupported, match="2 polylines cannot be written"):
        ds.export(tmp_path / "out", "coco", strict=True)
    assert not (tmp_path / "out").exists()
    assert ds.export(tmp_path / "out", "coco").notes == losses


@pytest.mark.parametrize(
    ("format_name", "options", "error", "message"),
    [
        ("cocoo", {}, ab.InvalidOption, "There is no format 'cocoo'; did you mean 'coco'"),
        ("coco", {"fields": "boxs"}, ab.StoreError, "no label field 'boxs'; did you mean 'boxes'"),
        ("coco", {"save_medium": True}, ab.InvalidOption, "has no option 'save_medium'; did you mean 'save_media'"),
        ("segment-anything", {}, ab.InvalidOption, "is not possible; choose another format"),
    ],
)
def test_what_cannot_be_done_leaves_nothing(ds, tmp_path, format_name, options, error, message):  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=message):
        ds.export(tmp_path / "new" / "out", format_name, **options)
    assert not (tmp_path / "new" / "out").exists()


def test_a_file_that_is_gone_leaves_nothing(ds: ab.Dataset, tmp_path: Path) -> None:
    next((tmp_path / "images").rglob("a b.png")).unlink()
    for name in ("out", "out.zip"):
        with pytest.raises(ab.InvalidMedia, match="does not exist; leave it out of the view"):
            ds.export(tmp_path / name, "coco")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data.lancedb", "images"]


def test_what_is_there_is_not_written_over(ds: ab.Dataset, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("keep")
    (tmp_path / "out.zip").write_text("keep")
    for name in ("out", "out.zip"):
        with pytest.raises(ab.StoreError, match="There is something at"):
            ds.export(tmp_path / name, "coco")
    assert (tmp_path / "out.zip").read_text() == (tmp_path / "out" / "mine").read_text() == "keep"


def test_links(ds: ab.Dataset, tmp_path: Path) -> None:
    ds.export(tmp_path / "out", "coco", fields="boxes", save_media="link")
    links = list((tmp_path / "out").rglob("*.png"))
    assert len(links) == 2
    assert all(p.is_symlink() and p.exists() for p in links)


def test_the_command(ds: ab.Dataset, tmp_path: Path) -> None:
    arguments = [
        "export",
        str(tmp_path / "out"),
        "--dataset",
        ds.uri,
        "-f",
        "coco",
        "--field",
        "boxes",
        "--classes",
        "bus,car",
    ]
    result = CliRunner().invoke(app, [*arguments, "--media", "none"])
    assert result.exit_code == 0
    assert "Wrote 2 samples, which have 2 labels, to" in result.output
    written = json.loads((tmp_path / "out" / "annotations" / "instances_val.json").read_text())
    assert [c["name"] for c in written["categories"]] == ["bus", "car"]
    assert not list((tmp_path / "out").rglob("*.png"))
