"""Streams of rows by name, written once and read as often as needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import pyarrow as pa

from .temporary import Spilled


class Streams(Spilled):
    """Rows by the name of their stream: ``add`` them, call ``finish``, then read.

    Args:
        schemas: the columns of each stream.

    Attributes:
        rows: how many rows each stream has.
    """

    def __init__(self, schemas: Mapping[str, pa.Schema]) -> None:
        super().__init__()
        self._schemas = dict(schemas)
        self._writers = {name: pa.ipc.new_stream(str(self._folder / name), s) for name, s in schemas.items()}
        self.rows: Counter[str] = Counter()

    def add(self, name: str, rows: pa.Table) -> None:
        """Append rows to a stream."""
        if rows.num_rows:
            self._writers[name].write_table(rows)
            self.rows[name] += rows.num_rows

    def finish(self) -> None:
        """End the writing; nothing can be added afterwards."""
        for writer in self._writers.values():
            writer.close()

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """The rows of a stream, one batch in memory at a time."""
        with pa.OSFile(str(self._folder / name)) as source:
            yield from pa.ipc.open_stream(source)

    def reader(self, name: str, schema: pa.Schema | None = None) -> pa.RecordBatchReader:
        """The rows of a stream as a reader; with ``schema``, of those columns only."""
        wanted = schema or self._schemas[name]
        return pa.RecordBatchReader.from_batches(
            wanted,
            (pa.RecordBatch.from_arrays([b[n] for n in wanted.names], schema=wanted) for b in self.batches(name)),
        )

    def table(self, name: str, limit: int | None = None) -> pa.Table:
        """The rows of a stream in memory; with ``limit``, that many of the first ones."""
        batches, count = [], 0
        for batch in self.batches(name):
            batches.append(batch)
            count += batch.num_rows
            if limit is not None and count >= limit:
                break
        table = pa.Table.from_batches(batches, self._schemas[name])
        return table if limit is None else table.slice(0, limit)
