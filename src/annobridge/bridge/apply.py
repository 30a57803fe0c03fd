"""Load: a plan, then one commit: announce → baseline and before-images → labels → done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from ..core.labels import LABELS
from ..exceptions import SchemaError, StalePlan
from ..spill.streams import Streams
from ..store.labels import ROWS
from ..store.run import Load, Run
from ..store.stores import Stores
from ..store.tables import CHANGES
from .outcome import Outcome
from .plan import require_open

REPLANS = 3  # plans made anew when others keep changing the labels


def apply(stores: Stores, outcome: Outcome) -> int | None:
    """Do what was planned; the new version of ``labels``, or ``None`` when there was nothing to write.

    The ledger says ``applying`` before anything is written, and the commit of the labels has its token; so whatever
    happens in between, the next look at the run finds either the whole load or none of it.
    """
    outcome.guard()
    rows = outcome.spool.rows
    if not rows["writes"] and not rows["replaced"] and not rows["baseline"]:
        return None
    with stores.runs.hold(outcome.run, "is being loaded") as (run, hold):
        if run.rev != outcome.run.rev:
            raise StalePlan(f"The run {run.anno_key!r} was loaded or changed since this plan was made; plan again.")
        require_samples(stores, outcome.spool, run)
        _require_open(stores, outcome)
        run, load = stores.runs.begin(run, hold, outcome.version, destinations=outcome.destinations)
        version = None
        try:
            if rows["baseline"]:
                stores.baseline.put_loaded(outcome.spool.reader("baseline"))
            if rows["replaced"]:
                stores.db.append("annotation_changes", _changes(outcome, run.run_id))
                version = commit(stores, outcome.spool, outcome.version, run, load)
        except BaseException:
            stores.runs.give_up(run, load)
            raise
        counts = {action: outcome.total(action) for action in ("add", "edit", "delete")}
        stores.runs.end(run, load, version, counts)
    return version


def require_samples(stores: Stores, spool: Streams, run: Run) -> None:
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


def commit(
    stores: Stores, spool: Streams, version: int, run: Run, load: Load, own_columns_of: int | None = None
) -> int:
    """Commit the streams ``replaced`` and ``writes`` of a spool, planned on a version of ``labels``.

    Additions have no row to replace, so only the others are held in memory: 60 bytes each. ``own_columns_of`` is the
    version from which labels that come back get the values of the users' own columns.
    """

    def some(stream: str, action: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        for batch in spool.batches(stream):
            rows = batch.filter(pc.equal(batch["action"], action))
            if rows.num_rows:
                yield rows.select(schema.names).cast(schema)

    def new_ids() -> Iterator[pa.Array]:
        return (rows["label_id"] for rows in some("writes", "add", LABELS))

    rows = pa.Table.from_batches([*some("replaced", "edit", ROWS), *some("replaced", "delete", ROWS)], ROWS)
    added = stores.labels.write(some("writes", "add", LABELS), own_columns_of)
    return stores.labels.commit(
        version, rows, some("writes", "edit", LABELS), added,
        token=load.token, new_ids=new_ids, alone=lambda: stores.runs.alone(run, load),
    )  # fmt: skip


def _changes(outcome: Outcome, run_id: str) -> pa.RecordBatchReader:
    def batches() -> Iterable[pa.RecordBatch]:
        for batch in outcome.spool.batches("replaced"):
            extra = [pa.repeat(run_id, batch.num_rows), pa.repeat(pa.scalar(outcome.load, pa.int32()), batch.num_rows)]
            kept = [batch[n] for n in CHANGES.names[: -len(extra)]]
            yield pa.RecordBatch.from_arrays([*kept, *extra], schema=CHANGES)

    return pa.RecordBatchReader.from_batches(CHANGES, batches())
