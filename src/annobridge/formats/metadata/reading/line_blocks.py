"""A file of JSON lines in blocks of whole lines, each of which can be read by itself."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ....exceptions import InvalidSource
from .json_lines import Line, parse_lines

_BYTES = 1 << 20  # of a block, and up to the end of its last line


class Block(NamedTuple):
    """Whole lines of a file: where they begin, how many bytes they are, and the number of the first of them."""

    start: int
    size: int
    first: int


@dataclass(frozen=True, slots=True)
class LineBlocks:
    """The blocks of a file, as it was when the first of them was read.

    Attributes:
        path: the file.
        size: its bytes.
        changed: when it was changed last, in nanoseconds.
    """

    path: Path
    size: int
    changed: int

    @classmethod
    def of(cls, path: Path) -> LineBlocks:
        """The blocks of a file."""
        about = path.stat()
        return cls(path, about.st_size, about.st_mtime_ns)

    @property
    def count(self) -> int:
        """How many blocks there are, about."""
        return self.size // _BYTES + 1

    def blocks(self) -> Iterator[Block]:
        """All blocks. Raises ``InvalidSource`` if the file was changed."""
        start, first = 0, 1
        with self._opened() as file:
            while data := file.read(_BYTES):
                data += file.readline()
                yield Block(start, len(data), first)
                start, first = start + len(data), first + data.count(b"\n")

    def lines(self, block: Block) -> Iterator[tuple[int, Line]]:
        """The lines of a block with their numbers. Raises ``InvalidSource`` with file and line."""
        with self._opened() as file:
            file.seek(block.start)
            data = file.read(block.size)
        return parse_lines(io.BytesIO(data), self.path, block.first)

    def _opened(self) -> BinaryIO:
        file = self.path.open("rb")
        about = os.fstat(file.fileno())
        if (about.st_size, about.st_mtime_ns) != (self.size, self.changed):
            file.close()
            raise InvalidSource(f"{self.path} was changed while it was read; import it again, once it is complete.")
        return file
