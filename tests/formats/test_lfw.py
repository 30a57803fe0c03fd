"""LFW: persons, pairs of images, landmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.formats.label_files import files, image, packed, read, rewritten

from annobridge.exceptions import InvalidSource
from annobridge.formats.lfw import LfwFormat

LFW = LfwFormat()
LISTS = {
    "pairs.txt": "1\t2\nAnn_Lee\t1\t2\nAnn_Lee\t1\tBo\tparty\nBo\tparty\t-\tx 1\nBo/sub/é\nx 1\n",
    "people.txt": "2\nAnn_Lee\t2\nBo\t2\n",
    "landmarks.txt": "Ann_Lee/Ann_Lee_0001.jpg\t1\t2\t3\t4\nparty.jpg\t5\t6\t7\t8\n",
}
IMAGES = ("Ann_Lee/Ann_Lee_0001.jpg", "Ann_Lee/Ann_Lee_0002.jpg", "Bo/party.jpg", "Bo/sub/é.jpg", "x 1.jpg")


def source(folder: Path, inside: str = "test/annotations/", images: str = "test/images/", **more: str) -> Path:
    for name in IMAGES:
        image(folder / images / name)
    return files(folder, {inside + name: text for name, text in (LISTS | more).items()})


def classes(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {row["image"]: (row["label"], row["attributes"]) for row in rows if row["kind"] == "classification"}


@pytest.mark.parametrize(
    ("inside", "images", "split"),
    [
        ("test/annotations/", "test/images/", "test"),  # as CVAT and datumaro write it
        ("annotations/", "images/", None),  # as CVAT's document has an import
        ("", "images/", None),  # and an export
        ("", "lfw/", None),  # the original
    ],
)
def test_persons_pairs_and_landmarks(tmp_path: Path, inside: str, images: str, split: str | None) -> None:
    zipped = packed(source(tmp_path / "x", inside, images), tmp_path / "x.zip")
    assert LFW.recognises(zipped)
    samples, rows, found = read(LFW, zipped, media_dir=tmp_path / "media")
    assert classes(rows) == {
        "Ann_Lee_0001.jpg": ("Ann_Lee", {"positive_pairs": ["Ann_Lee/Ann_Lee_0002"], "negative_pairs": ["Bo/party"]}),
        "Ann_Lee_0002.jpg": ("Ann_Lee", {}),
        "party.jpg": ("Bo", {"negative_pairs": ["x 1"]}),
        "é.jpg": ("Bo", {}),
    }
    marks = [(row["image"], row["label"], len(row["points"][0])) for row in rows if row["kind"] == "keypoints"]
    assert marks == [("Ann_Lee_0001.jpg", "Ann_Lee", 2), ("party.jpg", "Bo", 2)]
    assert len(samples) == 5
    assert {sample.get("split") for sample in samples} == {split}
    assert not found.notes


def test_the_folder_of_an_image_is_its_person(tmp_path: Path) -> None:
    """Datumaro leaves images with landmarks out of its list of pairs."""
    marks = "".join(f"{name.rpartition('/')[2]}\t1\t2\n" for name in IMAGES[:2])
    _, rows, _ = read(LFW, source(tmp_path, **{"pairs.txt": "x 1\n", "landmarks.txt": marks}))
    assert {image: label for image, (label, _) in classes(rows).items()} == {
        "Ann_Lee_0001.jpg": "Ann_Lee", "Ann_Lee_0002.jpg": "Ann_Lee", "party.jpg": "Bo", "é.jpg": "Bo",
    }  # fmt: skip
    assert {row["label"] for row in rows if row["kind"] == "keypoints"} == {"Ann_Lee"}


def test_without_images_and_without_a_list_of_persons(tmp_path: Path) -> None:
    image(tmp_path / "images/frame_000000.png")
    files(tmp_path / "x", {"default/annotations/pairs.txt": "person/frame_000000\n"})
    (sample,), rows, _ = read(LFW, tmp_path / "x", image_dir=tmp_path / "images")
    assert classes(rows) == {"frame_000000.png": ("person", {})}
    assert sample.get("split") is None


def test_cvat_writes_the_last_number_of_a_name(tmp_path: Path) -> None:
    for name in ("frame_000001.jpg", "frame_000002.jpg"):
        image(tmp_path / "images" / name)
    pairs = "Bo\tframe_000001\t2\nBo\tframe_000001\tBo\t1\nBo/frame_000002\n"
    files(tmp_path / "x", {"default/annotations/pairs.txt": pairs, "default/annotations/people.txt": "Bo\t2\n"})
    _, rows, found = read(LFW, tmp_path / "x", image_dir=tmp_path / "images")
    given = {"positive_pairs": ["Bo/frame_000002"], "negative_pairs": ["Bo/frame_000001"]}
    assert classes(rows) == {"frame_000001.jpg": ("Bo", given), "frame_000002.jpg": ("Bo", {})}
    assert not found.notes


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"pairs.txt": "a\tb\n1\t2\nBo\tparty\n"}, "no image and no pair of images"),
        ({"pairs.txt": "Bo\t\t1\n"}, "empty cell"),
        ({"pairs.txt": "Bo\t7\t8\n"}, "its image was not found"),
        ({"landmarks.txt": "party.jpg\t1\tx\n"}, "pairs of numbers"),
        ({"landmarks.txt": "party.jpg\t1\t2\t3\n"}, "pairs of numbers"),
        ({"landmarks.txt": "party.jpg\t1\tnan\n"}, "pairs of numbers"),
        (
            {"landmarks.txt": "same.jpg\t1\t2\n", "pairs.txt": "Bo/same\nAnn_Lee/same\n"},
            "several persons have this name",
        ),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(tmp_path: Path, more: dict[str, str], reason: str) -> None:
    _, _, found = read(LFW, source(tmp_path, **more))
    assert any(reason in note and "line 1" in note for note in found.notes)


def test_detection(tmp_path: Path) -> None:
    assert not LFW.recognises(files(tmp_path / "x", {"pairs.txt": "salt\tpepper\t1\n", "sub/people.txt": "Bo\t1\n"}))
    with pytest.raises(InvalidSource, match="no 'pairs.txt'|no pairs.txt"):
        read(LFW, files(tmp_path / "y", {"a.txt": "x"}))


def test_writing(tmp_path: Path) -> None:
    origin, out = source(tmp_path / "x"), tmp_path / "out"
    assert rewritten(LFW, origin, out) == []
    lists = out / "test/annotations"
    assert sorted((lists / "pairs.txt").read_text().splitlines()) == [
        "Ann_Lee\t1\t2", "Ann_Lee\t1\tBo\tparty", "Ann_Lee/Ann_Lee_0002", "Bo\tparty\t-\tx 1", "Bo/sub/é", "x 1",
    ]  # fmt: skip
    assert (lists / "people.txt").read_text() == "Ann_Lee\t2\nBo\t2\n"
    assert (lists / "landmarks.txt").read_text().startswith("Ann_Lee/Ann_Lee_0001.jpg\t1.0\t2.0\t3.0\t4.0\n")
    assert (out / "test/images/Bo/sub/é.jpg").exists()
    before, after = (read(LFW, folder)[1] for folder in (origin, out))
    assert classes(before) == classes(after)
    assert [row["points"] for row in before if "points" in row] == [row["points"] for row in after if "points" in row]
