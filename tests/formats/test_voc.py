"""Pascal VOC: the trees that it comes in, what each writer does, and what comes back after an export."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.formats.label_files import files, image, packed, read, rewritten

from annobridge.exceptions import InvalidSource
from annobridge.formats.common.archive import Archive
from annobridge.formats.voc import VocFormat

VOC = VocFormat()


def xml(*objects: str, name: str = "a.jpg", database: str = "Unknown") -> str:
    """The XML of an image."""
    return (
        f"<annotation><folder></folder><filename>{name}</filename><source><database>{database}</database></source>"
        f"<size><width>100</width><height>50</height><depth>3</depth></size><segmented>0</segmented>\n"
        + "\n".join(objects)
        + "</annotation>"
    )


def box(*corners: float | str, name: str = "car", more: str = "") -> str:
    """An object."""
    sides = "".join(f"<{s}>{v}</{s}>" for s, v in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True))
    return f"<object><name>{name}</name>{more}<bndbox>{sides}</bndbox></object>"


def tree(folder: Path, *objects: str, **options: str) -> Path:
    """A tree of one image."""
    image(folder / "JPEGImages" / "a.jpg")
    return files(folder, {"Annotations/a.xml": xml(*objects, **options)})


class TestReading:
    def test_boxes_with_flags_attributes_and_a_track(self, tmp_path: Path):
        more = "<truncated>1</truncated><difficult>0</difficult><occluded>True</occluded><decks>2</decks>\
<attributes><attribute><name>color</name><value>green</value></attribute>\
<attribute><name>track_id</name><value>7</value></attribute></attributes><actions><walking>1</walking></actions>"
        _, (label,), _ = read(VOC, tree(tmp_path, box(10, 5, "40.0", 30, more=more)))
        assert label["bounding_box"] == pytest.approx([0.1, 0.1, 0.3, 0.5])
        assert label["index"] == 7
        assert label["attributes"] == {
            "truncated": True, "difficult": False, "occluded": True, "decks": "2", "color": "green", "walking": True,
        }  # fmt: skip

    def test_parts_are_boxes_that_name_their_object(self, tmp_path: Path):
        part = (
            "<part><name>head</name><bndbox><xmin>10</xmin><ymin>5</ymin><xmax>20</xmax><ymax>15</ymax></bndbox></part>"
        )
        _, labels, _ = read(VOC, tree(tmp_path, box(10, 5, 40, 30, name="person", more=part)))
        assert [(row["label"], row["attributes"]) for row in labels] == [
            ("person", {"group": 1}), ("head", {"group": 1, "part_of": "person"}),
        ]  # fmt: skip

    def test_the_polygon_of_roboflow_is_a_label_too(self, tmp_path: Path):
        ring = "<polygon><x1>10</x1><y1>5</y1><x2>40</x2><y2>5</y2><x3>40</x3><y3>30</y3></polygon>"
        _, labels, _ = read(VOC, tree(tmp_path, box(10, 5, 40, 30, more=ring)))
        assert [row["kind"] for row in labels] == ["box", "polygon"]
        assert labels[1]["points"][0][1] == pytest.approx([0.4, 0.1])

    def test_the_first_pixel_of_the_original_data_sets_is_1(self, tmp_path: Path):
        source = tree(tmp_path, box(11, 6, 40, 30), database="The VOC2007 Database")
        expected = pytest.approx([0.1, 0.1, 0.3, 0.5])
        assert read(VOC, source)[1][0]["bounding_box"] == expected
        assert read(VOC, source, one_based=False)[1][0]["bounding_box"] != expected

    def test_a_flat_zip_of_xml_as_cvat_takes_it(self, tmp_path: Path):
        image(tmp_path / "images" / "a.jpg")
        flat = packed(files(tmp_path / "flat", {"a.xml": xml(box(10, 5, 40, 30))}), tmp_path / "flat.zip")
        samples, labels, _ = read(VOC, flat, image_dir=tmp_path / "images")
        assert (len(samples), len(labels)) == (1, 1)

    def test_lists_give_splits_and_classes_of_images(self, tmp_path: Path):
        source = tree(tmp_path, box(10, 5, 40, 30))
        image(tmp_path / "JPEGImages" / "b 2.jpg")
        files(source, {
            "ImageSets/Main/train.txt": "a\n", "ImageSets/Main/val.txt": "b 2\n", "ImageSets/Main/day_train.txt": "a  1\n",
            "ImageSets/Main/day_val.txt": "b 2 -1\n", "ImageSets/Main/trainval.txt": "a\nb 2\n",
        })  # fmt: skip
        samples, labels, _ = read(VOC, source)
        assert {Path(row["filepath"]).name: row["split"] for row in samples} == {"a.jpg": "train", "b 2.jpg": "val"}
        assert [(row["kind"], row["label"], row["image"]) for row in labels] == [
            ("box", "car", "a.jpg"), ("classification", "day", "a.jpg"),
        ]  # fmt: skip

    @pytest.mark.parametrize(("line", "expected"), [("a 1", "a 1.jpg"), ("a  1", "a.jpg"), ("a 1\nb", "a 1.jpg")])
    def test_names_that_end_like_a_flag(self, tmp_path: Path, line: str, expected: str):
        """Lists of actions and layouts have a number behind each name; CVAT's list of masks has names only."""
        image(tmp_path / "JPEGImages" / expected)
        source = files(tmp_path, {
            f"Annotations/{Path(expected).stem}.xml": xml(box(10, 5, 40, 30), name=expected),
            "ImageSets/Main/train.txt": f"{Path(expected).stem}\n", "ImageSets/Segmentation/train.txt": f"{line}\n",
        })  # fmt: skip
        samples, _, found = read(VOC, source)
        assert [Path(row["filepath"]).name for row in samples] == [expected]
        assert not [said for said in found.assumptions if "not found" in said and "a'" in said]

    def test_folders_of_splits(self, tmp_path: Path):
        for split in ("train", "val"):
            image(tmp_path / split / "images" / "a.jpg")
            files(tmp_path, {f"{split}/annotations/a.xml": xml(box(10, 5, 40, 30))})
        samples, labels, _ = read(VOC, tmp_path)
        assert [row["split"] for row in samples] == ["train", "val"]
        assert len(labels) == 2


class TestExport:
    def test_what_is_written_is_read_back(self, tmp_path: Path):
        more = (
            "<truncated>1</truncated><attributes><attribute><name>n</name><value>2</value><type>int</type></attribute>\
<attribute><name>score</name><value>0.25</value></attribute><attribute><name>rotation</name><value>12.5</value></attribute>\
</attributes>"
        )
        source = tree(tmp_path / "in", box(10.5, 5.25, 40, 30, more=more), box(1, 1, 9, 9, name="a &amp; b"))
        files(source, {"ImageSets/Main/train.txt": "a\n", "ImageSets/Main/day_train.txt": "a  1\n"})
        before = read(VOC, source)
        assert not rewritten(VOC, source, tmp_path / "out")
        after = read(VOC, tmp_path / "out")
        assert before[1] == after[1]
        assert before[1][0]["attributes"] == {"n": 2, "truncated": True}
        assert (before[1][0]["confidence"], before[1][0]["rotation"]) == (0.25, 12.5)
        assert [row["split"] for row in after[0]] == ["train"]

    def test_images_of_one_name_in_two_splits_keep_apart(self, tmp_path: Path):
        for split, x in (("train", 10), ("val", 20)):
            image(tmp_path / "in" / split / "images" / "a.jpg")
            files(tmp_path / "in", {f"{split}/annotations/a.xml": xml(box(x, 5, 40, 30))})
        rewritten(VOC, tmp_path / "in", tmp_path / "out")
        samples, labels, _ = read(VOC, tmp_path / "out")
        assert sorted(row["split"] for row in samples) == ["train", "val"]
        assert sorted(row["bounding_box"][0] for row in labels) == pytest.approx([0.1, 0.2])


class TestBadInput:
    @pytest.mark.parametrize(
        ("object_", "reason"),
        [
            (box("nan", 5, 40, 30), "a position is missing, or is no number"),
            (box("", 5, 40, 30), "a position is missing, or is no number"),
            (box(10, 5, 40, 30, name=""), "it has no class"),
            ("<object><name>car</name></object>", "it has no box"),
            (box(200, 5, 240, 30), "it is outside its image"),
        ],
    )
    def test_a_bad_object_is_skipped_with_its_place(self, tmp_path: Path, object_: str, reason: str):
        _, labels, found = read(VOC, tree(tmp_path, box(1, 1, 9, 9), object_))
        assert len(labels) == 1
        (skipped,) = found.report.skipped.to_pylist()
        assert skipped["reason"] == reason
        assert "Annotations/a.xml', line " in skipped["place"]

    def test_a_document_type_is_refused(self, tmp_path: Path):
        source = tree(tmp_path, box(1, 1, 9, 9))
        files(source, {"Annotations/b.xml": '<!DOCTYPE a [<!ENTITY x "y">]>' + xml()})
        with pytest.raises(InvalidSource, match="document type"):
            read(VOC, source)


def test_labelme_is_not_taken_for_it(tmp_path: Path):
    files(
        tmp_path,
        {"a.xml": "<annotation><filename>a.jpg</filename><imagesize><nrows>5</nrows></imagesize></annotation>"},
    )
    with Archive(tmp_path) as archive:
        assert VOC.detect(archive) is None
