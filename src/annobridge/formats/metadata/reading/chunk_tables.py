"""Lines as tables, some lines at a time, and what all lines so far have shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from .boxes import Units
from .chunk import LINES, Chunk
from .dialect import DialectFinder
from .json_lines import Line, location
from .value_types import ValueTypes


@dataclass(frozen=True, slots=True)
class Shown:
    """What the lines so far have shown.

    Attributes:
        dialect: their dialect, and what its reader has seen.
        types: the types of all values.
        units: the boxes that do not state their unit.
    """

    dialect: DialectFinder
    types: ValueTypes
    units: Units


class ChunkTables(NamedTuple):
    """The tables of a chunk (``Chunk``): its samples, and fields with their labels."""

    samples: pa.Table
    labels: list[tuple[str, pa.Table]]


def chunk_tables(shown: Shown, path: Path, lines: Iterable[tuple[int, Line]]) -> Iterator[ChunkTables]:
    """The tables of some lines, which are given with their numbers. Raises ``InvalidSource`` with file and line."""
    chunk = Chunk(path, shown.types)
    for number, line in lines:
        where = location(path, number)
        if (reader := shown.dialect.reader_of(line, where)) is None:
            continue
        reader.add_line(line, number, where, chunk)
        if len(chunk.images) >= LINES:
            yield _tables(chunk, shown.units)
            chunk = Chunk(path, shown.types)
    if chunk.images:
        yield _tables(chunk, shown.units)


def _tables(chunk: Chunk, units: Units) -> ChunkTables:
    return ChunkTables(chunk.sample_table(), list(chunk.label_tables(units)))
