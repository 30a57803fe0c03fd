"""The protocol of a backend: three methods and a declaration.

A backend converts and transports. It never decides what is expected, applies permissions, matches label ids, retries,
sleeps, prompts, prints or reads configuration: the bridge does, in one way for all tools. What is passed to it and returned
is in ``values``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal
from urllib.parse import urlsplit, urlunsplit

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from ..core.schema import LabelSchema
from ..core.terms import Terms
from .pickling import refuse_pickling
from .values import Answer, Download, Edits, FoundTask, Pushed, Receipt, SentBack, Status, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a tool can represent. Used by the checks before an upload, the README's table and the contract suite.

    ``editor_limits`` says what people cannot do in the tool's editor, a sentence for each label type concerned, as in
    ``{"polygons": "The points of an existing one cannot be moved."}``. ``annotate`` warns of it, and the table lists it.

    ``parallel_uploads`` and ``parallel_downloads`` say how many tasks the tool can usefully transfer at once; 1: one after
    another. If it is more, ``upload`` or ``download`` of one backend is called from several threads, each for a task of its own.
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
    reviewed: bool = False  # ``download`` and ``status`` say which samples people have reviewed
    answers: bool = False  # it has the method ``answers``: several people label the same samples
    push: bool = False  # it has the method ``push``
    adopt: bool = False  # it has the methods ``find_tasks`` and ``adopt``
    sends_media: bool = True  # it reads the files, so they are checked before the upload
    sample_columns: bool = False  # it shows the dataset's own columns of samples: text, numbers, booleans
    largest_task: int | None = None  # samples
    parallel_uploads: int = 1  # tasks at once
    parallel_downloads: int = 1  # tasks at once
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

    ``upload`` is called from at most ``capabilities.parallel_uploads`` threads at a time, and ``download`` from at most
    ``capabilities.parallel_downloads``, each for a task of its own. Errors are ``annobridge.exceptions.BackendError``;
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

    def answers(self, receipt: Receipt) -> Iterable[Answer]:
        """What each person has made of a task, where several label the same samples. Only called with the capability ``answers``.

        ``download`` returns the one answer that the tool takes. Where one person has answered a sample twice, the later answer
        counts, and a note says so. Raises ``Gone`` when the task does not exist any more.
        """
        raise NotImplementedError

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

    def check_push(self, receipt: Receipt) -> Iterable[str]:  # noqa: ARG002
        """Why nothing can be pushed to a task, each a sentence with its cure: the server is too old, the task is read-only, …
        Called for all tasks before anything is pushed.
        """
        return ()

    def push(self, receipt: Receipt, edits: Edits) -> Pushed:
        """Change labels of a task in the tool. Only called with the capability ``push``.

        All other labels stay as they are, with their ids, and so does what people changed meanwhile. A label that is edited
        keeps its remote id where the tool allows it.

        Args:
            receipt: of the task, with the baseline as it stands now.
            edits: what to change.

        Raises:
            Gone: the task does not exist any more.
            Rejected: the tool refuses it as a whole, and has changed nothing.
        """
        raise NotImplementedError

    def find_tasks(self, tasks: Sequence[str], project: str | None) -> Iterable[FoundTask]:
        """Tasks in the tool, which people or other programs have made. Only called with the capability ``adopt``.

        Args:
            tasks: ids or names of tasks; none for all of the project.
            project: the id or name of the project; ``None`` if tasks are given.

        Raises:
            Rejected: one of them does not exist, cannot be adopted, or its name is not unique.
        """
        raise NotImplementedError

    def adopt(self, found: FoundTask, schema: LabelSchema, sample_ids: pa.Array) -> Mapping[str, Any]:
        """The state of a receipt with which ``download`` returns the labels of a task that was found. Changes nothing in the tool.

        Args:
            found: the task.
            schema: the fields that its labels go to.
            sample_ids: the sample of each of its media; null where there is none, so that its labels are left out.

        Raises:
            InvalidSchema: the tool has other classes or attributes than the schema; all problems are listed.
        """
        raise NotImplementedError

    def read_media(self, found: FoundTask, number: int) -> BinaryIO:
        """A file of a task that was found, as the tool has it; ``number`` is its row in ``found.media``. The caller closes it."""
        raise NotImplementedError

    @classmethod
    def task_keys(cls, receipt: Receipt) -> frozenset[str]:  # noqa: ARG003
        """The tool's own ids of what a receipt stands for, as ``FoundTask.key`` has them. Asks nobody."""
        return frozenset()

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
