"""Small Arrow helpers that the codec is made of: aligned arrays in, aligned arrays out, no loop over rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Bools = npt.NDArray[np.bool_]
FLOATS = pa.list_(pa.float64())
INTS = pa.list_(pa.int64())
STRINGS = pa.list_(pa.string())


def one(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column as a single array."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.array([], column.type)])


def bools(values: Any) -> Bools:
    """A boolean array for numpy; null is false."""
    return np.asarray(pc.fill_null(one(values), False).to_numpy(zero_copy_only=False), bool)


def find(values: pa.Array, within: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Where each value first stands in ``within``; null where it does not. ``within`` has no null."""
    return pc.index_in(values, value_set=one(within)) if len(within) else pa.nulls(len(values), pa.int32())


def first_rows(ids: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The first row of each id, in order."""
    texts = one(ids).to_numpy(zero_copy_only=False)
    return pa.array(np.sort(np.unique(texts, return_index=True)[1]) if len(ids) else [], pa.int64())


def choose(where: Bools, yes: pa.Array, no: pa.Array) -> pa.Array:
    """``yes`` where ``where`` holds, ``no`` elsewhere; for every type, nested ones too."""
    rows = np.arange(len(where))
    return pa.concat_arrays([yes, no.cast(yes.type)]).take(pa.array(np.where(where, rows, rows + len(where))))


def lengths(lists: pa.Array) -> npt.NDArray[np.int64]:
    """How long each list is; 0 where there is none."""
    return np.asarray(pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False), np.int64)


def offsets(counts: npt.NDArray[np.int64]) -> pa.Array:
    """The offsets of lists of these lengths."""
    return pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))


def lists(counts: npt.NDArray[np.int64], flat: pa.Array) -> pa.ListArray:
    """Lists of these lengths, one after the other."""
    return pa.ListArray.from_arrays(offsets(counts), flat)


def same(left: pa.Array, right: pa.Array) -> Bools:
    """Which rows are equal. Two nulls are; of lists, the elements must be."""
    if not pa.types.is_list(left.type):
        both = bools(pc.and_(pc.is_null(left), pc.is_null(right)))
        return np.asarray(bools(pc.equal(left, right)) | both, bool)
    size = lengths(left)
    out = np.asarray((size == lengths(right)) & (bools(pc.is_null(left)) == bools(pc.is_null(right))), bool)
    rows = np.flatnonzero(out)
    a, b = (pc.list_flatten(x.take(pa.array(rows))) for x in (left, right))
    differ = np.repeat(rows, size[rows])[~same(a, b)]
    out[differ] = False
    return out


def each(texts: pa.Array, function: Callable[[str], Any], type_: pa.DataType) -> pa.Array:
    """``function`` of every text, called once for each different one."""
    coded = pc.dictionary_encode(texts)
    return pa.array([function(t) for t in coded.dictionary.to_pylist()], type_).take(coded.indices)


def setting(table: pa.Table, **columns: Any) -> pa.Table:
    """``table`` with these columns instead, cast to the types that it has."""
    for name, values in columns.items():
        at = table.schema.get_field_index(name)
        field = table.schema.field(at)
        array = values if isinstance(values, pa.Array) else pa.repeat(pa.scalar(values, field.type), table.num_rows)
        table = table.set_column(at, field, array.cast(field.type))
    return table
