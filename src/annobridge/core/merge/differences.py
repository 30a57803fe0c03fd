"""What differs between two tables of labels, by label and by component: the changes that make the one into the other.

A label is the same on both sides if it has the same id. It is edited if a component, or one of ``LOCAL_COLUMNS``, has another
value; by whom and when it was changed, and its revision, do not count.
"""

from __future__ import annotations

import uuid
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import as_array, equal, index_of, map_distinct, not_null, replace_values, take_rows
from ..compare import equal_rows
from ..labels import LABELS, LOCAL_COLUMNS, conform
from ..review.changes import CHANGES, changes
from ..review.values import EXISTENCE, as_side, to_json
from .diff import components_differ, same_components
from .output import REPLACED, WRITES
from .patch import component_lists
from .proposed import PROPOSED, change_ids

_SPACE = str(uuid.UUID(int=0))  # of the ids of changes, which belong to no run
_MOVES = ("sample_id", "field")  # components that ``texts`` does not know
_NOT_OF_DIFFERENCES = ("task", "ours", "ours_box", "our_by", "our_at", "proposal", "why", "choices", "bound_to")


class Differences(NamedTuple):
    """What makes one table into the other, in the forms in which a merge has it."""

    writes: pa.Table  # WRITES: the labels that are new or edited, as they are afterwards
    replaced: pa.Table  # REPLACED: the labels that are edited or gone, as they were
    proposed: pa.Table  # PROPOSED: before is ``base`` and ``ours``, afterwards is ``theirs``


def differences(before: pa.Table, after: pa.Table) -> Differences:
    """Compare labels (``LABELS``); each id is once in each table.

    >>> row = {"label_id": "a", "sample_id": "s", "field": "f", "kind": "box", "label": "car", "rev": 1}
    >>> rows = [pa.Table.from_pylist([row | {"label": label}], LABELS) for label in ("car", "bus")]
    >>> differences(*rows).writes.select(["label", "action", "components"]).to_pylist()
    [{'label': 'bus', 'action': 'edit', 'components': ['label']}]
    """
    index = index_of(after["label_id"], before["label_id"])
    known = not_null(index)
    after_rows, before_rows = np.flatnonzero(known), index.drop_null().to_numpy()
    differ = ~same_components(before, after, before_rows, after_rows)
    for name in LOCAL_COLUMNS:
        differ |= ~equal_rows(before[name].take(pa.array(before_rows)), after[name].take(pa.array(after_rows)))
    new = np.flatnonzero(~known)
    gone = np.flatnonzero(~np.isin(np.arange(before.num_rows), before_rows))
    none_before, none_after = np.full(len(new), -1), np.full(len(gone), -1)
    base = take_rows(before, np.concatenate([before_rows[differ], none_before, gone]))
    theirs = take_rows(after, np.concatenate([after_rows[differ], new, none_after]))
    action = np.repeat(["edit", "add", "delete"], [int(differ.sum()), len(new), len(gone)])
    edits = components_differ(base, theirs, action == "edit")
    for name in LOCAL_COLUMNS:
        edits[name] = (action == "edit") & ~equal_rows(base[name], theirs[name])
    edits = {name: where for name, where in edits.items() if where.any()}
    return Differences(
        _with_action(theirs, action, edits, action != "delete", WRITES),
        _with_action(base, action, edits, action != "add", REPLACED),
        _proposed(base, theirs, action, edits),
    )


def _components(action: np.ndarray, edits: dict[str, np.ndarray], among: np.ndarray) -> pa.Array:
    """The components of each edit; null for other actions."""
    lists = component_lists(edits, among)
    edited = pa.array(action[among] == "edit")
    return lists.take(pc.if_else(edited, pa.array(np.arange(len(lists))), None))


def _with_action(
    rows: pa.Table, action: np.ndarray, edits: dict[str, np.ndarray], among: np.ndarray, schema: pa.Schema
) -> pa.Table:
    """Some rows of a side, with what is done to each."""
    rows = rows.select(LABELS.names).filter(pa.array(among))
    rows = rows.append_column("action", pa.array(action[among], pa.string()))
    return conform(rows.append_column("components", _components(action, edits, among)), schema)


def _proposed(base: pa.Table, theirs: pa.Table, action: np.ndarray, edits: dict[str, np.ndarray]) -> pa.Table:
    found = [(np.flatnonzero(action == kind), EXISTENCE, kind) for kind in ("add", "delete")]
    found += [(np.flatnonzero(where), component, "edit") for component, where in edits.items()]
    rows = np.concatenate([at for at, _, _ in found])
    sizes = [len(at) for at, _, _ in found]
    component, kind = (pa.array(np.repeat([part[n] for part in found], sizes), pa.string()) for n in (1, 2))
    base, theirs = base.take(pa.array(rows)), theirs.take(pa.array(rows))
    columns = {n: as_array(pc.coalesce(theirs[n], base[n])) for n in ("label_id", "sample_id", "field")}
    before = as_side(base, not_null(base["kind"]))
    columns |= {
        "change_id": change_ids(_SPACE, columns["label_id"], component), "component": component, "kind": kind,
        "base": before, "ours": before, "theirs": as_side(theirs, not_null(theirs["kind"])),
    }  # fmt: skip
    return pa.table([columns.get(f.name, pa.nulls(len(rows), f.type)) for f in PROPOSED], schema=PROPOSED)


def changes_of(proposed: pa.Table, samples: pa.Table, replaced: pa.Table, writes: pa.Table) -> pa.Table:
    """``CHANGES`` of differences: before is ``base``, afterwards is ``theirs``; columns that only a plan has are null.

    Args:
        proposed: that of the differences.
        samples: sample_id, width and height of the samples, which distances need.
        replaced: that of the differences.
        writes: that of the differences.
    """
    found = changes(proposed, samples)
    for component in _MOVES:
        rows = np.flatnonzero(equal(found["component"], component))
        for side, table in (("base", replaced), ("theirs", writes)):
            values = table[component].take(index_of(found["label_id"].take(pa.array(rows)), table["label_id"]))
            texts = replace_values(as_array(found[side]), rows, map_distinct(values, to_json, pa.string()))
            found = found.set_column(CHANGES.get_field_index(side), CHANGES.field(side), texts)
    for name in _NOT_OF_DIFFERENCES:
        field = CHANGES.field(name)
        found = found.set_column(CHANGES.get_field_index(name), field, pa.nulls(found.num_rows, field.type))
    return found
