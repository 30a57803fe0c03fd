"""Rows on their way out: a stream that pandas, polars, duckdb and pyarrow take as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa


class Rows:
    """Rows of a table, read anew each time they are asked for, in bounded memory.

    >>> import pyarrow as pa
    >>> rows = Rows(pa.schema([("n", pa.int64())]), lambda: iter([pa.record_batch({"n": [1, 2]})]))
    >>> pa.table(rows).num_rows
    2
    """

    def __init__(self, schema: pa.Schema, batches: Callable[[], Iterator[pa.RecordBatch]]) -> None:
        self.schema = schema
        self._batches = batches

    def to_reader(self) -> pa.RecordBatchReader:
        """A stream of batches."""
        return pa.RecordBatchReader.from_batches(self.schema, self._batches())

    def to_arrow(self) -> pa.Table:
        """All rows in memory."""
        return self.to_reader().read_all()

    def to_pylist(self) -> list[dict[str, Any]]:
        """All rows as dictionaries; for looking at a few."""
        rows: list[dict[str, Any]] = self.to_arrow().to_pylist()
        return rows

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The Arrow stream interface."""
        return self.to_reader().__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        return f"Rows({', '.join(self.schema.names)})"
