"""The sides of a merge, aligned: for each label that the tool changed, its rows in the baseline, the tool and the dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import attributes
from ..arrays import Bools, Ints, any_of, as_array, equal, index_of, not_null, set_columns, take_rows
from ..compare import equal_rows
from ..labels import LOCAL_COLUMNS
from ..schema import LabelSchema
from .diff import Changes, components_differ
from .precision import keep_unchanged
from .restrict import Allowed


class Sides(NamedTuple):
    """The labels that the tool changed, on all sides: one row for each, null where a side does not have it."""

    base: pa.Table
    theirs: pa.Table
    exact: pa.Table  # theirs, with our exact numbers where the tool did not change them
    ours: pa.Table
    here: Bools  # the dataset has the label
    differs_here: Bools  # our row has a value that is not that of the baseline
    changed_here: dict[str, Bools]  # by component: our value is not that of the baseline
    changed_locally: Bools  # a column that loads never edit (confidence, tags, field, sample) was changed


def align(
    changes: Changes, allowed: Allowed, ours: pa.Table, versions: Mapping[int, int], schema: LabelSchema
) -> Sides:
    """Align the tool's changes with the labels of the dataset. ``allowed`` has the tool's rows with read-only attributes reset."""
    base, theirs = changes.base, allowed.theirs
    ids = pc.coalesce(base["label_id"], theirs["label_id"])
    at = _rows_of(ids, ours["label_id"])
    ours_aligned, here = take_rows(ours, at), at >= 0
    written = here & written_since(ours_aligned, base, versions)
    # What a tool loses in conversions was not changed here.
    same_numbers = keep_unchanged(ours_aligned, base, base, written)
    changed = components_differ(with_all_attributes(base), same_numbers, written)
    local = any_of(
        (~equal_rows(as_array(base[name]), as_array(ours_aligned[name])) for name in LOCAL_COLUMNS), len(changes)
    )
    exact = theirs
    if schema.fields and "spatial" in changes.edited:
        moved_only_there = changes.edited["spatial"] & here & ~changed.get("spatial", np.zeros(len(changes), bool))
        exact = keep_unchanged(theirs, base, ours_aligned, moved_only_there)
    differs = any_of([*changed.values(), written & local], len(changes))
    return Sides(base, theirs, exact, ours_aligned, here, differs, changed, written & local)


def _rows_of(ids: pa.ChunkedArray, within: pa.ChunkedArray) -> Ints:
    """The row of ``within`` that has each id, -1 for none. Changes are few, so it is looked up the other way round."""
    found = index_of(within, ids)
    rows = np.full(len(ids), -1, np.int64)
    at = np.flatnonzero(not_null(found))[::-1]  # the first of several counts
    rows[found.take(pa.array(at)).to_numpy()] = at
    return rows


def written_since(ours: pa.Table, base: pa.Table, versions: Mapping[int, int]) -> Bools:
    """Which of our rows were written since the baseline, by their revision, and by the version that last wrote them: other
    programs may write rows without increasing ``rev``.
    """
    loads = base["load"].fill_null(0).to_numpy()
    baseline_versions = np.zeros(max([0, *versions]) + 1, np.uint64)
    baseline_versions[list(versions)] = list(versions.values())
    updated = ours["_row_last_updated_at_version"].fill_null(0).to_numpy()
    since: Bools = ~equal(ours["rev"], base["rev"]) | (updated > baseline_versions[loads])
    return since


def with_all_attributes(base: pa.Table) -> pa.Table:
    """A baseline with all attributes of the labels as they were: those that were sent, and those that were not."""
    if base["unsent"].null_count == base.num_rows:
        return base
    both = [attributes.flattened(base[name]) for name in ("attributes", "unsent")]
    rows, values = np.concatenate([rows for rows, _ in both]), pa.concat_arrays([values for _, values in both])
    return set_columns(base, attributes=attributes.build(rows, values, base.num_rows))
