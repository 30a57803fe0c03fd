"""Undo: reverse the last load of a run, and only that. What was edited here since stays.

It is the same three-way merge: the base is what the load left, theirs is what was there before it, ours is now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array, as_mask, equal, not_null
from ..core.labels import BASELINE, COMPONENTS, OURS, REMOTE, conform
from ..core.merge import destination, findings
from ..core.merge.findings import FINDINGS
from ..core.merge.output import REPLACED, WRITES, Merged, Provenance
from ..core.merge.patch import with_columns, with_components
from ..core.merge.reconcile import Wording, merge
from ..core.schema import LabelSchema
from ..exceptions import RunError
from ..spill.streams import Streams
from ..store.baseline import newest_rows
from ..store.by_task import ByTask
from ..store.labels import field_condition
from ..store.lease import Hold
from ..store.run import Load, Run
from ..store.stores import Stores
from ..store.tables import CHANGES, quote
from . import apply as loading
from .reports import Undone

_PROVENANCE = ("run", "tool", "annotator", "time")
_BACK = {"add": "delete", "edit": "edit", "delete": "add"}  # an addition is taken back by a deletion, and so on
_WORDING = Wording(
    both_changed="edited here since the load",
    deleted_there="added by the load, and edited here since",
    deleted_here="edited by the load, and deleted here since",
    present="deleted by the load, and here again with other values",
    kept="it stays as it is",
)


def undo(stores: Stores, run: Run) -> Undone:
    """Reverse the last applied load of a run, as one version of ``labels``."""
    with stores.runs.hold(run, "is being undone") as (run_, hold):
        return _undo(stores, run_, hold)


def _undo(stores: Stores, run: Run, hold: Hold) -> Undone:
    applied = [load for load in run.loads if load.state == "applied"]
    if not applied:
        raise RunError(f"The run {run.anno_key!r} has no load to undo; load_annotations({run.anno_key!r}) makes one.")
    load, version = applied[-1], stores.labels.version()
    streams = Streams({"writes": WRITES, "replaced": REPLACED, "kept": FINDINGS})
    found: Counter[str] = Counter()
    user_columns_version = stores.labels.version_before(load.version)
    for merged, lost in _merged(stores, run, load, version):
        streams.add("writes", merged.writes)
        streams.add("replaced", merged.replaced)
        streams.add("kept", pa.concat_tables([merged.conflicts, merged.refused, lost]))
        if user_columns_version is None and stores.labels.has_user_columns():
            streams.add("kept", _without_own_columns(merged.writes))
        for pair in pc.value_counts(merged.replaced["action"]).to_pylist():
            found[pair["values"]] += pair["counts"]
    streams.finish()
    loading.require_samples(stores, streams, run)
    run, mark = stores.runs.begin_load(run, hold, version, undo=load)
    done = None
    try:
        if streams.rows["replaced"]:
            done = loading.commit(stores, streams, version, run, mark, user_columns_version)
    except BaseException:
        stores.runs.abandon_load(run, mark)
        raise
    stores.runs.end_load(run, mark, done)
    return Undone(run.anno_key, load.number, {a: found[b] for a, b in _BACK.items()}, streams, done)


def _without_own_columns(writes: pa.Table) -> pa.Table:
    """Findings for labels that come back without what users had in columns of their own."""
    back = as_mask(pc.equal(writes["action"], "add"))
    reason = "the label is back, but the version of the labels table that held the columns added to it was cleaned away"
    return findings.of(writes, back, "own columns", reason)


def _merged(stores: Stores, run: Run, load: Load, version: int) -> Iterator[tuple[Merged, pa.Table]]:
    """Task by task: base is what the load left, theirs is what was there before it, ours is now. And findings for what
    cannot be put back, as its sample is not here any more.
    """
    rows = stores.runs.tasks(run)
    tasks = ByTask([ids.values for ids in rows["sample_ids"]], rows["task"].to_pylist())
    present = stores.samples.existing_ids(tasks.all_sample_ids)
    single = destination.single_label_fields(run.schema, load.destinations)
    fields: set[str] = set()

    def changes_with_fields() -> Iterator[pa.RecordBatch]:
        for batch in _changes_of(stores, run, load):
            fields.update(pc.unique(batch["field"]).to_pylist())
            yield batch

    with ExitStack() as files:
        changes = files.enter_context(tasks.by_name(CHANGES, changes_with_fields()))
        left = files.enter_context(tasks.by_name(BASELINE, stores.baseline.scan(run, [load.number])))
        now = stores.labels.scan_ours(field_condition(sorted(fields)), version) if fields else iter(())
        ours = files.enter_context(tasks.by_sample(OURS, now))
        deleted = files.enter_context(tasks.by_sample(CHANGES, _deletions_undone(stores, run, load)))
        for number, task in enumerate(tasks.names):
            part, lost = _of_samples(changes.get(number).combine_chunks(), present)
            if part.num_rows or lost.num_rows:
                provenance = Provenance(
                    run.anno_key, run.run_id, task, load.number, run.backend, datetime.now(UTC), run.versions
                )
                part = _replacing(part, deleted.get(number))
                here = _with_moved(stores, part, ours.get(number), version)
                yield _of_task(part, newest_rows(left.get(number)), here, single, provenance), lost


def _changes_of(stores: Stores, run: Run, load: Load, more: str = "true") -> Iterator[pa.RecordBatch]:
    where = f"run_id = {quote(run.run_id)} AND load = {load.number} AND {more}"
    return stores.database.scan("annotation_changes", CHANGES.names, where)


def _deletions_undone(stores: Stores, run: Run, load: Load) -> Iterator[pa.RecordBatch]:
    """What loads of other runs had deleted before this load, and gave back after it: the newest of them first."""
    loads = [
        (past, other) for other in stores.runs.all_readable() if other.run_id != run.run_id for past in other.loads
    ]
    for past, other in sorted(loads, key=lambda pair: pair[0].version or 0, reverse=True):
        made, by = past.version, load.version
        if past.state == "undone" and made and by and made < by <= (past.undone or 0):
            yield from _changes_of(stores, other, past, "action = 'delete'")


def _replacing(part: pa.Table, deleted: pa.Table) -> pa.Table:
    """The changes of a task, in which an addition that put back what is undeleted by now counts as an edit of that:
    taken back as an addition, it would take along a label that the other undo found here, and so left alone.
    """
    back = as_mask(pc.equal(part["action"], "add")) & as_mask(
        pc.is_in(part["label_id"], value_set=as_array(deleted["label_id"]))
    )
    if not back.any():
        return part
    put = part.filter(pa.array(back))
    was = deleted.take(pc.index_in(put["label_id"], value_set=as_array(deleted["label_id"])))
    was = conform(was.drop_columns(["action", "components"]), CHANGES, action="edit")
    for name in ("task", "run_id", "load"):
        was = was.set_column(was.column_names.index(name), CHANGES.field(name), put[name])
    return pa.concat_tables([part.filter(pa.array(~back)), was]).combine_chunks()


def _of_samples(part: pa.Table, present: pa.Array) -> tuple[pa.Table, pa.Table]:
    """The changes whose samples are here; and findings for the others, less additions, which went with their samples."""
    gone = ~as_mask(pc.is_in(part["sample_id"], value_set=present))
    was = gone & ~as_mask(pc.equal(part["action"], "add"))
    return part.filter(pa.array(~gone)), findings.of(
        part, was, "existence", "its sample is not in the dataset any more"
    )


def _with_moved(stores: Stores, part: pa.Table, ours: pa.Table, version: int) -> pa.Table:
    """The labels of a task as they are now; those that lie elsewhere by now are looked up by id."""
    edited = part.filter(pc.not_equal(part["action"], "delete"))["label_id"]
    missing = edited.filter(pc.invert(pc.is_in(edited, value_set=ours["label_id"].combine_chunks())))
    if not len(missing):
        return ours.combine_chunks()
    return pa.concat_tables(
        [ours, stores.labels.get_by_ids(pa.concat_arrays(missing.chunks), version)]
    ).combine_chunks()


def _of_task(part: pa.Table, left: pa.Table, ours: pa.Table, single: Sequence[str], provenance: Provenance) -> Merged:
    ids = pa.concat_arrays(part["label_id"].chunks)
    base = _left(left.filter(pc.is_in(left["label_id"], value_set=ids)).combine_chunks(), part)
    was = part.filter(pc.not_equal(part["action"], "add"))
    columns = [was[n] if n != "remote_id" else was["label_id"] for n in REMOTE.names]
    theirs = pa.Table.from_arrays(columns, schema=REMOTE).combine_chunks()
    merged = merge(
        base, theirs, ours, pc.unique(part["sample_id"]), LabelSchema({}), single, "ours", provenance, _WORDING
    )
    return _with_provenance(merged, part)


def _left(base: pa.Table, before: pa.Table) -> pa.Table:
    """What the load left: the label as it was, with the components that the load wrote, and those alone."""
    place = pc.index_in(base["label_id"], value_set=before["label_id"].combine_chunks()).combine_chunks()
    was = before.take(place)
    edited = equal(was["action"], "edit")
    components = was["components"].combine_chunks()
    flat, rows = pc.list_flatten(components), pc.list_parent_indices(components).to_numpy(zero_copy_only=False)
    everything = edited & ~not_null(components)
    written = {}
    for name in pc.unique(flat).to_pylist():
        written[name] = everything.copy()
        written[name][rows[equal(flat, name)]] = True
    names = [*(c for columns in COMPONENTS.values() for c in columns), "attributes"]
    kept = with_components(with_columns(base, was, names, edited & ~everything), base, written)
    for name in names:
        base = base.set_column(base.column_names.index(name), BASELINE.field(name), kept[name])
    # The attributes of these rows are those of the whole label.
    unsent = pc.if_else(pa.array(edited & ~everything), None, as_array(base["unsent"]))
    return base.set_column(base.column_names.index("unsent"), BASELINE.field("unsent"), unsent)


def _with_provenance(merged: Merged, before: pa.Table) -> Merged:
    """What is put back bears the names of those who made it, not of the undo."""
    place = pc.index_in(merged.writes["label_id"], value_set=before["label_id"].combine_chunks())
    writes = merged.writes
    for name in _PROVENANCE:
        old = before[name].take(place) if writes.num_rows else writes[name]
        writes = writes.set_column(writes.column_names.index(name), name, old)
    return Merged(writes, merged.replaced, merged.baseline, merged.refused, merged.conflicts)
