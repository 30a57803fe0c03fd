"""CVAT's XML: each structure that it comes in, what is skipped and why, and what comes back after an export."""

from __future__ import annotations

import math
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pytest
from tests.formats.label_files import files, image, packed, read, rewritten

from annobridge.core.geometry import decode_rle
from annobridge.core.labels import LABELS
from annobridge.exceptions import InvalidSource, Unsupported
from annobridge.formats.base import Part
from annobridge.formats.common.archive import Archive
from annobridge.formats.common.images import Context
from annobridge.formats.cvat import CvatFormat

CVAT = CvatFormat()
DECLARED = """<labels>
<label><name>car</name><type>any</type><attributes>
<attribute><name>plate</name><mutable>True</mutable><input_type>text</input_type><values></values></attribute>
<attribute><name>doors</name><input_type>number</input_type><values>0\n9\n1</values></attribute>
<attribute><name>parked</name><input_type>checkbox</input_type><values>false</values></attribute>
</attributes></label>
<label><name>pose</name><type>skeleton</type><attributes></attributes></label>
<label><name>nose</name><type>points</type><attributes></attributes><parent>pose</parent></label>
<label><name>hand</name><type>points</type><attributes>
<attribute><name>open</name><input_type>checkbox</input_type></attribute></attributes><parent>pose</parent></label>
<label><name>day</name><type>tag</type><attributes></attributes></label>
</labels>"""
TASK = f"<meta><task><id>5</id><name>t</name><subset>default</subset>{DECLARED}</task></meta>"


def xml(body: str, meta: str = TASK) -> str:
    """A file of CVAT."""
    return f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n{meta}\n{body}\n</annotations>\n'


def on_image(shapes: str, name: str = "a.jpg") -> str:
    """An image with shapes."""
    return f'<image id="0" name="{name}" width="100" height="50">\n{shapes}\n</image>'


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with one image, and room for an XML file."""
    image(tmp_path / "in" / "images" / "a.jpg")
    return tmp_path / "in"


SHAPES = """
<box label="car" source="manual" occluded="1" xtl="10.00" ytl="5.00" xbr="40.00" ybr="30.00" z_order="2" group_id="3">
<attribute name="plate">true</attribute><attribute name="doors">4</attribute><attribute name="parked">true</attribute></box>
<box label="car" source="auto" occluded="0" xtl="50" ytl="20" xbr="80" ybr="40" rotation="30.00" z_order="0"></box>
<polygon label="car" source="manual" occluded="0" points="5,5;25,5.5;20,25" z_order="0"></polygon>
<polyline label="car" source="manual" occluded="0" points="0,0;10,10;20,5" z_order="0"></polyline>
<points label="car" source="manual" occluded="0" points="7,7;8,9" z_order="0"></points>
<mask label="car" source="manual" occluded="0" rle="3, 4, 1, 4, 8" left="12" top="14" width="5" height="4" z_order="0"></mask>
<ellipse label="car" source="manual" occluded="0" cx="70" cy="25" rx="12.5" ry="7.25" rotation="45" z_order="0"></ellipse>
<cuboid label="car" source="manual" occluded="0" xtl1="10" ytl1="10" xbl1="10" ybl1="30" xtr1="30" ytr1="12" xbr1="30"
 ybr1="32" xtl2="36" ytl2="14" xbl2="36" ybl2="30" xtr2="18" ytr2="11" xbr2="18" ybr2="29" z_order="0"></cuboid>
<skeleton label="pose" source="manual" z_order="0">
<points label="hand" source="manual" outside="0" occluded="1" points="25,27"><attribute name="open">false</attribute></points>
<points label="nose" source="manual" outside="1" occluded="0" points="15,16"></points></skeleton>
<tag label="day" source="manual"></tag>
"""


class TestImages:
    def test_every_shape_is_read(self, source: Path):
        files(source, {"annotations.xml": xml(on_image(SHAPES))})
        _, labels, found = read(CVAT, source)
        by_kind = {row["kind"]: row for row in reversed(labels)}
        assert not found.notes
        assert by_kind["box"]["bounding_box"] == pytest.approx([0.1, 0.1, 0.3, 0.5])
        assert by_kind["box"]["attributes"] == {
            "doors": 4, "group": 3, "occluded": True, "parked": True, "plate": "true", "z_order": 2,
        }  # fmt: skip
        assert labels[1]["rotation"] == 30.0
        assert labels[1]["attributes"]["source"] == "auto"
        assert by_kind["ellipse"]["bounding_box"] == pytest.approx([0.575, 0.355, 0.25, 0.29])
        assert by_kind["polyline"]["closed"] is False
        assert by_kind["keypoints"]["visibility"] == [2, 2]
        assert len(by_kind["cuboid"]["points"][0]) == 8
        skeleton = by_kind["skeleton"]
        assert skeleton["visibility"] == [0, 1]  # in the order of the file's labels: nose, hand
        assert skeleton["attributes"] == {"hand.open": False, "keypoints": ["nose", "hand"], "z_order": 0}
        assert by_kind["classification"]["label"] == "day"
        assert by_kind["mask"]["mask"]["size"] == [50, 100]

    def test_a_bare_file_a_zip_and_a_folder_say_the_same(self, source: Path, tmp_path: Path):
        files(source, {"annotations.xml": xml(on_image(SHAPES))})
        _, folder, _ = read(CVAT, source)
        _, zipped, _ = read(CVAT, packed(source, tmp_path / "in.zip"), media_dir=tmp_path / "media")
        bare = files(tmp_path / "bare", {"x.xml": xml(on_image(SHAPES))}) / "x.xml"
        _, alone, _ = read(CVAT, bare, image_dir=source / "images")
        assert repr(folder) == repr(zipped) == repr(alone)

    def test_a_project_has_images_of_one_name_and_id_in_its_subsets(self, tmp_path: Path):
        meta = f"<meta><project><id>3</id>{DECLARED}<tasks></tasks></project></meta>"
        body = ""
        for split, x in (("train", 10), ("val", 20)):
            image(tmp_path / "images" / split / "a.jpg")
            box = f'<box label="car" occluded="0" xtl="{x}" ytl="0" xbr="90" ybr="40"></box>'
            body += on_image(box).replace('name="a.jpg"', f'name="a.jpg" subset="{split}"')
        files(tmp_path, {"annotations.xml": xml(body, meta)})
        samples, labels, _ = read(CVAT, tmp_path)
        assert sorted(row["split"] for row in samples) == ["train", "val"]
        assert [row["bounding_box"][0] for row in labels] == pytest.approx([0.1, 0.2])

    def test_files_named_after_splits_are_splits(self, tmp_path: Path):
        for split in ("train", "val"):
            image(tmp_path / "images" / f"{split}.jpg")
            files(tmp_path, {f"{split}.xml": xml(on_image("", f"{split}.jpg"))})
        samples, _, _ = read(CVAT, tmp_path)
        assert [row["split"] for row in samples] == ["train", "val"]


class TestVideo:
    META = (
        f"<meta><task><id>1</id><name>v</name>{DECLARED}<original_size><width>100</width><height>50</height></original_size>\
<source>clip.mp4</source></task></meta>"
    )
    TRACKS = """
<track id="7" label="car" source="manual" group_id="2">
<box frame="0" keyframe="1" outside="0" occluded="0" xtl="10" ytl="5" xbr="40" ybr="30" z_order="0"></box>
<box frame="1" keyframe="0" outside="0" occluded="1" xtl="20" ytl="5" xbr="50" ybr="30" z_order="0"></box>
<box frame="2" keyframe="1" outside="1" occluded="0" xtl="20" ytl="5" xbr="50" ybr="30" z_order="0"></box></track>
<track id="8" label="pose" source="manual">
<skeleton frame="1" keyframe="1" z_order="0"><points label="nose" outside="0" occluded="0" points="15,16"></points>
<points label="hand" outside="0" occluded="0" points="25,26"></points></skeleton></track>
<track id="9" label="car" source="manual">
<mask frame="0" keyframe="1" outside="0" occluded="0" rle="0, 4" left="1" top="1" width="2" height="2" z_order="0"></mask>
</track>"""

    def test_tracks_are_labels_of_a_video_in_the_source(self, tmp_path: Path):
        files(tmp_path, {"annotations.xml": xml(self.TRACKS, self.META), "clip.mp4": b"no video"})
        _, labels, found = read(CVAT, tmp_path)
        boxes = [row for row in labels if row["kind"] == "box"]
        assert [(row["frame_number"], row["index"], row["keyframe"]) for row in boxes] == [(1, 7, True), (2, 7, False)]
        assert {row["field"] for row in boxes} == {"frames.detections"}
        assert sorted(row["kind"] for row in labels) == ["box", "box", "mask", "skeleton"]
        assert not found.notes

    def test_tracks_are_labels_of_images_that_are_the_frames(self, tmp_path: Path):
        for number in range(3):
            image(tmp_path / "images" / f"frame_{number:06d}.PNG")
        files(tmp_path, {"annotations.xml": xml(self.TRACKS, self.META)})
        samples, labels, _ = read(CVAT, tmp_path)
        assert len(samples) == 3
        assert [row["index"] for row in labels if row["image"] == "frame_000001.PNG"] == [7, 8]

    def test_frames_are_images_in_their_order_where_these_have_other_names(self, tmp_path: Path):
        for name in ("one.jpg", "three.jpg", "two.jpg"):
            image(tmp_path / "images" / name)
        meta = self.META.replace("<name>v</name>", "<name>v</name><size>3</size>").replace(
            "<source>clip.mp4</source>", ""
        )
        files(tmp_path, {"annotations.xml": xml(self.TRACKS, meta)})
        _, labels, _ = read(CVAT, tmp_path)
        assert {(row["image"], row["index"]) for row in labels} == {
            ("one.jpg", 7), ("one.jpg", 9), ("three.jpg", 7), ("three.jpg", 8),
        }  # fmt: skip

    def test_frames_of_a_projects_tasks_are_counted_in_each_video(self, tmp_path: Path):
        tasks = "".join(
            f"<task><id>{n}</id><name>t{n}</name><size>10</size><subset>s</subset><start_frame>0</start_frame>"
            f"<original_size><width>100</width><height>50</height></original_size><source>{n}.mp4</source></task>"
            for n in (1, 2)
        )
        meta = f"<meta><project><id>3</id><tasks>{tasks}</tasks>{DECLARED}</project></meta>"
        box = '<box frame="{}" keyframe="1" outside="0" occluded="0" xtl="10" ytl="5" xbr="40" ybr="30"></box>'
        body = "".join(
            f'<track id="{n}" label="car" task_id="{n}" subset="s">{box.format(frame)}</track>'
            for n, frame in ((1, 4), (2, 13))
        )
        files(tmp_path, {"annotations.xml": xml(body, meta), "1.mp4": b"", "2.mp4": b""})
        _, labels, _ = read(CVAT, tmp_path)
        assert {(row["image"], row["frame_number"]) for row in labels} == {("1.mp4", 5), ("2.mp4", 4)}


class TestExport:
    def test_what_is_written_is_read_back(self, source: Path, tmp_path: Path):
        files(source, {"annotations.xml": xml(on_image(SHAPES))})
        _, before, _ = read(CVAT, source)
        notes = rewritten(CVAT, source, tmp_path / "out")
        _, after, found = read(CVAT, tmp_path / "out")
        assert not notes
        assert not found.notes

        def exact(rows: list) -> list[str]:
            return sorted(repr({k: v for k, v in row.items() if k not in ("bounding_box", "points")}) for row in rows)

        assert exact(before) == exact(after)
        for old, new in zip(before, after, strict=True):
            assert new.get("bounding_box", []) == pytest.approx(old.get("bounding_box", []))

    def test_texts_that_xml_must_escape(self, source: Path, tmp_path: Path):
        odd = (
            '<box label="a &amp; &quot;b&quot; &lt;c&gt;" occluded="0" xtl="1" ytl="1" xbr="9" ybr="9">'
            '<attribute name="é &amp;">'
            " x&lt;y\n</attribute></box>"
        )
        files(source, {"annotations.xml": xml(on_image(odd))})
        rewritten(CVAT, source, tmp_path / "out")
        _, (label,), _ = read(CVAT, tmp_path / "out")
        assert label["label"] == 'a & "b" <c>'
        assert label["attributes"]["é &"] == " x<y\n"

    def test_classes_are_in_the_order_that_is_asked_for(self, source: Path, tmp_path: Path):
        files(source, {"annotations.xml": xml(on_image(SHAPES))})
        rewritten(CVAT, source, tmp_path / "out", classes=("pose", "car"), save_media=False)
        text = (tmp_path / "out" / "annotations.xml").read_text("utf-8")
        assert text.index("<name>pose") < text.index("<name>car") < text.index("<name>day")

    def test_splits_are_subsets(self, tmp_path: Path):
        for split in ("train", "val"):
            image(tmp_path / "in" / "images" / split / "a.jpg")
            files(tmp_path / "in", {f"{split}.xml": xml(on_image("").replace("<image ", f'<image subset="{split}" '))})
        rewritten(CVAT, tmp_path / "in", tmp_path / "out")
        samples, _, _ = read(CVAT, tmp_path / "out")
        assert sorted((row["split"], Path(row["filepath"]).parent.name) for row in samples) == [
            ("train", "train"),
            ("val", "val"),
        ]


def test_images_of_a_video_task_are_frames_of_the_datasets_video(tmp_path: Path):
    body = on_image('<box label="car" occluded="0" xtl="10" ytl="5" xbr="40" ybr="30"></box>', "frame_000003")
    body += on_image('<box label="car" occluded="0" xtl="1" ytl="5" xbr="40" ybr="30"></box>', "other.jpg")
    files(tmp_path, {"annotations.xml": xml(body, TestVideo.META)})
    known = {
        "sample_id": "v",
        "filepath": "/videos/clip.mp4",
        "media_type": "video",
        "width": 100,
        "height": 50,
        "frames": 9,
    }
    found = CVAT.open(tmp_path, CVAT.reading(), Context(pa.Table.from_pylist([known])))
    labels = [row for part in found.parts() for row in part.labels.to_pylist()]
    assert [(row["sample_id"], row["frame_number"]) for row in labels] == [("v", 4)]
    assert "its image was not found" in found.notes[0]


class TestLosses:
    def written(self, folder: Path, *rows: dict, **options: bool) -> tuple[list, list[str]]:
        """Labels of one image after an export, and its notes."""
        path = image(folder / "a.jpg")
        sample = {"sample_id": "s", "filepath": str(path), "width": 100, "height": 50}
        given = [
            {"label_id": str(n), "sample_id": "s", "field": "f", "rev": 1, "label": "car", **row}
            for n, row in enumerate(rows)
        ]
        part = Part(pa.Table.from_pylist([sample]), pa.Table.from_pylist(given, schema=LABELS))
        out = folder / "out"
        out.mkdir()
        notes = CVAT.write([part], out, CVAT.writing(**options))
        return read(CVAT, out)[1], notes

    OUTER: ClassVar[list] = [[0.1, 0.1], [0.5, 0.1], [0.5, 0.9], [0.1, 0.9]]
    HOLE: ClassVar[list] = [[0.2, 0.2], [0.4, 0.2], [0.4, 0.8], [0.2, 0.8]]

    def test_a_polygon_with_a_hole_is_a_mask(self, tmp_path: Path):
        (label,), notes = self.written(
            tmp_path, {"kind": "polygon", "points": [self.OUTER, self.HOLE], "closed": True, "filled": True}
        )
        assert label["kind"] == "mask"
        assert decode_rle(label["mask"]).sum() == 40 * 40 - 20 * 30
        assert any("polygons have holes, which are painted" in note for note in notes)

    def test_a_polygon_of_two_parts_is_two_of_a_group(self, tmp_path: Path):
        apart = [[x + 0.45, y] for x, y in self.OUTER]
        labels, _ = self.written(
            tmp_path, {"kind": "polygon", "points": [self.OUTER, apart], "closed": True, "filled": True}
        )
        assert [row["attributes"]["group"] for row in labels] == [1, 1]

    def test_missing_points_are_left_out_and_told(self, tmp_path: Path):
        (label,), notes = self.written(
            tmp_path,
            {"kind": "keypoints", "points": [[[0.1, 0.1], [math.nan, math.nan], [0.3, 0.3]]], "visibility": [2, 0, 1]},
        )
        assert len(label["points"][0]) == 2
        assert notes[0] == "f: 1 labels have hidden or missing points, which are lost."

    def test_scores_and_classes_of_images(self, tmp_path: Path):
        labels, _ = self.written(
            tmp_path, {"kind": "classification", "confidence": 0.25},
            {"kind": "box", "bounding_box": [0.1, 0.1, 0.2, 0.2], "confidence": 1.0},
        )  # fmt: skip
        assert [(row["kind"], row["confidence"]) for row in labels] == [("box", 1.0), ("classification", 0.25)]

    def test_what_it_cannot_hold_is_refused_where_that_is_asked_for(self, tmp_path: Path):
        with pytest.raises(Unsupported, match="scalars? cannot be written"):
            self.written(tmp_path, {"kind": "scalar", "label": None, "value": "7"}, strict=True)


BOX = '<box label="car" occluded="0" xtl="{}" ytl="5" xbr="40" ybr="30"></box>'
SKIPPED = {
    BOX.format("nan"): "a position is missing, or is no number",
    BOX.format("1e999"): "a position is missing, or is no number",
    BOX.format("x"): "a position is missing, or is no number",
    '<box label="" xtl="1" ytl="1" xbr="2" ybr="2"></box>': "it has no class",
    '<blob label="car"></blob>': "the element <blob> is not known",
    '<polygon label="car" points="1,2;3"></polygon>': "a position is missing, or is no number",
    '<mask label="car" rle="1, 2" left="0" top="0" width="2" height="2"></mask>': "its RLE is not of the size of its box",
    '<mask label="car" rle="1, 9" left="0" top="0" width="2" height="2"></mask>': "its RLE is not of the size of its box",
    '<mask label="car" rle="-1, 5" left="0" top="0" width="2" height="2"></mask>': "its RLE is no list of run lengths",
    '<mask label="car" rle="4" left="200" top="0" width="2" height="2"></mask>': "its mask is not inside its image",
    '<mask label="car" rle="4" left="0" top="0" width="99999" height="99999"></mask>': "its mask is not inside its image",
    '<skeleton label="pose"><points label="nose" points="a,b"></points></skeleton>': "a position is missing, or is no number",
    BOX.format("500").replace('xbr="40"', 'xbr="600"'): "it is outside its image",
}


class TestBadInput:
    @pytest.mark.parametrize("shape", SKIPPED)
    def test_one_bad_shape_is_skipped_with_its_place(self, source: Path, shape: str):
        files(source, {"annotations.xml": xml(on_image(f"{BOX.format(1)}\n{shape}"))})
        _, labels, found = read(CVAT, source)
        assert len(labels) == 1
        (skipped,) = found.report.skipped.to_pylist()
        assert skipped["reason"] == SKIPPED[shape]
        assert "annotations.xml', line " in skipped["place"]

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ('<!DOCTYPE a [<!ENTITY x "y">]><annotations></annotations>', "document type"),
            (
                '<!--c--><?p q?>\n<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotations>&x;</annotations>',
                "document type",
            ),
            (f"<annotations>{'<image>' * 100_000}", "not well-formed XML"),
            ("<annotations><image", "not well-formed XML"),
            (xml(on_image(""))[:-20], "not well-formed XML"),
        ],
    )
    def test_a_file_that_does_harm_or_is_cut_is_refused(self, source: Path, text: str, said: str):
        files(source, {"annotations.xml": text})
        with pytest.raises(InvalidSource, match=said):
            read(CVAT, source)

    def test_a_class_that_is_not_declared_is_read_and_told(self, source: Path):
        files(source, {"annotations.xml": xml(on_image(BOX.format(1).replace("car", "tram")))})
        _, labels, found = read(CVAT, source)
        assert [row["label"] for row in labels] == ["tram"]
        assert "does not declare" in found.notes[0]

    def test_labels_of_a_missing_image_are_skipped(self, source: Path):
        files(source, {"annotations.xml": xml(on_image(BOX.format(1)) + on_image(BOX.format(2), "gone.jpg"))})
        _, labels, found = read(CVAT, source)
        assert len(labels) == 1
        assert "its image was not found" in found.notes[0]


def test_it_is_told_by_its_root(tmp_path: Path):
    files(tmp_path, {"a.xml": "<annotation><object/></annotation>"})
    with Archive(tmp_path) as archive:
        assert CVAT.detect(archive) is None
    files(tmp_path, {"b.xml": xml("")})
    with Archive(tmp_path) as archive:
        assert CVAT.detect(archive) == "b.xml has the root <annotations> of CVAT's XML"
