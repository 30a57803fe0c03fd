"""Locate: in which task is the sample of each row? The tables are mostly in the order of the view, which makes it cheap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_WINDOW = 8_192


class TaskIndex:
    """The place of sample ids in a long list, looked for near the last place first and everywhere only then."""

    def __init__(self, sample_ids: pa.Array, per_task: np.ndarray) -> None:
        self.sample_ids = sample_ids
        self._ends = np.cumsum(per_task)
        self._near = 0

    def task_numbers(self, sample_ids: pa.Array) -> np.ndarray:
        """The number of the task of each id; -1 for one that is in none."""
        codes = sample_ids.dictionary_encode()
        places = self._places(codes.dictionary)
        tasks = np.where(places < 0, -1, np.searchsorted(self._ends, places, side="right"))
        return tasks[codes.indices.to_numpy()] if len(sample_ids) else np.zeros(0, np.int64)

    def _places(self, wanted: pa.Array) -> np.ndarray:
        start = max(0, self._near - _WINDOW)
        window = self.sample_ids.slice(start, 2 * _WINDOW + len(wanted))
        near = pc.index_in(wanted, value_set=window)
        places: np.ndarray = np.where(near.is_valid(), near.fill_null(0).to_numpy() + start, -1)
        missing = np.flatnonzero(places < 0)
        if len(missing) and len(window) < len(self.sample_ids):
            places[missing] = (
                pc.index_in(wanted.take(pa.array(missing)), value_set=self.sample_ids).fill_null(-1).to_numpy()
            )
        if len(places):
            self._near = int(places.max(initial=self._near))
        return places


def filter_by_samples(batches: Iterable[pa.RecordBatch], sample_ids: pa.Array) -> Iterator[pa.RecordBatch]:
    """The rows of these samples, from batches with a column ``sample_id``."""
    index = TaskIndex(sample_ids, np.array([len(sample_ids)]))
    for batch in batches:
        inside = index.task_numbers(batch["sample_id"]) >= 0
        yield batch if inside.all() else batch.filter(pa.array(inside))
