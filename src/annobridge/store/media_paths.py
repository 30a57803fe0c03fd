"""How the paths of media are stored: those inside the folder of the dataset relative to it, so that the folder can be moved.

The file ``/data/ds.lancedb/media/0.png`` of the dataset ``/data/ds.lancedb`` is stored as ``dataset://media/0.png``, and in object
stores likewise. What follows the prefix is the name of the file, without escapes of URIs as ``%20``, so that a dataset can be
copied between a disk and an object store; whole URIs of object stores have ``%25`` for a percent sign. The prefix tells such paths
from relative paths that users gave, which are relative to the current folder. The store of samples translates at its border:
whatever is read from it has the whole path, also in SQL conditions.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array
from ..core.path_prefix import unescaped
from ..exceptions import StoreError
from .remote import is_uri, local_path
from .tables import Database, quote

IN_DATASET = "dataset://"
_UPWARDS = r"(^|/)\.\.(/|$)"
_UP = re.compile(r"(^|[/\\])\.\.([/\\]|$)")
_ODD = r"^(?i:file)://|^[^:]*(//|(^|/)\.{1,2}/)" if os.sep == "/" else r"^(?i:file)://|(^|[/\\])\.{1,2}[/\\]"
_ABSOLUTE = r"^/|://" if os.sep == "/" else r"^[/\\]|^[A-Za-z]:|://"
# A text in quotes, which stays as it is, or the name of the column, also in backticks.
_TEXT_OR_COLUMN = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|(?<![.\w`])(?:`filepath`|filepath)(?![\w.`])""", re.IGNORECASE
)

Paths = TypeVar("Paths", pa.Array, pa.ChunkedArray)


class MediaPaths:
    """Translates the paths of media of a dataset.

    >>> paths = MediaPaths(Database("/data/ds.lancedb"))
    >>> paths.stored(pa.array(["/data/ds.lancedb/media/0.png", "/photos/1.png"])).to_pylist()
    ['dataset://media/0.png', '/photos/1.png']
    >>> paths.whole(pa.array(["dataset://media/0.png", "1.png"])).to_pylist()
    ['/data/ds.lancedb/media/0.png', '1.png']
    """

    def __init__(self, database: Database) -> None:
        self._root = absolute(database.uri)
        # The whole path in SQL, where a percent sign in the name of a file in an object store stays as it is.
        self._column = f"replace(`filepath`, {quote(IN_DATASET)}, {quote(f'{self._root}/')})"
        self._roots = list(dict.fromkeys([self._root, *map(_resolved, (database.uri, database.place))]))

    def stored(self, paths: Paths) -> Paths:
        """Paths as they are stored. A path that is stored stays as it is."""
        if not is_uri(self._root):
            paths = self._normalised(paths)
        for root in self._prefixes():
            inside = pc.starts_with(paths, root)
            if not pc.any(inside).as_py():
                continue
            rest = pc.utf8_slice_codeunits(paths, len(root))
            if is_uri(root):
                rest = unescaped(rest)
            elif os.sep == "\\":
                rest = pc.replace_substring(rest, "\\", "/")
            inside = pc.and_(inside, pc.invert(pc.match_substring_regex(rest, _UPWARDS)))
            paths = pc.if_else(inside, pc.binary_join_element_wise(IN_DATASET, rest, ""), paths)
        return paths

    def _normalised(self, paths: Paths) -> Paths:
        """Paths with those into the dataset that are spelled in another way in the plain one."""
        odd = pc.match_substring_regex(paths, _ODD)
        if self._holds_current_folder():
            odd = pc.or_(odd, pc.invert(pc.match_substring_regex(paths, _ABSOLUTE)))
        chosen = pc.fill_null(odd, False)
        if not pc.any(chosen).as_py():
            return paths
        plain = [self._plain(place) for place in paths.filter(chosen).to_pylist()]
        return pc.replace_with_mask(as_array(paths), as_array(chosen), pa.array(plain, pa.string()))

    def _holds_current_folder(self) -> bool:
        try:
            here = os.getcwd()
        except OSError:  # it is gone
            return False
        return any(f"{here}{os.sep}".startswith(f"{root}{os.sep}") for root in self._roots)

    def _plain(self, place: str) -> str:
        """A path without ``.`` and ``..`` from the root of the disk, if it leads into the dataset; else as it is."""
        try:
            path = str(local_path(place) or "")
            plain = re.sub(r"^//", "/", os.path.abspath(path)) if os.sep == "/" else os.path.abspath(path)
            if not plain.startswith(tuple(f"{root}{os.sep}" for root in self._roots)):
                return place
            if _UP.search(path) and os.path.realpath(path) != os.path.realpath(plain):  # upwards from a link
                return place
        except (OSError, ValueError):
            return place
        return plain

    def whole(self, stored: Paths) -> Paths:
        """Stored paths as everything but the table has them."""
        inside = pc.starts_with(stored, IN_DATASET)
        if not pc.any(inside).as_py():
            return stored
        rest = pc.utf8_slice_codeunits(stored, len(IN_DATASET))
        if is_uri(self._root):
            rest = pc.replace_substring(rest, "%", "%25")
        return pc.if_else(inside, pc.binary_join_element_wise(f"{self._root}/", rest, ""), stored)

    def whole_column(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Rows with whole paths in ``filepath``, if they have this column."""
        at = batch.schema.get_field_index("filepath")
        return batch if at < 0 else batch.set_column(at, batch.schema.field(at), self.whole(batch.column(at)))

    def expression(self, sql: str) -> str:
        """An SQL expression in which ``filepath`` is the whole path."""
        return _TEXT_OR_COLUMN.sub(lambda found: found[0] if found[0][0] in "'\"" else self._column, sql)

    def explained(self, error: StoreError, sql: str) -> StoreError:
        """An error about an expression that ``expression`` made, with the one that was given."""
        text = str(error).replace(repr(self.expression(sql)), repr(sql))
        return StoreError(text.replace(self._column, "filepath"))

    def _prefixes(self) -> list[str]:
        """The ways in which a path can begin that leads into the dataset."""
        found = [f"{root}{'/' if is_uri(root) else os.sep}" for root in self._roots]
        if os.sep == "\\":
            found += [root.replace("\\", "/") for root in found if not is_uri(root)]
        with suppress(OSError, ValueError):  # the current folder is gone, or on another drive
            relative = os.curdir if is_uri(self._root) else os.path.relpath(self._root)
            if relative != os.curdir and not relative.startswith(os.pardir):
                found.append(f"{relative}{os.sep}")
        return found


def absolute(place: str) -> str:
    """The place of a dataset as its whole paths begin."""
    return place.rstrip("/") if is_uri(place) else os.path.abspath(place)


def _resolved(place: str) -> str:
    return absolute(place) if is_uri(place) else os.path.realpath(place)
