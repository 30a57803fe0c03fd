"""Takes and deletes snapshots, and opens a dataset as of one; see ``store.snapshots``."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pyarrow.compute as pc

from ..exceptions import InvalidOption
from ..processes import user_name
from ..store import table_versions
from ..store.pinned import NOW, PinnedDatabase
from ..store.snapshots import Snapshot
from ..store.stores import WAIT, Stores
from ..store.tables import Database
from ..store.task_index import filter_by_samples


def take(stores: Stores, name: str, note: str) -> Snapshot:
    """Make a snapshot of the dataset as it is; see ``Dataset.snapshot``."""
    if not isinstance(note, str):
        raise InvalidOption(f"note={note!r} is not a text; give one.")
    snapshots, database = stores.snapshots, stores.database
    with stores.changing_samples("is having a snapshot taken of it", WAIT) as hold:
        snapshots.require_free(name)
        versions = table_versions.of_one_moment(database, ["samples", *snapshots.tables])
        snapshots.protect(name, versions)
        then = Stores.open(PinnedDatabase(database, versions, name))
        snapshot = Snapshot(
            name, datetime.now(UTC), user_name() or "unknown", note, then.samples.count(), _labels_by_field(then),
            versions, *_of_user(then.database),
        )  # fmt: skip
        hold.check()
        snapshots.record(snapshot)
    return snapshot


def delete(stores: Stores, name: str) -> None:
    """Delete a snapshot; see ``Dataset.delete_snapshot``."""
    with stores.changing_samples("is having a snapshot deleted", WAIT):
        stores.snapshots.delete(name)


def open_at(stores: Stores, name: str) -> Stores:
    """The dataset as of a snapshot, read-only. ``"now"`` is the dataset as it is at this moment."""
    if name != NOW:
        return Stores.open(stores.snapshots.at(name))
    database = stores.database.newest
    versions = table_versions.of_one_moment(database, ["samples", *stores.snapshots.tables])
    return Stores.open(PinnedDatabase(database, versions, NOW))


def _of_user(database: Database) -> tuple[str, str] | tuple[None, None]:
    """The name of the user's table that serves as samples, if there is one, and what tells its version from another table's."""
    if database.attachment is None:
        return None, None
    return database.attachment.table, table_versions.files_digest(database.table("samples"))


def _labels_by_field(stores: Stores) -> dict[str, int]:
    """The number of labels of each field that are on a sample."""
    found: Counter[str] = Counter()
    for batch in filter_by_samples(stores.labels.scan(None, ["field", "sample_id"]), stores.samples.ids()):
        found.update({pair["values"]: pair["counts"] for pair in pc.value_counts(batch["field"]).to_pylist()})
    return dict(sorted(found.items()))
