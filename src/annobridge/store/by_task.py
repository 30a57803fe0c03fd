"""Rows regrouped on disk by the task that they belong to, so that one task is in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import Ints
from ..spill.groups import Groups
from .task_index import TaskIndex


class ByTask:
    """The tasks of a run, or the parts of an export: the sample ids of each, in the order of the view, and its name."""

    def __init__(self, sample_ids: Sequence[pa.Array], names: Sequence[str] = ()) -> None:
        self.sample_ids, self.names = list(sample_ids), list(names)
        self.all_sample_ids = pa.concat_arrays(self.sample_ids) if self.sample_ids else pa.array([], pa.string())

    @classmethod
    def of_run(cls, tasks: pa.Table) -> ByTask:
        """Those of a run, from their rows in the ledger (``Runs.tasks``)."""
        return cls([ids.values for ids in tasks["sample_ids"]], tasks["task"].to_pylist())

    def __len__(self) -> int:
        return len(self.sample_ids)

    def numbers_of_samples(self) -> Callable[[pa.Array], Ints]:
        """Gives the number of the task of each sample id, -1 for none; see ``TaskIndex``."""
        return TaskIndex(self.all_sample_ids, np.array([len(ids) for ids in self.sample_ids], np.int64)).task_numbers

    def numbers_of_names(self, names: pa.Array) -> Ints:
        """The number of each task, -1 for a name that none has."""
        coded = names.dictionary_encode()
        known = pc.index_in(coded.dictionary, value_set=pa.array(self.names, pa.string())).fill_null(-1)
        numbers: Ints = known.to_numpy().astype(np.int64)[coded.indices.to_numpy()]
        return numbers

    def by_sample(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Groups:
        """Rows by the task of their ``sample_id``; those of other samples are left out. Close the result after use."""
        numbers = self.numbers_of_samples()
        return _grouped(schema, batches, lambda batch: numbers(batch["sample_id"]))

    def by_name(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Groups:
        """Rows by their column ``task``; those of other tasks are left out. Close the result after use."""
        return _grouped(schema, batches, lambda batch: self.numbers_of_names(batch["task"]))


def in_task_order(rows: pa.Table, numbers: Ints) -> tuple[pa.Table, Ints]:
    """Rows sorted by the number of their task, and these numbers. Rows of one task stay in their order."""
    if not (np.diff(numbers) < 0).any():
        return rows, numbers
    order = np.argsort(numbers, kind="stable")
    return rows.take(pa.array(order)), numbers[order]


def task_ranges(numbers: Ints, count: int) -> list[tuple[int, int]]:
    """The first row of each of ``count`` tasks, and the end of its rows, from ``in_task_order``.

    >>> task_ranges(np.array([0, 0, 2]), 3)
    [(0, 2), (2, 2), (2, 3)]
    """
    ends = np.searchsorted(numbers, np.arange(count), side="right").tolist()
    return list(pairwise([0, *ends]))


def _grouped(
    schema: pa.Schema, batches: Iterable[pa.RecordBatch], number: Callable[[pa.RecordBatch], np.ndarray]
) -> Groups:
    groups = Groups(schema)
    try:
        for batch in batches:
            groups.add(batch, number(batch))
    except BaseException:
        groups.close()
        raise
    return groups
