"""Upload: the tasks of a run are sent, and recorded, while the run's lease is held."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Self

import pyarrow as pa

from ..backend.checked import CheckedBackend
from ..core.unsent import Unsent, sentences
from ..display.progress import Progress, ProgressChoice
from ..exceptions import (
    BackendError,
    EditorWarning,
    ExecutorError,
    RefusedTaskWarning,
    Rejected,
    RunBusy,
    UnsentWarning,
)
from ..store.lease import Hold
from ..store.run import NOT_SENT_OPTION, NOTES_OPTION, Run
from ..store.stores import Stores
from . import tool_limits
from .outgoing import Sent, SentTasks
from .pending_tasks import PendingTasks

_LABELS_STORED = 50_000
_SECONDS = 1.0  # between two writes of what was sent


@dataclass(slots=True)
class Uploader:
    """Sends the tasks of a run, or of its extension, under its lease."""

    stores: Stores
    run: Run
    hold: Hold
    backend: CheckedBackend
    tasks: PendingTasks
    not_taken: Unsent = field(default_factory=Unsent)  # labels that the tool does not take
    refused: list[str] = field(default_factory=list)  # why the tool refused samples
    left_out: int = 0  # how many
    notes: list[str] = field(default_factory=list)  # of the receipts

    def send(self, progress: ProgressChoice) -> Run:
        """Send all tasks. Returns the run, whose state is ``sent``.

        Raises the error of the backend that stopped it; tasks that were sent stay sent, and their receipts are stored.
        """
        size = len(self.tasks)
        records = Records(self.stores, self.run, self.hold, self.backend)
        self.stores.baseline.migrate()
        done = 0
        with Progress(progress, self.tasks.samples, f"sending to {self.backend.name}") as bar, records:
            self.hold.check()
            try:
                for sent in self.tasks.send(self.backend):
                    for task in sent.tasks:
                        done += 1
                        self._note(task)
                        bar.advance(len(self.tasks.todo[task.number][1]))
                    records.add(sent)
                    self.hold.check()
            except BackendError as e:
                raise type(e)(f"{e} {_left(self.run, done, size)}", e.status, e.detail, e.samples) from e
            except ExecutorError as e:
                raise ExecutorError(f"{e} {_left(self.run, done, size)}") from e
        if self.refused:
            self._finish_refused()
        return self.stores.runs.end_sending(self.run, self._options())

    def _note(self, sent: Sent) -> None:
        name, samples = self.tasks.todo[sent.number]
        if sent.refused:
            self.refused += sent.refused
            self.left_out += len(samples) - len(sent.samples)
            self.stores.runs.set_task(self.run, name, sent.samples)
        if sent.receipt is not None:
            self.notes.extend(sent.receipt.notes)
        self.not_taken.merge(sent.not_taken)

    def _finish_refused(self) -> None:
        """Warn of the samples that were left out. A run without any task left is deleted, and ``Rejected`` raised."""
        reasons = "\n  - ".join(self.refused)
        if not self.stores.runs.tasks(self.run).num_rows:
            self.stores.runs.delete(self.run)
            raise Rejected(f"The tool refused every sample, so there is no run {self.run.anno_key!r}:\n  - {reasons}")
        message = (
            f"The tool refused {self.left_out} of {self.tasks.samples} samples, which are not in the run "
            f"{self.run.anno_key!r}:"
        )
        warnings.warn(f"{message}\n  - {reasons}", RefusedTaskWarning, stacklevel=5)

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


class Records:
    """Stores what was sent: the baseline of tasks, then their receipts, as a task that has a receipt is complete.

    Several tasks are stored at once: those of a second, or of so many labels. What was not stored when the process ends is found in
    the tool by its name, when the run is resumed.
    """

    def __init__(self, stores: Stores, run: Run, hold: Hold, backend: CheckedBackend) -> None:
        self._stores, self._run, self._hold, self._backend = stores, run, hold, backend
        self._sent: list[SentTasks] = []
        self._stored = monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._store()

    def add(self, sent: SentTasks) -> None:
        """Take tasks that were sent."""
        self._sent.append(sent)
        if sum(each.labels for each in self._sent) >= _LABELS_STORED or monotonic() - self._stored > _SECONDS:
            self._store()

    def _store(self) -> None:
        """If another process took the run over meanwhile, nothing is stored; if it aborted the run, the new tasks are deleted."""
        sent, self._sent, self._stored = self._sent, [], monotonic()  # what cannot be stored is not stored again
        receipts = [task.receipt for each in sent for task in each.tasks if task.receipt is not None]
        if not receipts:
            return
        try:
            self._hold.check()
        except RunBusy:
            if not self._stores.runs.exists(self._run):
                for receipt in receipts:
                    self._backend.delete(receipt)
            raise
        tables = [each.baseline for each in sent if isinstance(each.baseline, pa.Table)]
        if tables:
            self._stores.baseline.add(batch for table in tables for batch in table.to_batches())
        files = [each.baseline for each in sent if not isinstance(each.baseline, pa.Table)]
        self._stores.baseline.add_written([fragment for fragments in files for fragment in fragments])
        self._stores.runs.add_receipts(self._run, {receipt.task: receipt.state for receipt in receipts})


def _left(run: Run, done: int, tasks_: int) -> str:
    return (
        f"Of the {tasks_} tasks under way of the run {run.anno_key!r}, {done} are sent: "
        f"resume_annotation({run.anno_key!r}) sends the rest, abort_annotation({run.anno_key!r}) removes all."
    )
