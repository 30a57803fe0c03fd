"""One file of lines: its dialect is found, and its samples and labels are kept on disk as tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ....core.collection import no_collection
from ....spill.tables import Tables
from ...base import Calls
from ...common.features import Features
from ..options import Reading
from . import json_lines, metadata_file
from .ahead import read_blocks
from .boxes import Units
from .chunk_tables import ChunkTables, Shown, chunk_tables
from .dialect import DialectFinder
from .folder_files import ImageFolder
from .json_lines import Line
from .line_blocks import LineBlocks
from .line_keys import ClassKeys
from .parallel_arrays import FileNameReader
from .value_types import ValueTypes


@dataclass
class LineFile:
    """A file whose lines were read.

    Attributes:
        folder: the folder of the images.
        path: the file.
        title: what the lines are, for people.
        unit: the unit of boxes that do not state theirs.
        units: how many of these boxes have all numbers from 0 to 1, and how many have not.
        chunks: the numbers of the tables of each chunk: its samples, and fields with their labels.
        notes: what was left out or changed, a sentence each.
        features: what is known of the columns beside the lines.
        is_file: whether the lines were read from the file, and not given.
        has_scores: whether ``score`` is a confidence, as Hugging Face's datasets have it.
    """

    folder: ImageFolder
    path: Path
    title: str = ""
    unit: int = 0
    units: Units = field(default_factory=Units)
    chunks: list[tuple[int, list[tuple[str, int]]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    features: Features = field(default_factory=Features)
    is_file: bool = True
    has_scores: bool = False

    def location(self, number: int) -> str:
        """A line as messages name it."""
        return json_lines.location(self.path, number)


def read_line_file(
    folder: ImageFolder,
    path: Path,
    options: Reading,
    types: ValueTypes,
    class_keys: ClassKeys,
    tables: Tables,
    calls: Calls,
    lines: Iterable[tuple[int, Line]] | None = None,
) -> LineFile:
    """Read a file of lines. Raises ``InvalidSource`` with file and line.

    Args:
        folder: the folder of the images.
        path: the file.
        options: what the user said of the file.
        types: where the types of all values are recorded.
        class_keys: where the keys of the class are recorded.
        tables: where samples and labels are kept.
        calls: where lines are read, if there are many.
        lines: lines with their numbers that are read instead of the file.
    """
    file, dialect = LineFile(folder, path, is_file=lines is None), DialectFinder(folder, options, class_keys)
    shown = Shown(dialect, types, file.units)
    if lines is None:
        file.features = metadata_file.features_of(path)
    with no_collection():  # which would take a third of the time
        for samples, labels in _chunks(file, shown, calls, lines):
            number = tables.add(samples)
            file.chunks.append((number, [(name, tables.add(table)) for name, table in labels]))
    if (last := dialect.reader) is not None:
        file.title = last.title.format(dialect.key)
        file.notes = last.finish()
        file.has_scores = isinstance(last, FileNameReader)
        file.unit = file.units.decide(last.always_pixels, options.coordinates, file.location)
    return file


def _chunks(
    file: LineFile, shown: Shown, calls: Calls, lines: Iterable[tuple[int, Line]] | None
) -> Iterator[ChunkTables]:
    if lines is not None:
        return chunk_tables(shown, file.path, lines)
    if file.path.suffix in metadata_file.TABLES:
        return chunk_tables(shown, file.path, metadata_file.read_rows(file.path))
    return read_blocks(shown, LineBlocks.of(file.path), file.folder, calls)
