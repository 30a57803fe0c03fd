"""Lines of numbers: many small text files at once, as one array of numbers with the line of each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...exceptions import InvalidSource
from ...store import fingerprints
from .archive import Archive

_BOM = b"\xef\xbb\xbf"
_SPACE, _NEWLINE = 32, 10
_BYTES = 1 << 20  # of the files of a block, and about those of a call
_FILES = 2_048  # of a call, at most
_SAMPLE = 256  # files by which their size is estimated
_MOST = 16 << 20  # bytes of the files of a call, if they are larger than estimated
_LARGEST = 64 << 20  # bytes of one file

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class NumberLines:
    """The lines of some files that are not blank. ``values`` are all numbers, NaN for what is none."""

    values: npt.NDArray[np.float64]
    starts: Ints  # of each line, its first value
    counts: Ints  # how many values it has
    files: Ints  # the file that it is in, by its place among them
    numbers: Ints  # its number in that file, from 1

    def __len__(self) -> int:
        return len(self.starts)


def parse(texts: Sequence[bytes]) -> NumberLines:
    r"""The numbers of some files.

    >>> lines = parse([b"0 0.5 1\n\n1 x\n", b"7"])
    >>> lines.values.tolist(), lines.counts.tolist(), lines.files.tolist(), lines.numbers.tolist()
    ([0.0, 0.5, 1.0, 1.0, nan, 7.0], [3, 2, 1], [0, 0, 1], [1, 3, 1])
    """
    texts = [text.removeprefix(_BOM) for text in texts]
    raw = np.frombuffer(b"\n".join([*texts, b""]), np.uint8)
    token = raw > _SPACE
    edges = np.flatnonzero(np.diff(np.concatenate([[False], token, [False]]).astype(np.int8)))
    starts, lengths = edges[::2], edges[1::2] - edges[::2]
    newlines = np.flatnonzero(raw == _NEWLINE)
    line_of = np.searchsorted(newlines, starts)
    first = np.flatnonzero(np.diff(line_of, prepend=-1))
    files_at = np.concatenate([[0], np.cumsum([len(text) + 1 for text in texts])[:-1]]) if texts else np.zeros(0, int)
    files = np.searchsorted(files_at, starts[first], side="right") - 1
    numbers = line_of[first] - np.searchsorted(newlines, files_at)[files] + 1
    return NumberLines(
        _numbers(raw[token], lengths), first, np.diff(first, append=len(starts)), files.astype(np.int64), numbers
    )


class Block(NamedTuple):
    """Some files: their places among those that were asked for, without empty ones, and their lines."""

    files: list[int]
    lines: NumberLines


def blocks(archive: Archive, files: Iterable[tuple[int, str]]) -> Iterator[tuple[list[int], list[str], NumberLines]]:
    """Label files, each with the number of its item, read some thousands at a time: items, names and lines. Raises
    ``InvalidSource``.
    """
    listed = list(files)
    each = _files_of_call(archive, [name for _, name in listed[:_SAMPLE]])
    groups = [listed[at : at + each] for at in range(0, len(listed), each)]
    paths = ([archive.file_text(name) for _, name in group] for group in groups)
    most = min(_MOST, _LARGEST, archive.limits.max_file_bytes)
    for group, found in zip(groups, archive.calls.results(_of_paths, most, paths, len(groups)), strict=True):
        items, names = [item for item, _ in group], [name for _, name in group]
        if found is not None:
            archive.opened.update(names)
        for block in _blocks(_of_archive(archive, names)) if found is None else found:
            yield [items[at] for at in block.files], [names[at] for at in block.files], block.lines


def _files_of_call(archive: Archive, names: Sequence[str]) -> int:
    """How many files are read by a call, given some of them."""
    size = sum(map(archive.size, names))
    return max(1, min(_FILES, _BYTES * len(names) // max(size, 1)))


def _of_paths(most: int, paths: Sequence[str | None]) -> list[Block] | None:
    """The lines of files on disk; ``None`` if one is not there, cannot be read, or has more bytes than ``most``, or if all have too
    many for one call.
    """

    def text(file: int, size: int, start: bytes) -> bytes:
        if size > most:
            raise OSError
        return start if size <= len(start) else start + os.read(file, size - len(start))

    texts, total = list[bytes](), 0
    for path in paths:
        found = fingerprints.from_start(path or "", text, OSError)
        if found is None or (total := total + len(found)) > _MOST:
            return None
        texts.append(found)
    return list(_blocks(texts))


def _of_archive(archive: Archive, names: Sequence[str]) -> Iterator[bytes]:
    """The texts of files, wherever they are. Raises ``InvalidSource`` for one that is too large."""
    for name in names:
        if archive.size(name) > _LARGEST:
            raise InvalidSource(
                f"{archive.where(name)} has more than {_LARGEST >> 20} MiB, and is no file of labels of an image; take it out."
            )
        yield archive.read(name)


def _blocks(texts: Iterable[bytes]) -> Iterator[Block]:
    files, some, size = list[int](), list[bytes](), 0
    for at, text in enumerate(texts):
        if text:
            files.append(at)
            some.append(text)
            size += len(text)
        if size >= _BYTES:
            yield Block(files, parse(some))
            files, some, size = [], [], 0
    if some:
        yield Block(files, parse(some))


def places(archive: Archive, names: Sequence[str], lines: NumberLines) -> pa.Array:
    """Where each line is, for messages."""
    spoken = pa.array([archive.where(name) for name in names], pa.string()).take(pa.array(lines.files))
    return pc.binary_join_element_wise(spoken, pa.array(lines.numbers).cast(pa.string()), " line ")


def _numbers(characters: npt.NDArray[np.uint8], lengths: Ints) -> npt.NDArray[np.float64]:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(characters.tobytes())]
    texts = pa.Array.from_buffers(pa.binary(), len(lengths), buffers)
    try:
        values: npt.NDArray[np.float64] = texts.cast(pa.string()).cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        values = np.array([_number(text) for text in texts.to_pylist()], np.float64)
    return values


def _number(text: bytes) -> float:
    try:
        return float(text) if b"_" not in text else np.nan  # Python reads "1_000"
    except ValueError:
        return np.nan
