"""Commits: a table of ours changes in one atomic version, whoever else writes to it.

Lance itself refuses a commit when a row that it touches was changed since the table was read. Two commits of nothing but new
rows do not touch each other, so what must be unique (an id, the key of a run) needs more: a *fence*. A fence is a version
that changes nothing and conflicts with every commit that was planned before it. Whoever fences, then checks, then commits
on the fenced version has either seen what others added, or is refused and checks again.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import lance
import numpy as np
import pyarrow as pa
from lance.commit import CommitConflictError

from ..exceptions import StalePlan
from .errors import translate_errors
from .tables import WRITE_CACHE, Database

MAX_ATTEMPTS = 10
TOKEN = "annobridge.token"  # noqa: S105 - a property of the commit

Fragments = list[lance.FragmentMetadata]


class Commits:
    """Commits to one table of a dataset."""

    def __init__(self, database: Database, name: str) -> None:
        self._database, self.name = database, name

    def latest(self) -> lance.LanceDataset:
        """The table as it is now."""
        table: lance.LanceDataset = self._database.table(self.name)
        return table

    def commit(self, table: lance.LanceDataset, change: lance.LanceOperation.BaseOperation, token: str = "") -> int:
        """Commit a change to the table as it was read; returns the version. Raises Lance's ``CommitConflictError``."""
        properties = {TOKEN: token or uuid.uuid4().hex}
        with translate_errors(self._database.uri, self.name, "written"):
            done = lance.LanceDataset.commit(
                table.uri, lance.Transaction(table.version, change, transaction_properties=properties),
                storage_options=self._database.storage_options,
            )  # fmt: skip
        return int(done.version)

    def fence(self, attempt: int = 0) -> lance.LanceDataset:
        """The table as of a new version that no commit planned before it can pass.

        A change of the columns, even to what they are, conflicts with everything.
        """
        for more in range(MAX_ATTEMPTS):
            time.sleep(random.uniform(0, 0.02 * (attempt + more)))  # noqa: S311 - two who fence at once must diverge
            table = self.latest()
            try:
                version = self.commit(table, lance.LanceOperation.Project(table.schema))
            except CommitConflictError:
                continue
            fenced: lance.LanceDataset = self._database.table(self.name, version)
            return fenced
        raise self.contended()

    def commit_fenced(self, prepare: Callable[[lance.LanceDataset], lance.LanceOperation.BaseOperation]) -> int:
        """Commit a change that was prepared, and checked, on a fenced version. ``prepare`` may raise to refuse it."""
        for attempt in range(MAX_ATTEMPTS):
            table = self.fence(attempt)
            try:
                return self.commit(table, prepare(table))
            except CommitConflictError:
                continue
        raise self.contended()

    def write_fragments(
        self, batches: Iterator[pa.RecordBatch], table: lance.LanceDataset, schema: pa.Schema
    ) -> Fragments:
        """Write rows into new fragments, which nobody sees before they are committed.

        An error raised by ``batches`` is raised as it is; Lance would wrap it.
        """
        raised: list[Exception] = []

        def watched() -> Iterator[pa.RecordBatch]:
            try:
                yield from batches
            except Exception as e:
                raised.append(e)
                raise

        rows = watched()
        if (first := next(rows, None)) is None:
            return []
        try:
            with translate_errors(self._database.uri, self.name, "written"):
                written: Fragments = lance.fragment.write_fragments(
                    pa.RecordBatchReader.from_batches(schema, chain([first], rows)), table,
                    storage_options=self._database.storage_options, data_cache_bytes=WRITE_CACHE,
                )  # fmt: skip
        except Exception:
            if raised:
                raise raised[0] from None
            raise
        return written

    def find_version(self, token: str, since: int) -> int | None:
        """The version whose commit has a token, looked for in the log after a version."""
        for version in range(since + 1, int(self.latest().version) + 1):
            try:
                properties = self._database.table(self.name).read_transaction(version).transaction_properties or {}
            except OSError as e:
                if "not found" in str(e).lower():  # cleaned away; planning the load again finds what it did
                    continue
                raise
            if properties.get(TOKEN) == token:
                return version
        return None

    def contended(self) -> StalePlan:
        """The error after too many attempts."""
        return StalePlan(
            f"The {self.name} table was changed by others in each of {MAX_ATTEMPTS} attempts; try again when it is quieter."
        )


def deletions(table: lance.LanceDataset, addresses: np.ndarray) -> tuple[Fragments, list[int]]:
    """Deletion vectors for rows by address: the fragments with them, and the ids of those that have no row left."""
    updated, removed = [], []
    fragments = (addresses >> np.uint64(32)).astype(np.int64)
    for number in np.unique(fragments):
        offsets = (addresses[fragments == number] & np.uint64(0xFFFFFFFF)).tolist()
        fragment: Any = table.get_fragment(int(number))
        left = fragment.delete_rows(offsets)
        if left is None:
            removed.append(int(number))
        else:
            updated.append(left)
    return updated, removed
