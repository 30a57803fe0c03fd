"""Checks of single shapes: too small, moved far, or over the border of the image."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array, index_of
from ..core.flat_points import FlatPoints
from ..core.similarity import extents
from . import groups
from .base import WARNING, Evidence, Finding, Floats

_AREAS = ("box", "ellipse", "polygon", "mask")  # kinds whose extents have a size to speak of
_MAY_OVERHANG = ("box", "ellipse", "cuboid")  # all others are cut to the image, or refused, when they are loaded


def small_boxes(evidence: Evidence, *, pixels: float = 3.0) -> Iterator[Finding]:
    """Added or edited boxes, ellipses, polygons and masks would be narrower or lower than some pixels.

    Args:
        evidence: what the load would do. Shapes on images of unknown size are left out.
        pixels: the least width and height.
    """
    rows = evidence.shaped()
    rows = rows.filter(pc.is_in(rows["shape"], pa.array(_AREAS)))
    sides = (_boxes(rows["theirs_box"])[:, 2:] * evidence.sizes(rows["sample_id"])).min(axis=1, initial=np.inf)
    small = (
        sides < pixels - 1e-6
    )  # what is exactly so many pixels may be less after its division by the size of the image
    rows, sides = rows.filter(pa.array(small)), sides[small]
    rows = rows.append_column("side", pa.array(sides))
    for key, part in groups.by(rows, "field", "label"):
        least = pc.min(part["side"]).as_py()
        yield Finding(
            f"{groups.labels(part.num_rows, *key)} would be less than {pixels:g} pixels wide or high (the least: {least:.2g}).",
            part["change_id"],
        )


def iou_floor(evidence: Evidence, *, limit: float = 0.5, at_least: int = 1) -> Iterator[Finding]:
    """Shapes would be moved or resized so far that little of them stays where it was.

    Args:
        evidence: what the load would do.
        limit: the least overlap of a shape before and after (intersection over union, 0..1).
        at_least: how many such edits of a class there must be.
    """
    rows = evidence.edited("spatial")
    rows = rows.filter(pc.less(rows["iou"], limit))
    for key, part in groups.by(rows, "field", "label"):
        if part.num_rows >= at_least:
            yield Finding(
                f"{groups.labels(part.num_rows, *key)} would be moved or resized by much: before and after overlap by less than "
                f"{groups.percent(limit)} (IoU; the least: {groups.percent(pc.min(part['iou']).as_py())}).",
                part["change_id"], WARNING,
            )  # fmt: skip


def over_border(evidence: Evidence, *, pixels: float = 1.0) -> Iterator[Finding]:
    """Added or edited shapes would lie over the border of their image: turned boxes and ellipses, and cuboids, which may.

    Args:
        evidence: what the load would do. Shapes on images of unknown size are left out.
        pixels: how far they may.
    """
    changes, after = evidence.shaped(), evidence.after
    changed = index_of(after["label_id"], changes["label_id"])
    may = pc.and_(changed.is_valid(), pc.is_in(after["kind"], pa.array(_MAY_OVERHANG)))
    rows, changed = after.filter(may), changed.filter(as_array(may))
    sizes = evidence.sizes(rows["sample_id"])
    sides = _sides(rows, sizes)
    over = (np.fmax(-sides[:, :2], sides[:, 2:] - 1) * sizes).max(axis=1, initial=-np.inf)
    found = over > pixels + 1e-6
    over_pixels = pa.array(over[found])
    of_class = changes.take(changed.filter(pa.array(found))).append_column("over", over_pixels)
    for key, part in groups.by(of_class, "field", "label"):
        yield Finding(
            f"{groups.labels(part.num_rows, *key)} would lie over the border of their image, by up to "
            f"{pc.max(part['over']).as_py():.3g} pixels; {pixels:g} may be.",
            part["change_id"], WARNING,
        )  # fmt: skip


def _sides(rows: pa.Table, sizes: Floats) -> Floats:
    """Left, top, right and bottom of shapes. ``extents`` makes those of points wider, so cuboids are measured here."""
    found = extents(rows, sizes)
    points = FlatPoints.of(rows["points"])
    owner = points.rows()
    for side, ends in ((0, np.minimum), (2, np.maximum)):
        start = np.inf if side == 0 else -np.inf
        exact = np.full((rows.num_rows, 2), start)
        ends.at(exact, owner, points.xy)
        has_points = points.counts() > 0
        found[has_points, side : side + 2] = exact[has_points]
    return found


def _boxes(column: pa.ChunkedArray) -> Floats:
    boxes: Floats = as_array(column).flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
    return boxes
