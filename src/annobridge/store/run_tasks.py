"""The tasks of annotation runs, and the receipts of those that were sent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..core import tasks
from .run import Run
from .schemas import RECEIPTS, TASKS
from .tables import Database, quote


class RunTasks:
    """Reads and writes tasks and receipts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_tasks(self, run: Run, added: Sequence[tuple[str, pa.Array]]) -> None:
        """Record the tasks of a run (name, sample ids), before the first is sent."""
        ids = pa.ListArray.from_arrays(
            pa.array([0, *pc.cumulative_sum(pa.array([len(s) for _, s in added])).to_pylist()], pa.int32()),
            pa.concat_arrays([s for _, s in added]),
        )
        names = pa.array([name for name, _ in added], pa.string())
        rows = pa.Table.from_arrays([pa.repeat(run.run_id, len(added)), names, ids], schema=TASKS)
        self._database.append("annotation_tasks", rows)

    def set_task(self, run: Run, task: str, sample_ids: pa.Array) -> None:
        """Replace the samples of a task that was not sent yet. Without samples, the task is deleted."""
        self._database.delete("annotation_tasks", f"run_id = {quote(run.run_id)} AND task = {quote(task)}")
        if len(sample_ids):
            self.add_tasks(run, [(task, sample_ids)])

    def tasks(self, run: Run) -> pa.Table:
        """The tasks of a run, as ``TASKS``, sorted by name."""
        return self._database.read("annotation_tasks", where=f"run_id = {quote(run.run_id)}").sort_by("task")

    def add_receipts(self, run: Run, states: Mapping[str, Mapping[str, Any]]) -> None:
        """Record that tasks were sent, with the state of the receipt of each."""
        rows = [
            {"run_id": run.run_id, "task": task, "state": json.dumps(dict(state))} for task, state in states.items()
        ]
        self._database.append("annotation_receipts", pa.Table.from_pylist(rows, RECEIPTS))

    def receipts(self, run: Run) -> dict[str, dict[str, Any]]:
        """Task → state of its receipt. If two processes sent a task, the later receipt counts."""
        rows = self._database.read("annotation_receipts", where=f"run_id = {quote(run.run_id)}").to_pylist()
        return {row["task"]: json.loads(row["state"]) for row in rows}

    def sample_ids(self, run_id: str) -> pa.Array:
        """The samples of all tasks of a run, one task after the other."""
        rows = self._database.read("annotation_tasks", where=f"run_id = {quote(run_id)}").sort_by("task")
        return pa.concat_arrays([pa.array([], pa.string()), *(ids.values for ids in rows["sample_ids"])])

    def _sample_ids_of(self, names: Sequence[str], run: Run) -> list[pa.Array]:
        rows = self.tasks(run)
        return [
            ids.values
            for ids in rows.filter(pc.is_in(rows["task"], value_set=pa.array(names, pa.string())))["sample_ids"]
        ]

    def tasks_since(self, run: Run, number: int) -> list[str]:
        """The names of the tasks of a run from a number on."""
        names: list[str] = self.tasks(run)["task"].to_pylist()
        return [name for name in names if tasks.number(name) >= number]
