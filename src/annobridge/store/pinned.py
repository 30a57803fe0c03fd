"""A dataset as of a snapshot: some tables are read at the versions of that time, and nothing is written."""

from __future__ import annotations

from collections.abc import Mapping

import lance

from ..exceptions import StoreError
from .tables import Database

NOW = "now"  # the dataset as it is at one moment; no snapshot has this name


class PinnedDatabase(Database):
    """The tables of a dataset, some of them at a fixed version. The ledger of runs is read as it is now.

    Whatever opens a table gets the pinned version, and whatever writes asks ``require_writable`` first; so no reader and no
    writer needs to know of snapshots.

    Args:
        database: the dataset as it is now.
        versions: table → version.
        snapshot: the name of the snapshot, or ``NOW``, for messages.
    """

    def __init__(self, database: Database, versions: Mapping[str, int], snapshot: str) -> None:
        super().__init__(database.uri, database.storage_options, database.attachment)
        self._live, self._versions = database, dict(versions)
        self.snapshot: str = snapshot
        self._pinned_tables: dict[str, lance.LanceDataset] = {}

    @property
    def newest(self) -> Database:
        """The same dataset as it is now, read-only too."""
        return PinnedDatabase(self._live, {}, self.snapshot)

    @property
    def _moment(self) -> str:
        return "the moment when it was opened with 'now'" if self.snapshot == NOW else f"the snapshot {self.snapshot!r}"

    def require_writable(self) -> None:
        """Raise ``StoreError``."""
        raise StoreError(
            f"The dataset {self.uri!r} as of {self._moment} is read-only, and nothing was written or sent; use "
            f"the dataset itself, as load_dataset({self.uri!r}) opens it."
        )

    def require_present(self) -> None:
        """Raise ``StoreError`` for a version that was cleaned away."""
        for name in self._versions:
            self.table(name)

    def table(self, name: str, version: int | None = None) -> lance.LanceDataset:
        """A table at its pinned version; or as it is now, if it has none; or as of ``version``."""
        if version is not None or name not in self._versions:
            return super().table(name, version)
        if name not in self._pinned_tables:
            self._pinned_tables[name] = self._open(name, self._versions[name])
        return self._pinned_tables[name]

    def _open(self, name: str, version: int) -> lance.LanceDataset:
        try:
            return super().table(name, version)
        except (ValueError, OSError, StoreError) as e:
            if self.snapshot == NOW:
                raise StoreError(
                    f"Version {version} of the table {name!r}, which was the newest when the dataset was opened with 'now', cannot "
                    "be opened; clean-up has removed it, or the table was deleted. Open the dataset again."
                ) from e
            raise StoreError(
                f"The snapshot {self.snapshot!r} needs version {version} of the table {name!r}, which cannot be opened; another "
                f"program has cleaned it away, or deleted the table. Restore it from a copy of {self.uri!r}, or delete the "
                f"snapshot with delete_snapshot({self.snapshot!r})."
            ) from e
