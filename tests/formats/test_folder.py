"""Folders of images, and of splits; and that a refusal leaves nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.formats.metadata_cases import contents, folder, image, opened, refused, samples_of, street_objects

from annobridge.exceptions import InvalidSource
from annobridge.formats.folder import FolderFormat
from annobridge.formats.ids import of_paths
from annobridge.io.import_dataset import import_dataset


def test_images_to_any_depth_without_lines(tmp_path: Path) -> None:
    root = folder(tmp_path / "in", ("b.png", "a.jpg", "deep/er/c.JPG"))
    (root / "notes.txt").write_text("no image")
    image(root / ".cache/d.jpg")
    samples, labels = contents(opened(root))
    assert [s["name"] for s in samples] == ["a.jpg", "b.png", "c.JPG"]
    assert [(s["width"], s["height"]) for s in samples] == [(64, 48)] * 3
    assert samples[0]["sample_id"] == of_paths([str(root / "a.jpg")])[0]
    assert "split" not in samples[0]
    assert not labels


def test_splits_by_name(tmp_path: Path) -> None:
    root = folder(tmp_path / "in", ("train/a.jpg", "val/deep/b.jpg"))
    source = opened(root)
    assert {s["name"]: s["split"] for s in contents(source)[0]} == {"a.jpg": "train", "b.jpg": "val"}
    assert "The sub-folders train, val are splits." in source.assumptions


def test_sub_folders_are_not_guessed_to_be_splits(tmp_path: Path) -> None:
    root = folder(tmp_path / "in", ("cats/a.jpg", "dogs/b.jpg"))
    source = opened(root)
    assert "split" not in contents(source)[0][0]
    assert "splits=True takes them so" in source.assumptions[0]
    assert {s["split"] for s in samples_of(root, splits=True)} == {"cats", "dogs"}
    named = folder(tmp_path / "other", ("train/a.jpg",))
    assert "split" not in samples_of(named, splits=False)[0]


def test_street_objects(tmp_path: Path) -> None:
    root = street_objects(tmp_path / "street_objects")
    report = import_dataset(root, tmp_path / "ds", format="folder", progress=False)
    assert (report.samples, report.labels) == (5, {"objects": 3})
    rows = report.dataset.samples().to_pylist()
    assert {Path(r["filepath"]).name: (r["split"], r["image_source"]) for r in rows} == {
        "img_001.jpg": ("train", "dashcam"),
        "img_002.jpg": ("train", "dashcam"),
        "img_003.jpg": ("train", "drone"),
        "img_004.jpg": ("val", None),
        "img_005.jpg": ("val", None),
    }
    found = report.dataset.labels("objects").to_pylist()
    assert sorted((r["label"], r["bounding_box"]) for r in found) == [
        ("bicycle", [0.30, 0.40, 0.08, 0.12]),
        ("car", [0.12, 0.25, 0.15, 0.30]),
        ("pedestrian", [0.55, 0.10, 0.20, 0.45]),
    ]
    again = import_dataset(root, tmp_path / "ds", format="folder", mode="add", progress=False)
    assert (again.samples, again.known, again.kept) == (0, 5, {"objects": 3})


def test_images_beside_splits_have_none(tmp_path: Path) -> None:
    root = folder(street_objects(tmp_path / "in"), ("cover.jpg",))
    assert {s["name"]: s["split"] for s in samples_of(root)}["cover.jpg"] is None


def test_unlisted_images_have_no_labels_and_are_counted(tmp_path: Path) -> None:
    root = folder(tmp_path / "in", ("a.jpg", "b.jpg", "c.jpg"), [{"file_name": "b.jpg", "text": "b"}])
    source = opened(root)
    assert [(s["name"], s["text"]) for s in contents(source)[0]] == [("b.jpg", "b"), ("a.jpg", None), ("c.jpg", None)]
    assert any(note.startswith("2 images of ") and "on no line" in note for note in source.assumptions)


def test_all_unreadable_images_are_told_and_nothing_is_written(tmp_path: Path) -> None:
    root = folder(tmp_path / "in", ("a.jpg",))
    (root / "empty.jpg").touch()
    (root / "text.png").write_text("no image")
    with pytest.raises(
        InvalidSource, match=r"2 files are empty, cut off or not images: 'empty.jpg', 'text.png'; replace them"
    ):
        import_dataset(root, tmp_path / "ds", format="folder", progress=False)
    assert not (tmp_path / "ds").exists()


def test_a_wrong_line_leaves_no_dataset(tmp_path: Path) -> None:
    root = folder(tmp_path / "in", lines=[{"file_name": "a.jpg"}, "{no json"])
    with pytest.raises(InvalidSource, match=r"metadata.jsonl:2 is not JSON"):
        import_dataset(root, tmp_path / "ds", format="folder", progress=False)
    assert list(tmp_path.iterdir()) == [root]


def test_lines_in_two_levels_are_refused(tmp_path: Path) -> None:
    root = folder(street_objects(tmp_path / "in"), (), [{"file_name": "train/img_001.jpg"}])
    assert "There is a metadata.jsonl in" in refused(root)
    assert "and in its folder 'train'; keep it in one of them." in refused(root)


@pytest.mark.parametrize("make", ["nothing", "file"])
def test_a_source_without_images_is_refused(tmp_path: Path, make: str) -> None:
    root = tmp_path / "in"
    root.write_text("") if make == "file" else root.mkdir()
    end = "is not a folder; unpack it, or give the folder of the images, or a zip with images."
    what = end if make == "file" else "There is no image below"
    assert what in refused(root)
    assert not FolderFormat().recognises(root)


def test_recognises_folders_of_images(tmp_path: Path) -> None:
    assert FolderFormat().recognises(street_objects(tmp_path / "in"))
    assert not FolderFormat().recognises(tmp_path / "nowhere")


def test_links_are_followed_but_not_in_a_circle(tmp_path: Path) -> None:
    folder(tmp_path / "far", ("b.jpg",))
    root = folder(tmp_path / "in")
    os.symlink(tmp_path / "far", root / "near")
    os.symlink(root, root / "self")
    assert [s["name"] for s in samples_of(root)] == ["a.jpg", "b.jpg"]


def test_pipes_are_no_images(tmp_path: Path) -> None:
    root = folder(tmp_path / "in")
    os.mkfifo(root / "pipe.jpg")
    os.symlink(root / "pipe.jpg", root / "link.jpg")  # nor is a link to one
    assert [s["name"] for s in samples_of(root)] == ["a.jpg"]
    for key in ("file_name", "image"):
        said = refused(folder(root, (), [{key: "pipe.jpg"}]))
        assert (
            "metadata.jsonl:1 names the image 'pipe.jpg', which is not a regular file; put the image itself there."
            in said
        )


def test_links_to_nothing_are_told(tmp_path: Path) -> None:
    root = folder(tmp_path / "in")
    os.symlink(tmp_path / "gone.jpg", root / "b.jpg")
    assert "1 files are empty, cut off or not images: 'b.jpg'; replace them" in refused(root)


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    root = folder(tmp_path / "in")
    os.rename(os.fsencode(root / "a.jpg"), os.fsencode(root) + b"/bad\xff.jpg")
    said = refused(root)
    assert said.startswith("The name of the image b'")
    assert said.endswith("bad\\xff.jpg' is not UTF-8; rename it.")
    image(root / "good.jpg")
    os.rename(os.fsencode(root) + b"/bad\xff.jpg", os.fsencode(root) + b"/bad\xff.txt")
    assert [s["name"] for s in samples_of(root)] == ["good.jpg"]
