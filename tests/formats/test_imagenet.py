"""ImageNet: folders of classes, and lists of images with the numbers of their classes."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from tests.formats.label_files import files, image, packed, read, rewritten

from annobridge.core.labels import LABELS, SAMPLES
from annobridge.exceptions import InvalidOption, InvalidSource, Unsupported
from annobridge.formats.base import Part
from annobridge.formats.imagenet import ImagenetFormat
from annobridge.formats.imagenet_txt import ImagenetTxtFormat

FOLDERS, LISTS = ImagenetFormat(), ImagenetTxtFormat()


def tree(folder: Path, *names: str) -> Path:
    for name in names:
        image(folder / name)
    return folder


def classes(rows: list[dict]) -> list[tuple[str, str]]:
    assert all(row["kind"] == "classification" for row in rows)
    return sorted((row["image"], row["label"]) for row in rows)


def classified(folder: Path, *rows: tuple[str, str], split: str | None = None) -> Part:
    """Classes of images, a sample for each name."""
    names = list(dict.fromkeys(name for name, _ in rows))
    samples = [
        {
            "sample_id": name,
            "filepath": str(image(folder / name)),
            "media_type": "image",
            "width": 100,
            "height": 50,
            "split": split,
        }
        for name in names
    ]
    labels = [
        {"label_id": f"l{n}", "sample_id": name, "field": "scene", "kind": "classification", "label": label, "rev": 0}
        for n, (name, label) in enumerate(rows)
        if label
    ]
    schema = SAMPLES.append(pa.field("split", pa.string()))
    return Part(pa.Table.from_pylist(samples, schema=schema), pa.Table.from_pylist(labels, schema=LABELS))


class TestFolders:
    @pytest.mark.parametrize(
        ("names", "found"),
        [
            (("day/a.jpg", "dusk/sub 1/b.jpg", "no_label/c.jpg"), [("a.jpg", "day"), ("b.jpg", "dusk")]),
            (("n01440764/a.jpg", "n01443537/b.jpg"), [("a.jpg", "n01440764"), ("b.jpg", "n01443537")]),
            (("cat/cat_1.jpg", "dog/dog_1.jpg"), [("cat_1.jpg", "cat"), ("dog_1.jpg", "dog")]),
            (("train/a b/x.jpg", "train/é/y.jpg", "val/é/z.jpg"), [("x.jpg", "a b"), ("y.jpg", "é"), ("z.jpg", "é")]),
            (
                ("my set/train/a/x.jpg", "my set/train/b/y.jpg", "my set/val/a/z.jpg"),
                [("x.jpg", "a"), ("y.jpg", "b"), ("z.jpg", "a")],
            ),
        ],
    )
    def test_classes(self, tmp_path: Path, names: tuple[str, ...], found: list) -> None:
        source = tree(tmp_path / "x", *names)
        assert FOLDERS.recognises(source)
        samples, rows, _ = read(FOLDERS, source)
        assert classes(rows) == found
        assert len(samples) == len(names)
        assert {s.get("split") for s in samples} == ({"train", "val"} if "val/" in names[-1] else {None})

    def test_a_zip_of_nothing_but_folders_of_images(self, tmp_path: Path) -> None:
        source = tree(tmp_path / "x", "person/frame_000000.jpg", "person/frame_000001.jpg")
        assert not FOLDERS.recognises(source)  # it may be any folder of images
        zipped = packed(source, tmp_path / "x.zip")
        assert FOLDERS.recognises(zipped)
        _, rows, _ = read(FOLDERS, zipped, media_dir=tmp_path / "media")
        assert {row["label"] for row in rows} == {"person"}

    @pytest.mark.parametrize(
        "names",
        [("a.jpg", "b/c.jpg"), ("images/a.jpg",), ("train/a.jpg", "val/b.jpg"), ("train/x/a.jpg", "val/y/b.jpg")],
    )
    def test_other_folders_of_images(self, tmp_path: Path, names: tuple[str, ...]) -> None:
        source = tree(tmp_path / "x", *names)
        assert not FOLDERS.recognises(source)
        assert not FOLDERS.recognises(packed(source, tmp_path / "x.zip"))

    def test_writing(self, tmp_path: Path) -> None:
        part = classified(
            tmp_path / "in", ("a.jpg", "day"), ("sub/b.jpg", "a dusk"), ("c.jpg", ""), ("a.jpg", "dusk"), split="val"
        )
        notes = FOLDERS.write([part], tmp_path, FOLDERS.writing())
        assert notes == ["1 classes of images that have another one are lost."]
        assert sorted(p.relative_to(tmp_path / "val").as_posix() for p in (tmp_path / "val").rglob("*.jpg")) == [
            "a dusk/sub/b.jpg", "day/a.jpg", "no_label/c.jpg",
        ]  # fmt: skip

    def test_written_again(self, tmp_path: Path) -> None:
        source = tree(tmp_path / "x", "train/day/a.jpg", "train/dusk/b.jpg", "val/day/c.jpg", "train/no_label/d.jpg")
        assert rewritten(FOLDERS, source, tmp_path / "out") == []
        found = lambda folder: sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.jpg"))  # noqa: E731
        assert found(tmp_path / "out") == found(source)

    def test_what_cannot_be_written(self, tmp_path: Path) -> None:
        part = classified(tmp_path / "in", ("a.jpg", "../x"))
        with pytest.raises(Unsupported, match="cannot be the name of a folder"):
            FOLDERS.write([part], tmp_path / "out", FOLDERS.writing())
        with pytest.raises(InvalidOption, match="imagenet-txt"):
            FOLDERS.write([part], tmp_path / "out", FOLDERS.writing(save_media=False))


class TestLists:
    def source(self, folder: Path, lines: str = 'a.jpg 0 2\n"b 1.jpg" 1\n"sub/c 2".jpg 2\nd 3.jpg 0\ne.jpg \n') -> Path:
        tree(folder / "images", "a.jpg", "b 1.jpg", "sub/c 2.jpg", "d 3.jpg", "e.jpg", "sub/a.jpg")
        return files(folder, {"synsets.txt": "day\ndusk\nquai nord\n", "train.txt": lines})

    def test_classes(self, tmp_path: Path) -> None:
        source = self.source(tmp_path / "x")
        samples, rows, found = read(LISTS, source)
        assert classes(rows) == [
            ("a.jpg", "day"), ("a.jpg", "quai nord"), ("b 1.jpg", "dusk"), ("c 2.jpg", "quai nord"), ("d 3.jpg", "day"),
        ]  # fmt: skip
        assert [s.get("split") for s in samples] == ["train"] * 5 + [None]
        assert not found.notes
        assert LISTS.recognises(source)
        assert LISTS.reason(source) == "synsets.txt has the classes"

    @pytest.mark.parametrize("line", ["a.jpg 3", "a.jpg -1"])
    def test_classes_that_are_not_there(self, tmp_path: Path, line: str) -> None:
        _, rows, found = read(LISTS, self.source(tmp_path / "x", f"a.jpg 1\n{line}\n"))
        assert len(rows) == 1
        assert "train.txt' line 2" in found.notes[0]
        assert "synsets.txt" in found.notes[0]

    def test_no_classes(self, tmp_path: Path) -> None:
        (source := self.source(tmp_path / "x")).joinpath("synsets.txt").unlink()
        with pytest.raises(InvalidSource, match=r"has no synsets\.txt"):
            read(LISTS, source)

    def test_writing(self, tmp_path: Path) -> None:
        rows = (("a.jpg", "dusk"), ("a.jpg", "day"), ("sub/b 1.jpg", "day"), ("c.jpg", ""))
        out = tmp_path / "out"
        out.mkdir()
        assert LISTS.write([classified(tmp_path / "in", *rows)], out, LISTS.writing(classes=("night",))) == []
        assert (out / "synsets.txt").read_text() == "night\nday\ndusk\n"
        assert (out / "default.txt").read_text() == 'a.jpg 2 1\n"sub/b 1".jpg 1\nc.jpg\n'
        samples, found, _ = read(LISTS, out)
        assert classes(found) == [("a.jpg", "day"), ("a.jpg", "dusk"), ("b 1.jpg", "day")]
        assert len(samples) == 3


def test_the_list_of_classes_that_cvat_writes(tmp_path: Path) -> None:
    """As "Ultralytics YOLO Classification" without images."""
    listed = {"a 1": {"labels": ["sun", "day"], "path": "sun/a 1.jpg"}, "b": {"labels": [], "path": "no_label/b.png"}}
    text = json.dumps(listed)
    source = packed(files(tmp_path / "in", {"train/labels.json": text}), tmp_path / "x.zip")
    for name in ("a 1.jpg", "b.png"):
        image(tmp_path / "images" / name)
    samples, labels, _ = read(FOLDERS, source, image_dir=tmp_path / "images")
    assert [(row["image"], row["label"]) for row in labels] == [("a 1.jpg", "sun"), ("a 1.jpg", "day")]
    assert [row["split"] for row in samples] == ["train", "train"]
    assert FOLDERS.recognises(source)


@pytest.mark.parametrize(
    "text", ['{"images": [], "annotations": []}', '{"classes": ["a"], "labels": {"x": 0}}', "[]", "{"]
)
def test_other_files_called_labels_json_are_not_taken(tmp_path: Path, text: str) -> None:
    assert not FOLDERS.recognises(files(tmp_path, {"train/labels.json": text}))
