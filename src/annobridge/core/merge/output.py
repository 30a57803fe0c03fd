"""The output of a merge: rows to write, the rows that they replace, and the next baseline, with their provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import Bools, index_of, set_columns, take_rows
from ..labels import BASELINE, LABELS, conform
from .patch import component_lists, with_columns, with_components
from .sides import Sides

_CHANGE = [
    pa.field("action", pa.string()),  # add | edit | delete
    pa.field("components", pa.list_(pa.string())),  # of an edit; null: all
    pa.field("task", pa.string()),
]
WRITES = pa.schema([*LABELS, *_CHANGE])
# The labels that are edited or deleted, as they were before, with the addresses of their rows.
REPLACED = pa.schema([*WRITES, pa.field("_rowaddr", pa.uint64()), pa.field("_rowid", pa.uint64())])


class TaskNames:
    """The names of tasks, by the samples that belong to them.

    Args:
        sample_ids: name of each task → the ids of its samples. If there is one task, all samples are of it.
    """

    def __init__(self, sample_ids: Mapping[str, pa.Array]) -> None:
        self._names = pa.array(list(sample_ids), pa.string())
        self._sample_ids = pa.concat_arrays([pa.array([], pa.string()), *sample_ids.values()])
        self._numbers = pa.array(np.repeat(np.arange(len(sample_ids)), [len(ids) for ids in sample_ids.values()]))

    @classmethod
    def one(cls, name: str) -> TaskNames:
        """A task that all samples are of."""
        return cls({name: pa.array([], pa.string())})

    def of(self, sample_ids: pa.Array | pa.ChunkedArray) -> pa.Array:
        """The task of each sample; null for one that is of none.

        >>> names = TaskNames({"a": pa.array(["s0", "s1"]), "b": pa.array(["s2"])})
        >>> names.of(pa.array(["s2", "s0"])).to_pylist()
        ['b', 'a']
        """
        if len(self._names) == 1:
            return pa.repeat(self._names[0], len(sample_ids))
        return self._names.take(self._numbers.take(index_of(sample_ids, self._sample_ids)))


@dataclass(frozen=True, slots=True)
class Provenance:
    """The load that writes, and when; and the versions at which earlier loads wrote."""

    run: str
    run_id: str
    tasks: TaskNames
    load: int
    tool: str
    time: datetime
    versions: Mapping[int, int]  # load -> the version of ``labels`` to which its baseline rows correspond


@dataclass(frozen=True, slots=True)
class Merged:
    """The result of a merge: ``writes`` are the rows to write, ``replaced`` the rows that they replace and the rows to delete."""

    writes: pa.Table  # WRITES
    replaced: pa.Table  # REPLACED
    baseline: pa.Table  # BASELINE
    refused: pa.Table  # FINDINGS
    conflicts: pa.Table  # FINDINGS
    proposed: pa.Table  # PROPOSED, of a merge that is reviewed


class RowBuilder:
    """Rows of the results, with their provenance."""

    def __init__(self, sides: Sides, provenance: Provenance) -> None:
        self._sides, self._provenance = sides, provenance
        # A label may be on a sample of another task here by now, so its task is that of the sample in the tool.
        self._tasks = provenance.tasks.of(pc.coalesce(sides.base["sample_id"], sides.theirs["sample_id"]))

    def edited(self, written: dict[str, Bools], where: Bools) -> pa.Table:
        """Our rows with the components of the tool."""
        rows = with_components(self._sides.ours, self._sides.exact, written)
        rows = with_columns(rows, self._sides.theirs, ["annotator", "time"], where)
        return self._writes(rows, where, "edit", component_lists(written, where))

    def added(self, rows: pa.Table, where: Bools) -> pa.Table:
        """New rows."""
        return self._writes(rows, where, "add", pa.nulls(int(where.sum()), pa.list_(pa.string())))

    def _writes(self, rows: pa.Table, where: Bools, action: str, components: pa.Array) -> pa.Table:
        provenance, rows = self._provenance, take_rows(rows.select(LABELS.names), np.flatnonzero(where))
        rev = pc.add(pc.max_element_wise(rows["rev"], 0), 1)
        time = pc.fill_null(rows["time"], provenance.time)
        rows = rows.drop_columns(["run", "tool", "rev"])
        rows = set_columns(conform(rows, LABELS, run=provenance.run, tool=provenance.tool, rev=0), rev=rev, time=time)
        task = self._tasks.filter(pa.array(where))
        return pa.Table.from_arrays([*rows.columns, pa.repeat(action, rows.num_rows), components, task], schema=WRITES)

    def replaced(self, where: Bools, action: str, components: pa.Array | pa.ChunkedArray) -> pa.Table:
        """Our rows before the load, with their addresses."""
        rows = take_rows(self._sides.ours.select([*LABELS.names, "_rowaddr", "_rowid"]), np.flatnonzero(where))
        rows = rows.append_column(_CHANGE[1], components)
        rows = rows.append_column("task", self._tasks.filter(pa.array(where)))
        return conform(rows, REPLACED, action=action)

    def revision(self, written: Bools) -> np.ndarray:
        """The revision of our rows after the load that equals the baseline; -1 where it differs from that."""
        sides = self._sides
        rev = pc.coalesce(sides.ours["rev"], sides.base["rev"], sides.theirs["rev"], pa.scalar(0, pa.int64()))
        return np.where(sides.differs_here, -1, np.maximum(rev.to_numpy(), 0) + written)

    def baseline(self, rows: pa.Table, where: Bools, revision: np.ndarray, *, gone: bool) -> pa.Table:
        """The baseline of the next load."""
        sides, provenance = self._sides, self._provenance
        at = pa.array(where)
        remote_id = pc.coalesce(sides.base["remote_id"], sides.theirs["remote_id"]).filter(at)
        names = [n for n in (*LABELS.names, "unsent") if n in rows.column_names and n != "rev"]
        of_load = {"run_id": provenance.run_id, "task": "", "load": provenance.load, "gone": gone}
        rows = conform(take_rows(rows.select(names), np.flatnonzero(where)), BASELINE, rev=0, remote_id="", **of_load)
        return set_columns(rows, rev=pa.array(revision[where]), remote_id=remote_id, task=self._tasks.filter(at))
