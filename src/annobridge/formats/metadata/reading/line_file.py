"""Read: one file of lines, its dialect found over all of them, kept on disk as tables."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ....spill.tables import Tables
from ..keys import HEADER
from ..options import BY_VIEWS, FILE_NAME, Reading
from . import json_lines as lines
from .boxes import Units
from .chunk import LINES, Chunk
from .folder_files import ImageFolder
from .json_lines import Line, fail
from .line_keys import ClassKeys
from .parallel_arrays import FileNameReader, QuickstartReader
from .pixano_views import ViewsReader
from .value_types import ValueTypes

_IMAGE_KEYS = ("file_name", "filepath", "views")
_IMAGE_KEY = {"file_name": "file_name", "opsml": "file_name", "opsml2": "filepath"}


class LineReader(Protocol):
    """What reads the lines of one dialect."""

    title: str

    @property
    def pixels(self) -> bool:
        """Whether boxes that do not say so are in pixels, whatever they look like."""
        ...

    def take(self, line: Line, number: int, where: str, chunk: Chunk) -> None:
        """Put what a line says into a chunk."""
        ...

    def done(self) -> list[str]:
        """What to tell at the end of the file."""
        ...


@dataclass
class LineFile:
    """What is known of a file once its lines were read. A chunk is its samples and its labels by field, in ``tables``."""

    folder: ImageFolder
    path: Path
    title: str = ""
    unit: int = 0
    units: Units = field(default_factory=Units)
    chunks: list[tuple[int, list[tuple[str, int]]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def place(self, number: int) -> str:
        """How a sentence calls a line."""
        return lines.location(self.path, number)


def read_line_file(
    folder: ImageFolder,
    path: Path,
    options: Reading,
    kinds: ValueTypes,
    keys: ClassKeys,
    tables: Tables,
    given: Iterable[tuple[int, Line]] | None = None,
) -> LineFile:
    """Read the lines of a folder's file, or those that are given. Raises ``InvalidSource``."""
    file, finder = LineFile(folder, path), _DialectFinder(folder, options, keys)
    with _without_gc():
        chunk = Chunk(path, kinds)
        for number, line in given if given is not None else lines.read_lines(path):
            where = file.place(number)
            if (reader := finder.reader(line, where)) is None:
                continue
            reader.take(line, number, where, chunk)
            if len(chunk.images) >= LINES:
                _spill(chunk, file, tables)
                chunk = Chunk(path, kinds)
        if chunk.images:
            _spill(chunk, file, tables)
    if (last := finder.found) is not None:
        file.title = last.title.format(finder.key)
        file.notes = last.done()
        file.unit = file.units.settle(last.pixels, options.coordinates, file.place)
    return file


@contextmanager
def _without_gc() -> Iterator[None]:
    """Without the search for cycles, of which JSON has none, and which a third of the time would go into."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _spill(chunk: Chunk, file: LineFile, tables: Tables) -> None:
    samples = tables.add(chunk.samples())
    file.chunks.append((samples, [(name, tables.add(table)) for name, table in chunk.fragments(file.units)]))


class _DialectFinder:
    """Finds the dialect by the first line, and holds all others to it."""

    def __init__(self, folder: ImageFolder, options: Reading, keys: ClassKeys) -> None:
        self._folder, self._options, self._class_keys = folder, options, keys
        self.found: FileNameReader | QuickstartReader | ViewsReader | None = None
        self.key = ""
        self._where = ""
        self._views = options.image_key or ("image",)
        self._keys = self._candidates()
        self._known: set[tuple[str, ...]] = set()  # sets of keys that were found right

    def _candidates(self) -> Callable[[Line], list[str]]:
        """The keys of a line that may name its image."""
        told, forced = self._options.image_key, self._options.dialect
        if forced in BY_VIEWS:
            return lambda line: [key for key in line if key == "views"]
        if forced == "pixano" or told:
            return lambda line: [key for key in line if key in self._views]
        if forced in _IMAGE_KEY:
            return lambda line: [key for key in line if key == _IMAGE_KEY[forced]]
        return lambda line: [key for key in line if key in _IMAGE_KEYS or key == "image" or key.endswith("_file_name")]

    def reader(self, line: Line, where: str) -> LineReader | None:
        """What reads this line; ``None`` for a header."""
        if HEADER in line and not self._where:
            self.found = ViewsReader(self._folder, self._options.field, self._class_keys, self._options.dialect)
            self.key = "views"
            self.found.header(line, where)
            self._where = where
            return None
        if (names := tuple(line)) in self._known:
            return self.found
        key = self._key(line, where)
        if self.found is None:
            self.key, self._where = key, where
            self.found = self._made(key)
        elif key != self.key:
            fail(
                where,
                f"names its image by {key!r}, and {self._where} by {self.key!r}; a file has one dialect, so make two of it.",
            )
        self._known.add(names)
        return self.found

    def _key(self, line: Line, where: str) -> str:
        keys = self._keys(line)
        if not keys:
            known = self._options.image_key or (_IMAGE_KEY.get(self._options.dialect or "", ""),)
            wanted = ", ".join(map(repr, filter(None, known))) or "'file_name', 'filepath', 'views' or 'image'"
            fail(where, f"names no image: it has no {wanted}; add it, or say which key it is with image_key=….")
        if len(keys) > 1 and not (set(keys) <= set(self._views)):
            if all(key.endswith("_file_name") for key in keys):
                cure = f"choose one with image_key={keys[0]!r}"
            else:
                cure = "a line has one dialect, so rename or remove the other"
            fail(where, f"has several image keys, {' and '.join(map(repr, keys))}; {cure}.")
        return keys[0] if len(keys) == 1 and keys[0] not in self._views else self._views_or(keys)

    def _views_or(self, keys: list[str]) -> str:
        """One name for lines of which some have fewer of the views that were declared."""
        return self._views[0] if set(keys) <= set(self._views) else keys[0]

    def _made(self, key: str) -> FileNameReader | QuickstartReader | ViewsReader:
        options = self._options
        if key == "views":
            return ViewsReader(self._folder, options.field, self._class_keys, options.dialect)
        named = key in ("file_name", "filepath") or key.endswith("_file_name")
        if options.dialect in FILE_NAME or (named and options.dialect is None):
            return FileNameReader(self._folder, key, self._class_keys)
        return QuickstartReader(self._folder, self._views, options.field, self._class_keys)
