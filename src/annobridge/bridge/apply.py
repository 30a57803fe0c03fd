"""Apply: write a planned load. The ledger says ``applying`` → all rows are written to files → baseline and replaced rows are
appended → labels are committed → the ledger says ``applied``. Only the commit of the labels is seen by readers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array
from ..core.arrow_memory import give_back
from ..core.labels import LABELS
from ..exceptions import SchemaError, StalePlan
from ..spill.streams import Streams
from ..store.lease import Hold
from ..store.row_set import RowSet
from ..store.run import Load, Run
from ..store.stores import Stores
from .counts import totals
from .outcome import Outcome
from .plan import require_usable_destinations
from .written import Written, append_history, label_fragments, replaced_keys, rows_of, write_outcome

_MAX_PLANS = 3  # of one load, while others keep changing the labels

T = TypeVar("T")


def apply(stores: Stores, outcome: Outcome, force: bool = False) -> int | None:
    """Write what was planned.

    The ledger says ``applying``, with a token, before anything is written, and the commit of the labels has the same token. After a
    crash in between, whoever reads the run next looks for the token, and finds the whole load or none of it.

    Args:
        stores: the dataset.
        outcome: the plan.
        force: whether any number of deletions is allowed.

    Returns:
        The new version of ``labels``; ``None`` when no label changed.

    Raises:
        MergeError: the plan must not be applied as it is (see ``Outcome.require_applicable``), or is stale.
        RunBusy: another process holds the run.
    """
    outcome.require_applicable(force)
    rows = outcome.streams.rows
    is_empty = not changes_labels(outcome.streams) and not rows["baseline"] and not outcome.used.num_rows
    is_empty &= not outcome.changes_consensus
    marks = {} if outcome.left else outcome.marks  # of tasks of which everything is taken
    if is_empty and not rows["states"] and not rows["answered"] and not marks:
        return None
    with stores.runs.hold(outcome.run, "is being loaded") as (run, hold):
        _require_current(stores, outcome, run)
        if rows["answered"]:
            sample_ids = as_array(outcome.streams.table("answered")["sample_id"])
            for field in outcome.destinations.values():
                stores.answered.add(run, field, sample_ids)
        if rows["states"]:  # facts about the work in the tool, which count even if this process ends now
            stores.sample_states.add(run, outcome.streams.reader("states"))
        version = None if is_empty else _write(stores, outcome, run, hold)
        if marks:
            stores.marks.add(run, marks)
    return version


def _require_current(stores: Stores, outcome: Outcome, run: Run) -> None:
    """Raise ``StalePlan`` if the run, or what the plan depends on, is not as it was when it was planned."""
    if run.rev != outcome.run.rev:
        raise StalePlan(f"The run {run.anno_key!r} was loaded or changed since this plan was made; plan again.")
    if stores.protections.all().keys() != set(outcome.patterns):
        raise StalePlan("Which fields are protected was changed since this plan was made; plan again.")
    if stores.samples.version() != outcome.samples_version:
        require_samples(stores, outcome.streams, run)
    try:
        require_usable_destinations(stores, outcome.run, outcome.destinations)
    except SchemaError as e:
        raise StalePlan(f"{e} It was not so when this plan was made; plan again.") from e


def _write(stores: Stores, outcome: Outcome, run: Run, hold: Hold) -> int | None:
    """Write all rows, with the load in the ledger before and after; returns the version of ``labels`` that the load made."""
    run, load = stores.runs.begin_load(
        run, hold, outcome.version, destinations=outcome.destinations, reading=outcome.reading
    )
    try:
        stores.baseline.migrate()
        give_back()
        written = write_outcome(stores, outcome)
        append_history(stores, written)
        if outcome.used.num_rows:
            stores.decisions.add(outcome.used, outcome.load)
        is_changed = changes_labels(outcome.streams)
        version = commit(stores, outcome.streams, outcome.version, run, load, written) if is_changed else None
    except BaseException:
        stores.runs.abandon_load(run, load)
        raise
    stores.runs.end_load(run, load, version, totals(outcome.counts))
    return version


def changes_labels(streams: Streams) -> bool:
    """Whether a plan adds, edits or deletes any label."""
    return bool(streams.rows["writes"] or streams.rows["replaced"])


def until_not_stale(plan_and_apply: Callable[[], T]) -> T:
    """Plan and apply a load, and again where others changed the labels meanwhile, three times at most."""
    for _ in range(_MAX_PLANS - 1):
        with suppress(StalePlan):
            return plan_and_apply()
    return plan_and_apply()


def require_samples(stores: Stores, streams: Streams, run: Run) -> None:
    """Raise ``StalePlan`` if a sample that gets labels was deleted since the plan was made."""
    batches = [pc.unique(batch["sample_id"]) for batch in streams.columns("writes", ["sample_id"])]
    wanted = pc.unique(pa.chunked_array(batches, pa.string()))
    if len(wanted) and len(stores.samples.existing_ids(wanted)) < len(wanted):
        raise StalePlan(f"Samples of the run {run.anno_key!r} were deleted since this plan was made; plan again.")


def commit(stores: Stores, streams: Streams, version: int, run: Run, load: Load, written: Sequence[Written]) -> int:
    """Commit the labels of a plan as one version of ``labels``, which carries the token of the load.

    Args:
        stores: the dataset.
        streams: ``replaced`` and ``writes`` of the plan, which are read again if others have committed meanwhile.
        version: of ``labels``, on which it was planned.
        run: the run.
        load: the load.
        written: the files of the labels.
    """
    replaced = RowSet()
    for each in written:
        replaced.add(each.replaced)
    give_back()
    return stores.labels.commit_written(
        version, replaced, label_fragments(written), keys=lambda: replaced_keys(streams.parts), token=load.token,
        new_ids=lambda: (rows["label_id"] for rows in rows_of(streams.parts, "writes", "add", LABELS)),
        is_only_writer=lambda: stores.runs.is_only_load(run, load),
    )  # fmt: skip
