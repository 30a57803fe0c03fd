"""Rows regrouped on disk, so that one group is in memory at a time and never the whole."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import numpy as np
import pyarrow as pa

from .temporary import Spilled

_CHUNK = 65_536  # rows that are buffered before they are sorted by group and written


class Groups(Spilled):
    """Rows by the number of their group: ``add`` batches in any order, then ``get`` one group after another.

    Args:
        schema: the columns of the rows.
    """

    def __init__(self, schema: pa.Schema) -> None:
        super().__init__()
        self.schema = schema
        self._path = str(self._folder / "rows")
        self._writer = pa.ipc.new_file(self._path, schema)
        self._batches: dict[int, list[int]] = defaultdict(list)  # of each group, the numbers of its batches in the file
        self._written = 0
        self._last = 0  # the last group of rows that came in order
        self._buffer: list[tuple[pa.RecordBatch, np.ndarray]] = []
        self._buffered = 0
        self._reader: pa.ipc.RecordBatchFileReader | None = None

    def add(self, batch: pa.RecordBatch, groups: np.ndarray) -> None:
        """Take rows, with the group of each; rows of a negative group are left out."""
        keep = groups >= 0
        if not keep.all():
            batch, groups = batch.filter(pa.array(keep)), groups[keep]
        if not batch.num_rows:
            return
        if not self._buffer and groups[0] >= self._last and (np.diff(groups) >= 0).all():
            self._write(batch, groups)  # as most sources have their rows: in the order of the groups
            self._last = int(groups[-1])
            return
        self._buffer.append((batch, groups))
        self._buffered += batch.num_rows
        if self._buffered >= _CHUNK:
            self._flush()

    def _flush(self) -> None:
        """Write what is buffered, sorted by group."""
        if self._buffer:
            groups = np.concatenate([g for _, g in self._buffer])
            order = np.argsort(groups, kind="stable")
            rows = pa.Table.from_batches([b for b, _ in self._buffer]).take(pa.array(order)).combine_chunks()
            self._buffer, self._buffered = [], 0
            self._write(rows.to_batches()[0], groups[order])

    def _write(self, batch: pa.RecordBatch, groups: np.ndarray) -> None:
        starts = np.concatenate([[0], np.flatnonzero(np.diff(groups)) + 1, [len(groups)]])
        for start, end in pairwise(starts):
            self._writer.write_batch(batch.slice(start, end - start))
            self._batches[int(groups[start])].append(self._written)
            self._written += 1

    def get(self, group: int) -> pa.Table:
        """The rows of a group, in the order in which they were added. Nothing can be added after the first call."""
        if self._reader is None:
            self._flush()
            self._writer.close()
            self._reader = pa.ipc.open_file(pa.OSFile(self._path))
        batches = [self._reader.get_batch(number) for number in self._batches.get(group, [])]
        return pa.Table.from_batches(batches, self.schema)
