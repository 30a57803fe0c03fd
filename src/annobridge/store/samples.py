"""The ``samples`` table: one row per image or video, with the columns of users."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import lance
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core import ids
from ..core.arrays import as_array
from ..core.labels import SAMPLES
from ..exceptions import InvalidLabels, SampleNotFound, SchemaError
from .commits import Commits
from .errors import translate_errors
from .media import FileMedia, Media
from .schemas import SIZES
from .tables import Database, in_list

_IDS_PER_CONDITION = 10_000


@dataclass(frozen=True, slots=True)
class NewSampleIds:
    """What must be unique about new samples.

    Attributes:
        ids: the ids of all of them.
        given: the ids that the caller gave.
        files: the paths of the samples that were given no id.
    """

    ids: pa.Array
    given: pa.Array
    files: pa.Array


class Samples:
    """Reads and writes samples."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._commits = Commits(database, "samples")

    def schema(self) -> pa.Schema:
        """The columns, including those of users."""
        return self._database.table("samples").schema.remove_metadata()

    def count(self) -> int:
        """The number of samples."""
        return self._database.count("samples")

    def prepare_rows(self, given: pa.Table) -> tuple[pa.Table, NewSampleIds]:
        """Samples as rows to append, with new ids where they have none; and what must be unique about them."""
        self.require_writable()
        if "sample_id" not in given.column_names:
            given = given.append_column("sample_id", pa.nulls(given.num_rows, pa.string()))
        had = given["sample_id"].is_valid()
        filled = pc.coalesce(ids.as_texts(given["sample_id"]), pa.chunked_array([ids.fresh(given.num_rows)]))
        rows = self.cast_columns(
            given.set_column(given.column_names.index("sample_id"), SAMPLES.field("sample_id"), filled)
        )
        files = (
            rows["filepath"].filter(pc.invert(had))
            if "filepath" in rows.column_names
            else pa.chunked_array([], pa.string())
        )
        return rows, NewSampleIds(as_array(filled), as_array(filled.filter(had)), as_array(files.drop_null()))

    def require_new(self, identity: NewSampleIds, version: int | None = None) -> None:
        """Raise ``InvalidLabels`` for samples that the dataset has already.

        A sample that was given an id is compared by it, and another by its file. ``version`` is that of the table; by default
        the newest.
        """
        blank = identity.given.filter(pc.equal(pc.utf8_trim_whitespace(identity.given), ""))
        if len(blank):
            raise InvalidLabels("", [f"A new sample has the sample_id {blank[0].as_py()!r}; give it a text, or none."])
        self._require_new("sample_id", identity.given, "sample", "give each new sample a new id, or none", version)
        cure = "leave it out, or give it a sample_id of its own to have the file twice"
        self._require_new("filepath", identity.files, "sample of the file", cure, version)

    def _require_new(self, column: str, values: pa.Array, what: str, cure: str, version: int | None) -> None:
        if not len(values):
            return
        if pc.count_distinct(values).as_py() < len(values):
            twice = next(v["values"] for v in pc.value_counts(values).to_pylist() if v["counts"] > 1)
            raise InvalidLabels("", [f"Two of the new samples have one {column}, {twice!r}; {cure}."])
        for batch in self._database.scan("samples", [column], None, version):
            found = batch[column].filter(pc.is_in(batch[column], value_set=values))
            if len(found):
                raise InvalidLabels("", [f"The dataset has a {what} {found[0].as_py()!r} already; {cure}."])

    def cast_columns(self, rows: pa.Table) -> pa.Table:
        """Cast the columns that the dataset has to its types. Raises ``SchemaError`` for values that do not fit."""
        schema = self.schema()
        known = {f.name: f for f in schema}
        columns = {n: _fitted(rows[n], known[n]) if n in known else rows[n] for n in rows.column_names}
        return pa.table(columns)

    def version(self) -> int:
        """The newest version of the table."""
        return int(self._commits.latest().version)

    def append(self, given: pa.Schema, batches: Iterable[pa.RecordBatch], identity: NewSampleIds, checked: int) -> None:
        """Add rows in one version, in bounded memory.

        Args:
            given: the schema of the batches. Columns that the dataset does not have are added to it.
            batches: the rows, with the types of ``cast_columns``.
            identity: what must be unique about them.
            checked: the version for which ``require_new`` passed; it is checked again if others wrote since.
        """
        self._database.require_writable()
        here = set(self.schema().names)
        if new := [f.with_nullable(True) for f in given if f.name not in here]:
            self._database.table("samples").add_columns(pa.schema(new))
        schema = self.schema()
        complete = (
            pa.RecordBatch.from_arrays(
                [b[f.name] if f.name in given.names else pa.nulls(b.num_rows, f.type) for f in schema], schema=schema
            )
            for b in batches
        )
        fragments = self._commits.write_fragments(complete, self._commits.latest(), schema)

        def prepare_append(table: lance.LanceDataset) -> lance.LanceOperation.BaseOperation:
            if table.version > checked + 1:  # the fence itself is one version
                self.require_new(identity, table.version)
            return lance.LanceOperation.Append(fragments)

        if fragments:
            self._commits.commit_fenced(prepare_append)

    def existing_ids(self, sample_ids: pa.Array | pa.ChunkedArray) -> pa.Array:
        """The ids that are in the dataset."""
        if not self.count():
            return pa.array([], pa.string())
        found = [
            pc.filter(batch["sample_id"], pc.is_in(batch["sample_id"], value_set=as_array(sample_ids)))
            for batch in self.scan(None, ["sample_id"])
        ]
        return pa.concat_arrays(found) if found else pa.array([], pa.string())

    def require(
        self, sample_ids: pa.Array | pa.ChunkedArray, cure: str = "add the samples before their labels"
    ) -> None:
        """Raise ``SampleNotFound`` unless every id is in the dataset."""
        wanted = pc.unique(sample_ids)
        missing = wanted.filter(pc.invert(pc.is_in(wanted, value_set=self.existing_ids(wanted))))
        if len(missing):
            more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
            raise SampleNotFound(f"The dataset has no sample {missing[0].as_py()!r}{more}; {cure}.")

    def scan(self, where: str | None = None, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Stream samples that meet an SQL condition, or all."""
        return self._database.scan("samples", columns, where)

    def evaluate(self, expression: str) -> Iterator[pa.RecordBatch]:
        """The ``sample_id`` of every sample, and the ``value`` of an SQL expression on its columns."""
        return self._database.scan("samples", {"sample_id": "sample_id", "value": expression})

    def ids(self, where: str | None = None) -> pa.Array:
        """The ids of the samples that meet an SQL condition, in the order of the table."""
        batches = [batch["sample_id"] for batch in self.scan(where, ["sample_id"])]
        return pa.concat_arrays(batches) if batches else pa.array([], pa.string())

    def rows(self, sample_ids: pa.Array, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of some samples, in the order of the ids."""
        everything = self.schema()
        wanted = list(columns) if columns is not None else everything.names
        names = list(dict.fromkeys(["sample_id", *wanted]))
        schema = pa.schema([everything.field(n) for n in names])
        parts = []
        for at in range(0, len(sample_ids), _IDS_PER_CONDITION):
            some = sample_ids.slice(at, _IDS_PER_CONDITION)
            found = pa.Table.from_batches(self.scan(self._among(some), names), schema)
            parts.append(found.take(pc.index_in(some, value_set=as_array(found["sample_id"]))))
        rows = pa.concat_tables(parts) if parts else schema.empty_table()
        return rows.select(wanted)

    def set_sizes(self, sample_ids: Sequence[str], sizes: np.ndarray) -> None:
        """Set width and height, in pixels: one row of ``sizes`` for each id."""
        self._database.require_writable()
        rows = size_rows(sample_ids, sizes)
        table = self._database.table("samples")
        with translate_errors(self._database.uri, "samples", "written"):
            table.merge_insert("sample_id").when_matched_update_all().execute(rows)

    def media(self, samples: pa.Table) -> Media:
        """Access to the media of some samples."""
        return FileMedia.of(samples, self._database.storage_options)

    def delete(self, sample_ids: Sequence[str]) -> None:
        """Delete samples."""
        self._database.delete("samples", in_list("sample_id", sample_ids))

    def require_writable(self) -> None:
        """Raise ``StoreError`` if the samples are an attached table, which is never written, or those of a snapshot."""
        self._database.require_writable()

    def _among(self, sample_ids: pa.Array) -> str:
        """The condition for some samples."""
        return in_list("sample_id", sample_ids.to_pylist())


def size_rows(sample_ids: Sequence[str], sizes: np.ndarray) -> pa.Table:
    """Rows of ``SIZES``, from one ``[width, height]`` per sample."""
    rows = pa.table({"sample_id": pa.array(sample_ids, pa.string()), "width": sizes[:, 0], "height": sizes[:, 1]})
    return rows.cast(SIZES)


def _fitted(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    try:
        return column.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as e:
        raise SchemaError(
            f"The column {field.name!r} of the samples is {field.type}: {str(e).splitlines()[0]}."
        ) from None
