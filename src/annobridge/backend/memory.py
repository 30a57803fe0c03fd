"""A tool inside of this process, for tests and demos, and the smallest complete backend.

It can represent everything, and gives each label an id of its own, as servers do.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import count
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from ..core.labels import COMMENTS, LABEL_TYPES, REMOTE, conform
from ..core.schema import ATTRIBUTE_TYPES
from ..exceptions import Gone
from .base import (
    GONE,
    AnnotationBackend,
    AnnotationBackendConfig,
    Capabilities,
    Download,
    Receipt,
    SentBack,
    Status,
    Task,
)


@dataclass
class MemoryServer:
    """The data of a server.

    Attributes:
        labels: task → its labels (``REMOTE``), which people may edit.
        sent: task → its labels as they were uploaded. They are the baseline, also when the response to an upload was lost, and
            people edited labels before the retry.
        samples: task → the ids of its samples; they may be edited too.
        comments: task → what people wrote, and what was sent back (``COMMENTS``), by thread.
    """

    labels: dict[str, pa.Table] = field(default_factory=dict)
    sent: dict[str, pa.Table] = field(default_factory=dict)
    samples: dict[str, pa.Array] = field(default_factory=dict)
    comments: dict[str, pa.Table] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=count)

    def new_ids(self, size: int) -> pa.Array:
        """New ids of labels."""
        return pa.array([f"m{next(self._numbers)}" for _ in range(size)], pa.string())


SERVERS: defaultdict[str, MemoryServer] = defaultdict(MemoryServer)


class MemoryConfig(AnnotationBackendConfig):
    """Settings of the memory backend."""

    url: str = Field("memory://default", description="which of the servers in this process")


class MemoryBackend(AnnotationBackend):
    """Keeps labels in memory, and returns them unchanged."""

    name: ClassVar[str] = "memory"
    in_process: ClassVar[bool] = True
    Config = MemoryConfig
    capabilities = Capabilities(
        label_types=frozenset(LABEL_TYPES),
        media_types=frozenset({"image", "video"}),
        scalar_types=frozenset({"str", "int", "float", "bool"}),
        attribute_types=frozenset(ATTRIBUTE_TYPES),
        class_attributes=True,
        read_only=True,
        tracks=True,
        keyframes=True,
        status=True,
        comments=True,
        send_back=True,
        sends_media=False,
    )

    @property
    def server(self) -> MemoryServer:
        """The server of this backend."""
        assert isinstance(self.config, MemoryConfig)  # noqa: S101
        return SERVERS[self.config.url]

    def upload(self, task: Task) -> Receipt:
        """Store the labels under the name of the task, unless they are there."""
        if task.name not in self.server.labels:
            remote = conform(task.labels, REMOTE, remote_id="")
            remote = remote.set_column(len(REMOTE) - 1, REMOTE.field("remote_id"), self.server.new_ids(len(remote)))
            self.server.samples[task.name] = pa.concat_arrays(task.samples["sample_id"].chunks)
            self.server.labels[task.name] = self.server.sent[task.name] = remote
        return Receipt(task.name, {}, self.server.sent[task.name])

    def download(self, receipt: Receipt) -> Download:
        """All labels, without the dataset's ids and revisions, as of a tool that does not store them."""
        self._require(receipt.task)
        labels = self.server.labels[receipt.task]
        for name in ("label_id", "rev"):
            labels = labels.set_column(
                labels.column_names.index(name), name, pa.nulls(len(labels), REMOTE.field(name).type)
            )
        comments = self.server.comments.get(receipt.task, COMMENTS.empty_table())
        return Download(labels.cast(REMOTE), self.server.samples[receipt.task], comments=comments)

    def send_back(self, receipt: Receipt, refusals: pa.Table) -> SentBack:
        """Keep the refusals as comments; the id of each is that of its thread."""
        self._require(receipt.task)
        there = self.server.comments.get(receipt.task, COMMENTS.empty_table())
        known = pc.is_in(refusals["change_id"], value_set=there["thread"].combine_chunks())
        new = refusals.filter(pc.invert(known)).rename_columns({"change_id": "thread", "message": "text"})
        new = conform(new.drop_columns(["annotator"]), COMMENTS, state="open")
        self.server.comments[receipt.task] = pa.concat_tables([there, new])
        return SentBack(len(new), len(refusals) - len(new))

    def _require(self, task: str) -> None:
        if task not in self.server.labels:
            raise Gone(
                f"The memory backend has no task {task!r} in this process: its tasks end with the process that sent them."
            )

    def delete(self, receipt: Receipt) -> None:
        """Forget the task."""
        self.server.labels.pop(receipt.task, None)
        self.server.sent.pop(receipt.task, None)
        self.server.samples.pop(receipt.task, None)
        self.server.comments.pop(receipt.task, None)

    def find(self, task_name: str) -> dict[str, str] | None:
        """An empty state if the task exists."""
        return {} if task_name in self.server.labels else None

    def status(self, receipt: Receipt) -> Status:
        """Whether the task exists, and how many of its samples have labels."""
        if receipt.task not in self.server.labels:
            return Status(GONE)
        labelled = pc.count_distinct(self.server.labels[receipt.task]["sample_id"]).as_py()
        return Status("open", {"labelled": labelled, "empty": len(self.server.samples[receipt.task]) - labelled})
