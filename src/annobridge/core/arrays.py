"""Helpers for Arrow columns and numpy arrays. A mask is a numpy array of booleans, one for each row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


def as_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column as one array. (``combine_chunks`` fails for a column without chunks.)"""
    if isinstance(column, pa.Array):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def as_mask(values: pa.Array | pa.ChunkedArray) -> Bools:
    """A mask from an Arrow array of booleans; null is False."""
    filled = as_array(pc.fill_null(values, False) if values.null_count else values).cast(pa.bool_())
    if not len(filled):
        return np.zeros(0, bool)
    # Arrow's own conversion takes the bits one by one.
    octets = np.frombuffer(filled.buffers()[1], np.uint8)[filled.offset // 8 : (filled.offset + len(filled) + 7) // 8]
    bits: Bools = np.unpackbits(octets, bitorder="little").view(bool)
    return bits[filled.offset % 8 :][: len(filled)]


def not_null(values: pa.Array | pa.ChunkedArray) -> Bools:
    """Where an array is not null."""
    return as_mask(values.is_valid())


def equal(a: pa.Array | pa.ChunkedArray, b: pa.Array | pa.ChunkedArray | str) -> Bools:
    """Where two arrays are equal; null equals nothing."""
    return as_mask(pc.equal(a, b))


def is_rotated(rotations: pa.Array | pa.ChunkedArray) -> Bools:
    """Where a rotation, in degrees, is neither null, nor zero, nor a whole turn.

    >>> is_rotated(pa.array([None, 0.0, -0.0, 360.0, 12.5])).tolist()
    [False, False, False, False, True]
    """
    known, rotated = not_null(rotations), np.zeros(len(rotations), bool)  # most labels have no rotation
    degrees = as_array(rotations).drop_null().cast(pa.float64()).to_numpy()
    with np.errstate(invalid="ignore"):  # for infinity, which counts as rotated
        rotated[known] = np.fmod(degrees, 360.0) != 0
    return rotated


def index_of(values: pa.Array | pa.ChunkedArray, within: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The first row of ``within`` that holds each value (int32); null where none does.

    >>> index_of(pa.array(["b", "x"]), pa.array(["a", "b", "b"])).to_pylist()
    [1, None]
    """
    values = as_array(values)
    return pc.index_in(values, value_set=as_array(within)) if len(within) else pa.nulls(len(values), pa.int32())


def count_in(values: pa.Array | pa.ChunkedArray, within: pa.Array | pa.ChunkedArray) -> int:
    """How many of the values are in ``within``.

    >>> count_in(pa.array(["a", "b", "b"]), pa.array(["b"]))
    2
    """
    return int(pc.sum(pc.is_in(values, value_set=as_array(within)), min_count=0).as_py())


def choose(where: Bools, yes: pa.Array | pa.ChunkedArray, no: pa.Array | pa.ChunkedArray) -> pa.Array:
    """``yes`` where ``where`` is true, ``no`` elsewhere, in the type of ``yes``. Unlike ``pc.if_else``, for nested types too.

    >>> choose(np.array([True, False]), pa.array([[1], [2]]), pa.array([[3], [4]])).to_pylist()
    [[1], [4]]
    """
    yes = as_array(yes)
    rows = np.arange(len(where))
    both = pa.concat_arrays([yes, as_array(no).cast(yes.type)])
    return both.take(pa.array(np.where(where, rows, rows + len(where))))


def map_distinct(values: pa.Array | pa.ChunkedArray, function: Callable[[Any], Any], type_: pa.DataType) -> pa.Array:
    """``function`` of every value, called once for each distinct value; null stays null.

    >>> map_distinct(pa.array(["a", None, "a"]), str.upper, pa.string()).to_pylist()
    ['A', None, 'A']
    """
    codes = pc.dictionary_encode(as_array(values))
    return pa.array([function(v) for v in codes.dictionary.to_pylist()], type_).take(codes.indices)


def list_array(lengths: Ints, flat: pa.Array) -> pa.ListArray:
    """Lists of these lengths, filled in order from ``flat``: the inverse of ``list_lengths`` and ``flatten``.

    >>> list_array(np.array([2, 0, 1]), pa.array([7, 8, 9])).to_pylist()
    [[7, 8], [], [9]]
    """
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), flat)


def set_columns(table: pa.Table, **columns: Any) -> pa.Table:
    """``table`` with new values in some columns, cast to the types of these. A scalar is repeated for every row."""
    for name, values in columns.items():
        field = table.schema.field(name)
        if not isinstance(values, pa.Array | pa.ChunkedArray):
            values = pa.repeat(pa.scalar(values, field.type), table.num_rows)
        table = table.set_column(table.schema.get_field_index(name), field, values.cast(field.type))
    return table


def first_rows(ids: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The row at which each distinct text occurs first (int64), ascending."""
    texts = as_array(ids).to_numpy(zero_copy_only=False)
    return pa.array(np.sort(np.unique(texts, return_index=True)[1]) if len(ids) else [], pa.int64())


def replace_values(values: pa.Array, rows: Ints, new: pa.Array) -> pa.Array:
    """``values`` with ``new[i]`` at row ``rows[i]``."""
    order = np.arange(len(values))
    order[rows] = len(values) + np.arange(len(new))
    return pa.concat_arrays([values, new]).take(pa.array(order))


def any_of(masks: Iterable[Bools], size: int) -> Bools:
    """The masks combined with "or"; ``size`` is their length, as there may be none."""
    out = np.zeros(size, bool)
    for mask in masks:
        out |= mask
    return out


def row_keys(rows: pa.Table, names: Iterable[str]) -> pa.Array:
    r"""A text for each row, equal where these columns are; null is as the empty text.

    >>> row_keys(pa.table({"a": ["x", None], "b": [1, 2]}), ("a", "b")).to_pylist()
    ['x\x001', '\x002']
    """
    columns = (pc.fill_null(as_array(rows[name]).cast(pa.string()), "") for name in names)
    return pc.binary_join_element_wise(*columns, "\0")


def filter_rows(rows: pa.Table, where: pa.Array | pa.ChunkedArray) -> pa.Table:
    """The rows at which ``where`` is true. If that is every row, the table itself: a filter would copy it."""
    return rows if pc.all(where, min_count=0).as_py() else take_rows(rows, np.flatnonzero(as_mask(where)))


def take_rows(rows: pa.Table, numbers: Ints) -> pa.Table:
    """The rows with these numbers; -1 gives a row of nulls.

    Unlike ``Table.take``, it does not read columns that are all null, as most columns of labels are, nor copy columns of one
    chunk if all rows are taken as they come.

    >>> take_rows(pa.table({"a": [7, 8], "b": pa.nulls(2, pa.string())}), np.array([1, -1])).to_pydict()
    {'a': [8, None], 'b': [None, None]}
    """
    if len(numbers) == rows.num_rows and (numbers == np.arange(len(numbers))).all():
        return pa.Table.from_arrays([as_array(column) for column in rows.columns], schema=rows.schema)
    absent = numbers < 0
    at = pa.array(np.maximum(numbers, 0), mask=absent) if absent.any() else pa.array(numbers)
    columns = []
    for field, column in zip(rows.schema, rows.columns, strict=True):
        empty = column.null_count == len(column)  # Arrow refuses even null numbers into a column without chunks
        columns.append(pa.nulls(len(at), field.type) if empty else as_array(column).take(at))
    return pa.Table.from_arrays(columns, schema=rows.schema)


def list_lengths(lists: pa.Array) -> Ints:
    """The length of each list (of variable or fixed size), 0 for null: how many values of ``lists.flatten()`` each row has."""
    sizes: Ints = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return sizes


def points_known(points: pa.Array) -> Ints:
    """The number of points of each label that are not missing (NaN)."""
    rings = points.flatten()
    owner = np.repeat(np.repeat(np.arange(len(points)), list_lengths(points)), list_lengths(rings))
    xy = rings.flatten().flatten().to_numpy(zero_copy_only=False).reshape(-1, 2)
    known: Ints = np.bincount(owner[~np.isnan(xy).any(axis=1)], minlength=len(points))
    return known
