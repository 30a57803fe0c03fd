"""The baseline: what was sent, as the tool returns it untouched, and as each load left it. Old parts stay, for undo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array, filter_rows
from ..core.labels import BASELINE, conform
from .run import Run
from .tables import Database, in_list, quote


class Baseline:
    """Reading and writing baseline rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def delete_tasks(self, run: Run, tasks: Sequence[str]) -> None:
        """Forget what a broken attempt at some tasks left."""
        self._database.delete("annotation_baseline", f"run_id = {quote(run.run_id)} AND {in_list('task', tasks)}")

    def add_sent(self, run: Run, task: str, rows: pa.Table) -> None:
        """Keep a receipt's baseline."""
        self._migrate()
        rows = rows.set_column(rows.column_names.index("rev"), "rev", pc.fill_null(rows["rev"], -1))
        self._database.append(
            "annotation_baseline", conform(rows, BASELINE, run_id=run.run_id, task=task, load=0, gone=False)
        )

    def add_loaded(self, rows: pa.RecordBatchReader) -> None:
        """Add the part of one load; it counts once the ledger says that the load was applied."""
        self._migrate()
        self._database.append("annotation_baseline", rows)

    def _migrate(self) -> None:
        """Give the table of a dataset of version 0.1 the column that it lacks."""
        table = self._database.table("annotation_baseline")
        if missing := [field for field in BASELINE if field.name not in table.schema.names]:
            table.add_columns(pa.schema(missing))

    def scan(self, run: Run, loads: list[int] | None = None, task: str | None = None) -> Iterator[pa.RecordBatch]:
        """All rows of a run that count, or those of some loads, or of one task."""
        numbers = ", ".join(map(str, loads if loads is not None else run.applied_loads))
        where = f"run_id = {quote(run.run_id)} AND load IN ({numbers})"
        if task is not None:
            where += f" AND task = {quote(task)}"
        present = self._database.table("annotation_baseline").schema.names
        for batch in self._database.scan("annotation_baseline", [n for n in BASELINE.names if n in present], where):
            columns = [batch[f.name] if f.name in present else pa.nulls(batch.num_rows, f.type) for f in BASELINE]
            yield pa.RecordBatch.from_arrays(columns, schema=BASELINE)

    def label_ids(self, run: Run, field: str) -> pa.Array:
        """The labels that the run ever knew in a field, undone loads included."""
        where = f"run_id = {quote(run.run_id)} AND field = {quote(field)}"
        return as_array(self._database.read("annotation_baseline", ["label_id"], where)["label_id"])


def newest_rows(rows: pa.Table) -> pa.Table:
    """Of all generations of a task's baseline, what holds now: the newest row of each label, less those that are gone.

    A label that is in one generation twice, as two processes that sent one task at once left it, counts once.
    """
    if not rows.num_rows:
        return rows
    coded = as_array(rows["label_id"]).dictionary_encode()
    if len(coded.dictionary) < rows.num_rows:
        codes, load = coded.indices.to_numpy(), rows["load"].to_numpy()
        order = np.lexsort((load, codes))
        last = np.append(codes[order][1:] != codes[order][:-1], True)
        rows = rows.take(pa.array(np.sort(order[last])))
    return filter_rows(rows, pc.invert(rows["gone"]))


def count_sent(rows: pa.Table) -> tuple[int, int]:
    """How many labels of a task were sent, from all generations of its baseline; and how many records of them are too many."""
    first = rows["label_id"].filter(pc.equal(rows["load"], 0))
    labels = int(pc.count_distinct(first).as_py())
    return labels, len(first) - labels
