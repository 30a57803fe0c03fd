"""Snapshots: named versions of a dataset's tables, which clean-up keeps.

A snapshot is a record in the dataset, and a tag on each of annobridge's tables in it: Lance removes no version that has a tag. The
tags are set first, and the record makes the snapshot; it is deleted first, and its tags afterwards. So a process that ends between
the two leaves only tags, which keep more than is needed: the next snapshot of that name moves them, the next clean-up removes them.
The table of a user that serves as samples is never written, so it has no tag; its version is recorded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from ..core.did_you_mean import did_you_mean
from ..exceptions import InvalidOption, StoreError
from .config_entries import ConfigEntries
from .pinned import NOW, PinnedDatabase
from .table_versions import existing, files_digest, remove_tag, set_tag, tags
from .tables import Database

_TAG = "annobridge.snapshot."
_NAME = re.compile(r"[A-Za-z0-9]+(?:(?:\.|[_-]+)[A-Za-z0-9]+)*(?<!\.lock)")  # what Lance and all file systems take
_LONGEST = 100  # characters of a name


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A named version of a dataset: samples and labels as they were at one moment.

    Attributes:
        name: its name.
        created: when it was made.
        by: the user who made it.
        note: what they wrote about it.
        samples: how many samples it has.
        labels: field → how many labels it has.
        versions: table → version, in LanceDB.
        unprotected: the table of a user whose rows are the samples, if there is one: it is never written, so that nothing keeps
            other programs from cleaning this version away.
        unprotected_files: a hash of the names of the files of that table, which tells whether it is still the same table.
    """

    name: str
    created: datetime
    by: str
    note: str
    samples: int
    labels: Mapping[str, int]
    versions: Mapping[str, int]
    unprotected: str | None = None
    unprotected_files: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The snapshot as plain data."""
        return asdict(self) | {"created": self.created.isoformat()}

    def __repr__(self) -> str:
        fields = ", ".join(f"{n:,} {field}" for field, n in self.labels.items()) or "no labels"
        about = f": {self.note}" if self.note else ""
        head = f"Snapshot {self.name!r} of {self.created:%Y-%m-%d %H:%M} UTC by {self.by}"
        return f"{head}, {self.samples:,} samples ({fields}){about}"


class Snapshots:
    """Reads and writes the records of snapshots, and their tags. Whoever writes holds the lease of ``Stores.changing_samples``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._entries = ConfigEntries(database, _TAG)

    @property
    def tables(self) -> list[str]:
        """The tables that are in a snapshot and of annobridge, so that they get tags."""
        return ["labels", "samples" if self._database.attachment is None else "annotation_sizes"]

    def all(self) -> list[Snapshot]:
        """The snapshots, oldest first."""
        return sorted((_of_json(n, text) for n, text in self._entries.all().items()), key=lambda s: s.created)

    def names(self) -> list[str]:
        """The names of the snapshots, in alphabetical order."""
        return sorted(self._entries.all())

    def get(self, name: str) -> Snapshot:
        """A snapshot. Raises ``StoreError`` if there is none of that name."""
        return _of_json(name, self._text(name))

    def _text(self, name: str) -> str:
        entries = self._entries.all()
        if name not in entries:
            raise StoreError(f"There is no snapshot {name!r}; {did_you_mean(str(name), entries)}")
        return entries[name]

    def at(self, name: str) -> PinnedDatabase:
        """The dataset as of a snapshot. Raises ``StoreError`` if its versions are not there any more, or of another table."""
        snapshot = self.get(name)
        pinned = PinnedDatabase(self._database.newest, snapshot.versions, name)
        pinned.require_present()
        if snapshot.unprotected_files not in (None, files_digest(pinned.table("samples"))):
            raise StoreError(
                f"The table {snapshot.unprotected!r} was replaced by another after the snapshot {name!r} was taken, so that its "
                f"version {snapshot.versions['samples']} is not the one of the snapshot. Restore the table from a copy, or delete "
                f"the snapshot with delete_snapshot({name!r})."
            )
        return pinned

    def require_free(self, name: str) -> None:
        """Raise ``InvalidOption`` for a name that no snapshot can have, and ``StoreError`` for one that is in use."""
        if not isinstance(name, str) or len(name) > _LONGEST or not _NAME.fullmatch(name):
            raise InvalidOption(
                f"The name {name!r} is not one of a snapshot; use letters, digits, and single '.', '_' or '-' between them, as in "
                f"'v1.2', {_LONGEST} characters at most."
            )
        if name.lower() == NOW:
            raise InvalidOption(
                f"No snapshot can be named {name!r}, which stands for the dataset as it is; give another."
            )
        if used := [known for known in self._entries.all() if known.lower() == name.lower()]:
            raise StoreError(
                f"There is a snapshot {used[0]!r} already, and it stays as it is; give another name (letters that differ in case "
                f"only are not enough), or delete it first with delete_snapshot({used[0]!r})."
            )

    def protect(self, name: str, versions: Mapping[str, int]) -> None:
        """Set the tags of a snapshot. Those that an interrupted attempt left are moved."""
        for table in self.tables:
            set_tag(self._database, table, _TAG + name, versions[table])

    def record(self, snapshot: Snapshot) -> None:
        """Store the record of a snapshot, which makes it."""
        self._entries.put(snapshot.name, json.dumps(snapshot.to_dict()))

    def delete(self, name: str) -> None:
        """Delete a snapshot. Raises ``StoreError`` if there is none of that name."""
        self._text(name)
        self._entries.put(name, None)
        for table in self.tables:
            remove_tag(self._database, table, _TAG + name)

    def restore_tags(self) -> None:
        """Set the tags again that another program removed or moved, as long as the versions are there."""
        for name, text in self._entries.all().items():
            with suppress(StoreError):  # a record that cannot be read: see ``unknown``
                versions = _of_json(name, text).versions
                for table in self.tables:
                    version, tag = versions[table], _TAG + name
                    if tags(self._database, table).get(tag) != version and version in existing(self._database, table):
                        set_tag(self._database, table, tag, version)

    def unknown(self, table: str) -> list[str]:
        """Snapshots whose version of a table nobody knows: they have no tag on it, and their record cannot be read."""
        if table not in self.tables:
            return []
        tagged = tags(self._database, table)
        return [n for n, text in self._entries.all().items() if _TAG + n not in tagged and not _is_readable(n, text)]

    def remove_leftovers(self) -> None:
        """Remove the tags that interrupted calls left."""
        known = {_TAG + name for name in self._entries.all()}
        for table in self.tables:
            for tag in tags(self._database, table):
                if tag.startswith(_TAG) and tag not in known:
                    remove_tag(self._database, table, tag)


def snapshot_of_tag(tag: str) -> str | None:
    """The name of the snapshot that a tag is of, if it is of one."""
    return tag.removeprefix(_TAG) if tag.startswith(_TAG) else None


def _is_readable(name: str, text: str) -> bool:
    try:
        _of_json(name, text)
    except StoreError:
        return False
    return True


def _of_json(name: str, text: str) -> Snapshot:
    try:
        values = json.loads(text)
        return Snapshot(**values | {"created": datetime.fromisoformat(values["created"])})
    except (ValueError, TypeError, KeyError) as e:
        raise StoreError(
            f"The record of the snapshot {name!r} cannot be read ({e}): it is damaged, or a later version of annobridge wrote "
            f"it. Use that version, or delete the snapshot with delete_snapshot({name!r})."
        ) from e
