"""The baseline of each run: its labels as the tool returns them unedited, after the upload and after each load.

The rows of the upload have load 0, those of an extension its number. Each load adds rows for what it changed, and none is
overwritten, so that a load can be undone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array, filter_rows
from ..core.labels import BASELINE, conform
from .run import Run
from .tables import Database, in_list, quote

_IDS = pa.schema([BASELINE.field(name) for name in ("label_id", "load", "gone")])
_IDS_PER_CONDITION = 10_000


class Baseline:
    """Reads and writes baseline rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def delete_tasks(self, run: Run, tasks: Sequence[str]) -> None:
        """Delete the rows that an interrupted upload of some tasks left."""
        self._database.delete("annotation_baseline", f"run_id = {quote(run.run_id)} AND {in_list('task', tasks)}")

    def add_sent(self, run: Run, task: str, rows: pa.Table, load: int = 0) -> None:
        """Add the baseline of a receipt, as ``REMOTE``; ``load`` is the number of the extension that sent it."""
        self._migrate()
        rows = rows.set_column(rows.column_names.index("rev"), "rev", pc.fill_null(rows["rev"], -1))
        self._database.append(
            "annotation_baseline", conform(rows, BASELINE, run_id=run.run_id, task=task, load=load, gone=False)
        )

    def add_loaded(self, rows: pa.RecordBatchReader) -> None:
        """Add the rows of a load, as ``BASELINE``. They count once the ledger says that the load is applied."""
        self._migrate()
        self._database.append("annotation_baseline", rows)

    def _migrate(self) -> None:
        """Add the columns that the table of a dataset of version 0.1 lacks."""
        self._database.require_writable()
        table = self._database.table("annotation_baseline")
        if missing := [field for field in BASELINE if field.name not in table.schema.names]:
            table.add_columns(pa.schema(missing))

    def scan(self, run: Run, loads: list[int] | None = None, task: str | None = None) -> Iterator[pa.RecordBatch]:
        """Stream rows of a run (``BASELINE``): of some loads, by default those that count; and of one task, by default of all."""
        numbers = ", ".join(map(str, loads if loads is not None else run.applied_loads))
        where = f"run_id = {quote(run.run_id)} AND load IN ({numbers})"
        if task is not None:
            where += f" AND task = {quote(task)}"
        present = self._database.table("annotation_baseline").schema.names
        for batch in self._database.scan("annotation_baseline", [n for n in BASELINE.names if n in present], where):
            columns = [batch[f.name] if f.name in present else pa.nulls(batch.num_rows, f.type) for f in BASELINE]
            yield pa.RecordBatch.from_arrays(columns, schema=BASELINE)

    def known(self, run: Run, label_ids: pa.Array) -> pa.Array:
        """Of some labels, the ids of those that a task of the run has in its baseline."""
        numbers = ", ".join(map(str, run.applied_loads))
        found = [_IDS.empty_table()]
        for start in range(0, len(label_ids), _IDS_PER_CONDITION):
            some = label_ids.slice(start, _IDS_PER_CONDITION).to_pylist()
            where = f"run_id = {quote(run.run_id)} AND load IN ({numbers}) AND {in_list('label_id', some)}"
            found.append(self._database.read("annotation_baseline", _IDS.names, where))
        return as_array(newest_rows(pa.concat_tables(found, promote_options="permissive"))["label_id"])

    def label_ids(self, run: Run, field: str) -> pa.Array:
        """The ids of the labels that the run ever had in a field, also by loads that are undone."""
        where = f"run_id = {quote(run.run_id)} AND field = {quote(field)}"
        return as_array(self._database.read("annotation_baseline", ["label_id"], where)["label_id"])


def newest_rows(rows: pa.Table) -> pa.Table:
    """The state of a task's baseline: the row of the latest load for each label, without the labels that are gone.

    Two processes that sent a task at once left two rows of load 0 for a label; one of them counts.
    """
    if not rows.num_rows:
        return rows
    encoded = as_array(rows["label_id"]).dictionary_encode()
    if len(encoded.dictionary) < rows.num_rows:
        codes, load = encoded.indices.to_numpy(), rows["load"].to_numpy()
        order = np.lexsort((load, codes))
        last = np.append(codes[order][1:] != codes[order][:-1], True)
        rows = rows.take(pa.array(np.sort(order[last])))
    return filter_rows(rows, pc.invert(rows["gone"]))


def count_sent(rows: pa.Table, sends: list[int]) -> tuple[int, int]:
    """The number of labels of a task that were sent, and the number of duplicate rows for them.

    Args:
        rows: all rows of its baseline.
        sends: ``Run.sends``.
    """
    first = rows["label_id"].filter(pc.is_in(rows["load"], value_set=pa.array(sends, pa.int32())))
    labels = int(pc.count_distinct(first).as_py())
    return labels, len(first) - labels
