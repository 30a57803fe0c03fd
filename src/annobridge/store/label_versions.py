"""The states of one label in all versions of the labels table that there are, and what two versions do not share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import lance
import pyarrow as pa

from ..core.labels import LABELS
from . import table_versions
from .tables import SCAN, Database, quote

Row = dict[str, Any]  # of LABELS
_SINCE = ("_row_created_at_version", "_row_last_updated_at_version")


@dataclass(frozen=True, slots=True)
class State:
    """A label in one version of the table: its row, or ``None`` where it is not in it."""

    version: int
    time: datetime  # when the version was made
    row: Row | None
    added: int = (
        0  # the version in which the label was added, and that in which it was last written; 0 where it is not there
    )
    written: int = 0


def states(database: Database, label_id: str) -> Iterator[State]:
    """The state of a label in each version that was not cleaned away, oldest first.

    Most versions have most files in common, and the rows of a file never change. So a file is searched once; and, if it has the
    label, again whenever rows of it were marked as deleted.
    """
    search = _Search(label_id)
    for version, time in table_versions.existing(database, "labels").items():
        row = search.row_in(database.table("labels", version))
        if row is None:
            yield State(version, time, None)
        else:
            yield State(version, time, {name: row[name] for name in LABELS.names}, *(row[name] for name in _SINCE))


class _Search:
    """Looks for a label in one version of the table after the other."""

    def __init__(self, label_id: str) -> None:
        self._where = f"label_id = {quote(label_id)}"
        self._rows: dict[str, Row | None] = {}  # fragment → the row of the label in it
        self._without: set[str] = set()  # files that have no row of the label, deleted rows included

    def row_in(self, table: lance.LanceDataset) -> Row | None:
        """The row of the label, with the columns of ``_SINCE``."""
        fragments = {_identity(fragment): fragment for fragment in table.get_fragments()}
        new = {i: f for i, f in fragments.items() if i not in self._rows and _files(f) not in self._without}
        if new:
            rows = self._search(table, list(new.values()), [*LABELS.names, *_SINCE], with_row_address=True)
            found = {row["_rowaddr"] >> 32: row for row in rows}
            self._rows.update({identity: found.get(f.fragment_id) for identity, f in new.items()})
            self._remember_absence(table, [f for f in new.values() if f.fragment_id not in found])
        return next(filter(None, map(self._rows.get, fragments)), None)

    def _remember_absence(self, table: lance.LanceDataset, fragments: list[Any]) -> None:
        with_deletions = [f for f in fragments if f.metadata.deletion_file is not None]
        options = {"with_row_id": True, "include_deleted_rows": True}
        if with_deletions and self._search(table, with_deletions, ["label_id"], **options):
            fragments = [f for f in fragments if f.metadata.deletion_file is None]
        self._without.update(map(_files, fragments))

    def _search(self, table: lance.LanceDataset, fragments: list[Any], columns: list[str], **options: Any) -> list[Row]:
        scanner = table.scanner(columns=columns, filter=self._where, fragments=fragments, **options, **SCAN)
        found: list[Row] = scanner.to_table().to_pylist()
        return found


def unshared(before: Database, after: Database) -> tuple[Iterator[pa.RecordBatch], Iterator[pa.RecordBatch]]:
    """The labels (``LABELS``) of each side in files that the other does not have in the same state."""
    return _of_fragments(before, after), _of_fragments(after, before)


def shared(before: Database, after: Database) -> Iterator[pa.RecordBatch]:
    """The labels (``LABELS``) in files that both sides have in the same state: they are equal on both."""
    common = _fragments(after).keys()
    table = before.table("labels")
    yield from _scan(table, [f for identity, f in _fragments(before).items() if identity in common])


def _of_fragments(side: Database, other: Database) -> Iterator[pa.RecordBatch]:
    common = _fragments(other).keys()
    yield from _scan(side.table("labels"), [f for i, f in _fragments(side).items() if i not in common])


def _scan(table: lance.LanceDataset, fragments: list[Any]) -> Iterator[pa.RecordBatch]:
    if fragments:
        yield from table.scanner(columns=LABELS.names, fragments=fragments, **SCAN).to_batches()


def _fragments(side: Database) -> dict[str, Any]:
    return {_identity(fragment): fragment for fragment in side.table("labels").get_fragments()}


def _files(fragment: Any) -> str:
    """What tells the files of fragments apart."""
    return " ".join(file.path for file in fragment.metadata.files)


def _identity(fragment: Any) -> str:
    """What tells fragments apart: their files, and which of their rows are deleted."""
    return json.dumps(fragment.metadata.to_json(), sort_keys=True)
