"""Small records by name: entries in the configuration of the table of leases, which needs no row and no file for them."""

from __future__ import annotations

from contextlib import suppress

from lance.commit import CommitConflictError

from .commits import MAX_ATTEMPTS, Commits
from .schemas import LEASES
from .tables import Database


class ConfigEntries:
    """The entries of one kind, which share a prefix. Each is set by a commit of its own, all or nothing."""

    def __init__(self, database: Database, prefix: str) -> None:
        self._database, self._prefix = database, prefix
        self._commits = Commits(database, LEASES)

    def all(self) -> dict[str, str]:
        """Name → text."""
        try:
            entries = self._commits.latest().config()
        except (ValueError, OSError):
            if LEASES in self._database.table_names():
                raise
            return {}  # a dataset of version 0.1
        keys = (key for key in entries if key.startswith(self._prefix))
        return {bytes.fromhex(key.removeprefix(self._prefix)).decode(): entries[key] for key in keys}

    def put(self, name: str, text: str | None) -> None:
        """Set the text of an entry; ``None`` removes the entry."""
        if LEASES not in self._database.table_names():
            self._database.create_table(LEASES)
        updates: dict[str, str | None] = {self._prefix + name.encode().hex(): text}
        for _ in range(MAX_ATTEMPTS):
            with suppress(CommitConflictError):
                self._commits.set_config(self._commits.latest(), updates)
                return
        raise self._commits.contention_error()
