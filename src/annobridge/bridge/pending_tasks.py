"""The tasks that a run has still to send: checked before anything is sent, then made one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..backend.checked import CheckedBackend
from ..backend.values import Task
from ..core import tasks
from ..core.checks import validate
from ..core.labels import SAMPLES
from ..core.unsent import Unsent
from ..display.progress import Progress, ProgressChoice
from ..exceptions import InvalidLabels, InvalidMedia, RunError, SchemaError, StalePlan, Unsupported
from ..store import media, views
from ..store.by_task import ByTask
from ..store.labels import LABELS_WITH_ROW_ID, sort_by_insertion
from ..store.run import Run
from ..store.stores import Stores


class PendingTasks:
    """The tasks that are still to be sent. Their rows are regrouped on disk, and one task is in memory at a time.

    Args:
        stores: the dataset.
        run: the run that they belong to.
        todo: name and sample ids of each task.
        filters: field → SQL conditions; of these fields, only labels that meet all of them are sent.
        columns: the users' own columns of samples that are sent.
        version: of the labels that are sent: that when sending of these tasks began, so that a resumed task is the one that an
            unanswered call may have sent.
    """

    def __init__(
        self,
        stores: Stores,
        run: Run,
        todo: Sequence[tuple[str, pa.Array]],
        filters: Mapping[str, tuple[str, ...]],
        columns: Sequence[str],
        version: int,
    ) -> None:
        self._version = version
        self.run, self.todo, self.stores, self._columns = run, todo, stores, columns
        by_task = ByTask([ids for _, ids in todo])
        self.samples = len(by_task.all_sample_ids)
        self._sizes: dict[int, np.ndarray] = {}  # [width, height] of each file of a task, 0 where that was not read
        self._transposed: list[str] = []  # samples whose stored width and height are swapped
        self._sizes_read: list[tuple[list[str], np.ndarray]] = []  # sizes of samples that have none in the dataset
        self.unsent = Unsent()  # labels that the schema leaves out; filled by ``check``
        self._media_field = run.options["media_field"]
        self._of_images = self._media_field == "filepath"  # the files of another column have sizes of their own
        self._samples = by_task.by_sample(self._sample_schema(), self._sample_rows())
        try:
            self._labels = by_task.by_sample(LABELS_WITH_ROW_ID, self._label_rows(filters))
        except BaseException:
            self._samples.close()
            raise

    def _label_rows(self, filters: Mapping[str, tuple[str, ...]]) -> Iterator[pa.RecordBatch]:
        condition = views.label_condition(list(self.run.schema.fields), filters)
        try:
            yield from self.stores.labels.scan_with_row_id(condition, self._version)
        except StalePlan as e:
            raise RunError(
                f"The labels as they were when sending of the run {self.run.anno_key!r} began were cleaned away; abort_annotation("
                f"{self.run.anno_key!r}) removes what was sent since, then send it again."
            ) from e

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
        self._labels.close()

    def samples_of(self, number: int) -> pa.Table:
        """The samples of one task, in the order of the view: ``SAMPLES``, and the dataset's own columns that are sent."""
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
        """One task, with its labels as the schema selects them."""
        samples = self.samples_of(number)
        files = self.stores.samples.media(samples)
        if not self._of_images and number not in self._sizes:
            self._sizes[number], _ = media.check_media(samples, files, size=media.header_size)
            samples = self.samples_of(number)
        labels = tasks.select_by_schema(sort_by_insertion(self._labels.get(number)), self.run.schema)
        title = f"{self.run.anno_key} of {PurePath(self.stores.database.uri).name}"
        return Task(self.todo[number][0], self.run.schema, samples, labels, files, title)

    def with_unsent(self, number: int, baseline: pa.Table) -> pa.Table:
        """The baseline of a task with the columns and attributes that are never sent."""
        return tasks.with_unsent(baseline, self._labels.get(number), self.run.schema)

    def check(self, backend: CheckedBackend, progress: ProgressChoice) -> None:
        """Check the schema, the files and the labels of all tasks. Reads image sizes that the dataset does not have.

        Raises ``Unsupported``, ``InvalidMedia`` or ``InvalidLabels`` with everything that is wrong.
        """
        columns = ["sample_id", "media_type", "filepath"]
        samples = pa.concat_tables([self.samples_of(number).select(columns) for number in range(len(self))])
        if found := backend.check(self.run.schema, samples):
            raise Unsupported(f"The backend {backend.name!r} cannot do this:", found)
        self.check_files(backend, progress)
        bad_labels: list[str] = []
        for number in range(len(self)):
            task = self.task(number)
            bad_labels += [*validate.problems(task.labels), *validate.mask_sizes(task.labels, task.samples)]
            bad_labels += backend.check_task(task)
            self.unsent.add(self._labels.get(number), self.run.schema)
        if bad_labels:
            raise InvalidLabels("Some labels cannot be sent; correct them in the dataset first:", bad_labels)

    def keep_sizes(self) -> None:
        """Store the image sizes that the dataset did not have, as read from the files."""
        for sample_ids, sizes in self._sizes_read:
            self.stores.samples.set_sizes(sample_ids, sizes)

    def check_files(self, backend: CheckedBackend, progress: ProgressChoice) -> None:
        """Raise ``InvalidMedia`` for files that cannot be sent, or are not of the size that the dataset has."""
        faults: list[str] = []
        with Progress(progress, self.samples, "checking files") as bar:
            for number in range(len(self) if backend.capabilities.sends_media else 0):
                faults += self._check_files(number, backend, bar)
        if faults:
            raise InvalidMedia(media.describe_bad_files(faults))
        if self._transposed:
            raise InvalidMedia(
                f"{len(self._transposed)} samples, as {self._transposed[0]!r}, have width and height the wrong way round: those of "
                "the file as it is stored, not of the image as it is shown. `annobridge doctor --repair`, or "
                "doctor(repair=True) of the dataset, sets them; then annotate again."
            )

    def _check_files(self, number: int, backend: CheckedBackend, bar: Progress) -> list[str]:
        samples = self.samples_of(number)
        size = media.size_of if backend.needs_whole_files else media.header_size
        sizes, faults = media.check_media(samples, self.stores.samples.media(samples), bar.advance, size)
        self._sizes[number] = sizes
        if not self._of_images:
            return faults
        known = np.stack([samples[name].fill_null(0).to_numpy() for name in ("width", "height")], axis=1)
        transposed = (known == sizes[:, ::-1]).all(axis=1) & (sizes[:, 0] != sizes[:, 1])
        unknown = ~known.all(axis=1) & (sizes[:, 0] > 0)
        ids = samples["sample_id"]
        self._transposed += ids.filter(pa.array(transposed)).to_pylist()
        if unknown.any():
            self._sizes_read.append((ids.filter(pa.array(unknown)).to_pylist(), sizes[unknown]))
        return faults
