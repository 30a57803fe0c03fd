"""Repeats: which rows of a table have the same key, and which are held more than once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from ..arrays import Bools, Ints, as_array
from ..compare import equal_rows


def repeated(rows: pa.Table, key: Sequence[str], columns: Sequence[str]) -> Bools:
    """Which rows equal an earlier one in all of ``columns``. Only rows of one ``key`` are compared.

    >>> table = pa.table({"id": ["a", "a", "b", "a"], "x": [1, 2, 1, 1]})
    >>> repeated(table, ["id"], ["id", "x"]).tolist()
    [False, False, False, True]
    """
    found = np.zeros(rows.num_rows, bool)
    codes = key_codes(rows, key)
    _, group, sizes = np.unique(codes, return_inverse=True, return_counts=True)
    left = np.flatnonzero(sizes[group] > 1)
    while left.size:  # each round compares what is left of a group with the first of it
        _, first, group = np.unique(codes[left], return_index=True, return_inverse=True)
        leader = left[first][group]
        other = leader != left
        leader, left = leader[other], left[other]
        same = np.ones(len(left), bool)
        for name in columns:
            values = as_array(rows[name])
            same &= equal_rows(values.take(pa.array(leader)), values.take(pa.array(left)))
        found[left[same]] = True
        left = left[~same]
    return found


def key_codes(rows: pa.Table, key: Sequence[str]) -> Ints:
    """A number for each combination of the values of some columns; null is a value."""
    codes = np.zeros(rows.num_rows, np.int64)
    for name in key:
        coded = as_array(rows[name]).dictionary_encode(null_encoding="encode")
        codes = codes * len(coded.dictionary) + coded.indices.to_numpy(zero_copy_only=False)
    return codes
