"""Samples that are the rows of a user's own table, which is read in place and never written."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array
from ..core.did_you_mean import did_you_mean
from ..core.labels import SAMPLES
from ..core.media import media_types
from ..exceptions import StoreError
from . import image_headers
from .media import Media
from .samples import Samples, size_rows
from .schemas import SIZES
from .tables import Attachment, Database, in_list, quote

_SUFFIXES = {"jpeg": ".jpg", "jpeg2000": ".jp2"}  # file extensions that differ from the name of the format


class AttachedSamples(Samples):
    """A user's table as samples. Sizes that are read from the media are kept in the table ``annotation_sizes``.

    Conditions are on the columns of the user's table. Its column of media is not among those of the samples if it holds bytes:
    they have file names instead (the id, and the file extension of the first image), and the bytes are read on upload.
    """

    def __init__(self, database: Database, attachment: Attachment) -> None:
        super().__init__(database)
        self._at = attachment

    def schema(self) -> pa.Schema:
        """``SAMPLES``, then the other columns of the table.

        A column with the name of one of ``SAMPLES`` is used for it if its type fits.
        """
        table = self._table_schema()
        hidden = {*SAMPLES.names, self._at.id, self._at.media}
        return pa.schema([*SAMPLES, *(f for f in table if f.name not in hidden)])

    @property
    def has_files(self) -> bool:
        """Whether the media are files, and not bytes in the table."""
        return not self._at.suffix

    def scan(self, where: str | None = None, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Stream samples."""
        schema = self.schema()
        wanted = pa.schema([schema.field(n) for n in columns]) if columns is not None else schema
        sources = self._sources(schema)
        needed = sorted({self._at.id, *(sources[n] for n in wanted.names if n in sources)})
        sizes = (
            self._database.read("annotation_sizes") if {"width", "height"} & set(wanted.names) else SIZES.empty_table()
        )
        for batch in self._database.scan("samples", needed, where):
            given = {ours: batch[theirs] for ours, theirs in sources.items() if theirs in needed}
            yield self._as_samples(given, wanted, sizes)

    def evaluate(self, expression: str) -> Iterator[pa.RecordBatch]:
        """The ``sample_id`` of every sample, and the ``value`` of an SQL expression on the table's columns."""
        for batch in self._database.scan("samples", {"sample_id": f"`{self._at.id}`", "value": expression}):
            yield pa.record_batch({"sample_id": batch["sample_id"].cast(pa.string()), "value": batch["value"]})

    def ids(self, where: str | None = None) -> pa.Array:
        """The ids of the samples that match. Raises ``StoreError`` if ids are null or repeated by now."""
        found = super().ids(where)
        if found.null_count or pc.count_distinct(found).as_py() < len(found):
            _require_unique_ids(found, self._at.table, self._at.id)
        return found

    def media(self, samples: pa.Table) -> Media:
        """Access to the media of some samples; nothing is read yet."""
        if not self._at.suffix:
            return super().media(samples)
        table = self._database.table("samples")
        wanted = self._among(as_array(samples["sample_id"]))
        found = table.scanner(columns=[self._at.id], filter=wanted, with_row_id=True).to_table()
        names = found[self._at.id].cast(pa.string()).to_pylist()
        rows = dict(zip(names, found["_rowid"].to_pylist(), strict=True))
        return TableMedia(table, self._at.media, rows, self._condition if is_legacy(table) else None)

    def _condition(self, sample_id: str) -> str:
        return self._among(pa.array([sample_id]))

    def set_sizes(self, sample_ids: Sequence[str], sizes: np.ndarray) -> None:
        """Store width and height of media; they are used where the user's table has none."""
        self._database.require_writable()
        merge = self._database.table("annotation_sizes").merge_insert("sample_id")
        merge.when_matched_update_all().when_not_matched_insert_all().execute(size_rows(sample_ids, sizes))

    def require_writable(self) -> None:
        """Raise ``StoreError``."""
        self._database.require_writable()
        raise StoreError(
            f"The samples of this dataset are the table {self._at.table!r}, which annobridge never changes; "
            "change it with LanceDB, and the dataset follows."
        )

    def _table_schema(self) -> pa.Schema:
        found: pa.Schema = self._database.table("samples").schema
        if gone := [n for n in (self._at.id, self._at.media) if n not in found.names]:
            raise StoreError(
                f"The table {self._at.table!r} that this dataset is attached to has no column {gone[0]!r} any more; "
                "put it back, or attach the table anew in another place with dataset=…."
            )
        return found

    def _sources(self, schema: pa.Schema) -> dict[str, str]:
        """Column of the samples → column of the table from which it is read."""
        table = self._table_schema()
        fit = {f.name for f in table if f.name not in SAMPLES.names or _fits(f.type, SAMPLES.field(f.name).type)}
        sources = {n: n for n in schema.names if n in fit} | {"sample_id": self._at.id}
        return sources if self._at.suffix else sources | {"filepath": self._at.media}

    def _as_samples(self, given: dict[str, pa.Array], wanted: pa.Schema, sizes: pa.Table) -> pa.RecordBatch:
        ids = given["sample_id"].cast(pa.string())
        if self._at.suffix:
            given["filepath"] = pc.binary_join_element_wise(ids, self._at.suffix, "")
        if "media_type" not in given and "filepath" in given:
            given["media_type"] = media_types(given["filepath"])
        position = as_array(pc.index_in(ids, value_set=as_array(sizes["sample_id"])))
        for name in ("width", "height"):
            known = as_array(sizes[name]).take(position)
            given[name] = pc.coalesce(given[name].cast(known.type), known) if name in given else known
        return pa.RecordBatch.from_arrays(
            [given[f.name].cast(f.type) if f.name in given else pa.nulls(len(ids), f.type) for f in wanted],
            schema=wanted,
        )

    def _among(self, sample_ids: pa.Array) -> str:
        column, ids = f"`{self._at.id}`", sample_ids.to_pylist()
        if not pa.types.is_integer(self._table_schema().field(self._at.id).type):
            return in_list(column, ids)
        numbers = [i for i in ids if i.lstrip("-").isdecimal()]
        return f"{column} IN ({', '.join(numbers)})" if numbers else "false"


class TableMedia:
    """Media that are bytes in a table, read when they are opened.

    Args:
        table: the Lance table.
        column: its column of bytes.
        rows: sample id → row id.
        condition: returns an SQL condition for the row of a sample; for tables that cannot be filtered by row id.
    """

    def __init__(
        self, table: Any, column: str, rows: Mapping[str, int], condition: Callable[[str], str] | None = None
    ) -> None:
        self._table, self._column, self._rows, self._condition = table, column, rows, condition
        self._blob = is_blob(table.schema.field(column))

    def path(self, sample_id: str) -> Path | None:  # noqa: ARG002
        """``None``: there is no file."""
        return None

    def open(self, sample_id: str) -> BinaryIO:
        """A stream of the bytes; a Lance blob is read as needed. Raises ``FileNotFoundError`` if there are none."""
        row = self._rows.get(sample_id)
        if row is not None and self._blob:
            blobs = self._table.take_blobs(self._column, ids=[row])
            if blobs and blobs[0] is not None:
                found: BinaryIO = blobs[0]
                return found
        elif row is not None:
            where = self._condition(sample_id) if self._condition else f"_rowid IN ({row})"
            cells = self._table.scanner(columns=[self._column], filter=where).to_table()[self._column]
            if len(cells) and (stream := _stream(cells[0].as_py())) is not None:
                return stream
        raise FileNotFoundError(f"the table has no bytes for it in {self._column!r}")


def _stream(cell: bytes | Mapping[str, Any] | None) -> BinaryIO | None:
    """The bytes of a cell. Hugging Face's struct may have a path instead of bytes."""
    if isinstance(cell, Mapping):
        if cell["bytes"] is None and cell.get("path"):
            return Path(cell["path"]).open("rb")
        cell = cell["bytes"]
    return io.BytesIO(cell) if isinstance(cell, bytes) else None


def is_legacy(table: Any) -> bool:
    """Whether a table has Lance's first file format, which cannot be filtered by row id."""
    return str(table.data_storage_version) in ("0.1", "legacy")


def _fits(theirs: pa.DataType, ours: pa.DataType) -> bool:
    """Whether a column of the table can be read as one of ``SAMPLES``."""
    if pa.types.is_list(ours):
        return pa.types.is_list(theirs) and _fits(theirs.value_type, ours.value_type)
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_string)
    return any(kind(theirs) and kind(ours) for kind in kinds)


def is_blob(field: pa.Field) -> bool:
    """Whether a column has Lance's type for blobs, which can be read in part."""
    return (field.metadata or {}).get(b"lance-encoding:blob") == b"true" or "blob" in str(
        getattr(field.type, "extension_name", "")
    )


def _holds_bytes(kind: pa.DataType) -> bool:
    """Whether a type is bytes, or Hugging Face's struct of bytes and a path."""
    if pa.types.is_struct(kind):
        at = kind.get_field_index("bytes")
        return at >= 0 and _holds_bytes(kind.field(at).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _literal(value: Any) -> str:
    return str(value) if isinstance(value, int) else quote(value)


def inspect_table(
    uri: str, table: str, id_column: str, media: str, beside: bool, storage_options: dict[str, str] | None
) -> Attachment:
    """Check a user's table, and return the attachment for it.

    Args:
        uri: the database of the table.
        table: its name.
        id_column: its column of ids, text or whole numbers, unique.
        media: its column of media: paths, URIs, bytes, Lance blobs, or structs of bytes and a path.
        beside: the dataset is in the same database, so that the table is found by its name.
        storage_options: options of the object store.

    Raises:
        StoreError: the table cannot be used.
    """
    if "://" not in uri and not Path(uri).is_dir():  # LanceDB would create it
        raise StoreError(f"There is no folder {uri!r}, and so no table to attach; correct the path.")
    database = Database(uri, storage_options)
    names = database.table_names()
    if table not in names:
        raise StoreError(f"There is no table {table!r} at {uri!r}; {did_you_mean(table, names)}")
    schema = database.table(table).schema
    for what, column in (("id", id_column), ("media", media)):
        if column not in schema.names:
            raise StoreError(
                f"The table {table!r} has no column {column!r} ({what}=); {did_you_mean(column, schema.names)}"
            )
    type_ = schema.field(id_column).type
    if not (pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_integer(type_)):
        raise StoreError(
            f"The column {id_column!r} is {type_}; ids are text or whole numbers, so name another with id=."
        )
    if "`" in id_column:
        raise StoreError(
            f"The name of the column {id_column!r} has a backtick, which conditions cannot hold; name another with id=."
        )
    _require_unique_ids(database.read(table, [id_column])[id_column], table, id_column)
    location = (
        table
        if beside
        else str(Path(uri).absolute() / f"{table}.lance")
        if "://" not in uri
        else f"{uri}/{table}.lance"
    )
    return Attachment(location, id_column, media, _suffix(database, table, schema.field(media), id_column))


def _require_unique_ids(ids: pa.Array | pa.ChunkedArray, table: str, column: str) -> None:
    if ids.null_count:
        raise StoreError(f"{ids.null_count} rows of the table {table!r} have no {column!r}; every sample needs an id.")
    if pc.count_distinct(ids).as_py() < len(ids):
        counts = pc.value_counts(ids)
        twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")[0].as_py()
        raise StoreError(
            f"The id {twice!r} is in several rows of the table {table!r}; name a column of unique ids with id=."
        )


def _suffix(database: Database, table: str, field: pa.Field, id_column: str) -> str:
    """The file extension for images that are bytes, that of the first one; empty for paths."""
    if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
        return ""
    if not (is_blob(field) or _holds_bytes(field.type)):
        raise StoreError(
            f"The column {field.name!r} is {field.type}; media are paths, URIs, bytes, Lance blobs, or structs with bytes and a "
            "path. Add such a column with LanceDB, or name another with media=."
        )
    rows = database.table(table)
    first = rows.scanner(
        columns=[id_column], with_row_id=True, filter=f"`{field.name}` IS NOT NULL", limit=1
    ).to_table()
    if not first.num_rows:
        raise StoreError(
            f"The column {field.name!r} of the table {table!r} holds no media yet; attach it when it does."
        )
    condition = f"`{id_column}` = {_literal(first[id_column][0].as_py())}"
    media = TableMedia(
        rows, field.name, {"": first["_rowid"][0].as_py()}, (lambda _: condition) if is_legacy(rows) else None
    )
    try:
        with media.open("") as stream:
            name = image_headers.read_header(stream).format.lower()
            return _SUFFIXES.get(name, f".{name}")
    except FileNotFoundError as error:
        raise StoreError(
            f"The first row of {field.name!r} in the table {table!r} has no image ({error}); correct it, or name another column."
        ) from None
    except image_headers.IMAGE_ERRORS:
        raise StoreError(
            f"The bytes in {field.name!r} of the table {table!r} are not an image that Pillow can read; name another column."
        ) from None
