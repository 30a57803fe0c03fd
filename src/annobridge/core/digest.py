"""A digest of what a table says, whatever its chunks, offsets and the noise under its nulls: what ``equal_rows`` finds
equal has one digest.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .arrays import as_array, as_mask, list_lengths


def digest(rows: pa.Table) -> str:
    """The digest of a table: names and values, in order; a column that is null throughout is as one that is not there."""
    sink = hashlib.blake2b(digest_size=16)
    for name in rows.column_names:
        column = as_array(rows[name])
        if column.null_count < len(column):
            sink.update(f"{name}\n{len(column)}\n".encode())
            _feed(sink, column)
    return sink.hexdigest()


def _feed(sink: hashlib.blake2b, array: pa.Array) -> None:
    """Which rows are null, and the values of the others, down to the leaves; what lies below a null is left out."""
    kind = array.type
    sink.update(np.packbits(as_mask(array.is_valid())).tobytes())
    array = array.drop_null()
    if pa.types.is_struct(kind):
        for number in range(kind.num_fields):
            _feed(sink, array.field(number))
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        sink.update(list_lengths(array).tobytes())
        _feed(sink, array.flatten())
    elif pa.types.is_string(kind) or pa.types.is_binary(kind):
        sink.update(pc.binary_length(array).to_numpy().tobytes())
        sink.update(_bytes(array))
    else:
        sink.update(_numbers(array).tobytes())


def _bytes(array: pa.Array) -> memoryview:
    """The characters of all strings, one after another."""
    _, offsets, data = array.buffers()
    if not len(array) or data is None:
        return memoryview(b"")
    ends = np.frombuffer(offsets, np.int32)[[array.offset, array.offset + len(array)]]
    return memoryview(data)[ends[0] : ends[1]]


def _numbers(array: pa.Array) -> np.ndarray:
    numbers: np.ndarray = array.to_numpy(zero_copy_only=False)
    if pa.types.is_floating(array.type):
        numbers = np.where(np.isnan(numbers), np.nan, numbers + 0.0)  # one NaN of many, and 0.0 for -0.0
    return numbers
