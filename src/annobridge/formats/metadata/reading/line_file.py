"""One file of lines: its dialect is found, and its samples and labels are kept on disk as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ....core.collection import no_collection
from ....spill.tables import Tables
from ...common.features import Features
from ..keys import HEADER
from ..options import BY_VIEWS, FILE_NAME, Reading
from . import json_lines, metadata_file
from .boxes import Units
from .chunk import LINES, Chunk
from .folder_files import ImageFolder
from .json_lines import Line, fail
from .line_keys import ClassKeys
from .parallel_arrays import FileNameReader, QuickstartReader
from .pixano_views import ViewsReader
from .value_types import ValueTypes

_IMAGE_KEYS = ("file_name", "filepath", "views")
_IMAGE_KEY = {"file_name": "file_name", "opsml": "file_name", "opsml2": "filepath"}  # by dialect


class LineReader(Protocol):
    """Reads the lines of one dialect.

    Attributes:
        title: what the lines are, for people, with ``{!r}`` for the key of the image.
        always_pixels: whether boxes that do not state their unit are in pixels, whatever their numbers.
    """

    title: str
    always_pixels: bool

    def add_line(self, line: Line, number: int, where: str, chunk: Chunk) -> None:
        """Add the samples and labels of a line to a chunk. Raises ``InvalidSource``."""
        ...

    def finish(self) -> list[str]:
        """Notes on all lines. Raises ``InvalidSource``."""
        ...


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
        lines: lines with their numbers that are read instead of the file.
    """
    file, dialect = LineFile(folder, path, is_file=lines is None), _DialectFinder(folder, options, class_keys)
    if lines is None:
        file.features, lines = metadata_file.features_of(path), metadata_file.read_rows(path)
    with no_collection():  # which would take a third of the time
        chunk = Chunk(path, types)
        for number, line in lines:
            where = file.location(number)
            if (reader := dialect.reader_of(line, where)) is None:
                continue
            reader.add_line(line, number, where, chunk)
            if len(chunk.images) >= LINES:
                _spill(chunk, file, tables)
                chunk = Chunk(path, types)
        if chunk.images:
            _spill(chunk, file, tables)
    if (last := dialect.reader) is not None:
        file.title = last.title.format(dialect.key)
        file.notes = last.finish()
        file.has_scores = isinstance(last, FileNameReader)
        file.unit = file.units.decide(last.always_pixels, options.coordinates, file.location)
    return file


def _spill(chunk: Chunk, file: LineFile, tables: Tables) -> None:
    samples = tables.add(chunk.sample_table())
    file.chunks.append((samples, [(name, tables.add(table)) for name, table in chunk.label_tables(file.units)]))


class _DialectFinder:
    """Finds the dialect by the first line, and refuses lines of another."""

    def __init__(self, folder: ImageFolder, options: Reading, class_keys: ClassKeys) -> None:
        self._folder, self._options, self._class_keys = folder, options, class_keys
        self.reader: FileNameReader | QuickstartReader | ViewsReader | None = None
        self.key = ""  # of the image
        self._where = ""  # the first line is
        self._views = options.image_key or ("image",)
        self._image_keys = self._image_key_filter()
        self._checked: set[tuple[str, ...]] = set()  # the keys of lines of this dialect

    def _image_key_filter(self) -> Callable[[Line], list[str]]:
        """Which keys of a line may name its image."""
        dialect = self._options.dialect
        if dialect in BY_VIEWS:
            return lambda line: [key for key in line if key == "views"]
        if dialect == "pixano" or self._options.image_key:
            return lambda line: [key for key in line if key in self._views]
        if dialect in _IMAGE_KEY:
            return lambda line: [key for key in line if key == _IMAGE_KEY[dialect]]
        return lambda line: [key for key in line if key in _IMAGE_KEYS or key == "image" or key.endswith("_file_name")]

    def reader_of(self, line: Line, where: str) -> LineReader | None:
        """What reads a line; ``None`` for a header, which is read here. Raises ``InvalidSource``."""
        if HEADER in line and not self._where:
            self.key, self._where = "views", where
            self.reader = reader = self._views_reader()
            reader.add_header(line, where)
            return None
        if (names := tuple(line)) in self._checked:
            return self.reader
        key = self._image_key(line, where)
        if self.reader is None:
            self.key, self._where = key, where
            self.reader = self._reader(key)
        elif key != self.key:
            fail(
                where,
                f"names its image by {key!r}, and {self._where} by {self.key!r}; a file has one dialect, so make two of it.",
            )
        self._checked.add(names)
        return self.reader

    def _image_key(self, line: Line, where: str) -> str:
        """The key of the image of a line. Where several views were declared, of which a line may have some, the first of them."""
        keys = self._image_keys(line)
        if not keys:
            known = self._options.image_key or (_IMAGE_KEY.get(self._options.dialect or "", ""),)
            wanted = ", ".join(map(repr, filter(None, known))) or "'file_name', 'filepath', 'views' or 'image'"
            fail(where, f"names no image: it has no {wanted}; add it, or say which key it is with image_key=….")
        if set(keys) <= set(self._views):
            return self._views[0]
        if len(keys) > 1:
            if all(key.endswith("_file_name") for key in keys):
                cure = f"choose one with image_key={keys[0]!r}"
            else:
                cure = "a line has one dialect, so rename or remove the other"
            fail(where, f"has several image keys, {' and '.join(map(repr, keys))}; {cure}.")
        return keys[0]

    def _reader(self, key: str) -> FileNameReader | QuickstartReader | ViewsReader:
        if key == "views":
            return self._views_reader()
        dialect = self._options.dialect
        is_file_name = key in ("file_name", "filepath") or key.endswith("_file_name")
        if dialect in FILE_NAME or (is_file_name and dialect is None):
            return FileNameReader(self._folder, key, self._class_keys)
        return QuickstartReader(self._folder, self._views, self._options.field, self._class_keys)

    def _views_reader(self) -> ViewsReader:
        return ViewsReader(self._folder, self._options.field, self._class_keys, self._options.dialect)
