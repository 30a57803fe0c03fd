"""Checks tasks before they are sent, and sends them: by jobs of some tasks each, in this process or in others."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..backend.checked import CheckedBackend
from ..backend.values import Receipt, Task
from ..core import tasks
from ..core.arrays import as_array
from ..core.checks import validate
from ..core.labels import BASELINE, REMOTE
from ..core.unsent import Unsent
from ..exceptions import Rejected
from ..store import media
from ..store.baseline import as_sent
from ..store.by_task import ByTask, in_task_order, task_ranges
from ..store.commits import Fragments
from ..store.labels import LABELS_WITH_ROW_ID, sort_by_insertion
from ..store.run import MEDIA_FIELD_OPTION, Run
from ..store.stores import Stores
from ..store.task_rows import Places

Sizes = npt.NDArray[np.int32]  # [width, height] of each file, 0 where it was not read


@dataclass(frozen=True)
class SendContext:
    """What is the same for all tasks that are sent."""

    run: Run
    recorder: int  # the id of the process that records what was sent

    @property
    def of_images(self) -> bool:
        """Whether the files are those of ``filepath``: files of another column have sizes of their own."""
        return bool(self.run.options[MEDIA_FIELD_OPTION] == "filepath")


class TaskToSend(NamedTuple):
    """A task that is to be sent."""

    number: int
    name: str
    samples: pa.Table  # SAMPLES, and the dataset's own columns that are sent, in the order of the view
    sizes: Sizes | None  # of its files, once they were read


class SendJob(NamedTuple):
    """Tasks that are checked or sent by one worker, one after another."""

    tasks: Sequence[TaskToSend]
    labels: Places


@dataclass
class Checked:
    """What was found in a task before it is sent."""

    number: int
    files: list[str] = field(default_factory=list)  # what is wrong with its files
    labels: list[str] = field(default_factory=list)  # and with its labels
    unsent: Unsent = field(default_factory=Unsent)  # labels that the schema leaves out
    sizes: Sizes | None = None
    unknown: pa.Array = field(
        default_factory=lambda: pa.array([], pa.string())
    )  # samples that have no size in the dataset
    read: Sizes | None = None  # the sizes of these
    transposed: pa.Array = field(
        default_factory=lambda: pa.array([], pa.string())
    )  # whose width and height are swapped


@dataclass
class Sent:
    """A task that was sent."""

    number: int
    receipt: Receipt | None  # without its baseline; None: the tool refused all of its samples
    samples: pa.Array  # the ids of those that the tool took
    refused: list[str]  # why it refused others
    not_taken: Unsent  # labels that it does not take


class SentTasks(NamedTuple):
    """Tasks that were sent, to be recorded at once.

    Attributes:
        tasks: the tasks.
        baseline: their ``BASELINE``, or data files with it that another process has written (``Baseline.write``).
        labels: how many are in it.
    """

    tasks: Sequence[Sent]
    baseline: pa.Table | Fragments
    labels: int


def check_files(
    stores: Stores, backend: CheckedBackend, context: SendContext, jobs: Iterable[SendJob]
) -> Iterator[Checked]:
    """Read the headers of the files of each task, or all of the files where the tool needs them."""
    for job in jobs:
        yield from (_check_files(stores, backend, context, task) for task in job.tasks)


def check_tasks(
    stores: Stores, backend: CheckedBackend, context: SendContext, jobs: Iterable[SendJob]
) -> Iterator[Checked]:
    """Check files and labels of each task."""
    for job in jobs:
        outgoing = Outgoing(stores, context, job)
        for at, task in enumerate(job.tasks):
            checked = _check_files(stores, backend, context, task)
            if not checked.files:
                made = outgoing.task(at, checked.sizes)
                checked.labels += [*validate.problems(made.labels), *validate.mask_sizes(made.labels, made.samples)]
                checked.labels += backend.check_task(made)
            checked.unsent.add(outgoing.labels[at], context.run.schema)
            yield checked


def _check_files(stores: Stores, backend: CheckedBackend, context: SendContext, task: TaskToSend) -> Checked:
    checked = Checked(task.number)
    if not backend.capabilities.sends_media:
        return checked
    size = media.size_of if backend.needs_whole_files else media.header_size
    checked.sizes, checked.files = media.check_media(task.samples, stores.samples.media(task.samples), size=size)
    if context.of_images:
        known = np.stack([task.samples[name].fill_null(0).to_numpy() for name in ("width", "height")], axis=1)
        sizes, ids = checked.sizes, as_array(task.samples["sample_id"])
        transposed = (known == sizes[:, ::-1]).all(axis=1) & (sizes[:, 0] != sizes[:, 1])
        unknown = ~known.all(axis=1) & (sizes[:, 0] > 0)
        checked.transposed, checked.unknown = ids.filter(pa.array(transposed)), ids.filter(pa.array(unknown))
        checked.read = sizes[unknown]
    return checked


def send_tasks(
    stores: Stores, backend: CheckedBackend, context: SendContext, jobs: Iterable[SendJob]
) -> Iterator[SentTasks]:
    """Send the tasks, one after another. The process that records them gets each as it is sent; others write the rows of a job."""
    for job in jobs:
        outgoing = Outgoing(stores, context, job)
        sent = (_send(backend, context, outgoing, at) for at in range(len(job.tasks)))
        if os.getpid() == context.recorder:
            yield from sent
        else:
            yield _written(stores, list(sent))


def _written(stores: Stores, sent: Sequence[SentTasks]) -> SentTasks:
    """Tasks as one, with their rows in data files: they would wait in the memory of the process that records them."""
    tables = [each.baseline for each in sent if isinstance(each.baseline, pa.Table)]
    batches = (batch for table in tables for batch in table.to_batches())
    labels = sum(each.labels for each in sent)
    return SentTasks(
        [task for each in sent for task in each.tasks], stores.baseline.write(batches) if labels else [], labels
    )


def _send(backend: CheckedBackend, context: SendContext, outgoing: Outgoing, at: int) -> SentTasks:
    """Upload a task. With ``on_rejected="skip"``, samples that the tool refuses are left out, and the task is tried again."""
    task, number, run = outgoing.task(at, outgoing.job.tasks[at].sizes), outgoing.job.tasks[at].number, context.run
    refused: list[str] = []
    not_taken = Unsent()
    while task.samples.num_rows:
        try:
            receipt = backend.upload(task)
        except Rejected as error:
            # A task that exists on the server although it was refused may hold people's work, so it is not skipped.
            skips = backend.config.on_rejected == "skip"
            if not skips or (not error.samples and backend.find(task.name) is not None):
                raise
            refused.append(str(error))
            task = _without(task, error.samples)
            continue
        not_taken.add_refused(task.labels, receipt.unsent)
        rows = tasks.with_unsent(receipt.baseline, outgoing.labels[at], run.schema)
        baseline = as_sent(rows.append_column("task", pa.repeat(task.name, rows.num_rows)), run)
        sample_ids = as_array(task.samples["sample_id"])
        receipt = replace(receipt, baseline=REMOTE.empty_table())
        return SentTasks([Sent(number, receipt, sample_ids, refused, not_taken)], baseline, baseline.num_rows)
    nothing = Sent(number, None, pa.array([], pa.string()), refused, not_taken)
    return SentTasks([nothing], BASELINE.empty_table(), 0)


def _without(task: Task, samples: Sequence[str]) -> Task:
    """The task without some samples; without all if none of them is of it."""
    named = pc.is_in(task.samples["sample_id"], value_set=pa.array(samples, pa.string()))
    refused = named if pc.any(named).as_py() else pc.is_valid(task.samples["sample_id"])
    left = task.samples.filter(pc.invert(refused))
    labels = task.labels.filter(pc.is_in(task.labels["sample_id"], value_set=as_array(left["sample_id"])))
    return replace(task, samples=left, labels=labels)


class Outgoing:
    """The tasks of a job, with their labels as they were when sending of the run began.

    Attributes:
        labels: of each task, as ``LABELS_WITH_ROW_ID``, in the order in which they were added.
    """

    def __init__(self, stores: Stores, context: SendContext, job: SendJob) -> None:
        self.job, self._stores, self._context = job, stores, context
        rows = stores.labels.rows_at(job.labels).select(LABELS_WITH_ROW_ID.names).combine_chunks()
        by_task = ByTask([as_array(task.samples["sample_id"]) for task in job.tasks])
        rows, numbers = in_task_order(rows, by_task.numbers_of_samples()(as_array(rows["sample_id"])))
        self.labels = [rows.slice(start, end - start) for start, end in task_ranges(numbers, len(by_task))]

    def task(self, at: int, sizes: Sizes | None) -> Task:
        """One task, with its labels as the schema selects them; ``sizes`` of its files if they are known."""
        todo, run = self.job.tasks[at], self._context.run
        files = self._stores.samples.media(todo.samples)
        if sizes is None and not self._context.of_images:
            sizes, _ = media.check_media(todo.samples, files, size=media.header_size)
        labels = tasks.select_by_schema(sort_by_insertion(self.labels[at]), run.schema)
        title = f"{run.anno_key} of {PurePath(self._stores.database.uri).name}"
        return Task(todo.name, run.schema, self._with_sizes(todo.samples, sizes), labels, files, title)

    def _with_sizes(self, samples: pa.Table, sizes: Sizes | None) -> pa.Table:
        """The samples with the sizes of the files that are sent, whatever the dataset says."""
        for at, name in enumerate(("width", "height")):
            size: pa.ChunkedArray = samples[name] if self._context.of_images else pa.nulls(samples.num_rows, pa.int32())
            if sizes is not None:
                size = pc.coalesce(pa.array(sizes[:, at], pa.int32(), mask=sizes[:, at] == 0), size)
            samples = samples.set_column(samples.column_names.index(name), samples.schema.field(name), size)
        return samples
