"""Look rows of one table up in another one, by some columns of texts; and texts in others, again and again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .arrays import Bools, Ints, as_array, as_mask, index_of
from .codes import first_with, repeated_codes, row_codes
from .hashes import Hashes, row_hashes, text_hashes


class Lookup(NamedTuple):
    """Rows that were looked up.

    Attributes:
        at: for each row, the first one of the other table that has the same texts; -1 where none has.
        unique: whether no two rows of one table have the same texts. ``False`` may be a false alarm.
    """

    at: Ints
    unique: bool


def look_up(rows: pa.Table, within: pa.Table, columns: Sequence[str]) -> Lookup:
    """Look up each row of ``rows`` in ``within``.

    >>> a, b = pa.table({"s": ["x", "y", "y"]}), pa.table({"s": ["y", "z"]})
    >>> look_up(a, b, ["s"]).at.tolist()
    [-1, 0, 0]
    """
    keys = row_hashes(rows, columns)
    if all(as_array(rows[name]).equals(as_array(within[name])) for name in columns) and not repeated_codes(keys).size:
        return Lookup(np.arange(rows.num_rows), unique=True)
    others = row_hashes(within, columns)
    at = first_with(keys, others)
    found = at >= 0
    if not _equal_at(rows, within, columns, at, found):  # two texts with one hash
        return Lookup(first_with(*row_codes([rows, within], columns)), unique=False)
    return Lookup(at, _is_unique(keys, others, at, found))


def _equal_at(rows: pa.Table, within: pa.Table, columns: Sequence[str], at: Ints, found: Bools) -> bool:
    mine, theirs = pa.array(np.flatnonzero(found)), pa.array(at[found])
    return all(as_array(rows[name]).take(mine).equals(as_array(within[name]).take(theirs)) for name in columns)


def _is_unique(keys: Hashes, others: Hashes, at: Ints, found: Bools) -> bool:
    """Whether no two of the rows that were found are of one row, and no two of the few that are on one side only are equal."""
    times = np.bincount(at[found], minlength=len(others))
    alone = others[times == 0]
    if times.max(initial=0) > 1 or repeated_codes(keys[~found]).size or repeated_codes(alone).size:
        return False
    # Of equal rows, only the first is found. So a row that is not found may be equal to one that is.
    repeated = pc.is_in(pa.array(others), value_set=pa.array(alone))
    return int(pc.sum(repeated, min_count=0).as_py()) == len(alone)


class TextIndex:
    """Finds texts among many others, which are sorted by their hashes once: 16 bytes of memory for each.

    >>> TextIndex(pa.array(["b", "a", "b"])).find(pa.array(["a", "b", "x", None])).tolist()
    [1, 0, -1, -1]
    """

    def __init__(self, texts: pa.Array) -> None:
        self._texts = texts
        hashes = text_hashes(texts)
        self._rows = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._rows]

    def find(self, wanted: pa.Array) -> Ints:
        """The first of the texts that equals each of ``wanted``; -1 where none does, or for null."""
        hashes = text_hashes(wanted)
        at = np.searchsorted(self._hashes, hashes)
        found = at < len(self._hashes)
        found[found] = self._hashes[at[found]] == hashes[found]
        rows = np.where(found, self._rows[np.where(found, at, 0)] if len(self._rows) else 0, -1)
        known = np.flatnonzero(found)
        same = as_mask(pc.equal(wanted.take(pa.array(known)), self._texts.take(pa.array(rows[known]))))
        if not same.all():  # another text with the hash, or null
            others = known[~same]
            rows[others] = index_of(wanted.take(pa.array(others)), self._texts).fill_null(-1).to_numpy()
        return rows.astype(np.int64)
