"""What an export would lose is counted before anything is written, in Python and on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

import annobridge as ab
from annobridge.cli import app

TRIANGLE = [(0.1, 0.1), (0.5, 0.1), (0.5, 0.9)]


@pytest.fixture
def ds(tmp_path: Path) -> ab.Dataset:
    """Two images, one with a turned box with an attribute, two polylines and a mask."""
    made = ab.create_dataset(tmp_path / "street")
    for name in ("a.png", "b.png"):
        Image.new("RGB", (64, 48)).save(tmp_path / name)
    boxes = [ab.Detection("car", [0.4, 0.4, 0.2, 0.2], rotation=30.0, colour="red", confidence=0.5)]
    lines = [ab.Polyline("lane", [TRIANGLE], closed=False, filled=False)] * 2
    made.add_samples(
        [ab.Sample(tmp_path / "a.png", sample_id="s0", objects=boxes, lanes=lines), ab.Sample(tmp_path / "b.png")]
    )
    return made


EXPECTED = [
    ("lanes", "polylines will be written as the boxes around them", 2),
    ("objects", "confidences are lost", 1),
    ("objects", "values of the attribute 'colour' are lost", 1),
]


def test_losses_are_counted_by_field(ds: ab.Dataset, tmp_path: Path) -> None:
    found = ds.export_losses("yolo")
    assert sorted((loss.field, loss.what, loss.count) for loss in found) == EXPECTED
    assert str(found[0]).endswith(".")
    assert ds.export_losses("coco")[0].what == "polylines cannot be written, and are left out"
    assert ds.export_losses("datumaro") == []
    assert ds.limit(0).export_losses("yolo") == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png", "street"]


def test_they_are_the_notes_of_the_export(ds: ab.Dataset, tmp_path: Path) -> None:
    found = list(map(str, ds.export_losses("yolo")))
    assert ab.export_dataset(ds, tmp_path / "out", "yolo").notes[: len(found)] == found
    with pytest.raises(ab.Unsupported) as caught:
        ab.export_dataset(ds, tmp_path / "strict", "yolo", strict=True)
    assert list(caught.value.problems) == found
    assert not (tmp_path / "strict").exists()


def test_options_and_formats_are_checked(ds: ab.Dataset) -> None:
    assert all("confidences" not in loss.what for loss in ds.export_losses("yolo", confidence=True))
    with pytest.raises(ab.InvalidOption, match="has no option 'tsk'"):
        ds.export_losses("yolo", tsk="obb")
    with pytest.raises(ab.InvalidOption, match="is told when it is written"):
        ds.export_losses("folder")


def test_two_fields_of_one_kind_become_one(ds: ab.Dataset) -> None:
    ds.add_labels("others", {"s0": [ab.Detection("car", [0, 0, 0.5, 0.5])]})
    (loss,) = (loss for loss in ds.export_losses("datumaro"))
    assert str(loss) == (
        "objects, others: 2 detections are written together with those of other fields, and without the names of the fields."
    )


def test_the_command_tells_them_and_writes_nothing(ds: ab.Dataset, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    told = CliRunner().invoke(app, ["export", out, "-d", ds.uri, "-f", "yolo", "--dry-run"])
    assert told.exit_code == 0
    assert "lanes: 2 polylines will be written as the boxes around them." in " ".join(told.stdout.split())
    as_json = CliRunner().invoke(app, ["export", out, "-d", ds.uri, "-f", "yolo", "--dry-run", "--json"])
    losses = json.loads(as_json.stdout)["losses"]
    assert sorted((loss["field"], loss["what"], loss["count"]) for loss in losses) == EXPECTED
    nothing = CliRunner().invoke(app, ["export", out, "-d", ds.uri, "-f", "datumaro", "--dry-run"])
    assert "would lose nothing" in nothing.stdout
    strict = CliRunner().invoke(app, ["export", out, "-d", ds.uri, "-f", "yolo", "--strict"])
    assert strict.exit_code == 1
    assert "2 polylines" in strict.stderr
    assert "--strict" in strict.stderr
    assert not Path(out).exists()
