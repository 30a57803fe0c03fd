"""Shelf: tables put by on disk while a source is looked at, so that a file of a million labels takes no memory."""

from __future__ import annotations

import os
import weakref

import pyarrow as pa

from . import temporary


class Tables:
    """Tables of any columns: ``add`` gives a number, ``get`` the table of that number.

    >>> shelf = Shelf()
    >>> shelf.get(shelf.add(pa.table({"n": [1]})))["n"].to_pylist()
    [1]
    """

    def __init__(self) -> None:
        folder = temporary.make()
        self._remove = weakref.finalize(self, temporary.remove, folder)
        self._path = folder / "tables"
        self._sink = pa.OSFile(str(self._path), "wb")
        self._starts: list[int] = []

    def add(self, table: pa.Table) -> int:
        """Put a table by."""
        self._starts.append(self._sink.tell())
        with pa.ipc.new_stream(self._sink, table.schema) as writer:
            writer.write_table(table)
        return len(self._starts) - 1

    def get(self, number: int) -> pa.Table:
        """A table that was put by."""
        self._sink.flush()
        with pa.OSFile(os.fspath(self._path)) as file:
            file.seek(self._starts[number])
            return pa.ipc.open_stream(file).read_all()
