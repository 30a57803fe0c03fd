"""The ``samples`` table: one row per image or video, with the columns of users."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import lance
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from lance.commit import CommitConflictError

from ..core import ids
from ..core.arrays import as_array
from ..core.labels import SAMPLES
from ..exceptions import InvalidLabels, SampleNotFound, SchemaError, StalePlan, StoreError
from .commits import Commits
from .errors import translate_errors
from .media import FileMedia, Media, without_secrets
from .media_paths import MediaPaths
from .schemas import SIZES
from .tables import Database, in_list
from .task_index import filter_by_samples

_IDS_PER_CONDITION = 10_000


@dataclass(frozen=True, slots=True)
class NewSampleIds:
    """What must be unique about new samples.

    Attributes:
        ids: the ids of all of them.
        given: the ids that the caller gave.
        files: the paths of the samples that were given no id, as they are stored.
    """

    ids: pa.Array
    given: pa.Array
    files: pa.Array


class Samples:
    """Reads and writes samples. ``paths`` translates those of their media, which have a form of their own in the table."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._commits = Commits(database, "samples")
        self.paths = MediaPaths(database)

    def schema(self) -> pa.Schema:
        """The columns, including those of users."""
        return self._database.table("samples").schema.remove_metadata()

    @property
    def has_files(self) -> bool:
        """Whether the media are files, and not inside the table."""
        return True

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
        files = as_array(self.paths.stored(files.drop_null()))
        return rows, NewSampleIds(as_array(filled), as_array(filled.filter(had)), files)

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
            twice = next(v["values"] for v in pc.value_counts(self.paths.whole(values)).to_pylist() if v["counts"] > 1)
            raise InvalidLabels("", [f"Two of the new samples have one {column}, {without_secrets(twice)!r}; {cure}."])
        for batch in self._database.scan("samples", [column], None, version):
            here = self.paths.stored(batch[column]) if column == "filepath" else batch[column]
            found = here.filter(pc.is_in(here, value_set=values))
            if len(found):
                first = self.paths.whole(found)[0].as_py()
                raise InvalidLabels("", [f"The dataset has a {what} {without_secrets(first)!r} already; {cure}."])

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
        complete = (self._stored(batch, schema) for batch in batches)
        fragments = self._commits.write_fragments(complete, self._commits.latest(), schema)

        def prepare_append(table: lance.LanceDataset) -> lance.LanceOperation.BaseOperation:
            if table.version > checked + 1:  # the fence itself is one version
                self.require_new(identity, table.version)
            return lance.LanceOperation.Append(fragments)

        if fragments:
            self._commits.commit_fenced(prepare_append)

    def _stored(self, batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
        """Rows as the table has them."""
        columns = {
            f.name: batch[f.name] if f.name in batch.schema.names else pa.nulls(batch.num_rows, f.type) for f in schema
        }
        columns["filepath"] = self.paths.stored(columns["filepath"])
        return pa.RecordBatch.from_arrays(list(columns.values()), schema=schema)

    def existing_ids(self, sample_ids: pa.Array | pa.ChunkedArray) -> pa.Array:
        """The ids that are in the dataset."""
        if not self.count():
            return pa.array([], pa.string())
        batches = filter_by_samples(self.scan(None, ["sample_id"]), as_array(sample_ids))
        return pa.concat_arrays([pa.array([], pa.string()), *(batch["sample_id"] for batch in batches)])

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
        try:
            for batch in self._database.scan("samples", columns, where and self.paths.expression(where)):
                yield self.paths.whole_column(batch)
        except StoreError as error:
            raise self.paths.explained(error, where) if where else error from error.__cause__

    def evaluate(self, expression: str) -> Iterator[pa.RecordBatch]:
        """The ``sample_id`` of every sample, and the ``value`` of an SQL expression on its columns."""
        columns = {"sample_id": "sample_id", "value": self.paths.expression(expression)}
        try:
            yield from self._database.scan("samples", columns)
        except StoreError as error:
            raise self.paths.explained(error, expression) from error.__cause__

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

    def replace_paths(self, version: int, replaced: Callable[[pa.RecordBatch], pa.Array]) -> int | None:
        """Replace paths of media in one version; rows keep their order. Returns the new version, ``None`` if nothing is replaced.

        Args:
            version: the version of the table that is changed.
            replaced: the new path of each row, as the table has it (``sample_id``, ``filepath``); null for one that stays.

        Raises:
            StalePlan: the table was changed since that version.
        """
        table = self._database.table("samples", version)
        updated, fields = [], set()
        for fragment in table.get_fragments():
            batches = fragment.to_batches(columns=["sample_id", "filepath"], with_row_id=True)
            parts = [pa.table({"_rowid": b["_rowid"], "filepath": self.paths.stored(replaced(b))}) for b in batches]
            rows = pa.concat_tables(parts) if parts else None
            if rows is None or not (rows := rows.filter(rows["filepath"].is_valid())).num_rows:
                continue
            with translate_errors(self._database.uri, "samples", "written"):
                changed, columns = fragment.update_columns(rows, left_on="_rowid", right_on="_rowid")
            updated.append(changed)
            fields.update(columns)
        if not updated:
            return None
        change = lance.LanceOperation.Update(updated_fragments=updated, fields_modified=sorted(fields))
        try:
            return self._commits.commit(table, change)
        except CommitConflictError:
            raise StalePlan(
                "The samples were changed by another process meanwhile; nothing was written. Repeat the call."
            ) from None

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
