"""What arrived of a push that was interrupted: found out by comparing what it meant to do with what the tool has."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import Bools, any_of, as_array, as_mask, equal, filter_rows, not_null, set_columns, take_rows
from ..codes import first_with, row_codes
from ..labels import COMPONENTS, TOOL_KEY
from .assignment import assign
from .diff import components_differ, rows_by
from .patch import with_columns
from .precision import same_shapes
from .push import NOT_IN_TOOL

_ROUNDED = 2e-3  # of the image: how far a tool may move what it stores


def expected(base: pa.Table, intended: pa.Table) -> pa.Table:
    """The baseline as it would be if all of a push had arrived, without what it adds, for which no ids of the tool are known.

    Args:
        base: ``BASELINE``, before the push.
        intended: ``BASELINE``, what the push meant to do.
    """
    replaced = pc.is_in(base["label_id"], value_set=as_array(intended["label_id"]))
    known = pc.and_(pc.invert(intended["gone"]), pc.not_equal(intended["remote_id"], NOT_IN_TOOL))
    return pa.concat_tables([base.filter(pc.invert(replaced)), intended.filter(known)]).combine_chunks()


def arrived(base: pa.Table, intended: pa.Table, there: pa.Table, answered: pa.Array) -> pa.Table:
    """The rows of ``intended`` that hold now; those of labels that were added with their ids in the tool.

    An edit arrived if all components that it changed are as intended; a deletion, if the label is not there. Of an addition that is
    not known by an id, a new label of its class that covers it counts; and so it does of a classification that is not there under
    its id, as the class is part of the id in some tools.

    Args:
        base: ``BASELINE``, before the push.
        intended: ``BASELINE``.
        there: ``REMOTE``, what the tool returns when ``expected`` is its baseline.
        answered: the ids of the samples for which it did.
    """
    seen = filter_rows(intended, pc.is_in(intended["sample_id"], value_set=answered)).combine_chunks()
    keys, base_keys, there_keys = row_codes([seen, base, there], TOOL_KEY)
    at = first_with(keys, there_keys)
    gone, is_new = as_mask(seen["gone"]), equal(seen["remote_id"], NOT_IN_TOOL)
    present = at >= 0
    renamed = ~gone & ~present & equal(seen["kind"], "classification")
    holds = np.where(gone, ~present, present & ~_differs(base, seen, take_rows(there, at), present & ~gone)) & ~is_new
    unknown = there.filter(pa.array(~np.isin(there_keys, np.concatenate([base_keys, keys])))).combine_chunks()
    return pa.concat_tables(
        [seen.filter(pa.array(holds)), _found(seen.filter(pa.array(is_new | renamed)).combine_chunks(), unknown)]
    )


def _differs(base: pa.Table, intended: pa.Table, there: pa.Table, among: Bools) -> Bools:
    """Where a component that a push changed is not as intended."""
    before = rows_by(base, intended["label_id"])
    changed = components_differ(before, intended, among & not_null(before["label_id"]))
    differs = components_differ(intended, there, among)
    return any_of((rows & differs[name] for name, rows in changed.items() if name in differs), len(among))


def _found(intended: pa.Table, unknown: pa.Table) -> pa.Table:
    """The rows that are among labels of the tool that nobody knows, with their ids there, and rounded as they are there."""
    rows = assign(intended, set_columns(unknown, label_id=None)).rows
    field = as_array(intended["field"]).take(pa.array(rows, mask=rows < 0))
    found = np.flatnonzero((rows >= 0) & (~not_null(unknown["field"]) | equal(unknown["field"], field)))
    holding, there = intended.take(pa.array(rows[found])), unknown.take(pa.array(found))
    holding = set_columns(holding, remote_id=there["remote_id"])
    rounded = same_shapes(there, holding, np.full((len(found), 2), _ROUNDED))
    return with_columns(holding, there, COMPONENTS["spatial"], rounded).cast(intended.schema)
