"""Upload: the tasks of a run are sent one after another, while the run's lease is held."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..backend.checked import CheckedBackend
from ..backend.values import Receipt, Task
from ..core.arrays import as_array
from ..core.unsent import Unsent, sentences
from ..display.progress import Progress, ProgressChoice
from ..exceptions import BackendError, EditorWarning, RefusedTaskWarning, Rejected, RunBusy, UnsentWarning
from ..store.lease import Hold
from ..store.run import NOT_SENT_OPTION, NOTES_OPTION, Run
from ..store.stores import Stores
from . import tool_limits
from .pending_tasks import PendingTasks


@dataclass(slots=True)
class Uploader:
    """Sends the tasks of a run, or of its extension, under its lease."""

    stores: Stores
    run: Run
    hold: Hold
    backend: CheckedBackend
    tasks: PendingTasks
    not_taken: Unsent = field(default_factory=Unsent)  # labels that the tool does not take
    notes: list[str] = field(default_factory=list)  # of the receipts

    def send(self, progress: ProgressChoice) -> Run:
        """Send all tasks. Returns the run, whose state is ``sent``.

        Raises the error of the backend that stopped it; tasks that were sent stay sent, and their receipts are stored.
        """
        refused, size = _Refused(self.backend.config.on_rejected == "skip"), len(self.tasks)
        with Progress(progress, self.tasks.samples, f"sending to {self.backend.name}") as bar:
            for number in range(size):
                self.hold.check()
                task = self.tasks.task(number)
                try:
                    receipt = self._upload(task, refused)
                except BackendError as e:
                    raise type(e)(f"{e} {_left(self.run, number, size)}", e.status, e.detail, e.samples) from e
                if receipt is not None:
                    self._record(number, receipt)
                    self.notes.extend(receipt.notes)
                bar.advance(task.samples.num_rows)
        if refused.reasons:
            refused.finish(self.stores, self.run, self.tasks.samples)
        return self.stores.runs.end_sending(self.run, self._options())

    def _options(self) -> dict[str, Any]:
        """The options to store with the run: also which labels the tool does not take, and notes on what it does not show. Warns
        of both.
        """
        entries = self.not_taken.to_list()
        if entries:
            warnings.warn("\n".join(sentences(entries)), UnsentWarning, stacklevel=5)
        notes = list(dict.fromkeys([*tool_limits.of_run(self.run.schema, self.stores, self.backend), *self.notes]))
        if notes:
            head = f"The run {self.run.anno_key!r} is sent; what {self.backend.name} does not show or cannot do:"
            warnings.warn("\n  - ".join([head, *notes]), EditorWarning, stacklevel=5)
        return {
            **self.run.options,
            NOT_SENT_OPTION: [*self.run.options.get(NOT_SENT_OPTION, ()), *entries],
            NOTES_OPTION: notes,
        }

    def _upload(self, task: Task, refused: _Refused) -> Receipt | None:
        """Upload a task. With ``on_rejected="skip"``, samples that the tool refuses are left out, and the task is tried again;
        ``None`` when no sample is left.
        """
        while task.samples.num_rows:
            try:
                receipt = self.backend.upload(task)
            except Rejected as e:
                # A task that exists on the server although it was refused may hold people's work, so it is not skipped.
                if not refused.skip or (not e.samples and self.backend.find(task.name) is not None):
                    raise
                task = refused.without(task, e)
                self.stores.runs.set_task(self.run, task.name, as_array(task.samples["sample_id"]))
                continue
            self.not_taken.add_refused(task.labels, receipt.unsent)
            return receipt
        return None

    def _record(self, number: int, receipt: Receipt) -> None:
        """Store the baseline of a task, then its receipt: a task that has a receipt is complete.

        If another process took the run over meanwhile, nothing is stored; if it aborted the run, the new task is deleted.
        """
        try:
            self.hold.check()
        except RunBusy:
            if not self.stores.runs.exists(self.run):
                self.backend.delete(receipt)
            raise
        rows = self.tasks.with_unsent(number, receipt.baseline)
        self.stores.baseline.add_sent(self.run, receipt.task, rows, self.run.sends[-1])
        self.stores.runs.add_receipt(self.run, receipt.task, receipt.state)


class _Refused:
    """The samples that the tool refused, and why."""

    def __init__(self, skip: bool) -> None:
        self.skip = skip
        self.reasons: list[str] = []
        self.samples = 0

    def without(self, task: Task, error: Rejected) -> Task:
        """The task without the samples that an error names; without all its samples if the error names none of them."""
        named = pc.is_in(task.samples["sample_id"], value_set=pa.array(error.samples, pa.string()))
        refused = named if pc.any(named).as_py() else pc.is_valid(task.samples["sample_id"])
        left = task.samples.filter(pc.invert(refused))
        self.samples += task.samples.num_rows - left.num_rows
        self.reasons.append(str(error))
        labels = task.labels.filter(pc.is_in(task.labels["sample_id"], value_set=as_array(left["sample_id"])))
        return replace(task, samples=left, labels=labels)

    def finish(self, stores: Stores, run: Run, total: int) -> None:
        """Warn of the samples that were left out. A run without any task left is deleted, and ``Rejected`` raised."""
        reasons = "\n  - ".join(self.reasons)
        if not stores.runs.tasks(run).num_rows:
            stores.runs.delete(run)
            raise Rejected(f"The tool refused every sample, so there is no run {run.anno_key!r}:\n  - {reasons}")
        message = f"The tool refused {self.samples} of {total} samples, which are not in the run {run.anno_key!r}:"
        warnings.warn(f"{message}\n  - {reasons}", RefusedTaskWarning, stacklevel=5)


def _left(run: Run, done: int, tasks_: int) -> str:
    return (
        f"Of the {tasks_} tasks under way of the run {run.anno_key!r}, {done} are sent: "
        f"resume_annotation({run.anno_key!r}) sends the rest, abort_annotation({run.anno_key!r}) removes all."
    )
