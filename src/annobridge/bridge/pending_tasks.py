"""The tasks that a run has still to send: checked before anything is sent, then handed out in jobs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..backend.checked import CheckedBackend
from ..backend.values import Task
from ..core.labels import SAMPLES
from ..core.unsent import Unsent
from ..display.progress import Progress, ProgressChoice
from ..exceptions import InvalidLabels, InvalidMedia, RunError, SchemaError, StalePlan, Unsupported
from ..jobs.execution import LOCAL, Execution, telling
from ..store import media, views
from ..store.by_task import ByTask
from ..store.run import MEDIA_FIELD_OPTION, Run
from ..store.stores import Stores
from .outgoing import (
    Checked,
    Outgoing,
    SendContext,
    SendJob,
    SentTasks,
    Sizes,
    TaskToSend,
    check_files,
    check_tasks,
    send_tasks,
)
from .plan_jobs import batches
from .workers import Work, call_cluster, processes_for, run_jobs

Result = TypeVar("Result")


class PendingTasks:
    """The tasks that are still to be sent. Their samples are regrouped on disk, and the tasks of one job are in memory at a time.

    Args:
        stores: the dataset.
        run: the run that they belong to.
        todo: name and sample ids of each task.
        filters: field → SQL conditions; of these fields, only labels that meet all of them are sent.
        columns: the users' own columns of samples that are sent.
        version: of the labels that are sent: that when sending of these tasks began, so that a resumed task is the one that an
            unanswered call may have sent.
        execution: where the tasks are checked and sent.
    """

    def __init__(
        self,
        stores: Stores,
        run: Run,
        todo: Sequence[tuple[str, pa.Array]],
        filters: Mapping[str, tuple[str, ...]],
        columns: Sequence[str],
        version: int,
        execution: Execution = LOCAL,
    ) -> None:
        self.run, self.todo, self.stores, self._columns, self.execution = run, todo, stores, columns, execution
        by_task = ByTask([ids for _, ids in todo])
        self.samples = len(by_task.all_sample_ids)
        self.unsent = Unsent()  # labels that the schema leaves out; filled by ``check``
        self._sizes: dict[int, Sizes] = {}  # of the files of each task, once they were read
        self._sizes_read: list[tuple[list[str], np.ndarray]] = []  # of samples that have none in the dataset
        self._transposed: list[str] = []  # samples whose stored width and height are swapped
        self._media_field = run.options[MEDIA_FIELD_OPTION]
        condition = views.label_condition(list(run.schema.fields), filters)
        try:
            self._labels = stores.labels.find_rows(by_task, condition, version)
        except StalePlan as e:
            raise RunError(
                f"The labels as they were when sending of the run {run.anno_key!r} began were cleaned away; abort_annotation("
                f"{run.anno_key!r}) removes what was sent since, then send it again."
            ) from e
        self._samples = by_task.by_sample(self._sample_schema(), self._sample_rows())

    def _sample_schema(self) -> pa.Schema:
        schema = self.stores.samples.schema()
        if self._media_field not in schema.names:
            raise SchemaError(
                f"The samples have no column {self._media_field!r} (media_field); they have {', '.join(schema.names)}."
            )
        return pa.schema([*SAMPLES, *(schema.field(n) for n in self._columns)])

    def _sample_rows(self) -> Iterator[pa.RecordBatch]:
        """The samples with the media field as ``filepath``."""
        sent = self._sample_schema()
        names = [self._media_field if n == "filepath" else n for n in sent.names]
        for batch in self.stores.samples.scan(None, list(dict.fromkeys(names))):
            yield pa.RecordBatch.from_arrays([batch[n] for n in names], schema=sent)

    def __len__(self) -> int:
        return len(self.todo)

    def __enter__(self) -> PendingTasks:
        return self

    def __exit__(self, *_: object) -> None:
        self._samples.close()

    @property
    def _context(self) -> SendContext:
        return SendContext(self.run, os.getpid())

    def _job(self, numbers: Sequence[int]) -> SendJob:
        """Some tasks, with their samples and the places of their labels."""
        tasks = [TaskToSend(n, self.todo[n][0], self.samples_of(n), self._sizes.get(n)) for n in numbers]
        return SendJob(tasks, self._labels.of(numbers))

    def task(self, number: int) -> Task:
        """One task, as it is sent."""
        return Outgoing(self.stores, self._context, self._job([number])).task(0, self._sizes.get(number))

    def samples_of(self, number: int) -> pa.Table:
        """The samples of one task, in the order of the view: ``SAMPLES``, and the dataset's own columns that are sent."""
        rows = self._samples.get(number).combine_chunks()
        order = pc.index_in(self.todo[number][1], value_set=rows["sample_id"].combine_chunks()).drop_null()
        in_order = len(order) == rows.num_rows and (np.diff(order.to_numpy()) == 1).all()
        return rows if in_order else rows.take(order)

    def check(self, backend: CheckedBackend, progress: ProgressChoice) -> None:
        """Check the schema, the files and the labels of all tasks. Reads image sizes that the dataset does not have.

        Raises ``Unsupported``, ``InvalidMedia`` or ``InvalidLabels`` with everything that is wrong.
        """
        if found := backend.check(self.run.schema, self._all_samples()):
            raise Unsupported(f"The backend {backend.name!r} cannot do this:", found)
        with telling("Nothing was sent."):
            bad_labels = self._note(self._run(check_tasks, backend), backend, progress)
        if bad_labels:
            raise InvalidLabels("Some labels cannot be sent; correct them in the dataset first:", bad_labels)

    def _all_samples(self) -> pa.Table:
        """The id, kind and file of each sample, which are in memory while the backend looks at them, and no longer."""
        columns = ["sample_id", "media_type", "filepath"]
        return pa.concat_tables([self.samples_of(number).select(columns) for number in range(len(self))])

    def check_files(self, backend: CheckedBackend, progress: ProgressChoice) -> None:
        """Raise ``InvalidMedia`` for files that cannot be sent, or are not of the size that the dataset has."""
        self._note(self._run(check_files, backend), backend, progress)

    def send(self, backend: CheckedBackend) -> Iterator[SentTasks]:
        """Send all tasks; they come in their order."""
        return self._run(send_tasks, backend)

    def _run(self, work: Work[SendJob, Result], backend: CheckedBackend) -> Iterator[Result]:
        """Do some work on all tasks, in as many processes as the tool takes tasks at once."""
        samples = [len(ids) for _, ids in self.todo]
        numbers = list(batches(range(len(self)), self._labels.count(len(self)), samples, self.execution.labels_per_job))
        jobs = map(self._job, numbers)
        if self.execution.on_cluster:
            return call_cluster(self.stores, backend, work, self._context, jobs, self.execution)
        count = processes_for(backend, len(numbers), backend.capabilities.parallel_uploads, self.execution)
        return run_jobs(self.stores, backend, work, self._context, jobs, count, self.execution)

    def _note(self, found: Iterable[Checked], backend: CheckedBackend, progress: ProgressChoice) -> list[str]:
        """Note what was found out about the tasks. Returns what is wrong with labels; raises ``InvalidMedia`` for files."""
        files: list[str] = []
        labels: list[str] = []
        with Progress(progress if backend.capabilities.sends_media else False, self.samples, "checking files") as bar:
            for checked in found:
                files += checked.files
                labels += checked.labels
                self._transposed += checked.transposed.to_pylist()
                self.unsent.merge(checked.unsent)
                if checked.sizes is not None:
                    self._sizes[checked.number] = checked.sizes
                if checked.read is not None and len(checked.unknown):
                    self._sizes_read.append((checked.unknown.to_pylist(), checked.read))
                bar.advance(len(self.todo[checked.number][1]))
        if files:
            raise InvalidMedia(media.describe_bad_files(files))
        if self._transposed:
            raise InvalidMedia(
                f"{len(self._transposed)} samples, as {self._transposed[0]!r}, have width and height the wrong way round: those of "
                "the file as it is stored, not of the image as it is shown. `annobridge doctor --repair`, or "
                "doctor(repair=True) of the dataset, sets them; then annotate again."
            )
        return labels

    def keep_sizes(self) -> None:
        """Store the image sizes that the dataset did not have, as read from the files."""
        for sample_ids, sizes in self._sizes_read:
            self.stores.samples.set_sizes(sample_ids, sizes)
