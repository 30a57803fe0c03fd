"""Corners: boxes that a format gives by four points, and the corners of boxes that a format wants."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...core.arrays import as_array, as_mask, equal, replace_values
from ...core.turned_boxes import around as around
from ...core.turned_boxes import corners as corners

CORNERS = "corners"  # a kind of ``SHAPES``: ``points`` has one part of four points, the corners of a box, going round
_PIXELS = 1.0  # how far a corner may be from the rectangle, as many formats round to whole pixels
_SHARE = 0.02  # or this share of the diagonal, as people click
_EQUAL = 1e-7  # of the diagonal


def straightened(shapes: pa.Table, sizes: np.ndarray | None) -> tuple[pa.Table, int]:
    """``SHAPES`` without the kind "corners": these are boxes, or polygons where the corners are not those of a rectangle; and how
    many polygons. ``sizes`` (width, height of each row) are needed where positions are relative; ``None`` where they are pixels.

    The first corner is the upper left one of the box before it is turned, and the second is the upper right one; a box whose
    sides are parallel to those of the image is upright, whichever corner is first.
    """
    at = np.flatnonzero(equal(shapes["kind"], CORNERS))
    if not at.size:
        return shapes, 0
    points = as_array(shapes["points"]).take(pa.array(at)).flatten().flatten().flatten()
    xy = points.to_numpy(zero_copy_only=False).reshape(-1, 4, 2)
    scale = np.ones((at.size, 2)) if sizes is None else sizes[at]
    with np.errstate(all="ignore"):  # what is not finite is no rectangle
        boxes, degrees, good = _fitted(xy * scale[:, None])
        boxes /= np.tile(scale, 2)
    kinds = pa.array(np.where(good, "box", "polygon").tolist(), pa.string())
    columns = {
        "kind": (kinds, at),
        "bounding_box": (pa.FixedSizeListArray.from_arrays(pa.array(boxes[good].ravel()), 4), at[good]),
        "rotation": (pa.array(degrees[good], mask=degrees[good] == 0), at[good]),
        "points": (pa.nulls(int(good.sum()), shapes.schema.field("points").type), at[good]),
        "closed": (pa.repeat(True, int((~good).sum())), at[~good]),
        "filled": (pa.repeat(True, int((~good).sum())), at[~good]),
    }
    for name, (values, rows) in columns.items():
        column = as_array(shapes[name])
        new = replace_values(column, rows, values.cast(column.type))
        shapes = shapes.set_column(shapes.column_names.index(name), shapes.schema.field(name), new)
    return shapes, int((~good).sum())


def upright(labels: pa.Table, sizes: np.ndarray | None = None) -> pa.Table:
    """Labels with the upright boxes around turned ones. ``sizes`` (width, height of each row) as ``around`` takes them; ``None``
    where positions are pixels.
    """
    degrees = pc.fill_null(labels["rotation"], 0.0).to_numpy()
    boxes = as_array(labels["bounding_box"])
    at = np.flatnonzero((degrees % 360 != 0) & as_mask(boxes.is_valid()))
    if not at.size:
        return labels
    values = boxes.take(pa.array(at)).flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
    turned = around(values, degrees[at], np.ones((at.size, 2)) if sizes is None else sizes[at])
    new = pa.FixedSizeListArray.from_arrays(pa.array(turned.ravel()), 4).cast(boxes.type)
    column = replace_values(boxes, at, new)
    return labels.set_column(labels.column_names.index("bounding_box"), "bounding_box", column)


def _fitted(quads: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes before they are turned, degrees, and which quadrilaterals are rectangles."""
    first, second, third, fourth = (quads[:, n] for n in range(4))
    (ax, ay), (bx, by) = (second - first).T, (third - second).T
    turn = ax * by - ay * bx
    quads = np.where((turn < 0)[:, None, None], quads[:, [0, 3, 2, 1]], quads)  # clockwise as seen
    first, second, third, fourth = (quads[:, n] for n in range(4))
    across, down = (second - first + third - fourth) / 2, (fourth - first + third - second) / 2
    size = np.stack([np.hypot(*across.T), np.hypot(*down.T)], axis=1)
    centre = quads.mean(axis=1)
    degrees = np.degrees(np.arctan2(across[:, 1] - down[:, 0], across[:, 0] + down[:, 1])) % 360
    boxes = np.hstack([centre - size / 2, size])
    off = np.hypot(*np.moveaxis(corners(boxes, degrees, np.ones_like(size)) - quads, -1, 0)).max(axis=1)
    diagonal = np.hypot(*size.T)
    allowed = np.minimum(np.maximum(_PIXELS, _SHARE * diagonal), size.min(axis=1) / 4)
    good = np.isfinite(quads).all(axis=(1, 2)) & (off <= allowed)
    low, high = quads.min(axis=1), quads.max(axis=1)
    edge = np.minimum(np.abs(quads - low[:, None]), np.abs(quads - high[:, None])).max(axis=(1, 2))
    upright = edge <= _EQUAL * diagonal
    boxes[upright] = np.hstack([low, high - low])[upright]
    degrees[upright] = 0.0
    return boxes, degrees, good
