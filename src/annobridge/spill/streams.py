"""Streams of rows by name, written once and read as often as needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from .temporary import Spilled


class Part(NamedTuple):
    """What one writer has added to the streams of a folder."""

    files: Mapping[str, str]  # name of the stream → path of the file
    rows: Counter[str]


class StreamWriter:
    """Writes rows by the name of their stream, into files of its own; writers in other processes may use the same folder.

    Args:
        folder: where the files are.
        schemas: the columns of each stream.
        name: of this writer, which no other one of the folder has.

    Attributes:
        rows: how many rows each stream has.
    """

    def __init__(self, folder: Path, schemas: Mapping[str, pa.Schema], name: str) -> None:
        self._folder, self._schemas, self._name = folder, schemas, name
        self._writers: dict[str, pa.ipc.RecordBatchStreamWriter] = {}
        self.rows: Counter[str] = Counter()

    def add(self, stream: str, rows: pa.Table) -> None:
        """Append rows to a stream."""
        if not rows.num_rows:
            return
        if stream not in self._writers:
            self._writers[stream] = pa.ipc.new_stream(self._path(stream), self._schemas[stream])
        self._writers[stream].write_table(rows)
        self.rows[stream] += rows.num_rows

    def finish(self) -> Part:
        """End the writing; nothing can be added afterwards."""
        for writer in self._writers.values():
            writer.close()
        return Part({stream: self._path(stream) for stream in self._writers}, self.rows)

    def _path(self, stream: str) -> str:
        return str(self._folder / f"{stream}.{self._name}")


class Streams(Spilled):
    """Rows by the name of their stream: ``add`` them, call ``finish``, then read.

    Args:
        schemas: the columns of each stream.

    Attributes:
        rows: how many rows each stream has.
    """

    def __init__(self, schemas: Mapping[str, pa.Schema]) -> None:
        super().__init__()
        self.schemas = dict(schemas)
        self._files: dict[str, list[str]] = {name: [] for name in schemas}
        self._writer = StreamWriter(self._folder, self.schemas, "rows")
        self.rows: Counter[str] = Counter()

    def add(self, name: str, rows: pa.Table) -> None:
        """Append rows to a stream."""
        self._writer.add(name, rows)
        self.rows[name] += rows.num_rows

    def finish(self) -> None:
        """End the writing with ``add``."""
        for name, path in self._writer.finish().files.items():
            self._files[name].append(path)

    def include(self, part: Part) -> None:
        """Append the rows of another writer of ``folder``."""
        for name, path in part.files.items():
            self._files[name].append(path)
        self.rows.update(part.rows)

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """The rows of a stream, one batch in memory at a time."""
        for path in self._files[name]:
            with pa.OSFile(path) as source:
                yield from pa.ipc.open_stream(source)

    def reader(self, name: str, schema: pa.Schema | None = None) -> pa.RecordBatchReader:
        """The rows of a stream as a reader; with ``schema``, of those columns only."""
        wanted = schema or self.schemas[name]
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
        table = pa.Table.from_batches(batches, self.schemas[name])
        return table if limit is None else table.slice(0, limit)
