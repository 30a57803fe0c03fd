"""What a writer of the lines of a dialect is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import pyarrow as pa

from ....exceptions import Unsupported
from ....store.media import Media

Line = dict[str, Any]


class LineWriter(Protocol):
    """Writes the lines of one dialect.

    Attributes:
        needs_splits: whether each image must be in the folder of a split.
        header: the first line of each file, if there is one.
        notes: what was left out or changed, a sentence each.
    """

    needs_splits: bool
    header: Line | None
    notes: list[str]

    def check(self) -> None:
        """Raise ``Unsupported`` for labels that the dialect cannot hold."""
        ...

    def lines(
        self, samples: pa.Table, labels: pa.Table, names: Sequence[str], files: Media | None = None
    ) -> Iterator[Line]:
        """A line for each sample. ``names`` are those of the images; ``files`` opens them, by default at their paths."""
        ...

    def files(self) -> dict[str, str]:
        """The texts of other files of the folder, by name; called after the last line."""
        ...


def unsupported(sentence: str) -> Unsupported:
    """The error for anything that cannot be written."""
    return Unsupported("", [sentence])
