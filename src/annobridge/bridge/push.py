"""Push: change labels in the tool as planned. What is about to be done is written down → the tool is changed, task by task, and the
baseline follows → the ledger says ``pushed``.

A process may end after any step. The next push or load finds out what arrived (``settle``), and records that.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack

import pyarrow as pa
import pyarrow.compute as pc

from ..backend.checked import CheckedBackend
from ..backend.values import Edits, Pushed, Receipt
from ..core.arrays import as_array, equal, filter_rows, set_columns
from ..core.labels import BASELINE, COMPONENTS, LABELS, REMOTE, conform
from ..core.merge.arrived import arrived, expected
from ..core.merge.patch import component_masks, with_columns, with_components
from ..core.merge.push import DELETED, NOT_IN_TOOL, PUSHED
from ..display.progress import Progress, ProgressChoice
from ..exceptions import BackendError, Gone, RunIncomplete, StalePlan
from ..store.by_task import ByTask
from ..store.run import Run
from ..store.stores import Stores
from .counts import Counts, counted, deletions, totals
from .download import Answers, download_as, newest_sent, remote
from .outcome import Outcome
from .push_planning import samples_by_task, task_of

_VALUES = (*(column for columns in COMPONENTS.values() for column in columns), "attributes")


def apply(
    stores: Stores, outcome: Outcome, backend: CheckedBackend, force: bool = False, progress: ProgressChoice = None
) -> Counts:
    """Push what was planned; returns how many labels were added, edited and deleted in the tool, by field.

    Raises:
        MergeError: the plan must not be applied as it is (see ``Outcome.require_applicable``), or is stale.
        RunBusy: another process holds the run.
        BackendError: the tool refused, or cannot be reached. The message says how to go on.
    """
    outcome.require_applicable(force)
    rows, streams, run = outcome.streams.rows, outcome.streams, outcome.run
    if not rows["baseline"] and not rows["writes"] and not outcome.used.num_rows:
        return Counter()
    with stores.runs.hold(run, "is being pushed") as (now, hold):
        if now.rev != run.rev:
            raise StalePlan(f"The run {run.anno_key!r} was loaded or changed since this plan was made; plan again.")
        by_task = ByTask.of_run(stores.runs.tasks(now))
        now, push = stores.runs.begin_push(now, hold, outcome.version)
        stores.pushes.add(streams.reader("baseline"))
        if outcome.used.num_rows:
            stores.decisions.add(outcome.used, push.number)
        done: Counts = Counter()
        with ExitStack() as files, Progress(progress, len(by_task), f"pushing to {backend.name}") as bar:
            parts = {
                name: files.enter_context(by_task.by_name(schema, streams.batches(name)))
                for name, schema in (("writes", PUSHED), ("deleted", DELETED), ("baseline", BASELINE))
            }
            bases = files.enter_context(by_task.by_name(BASELINE, stores.baseline.scan(now)))
            samples = files.enter_context(samples_by_task(stores, now, by_task))
            receipts = stores.runs.receipts(now)
            for number, task in enumerate(by_task.names):
                hold.check()
                writes, deleted, intended = (parts[name].get(number).combine_chunks() for name in parts)
                if writes.num_rows or deleted.num_rows:
                    receipt = Receipt(task, receipts[task], remote(newest_sent(bases.get(number))))
                    intended, pushed = _push_task(
                        stores, now, outcome, backend, receipt, samples.get(number), writes, deleted, intended
                    )
                    done.update(pushed)
                if intended.num_rows:
                    stores.baseline.add(intended.to_batches())
                bar.advance(1)
        stores.runs.end_push(now, push, totals(done))
        stores.pushes.forget(now)
    return done


def _push_task(
    stores: Stores, run: Run, outcome: Outcome, backend: CheckedBackend, receipt: Receipt, samples: pa.Table,
    writes: pa.Table, deleted: pa.Table, intended: pa.Table,
) -> tuple[pa.Table, Counts]:  # fmt: skip
    """Push to one task. Returns the rows of the baseline that hold then, and how many labels were changed."""
    labels = writes.select(LABELS.names)
    edits = Edits(
        task_of(stores, run, receipt.task, samples, labels),
        as_array(writes["remote_id"]),
        deleted.select(REMOTE.names),
    )
    try:
        pushed = backend.push(receipt, edits)
    except BackendError as e:
        again = f"What was pushed before stays in the tool; push_annotations({run.anno_key!r}) goes on with the rest."
        raise type(e)(f"{e} {again}", e.status, e.detail, e.samples) from e
    if pushed.state is not None:
        stores.runs.add_receipts(run, {receipt.task: pushed.state})
    outcome.notes += pushed.notes
    left_out = pushed.left_out
    counts: Counts = Counter()
    for rows in (writes, deletions(deleted)):
        counts.update(counted(rows.filter(pc.invert(pc.is_in(rows["label_id"], value_set=left_out)))))
    stays = pc.invert(pc.is_in(intended["label_id"], value_set=left_out))
    return _as_pushed(filter_rows(intended, stays).combine_chunks(), writes, pushed), counts


def _as_pushed(intended: pa.Table, writes: pa.Table, pushed: Pushed) -> pa.Table:
    """Rows of the baseline, with the values that the tool returns for what was pushed, and its ids."""
    found = pc.index_in(as_array(intended["label_id"]), value_set=as_array(pushed.baseline["label_id"]))
    is_pushed = found.is_valid().to_numpy(zero_copy_only=False)
    there = pushed.baseline.take(found)
    at = pc.index_in(as_array(intended["label_id"]), value_set=as_array(writes["label_id"]))
    components = as_array(writes["components"]).take(at)
    is_new = is_pushed & equal(as_array(writes["action"]).take(at), "add")
    masks = {name: rows & is_pushed for name, rows in component_masks(components).items()}
    rows = with_components(intended, conform(there, BASELINE, run_id="", task="", load=0, gone=False, rev=0), masks)
    rows = with_columns(rows, there, _VALUES, is_new)
    return set_columns(rows, remote_id=pc.coalesce(as_array(there["remote_id"]), as_array(rows["remote_id"])))


def settle(stores: Stores, run: Run, answers: Answers) -> Run:
    """Find out what arrived of a push that was interrupted, and record it; returns the run as it is then.

    Raises ``RunBusy`` while a process is pushing, and ``RunIncomplete`` where not the tool is asked, but a file.
    """
    if run.push is None:
        return run
    if answers.is_file:
        raise RunIncomplete(
            f"A push of the run {run.anno_key!r} was interrupted, so it is not known what the tool has; "
            f"push_annotations({run.anno_key!r}), or a load from the tool, finds out. Then load the file."
        )
    with stores.runs.hold(run, "is being settled") as (now, _):
        if (push := now.push) is None:
            return now
        by_task, receipts = ByTask.of_run(stores.runs.tasks(now)), stores.runs.receipts(now)
        counts: Counts = Counter()
        with ExitStack() as files:
            meant, done, bases = (
                files.enter_context(by_task.by_name(BASELINE, rows))
                for rows in (
                    stores.pushes.scan(now, push),
                    stores.baseline.scan(now, [push.number]),
                    stores.baseline.scan(now),
                )
            )
            for number, task in enumerate(by_task.names):
                intended, rows = meant.get(number).combine_chunks(), done.get(number)
                if intended.num_rows and not rows.num_rows:
                    receipt = Receipt(task, receipts[task])
                    rows = _arrived(stores, now, answers, receipt, newest_sent(bases.get(number)), intended)
                counts.update(_counted_as_intended(rows, intended))
        now = stores.runs.end_push(now, push, totals(counts))
        stores.pushes.forget(now)
    return now


def _arrived(
    stores: Stores, run: Run, answers: Answers, receipt: Receipt, base: pa.Table, intended: pa.Table
) -> pa.Table:
    """What arrived of a push in a task, as ``BASELINE``; it is recorded."""
    try:
        there = download_as(answers, run, receipt, remote(expected(base, intended)))
    except Gone:
        return BASELINE.empty_table()
    rows = arrived(base, intended, there.labels, there.samples)
    if rows.num_rows:
        stores.baseline.add(rows.to_batches())
    return rows


def _counted_as_intended(rows: pa.Table, intended: pa.Table) -> Counts:
    """How many of the rows of a push are additions, edits and deletions."""
    meant = intended.take(pc.index_in(rows["label_id"], value_set=as_array(intended["label_id"])).drop_null())
    added = int(equal(meant["remote_id"], NOT_IN_TOOL).sum())
    deleted = int(pc.sum(meant["gone"], min_count=0).as_py())
    return Counter({("", "add"): added, ("", "delete"): deleted, ("", "edit"): meant.num_rows - added - deleted})
