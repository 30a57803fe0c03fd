"""Labels of archives as CVAT writes them: other kinds, other numbers of tracks, and pixels that other labels cover."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from annobridge.core.geometry import decode_rle, encode_rle
from annobridge.core.merge.assignment import BY_PLACE, NEW, Assignment
from annobridge.core.merge.covered import uncover
from annobridge.core.merge.file_fit import Expected, fitted
from annobridge.core.merge.file_tracks import without_short_tracks
from annobridge.core.merge.partial_answer import complete
from annobridge.core.merge.seen import Seen
from annobridge.core.schema import LabelSchema

from .test_partial_answer import sent, told

ATTRIBUTES = {"age": {"type": "int"}, "side": {"type": "select", "values": ["l"]}}
SCHEMA = LabelSchema.parse({
    "objects": {"type": "detections", "classes": ["car"], "attributes": ATTRIBUTES},
    "cut": {"type": "instances", "classes": ["hat"]},
    "ground": {"type": "segmentation", "classes": ["grass"]},
    "pose": {"type": "skeletons", "classes": ["body"], "skeleton": {"labels": ["nose", "hand"], "edges": [[0, 1]]}},
    "points": {"type": "keypoints", "classes": ["eyes"]},
    "balls": {"type": "ellipses", "classes": ["ball"]},
})  # fmt: skip
PAIR = {"points": [[[0.1, 0.1], [0.5, 0.6]]], "visibility": [2, 1]}
CAR = {"kind": "box", "label": "car", "bounding_box": [0.1, 0.1, 0.2, 0.2]}


def mask(left: int, right: int, label: str = "hat", kind: str = "mask") -> dict[str, Any]:
    """The columns from ``left`` to ``right`` of an image of 20 by 10 pixels."""
    pixels = np.zeros((10, 20), bool)
    pixels[2:8, left:right] = True
    box = [left / 20, 0.2, (right - left) / 20, 0.6]
    return {"kind": kind, "label": label, "mask": dict(encode_rle(pixels)), "bounding_box": box}


def ways(theirs: pa.Table, *rows: int) -> Assignment:
    found = np.array(rows)
    return Assignment(found, np.where(found < 0, NEW, BY_PLACE), np.zeros(len(rows), bool))


class TestKinds:
    def test_points_are_of_the_kind_that_their_class_has(self) -> None:
        table = told({"kind": "keypoints", "label": "body", **PAIR}, {"kind": "skeleton", "label": "eyes", **PAIR})
        assert fitted(table, Expected(SCHEMA))["kind"].to_pylist() == ["skeleton", "keypoints"]

    def test_other_numbers_of_points_are_no_skeleton(self) -> None:
        one = {"kind": "keypoints", "label": "body", "points": [[[0.1, 0.1]]], "visibility": [2]}
        assert fitted(told(one), Expected(SCHEMA))["kind"].to_pylist() == ["keypoints"]

    def test_boxes_around_points_are_no_labels(self) -> None:
        group = {"attributes": {"group": 1}}
        box = {"kind": "box", "label": "body", "bounding_box": [0.1, 0.1, 0.4, 0.5]}
        points = {"kind": "keypoints", "label": "body", **PAIR}
        table = told({**box, **group}, {**points, **group}, {**CAR, **group}, {**box, "attributes": {"group": 2}})
        assert fitted(table, Expected(SCHEMA))["label"].to_pylist() == ["body", "car", "body"]

    def test_masks_of_a_class_are_one_segmentation(self) -> None:
        table = fitted(told(mask(1, 4, "grass"), mask(1, 4), mask(8, 10, "grass")), Expected(SCHEMA))
        assert table["kind"].to_pylist() == ["segmentation", "mask"]
        assert decode_rle(table["mask"][0].as_py()).sum() == 5 * 6
        assert table["bounding_box"][0].as_py() == [0.05, 0.2, 0.45, 0.6]

    def test_a_file_with_points_only_did_not_delete_boxes(self) -> None:
        """As CVAT's COCO Keypoints, whose boxes are those around the skeletons."""
        seen = Seen(frozenset({"box", "keypoints", "skeleton"}), holes=False)
        expected = Expected(SCHEMA)
        body = {"kind": "skeleton", "label": "body", **PAIR, "attributes": {"group": 1}}
        box = {"kind": "box", "label": "body", "bounding_box": [0.1, 0.1, 0.4, 0.5], "attributes": {"group": 1}}
        table = fitted(told(body, box), expected)
        seen.add(table, expected.where(table))
        base = sent(CAR, {**body, "field": "pose", "attributes": {}})
        done = complete(base, table, seen, SCHEMA, np.full((2, 2), 100.0), np.full((1, 2), 100.0))
        assert sorted(done.labels["remote_id"].to_pylist()) == ["m0", "m1"]


class TestValues:
    def test_whole_numbers_and_empty_texts(self) -> None:
        """CVAT writes numbers with a point, and "" where nobody chose a value."""
        seen = Seen(frozenset({"box"}), holes=False)
        new = {**CAR, "bounding_box": [0.6, 0.6, 0.2, 0.2], "attributes": {"age": 4.0, "side": ""}}
        table = told({**CAR, "attributes": {"age": 9.0, "side": ""}}, new)
        seen.add(table)
        base = sent({**CAR, "attributes": {"age": 7, "side": "l"}})
        done = complete(base, table, seen, SCHEMA, np.full((1, 2), 100.0), np.full((2, 2), 100.0))
        found = [{a["name"]: a["value"] for a in row} for row in done.labels["attributes"].to_pylist()]
        assert found == [{"age": "9"}, {"age": "4"}]


class TestCovered:
    def test_pixels_under_other_labels_are_no_change(self) -> None:
        base, theirs = sent(mask(1, 10)), told(mask(1, 6), mask(6, 12, "tree"))
        labels, hidden = uncover(base, theirs, ways(theirs, 0, -1))
        assert labels["mask"][0].as_py() == base["mask"][0].as_py()
        assert labels["bounding_box"][0].as_py() == base["bounding_box"][0].as_py()
        assert not hidden.any()

    def test_pixels_that_nobody_covers_are_removed(self) -> None:
        base, theirs = sent(mask(1, 10)), told(mask(1, 6), mask(8, 12, "tree"))
        assert uncover(base, theirs, ways(theirs, 0, -1))[0].equals(theirs)

    def test_a_small_rest_is_the_label(self) -> None:
        base, theirs = sent(mask(1, 10)), told(mask(1, 2), mask(2, 12, "tree"))
        found = ways(theirs, -1, -1)
        uncover(base, theirs, found)
        assert found.rows.tolist() == [0, -1]

    def test_a_label_below_others_stays(self) -> None:
        base, theirs = sent(mask(1, 10)), told(mask(0, 12, "tree"))
        assert uncover(base, theirs, ways(theirs, -1))[1].tolist() == [True]

    def test_painted_shapes_of_other_kinds_are_left_out(self) -> None:
        seen = Seen(frozenset({"mask"}), holes=True, overlaps=False)
        table = told(mask(1, 5, "ball"), mask(6, 9, "background"), mask(10, 14))
        seen.add(table, Expected(SCHEMA).where(table))
        done = complete(sent(), table, seen, SCHEMA, np.zeros((0, 2)), np.full((3, 2), 10.0))
        assert done.labels["label"].to_pylist() == ["hat"]
        assert done.counts["unheld"] == 2


class TestTracks:
    def test_labels_that_moved_far_are_found_by_their_track(self) -> None:
        far = {"bounding_box": [0.7, 0.7, 0.2, 0.2]}
        base = sent(*({**CAR, "index": 1, "sample_id": s} for s in "abcd"))
        theirs = told(
            *({**CAR, "index": 0, "sample_id": s} for s in "abc"), {**CAR, "index": 0, "sample_id": "d", **far}
        )
        seen = Seen(frozenset({"box"}), holes=False)
        seen.add(theirs)
        done = complete(base, theirs, seen, SCHEMA, np.full((4, 2), 100.0), np.full((4, 2), 100.0))
        assert done.labels["remote_id"].to_pylist() == ["m0", "m1", "m2", "m3"]
        assert done.labels["index"].to_pylist() == [1, 1, 1, 1]

    def test_shapes_of_images_are_no_tracks(self) -> None:
        theirs = told({**CAR, "index": 4, "keyframe": True}, {**CAR, "index": 5, "keyframe": True, "frame_number": 2})
        labels = without_short_tracks(theirs, told(CAR, {"kind": "box"}))
        assert labels["index"].to_pylist() == [None, 5]
        assert labels["keyframe"].to_pylist() == [None, True]
