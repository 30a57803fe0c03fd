"""Writes the rows of a plan to data files, which no version of the dataset has before they are committed: in this process, or in
others, or in workers of a cluster, for some parts of the plan each. A call that is made twice leaves files that no commit names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..core.labels import LABELS, conform
from ..core.merge.output import WRITES
from ..jobs.calls import Caller
from ..jobs.execution import telling
from ..jobs.shared import SharedJobs, in_order
from ..spill.streams import Part, batches
from ..store.commits import Fragments
from ..store.labels import ROW_KEYS
from ..store.schemas import CHANGES
from ..store.stores import Stores
from ..store.tables import FILE_ROWS
from ..store.written_rows import WrittenRows
from .outcome import Outcome
from .place import DatasetPlace
from .run_states import nothing_loaded

_ROWS_PER_CALL = FILE_ROWS  # each call writes files of its own for each table
_CHANGES = "annotation_changes"
# What tells an undo which labels were added
_ADDED = pa.schema([WRITES.field(n) for n in ("label_id", "sample_id", "field", "kind", "rev", "action", "task")])


class LoadRows(NamedTuple):
    """What is the same for all rows of a load: the version of ``labels`` that was planned on, the run, and its number."""

    version: int
    run_id: str
    load: int


class Written(NamedTuple):
    """Fragments that are written, and not committed yet.

    Attributes:
        edited: new values of labels.
        added: new labels.
        replaced: the addresses of the rows of ``labels`` that are replaced or deleted.
        baseline: rows of the baseline.
        changes: the rows before the load.
    """

    edited: Fragments
    added: Fragments
    replaced: npt.NDArray[np.uint64]
    baseline: Fragments
    changes: Fragments


def write_outcome(stores: Stores, outcome: Outcome) -> list[Written]:
    """Write all rows of a plan: in the processes, or on the cluster, where it was planned."""
    rows, streams = LoadRows(outcome.version, outcome.run.run_id, outcome.load), outcome.streams
    staged = [part for part in streams.parts if part.folder != streams.folder]
    calls = list(_calls(staged or streams.parts))
    others = outcome.processes - 1
    if not staged and (not others or len(calls) < 2):
        return [_write(stores, rows, streams.parts)]
    with telling(nothing_loaded(outcome.run.anno_key)), outcome.execution.connected(others or None) as cluster:
        caller = Caller(cluster, _write_in_worker, DatasetPlace.of(stores), rows, names_host=not others)
        if staged:
            return list(in_order(caller.submit, calls, cluster.at_once))
        return list(SharedJobs(calls, caller.submit, others).results(lambda parts: _write(stores, rows, parts)))


def _write_in_worker(place: DatasetPlace, rows: LoadRows, parts: Sequence[Part]) -> Written:
    return _write(place.stores, rows, parts)


def _calls(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """The parts of each call, in order."""
    some: list[Part] = []
    count = 0
    for part in parts:
        some.append(part)
        count += max(part.rows.values(), default=0)
        if count >= _ROWS_PER_CALL:
            yield some
            some, count = [], 0
    if some:
        yield some


def _write(stores: Stores, rows: LoadRows, parts: Sequence[Part]) -> Written:
    baseline = stores.baseline.write(batches(parts, "baseline"))
    changes = WrittenRows(stores.database, _CHANGES).write(_changes(parts, rows), CHANGES)
    return write_labels(stores, parts, rows.version)._replace(baseline=baseline, changes=changes)


def write_labels(
    stores: Stores, parts: Sequence[Part], version: int, user_columns_version: int | None = None
) -> Written:
    """Write the labels of some parts of a plan.

    Args:
        stores: the dataset.
        parts: their ``replaced`` and ``writes``.
        version: of ``labels``, on which it was planned.
        user_columns_version: the version from which labels that an undo restores get the users' own columns.
    """
    changed = [part for part in parts if part.rows["replaced"]]  # the others have additions only
    replaced = rows_of(changed, "replaced", "edit", ROW_KEYS)
    edited = stores.labels.rewrite(version, replaced, rows_of(changed, "writes", "edit", LABELS))
    added = stores.labels.write(rows_of(parts, "writes", "add", LABELS), user_columns_version)
    return Written(edited, added, _replaced_addresses(parts), [], [])


def _replaced_addresses(parts: Sequence[Part]) -> npt.NDArray[np.uint64]:
    # Copied, or each would keep its whole batch in memory.
    addresses = [batch["_rowaddr"].to_numpy().copy() for batch in batches(parts, "replaced")]
    return np.concatenate([np.zeros(0, np.uint64), *addresses])


def replaced_keys(parts: Sequence[Part]) -> pa.Table:
    """The rows that a plan replaces, then those that it deletes (``ROW_KEYS``): 60 bytes each, in memory."""
    found = [rows for action in ("edit", "delete") for rows in rows_of(parts, "replaced", action, ROW_KEYS)]
    return pa.Table.from_batches(found, ROW_KEYS)


def rows_of(parts: Sequence[Part], stream: str, action: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows of a stream with an action, in other columns."""
    for batch in batches(parts, stream):
        rows = batch.select(schema.names).filter(pc.equal(batch["action"], action))
        if rows.num_rows:
            yield rows.cast(schema)


def _changes(parts: Sequence[Part], rows: LoadRows) -> Iterator[pa.RecordBatch]:
    """The labels before the load, and those that it adds."""
    for part in parts:  # the order is the same, whichever parts a call has
        before = (batch.select(WRITES.names) for batch in batches([part], "replaced"))
        for batch in chain(before, rows_of([part], "writes", "add", _ADDED)):
            yield from conform(pa.table(batch), CHANGES, run_id=rows.run_id, load=rows.load).to_batches()


def append_history(stores: Stores, written: Sequence[Written]) -> None:
    """Add the rows of the baseline, and those before the load. They count once the ledger says that the load is applied."""
    stores.baseline.add_written([fragment for each in written for fragment in each.baseline])
    WrittenRows(stores.database, _CHANGES).append([fragment for each in written for fragment in each.changes])


def label_fragments(written: Sequence[Written]) -> Fragments:
    """The fragments of labels: new values, then new labels, which get their row ids in that order."""
    return [f for each in written for f in each.edited] + [f for each in written for f in each.added]
