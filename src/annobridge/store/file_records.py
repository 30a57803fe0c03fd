"""The table of what is recorded about files: the size and the fingerprint of each sample's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array
from .schemas import FILES
from .tables import Database, in_list

_TABLE = "annotation_files"
_AMONG = 1_000  # ids up to which only their rows are read
_AT_ONCE = 10_000  # ids of one condition


class Fingerprints:
    """The table of what is recorded. Rows of samples that the dataset does not have do not count, and the last of a sample does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, rows: Iterable[pa.RecordBatch]) -> None:
        """Record files (``FILES``); of samples with a row, the new one counts."""
        batches = [batch for batch in rows if batch.num_rows]
        if not batches:
            return
        if _TABLE not in self._database.table_names():
            self._database.create_table(_TABLE)
        self._database.append(_TABLE, pa.Table.from_batches(batches, FILES))

    def record_of(self, sample_ids: pa.Array, files: pa.Table) -> None:
        """Record ``size`` and ``fingerprint`` of the files of samples; rows without a size are left out."""
        rows = files.add_column(0, FILES.field("sample_id"), sample_ids)
        self.record(rows.filter(rows["size"].is_valid()).to_batches())

    def forget(self, sample_ids: pa.Array) -> None:
        """Delete the rows of those of the samples that have one, as a process that was killed may leave it."""
        few = 0 < len(sample_ids) <= _AMONG
        there = as_array(self._rows(in_list("sample_id", sample_ids.to_pylist()) if few else None)["sample_id"])
        found = pc.unique(there.filter(pc.is_in(there, value_set=sample_ids)))
        for at in range(0, len(found), _AT_ONCE):
            self.delete(found.slice(at, _AT_ONCE).to_pylist())

    def table(self, where: str | None = None) -> pa.Table:
        """All records (``FILES``), the last of a sample first."""
        rows = self._rows(where)
        return rows.take(pa.array(np.arange(rows.num_rows)[::-1])).combine_chunks()

    def of(self, sample_ids: pa.Array) -> pa.Table:
        """``size`` and ``fingerprint`` of samples, in the order of the ids; null where nothing is recorded."""
        few = 0 < len(sample_ids) <= _AMONG
        return among(self.table(in_list("sample_id", sample_ids.to_pylist()) if few else None), sample_ids)

    def delete(self, sample_ids: Sequence[str]) -> None:
        """Delete the rows of samples."""
        if _TABLE in self._database.table_names():
            self._database.delete(_TABLE, in_list("sample_id", sample_ids))

    def _rows(self, where: str | None) -> pa.Table:
        try:
            return self._database.read(_TABLE, where=where)
        except (ValueError, OSError):
            if _TABLE in self._database.table_names():
                raise
            return FILES.empty_table()  # a dataset of an earlier version, or without a file that was recorded


def among(records: pa.Table, sample_ids: pa.Array) -> pa.Table:
    """``size`` and ``fingerprint`` of samples among records, of which the first of a sample counts; null where there is none."""
    index = pc.index_in(sample_ids, value_set=as_array(records["sample_id"]))
    return records.select(["size", "fingerprint"]).take(index)
