"""What a format is: how it is recognised, read and written. Formats are found by the entry points ``annobridge.formats``.

A reader reads the whole source before it returns the first part: what holds for all of it (a dialect, the unit of its boxes, the
types of its columns) is decided once, and all errors are raised before anything is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from ..store.media import Media

PART = 2_000  # samples of a part, at most

Shared = TypeVar("Shared")
Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Part:
    """Some samples with all their labels.

    Attributes:
        samples: ``sample_id`` and ``filepath``, other columns of ``SAMPLES`` that are known, and columns of the source; the same
            columns in every part.
        labels: columns of ``LABELS``, at least ``sample_id``, ``field`` and ``kind``; ``label_id`` only where the source has
            ids. Positions are relative to the image as it is shown, its EXIF orientation applied.
        media: what opens the files of samples that are written; a reader sets none.
        reviewed: whether people have reviewed each sample (booleans), in an export that is to keep it: its tags then say so, too.
        files: ``size`` and ``fingerprint`` of the file of each sample, of a reader that has opened them; null where it has not, and
            ``None`` where it has opened none: then the import does.
    """

    samples: pa.Table
    labels: pa.Table
    media: Media | None = None
    reviewed: pa.Array | None = None
    files: pa.Table | None = None


class Calls(Protocol):
    """Makes calls that do not depend on each other, in this process or in others."""

    def processes(self, jobs: int) -> int:
        """How many processes so many jobs are worth; one is this process."""
        ...

    def results(
        self, function: Callable[[Shared, Job], Result], shared: Shared, jobs: Iterable[Job], count: int
    ) -> Iterator[Result]:
        """The results of ``function(shared, job)``, in the order of the jobs.

        What is given and returned is pickled, if other processes are used.

        Args:
            function: a function of a module. It raises nothing that depends on a job, as the error of a later one could come first.
            shared: its first argument.
            jobs: its second arguments, some 40 ms of work each. They are made one by one, in any thread.
            count: how many jobs there are, about.
        """
        ...


class CallsHere:
    """Calls in this process, one after the other."""

    def processes(self, jobs: int) -> int:
        """See ``Calls``."""
        return 1

    def results(
        self, function: Callable[[Shared, Job], Result], shared: Shared, jobs: Iterable[Job], count: int
    ) -> Iterator[Result]:
        """See ``Calls``."""
        return (function(shared, job) for job in jobs)


@dataclass(frozen=True, slots=True)
class Context:
    """What an import knows beside the source.

    ``known`` are the samples of the dataset, if the import adds to one: sample_id, filepath, media_type, width, height, frames.
    ``media_folder`` is where images that are inside an archive are unpacked; they stay there. ``calls`` is where a reader may have
    work done that is divided into parts.
    """

    known: pa.Table | None = None
    media_folder: Path | None = None
    calls: Calls = field(default_factory=CallsHere)


SKIPPED = pa.schema([pa.field("place", pa.string()), pa.field("reason", pa.string())])


class Source(Protocol):
    """A dataset of another tool that was read and checked."""

    @property
    def count(self) -> int:
        """How many samples it has."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What was left out or changed, a sentence each; complete once all parts were read."""
        ...

    @property
    def skipped(self) -> pa.Table:
        """The annotations that were left out, with ``place`` and ``reason`` (``SKIPPED``); complete once the parts were read."""
        ...

    @property
    def assumptions(self) -> Sequence[str]:
        """How the source was read where it could be read in other ways, a sentence each."""
        ...

    def parts(self) -> Iterator[Part]:
        """The samples and labels, in bounded memory. Raises ``InvalidSource``."""
        ...


class Options(BaseModel):
    """The options of a format; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Format(Protocol):
    """One format.

    Attributes:
        name: its name, as users give it.
        title: what a source is, for people, as ``"a folder of images"``.
        reading: the options of reading; ``None`` if it cannot be read.
        writing: the options of writing; ``None`` if it cannot be written.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    reading: ClassVar[type[Options] | None]
    writing: ClassVar[type[Options] | None]

    def recognises(self, source: Path) -> bool:
        """Whether a folder or file is of this format, by a quick look. Never raises."""
        ...

    def open(self, source: Path, options: Options, context: Context) -> Source:
        """Read and check a source. Raises ``InvalidSource`` with file and line."""
        ...

    def write(self, parts: Iterator[Part], folder: Path, options: Options) -> list[str]:
        """Write samples and labels into an empty folder.

        Returns notes on what the format cannot hold, a sentence each. Raises ``Unsupported`` for labels that it cannot hold.
        """
        ...
