"""Annotate: settings → view → schema → check → reserve → per task: upload, receipt, baseline → sent."""

from __future__ import annotations

import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .backend.base import AnnotationBackend, Receipt, Task
from .backend.check import problems as unsupported
from .core import infer, tasks, validate
from .core.labels import LABELS, SAMPLES
from .core.masks import valid
from .core.schema import FLAGS, LabelSchema
from .exceptions import (
    BackendError,
    InvalidLabels,
    InvalidMedia,
    InvalidSchema,
    Rejected,
    RunError,
    SchemaError,
    StoreError,
    Unsupported,
)
from .progress import Progress, ProgressChoice
from .store import media, views
from .store.locate import Locator
from .store.runs import Run
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
    with Outgoing(stores, run, todo, selection.label_filters) as outgoing:
        outgoing.check(backend, progress)
        stores.runs.reserve(run)
        stores.runs.add_tasks(run, todo)
        return _upload(stores, run, backend, outgoing, progress)


def check_key(anno_key: str) -> None:
    """Raise ``InvalidSchema`` for a key that is not a plain name."""
    if not isinstance(anno_key, str) or not anno_key.isidentifier():
        raise InvalidSchema(
            "", [f"The anno_key {anno_key!r} is not a name; use letters, digits and _, as in 'round_1'."]
        )


def resume(stores: Stores, run: Run, backend: AnnotationBackend, progress: ProgressChoice) -> Run:
    """Send what is not known to have arrived. A task whose answer was lost is looked for on the server first."""
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
        return _upload(stores, run, backend, outgoing, progress)


def abort(stores: Stores, run: Run, backend: AnnotationBackend) -> None:
    """Remove what the run made on the server, answered or not, and forget the run."""
    known = stores.runs.receipts(run)
    for name in stores.runs.tasks(run)["task"].to_pylist():
        state = known[name] if name in known else backend.find(name)
        if state is not None:
            backend.delete(Receipt(name, state))
    stores.runs.delete(run)


def _upload(stores: Stores, run: Run, backend: AnnotationBackend, outgoing: Outgoing, progress: ProgressChoice) -> Run:
    refused: list[BackendError] = []
    with Progress(progress, outgoing.samples, f"sending to {backend.name}") as bar:
        for number in range(len(outgoing)):
            task = outgoing.task(number)
            whole = task.samples.num_rows
            try:
                task, receipt = _accepted(stores, run, backend, task, refused)
            except BackendError as e:
                if not isinstance(e, Rejected) or backend.config.on_rejected == "stop":
                    raise type(e)(f"{e} {_left(run, number, len(outgoing))}", e.status, e.detail) from e
                refused.append(e)
                stores.runs.drop_task(run, task.name)
                bar.advance(whole)
                continue
            stores.baseline.put_sent(run, task.name, tasks.with_unsent(receipt.baseline, task.labels))
            stores.runs.add_receipt(run, task.name, receipt.state)
            bar.advance(whole)
    if refused:
        _tell(stores, run, refused, len(outgoing))
    return stores.runs.update(run, state="sent")


def _accepted(
    stores: Stores, run: Run, backend: AnnotationBackend, task: Task, refused: list[BackendError]
) -> tuple[Task, Receipt]:
    """The task with its receipt, less the samples that the tool refuses, where these are to be left out."""
    while True:
        try:
            return task, backend.upload(task)
        except Rejected as e:
            left = ~np.isin(task.samples["sample_id"].to_numpy(), list(e.samples))
            if backend.config.on_rejected == "stop" or left.all() or not left.any():
                raise
            refused.append(e)
            samples = task.samples.filter(pa.array(left))
            inside = pc.is_in(task.labels["sample_id"], value_set=samples["sample_id"].combine_chunks())
            task = Task(task.name, task.schema, samples, task.labels.filter(inside), task.media)
            stores.runs.drop_task(run, task.name)
            stores.runs.add_tasks(run, [(task.name, samples["sample_id"].combine_chunks())])


def _tell(stores: Stores, run: Run, refused: Sequence[BackendError], tasks_: int) -> None:
    """Warn of the tasks that the tool refused. A run of which nothing is left is no run."""
    reasons = "\n  - ".join(map(str, refused))
    if not stores.runs.tasks(run).num_rows:
        stores.runs.delete(run)
        raise Rejected(f"The tool refused every task, so there is no run {run.anno_key!r}:\n  - {reasons}")
    message = f"The tool refused {len(refused)} of {tasks_} tasks; their samples are not in the run {run.anno_key!r}:"
    warnings.warn(f"{message}\n  - {reasons}", RefusedTaskWarning, stacklevel=5)


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
    existing = infer.describe(stores.labels.scan(None, infer.COLUMNS))
    return LabelSchema.parse(given, defaults, existing)


class RefusedTaskWarning(UserWarning):
    """The tool refused some tasks, and the others were sent, as ``on_rejected="skip"`` asks for."""


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
        self._sizes: dict[int, np.ndarray] = {}  # [width, height] of each sample of a task, learnt from the files
        self._learnt: list[tuple[list[str], np.ndarray]] = []  # the same, of samples here that have none
        self._media_field = run.options["media_field"]
        locator = Locator(everyone, sizes)
        try:
            self._samples = self._sample_rows(Locator(everyone, sizes))
            self._labels = Shuffle(LABELS, self._folder)
            for batch in self._label_rows(filters):
                self._labels.feed(batch, locator.tasks(batch["sample_id"]))
        except BaseException:
            self.__exit__()
            raise

    def _label_rows(self, filters: Mapping[str, tuple[str, ...]]) -> Iterator[pa.RecordBatch]:
        """The labels as they were when the run began: what is resumed is what an unanswered call may have sent."""
        condition = views.label_condition(list(self.run.schema.fields), filters)
        try:
            yield from self.stores.labels.scan(condition, version=self.run.labels_version)
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
        for at, name in enumerate(("width", "height")) if number in self._sizes else ():
            learnt = pa.chunked_array([pa.array(self._sizes[number][:, at], pa.int32())])
            rows = rows.set_column(rows.column_names.index(name), name, pc.coalesce(rows[name], learnt))
        return rows

    def task(self, number: int) -> Task:
        """One task."""
        samples = self.samples_of(number)
        labels = tasks.outgoing(self._labels.get(number), self.run.schema)
        return Task(self.todo[number][0], self.run.schema, samples, labels, self.stores.samples.media(samples))

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
                task = self.task(number)
                bad_labels += [*validate.problems(task.labels), *backend.check_task(task)]
                faults += self._check_files(number, task, backend, bar)
        if faults:
            raise InvalidMedia(media.bad_files(faults))
        if bad_labels:
            raise InvalidLabels("Some labels cannot be sent; correct them in the dataset first:", bad_labels)
        for sample_ids, sizes in self._learnt:
            self.stores.samples.set_sizes(sample_ids, sizes)

    def _check_files(self, number: int, task: Task, backend: AnnotationBackend, bar: Progress) -> list[str]:
        if not backend.capabilities.sends_media:
            bar.advance(task.samples.num_rows)
            return []
        sizes, faults = media.check(task.samples, task.media, bar.advance)
        self._sizes[number] = sizes
        unknown = ~valid(task.samples["width"]) & (sizes[:, 0] > 0)
        if unknown.any():
            ids = task.samples["sample_id"].filter(pa.array(unknown)).to_pylist()
            self._learnt.append((ids, sizes[unknown]))
        return faults


def _now() -> datetime:
    return datetime.now(UTC)
