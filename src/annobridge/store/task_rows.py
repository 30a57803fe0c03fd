"""Where the rows of each task lie in a table, so that any process can read those of some tasks, and no others.

Rows mostly lie in the order of the tasks, as they were written. Then those of a task are one range. Ranges are read as such; rows
that lie apart are looked up one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import lance
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..core.arrays import Ints, as_mask
from .tables import SCAN, Database

_GAP = 1_024  # rows of others between two ranges that are read with them
_SCAN_COST, _ROW_COST, _LOOKUP_COST = (
    1_500.0,
    0.2,
    6.0,
)  # microseconds: of a scan, of each row in it, of each row looked up
_LOOKUPS = 20_000  # rows that are looked up at once
_ROWS_AT_ONCE = 1 << 14  # per batch; large, as all rows of a job are held in memory anyway
_TASK, _FRAGMENT, _POSITION, _OFFSET, _LENGTH = range(5)


class Places(NamedTuple):
    """Where some rows lie in a version of a table."""

    table: str
    version: int
    # Runs of rows that follow each other: task, fragment, position among the rows of the fragment that are not deleted, offset
    # among all of its rows, length. Shape (runs, 5).
    runs: npt.NDArray[np.int64]

    def of(self, tasks: Sequence[int]) -> Places:
        """Those of some of the tasks."""
        return self._replace(runs=self.runs[np.isin(self.runs[:, _TASK], tasks)])


class TaskRows:
    """The places of the rows of each task in a table.

    Args:
        database: of the table.
        name: the table.
        version: of the table.
        key: the column that tells the task.
        tasks: gives the number of the task of each value of ``key``, -1 for none.
        where: the SQL condition for the rows that count.
        more: further columns to scan.
        seen: is called with each batch of rows that count: ``key`` and ``more``.
    """

    def __init__(
        self, database: Database, name: str, version: int, key: str, tasks: Callable[[pa.Array], Ints], where: str,
        more: Sequence[str] = (), seen: Callable[[pa.RecordBatch], object] | None = None,
    ) -> None:  # fmt: skip
        self.table, self.version = name, version
        columns = {column: column for column in (key, *more)} | {"_counts": where}
        found, fragment, before = [np.zeros((0, 5), np.int64)], -1, 0
        for batch in database.scan(name, columns, version=version, address=True):
            addresses = batch["_rowaddr"].to_numpy().astype(np.int64)
            counts = as_mask(batch["_counts"])
            numbers = np.where(counts, tasks(batch[key]), -1)
            if seen is not None:
                seen(batch if counts.all() else batch.filter(pa.array(counts)))
            for start, end in _pieces(addresses >> 32):
                if int(addresses[start] >> 32) != fragment:
                    fragment, before = int(addresses[start] >> 32), 0
                found.append(_runs(numbers[start:end], addresses[start:end], before))
                before += end - start
        runs = np.concatenate(found)
        self._runs = runs[np.argsort(runs[:, _TASK], kind="stable")]

    def count(self, tasks: int) -> Ints:
        """The number of rows of each of the tasks from 0 on."""
        found = np.bincount(self._runs[:, _TASK], weights=self._runs[:, _LENGTH], minlength=tasks)
        return found.astype(np.int64)

    def of(self, tasks: Sequence[int]) -> Places:
        """The places of the rows of some tasks."""
        wanted = np.sort(np.array(tasks, np.int64))
        start, end = (np.searchsorted(self._runs[:, _TASK], wanted, side) for side in ("left", "right"))
        rows = [np.arange(a, b) for a, b in zip(start, end, strict=True)]
        return Places(self.table, self.version, self._runs[np.concatenate([np.zeros(0, np.int64), *rows])])


def read(database: Database, places: Places, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows at some places, in the order of the table, with ``_rowaddr`` and ``_rowid``."""
    if not len(places.runs):
        return
    table = database.table(places.table, places.version)
    runs = places.runs[np.lexsort((places.runs[:, _POSITION], places.runs[:, _FRAGMENT]))]
    apart: list[npt.NDArray[np.int64]] = []
    whole: list[Any] = []  # fragments that follow each other, of which every row is read
    for fragment, start, end, within in _ranges(runs):
        wanted = int(within[:, _LENGTH].sum())
        if wanted * _LOOKUP_COST < _SCAN_COST + (end - start) * _ROW_COST:
            apart.append(within)
            continue
        part: Any = table.get_fragment(fragment)
        if wanted == part.count_rows():
            whole.append(part)
            continue
        yield from _scan(table, columns, whole)
        whole = []
        batches = _scan(table, columns, [part], offset=start, limit=end - start)
        yield from batches if wanted == end - start else _only(batches, _addresses(within))
    yield from _scan(table, columns, whole)
    yield from _look_up(table, apart, columns)


def _scan(
    table: lance.LanceDataset, columns: Sequence[str], fragments: list[Any], **options: Any
) -> Iterator[pa.RecordBatch]:
    if fragments:
        yield from table.scanner(
            columns=list(columns), fragments=fragments, with_row_address=True, with_row_id=True,
            **{**SCAN, "batch_size": _ROWS_AT_ONCE}, **options,
        ).to_batches()  # fmt: skip


def _look_up(
    table: lance.LanceDataset, apart: list[npt.NDArray[np.int64]], columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    if not apart:
        return
    addresses = _addresses(np.concatenate(apart))
    for at in range(0, len(addresses), _LOOKUPS):
        some = addresses[at : at + _LOOKUPS]
        parts: Any = [table.get_fragment(int(number)) for number in np.unique(some >> 32)]
        where = f"_rowaddr IN ({', '.join(map(str, some.tolist()))})"
        yield from _scan(table, columns, parts, filter=where)


def _addresses(runs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The address of each row of some runs."""
    first = np.repeat((runs[:, _FRAGMENT] << 32) + runs[:, _OFFSET], runs[:, _LENGTH])
    starts = np.repeat(np.cumsum(runs[:, _LENGTH]) - runs[:, _LENGTH], runs[:, _LENGTH])
    addresses: npt.NDArray[np.int64] = first + np.arange(len(first)) - starts
    return addresses


def _only(batches: Iterator[pa.RecordBatch], addresses: npt.NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
    """The rows with these addresses, which are sorted."""
    for batch in batches:
        here = batch["_rowaddr"].to_numpy().astype(np.int64)
        at = np.searchsorted(addresses, here)
        yield batch.filter(pa.array(addresses[np.minimum(at, len(addresses) - 1)] == here))


def _pieces(fragments: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """The parts of a batch that lie in one fragment each."""
    cuts = [0, *(np.flatnonzero(np.diff(fragments)) + 1).tolist(), len(fragments)]
    yield from ((start, end) for start, end in pairwise(cuts) if end > start)


def _runs(tasks: Ints, addresses: npt.NDArray[np.int64], before: int) -> npt.NDArray[np.int64]:
    """The runs of rows of one task, in a part of a fragment that has ``before`` rows before it."""
    starts = np.flatnonzero(np.append(True, (np.diff(tasks) != 0) | (np.diff(addresses) != 1)))
    lengths = np.diff(np.append(starts, len(tasks)))
    first = addresses[starts]
    runs = np.stack([tasks[starts], first >> 32, before + starts, first & 0xFFFFFFFF, lengths], axis=1)
    return runs[runs[:, _TASK] >= 0]


def _ranges(
    runs: npt.NDArray[np.int64],
) -> Iterator[tuple[int, int, int, npt.NDArray[np.int64]]]:
    """Ranges of rows to read at once: fragment, first position, end, and the runs in it. ``runs`` are sorted."""
    ends = runs[:, _POSITION] + runs[:, _LENGTH]
    apart = (runs[1:, _FRAGMENT] != runs[:-1, _FRAGMENT]) | (runs[1:, _POSITION] - ends[:-1] > _GAP)
    cuts = [0, *(np.flatnonzero(apart) + 1).tolist(), len(runs)]
    for start, end in pairwise(cuts):
        within = runs[start:end]
        yield int(within[0, _FRAGMENT]), int(within[0, _POSITION]), int(ends[end - 1]), within
