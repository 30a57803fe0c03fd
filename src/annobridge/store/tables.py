"""One dataset is one LanceDB database: a folder, or ``s3://``, ``gs://``, ``az://``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lance
import lancedb
import numpy as np
import pyarrow as pa

from ..core.labels import BASELINE, LABELS, SAMPLES, TIME
from ..core.merge.reconcile import REPLACED
from ..exceptions import DatasetExists, DatasetNotFound, StoreError
from .errors import first_line, is_damage, translate_errors, unusable_table

Columns = Sequence[str] | Mapping[str, str] | None  # names, or names with the SQL expressions that give their values
FORMAT = "1"  # of these tables; grows when an older annobridge could no longer read them
_MARK = b"annobridge.format"
_ATTACHED = b"annobridge.samples"
# Stable row ids carry each row's version history; 2.1 is the newest file format that Pixano's LanceDB can read.
_OPTIONS = {"new_table_enable_stable_row_ids": "true", "new_table_data_storage_version": "2.1"}
# Lance's own read-ahead is made for throughput alone; this halves its memory and costs little.
_SCAN = {"batch_size": 16_384, "batch_readahead": 2, "fragment_readahead": 1, "io_buffer_size": 32 << 20}
_ROWS = 10_000  # in one condition
WRITE_CACHE = 48 << 20  # bytes, of all columns; the default is 8 MiB for each

RUNS = pa.schema(
    [
        pa.field("anno_key", pa.string(), nullable=False),
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("state", pa.string(), nullable=False),  # sending | sent
        pa.field("backend", pa.string(), nullable=False),
        pa.field("label_schema", pa.string(), nullable=False),  # JSON, resolved
        pa.field("options", pa.string(), nullable=False),  # JSON, never a credential
        pa.field("view", pa.string(), nullable=False),  # JSON, the stages of the view
        pa.field("labels_version", pa.int64(), nullable=False),  # of ``labels``, when the run was sent
        pa.field("loads", pa.string(), nullable=False),  # JSON, the history of loads
        pa.field("created", TIME, nullable=False),
        pa.field("updated", TIME, nullable=False),
        pa.field("rev", pa.int64(), nullable=False),
    ]
)
TASKS = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("sample_ids", pa.list_(pa.string()), nullable=False),
    ]
)
RECEIPTS = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("state", pa.string(), nullable=False),  # JSON, private to the backend
    ]
)
CHANGES = pa.schema(
    [
        *(f for f in REPLACED if f.name not in ("_rowaddr", "_rowid")),
        pa.field("run_id", pa.string()),
        pa.field("load", pa.int32()),
    ]
)
LEASES = "annotation_leases"  # a table without rows; what it keeps is in its configuration, see ``lease``
SIZES = pa.schema([SAMPLES.field(n) for n in ("sample_id", "width", "height")])
_TABLES = {
    "samples": SAMPLES,
    "labels": LABELS,
    "annotation_runs": RUNS,
    "annotation_tasks": TASKS,
    "annotation_receipts": RECEIPTS,
    "annotation_baseline": BASELINE,
    "annotation_changes": CHANGES,
    LEASES: pa.schema([pa.field("name", pa.string())]),
}


@dataclass(frozen=True, slots=True)
class Attachment:
    """The samples of a dataset are somebody's table: its name or URI, and its columns of ids and of media.

    ``suffix`` ends the file names of media that are bytes; it is empty for paths.
    """

    table: str
    id: str
    media: str
    suffix: str

    def place(self, uri: str) -> str:
        """Where the table lies: by its name in the database, or by its own URI."""
        return self.table if self.table.endswith(".lance") else f"{uri.rstrip('/')}/{self.table}.lance"


OWN_TABLES = tuple(_TABLES)


class Database:
    """The tables of one dataset."""

    def __init__(
        self, uri: str, storage_options: dict[str, str] | None = None, attachment: Attachment | None = None
    ) -> None:
        self.uri = uri
        self.storage_options = storage_options
        self.attachment = attachment

    @property
    def own(self) -> dict[str, pa.Schema]:
        """The tables that are ours."""
        if self.attachment is None:
            return _TABLES
        return {n: s for n, s in _TABLES.items() if n != "samples"} | {"annotation_sizes": SIZES}

    @classmethod
    def create(
        cls, uri: str, storage_options: dict[str, str] | None = None, attachment: Attachment | None = None
    ) -> Database:
        """Make the tables of a new dataset. Raises ``DatasetExists``, and leaves what is there alone."""
        db = cls(uri, storage_options, attachment)
        connection = db._connect()
        present = set(db.names())
        missing = [name for name in db.own if name not in present]
        if len(missing) < len(db.own) and not (missing and db._half_made(present)):
            raise DatasetExists(
                f"There is a dataset at {uri!r} already; open it with load_dataset, or choose another place."
            )
        for name in missing:
            db.make(name, connection)
        return db

    def make(self, name: str, connection: Any = None) -> None:
        """Make one of our tables, if it is not there."""
        connection = connection or self._connect()
        connection.create_table(name, schema=self._stored(name), storage_options=_OPTIONS, exist_ok=True)

    @classmethod
    def create_or_continue(cls, uri: str, storage_options: dict[str, str] | None = None) -> Database:
        """Make the tables of a new dataset where it is going to stay, or find those that an interrupted import left there.

        Raises ``DatasetExists`` for a dataset that has samples or runs.
        """
        try:
            return cls.create(uri, storage_options)
        except DatasetExists:
            db = cls.open(uri, storage_options)
            if db.table("samples").count_rows() or db.table("annotation_runs").count_rows():
                raise
            return db

    @classmethod
    def open(cls, uri: str, storage_options: dict[str, str] | None = None) -> Database:
        """Open a dataset. Raises ``DatasetNotFound`` for a place that is not one, and touches nothing there."""
        if "://" not in uri and not Path(uri).is_dir():
            raise DatasetNotFound(
                f"There is no folder {uri!r}; make a dataset there with create_dataset, or correct the path."
            )
        db = cls(uri, storage_options)
        names = set(db.names())
        marks = (db.table("labels").schema.metadata or {}) if "labels" in names else {}
        if _ATTACHED in marks:
            db.attachment = Attachment(**json.loads(marks[_ATTACHED]))
        if missing := sorted(set(db.own) - names - {LEASES}):  # which datasets of version 0.1 do not have
            found = f"it holds {', '.join(sorted(names))}" if names else "it holds no LanceDB table"
            raise DatasetNotFound(
                f"{uri!r} is not an annobridge dataset ({found}; {', '.join(missing)} missing); "
                "make one with create_dataset in another folder."
            )
        found_format = marks.get(_MARK, b"").decode()
        if found_format != FORMAT:
            raise StoreError(
                f"The dataset {uri!r} has format {found_format or 'unknown'}, and this annobridge reads format {FORMAT}; "
                "use the version of annobridge that wrote it."
            )
        return db

    def _half_made(self, present: set[str]) -> bool:
        """Whether somebody was interrupted while making a dataset here: our tables, and nothing in them yet."""
        tables = [self.table(name) for name in present & set(self.own)]
        return all(_MARK in (t.schema.metadata or {}) and not t.count_rows() for t in tables)

    def _connect(self) -> Any:
        try:
            return lancedb.connect(self.uri, storage_options=self.storage_options)
        except OSError as e:
            raise StoreError(
                f"The place {self.uri!r} cannot be opened: {first_line(e)}. Check the path and its rights."
            ) from e

    def names(self) -> list[str]:
        """All tables of the database, those of others too."""
        return sorted(self._connect().list_tables().tables)

    def table(self, name: str, version: int | None = None) -> Any:
        """A table as it is now, or as it was at a version."""
        place = f"{self.uri.rstrip('/')}/{name}.lance"
        attached = self.attachment if name == "samples" else None
        if attached is not None:
            place = attached.place(self.uri)
        try:
            return lance.dataset(place, version=version, storage_options=self.storage_options)
        except (ValueError, OSError) as e:
            if attached is not None:
                raise StoreError(
                    f"The table {attached.table!r} that this dataset is attached to cannot be opened: {first_line(e)}; put it back."
                ) from e
            if version is not None or name == LEASES:  # which may be gone, as the caller knows
                raise
            raise unusable_table(e, self.uri, name, "opened") from e

    def append(self, name: str, rows: pa.Table | pa.RecordBatchReader) -> None:
        """Add rows; one version."""
        table = self.table(name)
        with translate_errors(self.uri, name, "written"):
            lance.write_dataset(
                rows, table, mode="append", storage_options=self.storage_options, data_cache_bytes=WRITE_CACHE
            )

    def delete(self, name: str, where: str) -> None:
        """Delete rows; one version."""
        table = self.table(name)
        with translate_errors(self.uri, name, "written"):
            table.delete(where)

    def delete_rows(self, name: str, row_ids: np.ndarray) -> None:
        """Delete rows by their ``_rowid``; a version for each so many."""
        for at in range(0, len(row_ids), _ROWS):
            self.delete(name, f"_rowid IN ({', '.join(map(str, row_ids[at : at + _ROWS].tolist()))})")

    def scan(
        self, name: str, columns: Columns = None, where: str | None = None, version: int | None = None,
        address: bool = False, row_id: bool = False, limit: int | None = None,
    ) -> Iterator[pa.RecordBatch]:  # fmt: skip
        """Stream rows in bounded memory; ``address`` adds ``_rowaddr`` and ``_rowid``, ``row_id`` the latter alone.

        ``columns`` may name SQL expressions.
        """
        table = self.table(name, version)
        chosen = columns if columns is None or isinstance(columns, Mapping) else list(columns)
        try:
            yield from table.scanner(
                columns=chosen,
                filter=where,
                with_row_address=address,
                with_row_id=address or row_id,
                limit=limit,
                **_SCAN,
            ).to_batches()
        except (ValueError, OSError) as e:
            said = [("filter", where)] if where is not None else []
            said += [("expression", list(columns.values())[-1])] if isinstance(columns, Mapping) else []
            if is_damage(e) or not said:
                raise unusable_table(e, self.uri, name, "read") from e
            what, text = said[0]
            raise StoreError(
                f"The {what} {text!r} cannot be run on {name}: {first_line(e)}. Its columns are {', '.join(table.schema.names)}."
            ) from e

    def count(self, name: str, where: str | None = None) -> int:
        """How many rows there are."""
        table = self.table(name)
        try:
            return int(table.count_rows(where))
        except (ValueError, OSError) as e:
            raise unusable_table(e, self.uri, name, "read") from e

    def read(self, name: str, columns: Sequence[str] | None = None, where: str | None = None) -> pa.Table:
        """Rows as one table."""
        schema = self.table(name).schema.remove_metadata()
        if columns is not None:
            schema = pa.schema([schema.field(c) for c in columns])
        return pa.Table.from_batches(self.scan(name, columns, where), schema)

    def optimize(self) -> None:
        """Put small files together, in every table; nothing that a reader sees changes."""
        for name in self.own:
            self.table(name).optimize.compact_files()

    def _stored(self, name: str) -> pa.Schema:
        """A schema with what the store shall know of it: our mark, and that ids are random text, not worth compressing."""
        plain = {b"lance-encoding:compression": b"none"}
        fields = [f.with_metadata(plain) if f.name in ("label_id", "remote_id") else f for f in self.own[name]]
        marks = {_MARK: FORMAT.encode()}
        if self.attachment is not None:
            marks[_ATTACHED] = json.dumps(asdict(self.attachment)).encode()
        return pa.schema(fields, marks)


def quote(text: str) -> str:
    """A string literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def in_list(column: str, values: Sequence[str]) -> str:
    """An ``IN`` condition."""
    return f"{column} IN ({', '.join(map(quote, values))})"
