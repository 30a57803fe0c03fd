"""The past of one label: what each version of the dataset did to it, and who did that.

The versions of the labels table say it, compared one after the other. Where versions were cleaned away, the ledger still has the
label as it was before each load that changed it. What else happened between two versions that are left is one row with a note.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa

from ..core.labels import ATTRIBUTE_PREFIX, COMPONENTS, LABELS, LOCAL_COLUMNS, TIME
from ..core.review.values import EXISTENCE, plain, to_json
from ..exceptions import InvalidOption, StoreError
from ..store import label_versions
from ..store.label_versions import Row, State
from ..store.run import Load, Run
from ..store.stores import Stores
from ..store.tables import quote

HISTORY = pa.schema(
    [
        pa.field("version", pa.int64(), nullable=False),  # of the table of labels
        pa.field("time", TIME),  # when that version was made; null if it was cleaned away
        pa.field("action", pa.string(), nullable=False),  # add | edit | delete | undo
        pa.field("by", pa.string()),  # the annotator, where the tool says so
        pa.field("run", pa.string()),  # the key of the run, of a load or an undo
        pa.field("load", pa.int32()),  # its number
        pa.field(
            "components", pa.list_(pa.string()), nullable=False
        ),  # what changed; "existence" of a label that comes or goes
        pa.field("before", pa.string()),  # JSON, the columns that changed as they were; null: the label was not there
        pa.field("after", pa.string()),  # JSON, these columns afterwards; null: the label is not there any more
        pa.field("note", pa.string()),  # what is not known
    ]
)
_COMPONENT = {column: name for name, columns in COMPONENTS.items() for column in columns}
_CONTENT = (*_COMPONENT, *LOCAL_COLUMNS, "attributes")
_BY_WHOM = ("run", "tool", "annotator", "time")
Content = dict[str, Any]  # the columns that a label has, and "attributes.NAME", as JSON data


@dataclass(frozen=True, slots=True)
class _Step:
    """Something that happened to the label: in one version, or between two of them that are left."""

    version: int
    time: datetime | None
    action: str
    before: Row | None
    after: Row | None
    note: str | None = None
    is_one: bool = True  # made by this version alone


class _Recorded(NamedTuple):
    """What the ledger has about a load that changed the label."""

    action: str
    before: Row | None


def history(stores: Stores, label_id: str) -> pa.Table:
    """The past of a label, as ``HISTORY``; see ``Dataset.history``."""
    if not isinstance(label_id, str):
        raise InvalidOption(
            f"label_id={label_id!r} is not a text; give the id of a label, from the column label_id of labels()."
        )
    runs = stores.runs.all_readable()
    states = list(label_versions.states(stores.database.newest, label_id))
    recorded = _recorded(stores, runs, label_id)
    steps = list(_steps(states, recorded))
    if not steps:
        raise StoreError(
            f"No version of the dataset that is left has a label {label_id!r}; ids are in the column label_id of labels(). "
            "If it was deleted long ago, clean-up has removed the versions that had it."
        )
    made_by = _made_by(stores, runs, recorded)
    return pa.Table.from_pylist(
        [_row(step, made_by.get(step.version) if step.is_one else None) for step in steps], HISTORY
    )


def _recorded(stores: Stores, runs: Sequence[Run], label_id: str) -> dict[int, _Recorded]:
    """Version of a load → what the ledger has about it, for the loads that changed the label."""
    versions = {
        (run.run_id, load.number): load.version
        for run in runs
        for load in run.loads
        if load.version is not None and load.state != "aborted"
    }
    columns = [*LABELS.names, "action", "run_id", "load"]
    found = {}
    for batch in stores.database.scan("annotation_changes", columns, f"label_id = {quote(label_id)}"):
        for row in batch.to_pylist():
            version = versions.get((row["run_id"], row["load"]))
            if version is not None:
                found[version] = _Recorded(row["action"], row if row["action"] != "add" else None)
    return dict(sorted(found.items()))


def _made_by(stores: Stores, runs: Sequence[Run], recorded: Mapping[int, _Recorded]) -> dict[int, tuple[Run, Load]]:
    """Version → the run and the load that made it, of what may have changed the label.

    Undoing a load makes the version ``load.undone``. If it changes nothing, that is the version before it, which something else
    made: where it was cleaned away, only the ledger can tell. An undo changes no label that its load did not change.
    """
    loads = [(run, load) for run in runs for load in run.loads if load.version is not None and load.state != "aborted"]
    found = {load.version: (run, load) for run, load in loads if load.version is not None}
    for run, load in loads:
        undone = load.undone if load.state == "undone" else None
        if undone is None or undone in found or load.version not in recorded:
            continue
        if not stores.runs.labels.made_by_another(undone, load.token):
            found[undone] = run, load
    return found


def _steps(states: Sequence[State], recorded: Mapping[int, _Recorded]) -> Iterator[_Step]:
    """What happened, oldest first."""
    version, row = 0, None
    for state in states:
        if state.version > version + 1:
            yield from _steps_between(version, row, state, recorded)
        elif _content(row) != _content(state.row):
            yield _step(state.version, state.time, row, state.row)
        version, row = state.version, state.row


def _step(version: int, time: datetime | None, before: Row | None, after: Row | None, **more: Any) -> _Step:
    action = "add" if before is None else "delete" if after is None else "edit"
    return _Step(version, time, action, before, after, **more)


def _steps_between(version: int, row: Row | None, state: State, recorded: Mapping[int, _Recorded]) -> Iterator[_Step]:
    """What happened in versions that were cleaned away: the loads that the ledger knows, and all else as one step each."""
    gone = f"versions {version + 1} to {state.version - 1} were cleaned away"
    many = f"{gone}, so this may be several changes, made up to this version"
    later = f"{gone}, so later changes may be in it"
    loads = [(v, found) for v, found in recorded.items() if version < v <= state.version]
    next_points = [*((v, found.before) for v, found in loads[1:]), (state.version, state.row)]
    for (load, found), (end, following) in zip(loads, next_points, strict=False):
        time = state.time if load == state.version else None
        if _content(row) != _content(found.before):
            yield _step(load - 1, None, row, found.before, note=many, is_one=False)
        if found.action == "delete":
            yield _Step(load, time, "delete", found.before, None)
            following = None
        elif following is None:
            yield _Step(load, time, found.action, found.before, None, f"{gone}, so what it was afterwards is not known")
            yield _Step(end, None, "delete", None, None, many, is_one=False)
        else:
            exact = load in (state.version, state.written)
            yield _Step(load, time, found.action, found.before, following, None if exact else later)
        row = following
    if _content(row) == _content(state.row):
        return
    time = state.time if state.version == (state.written if row is not None else state.added) else None
    if state.row is None:
        yield _step(state.version, state.time, row, None, note=many, is_one=False)
    elif row is not None:
        yield _step(state.written, time, row, state.row, note=many, is_one=False)
    else:
        yield _step(state.added, time, None, state.row, note=None if state.added == state.written else later)


def _content(row: Row | None) -> Content | None:
    """What a label is, apart from its ids and by whom it was made; ``None`` if it is not there."""
    if row is None:
        return None
    found = plain({name: row[name] for name in _CONTENT})
    values = found.pop("attributes", {})
    content: Content = json.loads(to_json(found | {ATTRIBUTE_PREFIX + name: value for name, value in values.items()}))
    return content


def _row(step: _Step, made_by: tuple[Run, Load] | None) -> dict[str, Any]:
    """A step as a row of ``HISTORY``."""
    before, after = _content(step.before), _content(step.after)
    names = list((before or {}) | (after or {}))
    if before is not None and after is not None:
        names = [n for n in names if to_json(before.get(n)) != to_json(after.get(n))]
    components = [EXISTENCE] if before is None or after is None else [_COMPONENT.get(n, n) for n in names]
    is_undo = made_by is not None and made_by[1].undone == step.version
    return {
        "version": step.version,
        "time": step.time,
        "action": "undo" if is_undo else step.action,
        **_by_whom(step, made_by, is_undo),
        "components": list(dict.fromkeys(components)),
        "before": None if before is None else to_json({n: before.get(n) for n in names}),
        "after": None if after is None else to_json({n: after.get(n) for n in names}),
        "note": step.note,
    }


def _by_whom(step: _Step, made_by: tuple[Run, Load] | None, is_undo: bool) -> dict[str, Any]:
    """The run, the load and the annotator, where they are known. Edits that people make here leave those of the last load."""
    before, after = step.before or {}, step.after or {}
    of_load = made_by is not None or any(before.get(name) != after.get(name) for name in _BY_WHOM)
    run = made_by[0].anno_key if made_by is not None else after.get("run") if of_load else None
    load = made_by[1].number if made_by is not None else None
    return {"by": after.get("annotator") if of_load and not is_undo else None, "run": run, "load": load}
