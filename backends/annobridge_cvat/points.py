"""Coordinates: the spatial columns of ``LABELS`` (relative) <-> the ``points`` of CVAT's shapes (pixels)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend.kit import FlatPoints
from annobridge.core.arrays import as_array
from annobridge.core.flat_points import POINTS
from annobridge.core.geometry import mask_box

from . import masks
from .frames import Ints

Floats = npt.NDArray[np.float64]
Parts = list[list[float]]  # for each part of a label, the numbers x, y, x, y, …


def to_pixels(kind: str, labels: pa.Table, sizes: Ints) -> list[Parts]:
    """The parts of each label of one kind, in pixels. ``sizes`` are width and height of each label's frame, shape (n, 2). A missing
    point of a skeleton is NaN; missing keypoints are left out.
    """
    if kind in ("box", "ellipse"):
        return [[row] for row in _boxes(kind, labels, sizes).tolist()]
    if kind in ("mask", "segmentation"):
        return [[masks.encode(rle)] for rle in labels["mask"].to_pylist()]
    if kind in ("classification", "scalar"):
        return [[] for _ in range(labels.num_rows)]
    if kind == "cuboid" and labels["points"].null_count:
        labels = labels.set_column(labels.column_names.index("points"), "points", _corners(labels))
    found = FlatPoints.of(labels["points"]).to_pixels(sizes).to_lists()
    return [[_present(part) for part in parts] for parts in found] if kind == "keypoints" else found


def _present(part: list[float]) -> list[float]:
    """The points without the missing ones, which CVAT cannot store."""
    pairs = zip(part[::2], part[1::2], strict=True)
    return [v for x, y in pairs if x == x and y == y for v in (x, y)]


def _boxes(kind: str, labels: pa.Table, sizes: Ints) -> Floats:
    xywh = as_array(labels["bounding_box"]).flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
    sides = np.hstack([sizes, sizes])
    if kind == "box":
        corners: Floats = np.hstack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]]) * sides
        return corners
    centre, radius = xywh[:, :2] + xywh[:, 2:] / 2, xywh[:, 2:] / 2
    return np.hstack([centre, centre[:, :1] + radius[:, :1], centre[:, 1:] - radius[:, 1:]]) * sides


def _corners(labels: pa.Table) -> pa.Array:
    """The points of cuboids. One that has only a bounding box gets no depth: its back is its front."""
    box = as_array(labels["bounding_box"])
    flat = (
        pc.fill_null(box.flatten(), 0.0).to_numpy(zero_copy_only=False).reshape(-1, 4) if len(box) else np.zeros((0, 4))
    )
    x, y, w, h = flat.T
    edges = [(x, y), (x, y + h), (x + w, y), (x + w, y + h)]
    corners = np.stack([np.stack(c, axis=1) for c in (*edges, edges[2], edges[3], edges[0], edges[1])], axis=1)
    made = pa.array(corners.reshape(len(flat), 1, 8, 2).tolist(), POINTS)
    return pc.coalesce(as_array(labels["points"]), made)


def to_columns(kind: str, pixels: list[Parts], sizes: Ints) -> dict[str, pa.Array]:
    """The spatial columns for labels of one kind: the inverse of ``to_pixels``."""
    if kind in ("box", "ellipse"):
        return {"bounding_box": _from_boxes(kind, np.array([p[0] for p in pixels], np.float64).reshape(-1, 4), sizes)}
    if kind in ("mask", "segmentation"):
        found = [masks.decode(parts, size) for parts, size in zip(pixels, sizes.tolist(), strict=True)]
        return {"mask": pa.array(found, pa.struct([("size", pa.list_(pa.int32(), 2)), ("counts", pa.binary())]))}
    if kind in ("classification", "scalar"):
        return {}
    columns: dict[str, pa.Array] = {"points": FlatPoints.of_lists(pixels).to_relative(sizes).to_array()}
    if kind in ("polygon", "polyline"):
        columns |= {name: pa.repeat(kind == "polygon", len(pixels)) for name in ("closed", "filled")}
    return columns


def _from_boxes(kind: str, pixels: Floats, sizes: Ints) -> pa.Array:
    pixels = pixels / np.hstack([sizes, sizes])
    if kind == "box":
        low, high = np.minimum(pixels[:, :2], pixels[:, 2:]), np.maximum(pixels[:, :2], pixels[:, 2:])
    else:
        centre, radius = pixels[:, :2], np.abs(pixels[:, 2:] - pixels[:, :2])
        low, high = centre - radius, centre + radius
    flat = np.hstack([low, high - low]).ravel()
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), 4).cast(pa.list_(pa.float64(), 4))


def mask_boxes(rles: pa.Array) -> pa.Array:
    """The column ``bounding_box`` for a column ``mask``."""
    return pa.array([mask_box(rle) for rle in rles.to_pylist()], pa.list_(pa.float64(), 4))


def visibility_column(visibility: list[list[int]]) -> pa.Array:
    """The column ``visibility``."""
    return pa.array(visibility, pa.list_(pa.int8()))
