"""Diff: what the tool changed since the baseline, component by component, as columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import attributes
from ..arrays import Bools, as_array, not_null
from ..compare import equal_rows
from ..labels import COMPONENTS

ATTRIBUTE_PREFIX = "attributes."


@dataclass(frozen=True, slots=True)
class Changes:
    """The labels that the tool added, edited or deleted; ``base`` and ``theirs`` are aligned, null where absent.

    ``edited`` says, for each component, at which rows the two differ; rows that are on one side only differ in none.
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
        """Labels that the tool has and the baseline has not."""
        return self.in_theirs & ~self.in_base

    @property
    def deleted(self) -> Bools:
        """Labels that the baseline has and the tool has not."""
        return self.in_base & ~self.in_theirs

    @property
    def on_both(self) -> Bools:
        """Labels that both have, with other values."""
        return self.in_base & self.in_theirs


def diff(base: pa.Table, theirs: pa.Table, returned: pa.Array) -> Changes:
    """Compare ``theirs`` (matched and routed) with ``base``. A label whose sample the tool did not return is not deleted."""
    place = pc.index_in(theirs["label_id"], value_set=as_array(base["label_id"])).combine_chunks()
    known = not_null(place)
    t_both, b_both = np.flatnonzero(known), place.drop_null().to_numpy()
    differ = ~same_components(base, theirs, b_both, t_both)
    t_new = np.flatnonzero(~known)
    gone = np.ones(base.num_rows, bool)
    gone[b_both] = False
    gone &= pc.is_in(base["sample_id"], value_set=returned).to_numpy()
    b_gone = np.flatnonzero(gone)
    edits, adds, deletes = int(differ.sum()), len(t_new), len(b_gone)
    b = take_or_null(base, np.concatenate([b_both[differ], np.full(adds, -1), b_gone]))
    t = take_or_null(theirs, np.concatenate([t_both[differ], t_new, np.full(deletes, -1)]))
    kinds = np.repeat([0, 1, 2], [edits, adds, deletes])
    return Changes(b, t, kinds != 1, kinds != 2, components_differ(b, t, kinds == 0))


def take_or_null(table: pa.Table, index: np.ndarray) -> pa.Table:
    """Rows by number; -1 gives a row of nulls."""
    if not table.num_rows:  # nothing to point at: Arrow refuses even a null index into no chunks
        return pa.Table.from_arrays([pa.nulls(len(index), f.type) for f in table.schema], schema=table.schema)
    return table.take(pa.array(np.maximum(index, 0), mask=index < 0))


def same_components(a: pa.Table, b: pa.Table, a_rows: np.ndarray, b_rows: np.ndarray) -> np.ndarray:
    """Whether all components of some rows of ``a`` equal those of some rows of ``b``, pair by pair."""
    out = np.ones(len(a_rows), bool)
    for name in (*(c for columns in COMPONENTS.values() for c in columns), "attributes"):
        left, right = a[name], b[name]
        if left.null_count < len(left) or right.null_count < len(right):  # most columns are for other kinds
            out &= equal_rows(as_array(left).take(pa.array(a_rows)), as_array(right).take(pa.array(b_rows)))
    return out


def components_differ(a: pa.Table, b: pa.Table, among: np.ndarray) -> dict[str, np.ndarray]:
    """Per component, at which rows (of those in ``among``) two aligned tables differ."""
    out = {}
    at = pa.array(np.flatnonzero(among))
    compared = [c for columns in COMPONENTS.values() for c in columns] + ["attributes"]
    left, right = a.select(compared).take(at), b.select(compared).take(at)

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
