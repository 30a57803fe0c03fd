"""Tables by number, each with its own columns."""

from __future__ import annotations

import os

import pyarrow as pa

from .temporary import Spilled


class Tables(Spilled):
    """Tables with any columns: ``add`` returns a number, ``get`` the table with that number.

    >>> with Tables() as tables:
    ...     number = tables.add(pa.table({"n": [1]}))
    ...     tables.get(number)["n"].to_pylist()
    [1]
    """

    def __init__(self) -> None:
        super().__init__()
        self._path = self._folder / "tables"
        self._file = pa.OSFile(str(self._path), "wb")
        self._offsets: list[int] = []

    def add(self, table: pa.Table) -> int:
        """Write a table; returns its number."""
        self._offsets.append(self._file.tell())
        with pa.ipc.new_stream(self._file, table.schema) as writer:
            writer.write_table(table)
        return len(self._offsets) - 1

    def get(self, number: int) -> pa.Table:
        """Read a table that was added."""
        self._file.flush()
        with pa.OSFile(os.fspath(self._path)) as file:
            file.seek(self._offsets[number])
            return pa.ipc.open_stream(file).read_all()
