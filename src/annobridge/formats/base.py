"""What a format is: how it is recognised, read and written. Formats are found by the entry points ``annobridge.formats``.

A reader looks at the whole of a source before it gives the first part, so that what holds for all of it (a dialect, the unit
of its boxes, the types of its columns) is decided once, and so that whatever is wrong is said before anything is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from ..store.media import Media

PART = 5_000  # samples that a part holds at most


@dataclass(frozen=True, slots=True)
class Part:
    """Some samples with all their labels.

    ``samples`` has ``sample_id`` and ``filepath``, other columns of ``SAMPLES`` that are known, and columns of its own; the
    same columns in every part of a source. ``labels`` has columns of ``LABELS``, at least ``sample_id``, ``field`` and
    ``kind`` (``label_id`` only where the source has ids); positions are relative to the image as it is shown, as everywhere.
    ``media`` opens the files of samples that are to be written, wherever they lie; a reader gives none.
    """

    samples: pa.Table
    labels: pa.Table
    media: Media | None = None


class Source(Protocol):
    """A dataset of another tool, opened: whatever can be wrong in it is known to be right, or was raised."""

    @property
    def count(self) -> int:
        """How many samples it has."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What was left out or changed, a sentence each; complete once the parts were read."""
        ...

    @property
    def assumptions(self) -> Sequence[str]:
        """How the source was read where it could be read in another way too, a sentence each."""
        ...

    def parts(self) -> Iterator[Part]:
        """The samples and labels, in bounded memory. Raises ``InvalidSource``."""
        ...


class Options(BaseModel):
    """The options of a format; one that it does not have is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Format(Protocol):
    """One format. ``reading`` and ``writing`` are the options that it takes; ``None`` where it cannot do that."""

    name: ClassVar[str]
    title: ClassVar[str]
    reading: ClassVar[type[Options] | None]
    writing: ClassVar[type[Options] | None]

    def recognises(self, source: Path) -> bool:
        """Whether the folder or file is of this format; cheap, and never raises."""
        ...

    def open(self, source: Path, options: Options) -> Source:
        """Look at a source. Raises ``InvalidSource`` with file and line."""
        ...

    def write(self, parts: Iterator[Part], folder: Path, options: Options) -> list[str]:
        """Write samples and labels into a new, empty folder; returns notes on what could not be said in this format.

        Raises ``Unsupported`` for labels that it cannot hold.
        """
        ...
