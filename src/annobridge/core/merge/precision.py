"""Precision: coordinates that nobody changed in the tool keep their exact value, however the tool rounds or converts.

A tool that stores pixels or percentages returns all numbers of a box when one side was moved, and all points of a polygon when
one was. Each number is compared with the baseline: the number that the tool returned when the label was sent.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import Bools, as_array, as_mask, list_lengths, replace_values
from ..compare import equal_rows
from ..labels import COMPONENTS, LABELS

Floats = npt.NDArray[np.float64]

_ROUNDED_DEGREES = 0.05  # by which rotations may differ that were rounded
SAME = 1e-9  # relative to the image: far less than a pixel, and far more than conversions lose


def keep_unchanged(
    theirs: pa.Table,
    base: pa.Table,
    ours: pa.Table,
    where: Bools,
    tolerance: Floats | None = None,
    degrees: float = SAME,
) -> pa.Table:
    """At the rows of ``where``: ``theirs`` with the numbers of ``ours`` wherever those of the tool equal the baseline.

    The three tables are aligned. Points are compared if the shape has the same number of parts and points as before.
    ``tolerance`` has for each row by how much equal positions may differ, as shares of width and height, shape (rows, 2); for
    boxes, these are the positions of their edges. ``degrees`` is the same for rotations. Both are ``SAME`` by default.
    """
    at = np.flatnonzero(where)
    if not len(at):
        return theirs
    rows = pa.array(at)
    allowed = np.full((len(where), 2), SAME) if tolerance is None else tolerance
    restoring: dict[str, Callable[..., pa.Array]] = {
        "bounding_box": _boxes, "rotation": partial(_rotations, degrees), "points": _points
    }  # fmt: skip
    for name, restored in restoring.items():
        sides = [as_array(side[name]).take(rows) for side in (theirs, base, ours)]
        present = np.logical_and.reduce([as_mask(side.is_valid()) for side in sides])
        if present.any():
            keep = pa.array(np.flatnonzero(present))
            new = restored(*(side.take(keep) for side in sides), allowed[at][present])
            column = replace_values(as_array(theirs[name]), at[present], new.cast(LABELS.field(name).type))
            theirs = theirs.set_column(theirs.column_names.index(name), theirs.schema.field(name), column)
    return theirs


def same_shapes(theirs: pa.Table, ours: pa.Table, tolerance: Floats) -> Bools:
    """Which shapes are the same but for rounding; ``tolerance`` is as for ``keep_unchanged``."""
    rounded = keep_unchanged(theirs, ours, ours, np.ones(theirs.num_rows, bool), tolerance, _ROUNDED_DEGREES)
    columns = COMPONENTS["spatial"]
    same: Bools = np.logical_and.reduce([equal_rows(as_array(rounded[c]), as_array(ours[c])) for c in columns])
    return same


def _equal(told: Floats, before: Floats, tolerance: Floats | float) -> Bools:
    with np.errstate(invalid="ignore"):
        same: Bools = (np.abs(told - before) <= tolerance) | (np.isnan(told) & np.isnan(before))
    return same


def _numbers(theirs: pa.Array, base: pa.Array, ours: pa.Array, tolerance: Floats | float) -> pa.Array:
    told, before, here = (side.to_numpy(zero_copy_only=False) for side in (theirs, base, ours))
    return pa.array(np.where(_equal(told, before, tolerance), here, told))


def _rotations(degrees: float, theirs: pa.Array, base: pa.Array, ours: pa.Array, _: Floats) -> pa.Array:
    return _numbers(theirs, base, ours, degrees)


def _boxes(theirs: pa.Array, base: pa.Array, ours: pa.Array, tolerance: Floats) -> pa.Array:
    told, before, here = (side.flatten().to_numpy(zero_copy_only=False).reshape(-1, 4) for side in (theirs, base, ours))
    same = _equal(told, before, SAME)
    near = _equal(told[:, :2], before[:, :2], tolerance)
    far = _equal(told[:, :2] + told[:, 2:], before[:, :2] + before[:, 2:], tolerance)
    same |= np.hstack([near, near & far])  # a width is the difference of two numbers that may both be rounded
    return pa.FixedSizeListArray.from_arrays(pa.array(np.where(same, here, told).ravel()), 4)


def _points(theirs: pa.ListArray, base: pa.ListArray, ours: pa.ListArray, tolerance: Floats) -> pa.ListArray:
    same_shape = _same_shape(theirs, base) & _same_shape(theirs, ours)
    keep = pa.array(np.flatnonzero(same_shape))
    theirs_kept = theirs.take(keep)
    rings = theirs_kept.flatten()
    owner = np.repeat(np.repeat(np.flatnonzero(same_shape), list_lengths(theirs_kept)), list_lengths(rings))
    told, before, here = (side.take(keep).flatten().flatten().flatten() for side in (theirs, base, ours))
    new = _nested(theirs_kept, _numbers(told, before, here, tolerance[owner].ravel()))
    return replace_values(theirs, np.flatnonzero(same_shape), new.cast(theirs.type))


def _same_shape(a: pa.ListArray, b: pa.ListArray) -> Bools:
    """Which rows have the same number of parts, with the same numbers of points, none of them null."""
    same = list_lengths(a) == list_lengths(b)
    rows = pa.array(np.flatnonzero(same))
    inner = [side.take(rows).flatten() for side in (a, b)]
    owner = np.repeat(np.flatnonzero(same), list_lengths(a)[same])
    same[owner[list_lengths(inner[0]) != list_lengths(inner[1])]] = False
    for side in (a, b):
        null = as_mask(side.flatten().flatten().is_null())
        points = np.repeat(np.repeat(np.arange(len(side)), list_lengths(side)), list_lengths(side.flatten()))
        same[points[null]] = False
    result: Bools = same
    return result


def _nested(like: pa.ListArray, numbers: pa.Array) -> pa.ListArray:
    points = pa.FixedSizeListArray.from_arrays(numbers, 2)
    rings = pa.ListArray.from_arrays(_offsets(like.flatten()), points)
    return pa.ListArray.from_arrays(_offsets(like), rings)


def _offsets(lists: pa.Array) -> pa.Array:
    return pc.cast(pa.array(np.concatenate([[0], np.cumsum(list_lengths(lists))])), pa.int32())
