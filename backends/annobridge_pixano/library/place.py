"""Where a Pixano dataset lies, of which generation it is, and its tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lance
import pyarrow as pa

from annobridge.exceptions import InvalidSource

INFO, DB = "info.json", "db"
SPEC = 2  # of the layout on disk; 1 (Pixano 0.7) differs in the tables of video files only
_SCAN = {"batch_readahead": 2, "fragment_readahead": 1, "io_buffer_size": 8 << 20}
_MANY, _FEW = 32_768, 4_096  # rows at once; of masks and texts, which may be long, few
_LONG = frozenset({"counts", "content"})


@dataclass(frozen=True, slots=True)
class Place:
    """A dataset's folder, what its ``info.json`` says, and its tables as they were when it was opened."""

    folder: Path
    info: Mapping[str, Any]
    tables: Mapping[str, Any]

    def schema(self, name: str) -> pa.Schema:
        """The columns of a table; none if there is no such table."""
        return self.tables[name].schema if name in self.tables else pa.schema([])

    def count(self, name: str) -> int:
        """How many rows a table has."""
        return int(self.tables[name].count_rows()) if name in self.tables else 0

    def scan(self, name: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Stream rows, in the order of the table."""
        if name in self.tables:
            size = _FEW if _LONG & set(columns) else _MANY
            try:
                yield from self.tables[name].scanner(columns=list(columns), batch_size=size, **_SCAN).to_batches()
            except (OSError, ValueError) as error:
                raise self.damaged(name, error) from error

    def read(self, name: str, columns: Sequence[str]) -> pa.Table:
        """A whole table, of columns that are known to be small."""
        schema = pa.schema([self.schema(name).field(c) for c in columns])
        return pa.Table.from_batches(self.scan(name, columns), schema)

    def damaged(self, name: str, error: Exception) -> InvalidSource:
        """A table that cannot be read."""
        return InvalidSource(
            f"{self.folder / DB / name}.lance cannot be read ({str(error).splitlines()[0][:200].rstrip('.')}); "
            "restore the table from a copy, or leave the dataset out."
        )


def recognises(source: Path) -> bool:
    """Whether there is a Pixano dataset, or a library of them."""
    try:
        return bool(_datasets(source))
    except OSError:
        return False


def find(source: Path) -> Place:
    """The one dataset at ``source``: its folder, or a library (or the folder of a server) that holds just one."""
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


def _opened(folder: Path) -> Place:
    try:
        info = json.loads((folder / INFO).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidSource(f"{folder / INFO} cannot be read: {error}; restore it from a copy.") from error
    paths = {p.stem: p for p in sorted((folder / DB).glob("*.lance"))}
    if not isinstance(info, Mapping) or "records" not in paths:
        raise InvalidSource(
            f"{folder} is a Pixano dataset of the item generation (Pixano 0.6 and what came before 0.7; its tables are "
            f"{', '.join(paths)}), and annobridge reads those of Pixano 0.7 and 0.8; "
            "import the folder of images and metadata.jsonl that it was made from."
        )
    if (spec := info.get("spec_version", 1)) not in range(1, SPEC + 1):
        raise InvalidSource(
            f"{folder} is a Pixano dataset of layout {spec}, which is newer than Pixano 0.8 (layout {SPEC}); "
            "export it from its Pixano in a format that annobridge reads."
        )
    place = Place(folder, info, {})
    tables = {}
    for name, path in paths.items():
        try:
            tables[name] = lance.dataset(str(path))
        except (OSError, ValueError) as error:
            raise place.damaged(name, error) from error
    return Place(folder, info, tables)
