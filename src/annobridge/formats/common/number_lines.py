"""Lines of numbers: many small text files at once, as one array of numbers with the line of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...exceptions import InvalidSource
from .archive import Archive

_BOM = b"\xef\xbb\xbf"
_SPACE, _NEWLINE = 32, 10
_BYTES = 1 << 20  # of the files of a block
_FILES = 4_096
_PIECE = 1 << 14
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


def blocks(archive: Archive, files: Iterable[tuple[int, str]]) -> Iterator[tuple[list[int], list[str], NumberLines]]:
    """Label files, each with the number of its item, read some thousands at a time: items, names and lines."""
    items, names, texts, size = list[int](), list[str](), list[bytes](), 0
    for item, name in files:
        with archive.open(name) as stream:
            text = stream.read(_PIECE)
            if len(text) == _PIECE:
                text += stream.read(_LARGEST)  # a buffer of that size is allocated, whatever the file has
        if len(text) > _LARGEST:
            raise InvalidSource(
                f"{archive.where(name)} has more than {_LARGEST >> 20} MiB, and is no file of labels of an image; take it out."
            )
        if not text:
            continue
        items.append(item)
        names.append(name)
        texts.append(text)
        size += len(text)
        if size >= _BYTES or len(texts) >= _FILES:
            yield items, names, parse(texts)
            items, names, texts, size = [], [], [], 0
    if texts:
        yield items, names, parse(texts)


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
