"""Painting: shapes of an image as pixels, the upper over the lower, for formats that hold nothing but pixels."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.geometry import Mask, decode_rle, polygon_mask

PAINTED = ("box", "polygon", "mask", "segmentation", "ellipse", "cuboid")  # kinds that have an inside
_CORNERS = 64  # of the polygon that an ellipse is painted as
Ring = Sequence[Sequence[float]]


def in_order(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The labels that can be painted, the lowest first: by ``z_order``, then as they come."""
    painted = [row for row in rows if row["kind"] in PAINTED]
    return sorted(painted, key=_z_order)


def _z_order(row: Mapping[str, Any]) -> float:
    found = attribute_of(row, "z_order")
    return float(found) if isinstance(found, int | float) else 0.0


def attribute_of(row: Mapping[str, Any], name: str) -> Any:
    """The value of an attribute of a label; ``None`` if it has none of this name."""
    return next((json.loads(a["value"]) for a in row["attributes"] or () if a["name"] == name), None)


def attributes_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a label, name → value."""
    return {a["name"]: json.loads(a["value"]) for a in row["attributes"] or ()}


def pixels(row: Mapping[str, Any], size: tuple[int, int]) -> Mask | None:
    """The pixels of a label (``LABELS`` in pixels) of an image of ``(width, height)``; ``None`` for a mask of another size."""
    if row["mask"] is not None:
        found = decode_rle(row["mask"])
        return found if found.shape == (size[1], size[0]) else None
    return polygon_mask([(ring / size).tolist() for ring in outlines(row)], size)


def outlines(row: Mapping[str, Any]) -> Iterator[npt.NDArray[np.float64]]:
    """The rings of a label that is no mask, in pixels."""
    if row["kind"] == "polygon":
        yield from (np.asarray(ring, float) for ring in row["points"])
    elif row["kind"] == "cuboid":
        yield _hull(np.asarray(row["points"][0], float))
    else:
        yield turned(row["bounding_box"], row["rotation"] or 0.0, row["kind"] == "ellipse")


def turned(box: Sequence[float], degrees: float, is_ellipse: bool = False) -> npt.NDArray[np.float64]:
    """The corners of a box that is turned clockwise about its centre, or points on the ellipse in it.

    >>> turned([0, 0, 4, 2], 90).round(6).tolist()
    [[3.0, -1.0], [3.0, 3.0], [1.0, 3.0], [1.0, -1.0]]
    """
    x, y, width, height = box
    if is_ellipse:
        angle = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
        around = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    else:
        around = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
    around = around * (width / 2, height / 2)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    result: npt.NDArray[np.float64] = around @ np.array([[cos, sin], [-sin, cos]]) + (x + width / 2, y + height / 2)
    return result


def has_holes(rings: Sequence[Ring]) -> bool:
    """Whether a ring has its first point inside another one."""
    return any(
        _is_inside(ring[0], other)
        for at, ring in enumerate(rings)
        for n, other in enumerate(rings)
        if n != at and len(ring)
    )


def _is_inside(point: Sequence[float], ring: Ring) -> bool:
    """Whether a point is inside a ring, by the even-odd rule."""
    xy = np.asarray(ring, float)
    start, end = xy, np.roll(xy, -1, axis=0)
    crosses = (start[:, 1] > point[1]) != (end[:, 1] > point[1])
    if not crosses.any():
        return False
    start, end = start[crosses], end[crosses]
    x = start[:, 0] + (point[1] - start[:, 1]) * (end[:, 0] - start[:, 0]) / (end[:, 1] - start[:, 1])
    return bool((x > point[0]).sum() % 2)


def _hull(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The convex hull of points, going round."""
    order = points[np.lexsort((points[:, 1], points[:, 0]))].tolist()
    halves = []
    for chain in (order, order[::-1]):
        half: list[list[float]] = []
        for p in chain:
            while len(half) > 1 and _turn(half[-2], half[-1], p) <= 0:
                half.pop()
            half.append(p)
        halves += half[:-1]
    return np.array(halves, float)


def _turn(a: Sequence[float], b: Sequence[float], c: Sequence[float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


class Canvas:
    """What was painted of an image: the class of each pixel, 0 where there is none, and the label, by its place in ``rows``."""

    def __init__(self, rows: Iterable[Mapping[str, Any]], size: tuple[int, int], numbers: Mapping[str, int]) -> None:
        self.rows = in_order(rows)
        self.classes = np.zeros((size[1], size[0]), np.int64)
        self.labels = np.full((size[1], size[0]), -1, np.int64)
        areas = np.zeros(len(self.rows), np.int64)
        for at, row in enumerate(self.rows):
            where = pixels(row, size)
            if where is not None:
                self.classes[where], self.labels[where] = numbers[row["label"]], at
                areas[at] = where.sum()
        self.empty = int((areas == 0).sum())  # labels without a pixel
        left = np.bincount(self.labels[self.labels >= 0], minlength=len(self.rows))
        self.covered = int((left < areas).sum())  # labels that lost pixels to others above them

    def instances(self) -> npt.NDArray[np.int64]:
        """The number of each pixel's label, from 1 in the order of painting; 0 where there is none."""
        return self.labels + 1
