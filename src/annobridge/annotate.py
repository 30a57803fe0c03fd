"""Annotate: settings → view → schema → check → reserve → per task: upload, receipt, baseline → sent."""

from __future__ import annotations

import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .backend.base import AnnotationBackend, Receipt, Task
from .backend.check import problems as unsupported
from .core import infer, tasks, validate
from .core.labels import SAMPLES
from .core.masks import one
from .core.schema import FLAGS, LabelSchema
from .exceptions import (
    BackendError,
    InvalidLabels,
    InvalidMedia,
    InvalidSchema,
    Rejected,
    RunBusy,
    RunError,
    SchemaError,
    StoreError,
    Unsupported,
)
from .progress import Progress, ProgressChoice
from .store import media, views
from .store.labels import ORDERED, in_order
from .store.lease import Hold
from .store.locate import Locator, of_samples
from .store.run import Run
from .store.shuffle import Shuffle
from .store.stores import Stores


def send(
    stores: Stores,
    stages: Sequence[views.Stage],
    anno_key: str,
    arguments: Mapping[str, Any],
    backend: AnnotationBackend,
    media_field: str,
    progress: ProgressChoice,
) -> Run:
    """Check everything, take the key, and send all tasks. ``arguments`` are those of ``annotate`` about the schema.

    Nothing is sent or written before all checks have passed. When sending fails half-way, the run stays, and
    ``resume`` sends the rest.
    """
    check_key(anno_key)
    stores.runs.require_free(anno_key)
    selection = views.resolve(stores.samples, stores.labels, stages)
    if not len(selection.sample_ids):
        raise StoreError("The view is empty, so there is nothing to annotate; widen its conditions.")
    schema = resolve_schema(stores, arguments)
    if found := unsupported(schema, backend.capabilities, backend.name):
        raise Unsupported(f"The backend {backend.name!r} cannot do this:", found)
    run = Run(
        anno_key, str(uuid.uuid4()), "sending", backend.name, schema, {**backend.config.stored(), "media_field": media_field},
        [dict(s) for s in stages], stores.labels.version(), _now(), _now(),
    )  # fmt: skip
    per_task = tasks.size(backend.config.task_size, backend.capabilities.largest_task)
    parts = tasks.split(selection.sample_ids, per_task)
    todo = [(tasks.name(anno_key, run.run_id, number), ids) for number, ids in enumerate(parts)]
    stores.labels.require_nullable()
    with Outgoing(stores, run, todo, selection.label_filters) as outgoing:
        outgoing.check(backend, progress)
        with stores.runs.reserved(run) as hold:
            stores.runs.add_tasks(run, todo)
            return _Sender(stores, run, hold, backend, outgoing).send(progress)


def check_key(anno_key: str) -> None:
    """Raise ``InvalidSchema`` for a key that is not a plain name."""
    if not isinstance(anno_key, str) or not anno_key.isidentifier():
        raise InvalidSchema(
            "", [f"The anno_key {anno_key!r} is not a name; use letters, digits and _, as in 'round_1'."]
        )


def resume(stores: Stores, run: Run, backend: AnnotationBackend, progress: ProgressChoice) -> Run:
    """Send what is not known to have arrived. A task whose answer was lost is looked for on the server first.

    Raises ``RunBusy`` while another process is sending the run.
    """
    with stores.runs.hold(run, "is being sent") as (now, hold):
        return now if now.state == "sent" else _resume(stores, now, hold, backend, progress)


def _resume(stores: Stores, run: Run, hold: Hold, backend: AnnotationBackend, progress: ProgressChoice) -> Run:
    done = stores.runs.receipts(run)
    rows = stores.runs.tasks(run)
    todo = [
        (name, ids.values)
        for name, ids in zip(rows["task"].to_pylist(), rows["sample_ids"], strict=True)
        if name not in done
    ]
    if not rows.num_rows:
        raise RunError(
            f"The run {run.anno_key!r} stopped before its tasks were written down; abort it, and annotate again."
        )
    filters = views.resolve(stores.samples, stores.labels, run.view).label_filters
    if todo:  # the baseline of a task is written before its receipt
        stores.baseline.drop(run, [name for name, _ in todo])
    with Outgoing(stores, run, todo, filters) as outgoing:
        return _Sender(stores, run, hold, backend, outgoing).send(progress)


def abort(stores: Stores, run: Run, backend: AnnotationBackend) -> None:
    """Remove what the run made on the server, answered or not, and forget the run.

    Raises ``RunBusy`` while another process is sending the run.
    """
    with stores.runs.hold(run, "is being aborted") as (now, _):
        known = stores.runs.receipts(now)
        for name in stores.runs.tasks(now)["task"].to_pylist():
            state = known[name] if name in known else backend.find(name)
            if state is not None:
                backend.delete(Receipt(name, state))
        stores.runs.delete(now)


@dataclass(frozen=True, slots=True)
class _Sender:
    """Sends the tasks of a run, under its lease."""

    stores: Stores
    run: Run
    hold: Hold
    backend: AnnotationBackend
    outgoing: Outgoing

    def send(self, progress: ProgressChoice) -> Run:
        """Send all tasks; the run as it is then."""
        refused, size = _Refused(self.backend.config.on_rejected == "skip"), len(self.outgoing)
        with Progress(progress, self.outgoing.samples, f"sending to {self.backend.name}") as bar:
            for number in range(size):
                self.hold.check()
                task = self.outgoing.task(number)
                try:
                    receipt = self._upload(task, refused)
                except BackendError as e:
                    raise type(e)(f"{e} {_left(self.run, number, size)}", e.status, e.detail, e.samples) from e
                if receipt is not None:
                    self._record(number, receipt)
                bar.advance(task.samples.num_rows)
        if refused.reasons:
            refused.report(self.stores, self.run)
        return self.stores.runs.update(self.run, state="sent")

    def _upload(self, task: Task, refused: _Refused) -> Receipt | None:
        """Upload a task. Where refusals are to be skipped, the samples that the tool refuses are left out of it; ``None``
        when nothing is left.
        """
        while task.samples.num_rows:
            try:
                return self.backend.upload(task)
            except Rejected as e:
                # What the server took of a task that it refuses as a whole may hold work: it is not left without a run.
                if not refused.skip or (not e.samples and self.backend.find(task.name) is not None):
                    raise
                task = refused.without(task, e)
                self.stores.runs.set_task(self.run, task.name, one(task.samples["sample_id"]))
        return None

    def _record(self, number: int, receipt: Receipt) -> None:
        """Write down the baseline and the receipt of a task. If the run was taken over meanwhile, nothing is written; if it
        was aborted, the task that was just made is removed from the server.
        """
        try:
            self.hold.check()
        except RunBusy:
            if not self.stores.runs.exists(self.run):
                self.backend.delete(receipt)
            raise
        self.stores.baseline.put_sent(self.run, receipt.task, self.outgoing.with_unsent(number, receipt.baseline))
        self.stores.runs.add_receipt(self.run, receipt.task, receipt.state)


class _Refused:
    """What the tool refused: whether to skip it, and why it was."""

    def __init__(self, skip: bool) -> None:
        self.skip = skip
        self.reasons: list[str] = []
        self.samples = 0

    def without(self, task: Task, error: Rejected) -> Task:
        """The task without the samples that an error names; without any when it names none, or none of the task."""
        named = pc.is_in(task.samples["sample_id"], value_set=pa.array(error.samples, pa.string()))
        gone = named if pc.any(named).as_py() else pc.is_valid(task.samples["sample_id"])
        left = task.samples.filter(pc.invert(gone))
        self.samples += task.samples.num_rows - left.num_rows
        self.reasons.append(str(error))
        labels = task.labels.filter(pc.is_in(task.labels["sample_id"], value_set=one(left["sample_id"])))
        return replace(task, samples=left, labels=labels)

    def report(self, stores: Stores, run: Run) -> None:
        """Warn of the samples that were left out. A run of which nothing is left is forgotten."""
        reasons = "\n  - ".join(self.reasons)
        if not stores.runs.tasks(run).num_rows:
            stores.runs.delete(run)
            raise Rejected(f"The tool refused every sample, so there is no run {run.anno_key!r}:\n  - {reasons}")
        message = f"The tool refused {self.samples} samples; they are not in the run {run.anno_key!r}:"
        warnings.warn(f"{message}\n  - {reasons}", RefusedTaskWarning, stacklevel=6)


def _left(run: Run, done: int, tasks_: int) -> str:
    return (
        f"Of the {tasks_} tasks under way of the run {run.anno_key!r}, {done} are sent: "
        f"resume_annotation({run.anno_key!r}) sends the rest, abort_annotation({run.anno_key!r}) removes all."
    )


def resolve_schema(stores: Stores, arguments: Mapping[str, Any]) -> LabelSchema:
    """The schema of a call: FiftyOne's rules, with what is missing inferred from the labels that are there."""
    given = arguments["label_schema"] if arguments.get("label_schema") is not None else arguments.get("label_field")
    if given is None:
        raise InvalidSchema("", ["Say what to label: give label_schema, or label_field with label_type and classes."])
    names = {"label_type": "type", "classes": "classes", "attributes": "attributes", "mask_targets": "mask_targets"}
    defaults = {key: arguments[name] for name, key in names.items() if arguments.get(name) is not None}
    defaults |= {flag: arguments[flag] for flag in FLAGS if flag in arguments}
    labels = of_samples(stores.labels.scan(None, infer.COLUMNS), stores.samples.ids())
    existing = infer.describe(labels)
    return LabelSchema.parse(given, defaults, existing)


class RefusedTaskWarning(UserWarning):
    """The tool refused some samples, and the others were sent, as ``on_rejected="skip"`` asks for."""


class Outgoing:
    """The tasks still to be sent, made one at a time from rows that were regrouped on disk."""

    def __init__(
        self, stores: Stores, run: Run, todo: Sequence[tuple[str, pa.Array]], filters: Mapping[str, tuple[str, ...]]
    ) -> None:
        self.run, self.todo, self.stores = run, todo, stores
        self._folder = Path(tempfile.mkdtemp(prefix="annobridge-"))
        everyone = pa.concat_arrays([ids for _, ids in todo]) if todo else pa.array([], pa.string())
        sizes = np.array([len(ids) for _, ids in todo], np.int64)
        self.samples = len(everyone)
        self._sizes: dict[int, np.ndarray] = {}  # [width, height] of each file of a task, 0 where that was not read
        self._transposed: list[str] = []  # samples whose size in the dataset is that of the file, the wrong way round
        self._learnt: list[tuple[list[str], np.ndarray]] = []  # the same, of samples that have none in the dataset
        self._media_field = run.options["media_field"]
        self._of_images = self._media_field == "filepath"  # the files of another column have sizes of their own
        locator = Locator(everyone, sizes)
        try:
            self._samples = self._sample_rows(Locator(everyone, sizes))
            self._labels = Shuffle(ORDERED, self._folder)
            for batch in self._label_rows(filters):
                self._labels.feed(batch, locator.tasks(batch["sample_id"]))
        except BaseException:
            self.__exit__()
            raise

    def _label_rows(self, filters: Mapping[str, tuple[str, ...]]) -> Iterator[pa.RecordBatch]:
        """The labels as they were when the run began: what is resumed is what an unanswered call may have sent."""
        condition = views.label_condition(list(self.run.schema.fields), filters)
        try:
            yield from self.stores.labels.ordered(condition, self.run.labels_version)
        except (ValueError, OSError) as e:
            raise RunError(
                f"The labels as they were when the run {self.run.anno_key!r} began were cleaned away; abort it, and annotate again."
            ) from e

    def _sample_rows(self, locator: Locator) -> Shuffle:
        schema = self.stores.samples.schema()
        if self._media_field not in schema.names:
            raise SchemaError(
                f"The samples have no column {self._media_field!r} (media_field); they have {', '.join(schema.names)}."
            )
        names = [self._media_field if n == "filepath" else n for n in SAMPLES.names]
        shuffle = Shuffle(SAMPLES, self._folder)
        for batch in self.stores.samples.scan(None, list(dict.fromkeys(names))):
            columns = pa.RecordBatch.from_arrays([batch[n] for n in names], schema=SAMPLES)
            shuffle.feed(columns, locator.tasks(batch["sample_id"]))
        return shuffle

    def __len__(self) -> int:
        return len(self.todo)

    def __enter__(self) -> Outgoing:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def samples_of(self, number: int) -> pa.Table:
        """``SAMPLES`` of one task, in the order of the view."""
        rows = self._samples.get(number).combine_chunks()
        rows = rows.take(pc.index_in(self.todo[number][1], value_set=rows["sample_id"].combine_chunks()).drop_null())
        for at, name in enumerate(("width", "height")):
            size: Any = rows[name] if self._of_images else pa.nulls(rows.num_rows, pa.int32())
            if number in self._sizes:  # those of the files that are sent, whatever the dataset says
                read = self._sizes[number][:, at]
                size = pc.coalesce(pa.array(read, pa.int32(), mask=read == 0), size)
            rows = rows.set_column(rows.column_names.index(name), rows.schema.field(name), size)
        return rows

    def task(self, number: int) -> Task:
        """One task."""
        samples = self.samples_of(number)
        files = self.stores.samples.media(samples)
        if not self._of_images and number not in self._sizes:
            self._sizes[number], _ = media.check(samples, files, size=media.header_size)
            samples = self.samples_of(number)
        labels = tasks.outgoing(in_order(self._labels.get(number)), self.run.schema)
        return Task(self.todo[number][0], self.run.schema, samples, labels, files)

    def with_unsent(self, number: int, baseline: pa.Table) -> pa.Table:
        """The baseline of a task with what its labels have here and no tool is asked about."""
        return tasks.with_unsent(baseline, self._labels.get(number), self.run.schema)

    def check(self, backend: AnnotationBackend, progress: ProgressChoice) -> None:
        """Everything that can be wrong with what is going to be sent; learns missing image sizes on the way."""
        columns = ["sample_id", "media_type", "filepath"]
        samples = pa.concat_tables([self.samples_of(number).select(columns) for number in range(len(self))])
        if found := list(backend.check(self.run.schema, samples)):
            raise Unsupported(f"The backend {backend.name!r} cannot do this:", found)
        faults: list[str] = []
        bad_labels: list[str] = []
        title = "checking files" if backend.capabilities.sends_media else "checking labels"
        with Progress(progress, self.samples, title) as bar:
            for number in range(len(self)):
                faults += self._check_files(number, backend, bar)
                task = self.task(number)
                bad_labels += [*validate.problems(task.labels), *validate.mask_sizes(task.labels, task.samples)]
                bad_labels += backend.check_task(task)
        if faults:
            raise InvalidMedia(media.bad_files(faults))
        if self._transposed:
            raise InvalidMedia(
                f"{len(self._transposed)} samples, as {self._transposed[0]!r}, have width and height the wrong way round: those of "
                "the file as it is stored, not of the image as it is shown. `annobridge doctor --repair`, or "
                "doctor(repair=True) of the dataset, sets them; then annotate again."
            )
        if bad_labels:
            raise InvalidLabels("Some labels cannot be sent; correct them in the dataset first:", bad_labels)
        for sample_ids, sizes in self._learnt:
            self.stores.samples.set_sizes(sample_ids, sizes)

    def _check_files(self, number: int, backend: AnnotationBackend, bar: Progress) -> list[str]:
        samples = self.samples_of(number)
        if not backend.capabilities.sends_media:
            bar.advance(samples.num_rows)
            return []
        size = media.size_of if backend.needs_whole_files else media.header_size
        sizes, faults = media.check(samples, self.stores.samples.media(samples), bar.advance, size)
        self._sizes[number] = sizes
        if not self._of_images:
            return faults
        known = np.stack([samples[name].fill_null(0).to_numpy() for name in ("width", "height")], axis=1)
        transposed = (known == sizes[:, ::-1]).all(axis=1) & (sizes[:, 0] != sizes[:, 1])
        unknown = ~known.all(axis=1) & (sizes[:, 0] > 0)
        ids = samples["sample_id"]
        self._transposed += ids.filter(pa.array(transposed)).to_pylist()
        if unknown.any():
            self._learnt.append((ids.filter(pa.array(unknown)).to_pylist(), sizes[unknown]))
        return faults


def _now() -> datetime:
    return datetime.now(UTC)
