"""What is wrong with labels before they are stored or sent: every value checked, by column, each mistake a sentence.

>>> box = pa.table({"label_id": ["a"], "kind": ["box"], "bounding_box": [[0.5, 0.5, 0.0, 0.1]]})
>>> problems(box)[0]
"Label 'a' has the box [0.5, 0.5, 0.0, 0.1], which has no area; give [x, y, width, height], the last two above 0."
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import geometry
from ..arrays import Bools, Ints, as_array, as_mask, list_lengths, replace_values
from ..geometry import check_rle
from ..labels import LABELS
from . import columns as checks
from .columns import Columns, Finding, Floats, wrong_values

TOLERANCE = 1e-6  # of the image: sums of exact coordinates miss 1 by an ulp or two
PARTS = ("spatial", "label", "attributes")  # of a label, whose values are checked by themselves
FEW_MASKS = 1000  # so many masks have their contents counted; of more, only their sizes are looked at
CLIP = "clip it, or pass invalid='clip'"
FEWEST = {"polygon": 3, "polyline": 2, "keypoints": 1, "skeleton": 1}  # points of a part
JOINTS = ("keypoints", "skeleton")
Check = Callable[[Columns], Iterator[Finding]]


def problems(labels: pa.Table, limit: int = 20, checks: Iterable[Check] | None = None) -> list[str]:
    """All that is wrong with ``labels``, in the order of the rows; what exceeds ``limit`` is only counted. ``checks`` are
    those of labels that are stored already, if not others.
    """
    table = Columns(labels)
    found = [f for check in (CHECKS if checks is None else checks) for f in check(table) if f.rows.size]
    first = sorted((int(row), i, k) for i, f in enumerate(found) for k, row in enumerate(f.rows[:limit]))[:limit]
    told = [f"{table.name(row)} {found[i].say(k)}" for row, i, k in first]
    more = sum(f.rows.size for f in found) - len(told)
    return [*told, f"and {more} more"] if more else told


def unstorable(labels: pa.Table, parts: Collection[str] = PARTS) -> dict[int, str]:
    """The rows that could not be stored, each with what is wrong with it, by some of its parts."""
    table = Columns(labels)
    found = [f for part in parts for check in _OF_PART[part] for f in check(table)]
    return {int(row): f.say(k) for f in reversed(found) for k, row in enumerate(f.rows)}


def other_size(labels: pa.Table, samples: pa.Table) -> Bools:
    """Which labels have a mask of another size than their image, as far as ``samples`` (sample_id, width, height) know it."""
    table = Columns(labels)
    at = pc.index_in(table["sample_id"], value_set=as_array(samples["sample_id"]))
    size = pc.struct_field(table["mask"], [0])
    wrong = np.zeros(table.size, bool)
    for place, name in enumerate(("height", "width")):
        wrong |= as_mask(pc.not_equal(pc.list_element(size, place), as_array(samples[name]).take(at)))
    return wrong


def mask_sizes(labels: pa.Table, samples: pa.Table, limit: int = 20) -> list[str]:
    """A sentence for each mask of another size than its image; what exceeds ``limit`` is only counted."""
    rows = np.flatnonzero(other_size(labels, samples))
    table, first = Columns(labels), pa.array(rows[:limit])
    at = pc.index_in(table["sample_id"].take(first), value_set=as_array(samples["sample_id"]))
    images = zip(*(as_array(samples[name]).take(at).to_pylist() for name in ("width", "height")), strict=True)
    sizes = pc.struct_field(table["mask"].take(first), [0]).to_pylist()
    told = [
        f"{table.name(int(row))} has a mask that {geometry.other_size(size[::-1], image)}"
        for row, size, image in zip(rows, sizes, images, strict=False)
    ]
    return [*told, f"and {rows.size - len(told)} more"] if rows.size > len(told) else told


def clip(labels: pa.Table) -> pa.Table:
    """``labels`` with boxes and points that leave the image cut back to it; all others keep their exact bits.

    Nothing is dropped: a box that was wholly outside has no area then, which ``problems`` reports.
    """
    table = Columns(labels)
    rows, boxes, upright = table.boxes
    over = upright & _finite(boxes) & _overhangs(boxes)
    labels = _replaced(labels, table, "bounding_box", rows[over], _clipped_boxes(boxes[over]))
    parts = table["points"]
    rings = parts.flatten()
    points = rings.flatten()
    xy = points.flatten().to_numpy(zero_copy_only=False).reshape(-1, 2)
    if _all_inside(xy):
        return labels
    owner = np.repeat(np.repeat(np.arange(table.size), list_lengths(parts)), list_lengths(rings))[
        as_mask(points.is_valid())
    ]
    off = _off(xy) & ~table.any_of("cuboid")[owner]
    touched = np.unique(owner[off])
    return _replaced(labels, table, "points", touched, _clipped_points(parts.take(pa.array(touched))))


def _replaced(labels: pa.Table, table: Columns, name: str, rows: Ints, new: pa.Array) -> pa.Table:
    if not rows.size:
        return labels
    column = replace_values(table[name], rows, new)
    return labels.set_column(labels.column_names.index(name), LABELS.field(name), column)


def _clipped_boxes(boxes: Floats) -> pa.Array:
    start, end = np.clip(boxes[:, :2], 0, 1), np.clip(boxes[:, :2] + boxes[:, 2:], 0, 1)
    return pa.FixedSizeListArray.from_arrays(pa.array(np.hstack([start, end - start]).ravel()), 4)


def _clipped_points(parts: pa.ListArray) -> pa.ListArray:
    rings = parts.values
    points = rings.values
    leaf, void = points.values.to_numpy(zero_copy_only=False), as_mask(points.values.is_null())
    off = np.isfinite(leaf) & ((leaf < -TOLERANCE) | (leaf > 1 + TOLERANCE))
    inside = pa.array(np.where(off, np.clip(leaf, 0, 1), leaf), mask=void)
    points = pa.FixedSizeListArray.from_arrays(inside, 2, mask=points.is_null())
    rings = pa.ListArray.from_arrays(rings.offsets, points, mask=rings.is_null())
    return pa.ListArray.from_arrays(parts.offsets, rings, mask=parts.is_null())


def _boxes(table: Columns) -> Iterator[Finding]:
    rows, boxes, upright = table.boxes
    if _all_inside(boxes[:, :2]) and _all_inside(_sum(boxes[:, :2], boxes[:, 2:])) and (boxes[:, 2:] > 0).all():
        return
    finite = _finite(boxes)
    level = table.any_of(*FEWEST)[rows]  # the box around a level line has no height
    flat = finite & ~level & ((boxes[:, 2] <= 0) | (boxes[:, 3] <= 0))
    around = flat & as_mask(table["mask"].is_valid())[rows]
    out = finite & ~flat & np.where(upright, _overhangs(boxes), _off(_sum(boxes[:, :2], boxes[:, 2:] / 2)))
    yield wrong_values(rows, ~finite, "box", boxes, "which is not all numbers; correct it, or leave the label out")
    yield wrong_values(
        rows, around, "box", boxes, "which is that of its mask and has no area; give a mask with a pixel"
    )
    yield wrong_values(
        rows, flat & ~around, "box", boxes, "which has no area; give [x, y, width, height], the last two above 0"
    )
    yield wrong_values(rows, out, "box", boxes, f"which is not inside the image; {CLIP}")


def _finite(boxes: Floats) -> Bools:
    finite: Bools = np.logical_and.reduce(np.isfinite(boxes), axis=1)
    return finite


def _sum(a: Floats, b: Floats) -> Floats:
    with np.errstate(all="ignore"):  # what is not finite is reported as such
        return np.add(a, b)


def _overhangs(boxes: Floats) -> Bools:
    return _off(boxes[:, :2]) | _off(_sum(boxes[:, :2], boxes[:, 2:]))


def _off(xy: Floats) -> Bools:
    """Which points are outside the image; not those that are not numbers."""
    low, high = np.fmin(xy[:, 0], xy[:, 1]), np.fmax(xy[:, 0], xy[:, 1])
    off: Bools = (low < -TOLERANCE) | (high > 1 + TOLERANCE)
    return off


def _all_inside(values: Floats) -> bool:
    """The quick look that suffices for nearly every table; NaN is not inside."""
    return not values.size or bool(values.min() >= -TOLERANCE and values.max() <= 1 + TOLERANCE)


def _points(table: Columns) -> Iterator[Finding]:
    parts, seen = table["points"], table["visibility"]
    if parts.null_count == len(parts):
        return
    codes, names = table.kinds
    fewest = np.array([FEWEST.get(str(name), 0) for name in names])[codes]
    rows = np.repeat(np.arange(len(parts)), list_lengths(parts))  # of each part
    rings = parts.flatten()
    sizes = list_lengths(rings)
    few = np.flatnonzero(sizes < fewest[rows])
    yield Finding(
        rows[few],
        lambda k: (
            f"has a part of {sizes[few[k]]} points, and a {names[codes[rows[few[k]]]]} needs at least "
            f"{fewest[rows[few[k]]]}; complete the part, or leave it out."
        ),
    )
    yield from _places(table, rings.flatten(), rows, sizes)
    if seen.null_count < table.size:
        unlike = list_lengths(seen) != np.bincount(rows, sizes, table.size)
        at = np.flatnonzero(unlike & as_mask(seen.is_valid()) & table.any_of(*JOINTS))
        yield Finding(at, lambda _: "has a 'visibility' that is not as long as its points; give one for each, or none.")


def _places(table: Columns, points: pa.Array, rows: Ints, sizes: Ints) -> Iterator[Finding]:
    coordinates = points.flatten()
    xy = coordinates.to_numpy(zero_copy_only=False).reshape(-1, 2)
    if not points.null_count and _all_inside(xy):
        return
    owner, there = np.repeat(rows, sizes), as_mask(points.is_valid())  # of each point
    void = np.append(owner[~there], np.repeat(owner[there], 2)[as_mask(coordinates.is_null())])
    yield Finding(np.unique(void), lambda _: "has a point that is null; write a missing keypoint as [NaN, NaN].")
    owner = owner[there]
    x, y = xy.T
    missing = (np.isnan(x) | np.isnan(y)) & ~table.any_of(*JOINTS)[owner]
    nowhere = missing | np.isinf(x) | np.isinf(y)
    beyond = ~nowhere & _off(xy) & ~table.any_of("cuboid")[owner]  # of which corners may lie outside
    yield wrong_values(
        owner, nowhere, "point", xy, "which is not a number (NaN, a missing point, is for keypoints); correct it"
    )
    yield wrong_values(owner, beyond, "point", xy, f"which is not inside the image; {CLIP}")


def _masks(table: Columns) -> Iterator[Finding]:
    masks = table["mask"]
    if masks.null_count == len(masks):
        return
    given = as_mask(masks.is_valid())
    size, counts = pc.struct_field(masks, [0]), pc.struct_field(masks, [1])
    whole = as_mask(pc.greater(pc.binary_length(counts), 0))
    for side in (0, 1):
        whole &= as_mask(pc.greater(pc.list_element(size, side), 0))
    empty = np.flatnonzero(given & ~whole)
    yield Finding(empty, lambda k: f"has a mask of size {size[int(empty[k])]} without pixels; encode the mask again.")
    full = np.flatnonzero(given & whole)
    if full.size <= FEW_MASKS:
        wrong = [(row, text) for row in full.tolist() if (text := check_rle(masks[row].as_py()))]
        yield Finding(np.array([row for row, _ in wrong], np.int64), lambda k: f"has a mask that {wrong[k][1]}")


_OF_PART = {
    "spatial": (checks.kinds, checks.numbers, _boxes, _points, _masks),
    "label": (checks.scalars,),
    "attributes": (checks.attributes,),
}
VALUES = tuple(check for part in PARTS for check in _OF_PART[part])
CHECKS = (*VALUES, checks.ids)
# What a label says of its place and class. Labels that were stored before these checks were made are left in peace.
PLACES = (checks.fields, checks.frames, checks.classes)
NEW = (*CHECKS, *PLACES, checks.given_ids)
