"""A tool inside of this process, for tests and demos, and the smallest complete backend.

It can represent everything, and gives each label an id of its own, as servers do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import PurePath
from typing import Any, BinaryIO, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from ..core.arrays import as_array, not_null, set_columns
from ..core.digest import digest
from ..core.labels import COMMENTS, FOUND_MEDIA, LABEL_TYPES, REMOTE, REVIEWED, conform
from ..core.media import Media
from ..core.merge.diff import rows_by
from ..core.merge.patch import unchanged_as_in
from ..core.schema import ATTRIBUTE_TYPES, LabelSchema
from ..exceptions import Gone, Rejected
from .base import AnnotationBackend, AnnotationBackendConfig, Capabilities
from .values import GONE, Answer, Download, Edits, FoundTask, Pushed, Receipt, SentBack, Status, Task


@dataclass
class MemoryServer:
    """The data of a server.

    Attributes:
        labels: task → its labels (``REMOTE``), which people may edit.
        sent: task → its labels as they were uploaded. They are the baseline, also when the response to an upload was lost, and
            people edited labels before the retry.
        samples: task → the ids of its samples; they may be edited too.
        answers: task → the answer of each person, by name, where several work on the same samples.
        comments: task → what people wrote, and what was sent back (``COMMENTS``), by thread.
        reviewed: task → what people say about the progress of its samples (``REVIEWED``).
        found: tasks by their keys, for ``find_tasks``. ``samples`` of the state of one are the ``sample_id`` of the labels on
            each of its media; by default, they are the names of the media.
        media: task → access to its files, by these ids.
    """

    labels: dict[str, pa.Table] = field(default_factory=dict)
    sent: dict[str, pa.Table] = field(default_factory=dict)
    samples: dict[str, pa.Array] = field(default_factory=dict)
    answers: defaultdict[str, dict[str, Answer]] = field(default_factory=lambda: defaultdict(dict))
    comments: dict[str, pa.Table] = field(default_factory=dict)
    reviewed: dict[str, pa.Table] = field(default_factory=dict)
    found: dict[str, FoundTask] = field(default_factory=dict)
    media: dict[str, Media] = field(default_factory=dict)
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
        answers=True,
        comments=True,
        send_back=True,
        reviewed=True,
        push=True,
        adopt=True,
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
            self.server.found[task.name], self.server.media[task.name] = _as_found(task), task.media
        return Receipt(task.name, {}, self.server.sent[task.name])

    def download(self, receipt: Receipt) -> Download:
        """All labels, without the dataset's ids and revisions, as of a tool that does not store them."""
        task = self._task(receipt)
        server, labels = self.server, self.server.labels[task]
        samples, reviewed = server.samples[task], server.reviewed.get(task, REVIEWED.empty_table())
        if "samples" in receipt.state:
            names, ids = self._sample_ids(task), pa.array(receipt.state["samples"], pa.string())
            labels, samples = _renamed(labels, names, ids), ids.drop_null()
            reviewed = _renamed(reviewed, names, ids)
        labels = set_columns(labels, label_id=None, rev=None)
        comments = server.comments.get(task, COMMENTS.empty_table())
        return Download(labels.cast(REMOTE), samples, comments=comments, reviewed=reviewed)

    def answers(self, receipt: Receipt) -> list[Answer]:
        """What each of several people has made of a task."""
        given = self.server.answers[self._task(receipt)].values()
        return [replace(one, labels=set_columns(one.labels, label_id=None, rev=None).cast(REMOTE)) for one in given]

    def push(self, receipt: Receipt, edits: Edits) -> Pushed:
        """Replace, add and delete labels; new ones get new ids."""
        task = self._task(receipt)
        there = self.server.labels[task]
        labels = _changed_since(receipt.baseline, edits.task.labels, edits.remote_ids, there)
        known = pc.is_in(edits.remote_ids, value_set=as_array(there["remote_id"]))
        lost = pc.and_(edits.remote_ids.is_valid(), pc.invert(known))
        ids = pc.if_else(edits.remote_ids.is_valid(), edits.remote_ids, self.server.new_ids(len(edits.remote_ids)))
        rows = set_columns(conform(labels, REMOTE, remote_id=""), remote_id=ids).filter(pc.invert(lost))
        if "samples" in receipt.state:
            stored = _renamed(rows, pa.array(receipt.state["samples"], pa.string()), self._sample_ids(task))
        else:
            stored = rows
        gone = pa.concat_arrays([as_array(rows["remote_id"]), as_array(edits.deleted["remote_id"])])
        kept = there.filter(pc.invert(pc.is_in(there["remote_id"], value_set=gone)))
        self.server.labels[task] = pa.concat_tables([kept, stored.cast(REMOTE)])
        return Pushed(rows, as_array(edits.task.labels["label_id"].filter(lost)))

    def find_tasks(self, tasks: Sequence[str], project: str | None) -> Iterator[FoundTask]:
        """Tasks of ``MemoryServer.found``, by key."""
        if project is not None:
            raise Rejected(f"The memory backend has no project {project!r}; give tasks, by their keys.")
        for key in tasks:
            if key not in self.server.found:
                raise Rejected(
                    f"The memory backend has no task {key!r}; it has {', '.join(self.server.found) or 'none'}."
                )
            yield self.server.found[key]

    def adopt(self, found: FoundTask, schema: LabelSchema, sample_ids: pa.Array) -> dict[str, Any]:
        """Remember the sample of each of the media. The tool has no classes of its own."""
        del schema
        return {"task": found.key, "samples": sample_ids.to_pylist()}

    def read_media(self, found: FoundTask, number: int) -> BinaryIO:
        """One of ``MemoryServer.media``."""
        return self.server.media[found.key].open(self._sample_ids(found.key)[number].as_py())

    @classmethod
    def task_keys(cls, receipt: Receipt) -> frozenset[str]:
        """The name under which the server has the task."""
        return frozenset([receipt.state.get("task", receipt.task)])

    def send_back(self, receipt: Receipt, refusals: pa.Table) -> SentBack:
        """Keep the refusals as comments; the id of each is that of its thread."""
        task = self._task(receipt)
        there = self.server.comments.get(task, COMMENTS.empty_table())
        known = pc.is_in(refusals["change_id"], value_set=there["thread"].combine_chunks())
        new = refusals.filter(pc.invert(known)).rename_columns({"change_id": "thread", "message": "text"})
        new = conform(new.drop_columns(["annotator"]), COMMENTS, state="open")
        self.server.comments[task] = pa.concat_tables([there, new])
        return SentBack(len(new), len(refusals) - len(new))

    def _task(self, receipt: Receipt) -> str:
        """The name under which the server has a task. Raises ``Gone`` if it does not have it."""
        task = str(receipt.state.get("task", receipt.task))
        if task not in self.server.labels:
            raise Gone(
                f"The memory backend has no task {task!r} in this process: its tasks end with the process that sent them."
            )
        return task

    def _sample_ids(self, task: str) -> pa.Array:
        """The ``sample_id`` of the labels of a task, by its media."""
        found = self.server.found[task]
        return pa.array(found.state.get("samples", found.media["name"].to_pylist()), pa.string())

    def delete(self, receipt: Receipt) -> None:
        """Forget the task."""
        server = self.server
        of_tasks = (
            server.labels, server.sent, server.samples, server.answers, server.comments, server.reviewed, server.found,
            server.media,
        )  # fmt: skip
        for by_task in of_tasks:
            by_task.pop(receipt.task, None)

    def find(self, task_name: str) -> dict[str, str] | None:
        """An empty state if the task exists."""
        return {} if task_name in self.server.labels else None

    def status(self, receipt: Receipt) -> Status:
        """Whether the task exists, and how many of its samples have labels, or are reviewed."""
        try:
            task = self._task(receipt)
        except Gone:
            return Status(GONE)
        labels, reviewed = self.server.labels[task], self.server.reviewed.get(task, REVIEWED.empty_table())
        answers = [_mark_of(answer) for answer in self.server.answers[task].values()]
        labelled = pc.count_distinct(labels["sample_id"]).as_py()
        return Status(
            "open", {"labelled": labelled, "empty": len(self.server.samples[task]) - labelled},
            reviewed=pc.sum(reviewed["reviewed"], min_count=0).as_py(),
            mark=" ".join([digest(labels) + digest(reviewed), *answers]),
        )  # fmt: skip


def _changed_since(base: pa.Table, labels: pa.Table, remote_ids: pa.Array, there: pa.Table) -> pa.Table:
    """Labels to edit as they are in the tool, but for the components that differ from the baseline: people may have worked on the
    others meanwhile.
    """
    sent, now = (rows_by(rows, remote_ids, "remote_id") for rows in (base, there))
    return unchanged_as_in(now, labels, sent, not_null(sent["label_id"]) & not_null(now["remote_id"]))


def _mark_of(answer: Answer) -> str:
    samples = pa.table({"sample_id": answer.samples})
    return f"{answer.annotator} {digest(answer.labels)}{digest(samples)}"


def _as_found(task: Task) -> FoundTask:
    """A task that was sent, as another dataset finds it."""
    names = [PurePath(path).name for path in task.samples["filepath"].to_pylist()]
    media = conform(task.samples.select(FOUND_MEDIA.names[1:]), FOUND_MEDIA, name="")
    fields = {
        name: {key: spec[key] for key in ("type", "classes", "attributes") if spec.get(key)}
        for name, spec in task.schema.to_dict().items()
    }
    state = {"samples": task.samples["sample_id"].to_pylist()}
    return FoundTask(task.name, task.title, set_columns(media, name=pa.array(names)), fields, state)


def _renamed(rows: pa.Table, names: pa.Array, samples: pa.Array) -> pa.Table:
    """Rows whose ``sample_id`` is one of ``names``, with that of ``samples`` in its place; without those that have none."""
    found = samples.take(pc.index_in(rows["sample_id"], value_set=names))
    return set_columns(rows, sample_id=found).filter(found.is_valid())
