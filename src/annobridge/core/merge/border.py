"""Shapes that were drawn over the border of their image: by how much, and clipping."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ..arrays import Bools, as_mask, list_lengths
from ..checks.label_columns import Floats, LabelColumns
from ..checks.shape_checks import TOLERANCE, all_inside
from ..checks.validate import clip

CLIP, REFUSE, KEEP = "clip", "refuse", "keep"
MODES = (CLIP, REFUSE, KEEP)
PIXEL_OF_UNKNOWN = 0.001  # a pixel, as a share of the width or height, where the size of the image is not known


def overhang(labels: pa.Table) -> Floats:
    """How far each label extends beyond its image: an array of (horizontal, vertical), as shares of its width and height.

    0 for shapes that may be outside (rotated boxes, cuboids), and for values that are not finite.
    """
    table = LabelColumns(labels)
    over = np.zeros((table.size, 2))
    rows, boxes, upright = table.boxes
    with np.errstate(invalid="ignore"):
        beyond = np.fmax(np.fmax(-boxes[:, :2], boxes[:, :2] + boxes[:, 2:] - 1), 0)
    over[rows[upright]] = beyond[upright]
    parts = table["points"]
    rings = parts.flatten()
    points = rings.flatten()
    xy = points.flatten().to_numpy(zero_copy_only=False).reshape(-1, 2)
    if not all_inside(xy):
        owner = np.repeat(np.repeat(np.arange(table.size), list_lengths(parts)), list_lengths(rings))[
            as_mask(points.is_valid())
        ]
        with np.errstate(invalid="ignore"):
            beyond = np.fmax(np.fmax(-xy, xy - 1), 0)
        beyond[table.any_of("cuboid")[owner]] = 0
        np.fmax.at(over, owner, beyond)
    over[~np.isfinite(over)] = 0
    over[over <= TOLERANCE] = 0
    return over


def within_a_pixel(over: Floats, sizes: Floats) -> Bools:
    """Which labels overhang by a pixel at most. ``sizes`` are the (width, height) of their images in pixels; NaN if unknown."""
    pixel = np.where(np.isfinite(sizes) & (sizes > 0), 1 / np.fmax(sizes, 1), PIXEL_OF_UNKNOWN)
    within: Bools = np.logical_and.reduce(over <= pixel * (1 + 1e-9) + TOLERANCE, axis=1)
    over_any: Bools = np.logical_or.reduce(over > 0, axis=1)
    return within & over_any


def clip_where(labels: pa.Table, where: Bools) -> pa.Table:
    """``labels``, of which those at which ``where`` is true are clipped to their images."""
    order = np.arange(labels.num_rows)
    order[where] = labels.num_rows + np.arange(int(where.sum()))
    both = pa.concat_tables([labels, clip(labels.filter(pa.array(where)))])
    return both.take(pa.array(order)).combine_chunks()
