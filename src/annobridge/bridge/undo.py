"""Undo: reverse the last load of a run, and only that. Edits of the dataset since the load are kept.

This is the same three-way merge as a load. The base are the labels after the load, "theirs" the labels before it, and "ours"
the labels as they are now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array, as_mask, equal, not_null, set_columns
from ..core.labels import BASELINE, COMPONENTS, OURS, REMOTE, conform
from ..core.merge import destination, findings
from ..core.merge.diff import with_base_rows
from ..core.merge.findings import FINDINGS
from ..core.merge.output import REPLACED, WRITES, Merged, Provenance, TaskNames
from ..core.merge.patch import component_masks, with_columns, with_components
from ..core.merge.policy import Policy
from ..core.merge.reconcile import Wording, merge
from ..core.schema import LabelSchema
from ..exceptions import RunError
from ..spill.streams import Streams
from ..store.baseline import newest_rows
from ..store.by_task import ByTask
from ..store.labels import field_condition
from ..store.lease import Hold
from ..store.run import Load, Run
from ..store.schemas import CHANGES
from ..store.stores import Stores
from ..store.tables import quote
from . import apply as loading
from .counts import Counts, counted_changes, total
from .reports import Undone
from .written import write_labels

_PROVENANCE = ("run", "tool", "annotator", "time")
_REVERSED = {"add": "delete", "edit": "edit", "delete": "add"}  # the action of the load -> that of the undo
_WORDING = Wording(
    both_changed="edited here since the load",
    deleted_there="added by the load, and edited here since",
    deleted_here="edited by the load, and deleted here since",
    present="deleted by the load, and here again with other values",
    theirs_kept="it stays as it is",
    ours_kept="it stays as it is",
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
    found: Counts = Counter()
    user_columns_version = stores.labels.version_before(load.version)
    for merged, without_sample in _merge_tasks(stores, run, load, version):
        streams.add("writes", merged.writes)
        streams.add("replaced", merged.replaced)
        streams.add("kept", pa.concat_tables([merged.conflicts, merged.refused, without_sample]))
        if user_columns_version is None and stores.labels.has_user_columns():
            streams.add("kept", _lost_user_columns(merged.writes))
        found.update(counted_changes(merged.writes, merged.replaced))
    streams.finish()
    loading.require_samples(stores, streams, run)
    stores.marks.forget(run)  # or a load of what changed since the last one would leave out what is undone
    run, mark = stores.runs.begin_load(run, hold, version, undo=load)
    done = None
    try:
        if loading.changes_labels(streams):
            written = write_labels(stores, streams.parts, version, user_columns_version)
            done = loading.commit(stores, streams, version, run, mark, [written])
    except BaseException:
        stores.runs.abandon_load(run, mark)
        raise
    for field in set(load.destinations.values()) - run.destinations:  # no other load put an answer there
        stores.answered.forget(run, field)
    stores.runs.end_load(run, mark, done)
    return Undone(run.anno_key, load.number, {a: total(found, b) for a, b in _REVERSED.items()}, streams, done)


def _lost_user_columns(writes: pa.Table) -> pa.Table:
    """Findings for labels that are restored without their values in columns that users added."""
    restored = as_mask(pc.equal(writes["action"], "add"))
    reason = "the label is back, but the version of the labels table that held the columns added to it was cleaned away"
    return findings.of(writes, restored, "own columns", reason)


def _merge_tasks(stores: Stores, run: Run, load: Load, version: int) -> Iterator[tuple[Merged, pa.Table]]:
    """The merge of each task, and findings for labels that cannot be restored because their sample was deleted."""
    tasks = ByTask.of_run(stores.runs.tasks(run))
    present = stores.samples.existing_ids(tasks.all_sample_ids)
    single = destination.single_label_fields(run.schema, load.destinations)
    fields: set[str] = set()

    def changes_with_fields() -> Iterator[pa.RecordBatch]:
        for batch in _changes_of(stores, run, load):
            fields.update(pc.unique(batch["field"]).to_pylist())
            yield batch

    with ExitStack() as files:
        changes = files.enter_context(tasks.by_name(CHANGES, changes_with_fields()))
        after_load = files.enter_context(tasks.by_name(BASELINE, stores.baseline.scan(run, [load.number])))
        current = stores.labels.scan_ours(field_condition(sorted(fields)), version) if fields else iter(())
        ours = files.enter_context(tasks.by_sample(OURS, current))
        deleted = files.enter_context(tasks.by_sample(CHANGES, _deletions_undone(stores, run, load)))
        for number, task in enumerate(tasks.names):
            part, without_sample = _split_by_sample(changes.get(number).combine_chunks(), present)
            if part.num_rows or without_sample.num_rows:
                provenance = Provenance(
                    run.anno_key,
                    run.run_id,
                    TaskNames.one(task),
                    load.number,
                    run.backend,
                    datetime.now(UTC),
                    run.versions,
                )
                part = _as_edits_of_deleted(part, deleted.get(number))
                mine = _with_labels_elsewhere(stores, part, ours.get(number), version)
                yield _merge_task(part, newest_rows(after_load.get(number)), mine, single, provenance), without_sample


def _changes_of(stores: Stores, run: Run, load: Load, condition: str = "true") -> Iterator[pa.RecordBatch]:
    where = f"run_id = {quote(run.run_id)} AND load = {load.number} AND {condition}"
    return stores.database.scan("annotation_changes", CHANGES.names, where)


def _deletions_undone(stores: Stores, run: Run, load: Load) -> Iterator[pa.RecordBatch]:
    """Labels that loads of other runs deleted before this load, and that undos of them restored after it; the newest load first."""
    loads = [
        (past, other) for other in stores.runs.all_readable() if other.run_id != run.run_id for past in other.loads
    ]
    for past, other in sorted(loads, key=lambda pair: pair[0].version or 0, reverse=True):
        deleted_in, loaded_in = past.version, load.version
        if past.state == "undone" and deleted_in and loaded_in and deleted_in < loaded_in <= (past.undone or 0):
            yield from _changes_of(stores, other, past, "action = 'delete'")


def _as_edits_of_deleted(part: pa.Table, deleted: pa.Table) -> pa.Table:
    """The changes of a task, with some additions as edits: those of labels that another load had deleted (``deleted``), and whose
    deletion was undone since. If such an addition were reversed by deleting the label, the label would be lost that the other
    undo found in the dataset, and therefore did not restore.
    """
    restored = as_mask(pc.equal(part["action"], "add")) & as_mask(
        pc.is_in(part["label_id"], value_set=as_array(deleted["label_id"]))
    )
    if not restored.any():
        return part
    added = part.filter(pa.array(restored))
    before = deleted.take(pc.index_in(added["label_id"], value_set=as_array(deleted["label_id"])))
    before = conform(before.drop_columns(["action", "components"]), CHANGES, action="edit")
    for name in ("task", "run_id", "load"):
        before = before.set_column(before.column_names.index(name), CHANGES.field(name), added[name])
    return pa.concat_tables([part.filter(pa.array(~restored)), before]).combine_chunks()


def _split_by_sample(part: pa.Table, present: pa.Array) -> tuple[pa.Table, pa.Table]:
    """The changes whose samples exist, and findings for the others. Additions are not among them: they were deleted with their
    samples.
    """
    no_sample = ~as_mask(pc.is_in(part["sample_id"], value_set=present))
    to_restore = no_sample & ~as_mask(pc.equal(part["action"], "add"))
    return part.filter(pa.array(~no_sample)), findings.of(
        part, to_restore, "existence", "its sample is not in the dataset any more"
    )


def _with_labels_elsewhere(stores: Stores, part: pa.Table, ours: pa.Table, version: int) -> pa.Table:
    """``ours``, the current labels of a task, with the changed labels that are on other samples or in other fields by now."""
    changed = part["label_id"]  # a label that was deleted may be back: another run restored it
    missing = changed.filter(pc.invert(pc.is_in(changed, value_set=ours["label_id"].combine_chunks())))
    if not len(missing):
        return ours.combine_chunks()
    return pa.concat_tables(
        [ours, stores.labels.get_by_ids(pa.concat_arrays(missing.chunks), version)]
    ).combine_chunks()


def _merge_task(
    part: pa.Table, after_load: pa.Table, ours: pa.Table, single: Sequence[str], provenance: Provenance
) -> Merged:
    ids = pa.concat_arrays(part["label_id"].chunks)
    base = _after_load(after_load.filter(pc.is_in(after_load["label_id"], value_set=ids)).combine_chunks(), part)
    before = part.filter(pc.not_equal(part["action"], "add"))
    columns = [before[n] if n != "remote_id" else before["label_id"] for n in REMOTE.names]
    theirs = with_base_rows(pa.Table.from_arrays(columns, schema=REMOTE).combine_chunks(), base)
    merged = merge(
        base,
        theirs,
        ours,
        pc.unique(part["sample_id"]),
        LabelSchema({}),
        single,
        Policy.parse("ours"),
        provenance,
        _WORDING,
    )
    return _with_provenance(merged, part)


def _after_load(base: pa.Table, before: pa.Table) -> pa.Table:
    """The labels after the load: as they were before it, with the components that the load wrote, and the revision that it gave.

    The baseline has numbers as the tool rounds them, and the labels have their exact ones: a row that nobody wrote since is known
    by its revision, even if somebody had changed other components of it before the load.
    """
    index = pc.index_in(base["label_id"], value_set=before["label_id"].combine_chunks()).combine_chunks()
    old = before.take(index)
    edited = equal(old["action"], "edit")
    components = old["components"].combine_chunks()
    all_components = edited & ~not_null(components)
    written = {name: rows | all_components for name, rows in component_masks(components).items()}
    names = [*(c for columns in COMPONENTS.values() for c in columns), "attributes"]
    values = with_components(with_columns(base, old, names, edited & ~all_components), base, written)
    for name in names:
        base = base.set_column(base.column_names.index(name), BASELINE.field(name), values[name])
    # The attributes of these rows include those that were not sent.
    unsent = pc.if_else(pa.array(edited & ~all_components), None, as_array(base["unsent"]))
    rev = pc.if_else(pa.array(edited & ~all_components), pc.add(pc.max_element_wise(old["rev"], 0), 1), base["rev"])
    return set_columns(base, unsent=unsent, rev=rev)


def _with_provenance(merged: Merged, before: pa.Table) -> Merged:
    """Restore the provenance that the labels had before the load, in place of that of the undo."""
    index = pc.index_in(merged.writes["label_id"], value_set=before["label_id"].combine_chunks())
    writes = merged.writes
    for name in _PROVENANCE:
        old = before[name].take(index) if writes.num_rows else writes[name]
        writes = writes.set_column(writes.column_names.index(name), name, old)
    return replace(merged, writes=writes)
