"""Lines of MOT: ``frame, track, x, y, width, height, confidence or "not ignored", class, visibility``, as columns of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...exceptions import InvalidSource
from ..common.archive import Archive
from ..common.number_lines import parse

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_PIECE = 1 << 20
_LONGEST = 1 << 20  # bytes of a line
COLUMNS = 10
NEEDED = 6


@dataclass(frozen=True, slots=True)
class Lines:
    """Some lines of a file: numbers, NaN where there is none; how many values each line has, and its number from 1."""

    values: Floats  # (lines, 10)
    counts: Ints
    numbers: Ints

    @property
    def good(self) -> npt.NDArray[np.bool_]:
        """Which lines have as many numbers as they need, and nothing but numbers."""
        given = np.arange(COLUMNS) < self.counts[:, None]
        found: npt.NDArray[np.bool_] = (self.counts >= NEEDED) & (np.isfinite(self.values) | ~given).all(axis=1)
        return found


def is_mot_line(text: str) -> bool:
    """Whether a line is one of MOT: 6 to 10 numbers, of which the first two are whole.

    >>> is_mot_line("1,-1,0,4,4,8,1,3,1.0"), is_mot_line("1 2002 2 1080 1920 Wde3b0"), is_mot_line("0 0.5 0.5 1 1")
    (True, False, False)
    """
    words = text.replace(",", " ").split()
    if not NEEDED <= len(words) <= COLUMNS or ("," not in text and "." in words[0]):
        return False
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        return False
    return numbers[0] >= 1 and all(number == int(number) for number in numbers[:2] if abs(number) < 2**53)


def read_lines(archive: Archive, name: str) -> Iterator[Lines]:
    """The lines of a file that are not blank, some thousands at a time."""
    first = 1
    for text in _pieces(archive, name):
        found = parse([_spaced(text)])
        counts = np.minimum(found.counts, COLUMNS)
        values = np.full((len(found), COLUMNS), np.nan)
        for column in range(COLUMNS):
            has = counts > column
            values[has, column] = found.values[found.starts[has] + column]
        yield Lines(values, counts, found.numbers + first - 1)
        first += text.count(b"\n")


def _spaced(text: bytes) -> bytes:
    while b",," in text:
        text = text.replace(b",,", b",nan,")
    return text.replace(b",", b" ")


def _pieces(archive: Archive, name: str) -> Iterator[bytes]:
    """The text of a file in pieces that end with a line."""
    rest = b""
    with archive.open(name) as stream:
        while piece := stream.read(_PIECE):
            text = rest + piece
            cut = text.rfind(b"\n") + 1
            text, rest = text[:cut], text[cut:]
            if len(rest) > _LONGEST:
                raise InvalidSource(
                    f"{archive.where(name)} has a line of more than {_LONGEST:,} bytes, and is no file of MOT."
                )
            if text:
                yield text
    if rest:
        yield rest + b"\n"
