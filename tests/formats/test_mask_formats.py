"""Segmentation mask, CamVid, Cityscapes and KITTI: masks as pixels, in the colours and numbers of each."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.formats.label_files import files, image, packed, read, rewritten
from tests.formats.test_voc import box, tree

from annobridge.core.geometry import decode_rle
from annobridge.exceptions import InvalidSource
from annobridge.formats.camvid import CamvidFormat
from annobridge.formats.cityscapes import CityscapesFormat
from annobridge.formats.common.file_format import FileFormat
from annobridge.formats.common.paint import Canvas, has_holes
from annobridge.formats.common.palette import voc_colour
from annobridge.formats.kitti import KittiFormat
from annobridge.formats.segmentation_mask import SegmentationMaskFormat
from annobridge.formats.voc import VocFormat

CITYSCAPES, KITTI, CAMVID, MASKS = CityscapesFormat(), KittiFormat(), CamvidFormat(), SegmentationMaskFormat()


def png(values: np.ndarray, dtype: type = np.uint8) -> bytes:
    """Numbers or colours as a PNG."""
    stream = io.BytesIO()
    Image.fromarray(np.asarray(values, dtype)).save(stream, "PNG")
    return stream.getvalue()


def canvas(*parts: tuple[int, slice]) -> np.ndarray:
    """An image of 100 × 50 numbers with columns of other numbers."""
    values = np.zeros((50, 100), np.int64)
    for number, columns in parts:
        values[10:20, columns] = number
    return values


def colours(values: np.ndarray) -> np.ndarray:
    """Numbers as the colours of Pascal VOC."""
    return np.array([voc_colour(n) for n in range(int(values.max()) + 1)])[values]


LEFT, RIGHT = slice(0, 10), slice(50, 70)


def areas(labels: list) -> list[tuple[str, int]]:
    """Class and number of pixels of each mask."""
    return sorted((row["label"], int(decode_rle(row["mask"]).sum())) for row in labels if "mask" in row)


class TestSegmentationMask:
    LABELMAP = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncar:128,0,0::\nbig bus:0,128,0::\n"

    def source(self, folder: Path, **more: bytes) -> Path:
        image(folder / "JPEGImages" / "a.jpg")
        classes = canvas((1, LEFT), (1, RIGHT), (2, slice(80, 90)))
        objects = canvas((1, LEFT), (2, RIGHT), (3, slice(80, 90)))
        return files(folder, {
            "labelmap.txt": self.LABELMAP, "ImageSets/Segmentation/train.txt": "a\n",
            "SegmentationClass/a.png": png(colours(classes)), "SegmentationObject/a.png": png(colours(objects)),
        })  # fmt: skip

    def test_objects_are_masks_of_their_class(self, tmp_path: Path):
        samples, labels, _ = read(MASKS, self.source(tmp_path))
        assert areas(labels) == [("big bus", 100), ("car", 100), ("car", 200)]
        assert [row["split"] for row in samples] == ["train"]

    def test_classes_are_read_where_that_is_asked_for(self, tmp_path: Path):
        _, labels, _ = read(MASKS, self.source(tmp_path), semantic=True)
        assert areas(labels) == [("big bus", 100), ("car", 300)]
        assert {row["kind"] for row in labels} == {"segmentation"}

    def test_grey_masks_have_the_number_of_the_line(self, tmp_path: Path):
        image(tmp_path / "JPEGImages" / "a.jpg")
        files(tmp_path, {
            "labelmap.txt": "q:0,128,0:: # color index 0\naeroplane:10,10,128:: # 1\n_dummy2:2,2,2::\nboat:108,0,100:: # 3\n",
            "SegmentationClass/a.png": png(canvas((1, LEFT), (3, RIGHT), (200, slice(80, 90)))),
        })  # fmt: skip
        _, labels, found = read(MASKS, tmp_path)
        assert areas(labels) == [("aeroplane", 100), ("boat", 200)]
        assert "the label map does not have" in found.notes[0]

    def test_masks_beside_images(self, tmp_path: Path):
        image(tmp_path / "data" / "a.jpg")
        files(tmp_path, {"labels/a.png": png(canvas((2, LEFT)))})
        assert areas(read(MASKS, tmp_path)[1]) == [("2", 100)]

    def test_what_is_written_is_read_back(self, tmp_path: Path):
        before = read(MASKS, self.source(tmp_path / "in"))[1]
        assert not rewritten(MASKS, tmp_path / "in", tmp_path / "out")
        assert areas(read(MASKS, tmp_path / "out")[1]) == areas(before)

    @pytest.mark.parametrize("line", ["car", "car:1,2:x", "car:256,0,0::"])
    def test_a_bad_line_of_the_label_map_is_named(self, tmp_path: Path, line: str):
        files(self.source(tmp_path), {"labelmap.txt": f"background:0,0,0::\n{line}\n"})
        with pytest.raises(InvalidSource, match=r"labelmap.txt', line 2,"):
            read(MASKS, tmp_path)

    def test_a_mask_that_is_no_image_is_skipped(self, tmp_path: Path):
        files(self.source(tmp_path), {"SegmentationClass/b.png": b"\x89PNG no"})
        _, labels, found = read(MASKS, tmp_path)
        assert len(labels) == 3
        assert "cannot be decoded" in found.notes[0]

    def test_a_huge_mask_is_not_decoded(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("ANNOBRIDGE_MAX_IMAGE_PIXELS", "100")
        _, labels, found = read(MASKS, self.source(tmp_path))
        assert not labels
        assert "cannot be decoded" in found.notes[0]


class TestCamvid:
    def source(self, folder: Path) -> Path:
        image(folder / "train" / "a b.png")
        image(folder / "train" / "c.png")
        return files(folder, {
            "label_colors.txt": "128 0 0 car\n0 128 0 big bus\n",
            "train.txt": '"/train/a b.png" "trainannot/a b.png"\n/train/c.png ""\n',
            "trainannot/a b.png": png(colours(canvas((1, LEFT), (2, RIGHT)))),
        })  # fmt: skip

    def test_lists_colours_and_masks(self, tmp_path: Path):
        samples, labels, found = read(CAMVID, self.source(tmp_path))
        assert [row["split"] for row in samples] == ["train", "train"]
        assert areas(labels) == [("big bus", 200), ("car", 100)]
        assert not found.notes

    def test_its_own_colours_where_it_has_no_list(self, tmp_path: Path):
        (self.source(tmp_path) / "label_colors.txt").unlink()
        values = np.zeros((50, 100, 3))
        values[:10] = (64, 0, 128)
        files(tmp_path, {"trainannot/a b.png": png(values)})
        assert areas(read(CAMVID, tmp_path)[1]) == [("Car", 1000)]

    def test_what_is_written_is_read_back(self, tmp_path: Path):
        before = read(CAMVID, self.source(tmp_path / "in"), semantic=True)[1]
        rewritten(CAMVID, tmp_path / "in", tmp_path / "out")
        samples, after, _ = read(CAMVID, tmp_path / "out", semantic=True)
        assert areas(after) == areas(before)
        assert {row["split"] for row in samples} == {"train"}


class TestCityscapes:
    def source(self, folder: Path, root: str = "imgsFine/") -> Path:
        image(folder / f"{root}leftImg8bit" / "train" / "aachen" / "a_leftImg8bit.png")
        return files(folder, {
            "label_colors.txt": "0 0 0 unlabeled\n128 0 0 car\n0 128 0 big road\n",
            "gtFine/train/aachen/a_gtFine_instanceIds.png": png(canvas((1001, LEFT), (1002, RIGHT), (2, slice(80, 90))), np.uint16),
        })  # fmt: skip

    @pytest.mark.parametrize("root", ["imgsFine/", ""])
    def test_instances_and_crowds(self, tmp_path: Path, root: str):
        samples, labels, _ = read(CITYSCAPES, self.source(tmp_path, root))
        assert areas(labels) == [("big road", 100), ("car", 100), ("car", 200)]
        assert {row["label"]: row["attributes"]["iscrowd"] for row in labels} == {"car": False, "big road": True}
        assert [(row["split"], Path(row["filepath"]).name) for row in samples] == [("train", "a_leftImg8bit.png")]

    def test_without_a_list_the_classes_are_those_of_the_original(self, tmp_path: Path):
        source = self.source(tmp_path)
        (source / "label_colors.txt").unlink()
        files(
            source, {"gtFine/train/aachen/a_gtFine_instanceIds.png": png(canvas((26001, LEFT), (7, RIGHT)), np.uint16)}
        )
        assert areas(read(CITYSCAPES, source)[1]) == [("car", 100), ("road", 200)]

    def test_a_city_without_a_split_onto_images_elsewhere(self, tmp_path: Path):
        image(tmp_path / "images" / "image_0.jpg")
        source = files(
            tmp_path / "in", {"gtFine/city/image_0_gtFine_instanceIds.png": png(canvas((26001, LEFT)), np.uint16)}
        )
        labels = read(CITYSCAPES, packed(source, tmp_path / "in.zip"), image_dir=tmp_path / "images")[1]
        assert areas(labels) == [("car", 100)]

    def test_what_is_written_is_read_back(self, tmp_path: Path):
        before = read(CITYSCAPES, self.source(tmp_path / "in"))[1]
        assert not rewritten(CITYSCAPES, tmp_path / "in", tmp_path / "out")
        samples, after, _ = read(CITYSCAPES, tmp_path / "out")
        assert areas(after) == areas(before)
        assert sorted(row["attributes"]["iscrowd"] for row in after) == [False, False, True]
        assert [row["split"] for row in samples] == ["train"]


class TestKitti:
    TEXT = "big car 0.5 1 -1 10 5 40 30 -1 -1 -1 -1 -1 -1 -1 0.5\nvan 0 0 -1 1 1 9 9 1.5 1.6 3.7 2 3 4 0.1\n"

    def source(self, folder: Path) -> Path:
        image(folder / "training" / "image_2" / "000030.png")
        return files(folder, {
            "label_colors.txt": "0 0 0 unlabeled\n128 0 0 car\n0 128 0 road\n", "training/label_2/000030.txt": self.TEXT,
            "training/instance/000030.png": png(canvas((257, LEFT), (258, RIGHT), (512, slice(80, 90))), np.uint16),
        })  # fmt: skip

    def test_boxes_and_masks(self, tmp_path: Path):
        samples, labels, _ = read(KITTI, self.source(tmp_path))
        first, second = (row for row in labels if row["kind"] == "box")
        assert (first["label"], first["confidence"]) == ("big car", 0.5)
        assert first["attributes"] == {"occluded": True, "truncated": True}
        assert first["bounding_box"] == pytest.approx([0.1, 0.1, 0.3, 0.5])
        assert second["attributes"]["dimensions"] == [1.5, 1.6, 3.7]
        assert areas(labels) == [("car", 100), ("car", 200), ("road", 100)]
        assert [row["split"] for row in samples] == ["training"]

    def test_what_is_written_is_read_back(self, tmp_path: Path):
        source = self.source(tmp_path / "in")
        files(source, {"training/label_2/000030.txt": self.TEXT.splitlines()[0]})
        before = read(KITTI, source)[1]
        assert not rewritten(KITTI, source, tmp_path / "out")
        after = read(KITTI, tmp_path / "out")[1]
        assert areas(after) == areas(before)
        assert [row for row in after if row["kind"] == "box"] == [
            row | {"image": "000030.png"} for row in before if row["kind"] == "box"
        ]

    @pytest.mark.parametrize("line", ["car 0 0 -1 10 5 40", "car 0 0 -1 nan 5 40 30 -1 -1 -1 -1 -1 -1 -1", "10 5 40"])
    def test_a_bad_line_is_skipped_with_its_number(self, tmp_path: Path, line: str):
        files(self.source(tmp_path), {"training/label_2/000030.txt": f"{self.TEXT}{line}\n"})
        found = read(KITTI, tmp_path)[2]
        (skipped,) = found.report.skipped.to_pylist()
        assert skipped["place"].endswith("000030.txt', line 3")


def test_lines_of_yolo_are_not_kitti(tmp_path: Path):
    files(tmp_path, {"labels/a.txt": "0 " + "0.1 " * 16})
    assert not KITTI.recognises(tmp_path)


@pytest.mark.parametrize("format_", [MASKS, CAMVID, CITYSCAPES, KITTI])
def test_shapes_are_painted_and_that_is_told(format_: FileFormat, tmp_path: Path):
    source = tree(tmp_path / "in", box(10, 5, 40, 30), box(20, 5, 30, 30, name="bus"))
    from tests.formats.label_files import opened, parts

    out = tmp_path / "out"
    out.mkdir()
    assert format_.writing is not None
    notes = format_.write(parts(opened(VocFormat(), source)), out, format_.writing())
    labels = read(format_, out)[1]
    if format_ is KITTI:
        assert [row["kind"] for row in labels] == ["box", "box"]
    else:
        assert "2 detections will be painted" in notes[0]
        assert areas(labels) == [("bus", 250), ("car", 500)]


def test_a_ring_in_a_ring_is_a_hole():
    outer = [[0, 0], [20, 0], [20, 20], [0, 20]]
    assert has_holes([outer, [[5, 5], [15, 5], [15, 15], [5, 15]]])
    assert not has_holes([outer, [[30, 30], [40, 30], [40, 40]]])


def test_the_upper_covers_the_lower():
    def row(x: int, z: int) -> dict:
        given = [{"name": "z_order", "type": "int", "value": str(z)}]
        return {
            "kind": "box",
            "label": "a",
            "bounding_box": [x, 0, 4, 4],
            "rotation": None,
            "mask": None,
            "attributes": given,
        }

    made = Canvas([row(0, 5), row(2, 1)], (10, 4), {"a": 1})
    assert np.bincount(made.instances().ravel()).tolist() == [
        16,
        8,
        16,
    ]  # the second row is below, and was painted first
    assert made.covered == 1
