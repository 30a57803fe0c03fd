"""Shuffle: regroup a stream of rows by task on disk, so that what is in memory is one task and never the run."""

from __future__ import annotations

import uuid
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

_CHUNK = 65_536  # rows held before they are sorted and written


class Groups:
    """Feed it batches with the group of each row; then get the groups, one at a time, in the order the rows came."""

    def __init__(self, schema: pa.Schema, folder: Path) -> None:
        self.schema = schema
        self._path = str(folder / f"{uuid.uuid4().hex}.arrow")
        self._writer = pa.ipc.new_file(self._path, schema)
        self._places: dict[int, list[int]] = defaultdict(list)
        self._written = 0
        self._held: list[tuple[pa.RecordBatch, np.ndarray]] = []
        self._rows = 0
        self._reader: pa.ipc.RecordBatchFileReader | None = None

    def feed(self, batch: pa.RecordBatch, groups: np.ndarray) -> None:
        """Take rows; those of a negative group are left out."""
        keep = groups >= 0
        if not keep.all():
            batch, groups = batch.filter(pa.array(keep)), groups[keep]
        if not batch.num_rows:
            return
        self._held.append((batch, groups))
        self._rows += batch.num_rows
        if self._rows >= _CHUNK:
            self._flush()

    def _flush(self) -> None:
        if any(
            (np.diff(groups) < 0).any() for _, groups in self._held
        ):  # a table in the order of the view is not sorted
            groups = np.concatenate([g for _, g in self._held])
            order = np.argsort(groups, kind="stable")
            rows = pa.Table.from_batches([b for b, _ in self._held]).take(pa.array(order)).combine_chunks()
            self._held = [(rows.to_batches()[0], groups[order])]
        for batch, groups in self._held:
            starts = np.concatenate([[0], np.flatnonzero(np.diff(groups)) + 1, [len(groups)]])
            for start, end in pairwise(starts):
                self._writer.write_batch(batch.slice(start, end - start))
                self._places[int(groups[start])].append(self._written)
                self._written += 1
        self._held, self._rows = [], 0

    def get(self, group: int) -> pa.Table:
        """The rows of one group; feeding is over once this is called."""
        if self._reader is None:
            self._flush()
            self._writer.close()
            self._reader = pa.ipc.open_file(pa.OSFile(self._path))
        batches = [self._reader.get_batch(place) for place in self._places.get(group, [])]
        return pa.Table.from_batches(batches, self.schema)
