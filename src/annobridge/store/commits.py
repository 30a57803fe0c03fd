"""Commits to one table, atomic and safe against other writers, annobridge or not.

Lance refuses a commit when a row that it changes was changed since the table was read. That is not enough where values
must be unique, as label ids and the keys of runs: two commits that only add rows touch no common row, and both pass.
They need a **fence**: a version that changes nothing, and conflicts with every commit that was planned before it.

A writer that fences, then checks, then commits on the fenced version is safe at each step:

- Another's commit that passed before the fence is in the fenced version, so the check sees it.
- Another's commit that was planned before the fence and comes after it is refused by Lance.
- Another's commit that comes between the fence and ours was planned on the fenced version or a later one. If it is a
  fence, or made by ``commit_fenced``, it began with a fence of its own, which conflicts with our commit: we are refused,
  fence anew, and check again.
- A process that ends at any step leaves at most fences, and data files that no version refers to.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from queue import Full, Queue
from typing import Any

import lance
import pyarrow as pa
from lance.commit import CommitConflictError

from ..exceptions import StalePlan, StoreError
from . import data_files
from .errors import translate_errors
from .refusals import is_missing
from .row_set import RowSet
from .tables import FILE_ROWS, WRITE_CACHE, Database

MAX_ATTEMPTS = 10
TOKEN = "annobridge.token"  # noqa: S105 - a property of the commit

Fragments = list[lance.FragmentMetadata]


class Commits:
    """Commits to one table of a dataset."""

    def __init__(self, database: Database, name: str) -> None:
        self._database, self.name = database, name

    def latest(self) -> lance.LanceDataset:
        """The table as it is now."""
        return self._database.table(self.name)

    def commit(self, table: lance.LanceDataset, change: lance.LanceOperation.BaseOperation, token: str = "") -> int:
        """Commit a change that was planned on ``table``; returns the new version.

        ``token`` is stored with the commit, so that ``find_version`` finds it.

        Raises:
            CommitConflictError: of Lance.
            StoreError: it cannot be written, or files of its new rows are gone. Nothing is committed then.
        """
        self._database.require_writable()
        token = token or uuid.uuid4().hex
        transaction = lance.Transaction(table.version, change, transaction_properties={TOKEN: token})
        with translate_errors(self._database.uri, self.name, "written"):
            self._require_files(table, change)
            try:
                # By the URI: what is cached of the table is not to decide about conflicts.
                done = lance.LanceDataset.commit(table.uri, transaction, storage_options=self._database.storage_options)
            except CommitConflictError:
                raise
            except OSError:
                if (version := self._arrived(token, table)) is None:
                    raise
                return version
        return int(done.version)

    def _require_files(self, table: lance.LanceDataset, change: lance.LanceOperation.BaseOperation) -> None:
        """Raise ``StoreError`` if data files of new rows are gone, which would make the table unreadable."""
        written = [*getattr(change, "new_fragments", ()), *getattr(change, "fragments", ())]
        if gone := data_files.missing(table.uri, written, self._database.storage_options) if written else ():
            raise StoreError(
                f"Of the data files written for the table {self.name!r} of {self._database.uri!r}, {len(gone)} of {len(written)} "
                f"are gone, as {gone[0]}: a clean-up has removed what was not committed yet. Nothing was published; repeat the "
                "call, and let clean-ups spare files that are younger than the longest load."
            )

    def _arrived(self, token: str, table: lance.LanceDataset) -> int | None:
        """The version of a commit whose answer was lost, as far as the store can be asked."""
        with suppress(Exception):
            return self.find_version(token, int(table.version))
        return None

    def set_config(self, table: lance.LanceDataset, updates: Mapping[str, str | None]) -> int:
        """Commit entries of the table's configuration, planned on ``table``; ``None`` removes one. Raises as ``commit``."""
        operation = lance.LanceOperation
        return self.commit(table, operation.UpdateConfig(config_updates=operation.UpdateMap(updates=dict(updates))))

    def fence(self, attempt: int = 0) -> lance.LanceDataset:
        """The table at a new version with which every commit that was planned before it conflicts.

        Args:
            attempt: how often the caller has tried before; the pause before a fence grows with it.
        """
        # To Lance, a change of the columns conflicts with everything, even if the columns stay the same.
        version = self.commit_newest(lambda table: lance.LanceOperation.Project(table.schema), attempt)
        return self._database.table(self.name, version)

    def commit_fenced(self, prepare: Callable[[lance.LanceDataset], lance.LanceOperation.BaseOperation]) -> int:
        """Commit what ``prepare`` returns for a fenced version of the table; returns the new version.

        ``prepare`` checks the version that it gets, and raises to refuse the commit. It is called again after a conflict.
        """
        for attempt in range(MAX_ATTEMPTS):
            table = self.fence(attempt)
            try:
                return self.commit(table, prepare(table))
            except CommitConflictError:
                continue
        raise self.contention_error()

    def commit_newest(
        self, prepare: Callable[[lance.LanceDataset], lance.LanceOperation.BaseOperation], before: int = 0
    ) -> int:
        """Commit what ``prepare`` returns for the newest version of the table; returns the new version.

        ``prepare`` may raise to refuse the commit. It is called again after a conflict; after many, ``StalePlan`` is raised.
        ``before`` is how often the caller has tried before; the pause before an attempt grows with it.
        """
        for attempt in range(before, before + MAX_ATTEMPTS):
            # Two writers that commit at once may refuse each other, so they wait for random times.
            time.sleep(random.uniform(0, 0.02 * attempt))  # noqa: S311
            table = self.latest()
            try:
                return self.commit(table, prepare(table))
            except CommitConflictError:
                continue
        raise self.contention_error()

    def append(self, fragments: Sequence[lance.FragmentMetadata]) -> None:
        """Commit new rows, from ``write_fragments``, as one version. Raises as ``commit``."""
        self.commit_newest(lambda _: lance.LanceOperation.Append(list(fragments)))

    def write_fragments(
        self, batches: Iterator[pa.RecordBatch], table: lance.LanceDataset, schema: pa.Schema
    ) -> Fragments:
        """Write rows to data files, which are part of no version until their fragments are committed.

        A file has only the columns that hold something, as most columns of labels hold nothing: Lance reads null for the others, at
        less cost than nulls that are in the file.
        """
        self._database.require_writable()
        return [fragment for some in _by_columns(batches, schema) for fragment in self._write(table, *some)]

    def _write(self, table: lance.LanceDataset, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Fragments:
        """Write rows that have these columns.

        ``batches`` are made in this thread, and Lance writes in another. Lance asks for rows in many threads, and if they were made
        there, each would keep memory of its own. An error that ``batches`` raises is raised as it is, and not as Lance wraps it.
        """
        handed: Queue[pa.RecordBatch | Exception | None] = Queue(1)

        def rows() -> Iterator[pa.RecordBatch]:
            while (given := handed.get()) is not None:
                if isinstance(given, Exception):
                    raise given
                yield given

        def write() -> Fragments:
            with translate_errors(self._database.uri, self.name, "written"):
                written: Fragments = lance.fragment.write_fragments(
                    pa.RecordBatchReader.from_batches(schema, rows()), table,
                    storage_options=self._database.storage_options, data_cache_bytes=WRITE_CACHE, max_rows_per_file=FILE_ROWS,
                )  # fmt: skip
            return written

        with ThreadPoolExecutor(1) as threads:
            written = threads.submit(write)
            try:
                for batch in batches:
                    if not _put(handed, batch, written):
                        break
            except BaseException as error:
                _put(handed, RuntimeError(str(error)), written)
                raise
            _put(handed, None, written)
            return written.result()

    def find_version(self, token: str, since: int) -> int | None:
        """The version that a commit with this token made, among those after ``since``; ``None`` if there is none."""
        table = self.latest()
        versions = range(since + 1, int(table.version) + 1)
        with self.reading():
            # A version that was cleaned up is passed over; a new plan of the load sees what it did.
            return next((version for version in versions if _token(table, version) == token), None)

    def token_of(self, version: int) -> str | None:
        """The token of the commit that made a version, empty if it has none; ``None`` if the version was cleaned up."""
        table = self.latest()
        with self.reading():
            return _token(table, version)

    def reading(self) -> AbstractContextManager[None]:
        """Raise ``StoreError`` for what Lance raises in the block, which reads the table."""
        return translate_errors(self._database.uri, self.name, "read")

    def contention_error(self) -> StalePlan:
        """The error after too many attempts."""
        return StalePlan(
            f"The {self.name} table was changed by others in each of {MAX_ATTEMPTS} attempts; try again when it is quieter."
        )


def _token(table: lance.LanceDataset, version: int) -> str | None:
    try:
        transaction = table.read_transaction(version)
    except OSError as e:
        if is_missing(e) and "not found" in str(e).lower():
            return None
        raise
    properties = (transaction.transaction_properties if transaction is not None else None) or {}
    return str(properties.get(TOKEN, ""))


def _by_columns(
    batches: Iterator[pa.RecordBatch], schema: pa.Schema
) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    """Batches with the columns that hold something, and their schema: up to a batch in which a further column does, and so on. Each
    part is to be read before the next.
    """
    names = {schema.names[0], *(field.name for field in schema if not field.nullable)}
    batch = next(batches, None)

    def same(columns: list[str]) -> Iterator[pa.RecordBatch]:
        nonlocal batch
        while batch is not None and _filled(batch) <= names:
            yield batch.select(columns)
            batch = next(batches, None)

    while batch is not None:
        names |= _filled(batch)
        part = pa.schema([field for field in schema if field.name in names])
        yield part, same(part.names)


def _filled(batch: pa.RecordBatch) -> set[str]:
    """The columns that hold something."""
    names = zip(batch.schema.names, batch.columns, strict=True)
    return {name for name, column in names if column.null_count < len(column)}


def _put(queue: Queue[Any], value: Any, taker: Future[Any]) -> bool:
    """Put a value into a queue; gives up, and returns false, when the taker has ended."""
    while not taker.done():
        with suppress(Full):
            queue.put(value, timeout=0.5)
            return True
    return False


def change_of_rows(
    table: lance.LanceDataset, rows: RowSet, new: Sequence[lance.FragmentMetadata]
) -> lance.LanceOperation.BaseOperation:
    """The change that deletes rows, and adds those of new files.

    Lance looks at each new row of an update, so where no row goes, it is an append. A column that others add conflicts with an
    update, and with an append only if it may not be null.
    """
    if not rows:
        return lance.LanceOperation.Append(list(new))
    updated, removed = _deletions(table, rows)
    return lance.LanceOperation.Update(
        removed_fragment_ids=removed, updated_fragments=updated, new_fragments=list(new), update_mode="rewrite_rows"
    )


def _deletions(table: lance.LanceDataset, rows: RowSet) -> tuple[Fragments, list[int]]:
    """Mark rows as deleted, without a commit.

    Returns the fragments with their new deletion vectors, and the ids of the fragments that have no row left.
    """
    updated, removed = [], []
    place, _, name = table.uri.rpartition("/")
    for number, offsets in rows:
        fragment: Any = table.get_fragment(number)
        with translate_errors(place, name.removesuffix(".lance"), "written"):
            left = fragment.delete_rows(offsets)
        if left is None:
            removed.append(number)
        else:
            updated.append(left)
    return updated, removed
