"""Codes: numbers in place of texts, so that rows of several tables are compared by numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .arrays import Ints, as_array

_LARGEST = 1 << 62


def row_codes(tables: Sequence[pa.Table], columns: Sequence[str]) -> list[Ints]:
    """A number for each row: equal, in whichever of the tables, where the values of all these columns are. Null is a value.

    >>> a, b = pa.table({"s": ["x", "y"], "n": [1, 1]}), pa.table({"s": ["y", "y"], "n": [1, None]})
    >>> codes = row_codes([a, b], ["s", "n"])
    >>> bool(codes[0][1] == codes[1][0]), bool(codes[1][0] == codes[1][1])
    (True, False)
    """
    codes, size = np.zeros(sum(table.num_rows for table in tables), np.int64), 1
    for name in columns:
        kind = tables[0].schema.field(name).type
        both = pa.chunked_array([chunk for table in tables for chunk in table[name].chunks], kind)
        column = as_array(both).dictionary_encode(null_encoding="encode")
        if size * len(column.dictionary) > _LARGEST:
            encoded = pa.array(codes).dictionary_encode()
            codes, size = encoded.indices.to_numpy().astype(np.int64), len(encoded.dictionary)
        size *= max(1, len(column.dictionary))
        codes = codes * len(column.dictionary) + column.indices.to_numpy()
    return np.split(codes, np.cumsum([table.num_rows for table in tables])[:-1])


def ordered_codes(texts: pa.Array) -> tuple[Ints, pa.Array]:
    """A number for each text, in the order of the texts, null last; and the distinct texts in that order.

    >>> codes, distinct = ordered_codes(pa.array(["b", None, "a", "b"]))
    >>> codes.tolist(), distinct.to_pylist()
    ([1, 2, 0, 1], ['a', 'b'])
    """
    encoded = texts.dictionary_encode()
    order = pc.array_sort_indices(encoded.dictionary)
    rank = np.full(len(order) + 1, len(order))
    rank[order.to_numpy()] = np.arange(len(order))
    codes: Ints = rank[encoded.indices.fill_null(len(order)).to_numpy()]
    return codes, encoded.dictionary.take(order)


def first_with(codes: npt.NDArray[Any], within: npt.NDArray[Any]) -> Ints:
    """The first row of ``within`` that has each code; -1 where none does.

    >>> first_with(np.array([7, 9]), np.array([9, 8, 9])).tolist()
    [-1, 0]
    """
    found: Ints = pc.index_in(pa.array(codes), value_set=pa.array(within)).fill_null(-1).to_numpy().astype(np.int64)
    return found


def repeated_codes(codes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The codes that occur more than once, each once, ascending."""
    ordered = np.sort(codes)
    again = ordered[1:] == ordered[:-1]
    found: npt.NDArray[Any] = np.unique(ordered[1:][again]) if again.any() else ordered[:0]
    return found
