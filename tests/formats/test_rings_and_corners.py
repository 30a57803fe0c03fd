"""Boxes by their corners, outlines of masks, and bridged holes: laws that hold for all of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from annobridge.core.geometry import polygon_mask
from annobridge.formats.common.corners import CORNERS, around, corners, straightened
from annobridge.formats.common.items import Shapes
from annobridge.formats.common.rings import outlines, without_holes

size = st.integers(1, 9)
pixels = st.tuples(size, size).flatmap(
    lambda shape: st.lists(st.booleans(), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]).map(
        lambda values: np.array(values).reshape(shape)
    )
)


def painted(rings: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    return polygon_mask([(ring / shape[::-1]).tolist() for ring in rings], shape[::-1])


@given(pixels)
def test_outlines_paint_the_mask_again(mask: np.ndarray) -> None:
    assert (painted(outlines(mask), mask.shape) == mask).all()


@given(pixels)
def test_bridged_holes_paint_the_mask_again(mask: np.ndarray) -> None:
    rings = without_holes(outlines(mask)) if mask.any() else []
    together = np.zeros(mask.shape, bool)
    for ring in rings:
        together |= painted([ring], mask.shape)
    assert (together == mask).all()


def quads(*points: np.ndarray) -> pa.Table:
    shapes = Shapes()
    for quad in points:
        shapes.add(0, CORNERS, "car", points=[quad.tolist()])
    return shapes.take()


@given(*[st.floats(20, 400)] * 4, st.floats(0.1, 359.9), st.integers(0, 3), st.booleans())
def test_turned_boxes_come_back(x: float, y: float, w: float, h: float, degrees: float, first: int, back: bool) -> None:
    box, turn = np.array([[x, y, w, h]]), np.array([degrees])
    quad = np.roll(corners(box, turn, np.ones((1, 2)))[0], first, axis=0)[:: -1 if back else 1]
    for sizes in (None, np.array([[640.0, 480.0]])):
        table, polygons = straightened(quads(quad if sizes is None else quad / sizes), sizes)
        row = table.to_pylist()[0]
        assert (row["kind"], row["points"], polygons) == ("box", None, 0)
        scale = np.ones((1, 2)) if sizes is None else sizes
        again = corners(np.array([row["bounding_box"]]), np.array([row["rotation"] or 0.0]), scale)[0] * scale
        assert all(np.abs(again - corner).max(axis=1).min() < 1e-6 for corner in quad)
        if first == 0 and not back and row["rotation"]:
            assert np.allclose(row["bounding_box"], box[0] / np.tile(scale[0], 2))
            assert abs(row["rotation"] - degrees) < 1e-6


def test_what_is_no_rectangle_is_a_polygon() -> None:
    kite = np.array([[0, 10], [20, 0], [60, 10], [20, 20]], float)
    broken = np.array([[0, 0], [np.nan, 0], [5, 5], [0, 5]])
    table, polygons = straightened(quads(kite, broken, kite[[0, 0, 0, 0]]), None)
    assert polygons >= 2
    assert table["kind"].to_pylist()[:2] == ["polygon"] * 2
    assert table["closed"].to_pylist()[0]
    assert table["points"].to_pylist()[0] == [kite.tolist()]


def test_boxes_around_turned_ones() -> None:
    box = np.array([[10.0, 20.0, 20.0, 10.0]])
    assert np.allclose(around(box, np.array([90.0]), np.ones((1, 2))), [[15, 15, 10, 20]])
    assert np.allclose(around(box, np.array([0.0]), np.ones((1, 2))), box)
