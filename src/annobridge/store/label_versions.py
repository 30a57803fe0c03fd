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

    The rows of a data file never change, and most versions have most files in common. So each file is searched once, and again
    where rows of it were marked as deleted.
    """
    known: dict[str, Row | None] = {}  # fragment → the row of the label, with the columns of ``_SINCE``
    for version, time in table_versions.existing(database, "labels").items():
        table = database.table("labels", version)
        fragments = {_identity(fragment): fragment for fragment in table.get_fragments()}
        if new := [f for identity, f in fragments.items() if identity not in known]:
            found = _search(table, new, label_id)
            known.update({i: found.get(f.fragment_id) for i, f in fragments.items() if i not in known})
        row = next(filter(None, map(known.get, fragments)), None)
        if row is None:
            yield State(version, time, None)
        else:
            yield State(version, time, {name: row[name] for name in LABELS.names}, *(row[name] for name in _SINCE))


def _search(table: lance.LanceDataset, fragments: list[Any], label_id: str) -> dict[int, Row]:
    """Fragment → the row of the label, for the fragments that have it."""
    found = table.scanner(
        columns=[*LABELS.names, *_SINCE],
        filter=f"label_id = {quote(label_id)}",
        fragments=fragments,
        with_row_address=True,
        **SCAN,
    ).to_table()
    return {row["_rowaddr"] >> 32: row for row in found.to_pylist()}


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


def _identity(fragment: Any) -> str:
    """What tells fragments apart: their files, and which of their rows are deleted."""
    return json.dumps(fragment.metadata.to_json(), sort_keys=True)
