"""Rows as an Arrow stream, which pandas, polars, duckdb and pyarrow read directly."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from ..display import html
from ..exceptions import ConfigError

_SHOWN = 10  # rows, in a notebook
_COUNTED = 100_000  # up to so many rows are counted


class ArrowStream:
    """Rows of a table in bounded memory. Each call reads them again.

    >>> import pyarrow as pa
    >>> rows = ArrowStream(pa.schema([("n", pa.int64())]), lambda: iter([pa.record_batch({"n": [1, 2]})]))
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

    def to_pandas(self, **options: Any) -> Any:
        """All rows as a ``pandas.DataFrame``; ``options`` are those of ``pyarrow.Table.to_pandas``."""
        _require("pandas")
        return self.to_arrow().to_pandas(**options)

    def to_polars(self) -> Any:
        """All rows as a ``polars.DataFrame``; ``.lazy()`` makes a query of it."""
        return _require("polars").from_arrow(self.to_arrow())

    def to_pylist(self) -> list[dict[str, Any]]:
        """All rows as dictionaries; for few rows."""
        rows: list[dict[str, Any]] = self.to_arrow().to_pylist()
        return rows

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The Arrow stream interface."""
        return self.to_reader().__arrow_c_stream__(requested_schema)

    def _repr_html_(self) -> str:
        first: list[dict[str, Any]] = []
        count = 0
        for batch in self._batches():
            first += batch.slice(0, _SHOWN - len(first)).to_pylist()
            count += batch.num_rows
            if count > _COUNTED:
                break
        total = f"more than {_COUNTED:,} rows" if count > _COUNTED else f"{count:,} rows"
        names = self.schema.names
        return html.titled(total, html.table(names, ([row[name] for name in names] for row in first)))

    def __repr__(self) -> str:
        return f"Rows({', '.join(self.schema.names)})"


def _require(library: str) -> Any:
    """Import an optional library. Raises ``ConfigError`` if it is not installed."""
    try:
        return importlib.import_module(library)
    except ImportError:
        raise ConfigError(
            f"{library} is not installed; run: pip install {library} (or take the rows as Arrow with to_arrow())."
        ) from None
