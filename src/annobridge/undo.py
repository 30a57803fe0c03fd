"""Undo: take back the last load of a run, and only that; what was edited here since stays.

It is the same three-way merge: the base is what the load left, theirs is what was there before it, ours is now.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from .core.labels import BASELINE, COMPONENTS, LABELS, REMOTE
from .core.masks import equal, valid
from .core.merge import Merged, Stamp, merge, patched, replaced
from .core.schema import LabelSchema
from .exceptions import RunError
from .store.baseline import current
from .store.runs import Load, Run
from .store.stores import Stores
from .store.tables import quote

_PART = 50_000  # changes taken back at a time
_PROVENANCE = ("run", "tool", "annotator", "time")


@dataclass(frozen=True, slots=True)
class Undone:
    """What an undo did: labels taken back by action, those kept because they were edited since, and the new version."""

    load: int
    counts: dict[str, int]
    kept: pa.Table  # FINDINGS
    version: int | None


def undo(stores: Stores, run: Run) -> Undone:
    """Reverse the last applied load of a run, as one version of ``labels``."""
    applied = [load for load in run.loads if load.state == "applied"]
    if not applied:
        raise RunError(f"The run {run.anno_key!r} has no load to undo; load_annotations({run.anno_key!r}) makes one.")
    load = applied[-1]
    version = stores.labels.version()
    parts = list(_merged(stores, run, load, version))
    before = pa.concat_tables([m.before for m in parts])
    writes = pa.concat_tables([m.writes for m in parts])
    run, mark = stores.runs.begin(run, version, undo=load)
    done = None
    try:
        if before.num_rows:
            reader = pa.Table.from_arrays([writes[n] for n in LABELS.names], schema=LABELS).to_reader()
            replaced = before.filter(pc.is_valid(before["_rowaddr"]))
            done = stores.labels.commit(version, replaced, reader if writes.num_rows else None, mark.token)
    except BaseException:
        stores.runs.end(run, mark, "applied" if stores.labels.find_commit(mark.token, version) is None else "undone")
        raise
    stores.runs.end(run, mark, "undone", done)
    back = {"add": "delete", "edit": "edit", "delete": "add"}  # an addition is taken back by a deletion, and so on
    found = Counter(before["action"].to_pylist())
    kept = pa.concat_tables([m.conflicts for m in parts])
    return Undone(load.number, {a: found.get(b, 0) for a, b in back.items()}, kept, done)


def _merged(stores: Stores, run: Run, load: Load, version: int) -> list[Merged]:
    where = f"run_id = {quote(run.run_id)} AND load = {load.number}"
    changes = stores.db.read("annotation_changes", where=where)
    left = pa.Table.from_batches(stores.baseline.scan(run, [load.number]), BASELINE)
    stamp = Stamp(run.anno_key, run.run_id, "", load.number, run.backend, datetime.now(UTC), run.versions)
    out = []
    for at in range(0, max(changes.num_rows, 1), _PART):
        part = changes.slice(at, _PART).combine_chunks()
        ids = part["label_id"].combine_chunks()
        base = _left(current(left.filter(pc.is_in(left["label_id"], value_set=ids))).combine_chunks(), part)
        ours = _present(stores, ids, version)
        was = part.filter(pc.not_equal(part["action"], "add"))
        theirs = pa.Table.from_arrays(
            [was[n] if n != "remote_id" else was["label_id"] for n in REMOTE.names], schema=REMOTE
        ).combine_chunks()
        merged = merge(base, theirs, ours, pc.unique(part["sample_id"]), LabelSchema({}), "ours", stamp)
        out.append(_with_provenance(merged, part))
    return out


def _present(stores: Stores, ids: pa.Array, version: int) -> pa.Table:
    return stores.labels.of_ids(ids, version).combine_chunks()


def _left(base: pa.Table, before: pa.Table) -> pa.Table:
    """What the load left: the label as it was, with the components that the load wrote, and those alone."""
    place = pc.index_in(base["label_id"], value_set=before["label_id"].combine_chunks()).combine_chunks()
    was = before.take(place)
    edited = equal(was["action"], "edit")
    components = was["components"].combine_chunks()
    flat, rows = pc.list_flatten(components), pc.list_parent_indices(components).to_numpy(zero_copy_only=False)
    everything = edited & ~valid(components)
    written = {}
    for name in pc.unique(flat).to_pylist():
        written[name] = everything.copy()
        written[name][rows[equal(flat, name)]] = True
    names = [*(c for columns in COMPONENTS.values() for c in columns), "attributes"]
    kept = patched(replaced(base, was, names, edited & ~everything), base, written)
    for name in names:
        base = base.set_column(base.column_names.index(name), BASELINE.field(name), kept[name])
    return base


def _with_provenance(merged: Merged, before: pa.Table) -> Merged:
    """What is put back bears the names of those who made it, not of the undo."""
    place = pc.index_in(merged.writes["label_id"], value_set=before["label_id"].combine_chunks())
    writes = merged.writes
    for name in _PROVENANCE:
        old = before[name].take(place) if writes.num_rows else writes[name]
        writes = writes.set_column(writes.column_names.index(name), name, old)
    return Merged(writes, merged.before, merged.baseline, merged.refused, merged.conflicts)
