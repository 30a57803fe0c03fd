"""Find a Pixano dataset on disk, check which version of Pixano made it, and open its tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ....exceptions import InvalidSource
from ....store.lance_files import READ_ERRORS, LanceFile

INFO, DB = "info.json", "db"
SPEC_VERSION = 2  # of Pixano 0.8. Version 1 (Pixano 0.7) differs in the tables of video files only
_BATCH, _SMALL_BATCH = 32_768, 4_096  # rows
_LONG_COLUMNS = frozenset({"counts", "content"})  # masks and texts: read in small batches


@dataclass(frozen=True, slots=True)
class DatasetFolder:
    """A dataset: its folder, and its tables as they were when it was opened."""

    path: Path
    tables: Mapping[str, LanceFile]

    def schema(self, name: str) -> pa.Schema:
        """The columns of a table; none if there is no such table."""
        return self.tables[name].schema if name in self.tables else pa.schema([])

    def count(self, name: str) -> int:
        """The number of rows of a table; 0 if there is no such table."""
        return len(self.tables[name]) if name in self.tables else 0

    def scan(self, name: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """All rows of a table, in its order; none if there is no such table."""
        if name in self.tables:
            size = _SMALL_BATCH if _LONG_COLUMNS & set(columns) else _BATCH
            try:
                yield from self.tables[name].scan(columns, size)
            except READ_ERRORS as error:
                raise unreadable(self.path, name, error) from error

    def read(self, name: str, columns: Sequence[str]) -> pa.Table:
        """A whole table, of columns that are small."""
        schema = pa.schema([self.schema(name).field(c) for c in columns])
        return pa.Table.from_batches(self.scan(name, columns), schema)


def unreadable(folder: Path, table: str, error: Exception) -> InvalidSource:
    """The error for a table that is damaged."""
    return InvalidSource(
        f"{folder / DB / table}.lance cannot be read ({str(error).splitlines()[0][:200].rstrip('.')}); "
        "restore the table from a copy, or leave the dataset out."
    )


def has_dataset(source: Path) -> bool:
    """Whether a folder is a Pixano dataset, or holds some."""
    try:
        return bool(_datasets(source))
    except OSError:
        return False


def open_dataset(source: Path) -> DatasetFolder:
    """The dataset in ``source``, which may also be a library, or the folder of a server, that holds just one.

    Raises:
        InvalidSource: there is none, there are several, or it is of another version of Pixano, or damaged.
    """
    found = _datasets(source)
    if not found:
        raise InvalidSource(
            f"{source} holds no Pixano dataset, which is a folder with {INFO} and {DB}/*.lance; "
            "give the folder of a dataset, as library/<name>."
        )
    if len(found) > 1:
        names = ", ".join(f.name for f in found)
        raise InvalidSource(f"{source} holds {len(found)} Pixano datasets ({names}); give the folder of one of them.")
    return _opened(found[0])


def _datasets(source: Path) -> list[Path]:
    for folders in ([source], sorted(source.glob("*")), sorted(source.glob("library/*"))):
        if found := [f for f in folders if not f.name.startswith(".") and _is_dataset(f)]:
            return found
    return []


def _is_dataset(folder: Path) -> bool:
    return (folder / INFO).is_file() and next((folder / DB).glob("*.lance"), None) is not None


def _opened(folder: Path) -> DatasetFolder:
    try:
        info: Any = json.loads((folder / INFO).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidSource(f"{folder / INFO} cannot be read: {error}; restore it from a copy.") from error
    paths = {p.stem: p for p in sorted((folder / DB).glob("*.lance"))}
    if not isinstance(info, Mapping) or "records" not in paths:
        raise InvalidSource(
            f"{folder} is a Pixano dataset of the item generation (Pixano 0.6 and what came before 0.7; its tables are "
            f"{', '.join(paths)}), and annobridge reads those of Pixano 0.7 and 0.8; "
            "import the folder of images and metadata.jsonl that it was made from."
        )
    if (spec := info.get("spec_version", 1)) not in range(1, SPEC_VERSION + 1):
        raise InvalidSource(
            f"{folder} is a Pixano dataset of layout {spec}, which is newer than Pixano 0.8 (layout {SPEC_VERSION}); "
            "export it from its Pixano in a format that annobridge reads."
        )
    tables = {}
    for name, path in paths.items():
        try:
            tables[name] = LanceFile(path)
        except READ_ERRORS as error:
            raise unreadable(folder, name, error) from error
    return DatasetFolder(folder, tables)
