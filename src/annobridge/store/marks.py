"""The marks of tasks: what tells, without a download, whether the work in the tool changed since the last load."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pyarrow as pa

from .run import Run
from .schemas import MARKS
from .tables import Database, quote

_TABLE = "annotation_marks"


class Marks:
    """Reads and writes marks (see ``backend.Status``)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, run: Run) -> dict[str, str]:
        """Task → its mark when it was loaded last, of the tasks of which the last load took everything."""
        rows = self._database.read_later(_TABLE, f"run_id = {quote(run.run_id)}").sort_by("time")
        return dict(zip(rows["task"].to_pylist(), rows["mark"].to_pylist(), strict=True))

    def add(self, run: Run, marks: Mapping[str, str]) -> None:
        """Record the marks of tasks."""
        now = datetime.now(UTC)
        rows = [{"run_id": run.run_id, "task": task, "mark": mark, "time": now} for task, mark in marks.items()]
        self._database.append_later(_TABLE, pa.Table.from_pylist(rows, MARKS))

    def forget(self, run: Run) -> None:
        """Forget all marks of a run, so that the next load looks at every task."""
        if self.of(run):
            self._database.delete(_TABLE, f"run_id = {quote(run.run_id)}")
