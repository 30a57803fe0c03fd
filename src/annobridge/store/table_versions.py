"""The versions of Lance's tables: which there are, their tags, which a dataset has at one moment, and how old ones are removed."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import lance

from .commits import MAX_ATTEMPTS, Commits
from .errors import is_conflict, translate_errors
from .tables import FILE_ROWS, Database

_COMPACTIONS = (
    5  # attempts; each writes files, which stay until the next clean-up if another process commits in between
)


@dataclass(frozen=True, slots=True)
class Removed:
    """How much was removed from a table."""

    versions: int
    bytes: int


def existing(database: Database, name: str) -> dict[int, datetime]:
    """The versions of a table that were not cleaned away, oldest first, each with the time (UTC) at which it was made."""
    table = database.table(name)
    with translate_errors(database.uri, name, "read"):
        found: Any = table.versions()  # their times are those of this computer's zone
    return {int(v["version"]): v["timestamp"].astimezone(UTC) for v in found}


def files_digest(table: lance.LanceDataset) -> str:
    """A text that tells a version of a table from that of a table with the same name and the same number of versions: a hash of
    the names of its files, which are random.
    """
    files = [file.path for fragment in table.get_fragments() for file in fragment.metadata.files]
    return hashlib.sha256("\n".join(sorted(files)).encode()).hexdigest()


def tags(database: Database, name: str) -> dict[str, int]:
    """The tags of a table: name → version."""
    table = database.table(name)
    with translate_errors(database.uri, name, "read"):
        return {tag: int(found["version"]) for tag, found in table.tags.list().items()}


def set_tag(database: Database, name: str, tag: str, version: int) -> None:
    """Protect a version of a table by a tag, which is moved if there is one of that name."""
    database.require_writable()
    table = database.table(name)
    with translate_errors(database.uri, name, "written"):
        if tag in table.tags.list():
            table.tags.update(tag, version)
        else:
            table.tags.create(tag, version)


def remove_tag(database: Database, name: str, tag: str) -> None:
    """Remove a tag of a table, if there is one of that name."""
    database.require_writable()
    table = database.table(name)
    with translate_errors(database.uri, name, "written"):
        if tag in table.tags.list():
            table.tags.delete(tag)


def of_one_moment(database: Database, names: Collection[str]) -> Mapping[str, int]:
    """The versions of some tables, ``samples`` among them, that belong together.

    Labels are added before their samples and deleted after them, and those without a sample do not count. So the labels fit the
    samples as long as the samples were not changed while the versions were read.

    Raises:
        StalePlan: they were, in each attempt.
    """
    for _ in range(MAX_ATTEMPTS):
        samples = int(database.table("samples").version)
        found = {name: int(database.table(name).version) for name in names}
        if found["samples"] == samples:
            return found
    raise Commits(database, "samples").contention_error()


def compact(database: Database) -> list[str]:
    """Compact the small files of every table. Rows do not change.

    Returns the tables that are left as they are, as other processes wrote to them during each attempt.
    """
    database.require_writable()
    names = sorted(database.own_tables.keys() & set(database.table_names()))
    return [name for name in names if not _compact(database, name)]


def _compact(database: Database, name: str) -> bool:
    with translate_errors(database.uri, name, "written"):
        for attempt in range(_COMPACTIONS):
            time.sleep(random.uniform(0, 0.05 * attempt))  # noqa: S311
            try:
                database.table(name).optimize.compact_files(target_rows_per_fragment=FILE_ROWS)
            except OSError as error:
                if not is_conflict(error):
                    raise
            else:
                return True
    return False


def remove(database: Database, name: str, versions: Collection[int]) -> Removed:
    """Remove versions of a table, with the files that no other version has. Lance keeps the newest one, and those with a tag."""
    database.require_writable()
    if not versions:
        return Removed(0, 0)
    with translate_errors(database.uri, name, "written"):
        found = database.table(name).cleanup_old_versions(versions=sorted(versions), error_if_tagged_old_versions=False)
    return Removed(int(found.old_versions), int(found.bytes_removed))
