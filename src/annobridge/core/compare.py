"""Compare the rows of two Arrow arrays of any type, nested ones too, without creating Python objects for rows.

>>> a = pa.array([[1.0, float("nan")], [], None])
>>> equal_rows(a, pa.array([[1.0, float("nan")], None, None])).tolist()
[True, False, True]
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .arrays import Bools, as_array, as_mask, list_lengths, not_null


def equal_rows(a: pa.Array | pa.ChunkedArray, b: pa.Array | pa.ChunkedArray) -> Bools:
    """Whether the rows of two equally long arrays of one type are equal, row by row.

    Null equals null and NaN equals NaN, at any level; 0.0 equals -0.0; null is not an empty list.
    """
    if a.type != b.type or len(a) != len(b):
        raise ValueError(f"{len(a)} rows of {a.type} and {len(b)} of {b.type}; compare equally many rows of one type.")
    result = np.ones(len(a), bool)
    if a.null_count == b.null_count == len(a):  # most columns of labels hold nothing
        return result
    for start, stop in _common_ranges(a, b):
        result[start:stop] = _equal(_slice(a, start, stop), _slice(b, start, stop))
    return result


def close_rows(a: pa.Array | pa.ChunkedArray, b: pa.Array | pa.ChunkedArray, tolerance: float) -> Bools:
    """Where the rows of two equally long arrays of floats, or of nested lists of floats, are close: lists have the same lengths at
    every level, and numbers differ by ``tolerance`` at most. Null equals null and NaN equals NaN.

    >>> close_rows(pa.array([[1.0], [1.0], None]), pa.array([[1.1], [1.0, 2.0], None]), 0.2).tolist()
    [True, False, True]
    """
    a, b = as_array(a), as_array(b)
    same: Bools = not_null(a) == not_null(b)
    if pa.types.is_floating(a.type):
        x, y = (v.fill_null(0.0).to_numpy(zero_copy_only=False) for v in (a, b))
        same &= (np.abs(x - y) <= tolerance) | (np.isnan(x) & np.isnan(y))
        return same
    sizes = list_lengths(a)
    same &= sizes == list_lengths(b)
    rows = np.flatnonzero(same)
    inner = close_rows(a.take(pa.array(rows)).flatten(), b.take(pa.array(rows)).flatten(), tolerance)
    same[np.repeat(rows, sizes[rows])[~inner]] = False
    return same


def _common_ranges(a: pa.Array | pa.ChunkedArray, b: pa.Array | pa.ChunkedArray) -> list[tuple[int, int]]:
    """Ranges of rows within one chunk of each. Chunks are not combined, as masks might exceed Arrow's 32-bit offsets."""
    ends = {0, len(a)}
    for side in (a, b):
        if isinstance(side, pa.ChunkedArray):
            ends.update(np.cumsum([len(chunk) for chunk in side.chunks]).tolist())
    cuts = sorted(int(end) for end in ends)
    return list(pairwise(cuts))


def _slice(array: pa.Array | pa.ChunkedArray, start: int, stop: int) -> pa.Array:
    piece = array.slice(start, stop - start)
    return next(c for c in piece.chunks if len(c)) if isinstance(piece, pa.ChunkedArray) else piece


def _equal(a: pa.Array, b: pa.Array) -> Bools:
    kind = a.type
    same = np.ones(len(a), bool)
    if pa.types.is_struct(kind):
        for i in range(kind.num_fields):
            same &= _equal(a.field(i), b.field(i))
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        same = _equal_lists(a, b)
    elif not pa.types.is_null(kind):
        same = as_mask(pc.equal(a, b))
        if pa.types.is_floating(kind) and not same.all():
            same |= as_mask(pc.is_nan(a)) & as_mask(pc.is_nan(b))
    if not a.null_count and not b.null_count:
        return same
    null, other_null = as_mask(a.is_null()), as_mask(b.is_null())  # values under a null are undefined
    return np.where(null | other_null, null & other_null, same)


def _equal_lists(a: pa.Array, b: pa.Array) -> Bools:
    sizes, others = list_lengths(a), list_lengths(b)
    same: Bools = sizes == others
    if not same.all():
        keep = pa.array(same)
        a, b, sizes = a.filter(keep), b.filter(keep), sizes[same]
    differ = np.flatnonzero(~_equal(a.flatten(), b.flatten()))
    if differ.size:
        rows = np.searchsorted(np.cumsum(sizes), differ, side="right")
        same[np.flatnonzero(same)[rows]] = False
    return same
