"""Finds the task of each row by its sample id.

The rows of the tables mostly come in the order of the view, so an id is looked up near the last one first, and then among all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core.lookup import TextIndex

_WINDOW = 8_192  # ids before and after the last one found


class TaskIndex:
    """Maps sample ids to numbers of tasks.

    Args:
        sample_ids: the ids of all tasks, one task after the other.
        per_task: the number of samples of each task.
    """

    def __init__(self, sample_ids: pa.Array, per_task: np.ndarray) -> None:
        self.sample_ids = sample_ids
        self._ends = np.cumsum(per_task)
        self._near = 0

    @cached_property
    def _index(self) -> TextIndex:
        return TextIndex(self.sample_ids)

    def task_numbers(self, sample_ids: pa.Array) -> np.ndarray:
        """The number of the task of each id, from 0; -1 for an id that is in no task."""
        codes = sample_ids.dictionary_encode()
        positions = self._positions(codes.dictionary)
        tasks = np.where(positions < 0, -1, np.searchsorted(self._ends, positions, side="right"))
        return tasks[codes.indices.to_numpy()] if len(sample_ids) else np.zeros(0, np.int64)

    def _positions(self, wanted: pa.Array) -> np.ndarray:
        for start in (self._near, self._near + 1):  # the last sample may go on in the next batch
            if wanted.equals(self.sample_ids.slice(start, len(wanted))):
                self._near = max(start, start + len(wanted) - 1)
                return np.arange(start, start + len(wanted))
        start = max(0, self._near - _WINDOW)
        window = self.sample_ids.slice(start, 2 * _WINDOW + len(wanted))
        near = pc.index_in(wanted, value_set=window)
        positions: np.ndarray = np.where(near.is_valid(), near.fill_null(0).to_numpy() + start, -1)
        missing = np.flatnonzero(positions < 0)
        if len(missing) and len(window) < len(self.sample_ids):
            positions[missing] = self._index.find(wanted.take(pa.array(missing)))
        if len(positions):
            self._near = int(positions.max(initial=self._near))
        return positions


def filter_by_samples(batches: Iterable[pa.RecordBatch], sample_ids: pa.Array) -> Iterator[pa.RecordBatch]:
    """The rows of some samples, from batches with a column ``sample_id``."""
    index = TaskIndex(sample_ids, np.array([len(sample_ids)]))
    for batch in batches:
        inside = index.task_numbers(batch["sample_id"]) >= 0
        yield batch if inside.all() else batch.filter(pa.array(inside))
