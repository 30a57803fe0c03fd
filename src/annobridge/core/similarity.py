"""How alike the shapes of two labels are, from 0 to 1: by what they cover, or by where their points are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .arrays import Ints, as_array, as_mask, index_of, is_rotated
from .flat_points import FlatPoints
from .geometry import mask_box, polygon_mask, runs
from .turned_boxes import around

Floats = npt.NDArray[np.float64]

POINT_KINDS = ("keypoints", "skeleton", "cuboid")  # compared point by point
AREA_KINDS = ("polygon", "mask")  # compared by the area that they share
REFINED = (*POINT_KINDS, *AREA_KINDS, "polyline")  # those of which ``refined`` knows more than their extents tell
_MARGIN = 0.1  # of the size of shapes without an area, by which their extents are widened
_MIN_SIZE = 0.02  # of an image: the least size that distances of points are compared with
_FALLOFF = 0.1  # of the size of a shape: the distance of points that counts as far, as in COCO's keypoint similarity
_GRID = 64  # cells per side in which areas are compared
_STEPS = 32  # points at which lines are compared


def sizes_of(samples: pa.Table, labels: pa.Table) -> Floats:
    """Width and height of the image of each label, by the samples that are given; NaN where there is none. Shape (labels, 2)."""
    at = index_of(labels["sample_id"], samples["sample_id"])
    columns = [as_array(samples[name].cast(pa.float64())).take(at) for name in ("width", "height")]
    return np.stack([column.to_numpy(zero_copy_only=False) for column in columns], axis=1)


def extents(labels: pa.Table, sizes: Floats | None = None) -> Floats:
    """Left, top, right and bottom of each label (``LABELS``), relative to the image; NaN for labels without a shape.

    Those of shapes without an area are a little wider than the shape, so that they can overlap. ``sizes`` are width and height of
    the image of each label, which turned boxes need; those on images of unknown size (NaN) are taken as they were before the turn.
    """
    found = np.full((labels.num_rows, 4), np.nan)
    points = FlatPoints.of(labels["points"])
    rows = points.rows()
    known = np.isfinite(points.xy).all(axis=1)
    for side, reduce, start in ((0, np.minimum, np.inf), (2, np.maximum, -np.inf)):
        ends = np.full((labels.num_rows, 2), start)
        reduce.at(ends, rows[known], points.xy[known])
        found[:, side : side + 2] = np.where(np.isfinite(ends), ends, np.nan)
    is_thin = as_mask(pc.is_in(labels["kind"], pa.array([*POINT_KINDS, "polyline"])))
    pad = np.maximum(_MARGIN * (found[:, 2:] - found[:, :2]), _MIN_SIZE / 2)[is_thin]
    found[is_thin, :2] -= pad
    found[is_thin, 2:] += pad
    boxes = as_array(labels["bounding_box"])
    at = np.flatnonzero(as_mask(boxes.is_valid()) & np.isnan(found[:, 0]))
    xywh = boxes.take(pa.array(at)).flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
    if sizes is not None:
        turned = np.flatnonzero(is_rotated(labels["rotation"])[at] & np.isfinite(sizes[at]).all(axis=1))
        degrees = labels["rotation"].take(pa.array(at[turned])).to_numpy()
        xywh = xywh.copy()  # it was Arrow's
        xywh[turned] = around(xywh[turned], degrees, sizes[at[turned]])
    found[at] = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
    for row in np.flatnonzero(np.isnan(found[:, 0]) & as_mask(labels["mask"].is_valid())).tolist():
        x, y, width, height = mask_box(labels["mask"][row].as_py())
        found[row] = (x, y, x + width, y + height)
    return found


def overlaps(a: Floats, b: Floats) -> Floats:
    """The intersection of pairs of extents as a share of their union, shape (n,); 0 where one is NaN or has no area.

    >>> overlaps(np.array([[0.0, 0, 2, 1]]), np.array([[1.0, 0, 3, 1]])).round(3).tolist()
    [0.333]
    """
    shared = np.clip(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0, None).prod(axis=1)
    union = (a[:, 2:] - a[:, :2]).prod(axis=1) + (b[:, 2:] - b[:, :2]).prod(axis=1) - shared
    with np.errstate(invalid="ignore", divide="ignore"):
        share = shared / union
    return np.where(np.isfinite(share), share, 0.0)


def refined(a: dict[str, Any], b: dict[str, Any], window: Floats) -> float:
    """How alike two shapes of one of the kinds ``REFINED`` are, more exactly than their extents tell; NaN for points that cannot be
    compared, as there are not equally many.

    Args:
        a: a label (a row of ``LABELS``).
        b: another one.
        window: left, top, right and bottom of what both cover.
    """
    if a["kind"] in AREA_KINDS:
        cells_a, cells_b = (_cells(row, window) for row in (a, b))
        union = int((cells_a | cells_b).sum())
        return int((cells_a & cells_b).sum()) / union if union else 0.0
    size = np.maximum(window[2:] - window[:2], _MIN_SIZE)
    lines = [np.asarray(row["points"][0], float) for row in (a, b)]
    if a["kind"] == "polyline":
        lines = [_steps(line) for line in lines]
    if len(lines[0]) != len(lines[1]):
        return np.nan
    distance = (((lines[0] - lines[1]) / size) ** 2).sum(axis=1)
    both = np.isfinite(distance)
    return float(np.exp(-distance[both] / (2 * _FALLOFF**2)).mean()) if both.any() else 0.0


def shapes_of(labels: pa.Table, rows: Ints) -> list[dict[str, Any]]:
    """What ``refined`` needs of some labels, which may repeat; the same object for the same row."""
    unique, place = np.unique(rows, return_inverse=True)
    found = labels.select(["kind", "points", "mask"]).take(pa.array(unique)).to_pylist()
    return [found[n] for n in place.tolist()]


def _cells(row: dict[str, Any], window: Floats) -> npt.NDArray[np.bool_]:
    """Which cells of a grid over the window a polygon or a mask covers."""
    origin, size = window[:2], np.maximum(window[2:] - window[:2], 1e-12)
    if row["mask"] is None:
        rings = [((np.asarray(ring, float) - origin) / size).tolist() for ring in row["points"]]
        return polygon_mask(rings, (_GRID, _GRID))
    height, width = row["mask"]["size"]
    centres = (np.arange(_GRID) + 0.5) / _GRID
    x = np.clip((origin[0] + centres * size[0]) * width, 0, width - 1).astype(np.int64)
    y = np.clip((origin[1] + centres * size[1]) * height, 0, height - 1).astype(np.int64)
    place = x[None, :] * height + y[:, None]
    run = np.searchsorted(np.cumsum(runs(row["mask"])), place, side="right")
    covered: npt.NDArray[np.bool_] = run % 2 == 1
    return covered


def _steps(line: Floats) -> Floats:
    """Points at equal distances on a line."""
    lengths: Ints | Floats = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    at = np.linspace(0, lengths[-1], _STEPS)
    return np.stack([np.interp(at, lengths, line[:, axis]) for axis in (0, 1)], axis=1)
