"""How alike two shapes are: from 0 to 1, the same both ways, and 1 for a shape and itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annobridge.core import similarity
from annobridge.core.geometry import encode_rle, polygon_mask
from annobridge.core.labels import REMOTE

unit = st.floats(0, 1)
points = st.tuples(unit, unit).map(list)
boxes = st.tuples(unit, unit, st.floats(0.01, 1), st.floats(0.01, 1)).map(list)
WINDOW = np.array([0.0, 0.0, 1.0, 1.0])


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist([{"sample_id": "s", "remote_id": "r", **row} for row in rows], REMOTE)


def refined(a: dict[str, Any], b: dict[str, Any]) -> float:
    return similarity.refined({"mask": None, "points": None, **a}, {"mask": None, "points": None, **b}, WINDOW)


@st.composite
def shapes(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["polygon", "polyline", "keypoints", "skeleton", "cuboid", "mask"]))
    if kind == "mask":
        pixels = draw(st.lists(st.booleans(), min_size=48, max_size=48))
        return {"kind": kind, "mask": dict(encode_rle(np.array(pixels).reshape(6, 8))), "points": None}
    size = 8 if kind == "cuboid" else draw(st.integers(3, 8))
    return {"kind": kind, "mask": None, "points": [draw(st.lists(points, min_size=size, max_size=size))]}


@given(boxes, boxes)
def test_overlaps_of_boxes_are_what_they_share(a, b):
    (left, right) = (similarity.extents(table({"kind": "box", "bounding_box": box})) for box in (a, b))
    there, back = similarity.overlaps(left, right), similarity.overlaps(right, left)
    assert there == back
    assert 0 <= there[0] <= 1
    assert similarity.overlaps(left, left)[0] == pytest.approx(1)


def test_labels_without_a_shape_overlap_nothing():
    found = similarity.extents(table({"kind": "classification"}, {"kind": "box", "bounding_box": [0, 0, 1, 1]}))
    assert np.isnan(found[0]).all()
    assert similarity.overlaps(found, found).tolist() == [0, 1]


def test_extents_of_each_kind():
    mask = np.zeros((10, 20), bool)
    mask[2:4, 5:10] = True
    found = similarity.extents(table(
        {"kind": "box", "bounding_box": [0.1, 0.2, 0.3, 0.4]},
        {"kind": "polygon", "points": [[[0.1, 0.2], [0.3, 0.2]], [[0.2, 0.9], [0.2, 0.1]]]},
        {"kind": "mask", "mask": dict(encode_rle(mask))},
        {"kind": "polyline", "points": [[[0.1, 0.5], [0.9, 0.5]]]},
        {"kind": "keypoints", "points": [[[0.5, 0.5], [float("nan"), float("nan")]]]},
    ))  # fmt: skip
    assert found.round(9).tolist() == [
        [0.1, 0.2, 0.4, 0.6],
        [0.1, 0.1, 0.3, 0.9],
        [0.25, 0.2, 0.5, 0.4],
        [0.02, 0.49, 0.98, 0.51],  # a line has no height
        [0.49, 0.49, 0.51, 0.51],  # and a point no size
    ]


def test_extents_of_turned_boxes_are_those_of_their_corners():
    box = table({"kind": "box", "bounding_box": [0.4, 0.45, 0.2, 0.1], "rotation": 90.0})
    assert similarity.extents(box).round(9).tolist() == [[0.4, 0.45, 0.6, 0.55]]
    assert similarity.extents(box, np.array([[100.0, 100.0]])).round(9).tolist() == [[0.45, 0.4, 0.55, 0.6]]
    assert similarity.extents(box, np.array([[200.0, 100.0]])).round(9).tolist() == [[0.475, 0.3, 0.525, 0.7]]
    assert similarity.extents(box, np.full((1, 2), np.nan)).round(9).tolist() == [[0.4, 0.45, 0.6, 0.55]]
    assert box["bounding_box"].to_pylist() == [[0.4, 0.45, 0.2, 0.1]]  # as it was


@given(shapes())
def test_a_shape_is_like_itself(shape):
    window = similarity.extents(table(shape))[0] if shape["points"] else WINDOW
    found = similarity.refined(shape, shape, window)
    is_empty = shape["kind"] in similarity.AREA_KINDS and found == 0  # it covers no cell
    assert found == pytest.approx(1) or is_empty


@given(shapes(), shapes())
def test_likeness_is_the_same_both_ways(a, b):
    if a["kind"] != b["kind"]:
        return
    there, back = refined(a, b), refined(b, a)
    assert there == pytest.approx(back, nan_ok=True)
    assert np.isnan(there) or 0 <= there <= 1 + 1e-9  # NaN: not equally many points


def test_areas_are_compared_by_what_they_cover():
    whole = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
    half = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]
    hole = [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]
    polygons = [{"kind": "polygon", "points": shape} for shape in ([whole], [half], [whole, hole])]
    assert refined(polygons[0], polygons[1]) == pytest.approx(0.5, abs=0.02)
    assert refined(polygons[0], polygons[2]) == pytest.approx(0.75, abs=0.02)
    mask = {"kind": "mask", "mask": dict(encode_rle(polygon_mask([half], (60, 80))))}
    assert refined(mask, polygons[1]) == pytest.approx(1, abs=0.04)
    assert refined(mask, polygons[0]) == pytest.approx(0.5, abs=0.02)


def test_points_are_compared_one_by_one_and_missing_ones_left_out():
    nan = float("nan")
    a = {"kind": "keypoints", "points": [[[0.1, 0.1], [0.9, 0.9], [nan, nan]]]}
    moved = {"kind": "keypoints", "points": [[[0.1, 0.1], [0.9, 0.4], [0.5, 0.5]]]}
    assert refined(a, a) == 1
    assert refined(a, moved) == pytest.approx(0.5, abs=1e-3)
    assert np.isnan(refined(a, {"kind": "keypoints", "points": [[[0.1, 0.1]]]}))
    missing = {"kind": "keypoints", "points": [[[nan, nan]] * 3]}
    assert refined(a, missing) == 0


def test_lines_are_compared_wherever_their_points_are():
    straight = {"kind": "polyline", "points": [[[0.0, 0.5], [1.0, 0.5]]]}
    more = {"kind": "polyline", "points": [[[0.0, 0.5], [0.3, 0.5], [0.4, 0.5], [1.0, 0.5]]]}
    assert refined(straight, more) == pytest.approx(1)
    assert refined(straight, {"kind": "polyline", "points": [[[0.5, 0.0], [0.5, 1.0]]]}) < 0.3
    point = {"kind": "polyline", "points": [[[0.5, 0.5], [0.5, 0.5]]]}
    assert refined(point, point) == pytest.approx(1)
