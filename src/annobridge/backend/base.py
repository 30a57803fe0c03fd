"""The protocol of a backend: three methods and a declaration.

A backend converts and transports. It never decides what is expected, applies permissions, matches label ids, retries,
sleeps, prompts, prints or reads configuration: the bridge does, in one way for all tools.

Terms: a **task** is a part of a run, of limited size, that is uploaded at once; a **receipt** is what the backend returns for it;
the **baseline** is the labels of the task exactly as the tool returns them while nobody has edited anything.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit, urlunsplit

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from ..core.labels import COMMENTS, REMOTE
from ..core.media import Media as Media  # for those who write backends
from ..core.schema import LabelSchema
from ..core.terms import Terms as Terms  # for those who write backends
from .pickling import refuse_pickling


@dataclass(frozen=True, slots=True)
class Task:
    """What one ``upload`` sends: some samples, and their labels that the schema selects.

    ``name`` is unique for all runs (use it to find what an earlier, unanswered call left behind). ``samples`` has the
    columns of ``SAMPLES``, in the order of the view; ``labels`` has those of ``LABELS``, attributes narrowed to the schema.
    With the capability ``sample_columns``, ``samples`` has the dataset's own plain columns too. ``title`` names the run and
    the dataset, for people.
    """

    name: str
    schema: LabelSchema
    samples: pa.Table
    labels: pa.Table
    media: Media
    title: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the backend remembers of a task. ``state`` is private to it: a JSON object, without NaN and without secrets.

    ``baseline`` has exactly the columns and types of ``REMOTE``, and one row for each label of the task, with the
    ``label_id``, ``sample_id``, ``field`` and ``kind`` that it was sent with. Its ``remote_id`` is the tool's own: any
    text that does not begin with a line break, and not that of another label on the same sample; labels of other tasks
    or samples may have it too. ``upload`` must return it; ``download`` is given the baseline as it stands now; the other
    methods get an empty one.

    ``unsent`` are the ids of labels that are not sent to the tool, as those on frames that are left out: they are not in the
    baseline, and do not change. The bridge refuses any other receipt.

    ``notes`` are sentences about what people will not find in the tool (columns left out, shapes that are not drawn, …); they
    are shown once, when the run is sent, and kept with it.
    """

    task: str
    state: Mapping[str, Any] = field(default_factory=dict)
    baseline: pa.Table = field(default_factory=REMOTE.empty_table)
    unsent: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Download:
    """What the tool has now: every label (``REMOTE``), expected or not, and the samples for which the download is complete.

    A label is known by its ``remote_id`` together with its ``sample_id``; neither may be null, nor may its ``kind``. Of
    two labels with the same ids, the one that differs from the baseline is a copy that a person made, and so a new label; rows that
    are equal in everything count once, with a note. ``label_id`` and ``rev`` are ignored. ``field`` is null
    where the tool does not know it. Only labels of videos have a ``frame_number``.

    A sample that is not in ``samples`` (a string array) contributes nothing: its absent labels are not deletions.
    ``notes`` are sentences for the report (orphans dropped, frames removed, …).

    ``comments`` (``COMMENTS``) are what people wrote beside the labels, of a tool with the capability ``comments``.
    """

    labels: pa.Table
    samples: pa.Array
    notes: tuple[str, ...] = ()
    comments: pa.Table = field(default_factory=COMMENTS.empty_table)


@dataclass(frozen=True, slots=True)
class SentBack:
    """What ``send_back`` did with the refusals that it was given.

    Attributes:
        placed: how many the tool has now, and had not before.
        existing: how many it had already, from an earlier call.
        left_out: the ``change_id`` of each of the others, which the tool has no place for (a string array); the bridge writes
            them into a file.
        notes: sentences about what else was done, and why some were left out.
    """

    placed: int
    existing: int = 0
    left_out: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))
    notes: tuple[str, ...] = ()


GONE = "gone"  # the state of a task that is not on the server any more


@dataclass(frozen=True, slots=True)
class Status:
    """The progress of the work: the number of samples by state, in the tool's words, and the state of the task (or ``GONE``).

    ``jobs`` are the units that a tool assigns to people, if it has any: ``name``, ``state``, ``assignee`` and ``url`` of each.
    """

    state: str = "unknown"
    samples: Mapping[str, int] = field(default_factory=dict)
    jobs: tuple[Mapping[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a tool can represent. Used by the checks before an upload, the README's table and the contract suite.

    ``editor_limits`` says what people cannot do in the tool's editor, a sentence for each label type concerned, as in
    ``{"polygons": "The points of an existing one cannot be moved."}``. ``annotate`` warns of it, and the table lists it.
    """

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
    comments: bool = False  # ``download`` returns what people wrote beside the labels
    send_back: bool = False  # it has the method ``send_back``
    sends_media: bool = True  # it reads the files, so they are checked before the upload
    sample_columns: bool = False  # it shows the dataset's own columns of samples: text, numbers, booleans
    largest_task: int | None = None  # samples
    editor_limits: Mapping[str, str] = field(default_factory=dict)


class AnnotationBackendConfig(BaseModel):
    """Settings of a backend: how to reach it, and options of a run. Subclass and add fields; unknown names are errors.

    Fields named in ``transient`` are connection details: they are resolved again for each call and never stored with a run.
    Use ``pydantic.SecretStr`` for secrets.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    transient: ClassVar[frozenset[str]] = frozenset()
    credentials: ClassVar[tuple[str, ...]] = ()  # fields that the keyring and ``annobridge login`` fill
    required: ClassVar[tuple[tuple[str, ...], ...]] = ()  # sets of credentials, one of which has to be given
    variables: ClassVar[frozenset[str]] = frozenset()  # ANNOBRIDGE_<BACKEND>_<THESE> are the backend's own, not options

    task_size: int | None = Field(
        None, ge=1, description="samples per task; by default what the backend and memory allow"
    )

    on_rejected: Literal["stop", "skip"] = Field(
        "stop", description="when the tool refuses a task: stop, or leave its samples out and go on with the others"
    )

    def stored(self) -> dict[str, Any]:
        """The options to store with a run: all that were set, without connection details and secrets."""
        names = self.model_fields_set - self.transient - set(self.credentials)
        kept = self.model_dump(mode="json", include=names)
        return {name: _without_login(value) if name == "url" else value for name, value in kept.items()}

    def __getstate__(self) -> dict[Any, Any]:
        """For ``pickle``, which is refused if there is a secret: it would be written in plain text. ``copy`` does not call this."""
        values = [
            v for value in self.__dict__.values() for v in (value.values() if isinstance(value, Mapping) else [value])
        ]
        if any(isinstance(value, SecretStr) for value in values) or any(getattr(self, n) for n in self.credentials):
            refuse_pickling(f"The {type(self).__name__}")
        return super().__getstate__()


def _without_login(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


class AnnotationBackend(ABC):
    """Subclass this, set the three class attributes, write three methods, and run ``annobridge.testing.BackendContract``.

    ``upload`` and ``download`` may be called from one thread at a time. Errors are ``annobridge.exceptions.BackendError``;
    any other exception, and an answer that is not as it is described here, is reported as a mistake in the backend.
    """

    name: ClassVar[str]
    Config: ClassVar[type[AnnotationBackendConfig]] = AnnotationBackendConfig
    capabilities: ClassVar[Capabilities]
    in_process: ClassVar[bool] = False  # the tool ends with this process, so that a later one cannot load from it

    def __init__(self, config: AnnotationBackendConfig) -> None:
        self.config = config

    @property
    def needs_whole_files(self) -> bool:
        """Whether ``upload`` reads the files. If the tool has them already, their headers are enough for the checks."""
        return True

    @abstractmethod
    def upload(self, task: Task) -> Receipt:
        """Send a task, and return its receipt with the baseline. Idempotent by ``task.name``: look before you send again.

        Where the tool refuses some of its samples, raise ``Rejected`` with their ids as ``samples``, and keep what it has taken
        of the others: with ``on_rejected="skip"``, ``upload`` is called again with a task of that name that lacks them.
        """

    @abstractmethod
    def download(self, receipt: Receipt) -> Download:
        """All labels the tool has for this task now. Raises ``Gone`` when the task does not exist any more."""

    @abstractmethod
    def delete(self, receipt: Receipt) -> None:
        """Remove the task from the server. It is not an error if it is gone already."""

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
        """The progress of the work. Raises ``Gone`` when the task does not exist any more."""
        return Status()

    def editor_url(self, receipt: Receipt) -> str | None:  # noqa: ARG002
        """The URL of the page where people work on this task, which exists; ``None`` if there is none."""
        return None

    def send_back(self, receipt: Receipt, refusals: pa.Table) -> SentBack:  # noqa: ARG002
        """Tell the annotators of a task what a reviewer has refused, at its place in the tool, and give the work back to them.

        Only called with the capability ``send_back``; each call may have some of the refusals of a task. Idempotent: what an
        earlier call has placed is recognized, and counted as existing. Labels are not changed.

        Args:
            receipt: of the task, with the baseline as it stands now.
            refusals: ``REFUSALS``, of samples of the task.

        Raises:
            Gone: the task does not exist any more.
        """
        return SentBack(0, 0, refusals["change_id"].combine_chunks())

    @classmethod
    def file_terms(cls, receipt: Receipt) -> Terms:  # noqa: ARG003
        """The words that the labels of a task have in the tool, where they are not their own. Archives that the tool exports have
        these. Asks nobody.
        """
        return Terms({}, {})

    @classmethod
    def file_names(cls, receipt: Receipt) -> Mapping[str, str]:  # noqa: ARG003
        """The sample of each file of a task, by the name that the file has in the tool, where that is not its own. Archives that
        the tool exports have these names. Asks nobody.
        """
        return {}

    @classmethod
    def reads_path(cls, options: Mapping[str, Any], path: Path, format_name: str | None) -> bool:  # noqa: ARG003
        """Whether a load of a run with these options, with ``path=`` and perhaps ``format=``, is the backend's: these are options
        of it then. By default, the file is read by its format, and the backend is not asked.
        """
        return False

    def close(self) -> None:  # noqa: B027
        """Close connections."""
