"""What a push is about to change in the tool, written down before it does, to find out after a crash what arrived."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from .run import Load, Run
from .schemas import PUSHES
from .tables import Database, quote

_TABLE = "annotation_pushes"


class Pushes:
    """Reads and writes the intentions of pushes (``BASELINE`` rows, of which ``load`` is the number of the push)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, rows: pa.RecordBatchReader) -> None:
        """Write down what a push is about to do."""
        self._database.append_later(_TABLE, rows)

    def scan(self, run: Run, push: Load) -> Iterator[pa.RecordBatch]:
        """Stream what a push meant to do, as ``BASELINE``."""
        if _TABLE in self._database.table_names():
            where = f"run_id = {quote(run.run_id)} AND load = {push.number}"
            yield from self._database.scan(_TABLE, PUSHES.names, where)

    def forget(self, run: Run) -> None:
        """Forget the intentions of a run's pushes, which are complete."""
        self._database.delete(_TABLE, f"run_id = {quote(run.run_id)}")
