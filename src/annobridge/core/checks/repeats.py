"""Repeats: which rows of a table have the same key, and which are held more than once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from ..arrays import Bools, as_array
from ..codes import repeated_codes, row_codes
from ..compare import equal_rows
from ..hashes import row_hashes


def repeated(rows: pa.Table, key: Sequence[str], columns: Sequence[str]) -> Bools:
    """Which rows equal an earlier one in all of ``columns``. Only rows of one ``key`` are compared.

    >>> table = pa.table({"id": ["a", "a", "b", "a"], "x": [1, 2, 1, 1]})
    >>> repeated(table, ["id"], ["id", "x"]).tolist()
    [False, False, False, True]
    """
    found = np.zeros(rows.num_rows, bool)
    if not repeated_codes(row_hashes(rows, key)).size:
        return found
    codes = row_codes([rows], key)[0]
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
