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
        self._buffer.append((batch, groups))
        self._buffered += batch.num_rows
        if self._buffered >= _CHUNK:
            self._flush()

    def _flush(self) -> None:
        # Tables are mostly written in the order of the groups, and then need no sorting.
        if any((np.diff(groups) < 0).any() for _, groups in self._buffer):
            groups = np.concatenate([g for _, g in self._buffer])
            order = np.argsort(groups, kind="stable")
            rows = pa.Table.from_batches([b for b, _ in self._buffer]).take(pa.array(order)).combine_chunks()
            self._buffer = [(rows.to_batches()[0], groups[order])]
        for batch, groups in self._buffer:
            starts = np.concatenate([[0], np.flatnonzero(np.diff(groups)) + 1, [len(groups)]])
            for start, end in pairwise(starts):
                self._writer.write_batch(batch.slice(start, end - start))
                self._batches[int(groups[start])].append(self._written)
                self._written += 1
        self._buffer, self._buffered = [], 0

    def get(self, group: int) -> pa.Table:
        """The rows of a group, in the order in which they were added. Nothing can be added after the first call."""
        if self._reader is None:
            self._flush()
            self._writer.close()
            self._reader = pa.ipc.open_file(pa.OSFile(self._path))
        batches = [self._reader.get_batch(number) for number in self._batches.get(group, [])]
        return pa.Table.from_batches(batches, self.schema)
