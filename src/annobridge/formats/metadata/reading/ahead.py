"""Blocks of lines are read ahead by other processes.

What lines mean depends on the lines before them: their dialect, the types of values, which keys hold labels. Nearly always, the
first block shows all of it. So other processes get a snapshot of what was shown so far, and read blocks after it. A result counts
if its block showed nothing new, and nothing new was shown before it meanwhile; else the block is read here, as it would be without
them. So the result is the same, and so is the first error.
"""

from __future__ import annotations

import io
import pickle
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ....core.collection import no_collection
from ....exceptions import InvalidSource
from ...base import Calls
from .boxes import Units
from .chunk_tables import ChunkTables, Shown, chunk_tables
from .folder_files import ImageFolder
from .line_blocks import Block, LineBlocks
from .line_keys import Counts

_MOST_MISSES = 8  # blocks of which the result did not count, until no more are read ahead
_FOLDER = "folder"  # in the place of the folder, whose files others need not know

Asked = tuple[Any, str, bool]  # the arguments of ``ImageFolder.find``
Sum = Units | Counts  # what is added up over blocks, and does not tell how to read them


class _Job(NamedTuple):
    """A block, and what was shown before it."""

    block: Block
    snapshot: bytes


class _Result(NamedTuple):
    """A block that showed nothing new.

    Attributes:
        chunks: its tables, whose images are numbers of names.
        names: what these names are.
        sums: what is to be added.
    """

    chunks: list[ChunkTables]
    names: list[Asked]
    sums: list[Sum]


class _Names:
    """Takes the place of a folder: it finds every name, and keeps it."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    def find(self, name: object, where: str, or_above: bool) -> int:
        """The number of the name; see ``ImageFolder.find``."""
        self.asked.append((name, where, or_above))
        return len(self.asked) - 1


def read_blocks(shown: Shown, source: LineBlocks, folder: ImageFolder, calls: Calls) -> Iterator[ChunkTables]:
    """The tables of all lines of a file; others read some of them, where there are many. Raises ``InvalidSource``."""
    if calls.processes(source.count) < 2:
        for block in source.blocks():
            yield from chunk_tables(shown, source.path, source.lines(block))
    else:
        yield from _Reading(shown, source, folder).chunks(calls)


class _Reading:
    """Reads the blocks of a file, of which others read some."""

    def __init__(self, shown: Shown, source: LineBlocks, folder: ImageFolder) -> None:
        self._shown, self._source, self._folder = shown, source, folder
        self._blocks = source.blocks()
        self._given: deque[_Job] = deque()
        self._misses = 0
        self._snapshot, self._sums = _snapshot(shown)

    def chunks(self, calls: Calls) -> Iterator[ChunkTables]:
        """The tables of all blocks."""
        yield from self._read(next(self._blocks))
        for result in calls.results(_read_ahead, self._source, self._jobs(), self._source.count):
            job = self._given.popleft()
            if (found := self._accepted(job, result)) is None:
                self._misses += 1
                found = self._read(job.block)
            yield from found
        for block in self._blocks:
            yield from self._read(block)

    def _jobs(self) -> Iterator[_Job]:
        while self._misses < _MOST_MISSES and (block := next(self._blocks, None)) is not None:
            self._given.append(job := _Job(block, self._snapshot))
            yield job

    def _read(self, block: Block) -> list[ChunkTables]:
        """Read a block here."""
        found = list(chunk_tables(self._shown, self._source.path, self._source.lines(block)))
        self._snapshot, self._sums = _snapshot(self._shown)
        return found

    def _accepted(self, job: _Job, result: _Result | None) -> list[ChunkTables] | None:
        """The tables that were read ahead, with the numbers of images of the folder; ``None`` if they do not count. Raises
        ``InvalidSource`` for an image that is not there.
        """
        if result is None or job.snapshot != self._snapshot:
            return None
        # A block with another error has no result, so the first name that is not found is the first error.
        numbers = np.array([self._folder.find(*asked) for asked in result.names], np.int32)
        for mine, theirs in zip(self._sums, result.sums, strict=True):
            mine.merge(theirs)  # type: ignore[arg-type]  # they are of one type
        return [
            ChunkTables(_numbered(samples, numbers), [(name, _numbered(table, numbers)) for name, table in labels])
            for samples, labels in result.chunks
        ]


def _numbered(table: pa.Table, numbers: np.ndarray) -> pa.Table:
    return table.set_column(0, "image", pa.array(numbers[table["image"].to_numpy()]))


def _read_ahead(source: LineBlocks, job: _Job) -> _Result | None:
    """Read a block; ``None`` if it shows anything new, or has an error."""
    names = _Names()
    shown, sums = _restored(job.snapshot, names)
    before, _ = _snapshot(shown)
    try:
        with no_collection():
            chunks = list(chunk_tables(shown, source.path, source.lines(job.block)))
    except (InvalidSource, OSError):
        return None
    return _Result(chunks, names.asked, sums) if _snapshot(shown)[0] == before else None


def _snapshot(shown: Shown) -> tuple[bytes, Sequence[Sum]]:
    """What was shown, without the folder and the sums; and the sums."""
    file = io.BytesIO()
    pickler = _Pickler(file)
    pickler.dump(shown)
    return file.getvalue(), pickler.sums


def _restored(snapshot: bytes, names: _Names) -> tuple[Shown, list[Sum]]:
    """What was shown, with names in the place of the folder, and new sums."""
    unpickler = _Unpickler(io.BytesIO(snapshot), names)
    return unpickler.load(), unpickler.sums


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.sums: list[Sum] = []

    def persistent_id(self, value: Any) -> Any:
        if isinstance(value, ImageFolder | _Names):
            return _FOLDER
        if not isinstance(value, Units | Counts):
            return None
        at = next((n for n, known in enumerate(self.sums) if known is value), len(self.sums))
        if at == len(self.sums):
            self.sums.append(value)
        return at, type(value)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, names: _Names) -> None:
        super().__init__(file)
        self._names = names
        self.sums: list[Sum] = []

    def persistent_load(self, key: Any) -> Any:
        if key == _FOLDER:
            return self._names
        at, kind = key
        if at == len(self.sums):
            self.sums.append(kind())
        return self.sums[at]
