"""Rows of a stream of batches, as many at a time as are asked for."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa


class RowStream:
    """Rows that are taken in order.

    >>> schema = pa.schema([("n", pa.int64())])
    >>> rows = RowStream(pa.table({"n": [1, 2, 3]}, schema).to_batches(max_chunksize=2), schema)
    >>> rows.take(1)["n"].to_pylist(), rows.take(5)["n"].to_pylist()
    ([1], [2, 3])
    """

    def __init__(self, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> None:
        self._batches, self._left = iter(batches), schema.empty_table()

    def take(self, count: int) -> pa.Table:
        """The next rows; fewer at the end."""
        while self._left.num_rows < count and (batch := next(self._batches, None)) is not None:
            self._left = pa.concat_tables([self._left, pa.Table.from_batches([batch])])
        some, self._left = self._left.slice(0, count), self._left.slice(count)
        return some
