"""Exports that keep which images people have reviewed."""

from __future__ import annotations

from pathlib import Path

import pytest

import annobridge as ab
from annobridge import demo
from annobridge.formats import registry


@pytest.fixture
def street(tmp_path: Path) -> ab.Dataset:
    """Four images: the first has labels, of the others, two are reviewed and empty."""
    ds = demo.street(tmp_path / "street")
    ids = ds.sample_ids()
    ds.delete_samples(ids[4:])
    ds.delete_labels([row["label_id"] for row in ds.select(ids[1:4]).labels().to_pylist()])
    run = ds.annotate("r", label_field="objects", backend="memory")
    demo.annotator(run).review(*ids[1:3])
    ds.load_annotations("r")
    return ds


@pytest.mark.parametrize("format_name", ["yolo", "yolo-1.1"])
def test_an_image_that_is_reviewed_and_empty_has_a_label_file(
    street: ab.Dataset, tmp_path: Path, format_name: str
) -> None:
    report = street.export(tmp_path / "out", format_name, reviewed="objects")
    files = {path.stem: path.read_text() for path in (tmp_path / "out").rglob("street_*.txt")}
    assert sorted(files) == ["street_01", "street_02", "street_03"]
    assert (files["street_01"] != "", files["street_02"], files["street_03"]) == (True, "", "")
    assert "1 images that nobody has reviewed have no labels, and so no label file." in report.notes
    assert len(list((tmp_path / "out").rglob("street_*.png"))) == 4
    assert len(ab.import_dataset(tmp_path / "out", tmp_path / "back").dataset) == 4


def test_without_the_argument_every_image_has_a_label_file(street: ab.Dataset, tmp_path: Path) -> None:
    report = street.export(tmp_path / "out", "yolo")
    assert len(list((tmp_path / "out" / "labels").glob("*.txt"))) == 4
    assert not [note for note in report.notes if "reviewed" in note]


@pytest.mark.parametrize(
    ("format_name", "options"), [("fiftyone", {}), ("pixano", {}), ("folder", {"dialect": "file_name"})]
)
def test_samples_get_a_tag(street: ab.Dataset, tmp_path: Path, format_name: str, options: dict[str, str]) -> None:
    fields = "objects" if format_name == "folder" else None
    street.export(tmp_path / "out", format_name, fields=fields, reviewed="r", **options)
    back = ab.import_dataset(tmp_path / "out", tmp_path / "back", format=format_name).dataset
    tags = {Path(row["filepath"]).stem: row["tags"] or [] for row in back.samples().to_pylist()}
    tagged = sorted(name for name, some in tags.items() if "reviewed" in some)
    assert [name[-9:] for name in tagged] == ["street_02", "street_03"]
    assert street.match_tags("reviewed").sample_ids() == []


def test_an_old_tag_does_not_pass_for_a_review(street: ab.Dataset, tmp_path: Path) -> None:
    more = ab.create_dataset(tmp_path / "tagged")
    rows = street.samples(["sample_id", "filepath"]).to_pylist()
    more.add_samples([ab.Sample(row["filepath"], row["sample_id"], tags=["reviewed", "night"]) for row in rows])
    more.add_labels("objects", {rows[0]["sample_id"]: [ab.Detection("car", [0.1, 0.1, 0.2, 0.2])]})
    run = more.annotate("r", label_field="objects", backend="memory")
    demo.annotator(run).review(rows[0]["sample_id"])
    more.load_annotations("r")
    more.export(tmp_path / "out", "fiftyone", reviewed="r")
    back = ab.import_dataset(tmp_path / "out", tmp_path / "back").dataset
    assert [sorted(row["tags"]) for row in back.samples().to_pylist()] == [["night", "reviewed"]] + [["night"]] * 3


@pytest.mark.parametrize("format_name", sorted({"coco", "voc", "cvat", "webdataset"} & set(registry.names())))
def test_what_a_format_cannot_keep_is_counted(street: ab.Dataset, tmp_path: Path, format_name: str) -> None:
    told = "2 images are reviewed, which is lost."
    assert told in map(str, street.export_losses(format_name, fields="objects", reviewed="r"))
    assert told in street.export(tmp_path / "out", format_name, fields="objects", reviewed="r").notes
    with pytest.raises(ab.Unsupported, match="2 images are reviewed, which is lost"):
        street.export(tmp_path / "strict", format_name, fields="objects", reviewed="r", strict=True)
    assert not (tmp_path / "strict").exists()
    assert told not in map(str, street.export_losses(format_name, fields="objects"))


def test_a_name_that_is_neither_is_told(street: ab.Dataset, tmp_path: Path) -> None:
    with pytest.raises(ab.StoreError, match="no label field 'object'; did you mean 'objects'"):
        street.export(tmp_path / "out", "yolo", reviewed="object")
    assert not (tmp_path / "out").exists()
