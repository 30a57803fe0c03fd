"""The LanceDB database of a dataset (a folder, or ``s3://``, ``gs://``, ``az://``): its tables and their schemas."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow as pa
from lance.file import LanceFileSession

from ..core.media import without_secrets
from ..exceptions import DatasetExists, DatasetNotFound, StoreError
from .errors import first_line, is_damage, translate_errors, unusable_table
from .refusals import harmless, is_missing, refusal
from .remote import is_uri
from .remote_file import fault_of_options
from .schemas import LATER, SCHEMAS, SIZES

Columns = Sequence[str] | Mapping[str, str] | None  # names, or name -> SQL expression that computes the column
FORMAT = "1"  # version of the tables; raised when an older annobridge could no longer read them
_MARK = b"annobridge.format"
_ATTACHED = b"annobridge.samples"
# Stable row ids carry each row's version history; 2.1 is the newest file format that Pixano's LanceDB can read.
_OPTIONS: dict[str, Any] = {"enable_stable_row_ids": True, "data_storage_version": "2.1"}
# Lance's default read-ahead favours throughput; these values halve its memory at little cost.
SCAN: dict[str, Any] = {
    "batch_size": 16_384,
    "batch_readahead": 2,
    "fragment_readahead": 1,
    "io_buffer_size": 4 << 20,
}
_ROWS_PER_CONDITION = 10_000
WRITE_CACHE = 16 << 20  # bytes for all columns together; Lance's default is 8 MiB per column
# Of a data file. To read any row, Lance decodes up to 24 bytes of metadata for each row of the file.
FILE_ROWS = 1 << 17
_METADATA_CACHE = 4 << 20  # bytes for each table; the metadata of one file of ``FILE_ROWS`` labels fits in


@dataclass(frozen=True, slots=True)
class Attachment:
    """A user's own table that serves as the samples of a dataset: its name or URI, its id column and its media column.

    ``suffix`` is the file extension for media stored as bytes (file names are made of id and suffix); empty for paths.
    """

    table: str
    id: str
    media: str
    suffix: str

    def location(self, uri: str) -> str:
        """The URI of the table, in the database ``uri`` unless it has one of its own."""
        return self.table if self.table.endswith(".lance") else f"{uri.rstrip('/')}/{self.table}.lance"


OWN_TABLES = tuple(SCHEMAS)


_Identity = tuple[int, int]  # inode and time of the last change of a table's folder


class Database:
    """Access to the tables of one dataset. Threads may share it."""

    snapshot: str | None = None  # the name of the snapshot that is read, see ``PinnedDatabase``

    def __init__(
        self, uri: str, storage_options: dict[str, str] | None = None, attachment: Attachment | None = None
    ) -> None:
        if is_uri(uri) and (sign := re.search(r"[?#]", uri)):
            raise StoreError(
                f"The URI of {without_secrets(uri)!r} has {sign[0]!r}, which ends its path; choose a place without that sign."
            )
        if fault := fault_of_options(storage_options):
            raise StoreError(f"The place {without_secrets(uri)!r} cannot be opened: {fault}.")
        self.uri = self.place = uri  # ``place`` is where a dataset that is being made will be in the end
        self.storage_options = storage_options
        self.attachment = attachment
        self._sessions: dict[
            str, tuple[_Identity, Any]
        ] = {}  # location → identity of its folder, and a session of Lance

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_sessions": {}}  # they cannot be pickled

    @property
    def newest(self) -> Database:
        """The same dataset as it is now; see ``PinnedDatabase``."""
        return self

    def require_writable(self) -> None:
        """Raise ``StoreError`` for a dataset as of a snapshot; see ``PinnedDatabase``."""

    @property
    def own_tables(self) -> dict[str, pa.Schema]:
        """The tables that annobridge writes, with their schemas; not an attached table."""
        if self.attachment is None:
            return SCHEMAS
        return {n: s for n, s in SCHEMAS.items() if n != "samples"} | {"annotation_sizes": SIZES}

    @classmethod
    def create(
        cls, uri: str, storage_options: dict[str, str] | None = None, attachment: Attachment | None = None
    ) -> Database:
        """Create the tables of a new dataset. Raises ``DatasetExists``, and then changes nothing."""
        db = cls(uri, storage_options, attachment)
        db._make_folder()
        present = set(db.table_names())
        missing = [name for name in db.own_tables if name not in present]
        if len(missing) < len(db.own_tables) and not (missing and db._half_made(present)):
            raise DatasetExists(
                f"There is a dataset at {uri!r} already; open it with load_dataset, or choose another place."
            )
        for name in missing:
            db.create_table(name)
        return db

    def create_table(self, name: str) -> None:
        """Create one of annobridge's tables unless it exists, as LanceDB's ``create_table`` does."""
        self.require_writable()
        try:
            lance.write_dataset(
                self._stored(name).empty_table(), f"{self.uri.rstrip('/')}/{name}.lance", mode="create",
                storage_options=self.storage_options, **_OPTIONS,
            )  # fmt: skip
        except (OSError, ValueError, RuntimeError) as e:  # Lance has all of them for an object store
            if name not in self.table_names():
                raise unusable_table(e, self.uri, name, "made") from harmless(e)

    @classmethod
    def create_or_continue(cls, uri: str, storage_options: dict[str, str] | None = None) -> Database:
        """Create the tables of a new dataset, or open the empty ones that an interrupted import left.

        Raises ``DatasetExists`` for a dataset with samples or runs.
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
        """Open a dataset. Raises ``DatasetNotFound`` when there is none at ``uri``, and ``StoreError`` for another format."""
        if "://" not in uri and not Path(uri).is_dir():
            raise DatasetNotFound(
                f"There is no folder {uri!r}; make a dataset there with create_dataset, or correct the path."
            )
        db = cls(uri, storage_options)
        names = set(db.table_names())
        marks = (db.table("labels").schema.metadata or {}) if "labels" in names else {}
        if _ATTACHED in marks:
            db.attachment = Attachment(**json.loads(marks[_ATTACHED]))
        if missing := sorted(set(db.own_tables) - names - set(LATER)):
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
        """Whether an earlier ``create`` was interrupted here: our tables exist, without rows."""
        tables = [self.table(name) for name in present & set(self.own_tables)]
        return all(_MARK in (t.schema.metadata or {}) and not t.count_rows() for t in tables)

    def _make_folder(self) -> None:
        if "://" not in self.uri:
            with self._place_errors():
                os.makedirs(self.uri, exist_ok=True)

    @contextmanager
    def _place_errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, RuntimeError) as e:  # Lance has all of them for an object store
            why = refusal(e) or f"{first_line(e)}. Check the path and its rights"
            raise StoreError(f"The place {self.uri!r} cannot be opened: {why}.") from harmless(e)

    def table_names(self) -> list[str]:
        """All tables of the database, including those of other programs.

        They are found without LanceDB, which takes a second and 100 MiB more.
        """
        if "://" not in self.uri:
            with self._place_errors(), os.scandir(self.uri) as entries:
                names = [entry.name for entry in entries if entry.name.endswith(".lance") and entry.is_dir()]
        else:
            with self._place_errors():
                place = LanceFileSession(self.uri, storage_options=self.storage_options)
                names = [name for name in place.list_with_delimiter().common_prefixes if name.endswith(".lance")]
        return sorted(name.removesuffix(".lance") for name in names)

    def table(self, name: str, version: int | None = None) -> lance.LanceDataset:
        """A table as it is now, or as of ``version``.

        Each call sees the newest version that any process has committed. The object belongs to the caller: writing
        through it, which moves it to a later version, changes no other.

        Raises ``StoreError``; for a missing version, and for a missing table of those in ``LATER``, what Lance raises.
        """
        attached = self.attachment if name == "samples" else None
        location = attached.location(self.uri) if attached is not None else f"{self.uri.rstrip('/')}/{name}.lance"
        try:
            return lance.dataset(
                location, version=version, storage_options=self.storage_options, session=self._session(location)
            )
        except (ValueError, OSError) as e:
            if not is_missing(e):
                raise unusable_table(e, self.uri, name, "opened") from harmless(e)
            if attached is not None:
                raise StoreError(
                    f"The table {attached.table!r} that this dataset is attached to cannot be opened: {first_line(e)}; put it back."
                ) from harmless(e)
            if version is not None or name in LATER:  # either may be missing, and the callers handle it
                raise
            raise unusable_table(e, self.uri, name, "opened") from harmless(e)

    def _session(self, location: str) -> Any:
        """The session of Lance for a table, which keeps the metadata of its files in memory between two openings.

        Lance tells tables apart by their location only. If a folder was replaced by another, row ids of the old table could be used
        for the new one, so each folder has its own session. A table in an object store cannot be told from one that replaced it, so
        each opening has one.
        """
        identity = _identity(location)
        kept = self._sessions.get(location)
        if identity is not None and kept is not None and kept[0] == identity:
            return kept[1]
        session = lance.Session(metadata_cache_size_bytes=_METADATA_CACHE)  # type: ignore[attr-defined]
        if identity is not None:
            self._sessions[location] = identity, session
        return session

    def append(self, name: str, rows: pa.Table | pa.RecordBatchReader) -> None:
        """Add rows, in one version."""
        self.require_writable()
        table = self.table(name)
        with translate_errors(self.uri, name, "written"):
            lance.write_dataset(
                rows, table, mode="append", storage_options=self.storage_options, data_cache_bytes=WRITE_CACHE
            )

    def append_later(self, name: str, rows: pa.Table | pa.RecordBatchReader) -> None:
        """As ``append``, to one of the tables in ``LATER``, which is made if it is not there."""
        if name not in self.table_names():
            self.create_table(name)
        self.append(name, rows)

    def read_later(self, name: str, where: str) -> pa.Table:
        """As ``read``, of one of the tables in ``LATER``; no rows if it was not made yet."""
        try:
            return self.read(name, where=where)
        except (ValueError, OSError):
            if name in self.table_names():
                raise
            return SCHEMAS[name].empty_table()

    def delete(self, name: str, where: str) -> None:
        """Delete the rows that meet an SQL condition, in one version."""
        self.require_writable()
        table = self.table(name)
        with translate_errors(self.uri, name, "written"):
            table.delete(where)

    def delete_rows(self, name: str, row_ids: np.ndarray) -> None:
        """Delete rows by their ``_rowid``, in batches of one version each."""
        for at in range(0, len(row_ids), _ROWS_PER_CONDITION):
            self.delete(name, f"_rowid IN ({', '.join(map(str, row_ids[at : at + _ROWS_PER_CONDITION].tolist()))})")

    def scan(
        self, name: str, columns: Columns = None, where: str | None = None, version: int | None = None,
        address: bool = False, row_id: bool = False, limit: int | None = None,
    ) -> Iterator[pa.RecordBatch]:  # fmt: skip
        """Stream rows in bounded memory.

        Args:
            name: the table.
            columns: names, or name → SQL expression; all columns by default.
            where: an SQL condition.
            version: the version to read; the newest by default.
            address: add ``_rowaddr`` and ``_rowid``.
            row_id: add ``_rowid``.
            limit: the largest number of rows.
        """
        yield from self._scan(self.table(name, version), name, columns, where, address, row_id, limit)

    def _scan(
        self, table: lance.LanceDataset, name: str, columns: Columns, where: str | None,
        address: bool = False, row_id: bool = False, limit: int | None = None,
    ) -> Iterator[pa.RecordBatch]:  # fmt: skip
        chosen = dict(columns) if isinstance(columns, Mapping) else list(columns) if columns is not None else None
        try:
            yield from table.scanner(
                columns=chosen,
                filter=where,
                with_row_address=address,
                with_row_id=address or row_id,
                limit=limit,
                **SCAN,
            ).to_batches()
        except (ValueError, OSError) as e:
            said = [("filter", where)] if where is not None else []
            said += [("expression", list(columns.values())[-1])] if isinstance(columns, Mapping) else []
            if is_damage(e) or refusal(e) or not said:
                raise unusable_table(e, self.uri, name, "read") from harmless(e)
            what, text = said[0]
            raise StoreError(
                f"The {what} {text!r} cannot be run on {name}: {first_line(e)}. Its columns are {', '.join(table.schema.names)}."
            ) from harmless(e)

    def count(self, name: str, where: str | None = None) -> int:
        """The number of rows that meet an SQL condition, or of all."""
        table = self.table(name)
        try:
            return int(table.count_rows(where))
        except (ValueError, OSError) as e:
            raise unusable_table(e, self.uri, name, "read") from harmless(e)

    def read(self, name: str, columns: Sequence[str] | None = None, where: str | None = None) -> pa.Table:
        """Rows as one Arrow table; for small tables."""
        table = self.table(name)
        schema = table.schema.remove_metadata()
        if columns is not None:
            schema = pa.schema([schema.field(c) for c in columns])
        return pa.Table.from_batches(self._scan(table, name, columns, where), schema)

    def _stored(self, name: str) -> pa.Schema:
        """A schema with metadata for Lance: our format, the attachment, and no compression for ids, which are random text."""
        plain = {b"lance-encoding:compression": b"none"}
        fields = [f.with_metadata(plain) if f.name in ("label_id", "remote_id") else f for f in self.own_tables[name]]
        marks = {_MARK: FORMAT.encode()}
        if self.attachment is not None:
            marks[_ATTACHED] = json.dumps(asdict(self.attachment)).encode()
        return pa.schema(fields, marks)


def _identity(location: str) -> _Identity | None:
    """What tells a table's folder from one that replaced it; ``None`` where it is not on a local disk, or does not exist.

    An inode may be used again after its folder was deleted, but not with the same time of change.
    """
    if "://" in location:
        return None
    try:
        found = os.stat(location)
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns


def quote(text: str) -> str:
    """A string literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def in_list(column: str, values: Sequence[str]) -> str:
    """An SQL ``IN`` condition for strings."""
    return f"{column} IN ({', '.join(map(quote, values))})"
