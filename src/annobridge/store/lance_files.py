"""Lance tables of other programs, as files on disk. They are read, or made anew; nothing of a dataset of ours is in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import lance
import pyarrow as pa

_READ_AHEAD = {"batch_readahead": 2, "fragment_readahead": 1, "io_buffer_size": 8 << 20}  # small: rows may hold images
_CACHE = 48 << 20  # bytes
FileVersion = Literal["2.0", "2.1", "2.2"]
READ_ERRORS = (OSError, ValueError)  # what Lance raises for a table that is damaged


class LanceFile:
    """A table, opened at its latest version. Methods raise ``READ_ERRORS`` for one that cannot be read."""

    def __init__(self, path: Path) -> None:
        self._table: Any = lance.dataset(str(path))

    @property
    def schema(self) -> pa.Schema:
        """The columns."""
        return self._table.schema

    def __len__(self) -> int:
        return int(self._table.count_rows())

    def scan(self, columns: Sequence[str], batch_size: int) -> Iterator[pa.RecordBatch]:
        """All rows, in the order of the table."""
        yield from self._table.scanner(columns=list(columns), batch_size=batch_size, **_READ_AHEAD).to_batches()

    def take(self, rows: Sequence[int], columns: Sequence[str]) -> pa.Table:
        """Some rows, by their number in the order of the table."""
        return self._table.take(list(rows), columns=list(columns))


def create(path: Path, schema: pa.Schema, file_version: FileVersion) -> None:
    """Make an empty table. ``file_version`` is Lance's ``data_storage_version``."""
    lance.write_dataset(schema.empty_table(), str(path), mode="create", data_storage_version=file_version)


def append(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch], file_version: FileVersion) -> None:
    """Append batches to a table while they are made. An exception of the iterator is raised as it is; Lance would wrap it."""
    failed: list[Exception] = []

    def guarded() -> Iterator[pa.RecordBatch]:
        try:
            yield from batches
        except Exception as error:
            failed.append(error)
            raise

    reader = pa.RecordBatchReader.from_batches(schema, guarded())
    try:
        lance.write_dataset(
            reader, str(path), mode="append", data_storage_version=file_version, data_cache_bytes=_CACHE
        )
    except Exception:
        if failed:
            raise failed[0] from None
        raise
