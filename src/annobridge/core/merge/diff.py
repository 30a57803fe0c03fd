"""Diff: what the tool changed since the baseline, component by component, as boolean columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import attributes
from ..arrays import Bools, as_array, index_of, not_null, take_rows
from ..compare import equal_rows
from ..labels import ATTRIBUTE_PREFIX, COMPONENTS

# In labels of a tool that are matched: the row of the baseline that each label is; null where it is new.
BASE_ROW = pa.field("_base_row", pa.int64())
_COMPARED = (*(column for columns in COMPONENTS.values() for column in columns), "attributes")


@dataclass(frozen=True, slots=True)
class Changes:
    """The labels that the tool added, edited or deleted; ``base`` and ``theirs`` are aligned, null where absent.

    ``edited`` has, for each component, the rows at which the two differ. It has no rows that are on one side only.
    """

    base: pa.Table
    theirs: pa.Table
    in_base: Bools
    in_theirs: Bools
    edited: dict[str, Bools]

    def __len__(self) -> int:
        return len(self.in_base)

    @property
    def added(self) -> Bools:
        """Labels that only the tool has."""
        return self.in_theirs & ~self.in_base

    @property
    def deleted(self) -> Bools:
        """Labels that only the baseline has."""
        return self.in_base & ~self.in_theirs

    @property
    def on_both(self) -> Bools:
        """Labels that both have, with different values."""
        return self.in_base & self.in_theirs


def diff(base: pa.Table, theirs: pa.Table, returned: pa.Array) -> Changes:
    """Compare the labels of the tool with the baseline.

    Args:
        base: ``BASELINE``.
        theirs: ``REMOTE`` and ``BASE_ROW``, matched and routed.
        returned: the ids of the samples that the tool returned; missing labels of other samples are not deleted.
    """
    index = as_array(theirs[BASE_ROW.name])
    theirs = theirs.drop_columns([BASE_ROW.name])
    known = not_null(index)
    their_known, base_known = np.flatnonzero(known), index.drop_null().to_numpy()  # the rows of labels on both sides
    differ = ~same_components(base, theirs, base_known, their_known)
    new = np.flatnonzero(~known)
    missing = np.ones(base.num_rows, bool)
    missing[base_known] = False
    missing &= pc.is_in(base["sample_id"], value_set=returned).to_numpy()
    deleted = np.flatnonzero(missing)
    base = take_rows(base, np.concatenate([base_known[differ], np.full(len(new), -1), deleted]))
    theirs = take_rows(theirs, np.concatenate([their_known[differ], new, np.full(len(deleted), -1)]))
    change = np.repeat(["edit", "add", "delete"], [int(differ.sum()), len(new), len(deleted)])
    return Changes(base, theirs, change != "add", change != "delete", components_differ(base, theirs, change == "edit"))


def with_base_rows(theirs: pa.Table, base: pa.Table) -> pa.Table:
    """``theirs`` with ``BASE_ROW``, by their label ids."""
    return theirs.append_column(BASE_ROW, index_of(theirs["label_id"], base["label_id"]).cast(BASE_ROW.type))


def rows_by(table: pa.Table, keys: pa.Array | pa.ChunkedArray, column: str = "label_id") -> pa.Table:
    """The row of ``table`` that has each of the keys in a column; a row of nulls where there is none."""
    return take_rows(table, index_of(keys, table[column]).fill_null(-1).to_numpy())


def same_components(a: pa.Table, b: pa.Table, a_rows: np.ndarray, b_rows: np.ndarray) -> np.ndarray:
    """Whether rows of ``a`` equal rows of ``b`` in all components: ``a_rows[i]`` is compared with ``b_rows[i]``."""
    out = np.ones(len(a_rows), bool)
    for name in _COMPARED:
        left, right = a[name], b[name]
        if left.null_count < len(left) or right.null_count < len(right):  # most kinds use few of the columns
            out &= equal_rows(as_array(left).take(pa.array(a_rows)), as_array(right).take(pa.array(b_rows)))
    return out


def components_differ(a: pa.Table, b: pa.Table, among: np.ndarray) -> dict[str, np.ndarray]:
    """By component, the rows at which two aligned tables differ, among those where ``among`` is true. Components in which no row
    differs are left out.
    """
    out = {}
    at = np.flatnonzero(among)
    left, right = take_rows(a.select(_COMPARED), at), take_rows(b.select(_COMPARED), at)

    def spread(differ: np.ndarray) -> np.ndarray:
        rows = np.zeros(len(among), bool)
        rows[among] = differ
        return rows

    for component, columns in COMPONENTS.items():
        out[component] = spread(
            ~np.logical_and.reduce([equal_rows(as_array(left[c]), as_array(right[c])) for c in columns])
        )
    for name in sorted(attributes.names(left["attributes"]) | attributes.names(right["attributes"])):
        values = (attributes.values(side["attributes"], name) for side in (left, right))
        out[ATTRIBUTE_PREFIX + name] = spread(~equal_rows(*values))
    return {c: rows for c, rows in out.items() if rows.any()}
