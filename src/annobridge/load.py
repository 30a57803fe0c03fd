"""Load: a plan, then one commit: announce → baseline and before-images → labels → done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from .core.labels import LABELS
from .core.merge import BEFORE
from .exceptions import SchemaError, StalePlan
from .plan import Outcome, require_open
from .spool import Spool
from .store.runs import Load, Run
from .store.stores import Stores
from .store.tables import CHANGES

REPLANS = 3  # plans made anew when others keep changing the labels


def apply(stores: Stores, outcome: Outcome) -> int | None:
    """Do what was planned; the new version of ``labels``, or ``None`` when there was nothing to write.

    The ledger says ``applying`` before anything is written, and the commit of the labels bears its token; so whatever
    happens in between, the next look at the run finds either the whole load or none of it.
    """
    outcome.guard()
    rows = outcome.spool.rows
    if not rows["writes"] and not rows["before"] and not rows["baseline"]:
        return None
    run = stores.runs.get(outcome.run.anno_key)
    if run.rev != outcome.run.rev:
        raise StalePlan(f"The run {run.anno_key!r} was loaded or changed since this plan was made; plan again.")
    require_samples(stores, outcome.spool, run)
    _require_open(stores, outcome)
    run, load = stores.runs.begin(run, outcome.version, destinations=outcome.destinations)
    version = None
    try:
        if rows["baseline"]:
            stores.baseline.put_loaded(outcome.spool.reader("baseline"))
        if rows["before"]:
            stores.db.append("annotation_changes", _changes(outcome, run.run_id))
            version = commit(stores, outcome.spool, outcome.version, run, load)
    except BaseException:
        stores.runs.give_up(run, load)
        raise
    counts = {action: outcome.total(action) for action in ("add", "edit", "delete")}
    stores.runs.end(run, load, version, counts)
    return version


def require_samples(stores: Stores, spool: Spool, run: Run) -> None:
    """A label must not be added to a sample that was deleted since the plan was made."""
    batches = [pc.unique(batch["sample_id"]) for batch in spool.batches("writes")]
    wanted = pc.unique(pa.chunked_array(batches, pa.string()))
    if len(wanted) and len(stores.samples.present(wanted)) < len(wanted):
        raise StalePlan(f"Samples of the run {run.anno_key!r} were deleted since this plan was made; plan again.")


def _require_open(stores: Stores, outcome: Outcome) -> None:
    try:
        require_open(stores, outcome.run, outcome.destinations)
    except SchemaError as e:
        raise StalePlan(f"{e} It was not so when this plan was made; plan again.") from e


def commit(stores: Stores, spool: Spool, version: int, run: Run, load: Load) -> int:
    """Commit the streams ``before`` and ``writes`` of a spool, planned on a version of ``labels``.

    Additions have no row to replace, so only the others are held in memory: 50 bytes each.
    """
    narrow = pa.schema([BEFORE.field(name) for name in ("label_id", "rev", "_rowaddr")])
    batches = [batch.filter(pc.is_valid(batch["_rowaddr"])) for batch in spool.reader("before", narrow)]
    writes = spool.reader("writes", LABELS) if spool.rows["writes"] else None

    def added() -> Iterator[pa.Array]:
        return (b["label_id"].filter(pc.is_null(b["_rowaddr"])) for b in spool.batches("before"))

    before = pa.Table.from_batches(batches, narrow)
    return stores.labels.commit(version, before, writes, load.token, added, lambda: stores.runs.alone(run, load))


def _changes(outcome: Outcome, run_id: str) -> pa.RecordBatchReader:
    def batches() -> Iterable[pa.RecordBatch]:
        for batch in outcome.spool.batches("before"):
            extra = [pa.repeat(run_id, batch.num_rows), pa.repeat(pa.scalar(outcome.load, pa.int32()), batch.num_rows)]
            kept = [batch[n] for n in CHANGES.names[: -len(extra)]]
            yield pa.RecordBatch.from_arrays([*kept, *extra], schema=CHANGES)

    return pa.RecordBatchReader.from_batches(CHANGES, batches())
