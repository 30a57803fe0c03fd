"""Decisions about the changes of a plan: an append-only table, bound to what was looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import as_array, equal, not_null
from ..labels import TIME

ACCEPT, REFUSE = "accept", "refuse"
OURS, THEIRS, BASE, BOTH, VALUE = "ours", "theirs", "base", "both", "value"
OPEN = "open"  # withdraws what was decided before
VERDICTS = (ACCEPT, REFUSE, OURS, THEIRS, BASE, BOTH, VALUE, OPEN)
TAKE, LEAVE = "take", "leave"  # what happens to changes that nobody decided about
UNDECIDED = (TAKE, LEAVE)
DECIDED, STALE = "decided", "stale"  # states beside "open"

DECISIONS = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("change_id", pa.string(), nullable=False),
        pa.field("verdict", pa.string(), nullable=False),  # a member of VERDICTS
        pa.field("value", pa.string()),  # JSON text, of the verdict "value"
        pa.field("by", pa.string()),
        pa.field("at", TIME),
        pa.field("note", pa.string()),
        pa.field("rule", pa.string()),  # the condition, if one decision was made for many changes at once
        pa.field("bound_to", pa.string(), nullable=False),  # what was looked at, see ``values.bound_to``
    ]
)
STATES = pa.schema(
    [
        pa.field("change_id", pa.string()),
        pa.field("state", pa.string()),  # open | decided | stale
        *(DECISIONS.field(n).with_nullable(True) for n in ("verdict", "value", "by", "at", "note", "rule")),
        pa.field("recorded", pa.bool_()),  # decided in an earlier load, and nothing changed since
    ]
)


def latest(decisions: pa.Table) -> pa.Table:
    """The last decision about each change, in the order of the table.

    >>> rows = [{"run_id": "r", "change_id": c, "verdict": v, "bound_to": "h"} for c, v in [("a", "accept"), ("a", "refuse")]]
    >>> latest(pa.Table.from_pylist(rows, DECISIONS))["verdict"].to_pylist()
    ['refuse']
    """
    if not decisions.num_rows:
        return decisions
    codes = as_array(decisions["change_id"]).dictionary_encode().indices.to_numpy()
    _, last = np.unique(codes[::-1], return_index=True)
    return decisions.take(pa.array(np.sort(len(codes) - 1 - last)))


def contradicted(decisions: Iterable[Mapping[str, Any]]) -> int:
    """About how many changes there are decisions that differ, of which the earlier one was not withdrawn.

    >>> rows = [{"change_id": "a", "verdict": v, "value": None} for v in ("accept", "open", "refuse", "accept")]
    >>> contradicted(rows), contradicted(rows[:3])
    (1, 0)
    """
    standing: dict[str, tuple[Any, ...]] = {}
    found = set()
    for row in decisions:
        change, decision = row["change_id"], (row["verdict"], row["value"])
        if row["verdict"] == OPEN:
            standing.pop(change, None)
        elif standing.setdefault(change, decision) != decision:
            found.add(change)
            standing[change] = decision
    return len(found)


def states(change_ids: pa.ChunkedArray, bound_to: pa.ChunkedArray, decisions: pa.Table, recorded: int = 0) -> pa.Table:
    """``STATES``: what is decided about each change.

    Args:
        change_ids: the changes.
        bound_to: what there is to look at now.
        decisions: ``DECISIONS``, the oldest first.
        recorded: how many of them, from the first on, are of earlier loads.
    """
    numbered = decisions.append_column("number", pa.array(np.arange(decisions.num_rows)))
    last = latest(numbered)
    found = last.take(pc.index_in(as_array(change_ids), value_set=as_array(last["change_id"])))
    known = not_null(found["change_id"]) & ~equal(found["verdict"], OPEN)
    fits = known & equal(found["bound_to"], as_array(bound_to))
    state = np.where(fits, DECIDED, np.where(known, STALE, OPEN))
    columns = {"change_id": change_ids, "state": pa.array(state)}
    blank = pa.array(~known)
    for name in ("verdict", "value", "by", "at", "note", "rule"):
        columns[name] = pc.if_else(blank, pa.scalar(None, found[name].type), found[name])
    columns["recorded"] = pc.and_(pa.array(fits), pc.fill_null(pc.less(found["number"], recorded), False))
    return pa.table([columns[name] for name in STATES.names], schema=STATES)
