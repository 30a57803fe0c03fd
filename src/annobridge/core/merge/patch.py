"""Patch: replace columns or components in rows of a table with those of another, aligned table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import attributes
from ..arrays import Bools, equal
from ..labels import ATTRIBUTE_PREFIX, COMPONENTS
from .diff import components_differ


def with_columns(rows: pa.Table, other: pa.Table, columns: Iterable[str], where: Bools) -> pa.Table:
    """``rows`` with some columns of ``other`` at the rows of ``where``."""
    index = pa.array(np.arange(len(where)) + np.where(where, len(where), 0))
    for name in columns:
        if rows[name].null_count == other[name].null_count == len(where):
            continue
        both = pa.chunked_array([*rows[name].chunks, *other[name].chunks], rows[name].type)
        rows = rows.set_column(rows.column_names.index(name), name, both.take(index))
    return rows


def with_components(rows: pa.Table, other: pa.Table, taken: Mapping[str, Bools]) -> pa.Table:
    """``rows`` with components of ``other``, each at the rows where it is taken."""
    values = {}
    for component, where in taken.items():
        if component.startswith(ATTRIBUTE_PREFIX):
            name = component.removeprefix(ATTRIBUTE_PREFIX)
            values[name] = (where, attributes.column(other["attributes"], name))
        elif where.any():
            rows = with_columns(rows, other, COMPONENTS[component], where)
    if values:
        column = attributes.replace(rows["attributes"], values)
        rows = rows.set_column(rows.column_names.index("attributes"), "attributes", column)
    return rows


def unchanged_as_in(now: pa.Table, labels: pa.Table, before: pa.Table, known: Bools) -> pa.Table:
    """``labels`` with those components of ``now`` that do not differ between ``before`` and ``labels``, at the rows of ``known``.

    The tables are aligned. So what is to be written leaves alone what it does not change.
    """
    changed, differs = components_differ(before, labels, known), components_differ(now, labels, known)
    none = np.zeros(len(known), bool)
    return with_components(labels, now, {name: rows & ~changed.get(name, none) for name, rows in differs.items()})


def component_masks(lists: pa.ListArray) -> dict[str, Bools]:
    """The rows at which each component is taken, from lists of their names; the inverse of ``component_lists``."""
    names, rows = pc.list_flatten(lists), pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
    masks = {name: np.zeros(len(lists), bool) for name in pc.unique(names).to_pylist()}
    for name, mask in masks.items():
        mask[rows[equal(names, name)]] = True
    return masks


def component_lists(taken: Mapping[str, Bools], where: Bools) -> pa.ListArray:
    """The names of the components that are taken, as a list for each row of ``where``."""
    at = [np.flatnonzero(rows[where]) for rows in taken.values()]
    rows = np.concatenate([*at, np.zeros(0, np.int64)]).astype(np.int64)
    codes = np.repeat(np.arange(len(taken)), [len(a) for a in at])
    order = np.argsort(rows, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=int(where.sum())))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(list(taken), pa.string()).take(pa.array(codes[order])))
