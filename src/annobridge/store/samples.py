"""The ``samples`` table: one row per image, with the user's own columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core import ids
from ..core.labels import SAMPLES
from ..core.masks import one
from ..exceptions import InvalidLabels, SampleNotFound, SchemaError
from .tables import Database, among

_LOOK_UP = 10_000


class Samples:
    """Reading and writing sample rows."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def schema(self) -> pa.Schema:
        """The columns, the user's among them."""
        return self.db.table("samples").schema.remove_metadata()

    def count(self) -> int:
        """How many samples there are."""
        return int(self.db.table("samples").count_rows())

    def add(self, rows: pa.Table) -> pa.Array:
        """Add samples; new columns are made, missing ids too. Returns the ids."""
        if "sample_id" not in rows.column_names:
            rows = rows.append_column("sample_id", pa.nulls(rows.num_rows, pa.string()))
        filled = pc.coalesce(rows["sample_id"].cast(pa.string()), pa.chunked_array([ids.fresh(rows.num_rows)]))
        rows = rows.set_column(rows.column_names.index("sample_id"), SAMPLES.field("sample_id"), filled)
        if pc.count_distinct(filled).as_py() != rows.num_rows:
            raise InvalidLabels("", ["Two of the new samples have one sample_id; give each its own, or none."])
        present = self.present(filled)
        if len(present):
            raise InvalidLabels(
                "", [f"The dataset has a sample {present[0].as_py()!r} already; give new samples new ids."]
            )
        rows = self._conform(rows)
        self.db.append("samples", rows)
        return pa.concat_arrays(filled.chunks) if filled.num_chunks else pa.array([], pa.string())

    def _conform(self, rows: pa.Table) -> pa.Table:
        table = self.db.table("samples")
        new = [rows.schema.field(n).with_nullable(True) for n in rows.column_names if n not in table.schema.names]
        fitted = {f.name: _fitted(rows[f.name], f) for f in self.schema() if f.name in rows.column_names}
        if new:
            table.add_columns(pa.schema(new))
        fitted |= {f.name: rows[f.name] for f in new}
        columns = [fitted[f.name] if f.name in fitted else pa.nulls(rows.num_rows, f.type) for f in self.schema()]
        return pa.Table.from_arrays(columns, schema=self.schema())

    def present(self, sample_ids: pa.Array | pa.ChunkedArray) -> pa.Array:
        """Those of the ids that are in the dataset."""
        if not self.count():
            return pa.array([], pa.string())
        found = [
            pc.filter(batch["sample_id"], pc.is_in(batch["sample_id"], value_set=one(sample_ids)))
            for batch in self.db.scan("samples", ["sample_id"])
        ]
        return pa.concat_arrays(found) if found else pa.array([], pa.string())

    def require(self, sample_ids: pa.Array | pa.ChunkedArray) -> None:
        """Raise ``SampleNotFound`` unless every id is in the dataset."""
        wanted = pc.unique(sample_ids)
        missing = wanted.filter(pc.invert(pc.is_in(wanted, value_set=self.present(wanted))))
        if len(missing):
            more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
            raise SampleNotFound(
                f"The dataset has no sample {missing[0].as_py()!r}{more}; add the samples before their labels."
            )

    def scan(self, where: str | None = None, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Stream samples."""
        return self.db.scan("samples", columns, where)

    def ids(self, where: str | None = None) -> pa.Array:
        """The ids of the samples that match, in the order of the table."""
        batches = [batch["sample_id"] for batch in self.scan(where, ["sample_id"])]
        return pa.concat_arrays(batches) if batches else pa.array([], pa.string())

    def rows(self, sample_ids: pa.Array, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of some samples, in the order of the ids."""
        wanted = list(columns) if columns is not None else self.schema().names
        names = list(dict.fromkeys(["sample_id", *wanted]))
        parts = []
        for at in range(0, len(sample_ids), _LOOK_UP):
            some = sample_ids.slice(at, _LOOK_UP)
            found = self.db.read("samples", names, among("sample_id", some.to_pylist()))
            parts.append(found.take(pc.index_in(some, value_set=one(found["sample_id"]))))
        rows = pa.concat_tables(parts) if parts else self.db.read("samples", names, "false")
        return rows.select(wanted)

    def set_sizes(self, sample_ids: Sequence[str], sizes: np.ndarray) -> None:
        """Fill in width and height, learnt from the files."""
        rows = pa.table({"sample_id": pa.array(sample_ids, pa.string()), "width": sizes[:, 0], "height": sizes[:, 1]})
        rows = rows.cast(pa.schema([SAMPLES.field(n) for n in ("sample_id", "width", "height")]))
        self.db.table("samples").merge_insert("sample_id").when_matched_update_all().execute(rows)


def _fitted(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    try:
        return column.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as e:
        raise SchemaError(
            f"The column {field.name!r} of the samples is {field.type}: {str(e).splitlines()[0]}."
        ) from None
