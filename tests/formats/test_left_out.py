"""What an import of a folder leaves out: label files of other formats stop it, and the rest is told."""

from __future__ import annotations

import gzip
import json
import unicodedata
from pathlib import Path

import pytest
from PIL import Image
from tests.formats.metadata_cases import contents, folder, opened, refused

import annobridge as ab
from annobridge.formats import sniff
from annobridge.formats.names import on_disk

COCO = {"images": [{"file_name": "a.jpg"}], "annotations": [], "categories": []}
LABELS = {
    "via.json": ('{"_via_img_metadata": {}}', "VGG"),
    "notes.json": ('{"a.jpg": "a sunny day"}', "JSON of labels"),
    "captions.jsonl": ('{"image": "a.jpg"}\n', "lines of JSON"),
    "metadata1000.jsonl": ('{"file_name": "a.jpg"}\n', "lines of JSON"),
    "Metadata.jsonl": ('{"file_name": "a.jpg"}\n', "spelt or placed otherwise"),
    "x/deeper/metadata.jsonl": ('{"file_name": "../a.jpg"}\n', "spelt or placed otherwise"),
    "metadata.csv": ("file_name,caption\na.jpg,hello\n", "spelt or placed otherwise"),
    "boxes.csv": ("filename;xmin;ymin\na.jpg;1;2\n", "a table"),
    "Annotations/a.xml": ("<?xml version='1.0'?><annotation><object/></annotation>", "Pascal VOC"),
    "a.txt": ("a photo of a car, in the rain\n", ".txt files that are called as the images"),
    "train.txt": ("images/a.jpg\n", "a list of images"),
    "a.npy": ("junk", ".npy files that are called as the images"),
}
READ = {  # by a format of their own
    "result.json": ('[{"id": 1, "annotations": [], "data": {"image": "/x/a.jpg"}}]', "labelstudio"),
    "a.json": ('{"shapes": [], "imagePath": "a.jpg"}', "labelme"),
    "_annotations.coco.json": (json.dumps(COCO), "coco"),
    "annotations/instances.json": (json.dumps(COCO), "coco"),
    "annotations.xml": ("<annotations><image id='0' name='a.jpg' width='8' height='8'/></annotations>", "cvat"),
    "labels/a.txt": ("0 0.5 0.5 0.25 0.25\n", "yolo"),
}
ORDINARY = {
    "README.txt": "The photos of our trip. The first one, a.jpg, is the best.\n" * 3 + "Ask me.\nBye.\n",
    "LICENSE": "MIT",
    "README.md": "# a.jpg",
    ".DS_Store": "\0\0\0\1Bud1",
    "Thumbs.db": "\xd0\xcf\x11\xe0",
    "desktop.ini": "[.ShellClassInfo]\n",
    "package.json": '{"name": "x", "version": "1.0"}',
    "dataset_infos.json": '{"default": {"features": {"objects": {"bbox": []}}, "splits": {}}}',
    "docker-compose.yml": "services:\n  a: b\n",
    "requirements.txt": "numpy\npillow\n",
    "prices.csv": "item,price\nbread,2\n",
    "__MACOSX/a.json": json.dumps(COCO),
    "script.py": "print('a.jpg')",
}


@pytest.mark.parametrize("name", READ)
def test_label_files_of_a_format_are_read_by_it(tmp_path: Path, name: str) -> None:
    text, format_ = READ[name]
    root = folder(tmp_path / "in")
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)
    report = ab.import_dataset(root, tmp_path / "ds")
    assert (report.format, report.samples) == (format_, 1)


@pytest.mark.parametrize("name", LABELS)
def test_label_files_stop_an_import_unless_they_are_ignored(tmp_path: Path, name: str) -> None:
    text, title = LABELS[name]
    root = folder(tmp_path / "in")
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)
    for call in (lambda: ab.import_dataset(root, tmp_path / "ds"), lambda: opened(root)):
        with pytest.raises(ab.InvalidSource) as caught:
            call()
        for word in (
            f"Below {str(root)!r}, 1 label file is",
            repr(name),
            title,
            "metadata.jsonl",
            "ignore=True",
            "--ignore",
        ):
            assert word in str(caught.value)
    assert not (tmp_path / "ds").exists()
    report = ab.import_dataset(root, tmp_path / "ds", ignore=True)
    assert report.samples == 1
    assert any(
        "1 label file is not read, and its labels were left out" in note and name in note for note in report.notes
    )


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_files_do_not(tmp_path: Path, name: str) -> None:
    root = folder(tmp_path, lines=[{"file_name": "a.jpg"}])
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(ORDINARY[name])
    source = opened(root)
    assert (source.count, source.notes) == (1, [])


def test_many_are_counted_by_kind(tmp_path: Path) -> None:
    root = folder(tmp_path, [f"images/{n}.jpg" for n in range(9)])
    (root / "labels").mkdir()
    for n in range(9):
        (root / f"labels/{n}.txt").write_text("0 0.5 0.5 0.25 0.25\n")
    (root / "labels.json.gz").write_bytes(gzip.compress(json.dumps(COCO).encode()))
    said = refused(root)
    assert "10 label files are" in said
    assert "'labels/0.txt', 'labels/1.txt', 'labels/2.txt' and 6 more (YOLO)" in said
    assert "'labels.json.gz' (COCO)" in said


def test_beside_splits_too(tmp_path: Path) -> None:
    folder(tmp_path / "train")
    folder(tmp_path / "val")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/train.json").write_text(json.dumps(COCO))
    assert "'annotations/train.json' (COCO)" in refused(tmp_path)


@pytest.mark.parametrize(
    "text", ["[" * 200_000, "a" * 200_000, "1 " * 100_000, "\n" * 200_000, '"' * 200_000, "<" * 200_000]
)
@pytest.mark.parametrize("ending", [".json", ".xml", ".txt", ".csv", ".yaml", ".jsonl"])
def test_no_text_takes_long(tmp_path: Path, text: str, ending: str) -> None:
    (tmp_path / f"x{ending}").write_text(text)
    sniff.title(tmp_path / f"x{ending}", {"a.jpg"})


@pytest.mark.parametrize(
    ("name", "form"),
    [("b.jfif", "JPEG"), ("b.jpe", "JPEG"), ("b.jp2", "JPEG2000"), ("b.pgm", "PPM"), ("b.ppm", "PPM"), ("b.tga", "TGA"),
     ("b.avif", "AVIF"), ("b", "PNG"), ("b.photo", "PNG"), ("b.ico", "ICO")],
)  # fmt: skip
def test_what_pillow_reads_is_an_image_whatever_its_ending(tmp_path: Path, name: str, form: str) -> None:
    folder(tmp_path)
    Image.new("RGB", (32, 16)).save(tmp_path / name, form)
    samples, _ = contents(opened(tmp_path))
    assert sorted(Path(row["filepath"]).name for row in samples) == sorted(["a.jpg", name])


def test_what_it_does_not_read_is_told(tmp_path: Path) -> None:
    folder(tmp_path)
    for name in ("1.heic", "2.HEIC", "3.dng", "4.svg", "5.heic"):
        (tmp_path / name).write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 99)
    (tmp_path / "walk.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    pictures, videos = opened(tmp_path).notes
    assert pictures == (
        "5 pictures were left out, as Pillow cannot read them: '1.heic', '2.HEIC', '3.dng' and 2 more; "
        "install pillow-heif for HEIC, or convert them to JPEG or PNG."
    )
    assert videos.startswith("1 video was left out, as the samples of a folder are images: 'walk.mp4'; add")
    (tmp_path / "a.jpg").unlink()
    assert "There is no image below" in (said := refused(tmp_path))
    assert "install pillow-heif" in said


@pytest.mark.parametrize(("line", "disk"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_that_look_equal_are_equal(tmp_path: Path, line: str, disk: str) -> None:
    here, there = (unicodedata.normalize(form, "für/Müller.jpg") for form in (line, disk))
    folder(tmp_path, [there], [{"file_name": here, "objects": {"bbox": [[1, 2, 30, 40]], "categories": ["car"]}}])
    samples, labels = contents(opened(tmp_path))
    assert (len(samples), len(labels)) == (1, 1)
    assert on_disk(str(tmp_path / here)) == str(tmp_path / there)


def test_two_names_that_look_equal_are_told_apart(tmp_path: Path) -> None:
    names = ["é\u0323.jpg", "e\u0301\u0323.jpg"]
    folder(tmp_path, names, [{"file_name": "e\u0323\u0301.jpg"}])
    if len(list(tmp_path.glob("*.jpg"))) == 2:
        assert "2 files whose names differ in their Unicode form only (NFC, NFD); rename one." in refused(tmp_path)


@pytest.mark.parametrize("name", ["x\\a.jpg", ".\\x\\a.jpg"])
def test_backslashes_are_those_of_windows(tmp_path: Path, name: str) -> None:
    folder(tmp_path, ["x/a.jpg"], [{"file_name": name}])
    samples, _ = contents(opened(tmp_path))
    assert samples[0]["filepath"] == str(tmp_path / "x/a.jpg")
    assert on_disk(f"{tmp_path}\\x\\a.jpg") == f"{tmp_path}/x/a.jpg"
