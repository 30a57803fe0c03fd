"""The dialect of a file of lines, found by its first line."""

from __future__ import annotations

from typing import Any, Protocol

from ..keys import HEADER
from ..options import BY_VIEWS, FILE_NAME, Reading
from .chunk import Chunk
from .folder_files import ImageFolder
from .json_lines import Line, fail
from .line_keys import ClassKeys
from .parallel_arrays import FileNameReader, QuickstartReader
from .pixano_views import ViewsReader

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


class DialectFinder:
    """Finds the dialect by the first line, and refuses lines of another."""

    def __init__(self, folder: ImageFolder, options: Reading, class_keys: ClassKeys) -> None:
        self._folder, self._options, self._class_keys = folder, options, class_keys
        self.reader: FileNameReader | QuickstartReader | ViewsReader | None = None
        self.key = ""  # of the image
        self._where = ""  # the first line is
        self._views = options.image_key or ("image",)
        self._checked: set[tuple[str, ...]] = set()  # the keys of lines of this dialect

    def __getstate__(self) -> dict[str, Any]:
        """All but what was checked, which is not checked again."""
        return {**self.__dict__, "_checked": set()}

    def _image_keys(self, line: Line) -> list[str]:
        """Which keys of a line may name its image."""
        dialect = self._options.dialect
        if dialect in BY_VIEWS:
            return [key for key in line if key == "views"]
        if dialect == "pixano" or self._options.image_key:
            return [key for key in line if key in self._views]
        if dialect in _IMAGE_KEY:
            return [key for key in line if key == _IMAGE_KEY[dialect]]
        return [key for key in line if key in _IMAGE_KEYS or key == "image" or key.endswith("_file_name")]

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
