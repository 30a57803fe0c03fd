"""YOLO 1.1: CVAT's and FiftyOne's layouts, frames by number, and what comes back after writing."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from tests.formats.label_files import files, image, packed, read, rewritten

from annobridge.exceptions import InvalidSource
from annobridge.formats.common.images import Context
from annobridge.formats.yolo_1_1 import Yolo11Format

YOLO = Yolo11Format()
DATA = "classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\nbackup = backup/\n"
BOX = "1 0.5 0.5 0.2 0.4\n"
WIDE = pytest.approx([0.4, 0.3, 0.2, 0.4])


def cvat(folder: Path, with_images: bool = True) -> Path:
    names = {"train": "a b.jpg", "valid": "sub/é.png"}
    texts = {"obj.data": DATA, "obj.names": "car\nquai nord\n"}
    for split, name in names.items():
        path = f"obj_{split}_data/{name}"
        texts |= {f"{split}.txt": f"data/{path}\n", f"{path.rpartition('.')[0]}.txt": BOX}
        if with_images:
            image(folder / path)
    return files(folder, texts)


def test_cvat(tmp_path: Path) -> None:
    source = cvat(tmp_path / "x")
    samples, rows, found = read(YOLO, packed(source, tmp_path / "x.zip"), media_dir=tmp_path / "media")
    assert [(Path(s["filepath"]).name, s["split"]) for s in samples] == [("a b.jpg", "train"), ("é.png", "valid")]
    assert [(row["image"], row["label"]) for row in rows] == [("a b.jpg", "quai nord"), ("é.png", "quai nord")]
    assert rows[0]["bounding_box"] == WIDE
    assert not found.notes
    assert YOLO.reason(source) == "it has obj.data"


def test_images_of_the_dataset_by_name_and_by_frame_number(tmp_path: Path) -> None:
    texts = {"obj.names": "car\nvan\n", "obj_train_data/frame_000002.txt": BOX, "obj_train_data/x.txt": BOX}
    columns = {"media_type": ["image"] * 2, "width": [100] * 2, "height": [50] * 2, "frames": pa.nulls(2, pa.int32())}
    known = pa.table({"sample_id": ["k1", "k2"], "filepath": ["/d/shot-2.png", "/d/deep/x.png"]} | columns)
    found = YOLO.open(files(tmp_path / "x", texts), YOLO.reading(), Context(known))
    (part,) = found.parts()
    assert sorted(part.labels["sample_id"].to_pylist()) == ["k1", "k2"]
    assert any("by frame number" in said for said in found.assumptions)


def test_one_folder_with_a_list_of_images(tmp_path: Path) -> None:
    for name in ("data/a.jpg", "data/sub/a.jpg"):
        image(tmp_path / "x" / name)
    texts = {
        "obj.names": "car\nvan",
        "images.txt": "data/a.jpg\ndata/sub/a.jpg",
        "data/a.txt": BOX,
        "data/sub/a.txt": BOX,
    }
    samples, rows, _ = read(YOLO, files(tmp_path / "x", texts))
    assert len(samples) == len(rows) == 2
    assert {s.get("split") for s in samples} == {None}


def test_flat_folder_without_lists(tmp_path: Path) -> None:
    image(tmp_path / "x/a.jpg")
    _, rows, _ = read(YOLO, files(tmp_path / "x", {"obj.names": "car\nvan\n", "a.txt": BOX}))
    assert [row["label"] for row in rows] == ["van"]


def test_bad_lines_and_missing_names(tmp_path: Path) -> None:
    image(tmp_path / "x/a.jpg")
    source = files(
        tmp_path / "x", {"obj.data": DATA, "obj.names": "car\n", "a.txt": BOX + "0 0 0 1 0 1 1\n0 0.5 0.5 1\n"}
    )
    _, rows, found = read(YOLO, source)
    assert not rows
    assert len(found.notes) == 3
    (source / "obj.names").unlink()
    with pytest.raises(InvalidSource, match=r"has no obj\.names"):
        read(YOLO, source)


def test_writing(tmp_path: Path) -> None:
    source, out = cvat(tmp_path / "x"), tmp_path / "out"
    assert rewritten(YOLO, source, out, classes=("car",)) == []
    assert (out / "obj.data").read_text() == DATA
    assert (out / "valid.txt").read_text() == "data/obj_valid_data/sub/é.png\n"
    assert (out / "obj.names").read_text() == "car\nquai nord\n"
    again = read(YOLO, out)
    assert [(row["image"], row["label"]) for row in again[1]] == [("a b.jpg", "quai nord"), ("é.png", "quai nord")]
    assert again[1][0]["bounding_box"] == WIDE
    assert [s["split"] for s in again[0]] == ["train", "valid"]


def test_writing_without_splits_and_media(tmp_path: Path) -> None:
    image(tmp_path / "x/a.jpg")
    source = files(tmp_path / "x", {"obj.names": "car\nvan\n", "a.txt": BOX})
    rewritten(YOLO, source, tmp_path / "out", save_media=False, classes=("car",))
    assert sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*")) == [
        "obj.data", "obj.names", "obj_train_data/a.txt", "train.txt",
    ]  # fmt: skip
    assert (tmp_path / "out/obj.names").read_text() == "car\nvan\n"
