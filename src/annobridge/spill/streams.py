"""Spool: the parts of a plan, on disk, so that a plan of a million changes takes no memory."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterator, Mapping

import pyarrow as pa

from . import temporary


class Streams:
    """Named streams of Arrow rows: ``add`` while a plan is made, then read as often as needed."""

    def __init__(self, schemas: Mapping[str, pa.Schema]) -> None:
        self._folder = temporary.make()
        self._schemas = dict(schemas)
        self._writers = {n: pa.ipc.new_stream(str(self._folder / n), s) for n, s in schemas.items()}
        self.rows: Counter[str] = Counter()
        # Not TemporaryDirectory: it warns when it is collected, and a plan has no natural end.
        self._remove = weakref.finalize(self, temporary.remove, self._folder)

    def add(self, name: str, rows: pa.Table) -> None:
        """Append rows to a stream."""
        if rows.num_rows:
            self._writers[name].write_table(rows)
            self.rows[name] += rows.num_rows

    def done(self) -> None:
        """No more rows will come."""
        for writer in self._writers.values():
            writer.close()

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """The rows of a stream, one batch in memory at a time."""
        with pa.OSFile(str(self._folder / name)) as source:
            yield from pa.ipc.open_stream(source)

    def reader(self, name: str, schema: pa.Schema | None = None) -> pa.RecordBatchReader:
        """The rows of a stream as a reader, of all its columns or those of ``schema``."""
        wanted = schema or self._schemas[name]
        return pa.RecordBatchReader.from_batches(
            wanted,
            (pa.RecordBatch.from_arrays([b[n] for n in wanted.names], schema=wanted) for b in self.batches(name)),
        )

    def table(self, name: str, limit: int | None = None) -> pa.Table:
        """The rows of a stream, or the first of them."""
        parts, count = [], 0
        for batch in self.batches(name):
            parts.append(batch)
            count += batch.num_rows
            if limit is not None and count >= limit:
                break
        table = pa.Table.from_batches(parts, self._schemas[name])
        return table if limit is None else table.slice(0, limit)

    def close(self) -> None:
        """Remove it from the disk."""
        self._remove()
