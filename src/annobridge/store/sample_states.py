"""Which samples people have reviewed, as the tool said at each load."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array, filter_rows, row_keys
from ..core.labels import REVIEWED, conform
from .by_task import ByTask
from .run import Run
from .schemas import SAMPLE_STATES
from .tables import Database, in_list
from .task_rows import Places, TaskRows, read

_TABLE = "annotation_sample_states"


class SampleStates:
    """Reads and writes the states of samples (``REVIEWED``). Rows are added only where the tool says something new.

    They are facts about the work in the tool. So they count as soon as they are written, and undoing a load does not remove them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, run_ids: Sequence[str]) -> pa.Table:
        """The last state of each sample in each of some runs: ``SAMPLE_STATES``, in the order in which they were seen first."""
        if not run_ids:
            return SAMPLE_STATES.empty_table()
        rows = self._database.read_later(_TABLE, in_list("run_id", run_ids))
        return _newest(rows.sort_by("seen"))

    def reviewed_ids(self, run_ids: Sequence[str]) -> pa.Array:
        """The samples that are reviewed in at least one of some runs."""
        rows = self.of(run_ids)
        return pc.unique(as_array(rows.filter(rows["reviewed"])["sample_id"]))

    def find_rows(self, run: Run, tasks: ByTask) -> TaskRows | None:
        """Where the rows of the samples of each task lie; ``None`` if there are none."""
        if _TABLE not in self._database.table_names():
            return None
        where, version = in_list("run_id", [run.run_id]), int(self._database.table(_TABLE).version)
        return TaskRows(self._database, _TABLE, version, "sample_id", tasks.numbers_of_samples(), where)

    def rows_at(self, places: Places) -> pa.Table:
        """The rows that ``find_rows`` found there (``SAMPLE_STATES``)."""
        batches = read(self._database, places, SAMPLE_STATES.names)
        return pa.Table.from_batches((batch.select(SAMPLE_STATES.names) for batch in batches), SAMPLE_STATES)

    def add(self, run: Run, said: pa.RecordBatchReader) -> None:
        """Record what the tool says of samples (``REVIEWED``)."""
        now = datetime.now(UTC)

        def rows() -> Iterator[pa.RecordBatch]:
            for batch in said:
                states = conform(pa.Table.from_batches([batch]), SAMPLE_STATES, run_id=run.run_id, seen=now)
                yield from states.to_batches()

        self._database.append_later(_TABLE, pa.RecordBatchReader.from_batches(SAMPLE_STATES, rows()))


def not_recorded(said: pa.Table, recorded: pa.Table) -> pa.Table:
    """The rows of what the tool says (``REVIEWED``) that differ from the last ones that are recorded (``SAMPLE_STATES``)."""
    known = _newest(recorded.sort_by("seen"))
    keys = [row_keys(rows, REVIEWED.names) for rows in (said, known)]
    return filter_rows(said, pc.invert(pc.is_in(keys[0], value_set=keys[1])))


def _newest(rows: pa.Table) -> pa.Table:
    """The last row of each sample in each run."""
    if not rows.num_rows:
        return rows
    codes = row_keys(rows, ("run_id", "sample_id")).dictionary_encode().indices.to_numpy()
    last = np.full(int(codes.max()) + 1, -1)
    last[codes] = np.arange(len(codes))
    return rows.take(pa.array(last))
