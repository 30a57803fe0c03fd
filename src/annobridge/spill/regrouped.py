"""Regroup: tables that are in no order, by the part that each row belongs to; on disk, one part in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from . import temporary
from .groups import Groups


class GroupedStreams:
    """Streams of rows by name. They lie in a temporary folder, which goes with the ``with`` block."""

    def __init__(self) -> None:
        self._folder = temporary.make()
        self._streams: dict[str, Groups] = {}

    def __enter__(self) -> GroupedStreams:
        return self

    def __exit__(self, *_: object) -> None:
        self._streams.clear()
        temporary.remove(self._folder)

    def put(self, name: str, schema: pa.Schema, rows: Iterable[tuple[pa.RecordBatch, np.ndarray]]) -> None:
        """Take a whole stream: batches, and the part of each of their rows; those of a negative part are left out."""
        self._streams[name] = stream = Groups(schema, self._folder)
        for batch, parts in rows:
            stream.feed(batch, parts)

    def get(self, name: str, part: int) -> pa.Table:
        """The rows of one part, in the order in which they came."""
        return self._streams[name].get(part)
