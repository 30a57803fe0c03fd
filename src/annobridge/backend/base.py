"""The protocol of a backend: three methods and a declaration.

A backend converts and transports. It never decides what is expected, applies permissions, matches label ids, retries,
sleeps, prompts, prints or reads configuration: the bridge does, in one way for all tools.

Words: a **task** is a bounded piece of a run that is sent at once; a **receipt** is what the backend gave back for it;
the **baseline** is its labels exactly as the tool returns them when nobody has touched anything.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal, Protocol
from urllib.parse import urlsplit, urlunsplit

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from ..core.labels import REMOTE
from ..core.schema import LabelSchema


class Media(Protocol):
    """The media of a task's samples, wherever they lie."""

    def open(self, sample_id: str) -> BinaryIO:
        """A binary stream of the file's bytes; the caller closes it."""

    def path(self, sample_id: str) -> Path | None:
        """The local file, or ``None`` when it is not on this machine's disk."""


@dataclass(frozen=True, slots=True)
class Task:
    """What one ``upload`` sends: some samples, and the labels on them that the schema selects.

    ``name`` is unique for all runs (use it to find what an earlier, unanswered call left behind). ``samples`` has the
    columns of ``SAMPLES``, in the order of the view; ``labels`` has those of ``LABELS``, attributes narrowed to the schema.
    """

    name: str
    schema: LabelSchema
    samples: pa.Table
    labels: pa.Table
    media: Media


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the backend remembers of a task. ``state`` is private to it and must be JSON; it never holds a secret.

    ``baseline`` has the columns of ``REMOTE``, with ``label_id`` filled. ``upload`` must return it; ``download`` is given
    the baseline as it stands now; the other methods get an empty one.
    """

    task: str
    state: Mapping[str, Any] = field(default_factory=dict)
    baseline: pa.Table = field(default_factory=REMOTE.empty_table)


@dataclass(frozen=True, slots=True)
class Download:
    """What the tool has now: every label found (``REMOTE``), expected or not, and the samples it really answered for.

    A sample that is not in ``samples`` (a string array) contributes nothing: its absent labels are not deletions.
    ``notes`` are sentences for the report (orphans dropped, frames removed, …).
    """

    labels: pa.Table
    samples: pa.Array
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """How far the people are: counts of samples by the tool's own state names, and a word for the whole task.

    ``jobs`` are the pieces that a tool gives to people, where it has such: ``name``, ``state``, ``assignee`` and ``url`` of each.
    """

    state: str = "unknown"
    samples: Mapping[str, int] = field(default_factory=dict)
    jobs: tuple[Mapping[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a tool can represent. It drives the check before sending, the README's table and the contract suite."""

    label_types: frozenset[str]
    media_types: frozenset[str] = frozenset({"image"})
    scalar_types: frozenset[str] = frozenset()  # of scalar fields: str int float bool
    attribute_types: frozenset[str] = frozenset()  # of attributes: see core.schema.ATTRIBUTE_TYPES
    values_required: frozenset[str] = frozenset()  # attribute types that need ``values``
    attributed_types: frozenset[str] | None = None  # label types that may carry attributes; None: all
    class_attributes: bool = False
    read_only: bool = False
    tracks: bool = False
    keyframes: bool = False
    status: bool = False
    sends_media: bool = True  # it reads the files, so they are checked first
    largest_task: int | None = None  # samples


class AnnotationBackendConfig(BaseModel):
    """Settings of a backend: how to reach it, and options of a run. Subclass and add fields; unknown names are errors.

    Fields named in ``transient`` are connection details: they are resolved anew on each call and never stored with a run.
    Use ``pydantic.SecretStr`` for secrets.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    transient: ClassVar[frozenset[str]] = frozenset()
    credentials: ClassVar[tuple[str, ...]] = ()  # fields that the keyring and ``annobridge login`` fill
    variables: ClassVar[frozenset[str]] = frozenset()  # ANNOBRIDGE_<BACKEND>_<THESE> are the backend's own, not options

    task_size: int | None = Field(
        None, ge=1, description="samples per task; by default what the backend and memory allow"
    )

    on_rejected: Literal["stop", "skip"] = Field(
        "stop", description="when the tool refuses a task: stop, or leave its samples out and go on with the others"
    )

    def stored(self) -> dict[str, Any]:
        """What is kept with the run: every option that was set, never a connection detail or a secret."""
        names = self.model_fields_set - self.transient - set(self.credentials)
        kept = self.model_dump(mode="json", include=names)
        return {name: _without_login(value) if name == "url" else value for name, value in kept.items()}


def _without_login(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


class AnnotationBackend(ABC):
    """Subclass this, set the three class attributes, write three methods, and run ``annobridge.testing.BackendContract``.

    ``upload`` and ``download`` may be called from one thread at a time. Errors are ``annobridge.exceptions.BackendError``.
    """

    name: ClassVar[str]
    Config: ClassVar[type[AnnotationBackendConfig]] = AnnotationBackendConfig
    capabilities: ClassVar[Capabilities]

    def __init__(self, config: AnnotationBackendConfig) -> None:
        self.config = config

    @property
    def needs_whole_files(self) -> bool:
        """Whether the files are read from here; where the tool has them already, their headers tell all that is needed."""
        return True

    @abstractmethod
    def upload(self, task: Task) -> Receipt:
        """Send a task, and return its receipt with the baseline. Idempotent by ``task.name``: look before you send again.

        Where the tool refuses some of its samples, raise ``Rejected`` with their ids as ``samples``, and leave what it has taken
        of the others: with ``on_rejected="skip"``, ``upload`` is called again with a task of that name that lacks them.
        """

    @abstractmethod
    def download(self, receipt: Receipt) -> Download:
        """All labels the tool has for this task now. Raises ``Gone`` when the task is not there any more."""

    @abstractmethod
    def delete(self, receipt: Receipt) -> None:
        """Remove the task from the server. Already gone is not an error."""

    def check(self, schema: LabelSchema, samples: pa.Table) -> Iterable[str]:  # noqa: ARG002
        """Problems that only this backend can see, each a sentence with its cure. Called before anything is sent;
        may ask the server who it is.
        """
        return ()

    def check_task(self, task: Task) -> Iterable[str]:  # noqa: ARG002
        """Values of a task's labels that the tool could not represent, each a sentence. Called before anything is sent."""
        return ()

    def find(self, task_name: str) -> Mapping[str, Any] | None:  # noqa: ARG002
        """The receipt's state of what an unanswered ``upload`` left on the server, so that it can be deleted."""
        return None

    def status(self, receipt: Receipt) -> Status:  # noqa: ARG002
        """How far the work is."""
        return Status()

    def editor_url(self, receipt: Receipt) -> str | None:  # noqa: ARG002
        """Where people work on this task."""
        return None

    def close(self) -> None:  # noqa: B027
        """Release connections."""
