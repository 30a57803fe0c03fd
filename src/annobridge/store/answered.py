"""Which samples an annotator has answered, whose answer a load has put into a field of its own."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array
from .run import Run
from .schemas import ANSWERED
from .tables import Database, quote

_TABLE = "annotation_answered"


class Answered:
    """Reads and writes which samples were answered. An answer may be empty, so that the labels do not tell."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sample_ids(self, field: str) -> pa.Array | None:
        """The samples of which a field has an answer; ``None`` if no load of one annotator's answer went there."""
        rows = self._database.read_later(_TABLE, f"field = {quote(field)}")
        return pc.unique(as_array(rows["sample_id"])) if rows.num_rows else None

    def add(self, run: Run, field: str, sample_ids: pa.Array) -> None:
        """Record samples, without those that are recorded already."""
        known = self.sample_ids(field)
        new = sample_ids if known is None else sample_ids.filter(pc.invert(pc.is_in(sample_ids, value_set=known)))
        if len(new):
            columns = [pa.repeat(run.run_id, len(new)), pa.repeat(field, len(new)), new]
            self._database.append_later(_TABLE, pa.table(columns, schema=ANSWERED))

    def forget(self, run: Run, field: str) -> None:
        """Forget the samples of a field that were recorded for a run."""
        if self.sample_ids(field) is not None:
            self._database.delete(_TABLE, f"run_id = {quote(run.run_id)} AND field = {quote(field)}")
