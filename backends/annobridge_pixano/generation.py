"""What the generations of Pixano have in common. Each has its own REST calls and tables, and the same entities, annotations and
record attributes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, BinaryIO

import pyarrow as pa

from annobridge.backend import Download, Edits, FoundTask, Pushed, Receipt, Status, Task
from annobridge.core.arrays import set_columns
from annobridge.core.labels import REMOTE, REVIEWED, conform
from annobridge.core.schema import LabelSchema
from annobridge.exceptions import Broken, Gone
from annobridge.formats.pixano_library.codec.decode import Tables, decode
from annobridge.formats.pixano_library.codec.layout import Layout

from . import checks
from .config import PixanoConfig


class Generation(ABC):
    """A Pixano server of one generation, with the methods of ``AnnotationBackend``.

    ``upload`` and ``find`` write ``api.ITEMS`` into the state of a receipt, under ``generation``; in receipts of Pixano 0.8 there
    is no such key.
    """

    def __init__(self, config: PixanoConfig) -> None:
        self.config = config

    # --- what differs -----------------------------------------------------------------------------------------------

    @abstractmethod
    def check(self, schema: LabelSchema) -> Iterable[str]:
        """Problems that are known before there is a task."""

    @abstractmethod
    def layout(self, task: Task) -> Layout:
        """The columns of a task's dataset."""

    @abstractmethod
    def upload(self, task: Task) -> Receipt:
        """Send a task, or find what was sent of it, and complete it."""

    @abstractmethod
    def check_push(self, receipt: Receipt) -> Iterable[str]:
        """Why nothing can be pushed to a task."""

    @abstractmethod
    def push(self, receipt: Receipt, edits: Edits) -> Pushed:
        """Change labels of a task."""

    @abstractmethod
    def find_tasks(self, tasks: Sequence[str], project: str | None) -> Iterator[FoundTask]:
        """Datasets that annobridge has not made."""

    @abstractmethod
    def adopt(self, found: FoundTask, schema: LabelSchema, sample_ids: pa.Array) -> Mapping[str, Any]:
        """The state of a receipt for such a dataset."""

    @abstractmethod
    def read_media(self, found: FoundTask, number: int) -> BinaryIO:
        """An image of such a dataset."""

    @abstractmethod
    def status(self, receipt: Receipt) -> Status:
        """How far the people are."""

    @abstractmethod
    def find(self, task_name: str) -> Mapping[str, Any] | None:
        """The state of an upload that was not answered, if it left a dataset."""

    @abstractmethod
    def delete(self, receipt: Receipt) -> None:
        """Remove the dataset."""

    @abstractmethod
    def editor_url(self, receipt: Receipt) -> str:
        """The page of the dataset."""

    @abstractmethod
    def _require_generation(self, receipt: Receipt) -> None:
        """Raise ``Rejected`` if a server of another generation answers, which would say that the task is gone."""

    @abstractmethod
    def _existing(self, receipt: Receipt) -> AbstractContextManager[None]:
        """Run a block, and raise ``Gone`` if the dataset is not in the library."""

    @abstractmethod
    def _tables(self, dataset: str, layout: Layout) -> Tables:
        """The tables of a dataset, as ``decode`` takes them."""

    @abstractmethod
    def _remote_ids(self, labels: pa.Table, layout: Layout) -> pa.Array:
        """The ids of labels in Pixano."""

    # --- what is the same -------------------------------------------------------------------------------------------

    def check_task(self, task: Task) -> Iterable[str]:
        """Values that Pixano cannot hold."""
        return checks.task_problems(task, self.layout(task))

    def download(self, receipt: Receipt) -> Download:
        """All labels of a task as they are now."""
        self._require_generation(receipt)
        layout = Layout.from_dict(receipt.state["layout"])
        with self._existing(receipt):
            tables = self._tables_of(receipt, layout)
        found = decode(tables, layout, receipt.baseline)
        notes = (*found.notes, *self._download_notes(receipt, tables, layout))
        labels = self._completed(found.labels, receipt, tables, layout)
        return Download(labels, found.samples, notes, reviewed=self._reviewed(tables, layout))

    def _tables_of(self, receipt: Receipt, layout: Layout) -> Tables:
        """The tables of a task's dataset."""
        return self._tables(receipt.state["dataset"], layout)

    def _completed(self, labels: pa.Table, receipt: Receipt, tables: Tables, layout: Layout) -> pa.Table:  # noqa: ARG002
        """The labels with what else is known of new ones."""
        return labels

    def _reviewed(self, tables: Tables, layout: Layout) -> pa.Table:  # noqa: ARG002
        """What is said of the progress of images (``REVIEWED``)."""
        return REVIEWED.empty_table()

    def _download_notes(self, receipt: Receipt, tables: Tables, layout: Layout) -> Iterator[str]:  # noqa: ARG002
        """More notes for a download."""
        yield from ()

    def _labels_to_send(self, task: Task, layout: Layout) -> pa.Table:
        """The labels of a task as ``REMOTE``."""
        labels = conform(task.labels.combine_chunks(), REMOTE, remote_id="")
        return set_columns(labels, remote_id=self._remote_ids(labels, layout)).combine_chunks()


def gone(receipt: Receipt) -> Gone:
    """The error for a dataset that is not in the library."""
    return Gone(
        f"pixano: the dataset {receipt.state['name']!r} of task {receipt.task!r} is not in Pixano's library "
        "any more; put its folder back there, or end the run with delete_annotation_run."
    )


def require_complete(sent: Mapping[str, int], tables: Tables) -> None:
    """Raise ``Broken`` if a table has another number of rows than were sent."""
    wrong = [f"{len(tables[n])} of {sent.get(n, 0)} {n}" for n in tables if len(tables[n]) != sent.get(n, 0)]
    if wrong:
        raise Broken(
            f"pixano: the server does not have what was sent to it ({', '.join(wrong)}); abort the run and send it again, "
            "and see the server's log if it happens twice."
        )
