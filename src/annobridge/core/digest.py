"""A digest of the values of a table. It does not depend on chunks, offsets or the undefined values under nulls: tables whose
rows are equal by ``equal_rows`` have the same digest.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .arrays import as_array, as_mask, list_lengths


def digest(rows: pa.Table) -> str:
    """The digest of a table: of its column names and values, in order. Columns in which every value is null are ignored."""
    hasher = hashlib.blake2b(digest_size=16)
    for name in rows.column_names:
        column = as_array(rows[name])
        if column.null_count < len(column):
            hasher.update(f"{name}\n{len(column)}\n".encode())
            _add(hasher, column)
    return hasher.hexdigest()


def _add(hasher: hashlib.blake2b, array: pa.Array) -> None:
    """Add which rows are null, and recursively the values of the others."""
    kind = array.type
    hasher.update(np.packbits(as_mask(array.is_valid())).tobytes())
    array = array.drop_null()
    if pa.types.is_struct(kind):
        for number in range(kind.num_fields):
            _add(hasher, array.field(number))
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        hasher.update(list_lengths(array).tobytes())
        _add(hasher, array.flatten())
    elif pa.types.is_string(kind) or pa.types.is_binary(kind):
        hasher.update(pc.binary_length(array).to_numpy().tobytes())
        hasher.update(_bytes(array))
    else:
        hasher.update(_numbers(array).tobytes())


def _bytes(array: pa.Array) -> memoryview:
    """The concatenated bytes of all strings."""
    _, offsets, data = array.buffers()
    if not len(array) or data is None:
        return memoryview(b"")
    ends = np.frombuffer(offsets, np.int32)[[array.offset, array.offset + len(array)]]
    return memoryview(data)[ends[0] : ends[1]]


def _numbers(array: pa.Array) -> np.ndarray:
    numbers: np.ndarray = array.to_numpy(zero_copy_only=False)
    if pa.types.is_floating(array.type):
        numbers = np.where(
            np.isnan(numbers), np.nan, numbers + 0.0
        )  # all NaNs become the same one, and -0.0 becomes 0.0
    return numbers
