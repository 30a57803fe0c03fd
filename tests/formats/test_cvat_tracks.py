"""CVAT for video: tracks that are written, and tracks of which only keyframes are in the file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.formats.label_files import files, read
from tests.formats.tracks import label, part, sequence, video, written

from annobridge.core.geometry import encode_rle
from annobridge.exceptions import InvalidOption, InvalidSource
from annobridge.formats.common import interpolate
from annobridge.formats.cvat import CvatFormat
from annobridge.testing import FormatContract

CVAT = CvatFormat()


def text_of(folder: Path, name: str = "annotations.xml") -> str:
    """A file that was written."""
    return (folder / name).read_text("utf-8")


def clip(folder: Path, *labels: dict[str, Any], **values: Any) -> tuple[Path, list[str]]:
    """An export of a video of nine frames, and the notes."""
    notes = written(CVAT, folder / "out", part([video(folder / "in" / "clip.mp4", **values)], list(labels)))
    return folder / "out", notes


class TestContract(FormatContract):
    """What is written as tracks keeps the laws too."""

    format = CVAT
    options: ClassVar[dict[str, Any]] = {"tracks": True}


class TestWriting:
    def test_a_track(self, tmp_path: Path):
        given = {
            "index": 7,
            "attributes": {"colour": "red", "speed": 3, "occluded": True, "group": 2, "source": "auto"},
        }
        moved = {"index": 7, "attributes": {"colour": "red", "speed": 4, "group": 2, "source": "auto", "z_order": 1}}
        out, notes = clip(tmp_path, label("v", 2, **given), label("v", 3, **moved, bounding_box=[0.2, 0.2, 0.3, 0.4]))
        assert not notes
        text = text_of(out)
        assert "<mode>interpolation</mode>" in text
        assert "<source>clip.mp4</source>" in text
        assert "<size>9</size>" in text
        assert "<width>100</width>" in text
        mutable = dict(re.findall(r"<name>(\w+)</name>\s*<mutable>(\w+)</mutable>", text))
        assert mutable == {"colour": "False", "speed": "True"}
        track = text[text.index("  <track") : text.index("  </track>")]
        assert (
            track
            == """  <track id="7" label="car" source="auto" group_id="2">
    <box frame="1" keyframe="1" outside="0" occluded="1" xtl="10" ytl="10" xbr="40" ybr="30">
      <attribute name="colour">red</attribute>
      <attribute name="speed">3</attribute>
    </box>
    <box frame="2" keyframe="1" outside="0" occluded="0" xtl="20" ytl="10" xbr="50" ybr="30" z_order="1">
      <attribute name="colour">red</attribute>
      <attribute name="speed">4</attribute>
    </box>
    <box frame="3" keyframe="1" outside="1" occluded="0" xtl="20" ytl="10" xbr="50" ybr="30" z_order="1">
      <attribute name="colour">red</attribute>
      <attribute name="speed">4</attribute>
    </box>
"""
        )
        _, rows, _ = read(CVAT, out)
        assert [(r["frame_number"], r["index"], r["attributes"]["speed"]) for r in rows] == [(2, 7, 3), (3, 7, 4)]

    def test_a_track_is_hidden_in_gaps_and_ends_with_the_video(self, tmp_path: Path):
        out, _ = clip(tmp_path, *(label("v", frame, index=1) for frame in (1, 2, 4, 9)))
        shapes = re.findall(r'frame="(\d)" keyframe="1" outside="(\d)"', text_of(out))
        assert shapes == [("0", "0"), ("1", "0"), ("2", "1"), ("3", "0"), ("4", "1"), ("8", "0")]

    def test_the_end_is_told_where_the_number_of_frames_is_not_known(self, tmp_path: Path):
        out, _ = clip(tmp_path, label("v", 9, index=1), frames=None)
        assert re.findall(r'frame="(\d)" keyframe="1" outside="(\d)"', text_of(out)) == [("8", "0"), ("9", "1")]
        (sample,), _, _ = read(CVAT, out)
        assert sample.get("frames") is None

    def test_every_kind_survives(self, tmp_path: Path):
        ring = [[0.1, 0.1], [0.3, 0.1], [0.2, 0.5]]
        pixels = np.zeros((50, 100), bool)
        pixels[4:9, 10:20] = True
        shapes = [
            {"kind": "polygon", "points": [ring], "closed": True, "filled": True},
            {"kind": "polyline", "points": [ring], "closed": False, "filled": False},
            {"kind": "keypoints", "points": [ring], "visibility": [2, 2, 2]},
            {"kind": "cuboid", "points": [[*ring, *ring, [0.4, 0.4], [0.5, 0.5]]]},
            {"kind": "ellipse", "bounding_box": [0.2, 0.2, 0.2, 0.4], "rotation": 30.0},
            {"kind": "box", "bounding_box": [0.4, 0.4, 0.2, 0.2], "rotation": 15.0},
            {"kind": "mask", "mask": encode_rle(pixels), "bounding_box": [0.1, 0.08, 0.1, 0.1]},
            {"kind": "skeleton", "label": "pose", "points": [[[0.1, 0.2], [0.3, 0.4], [float("nan")] * 2]],
             "visibility": [2, 1, 0], "attributes": {"keypoints": ["a", "b", "c"], "b.seen": True, "ok": "yes"}},
        ]  # fmt: skip
        labels = [label("v", frame, index=n, **dict(values)) for n, values in enumerate(shapes) for frame in (3, 4)]
        out, notes = clip(tmp_path, *labels)
        assert not notes
        _, rows, found = read(CVAT, out)
        assert not found.notes
        assert [
            (r["kind"], r["frame_number"], r["index"])
            for r in sorted(rows, key=lambda r: (r["index"], r["frame_number"]))
        ] == [(row["kind"], row["frame_number"], row["index"]) for row in labels]
        by_kind = {row["kind"]: row for row in rows}
        for values in shapes:
            row = by_kind[values["kind"]]
            for name in ("bounding_box", "rotation", "mask", "visibility"):
                assert row.get(name, values.get(name)) == (pytest.approx(values[name]) if name in values and name != "mask"
                                                           else values.get(name, row.get(name)))  # fmt: skip
        attributes = by_kind["skeleton"]["attributes"]
        assert {n: attributes[n] for n in ("keypoints", "b.seen", "ok")} == shapes[-1]["attributes"]

    def test_a_skeleton_that_ends_is_hidden_by_its_points(self, tmp_path: Path):
        pose = {"kind": "skeleton", "label": "pose", "points": [[[0.1, 0.2], [0.3, 0.4]]], "visibility": [2, 1]}
        out, _ = clip(tmp_path, label("v", 1, index=1, **pose))
        text = text_of(out)
        assert '<skeleton frame="0" keyframe="1">' in text
        points = re.findall(
            r'<points label="(\d)" keyframe="1" outside="(\d)" occluded="(\d)" points="([\d,]+)">', text
        )
        assert points == [
            ("1", "0", "0", "10,10"),
            ("2", "0", "1", "30,20"),
            ("1", "1", "0", "10,10"),
            ("2", "1", "0", "30,20"),
        ]
        _, rows, _ = read(CVAT, out)
        assert len(rows) == 1

    def test_labels_of_no_track_and_with_one_number(self, tmp_path: Path):
        labels = [label("v", 1, index=3), label("v", 1, index=3, bounding_box=[0.5, 0.5, 0.1, 0.1]),
                  label("v", 1, index=3, label="bus"), label("v", 1), label("v", 2)]  # fmt: skip
        out, notes = clip(tmp_path, *labels)
        assert notes == ["2 labels of no track became tracks of one frame, with numbers of their own."]
        assert re.findall(r'<track id="(\d)" label="(\w+)"', text_of(out)) == [
            ("3", "bus"), ("3", "car"), ("3", "car"), ("4", "car"), ("5", "car"),
        ]  # fmt: skip

    def test_classes_of_frames_are_tags_of_images(self, tmp_path: Path):
        tag = {"kind": "classification", "bounding_box": None, "attributes": {"sure": True}}
        out, notes = clip(tmp_path, label("v", 2, label="day", **tag), label("v", 2, index=1))
        assert not notes
        _, rows, _ = read(CVAT, out)
        assert [(r["kind"], r["frame_number"]) for r in sorted(rows, key=lambda r: r["kind"])] == [
            ("box", 2),
            ("classification", 2),
        ]

    def test_images_keep_their_names_without_being_there(self, tmp_path: Path):
        samples = sequence(tmp_path / "in", ["b c.jpg", "a.jpg", "d.jpg"])
        labels = [label(row, index=1, label=Path(row["filepath"]).stem) for row in samples]
        written(CVAT, tmp_path / "out", part(samples, labels), tracks=True, save_media=False)
        assert re.findall(r'image id="(\d)" name="([\w .]+)"', text_of(tmp_path / "out")) == [
            ("0", "a.jpg"), ("1", "b c.jpg"), ("2", "d.jpg"),
        ]  # fmt: skip
        _, rows, _ = read(CVAT, tmp_path / "out", image_dir=tmp_path / "in")
        assert [(r["index"], r["label"]) for r in rows] == [(1, Path(r["image"]).stem) for r in rows]

    @pytest.mark.parametrize("split", [None, "val"])
    def test_videos_and_sequences(self, tmp_path: Path, split: str | None):
        clips = [video(tmp_path / "in" / name, name, split=split) for name in ("one.mp4", "sub/two.mp4")]
        names = [f"frame_{n:06d}.png" for n in (0, 2)]
        shots = [row | {"sample_id": f"{night}{row['sample_id']}"} for night in ("n1", "n2")
                 for row in sequence(tmp_path / "in" / night, names, split=split)]  # fmt: skip
        for samples in (clips, shots, [*clips, *shots]):
            frames = [3 if row["media_type"] == "video" else None for row in samples]
            labels = [label(row, frame, index=4) for row, frame in zip(samples, frames, strict=True)]
            out = tmp_path / f"out{len(samples)}{samples[0]['media_type']}"
            written(CVAT, out, part(samples, labels), tracks=True)
            assert len(list((out / "labels").rglob("*.xml"))) == len(samples) - (
                len(shots) // 2 if samples is not clips else 0
            )
            found, rows, report = read(CVAT, out)
            assert not report.notes
            assert len(found) == len(samples) == len({row["image"] for row in rows} if samples is clips else samples)
            assert {row.get("split") for row in found} == {split}
            assert len(rows) == len(samples)
            assert sorted(str(row.get("frame_number")) for row in rows) == sorted(map(str, frames))

    def test_images_stay_images_unless_tracks_are_asked_for(self, tmp_path: Path):
        samples = sequence(tmp_path / "in", ["a.jpg"])
        notes = written(CVAT, tmp_path / "a", part(samples, [label(samples[0], index=1)]))
        assert "<track" not in text_of(tmp_path / "a")
        assert any("track indexes are lost" in note for note in notes)
        assert not written(CVAT, tmp_path / "b", part(samples, [label(samples[0], index=1)]), tracks=True)

    def test_what_has_no_place_is_left_out_and_told(self, tmp_path: Path):
        scalar = {"kind": "scalar", "label": None, "value": "7", "bounding_box": None}
        out, notes = clip(tmp_path, label("v", 1, **scalar), label("v", 1, index=1))
        assert notes == ["frames.objects: 1 scalar cannot be written, and are left out."]
        assert len(read(CVAT, out)[1]) == 1

    def test_a_video_has_tracks(self, tmp_path: Path):
        with pytest.raises(InvalidOption, match="Frames of videos are written as tracks; leave tracks=False out"):
            written(CVAT, tmp_path / "out", part([video(tmp_path / "clip.mp4")], []), tracks=False)


class TestKeyframes:
    def flags(self, folder: Path, boxes: list[list[float]], keys: list[bool | None], **more: Any) -> list[bool]:
        labels = [label("v", n + 1, index=1, bounding_box=box, keyframe=key, **more)
                  for n, (box, key) in enumerate(zip(boxes, keys, strict=True))]  # fmt: skip
        out, _ = clip(folder, *labels)
        _, rows, _ = read(CVAT, out)
        return [row["keyframe"] for row in rows]

    LINE = ((0.0, 0.0), (0.1, 0.0), (0.2, 0.0), (0.3, 0.0))

    def test_all_are_keyframes_where_none_is_flagged(self, tmp_path: Path):
        boxes = [[x, y, 0.1, 0.1] for x, y in self.LINE]
        assert self.flags(tmp_path, boxes, [None] * 4) == [True] * 4

    def test_flagged_ones_are_enough_where_the_rest_is_interpolated(self, tmp_path: Path):
        boxes = [[x, y, 0.1, 0.1] for x, y in self.LINE]
        assert self.flags(tmp_path, boxes, [True, False, False, True]) == [True, False, False, True]

    def test_what_interpolation_does_not_give_is_a_keyframe(self, tmp_path: Path):
        boxes = [[x, y, 0.1, 0.1] for x, y in self.LINE]
        boxes[1][1] = 0.3
        assert self.flags(tmp_path, boxes, [True, False, False, True]) == [True, True, True, True]


BOX = '<box frame="{}" keyframe="1" outside="{}" occluded="0" xtl="{}" ytl="5" xbr="{}" ybr="30"{}></box>'


def hand_made(folder: Path, track: str, size: int | None = 9, more: str = "") -> Path:
    """A file with one track of a video of 100 × 50 pixels."""
    length = f"<size>{size}</size>" if size is not None else ""
    meta = (
        f"<meta><task><id>1</id><name>v</name>{length}<mode>interpolation</mode>{more}<labels></labels><original_size>"
        "<width>100</width><height>50</height></original_size><source>clip.mp4</source></task></meta>"
    )
    text = f'<annotations><version>1.1</version>{meta}<track id="5" label="car">{track}</track></annotations>'
    return files(folder, {"annotations.xml": text, "clip.mp4": b""})


class TestFilling:
    def boxes(self, folder: Path, **options: Any) -> dict[int, tuple[float, bool]]:
        _, rows, _ = read(CVAT, folder, interpolate=True, **options)
        return {row["frame_number"]: (round(row["bounding_box"][0], 9), row["keyframe"]) for row in rows}

    def test_frames_between_keyframes(self, tmp_path: Path):
        track = BOX.format(0, 0, 0, 10, "") + BOX.format(4, 0, 40, 50, "") + BOX.format(6, 1, 40, 50, "")
        source = hand_made(tmp_path, track)
        assert self.boxes(source) == {
            1: (0.0, True), 2: (0.1, False), 3: (0.2, False), 4: (0.3, False), 5: (0.4, True), 6: (0.4, False),
        }  # fmt: skip
        _, rows, _ = read(CVAT, source)
        assert [row["frame_number"] for row in rows] == [1, 5]

    def test_the_last_shape_holds_to_the_end(self, tmp_path: Path):
        assert list(self.boxes(hand_made(tmp_path / "a", BOX.format(6, 0, 0, 10, "")))) == [7, 8, 9]
        assert list(self.boxes(hand_made(tmp_path / "b", BOX.format(6, 0, 0, 10, ""), None))) == [7]
        more = "<start_frame>0</start_frame><stop_frame>7</stop_frame>"
        assert list(self.boxes(hand_made(tmp_path / "c", BOX.format(6, 0, 0, 10, ""), 8, more))) == [7, 8]

    def test_only_every_other_frame_of_a_task_with_steps(self, tmp_path: Path):
        more = "<start_frame>0</start_frame><frame_filter>step=2</frame_filter>"
        track = BOX.format(0, 0, 0, 10, "") + BOX.format(4, 0, 40, 50, "")
        assert self.boxes(hand_made(tmp_path, track, 4, more)) == {
            1: (0.0, True), 3: (0.2, False), 5: (0.4, True), 7: (0.4, False),
        }  # fmt: skip

    def test_attributes_and_rotations(self, tmp_path: Path):
        box = BOX.replace("></box>", '><attribute name="colour">red</attribute></box>')
        track = (
            box.format(0, 0, 30, 40, ' rotation="350"')
            + box.format(2, 0, 30, 40, ' rotation="10"')
            + box.format(3, 1, 0, 9, "")
        )
        _, rows, _ = read(CVAT, hand_made(tmp_path, track), interpolate=True)
        assert [row["rotation"] % 360 for row in rows] == [350, 0, 10]
        assert [row["attributes"]["colour"] for row in rows] == ["red"] * 3

    def test_other_shapes(self, tmp_path: Path):
        skeleton = (
            '<skeleton frame="{}" keyframe="1"><points label="a" outside="0" occluded="0" points="{},5"></points>'
            '<points label="b" outside="{}" occluded="1" points="{},6"></points></skeleton>'
        )
        shapes = {
            "polygon": '<polygon frame="{}" keyframe="1" outside="{}" points="{},0;20,0;20,20"></polygon>',
            "points": '<points frame="{}" keyframe="1" outside="{}" points="{},7"></points>',
            "ellipse": '<ellipse frame="{}" keyframe="1" outside="{}" cx="{}" cy="20" rx="4" ry="5"></ellipse>',
            "mask": '<mask frame="{}" keyframe="1" outside="{}" rle="0, 4" left="{}" top="1" width="2" height="2"></mask>',
        }
        found = {}
        for name, shape in shapes.items():
            track = shape.format(0, 0, 10) + shape.format(2, 0, 14) + shape.format(3, 1, 14)
            _, rows, _ = read(CVAT, hand_made(tmp_path / name, track), interpolate=True)
            assert [row["frame_number"] for row in rows] == [1, 2, 3]
            found[name] = rows[1]
        assert found["polygon"]["points"][0][0] == pytest.approx([0.12, 0.0])
        assert found["points"]["points"][0] == [pytest.approx([0.12, 0.14])]
        assert found["ellipse"]["bounding_box"] == pytest.approx([0.08, 0.3, 0.08, 0.2])
        assert found["mask"]["bounding_box"] == pytest.approx([0.1, 0.02, 0.02, 0.04])  # stays until the next keyframe
        track = skeleton.format(0, 10, 0, 20) + skeleton.format(2, 14, 1, 24)
        _, rows, _ = read(CVAT, hand_made(tmp_path / "skeleton", track, 3), interpolate=True)
        assert rows[1]["points"][0] == [pytest.approx([0.12, 0.1]), pytest.approx([0.22, 0.12])]
        assert [row["visibility"] for row in rows] == [[2, 1], [2, 1], [2, 0]]

    def test_what_is_no_number_is_told_as_ever(self, tmp_path: Path):
        track = (
            BOX.format(0, 0, "x", 10, "")
            + BOX.format(3, 0, 0, 10, "")
            + BOX.format("?", 0, 0, 10, "")
            + BOX.format(4, 1, 0, 9, "")
        )
        _, rows, found = read(CVAT, hand_made(tmp_path, track), interpolate=True)
        assert [row["frame_number"] for row in rows] == [4]
        assert found.skipped.num_rows == 4  # the shape, two frames after it, and the one without a frame

    def test_more_frames_than_may_be_filled_in(self, tmp_path: Path):
        track = BOX.format(0, 0, 0, 10, "") + BOX.format(2_000_000_000, 0, 40, 50, "")
        with pytest.raises(
            InvalidSource, match=r"more than max_interpolated=10,000,000 frames to fill in; raise that limit"
        ):
            read(CVAT, hand_made(tmp_path, track), interpolate=True)

    @settings(max_examples=25, deadline=None)
    @given(
        st.lists(
            st.tuples(st.integers(0, 20), st.booleans(), st.floats(0, 50)),
            min_size=1,
            max_size=5,
            unique_by=lambda k: k[0],
        )
    )
    def test_it_is_as_cvat_does_it(self, tmp_path_factory: pytest.TempPathFactory, keys: list[tuple[int, bool, float]]):
        keys.sort()
        track = "".join(BOX.format(frame, int(hidden), x, x + 10, "") for frame, hidden, x in keys)
        found = self.boxes(hand_made(tmp_path_factory.mktemp("x"), track, 21))
        wanted = interpolate.visible_frames(
            "rectangle", [k[0] for k in keys], [[k[2], 5, k[2] + 10, 30] for k in keys], [0.0] * len(keys),
            [k[1] for k in keys], 20,
        )  # fmt: skip
        assert list(found) == (wanted.frames + 1).tolist()
        assert [x for x, _ in found.values()] == pytest.approx([xy[0] / 100 for xy in wanted.points], abs=1e-8)
