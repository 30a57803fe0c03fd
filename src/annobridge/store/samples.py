"""The ``samples`` table: one row per image, with the user's own columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core import ids
from ..core.labels import SAMPLES
from ..core.masks import one
from ..exceptions import InvalidLabels, SampleNotFound, SchemaError
from .media import FileMedia, Media
from .tables import SIZES, Database, among

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
        self.require_own()
        if "sample_id" not in rows.column_names:
            rows = rows.append_column("sample_id", pa.nulls(rows.num_rows, pa.string()))
        filled = pc.coalesce(ids.as_texts(rows["sample_id"]), pa.chunked_array([ids.fresh(rows.num_rows)]))
        rows = self.fit(rows.set_column(rows.column_names.index("sample_id"), SAMPLES.field("sample_id"), filled))
        self.require_new(filled)
        self.append(rows.schema, rows.to_batches())
        return pa.concat_arrays(filled.chunks) if filled.num_chunks else pa.array([], pa.string())

    def require_new(self, sample_ids: pa.ChunkedArray) -> None:
        """Raise ``InvalidLabels`` unless each of the ids is a text, given once, and not in the dataset."""
        blank = sample_ids.filter(pc.equal(pc.utf8_trim_whitespace(sample_ids), ""))
        if len(blank):
            raise InvalidLabels("", [f"A new sample has the sample_id {blank[0].as_py()!r}; give it a text, or none."])
        if pc.count_distinct(sample_ids).as_py() != len(sample_ids):
            raise InvalidLabels("", ["Two of the new samples have one sample_id; give each its own, or none."])
        present = self.present(sample_ids)
        if len(present):
            raise InvalidLabels(
                "", [f"The dataset has a sample {present[0].as_py()!r} already; give new samples new ids."]
            )

    def fit(self, rows: pa.Table) -> pa.Table:
        """Rows with the columns that the dataset has too in its types. Raises ``SchemaError`` for values that do not fit."""
        schema = self.schema()
        known = {f.name: f for f in schema}
        columns = {n: _fitted(rows[n], known[n]) if n in known else rows[n] for n in rows.column_names}
        return pa.table(columns)

    def append(self, given: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
        """Add rows that fit, with new ids; columns that the dataset does not have are made. One stream, bounded memory."""
        here = set(self.schema().names)
        if new := [f.with_nullable(True) for f in given if f.name not in here]:
            self.db.table("samples").add_columns(pa.schema(new))
        schema = self.schema()
        whole = (
            pa.RecordBatch.from_arrays(
                [b[f.name] if f.name in given.names else pa.nulls(b.num_rows, f.type) for f in schema], schema=schema
            )
            for b in batches
        )
        self.db.append("samples", pa.RecordBatchReader.from_batches(schema, whole))

    def present(self, sample_ids: pa.Array | pa.ChunkedArray) -> pa.Array:
        """Those of the ids that are in the dataset."""
        if not self.count():
            return pa.array([], pa.string())
        found = [
            pc.filter(batch["sample_id"], pc.is_in(batch["sample_id"], value_set=one(sample_ids)))
            for batch in self.scan(None, ["sample_id"])
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

    def computed(self, expression: str) -> Iterator[pa.RecordBatch]:
        """The ``sample_id`` of every sample, and the ``value`` of an SQL expression on its columns."""
        return self.db.scan("samples", {"sample_id": "sample_id", "value": expression})

    def ids(self, where: str | None = None) -> pa.Array:
        """The ids of the samples that match, in the order of the table."""
        batches = [batch["sample_id"] for batch in self.scan(where, ["sample_id"])]
        return pa.concat_arrays(batches) if batches else pa.array([], pa.string())

    def rows(self, sample_ids: pa.Array, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of some samples, in the order of the ids."""
        everything = self.schema()
        wanted = list(columns) if columns is not None else everything.names
        names = list(dict.fromkeys(["sample_id", *wanted]))
        schema = pa.schema([everything.field(n) for n in names])
        parts = []
        for at in range(0, len(sample_ids), _LOOK_UP):
            some = sample_ids.slice(at, _LOOK_UP)
            found = pa.Table.from_batches(self.scan(self._among(some), names), schema)
            parts.append(found.take(pc.index_in(some, value_set=one(found["sample_id"]))))
        rows = pa.concat_tables(parts) if parts else schema.empty_table()
        return rows.select(wanted)

    def set_sizes(self, sample_ids: Sequence[str], sizes: np.ndarray) -> None:
        """Fill in width and height, learnt from the files."""
        rows = size_rows(sample_ids, sizes)
        self.db.table("samples").merge_insert("sample_id").when_matched_update_all().execute(rows)

    def media(self, samples: pa.Table) -> Media:
        """The media of some sample rows."""
        return FileMedia.of(samples)

    def delete(self, sample_ids: Sequence[str]) -> None:
        """Delete samples."""
        self.db.delete("samples", among("sample_id", sample_ids))

    def require_own(self) -> None:
        """Raise ``StoreError`` unless samples can be written here."""

    def _among(self, sample_ids: pa.Array) -> str:
        """The condition for some samples."""
        return among("sample_id", sample_ids.to_pylist())


def size_rows(sample_ids: Sequence[str], sizes: np.ndarray) -> pa.Table:
    """``SIZES`` from ``[width, height]`` of each sample."""
    rows = pa.table({"sample_id": pa.array(sample_ids, pa.string()), "width": sizes[:, 0], "height": sizes[:, 1]})
    return rows.cast(SIZES)


def _fitted(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    try:
        return column.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as e:
        raise SchemaError(
            f"The column {field.name!r} of the samples is {field.type}: {str(e).splitlines()[0]}."
        ) from None
