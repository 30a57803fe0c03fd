"""MOTS: PNG files and text files, what is skipped and why, and what comes back after an export."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image
from tests.formats.label_files import files, image, packed, read
from tests.formats.tracks import known, label, part, sequence, video, written

from annobridge.core.geometry import decode_rle, encode_rle
from annobridge.exceptions import InvalidSource, Unsupported
from annobridge.formats import registry
from annobridge.formats.common.images import Context
from annobridge.formats.mots import MotsFormat
from annobridge.testing import FormatContract

MOTS = MotsFormat()


def pixels(*values: int, bits: type = np.uint16) -> np.ndarray:
    """50 × 100 pixels: a stripe of each value, ten columns wide."""
    made = np.zeros((50, 100), bits)
    for n, value in enumerate(values):
        made[5:45, 10 * n : 10 * n + 10] = value
    return made


def png(path: Path, values: np.ndarray) -> Path:
    """A PNG of numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


def stripe(n: int) -> dict:
    """The mask of a stripe."""
    return encode_rle(pixels(*[0] * n, 1) == 1)


def source(folder: Path, *values: int, split: str = "train", labels: str | None = "car\nbus\n") -> Path:
    """Masks of one image."""
    png(folder / split / "instances" / "000001.png", pixels(*values))
    image(folder / split / "images" / "000001.jpg")
    return files(folder, {f"{split}/instances/labels.txt": labels} if labels is not None else {})


class TestImages:
    def test_pixels_are_class_and_object(self, tmp_path: Path):
        samples, rows, found = read(MOTS, source(tmp_path, 1001, 2004, 1000))
        assert [(r["label"], r["index"], r["kind"]) for r in rows] == [
            ("car", 0, "mask"), ("car", 1, "mask"), ("bus", 4, "mask"),
        ]  # fmt: skip
        assert rows[1]["mask"] == stripe(0)
        assert rows[1]["bounding_box"] == pytest.approx([0.0, 0.1, 0.1, 0.8])
        assert samples[0]["split"] == "train"
        assert not found.notes

    def test_a_zip_and_a_folder_say_the_same(self, tmp_path: Path):
        folder = source(tmp_path / "in", 1001, 2004)
        _, one, _ = read(MOTS, folder)
        _, two, _ = read(MOTS, packed(folder, tmp_path / "in.zip"), media_dir=tmp_path / "media")
        assert repr(one) == repr(two)

    def test_the_official_classes_are_those_without_a_list(self, tmp_path: Path):
        _, rows, _ = read(MOTS, source(tmp_path, 1001, 2004, 10_000, labels=None))
        assert [(r["label"], r.get("index")) for r in rows] == [("car", 1), ("pedestrian", 4), ("ignored region", None)]

    def test_classes_as_an_option(self, tmp_path: Path):
        _, rows, _ = read(MOTS, source(tmp_path, 2004), classes=["a", "b"])
        assert [r["label"] for r in rows] == ["b"]

    def test_sequences_in_folders(self, tmp_path: Path):
        for name in ("0001", "0002"):
            png(tmp_path / "training/instances" / name / "000000.png", pixels(1001))
            image(tmp_path / "training/image_02" / name / "000000.png")
        samples, rows, _ = read(MOTS, tmp_path)
        assert sorted(Path(row["filepath"]).parent.name for row in samples) == ["0001", "0002"]
        assert len(rows) == 2

    def test_what_cannot_be_read_is_skipped(self, tmp_path: Path):
        folder = source(tmp_path, 1001, 7, 3001, 60_000)
        png(folder / "train/instances/000002.png", np.zeros((50, 100, 3), np.uint8))
        files(folder, {"train/instances/000003.png": b"\x89PNG\r\n\x1a\n broken"})
        for name in ("000002.jpg", "000003.jpg"):
            image(folder / "train/images" / name)
        _, rows, found = read(MOTS, folder)
        assert len(rows) == 1
        reasons = {(Path(r["place"].strip("'")).name, r["reason"]) for r in found.skipped.to_pylist()}
        assert reasons == {
            ("000001.png", "an object of a class that labels.txt does not have"),
            ("000002.png", "the mask has colours, and not numbers of objects"),
            ("000003.png", "the mask cannot be decoded (UnidentifiedImageError)"),
        }
        assert found.skipped.num_rows == 5

    def test_a_mask_of_another_size_than_its_image(self, tmp_path: Path):
        folder = source(tmp_path, 1001)
        image(folder / "train/images/000001.jpg", 80, 50)
        _, rows, found = read(MOTS, folder)
        assert not rows
        assert found.skipped["reason"].to_pylist() == ["its mask is not of the size of the image"]

    @pytest.mark.parametrize(("names", "frames"), [(("000001", "000003"), [1, 3]), (("000000", "000002"), [1, 3]),
                                                   (("frame_000000", "frame_000004"), [1, 5])])  # fmt: skip
    def test_frames_of_a_video_of_the_dataset(self, tmp_path: Path, names: tuple[str, ...], frames: list[int]):
        for name in names:
            png(tmp_path / "in/default/instances" / f"{name}.png", pixels(1001))
        found = MOTS.open(tmp_path / "in", MOTS.reading(), Context(known(video(tmp_path / "clip.mp4"))))
        rows = [row for p in found.parts() for row in p.labels.to_pylist()]
        assert [row["frame_number"] for row in rows] == frames

    def test_detection(self, tmp_path: Path):
        assert registry.of(source(tmp_path / "a", 1001)).name == "mots"
        png(tmp_path / "b/instances/a.png", pixels(1, bits=np.uint8))
        assert not MOTS.recognises(tmp_path / "b")

    def test_nothing_to_read(self, tmp_path: Path):
        with pytest.raises(InvalidSource, match=r"has no masks in a folder instances, and no lines of MOTS"):
            read(MOTS, files(tmp_path, {"a.txt": "hello"}))


def line(frame: int, value: int, mask: dict | None = None) -> str:
    """A line of MOTS."""
    height, width = (mask or stripe(1))["size"]
    return f"{frame} {value} {value // 1000} {height} {width} {(mask or stripe(1))['counts'].decode()}\n"


class TestContractOfTexts(FormatContract):
    """The text files keep the laws too."""

    format = MOTS
    options: ClassVar[dict[str, Any]] = {"layout": "txt"}


class TestTexts:
    def test_sequences_of_motchallenge(self, tmp_path: Path):
        for number in (1, 2):
            image(tmp_path / "train/MOTS20-02/img1" / f"{number:06d}.jpg")
        files(tmp_path / "train/MOTS20-02", {"gt/gt.txt": line(2, 2004) + line(2, 10_000, stripe(3))})
        samples, rows, _ = read(MOTS, tmp_path)
        assert [(r["image"], r["label"], r.get("index")) for r in rows] == [
            ("000002.jpg", "pedestrian", 4), ("000002.jpg", "ignored region", None),
        ]  # fmt: skip
        assert rows[0]["mask"] == stripe(1)
        assert {row["split"] for row in samples} == {"train"}

    def test_files_of_kitti_count_frames_from_0(self, tmp_path: Path):
        for number in (0, 1):
            image(tmp_path / "images/0002" / f"{number:06d}.png")
        files(tmp_path, {"instances_txt/0002.txt": line(1, 1005)})
        _, rows, _ = read(MOTS, tmp_path)
        assert [(r["image"], r["label"], r["index"]) for r in rows] == [("000001.png", "car", 5)]

    def test_frames_of_a_video_of_the_dataset(self, tmp_path: Path):
        files(tmp_path / "in", {"s/gt/gt.txt": line(3, 1005)})
        found = MOTS.open(tmp_path / "in", MOTS.reading(), Context(known(video(tmp_path / "clip.mp4"))))
        rows = [row for p in found.parts() for row in p.labels.to_pylist()]
        assert [(row["frame_number"], row["index"]) for row in rows] == [(3, 5)]

    def test_what_cannot_be_read_is_skipped(self, tmp_path: Path):
        image(tmp_path / "img1/000001.jpg")
        short = stripe(1)["counts"].decode()[:-1]
        lines = [
            line(1, 1001), "1 1001 1 50 100\n", line(0, 1001), line(1, 5001), f"1 1002 1 50 100 {short}\n",
            line(1, 1001, encode_rle(np.ones((5, 5), bool))), "1 1003 1 50 100 zzz\n", "1 1003 1 0 100 0\n",
        ]  # fmt: skip
        files(tmp_path, {"gt/gt.txt": "".join(lines)})
        _, rows, found = read(MOTS, tmp_path)
        assert len(rows) == 1
        assert sorted(int(p.rpartition(" ")[2]) for p in found.skipped["place"].to_pylist()) == list(range(2, 9))


class TestExport:
    def test_what_is_written_is_read_back(self, tmp_path: Path):
        samples = sequence(tmp_path / "in", ["000001.jpg", "000002.jpg"])
        labels = [label(samples[0], kind="mask", mask=stripe(1), index=7), label(samples[1], kind="mask", mask=stripe(2), index=7),
                  label(samples[1], kind="mask", mask=stripe(4), index=1, label="bus")]  # fmt: skip
        notes = written(MOTS, tmp_path / "out", part(samples, labels))
        assert not notes
        assert (tmp_path / "out/default/instances/labels.txt").read_text() == "bus\ncar\n"
        with Image.open(tmp_path / "out/default/instances/000001.png") as made:
            assert made.mode == "I;16"
            assert set(np.unique(np.asarray(made))) <= {0, 1001, 2007}
        _, rows, _ = read(MOTS, tmp_path / "out")
        assert sorted((r["label"], r["index"], repr(r["mask"])) for r in rows) == sorted(
            (r["label"], r["index"], repr(r["mask"])) for r in labels
        )

    def test_numbers_that_do_not_fit_and_labels_of_no_track(self, tmp_path: Path):
        samples = sequence(tmp_path / "in", ["000001.jpg", "000002.jpg"])
        labels = [
            label(samples[0], kind="mask", mask=stripe(1), index=5000), label(samples[1], kind="mask", mask=stripe(1), index=5000),
            label(samples[1], kind="mask", mask=stripe(2), index=1), label(samples[1], kind="mask", mask=stripe(3)),
        ]  # fmt: skip
        notes = written(MOTS, tmp_path / "out", part(samples, labels))
        assert notes == [
            "1 tracks have another number, as MOTS has 0 to 999.",
            "1 labels of no track have a number of their own, as a track of one frame has.",
        ]
        _, rows, _ = read(MOTS, tmp_path / "out")
        assert sorted(r["index"] for r in rows) == [1, 2, 2, 3]

    def test_what_lies_below_loses_pixels(self, tmp_path: Path):
        samples = sequence(tmp_path / "in", ["000001.jpg"])
        labels = [label(samples[0], bounding_box=[0.0, 0.0, 0.2, 0.2], index=2, attributes={"z_order": 1}),
                  label(samples[0], bounding_box=[0.0, 0.0, 0.4, 0.2], index=3),
                  label(samples[0], bounding_box=[0.8, 0.0, 0.2, 0.2], index=3)]  # fmt: skip
        notes = written(MOTS, tmp_path / "out", part(samples, labels))
        assert "1 labels lie below others, and lose the pixels that these cover." in notes
        assert "1 labels become one mask with another of the same class and track on their image." in notes
        _, rows, _ = read(MOTS, tmp_path / "out")
        assert {r["index"]: int(decode_rle(r["mask"]).sum()) for r in rows} == {2: 20 * 10, 3: 20 * 10 * 2}

    @pytest.mark.parametrize("layout", ["png", "txt"])
    @pytest.mark.parametrize("split", [None, "val"])
    def test_videos_and_images(self, tmp_path: Path, layout: str, split: str | None):
        clips = [video(tmp_path / "in" / name, name, split=split) for name in ("one.mp4", "two.mp4")]
        shots = sequence(tmp_path / "in/night", ["a b.jpg", "b.png"], split=split)
        labels = [label(row, 3, kind="mask", mask=stripe(1), index=4) for row in clips]
        labels += [label(row, kind="mask", mask=stripe(2), index=4) for row in shots]
        for samples in (clips[:1], clips, shots, [*clips, *shots]):
            ids = {row["sample_id"] for row in samples}
            out = tmp_path / f"out{len(samples)}{samples[0]['sample_id'][:3]}"
            written(MOTS, out, part(samples, [row for row in labels if row["sample_id"] in ids]), layout=layout)
            found, rows, _ = read(MOTS, out)
            assert len(rows) == len(samples) == len(found)
            assert {row.get("split") for row in found} == {split}
            assert {(row.get("frame_number"), row["index"]) for row in rows} == {
                (3 if row["media_type"] == "video" else None, 4) for row in samples
            }

    def test_text_files(self, tmp_path: Path):
        samples = sequence(tmp_path / "in", ["000001.jpg", "000002.jpg"])
        written(
            MOTS,
            tmp_path / "out",
            part(samples, [label(row, kind="mask", mask=stripe(1), index=4) for row in samples]),
            layout="txt",
        )
        assert (tmp_path / "out/gt/gt.txt").read_text() == line(1, 1004) + line(2, 1004)
        assert registry.of(tmp_path / "out").name == "mots"

    def test_too_many_classes_and_objects_are_refused(self, tmp_path: Path):
        samples = sequence(tmp_path / "in", ["000001.jpg"])
        many = [label(samples[0], kind="mask", mask=stripe(1), label=f"c{n}") for n in range(65)]
        with pytest.raises(Unsupported, match="MOTS has numbers for 64 classes, and there are 65"):
            written(MOTS, tmp_path / "a", part(samples, many))
        many = [label(samples[0], bounding_box=[n / 1002, 0.0, 0.001, 1.0]) for n in range(1001)]
        with pytest.raises(Unsupported, match=r"1,000 objects of a class in a sequence, and there are more of 'car'"):
            written(MOTS, tmp_path / "b", part(samples, many))
