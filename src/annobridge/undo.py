"""Undo: take back the last load of a run, and only that; what was edited here since stays.

It is the same three-way merge: the base is what the load left, theirs is what was there before it, ours is now.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from . import load as loading
from .core.findings import FINDINGS
from .core.labels import BASELINE, COMPONENTS, OURS, REMOTE
from .core.masks import equal, valid
from .core.merge import BEFORE, WRITES, Merged, Stamp, merge, patched, replaced
from .core.schema import LabelSchema
from .exceptions import RunError
from .spool import Spool
from .store.baseline import current
from .store.labels import of_fields
from .store.locate import Locator
from .store.runs import Load, Run
from .store.shuffle import Shuffle
from .store.stores import Stores
from .store.tables import CHANGES, quote

_PROVENANCE = ("run", "tool", "annotator", "time")
_BACK = {"add": "delete", "edit": "edit", "delete": "add"}  # an addition is taken back by a deletion, and so on


@dataclass(frozen=True, slots=True, repr=False)
class Undone:
    """What an undo did: labels taken back by action, those kept because they were edited since, and the new version."""

    anno_key: str
    load: int
    counts: dict[str, int]
    kept: pa.Table  # FINDINGS
    version: int | None

    def to_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "anno_key": self.anno_key,
            "load": self.load,
            "taken_back": self.counts,
            "kept": self.kept.to_pylist(),
            "version": self.version,
        }

    def __repr__(self) -> str:
        back = " ".join(f"{sign}{self.counts[a]}" for a, sign in (("add", "+"), ("edit", "~"), ("delete", "-")))
        kept = f"; {self.kept.num_rows} later edits kept" if self.kept.num_rows else ""
        return f"Undone load {self.load} of {self.anno_key!r}: {back} taken back{kept}"


def undo(stores: Stores, run: Run) -> Undone:
    """Reverse the last applied load of a run, as one version of ``labels``."""
    applied = [load for load in run.loads if load.state == "applied"]
    if not applied:
        raise RunError(f"The run {run.anno_key!r} has no load to undo; load_annotations({run.anno_key!r}) makes one.")
    load, version = applied[-1], stores.labels.version()
    spool = Spool({"writes": WRITES, "before": BEFORE, "conflicts": FINDINGS})
    found: Counter[str] = Counter()
    for merged in _merged(stores, run, load, version):
        for name in ("writes", "before", "conflicts"):
            spool.add(name, getattr(merged, name))
        for pair in pc.value_counts(merged.before["action"]).to_pylist():
            found[pair["values"]] += pair["counts"]
    spool.done()
    run, mark = stores.runs.begin(run, version, undo=load)
    done = None
    try:
        if spool.rows["before"]:
            done = loading.commit(stores, spool, version, mark.token)
    except BaseException:
        try:
            found_it = stores.labels.find_commit(mark.token, version)
            stores.runs.end(run, mark, "applied" if found_it is None else "undone")
        finally:
            stores.runs.release(mark)
        raise
    stores.runs.end(run, mark, "undone", done)
    kept = spool.table("conflicts")
    spool.close()
    return Undone(run.anno_key, load.number, {a: found[b] for a, b in _BACK.items()}, kept, done)


def _merged(stores: Stores, run: Run, load: Load, version: int) -> Iterator[Merged]:
    """Task by task: base is what the load left, theirs is what was there before it, ours is now."""
    rows = stores.runs.tasks(run)
    tasks, samples = pa.concat_arrays(rows["task"].chunks), [ids.values for ids in rows["sample_ids"]]
    folder = Path(tempfile.mkdtemp(prefix="annobridge-"))
    try:
        changes, left, ours = Shuffle(CHANGES, folder), Shuffle(BASELINE, folder), Shuffle(OURS, folder)
        fields: set[str] = set()
        where = f"run_id = {quote(run.run_id)} AND load = {load.number}"
        for batch in stores.db.scan("annotation_changes", CHANGES.names, where):
            fields.update(pc.unique(batch["field"]).to_pylist())
            changes.feed(batch, pc.index_in(batch["task"], value_set=tasks).to_numpy())
        for batch in stores.baseline.scan(run, [load.number]):
            left.feed(batch, pc.index_in(batch["task"], value_set=tasks).to_numpy())
        locator = Locator(pa.concat_arrays(samples), np.array([len(ids) for ids in samples]))
        for batch in stores.labels.ours(of_fields(sorted(fields)), version) if fields else ():
            ours.feed(batch, locator.tasks(batch["sample_id"]))
        for number, task in enumerate(tasks.to_pylist()):
            part = changes.get(number).combine_chunks()
            if part.num_rows:
                stamp = Stamp(run.anno_key, run.run_id, task, load.number, run.backend, datetime.now(UTC), run.versions)
                here = _with_moved(stores, part, ours.get(number), version)
                yield _of_task(part, current(left.get(number)), here, stamp)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _with_moved(stores: Stores, part: pa.Table, ours: pa.Table, version: int) -> pa.Table:
    """The labels of a task as they are now; those that lie elsewhere by now are looked up by id."""
    edited = part.filter(pc.not_equal(part["action"], "delete"))["label_id"]
    missing = edited.filter(pc.invert(pc.is_in(edited, value_set=ours["label_id"].combine_chunks())))
    if not len(missing):
        return ours.combine_chunks()
    return pa.concat_tables([ours, stores.labels.of_ids(pa.concat_arrays(missing.chunks), version)]).combine_chunks()


def _of_task(part: pa.Table, left: pa.Table, ours: pa.Table, stamp: Stamp) -> Merged:
    ids = pa.concat_arrays(part["label_id"].chunks)
    base = _left(left.filter(pc.is_in(left["label_id"], value_set=ids)).combine_chunks(), part)
    was = part.filter(pc.not_equal(part["action"], "add"))
    columns = [was[n] if n != "remote_id" else was["label_id"] for n in REMOTE.names]
    theirs = pa.Table.from_arrays(columns, schema=REMOTE).combine_chunks()
    merged = merge(base, theirs, ours, pc.unique(part["sample_id"]), LabelSchema({}), "ours", stamp)
    return _with_provenance(merged, part)


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
