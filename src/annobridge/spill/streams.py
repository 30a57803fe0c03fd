"""Streams of rows by name, written once and read as often as needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import pyarrow as pa

from .temporary import Spilled

_ROWS_PER_BATCH = 16_384  # a reader holds one batch


class Folder(Protocol):
    """Where files of rows are kept.

    Attributes:
        alone: stream → columns that are stored once more in a file of their own, as they are read without the others, and reading
            a file costs what all of it costs.
    """

    @property
    def alone(self) -> Mapping[str, Sequence[str]]: ...

    def sink(self, name: str) -> pa.NativeFile:
        """Write a file; ``store`` ends that."""
        ...

    def store(self, name: str, sink: pa.NativeFile) -> str:
        """End the writing of a file; returns the name for ``source``."""
        ...

    def source(self, name: str) -> pa.NativeFile:
        """Read a file."""
        ...


@dataclass(frozen=True)
class DiskFolder:
    """A folder of this machine."""

    path: Path
    alone: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def sink(self, name: str) -> pa.NativeFile:
        """See ``Folder``."""
        return pa.OSFile(str(self.path / name), "wb")

    def store(self, name: str, sink: pa.NativeFile) -> str:
        """See ``Folder``."""
        sink.close()
        return name

    def source(self, name: str) -> pa.NativeFile:
        """See ``Folder``."""
        return pa.OSFile(str(self.path / name))


class Part(NamedTuple):
    """What one writer has added to the streams of a folder."""

    folder: Folder
    files: Mapping[str, str]  # name of the stream, or of its ``alone`` columns → name of the file
    rows: Counter[str]


def alone(stream: str) -> str:
    """The name of the stream that has the ``alone`` columns of another."""
    return f"{stream}-alone"


class StreamWriter:
    """Writes rows by the name of their stream, into files of its own; writers in other processes may use the same folder.

    Args:
        folder: where the files are.
        schemas: the columns of each stream.
        name: of this writer, which no other one of the folder has.

    Attributes:
        rows: how many rows each stream has.
    """

    def __init__(self, folder: Folder, schemas: Mapping[str, pa.Schema], name: str) -> None:
        self._folder, self._schemas, self._name = folder, schemas, name
        self._writers: dict[str, tuple[pa.NativeFile, pa.ipc.RecordBatchStreamWriter]] = {}
        self.rows: Counter[str] = Counter()

    def add(self, stream: str, rows: pa.Table) -> None:
        """Append rows to a stream."""
        if not rows.num_rows:
            return
        self._write(stream, rows, self._schemas[stream])
        if columns := self._folder.alone.get(stream):
            self._write(alone(stream), rows.select(columns), _only(self._schemas[stream], columns))
        self.rows[stream] += rows.num_rows

    def _write(self, stream: str, rows: pa.Table, schema: pa.Schema) -> None:
        if stream not in self._writers:
            sink = self._folder.sink(self._file(stream))
            self._writers[stream] = sink, pa.ipc.new_stream(sink, schema)
        self._writers[stream][1].write_table(rows, _ROWS_PER_BATCH)

    def finish(self) -> Part:
        """End the writing; nothing can be added afterwards."""
        files = {}
        for stream, (sink, writer) in self._writers.items():
            writer.close()
            files[stream] = self._folder.store(self._file(stream), sink)
        return Part(self._folder, files, self.rows)

    def _file(self, stream: str) -> str:
        return f"{stream}.{self._name}"


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
        self.folder = DiskFolder(self._folder)  # other writers may write parts there
        self._writer = StreamWriter(self.folder, self.schemas, "rows")
        self.parts: list[Part] = []
        self.rows: Counter[str] = Counter()

    def add(self, name: str, rows: pa.Table) -> None:
        """Append rows to a stream."""
        self._writer.add(name, rows)
        self.rows[name] += rows.num_rows

    def finish(self) -> None:
        """End the writing with ``add``."""
        self.parts.append(self._writer.finish())

    def include(self, part: Part) -> None:
        """Append the rows of another writer."""
        self.parts.append(part)
        self.rows.update(part.rows)

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """The rows of a stream, one batch in memory at a time."""
        yield from batches(self.parts, name)

    def columns(self, name: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of a stream, one batch in memory at a time."""
        for part in self.parts:
            is_alone = set(columns) <= set(part.folder.alone.get(name, ()))
            for batch in batches([part], alone(name) if is_alone else name):
                yield batch.select(columns)

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


def batches(parts: Iterable[Part], name: str) -> Iterator[pa.RecordBatch]:
    """The rows of a stream in some parts, one batch in memory at a time."""
    for part in parts:
        if (file := part.files.get(name)) is not None:
            with part.folder.source(file) as source:
                yield from pa.ipc.open_stream(source)


def _only(schema: pa.Schema, columns: Sequence[str]) -> pa.Schema:
    return pa.schema([schema.field(name) for name in columns])
