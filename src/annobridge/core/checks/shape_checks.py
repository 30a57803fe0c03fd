"""Checks of shapes: boxes, points and masks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import Bools, Ints, as_mask, list_lengths
from ..geometry import check_rle
from .label_columns import Floats, LabelColumns, Mistake, wrong_values

TOLERANCE = 1e-6  # relative to the image: sums of exact coordinates miss 1 by one or two units in the last place
FEW_MASKS = 1000  # up to so many masks are decoded; in larger tables, only their sizes are checked
CLIP = "clip it, or pass invalid='clip'"
FEWEST_POINTS = {"polygon": 3, "polyline": 2, "keypoints": 1, "skeleton": 1}  # points that a part needs
KEYPOINT_KINDS = ("keypoints", "skeleton")


def boxes(table: LabelColumns) -> Iterator[Mistake]:
    rows, boxes, upright = table.boxes
    if all_inside(boxes[:, :2]) and all_inside(_sum(boxes[:, :2], boxes[:, 2:])) and (boxes[:, 2:] > 0).all():
        return
    finite = is_finite(boxes)
    may_be_flat = table.any_of(*FEWEST_POINTS)[rows]  # the box around a horizontal line has no height
    flat = finite & ~may_be_flat & ((boxes[:, 2] <= 0) | (boxes[:, 3] <= 0))
    of_empty_mask = flat & as_mask(table["mask"].is_valid())[rows]
    outside = (
        finite & ~flat & np.where(upright, boxes_overhang(boxes), is_outside(_sum(boxes[:, :2], boxes[:, 2:] / 2)))
    )
    yield wrong_values(rows, ~finite, "box", boxes, "which is not all numbers; correct it, or leave the label out")
    yield wrong_values(
        rows, of_empty_mask, "box", boxes, "which is that of its mask and has no area; give a mask with a pixel"
    )
    yield wrong_values(
        rows, flat & ~of_empty_mask, "box", boxes, "which has no area; give [x, y, width, height], the last two above 0"
    )
    yield wrong_values(rows, outside, "box", boxes, f"which is not inside the image; {CLIP}")


def is_finite(boxes: Floats) -> Bools:
    finite: Bools = np.logical_and.reduce(np.isfinite(boxes), axis=1)
    return finite


def _sum(a: Floats, b: Floats) -> Floats:
    with np.errstate(all="ignore"):  # values that are not finite are reported separately
        return np.add(a, b)


def boxes_overhang(boxes: Floats) -> Bools:
    return is_outside(boxes[:, :2]) | is_outside(_sum(boxes[:, :2], boxes[:, 2:]))


def is_outside(xy: Floats) -> Bools:
    """Which points are outside the image. NaN is not."""
    low, high = np.fmin(xy[:, 0], xy[:, 1]), np.fmax(xy[:, 0], xy[:, 1])
    outside: Bools = (low < -TOLERANCE) | (high > 1 + TOLERANCE)
    return outside


def all_inside(values: Floats) -> bool:
    """Whether all values are inside the image: a fast test that nearly every table passes. NaN is not inside."""
    return not values.size or bool(values.min() >= -TOLERANCE and values.max() <= 1 + TOLERANCE)


def points(table: LabelColumns) -> Iterator[Mistake]:
    parts, visibility = table["points"], table["visibility"]
    if parts.null_count == len(parts):
        return
    codes, names = table.kinds
    fewest = np.array([FEWEST_POINTS.get(str(name), 0) for name in names])[codes]
    rows = np.repeat(np.arange(len(parts)), list_lengths(parts))  # of each part
    rings = parts.flatten()
    sizes = list_lengths(rings)
    few = np.flatnonzero(sizes < fewest[rows])
    yield Mistake(
        rows[few],
        lambda k: (
            f"has a part of {sizes[few[k]]} points, and a {names[codes[rows[few[k]]]]} needs at least "
            f"{fewest[rows[few[k]]]}; complete the part, or leave it out."
        ),
    )
    yield from _coordinates(table, rings.flatten(), rows, sizes)
    if visibility.null_count < table.size:
        differs = list_lengths(visibility) != np.bincount(rows, sizes, table.size)
        at = np.flatnonzero(differs & as_mask(visibility.is_valid()) & table.any_of(*KEYPOINT_KINDS))
        yield Mistake(at, lambda _: "has a 'visibility' that is not as long as its points; give one for each, or none.")


def _coordinates(table: LabelColumns, points: pa.Array, rows: Ints, sizes: Ints) -> Iterator[Mistake]:
    coordinates = points.flatten()
    xy = coordinates.to_numpy(zero_copy_only=False).reshape(-1, 2)
    if not points.null_count and all_inside(xy):
        return
    owner, given = np.repeat(rows, sizes), as_mask(points.is_valid())  # of each point
    null = np.append(owner[~given], np.repeat(owner[given], 2)[as_mask(coordinates.is_null())])
    yield Mistake(np.unique(null), lambda _: "has a point that is null; write a missing keypoint as [NaN, NaN].")
    owner = owner[given]
    x, y = xy.T
    missing = (np.isnan(x) | np.isnan(y)) & ~table.any_of(*KEYPOINT_KINDS)[owner]
    not_number = missing | np.isinf(x) | np.isinf(y)
    outside = ~not_number & is_outside(xy) & ~table.any_of("cuboid")[owner]  # whose corners may be outside
    yield wrong_values(
        owner, not_number, "point", xy, "which is not a number (NaN, a missing point, is for keypoints); correct it"
    )
    yield wrong_values(owner, outside, "point", xy, f"which is not inside the image; {CLIP}")


def masks(table: LabelColumns) -> Iterator[Mistake]:
    masks = table["mask"]
    if masks.null_count == len(masks):
        return
    given = as_mask(masks.is_valid())
    size, counts = pc.struct_field(masks, [0]), pc.struct_field(masks, [1])
    has_pixels = as_mask(pc.greater(pc.binary_length(counts), 0))
    for side in (0, 1):
        has_pixels &= as_mask(pc.greater(pc.list_element(size, side), 0))
    empty = np.flatnonzero(given & ~has_pixels)
    yield Mistake(empty, lambda k: f"has a mask of size {size[int(empty[k])]} without pixels; encode the mask again.")
    decodable = np.flatnonzero(given & has_pixels)
    if decodable.size <= FEW_MASKS:
        wrong = [(row, text) for row in decodable.tolist() if (text := check_rle(masks[row].as_py()))]
        yield Mistake(np.array([row for row, _ in wrong], np.int64), lambda k: f"has a mask that {wrong[k][1]}")
