"""Shapes in pixels: the columns of a table of labels as the flat lists of numbers that DataGym uses, and their comparison."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from annobridge.backend.kit import FlatPoints
from annobridge.core.arrays import Ints, as_array

from . import mask_polygons

Floats = npt.NDArray[np.float64]
Parts = list[list[float]]  # of one label: [x, y, width, height] of a box, x, y, … of each part of any other shape
ROUNDING_ERROR = 1e-9  # pixels
TOLERANCE = 1e-6  # pixels; people move things by more


def to_pixels(kind: str, labels: pa.Table, sizes: Ints) -> list[Parts]:
    """The parts of each label of one kind.

    ``sizes`` are width and height of each label's image, shape (n, 2). Missing keypoints are NaN. Coordinates below 0 are set to
    0, because DataGym accepts none below.
    """
    if kind == "box":
        xywh = as_array(labels["bounding_box"]).flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
        return [[row] for row in _snapped(xywh * np.hstack([sizes, sizes])).tolist()]
    if kind in ("mask", "segmentation"):
        return [mask_polygons.from_rle(rle) for rle in labels["mask"].to_pylist()]
    if kind in ("classification", "scalar"):
        return [[] for _ in range(labels.num_rows)]
    points = FlatPoints.of(labels["points"]).to_pixels(sizes)
    found = replace(points, xy=_snapped(points.xy)).to_lists()
    if kind == "keypoints":  # each point is a shape of its own at DataGym
        return [[part[n : n + 2] for part in parts for n in range(0, len(part), 2)] for parts in found]
    return found


def _snapped(pixels: Floats) -> Floats:
    """At least 0, and an integer where only rounding errors differ from one: the export would cut 28.999999999999996 to 28."""
    whole = np.rint(pixels)
    return np.maximum(np.where(np.abs(pixels - whole) < ROUNDING_ERROR, whole, pixels), 0.0)


def known_points(parts: Parts) -> list[int]:
    """The numbers of the keypoints that are not missing."""
    return [n for n, (x, y) in enumerate(parts) if x == x and y == y]  # NaN is unequal to itself


def is_unmoved(part: list[float], sent: list[float], *, exact: bool) -> bool:
    """Whether a part is where it was sent to. If not ``exact``, it comes from the export, which truncates to whole pixels."""
    if len(part) != len(sent):
        return False
    if exact:
        return all(abs(a - b) <= TOLERANCE for a, b in zip(part, sent, strict=True))
    return all(a == int(b) for a, b in zip(part, sent, strict=True))


def bounding_box(part: list[float], type_: str) -> tuple[float, float, float, float]:
    """Left, top, right and bottom, with a width and height of at least one pixel."""
    if type_ == "rectangle":
        x, y, width, height = part
        return x, y, x + max(width, 1.0), y + max(height, 1.0)
    xs, ys = part[::2], part[1::2]
    return min(xs), min(ys), max(*xs, min(xs) + 1.0), max(*ys, min(ys) + 1.0)


def iou(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """Intersection over union of two boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    intersection = width * height
    return intersection / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - intersection)
