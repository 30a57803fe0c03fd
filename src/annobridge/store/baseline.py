"""The baseline of each run: its labels as the tool returns them unedited, after the upload and after each load.

The rows of the upload have load 0, those of an extension its number. Each load adds rows for what it changed, and none is
overwritten, so that a load can be undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array, filter_rows
from ..core.codes import repeated_codes, row_codes
from ..core.hashes import row_hashes
from ..core.labels import BASELINE, conform
from .by_task import ByTask
from .commits import Fragments
from .run import Run
from .tables import Database, in_list, quote
from .task_rows import Places, TaskRows, read
from .written_rows import WrittenRows

_TABLE = "annotation_baseline"
_IDS = pa.schema([BASELINE.field(name) for name in ("task", "label_id", "load", "gone")])
_IDS_PER_CONDITION = 10_000


class Baseline:
    """Reads and writes baseline rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def delete_tasks(self, run: Run, tasks: Sequence[str]) -> None:
        """Delete the rows that an interrupted upload of some tasks left."""
        self._database.delete(_TABLE, f"run_id = {quote(run.run_id)} AND {in_list('task', tasks)}")

    def add(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Add rows (``BASELINE``), as one version. Those of a push count once the ledger says that it is complete."""
        self.migrate()
        self.add_written(self.write(iter(batches)))

    def write(self, batches: Iterator[pa.RecordBatch]) -> Fragments:
        """Write rows (``BASELINE``) to data files, which nobody sees before ``add_written``. Call ``migrate`` before."""
        return WrittenRows(self._database, _TABLE).write(batches, BASELINE)

    def add_written(self, files: Fragments) -> None:
        """Add the rows of data files that ``write`` has written, here or in another process.

        Raises:
            StoreError: some of them are gone. Nothing is added.
        """
        WrittenRows(self._database, _TABLE).append(files)

    def migrate(self) -> None:
        """Add the columns that the table of a dataset of version 0.1 lacks."""
        self._database.require_writable()
        table = self._database.table(_TABLE)
        if missing := [field for field in BASELINE if field.name not in table.schema.names]:
            table.add_columns(pa.schema(missing))

    def scan(
        self, run: Run, loads: list[int] | None = None, task: str | None = None, sample_ids: pa.Array | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Stream rows of a run (``BASELINE``): of some loads, by default those that count; of one task, or of some samples, by
        default of all.
        """
        where = _condition(run, loads)
        if task is not None:
            where += f" AND task = {quote(task)}"
        if sample_ids is not None:
            where += f" AND {in_list('sample_id', sample_ids.to_pylist())}"
        present = self._database.table(_TABLE).schema.names
        for batch in self._database.scan(_TABLE, [n for n in BASELINE.names if n in present], where):
            yield _complete(batch)

    def find_rows(self, run: Run, tasks: ByTask, seen: Callable[[pa.RecordBatch], object]) -> TaskRows:
        """Where the rows of each task lie that count now. ``seen`` is called with batches of their ``task`` and ``field``."""
        version = int(self._database.table(_TABLE).version)
        return TaskRows(
            self._database, _TABLE, version, "task", tasks.numbers_of_names, _condition(run), ["field"], seen
        )

    def rows_at(self, places: Places) -> pa.Table:
        """The rows that ``find_rows`` found there (``BASELINE``)."""
        present = self._database.table(_TABLE, places.version).schema.names
        batches = read(self._database, places, [n for n in BASELINE.names if n in present])
        return pa.Table.from_batches(map(_complete, batches), BASELINE)

    def known(self, run: Run, label_ids: pa.Array) -> pa.Array:
        """Of some labels, the ids of those that a task of the run has in its baseline."""
        found = [_IDS.empty_table()]
        for start in range(0, len(label_ids), _IDS_PER_CONDITION):
            some = label_ids.slice(start, _IDS_PER_CONDITION).to_pylist()
            where = f"{_condition(run)} AND {in_list('label_id', some)}"
            found.append(self._database.read(_TABLE, _IDS.names, where))
        return as_array(newest_rows(pa.concat_tables(found, promote_options="permissive"))["label_id"])

    def label_ids(self, run: Run, field: str) -> pa.Array:
        """The ids of the labels that the run ever had in a field, also by loads that are undone."""
        where = f"run_id = {quote(run.run_id)} AND field = {quote(field)}"
        return as_array(self._database.read(_TABLE, ["label_id"], where)["label_id"])


def _condition(run: Run, loads: list[int] | None = None) -> str:
    """The SQL condition for the rows of some loads, by default those that count."""
    numbers = ", ".join(map(str, loads if loads is not None else run.applied_loads))
    return f"run_id = {quote(run.run_id)} AND load IN ({numbers})"


def _complete(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch with all columns of ``BASELINE``: the table of a dataset of version 0.1 lacks some."""
    present = batch.schema.names
    columns = [batch[f.name] if f.name in present else pa.nulls(batch.num_rows, f.type) for f in BASELINE]
    return pa.RecordBatch.from_arrays(columns, schema=BASELINE)


def as_sent(rows: pa.Table, run: Run) -> pa.Table:
    """Labels of tasks as the tool returns them unedited (``REMOTE``, with ``unsent`` and ``task``), as ``BASELINE``."""
    rows = rows.set_column(rows.column_names.index("rev"), "rev", pc.fill_null(rows["rev"], -1))
    return conform(rows, BASELINE, run_id=run.run_id, load=run.sends[-1], gone=False)


def newest_rows(rows: pa.Table) -> pa.Table:
    """The state of the baseline of some tasks: the row of the latest load for each label of each, without those that are gone.

    Two processes that sent a task at once left two rows of load 0 for a label; one of them counts.
    """
    return _not_gone(_last_of_each(rows))


def newest_and_repeats(rows: pa.Table, sends: list[int]) -> tuple[pa.Table, int]:
    """``newest_rows``, and how many rows of labels that were sent are there twice; ``sends`` is ``Run.sends``."""
    last, of_sends = _last_of_each(rows), _of_sends(rows, sends)
    once = last if of_sends is rows else _last_of_each(of_sends)
    return _not_gone(last), of_sends.num_rows - once.num_rows


def _of_sends(rows: pa.Table, sends: list[int]) -> pa.Table:
    return filter_rows(rows, pc.is_in(rows["load"], value_set=pa.array(sends, pa.int32())))


def _not_gone(rows: pa.Table) -> pa.Table:
    return filter_rows(rows, pc.invert(rows["gone"]))


def _last_of_each(rows: pa.Table) -> pa.Table:
    """The row of the latest load for each label of each task."""
    key = ["task", "label_id"]
    if not repeated_codes(row_hashes(rows, key)).size:
        return rows
    codes = row_codes([rows], key)[0]
    order = np.lexsort((rows["load"].to_numpy(), codes))
    last = np.append(codes[order][1:] != codes[order][:-1], True)
    return rows.take(pa.array(np.sort(order[last])))
