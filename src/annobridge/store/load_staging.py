"""The staging folders of loads on a cluster: one for each load, which a later load goes on with if its driver ended.

A folder has a lease while a driver uses it. What a driver that ended has left there is used again by a load that would plan the
same, for an hour; then the next load removes it. The folder holds the versions of the tables that were planned on: they have a
tag of its name, so that no clean-up removes them meanwhile.
"""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from ..exceptions import AnnobridgeError, RunBusy, StalePlan
from .lease import Leases
from .staged_files import StagedFolder
from .table_versions import remove_tag, set_tag
from .tables import Database

KEPT = timedelta(hours=1)  # after the last file that was written, for the next load to go on with
_HEADER = "load.json"
_TAG = "annobridge.load."
_LEASE = "staging."
_TABLES = ("labels", "annotation_baseline")  # whose versions are planned on, and need a tag


class _Found(NamedTuple):
    """A folder that is there."""

    name: str
    files: Sequence[str]
    modified: datetime  # of its last file

    @property
    def run_id(self) -> str:
        return self.name.rsplit("-", 2)[0]


class LoadStaging:
    """The staging folder of one load, which this process uses.

    Args:
        database: of the dataset.
        run_id: the run.
        load: the number of the load.
        content: what tells whether another load would plan the same: a digest.
        versions: table → the version that is planned on, of ``labels`` and ``annotation_baseline``.
        alone: see ``Folder``.

    Raises:
        StalePlan: such a version was cleaned away.
        StoreError: the folder cannot be written.

    Attributes:
        folder: for the files.
        files: the names of those that were there, of a load that this one goes on with.
        time: of the load; that of the one that it goes on with.
    """

    def __init__(
        self, database: Database, run_id: str, load: int, content: str, versions: Mapping[str, int],
        alone: Mapping[str, Sequence[str]],
    ) -> None:  # fmt: skip
        database.require_writable()
        self._database, self._leases = database, Leases(database)
        self._root = StagedFolder(database.uri, database.storage_options, alone=alone)
        self._content, self._held, self._is_open = content, ExitStack(), True
        self.files: Sequence[str] = ()
        self.time = datetime.now(UTC)
        try:
            self.folder = self._root.of(self._found(run_id) or self._new(run_id, load))
            # After the file that names the folder: without one, nobody would know of the tags.
            for table, version in versions.items():
                self._tag(table, version)
        except BaseException:
            self.leave()
            raise

    def _tag(self, table: str, version: int) -> None:
        try:
            set_tag(self._database, table, _TAG + self.folder.name, version)
        except ValueError as error:
            raise StalePlan(
                f"The version {version} of the table {table!r}, on which this load is planned, was cleaned away just now; plan "
                "again."
            ) from error

    def _new(self, run_id: str, load: int) -> str:
        name = f"{run_id}-{load}-{uuid.uuid4().hex[:12]}"
        self._hold(name)
        header = {"content": self._content, "time": self.time.isoformat()}
        self._root.of(name).write(_HEADER, json.dumps(header).encode())
        return name

    def _found(self, run_id: str) -> str | None:
        """The folder of an interrupted load that would plan the same; others that nobody needs are removed."""
        chosen = None
        leases = self._leases.all()
        for found in self._all():
            lease = leases.get(_LEASE + found.name)
            if lease is not None and lease.valid:
                continue
            is_recent = datetime.now(UTC) - found.modified < KEPT
            time = self._begun(found) if found.run_id == run_id and is_recent and chosen is None else None
            if time is not None:
                with suppress(RunBusy):
                    self._hold(found.name)
                    chosen, self.files, self.time = found.name, found.files, time
            elif found.run_id == run_id or not is_recent:
                with suppress(AnnobridgeError, OSError):  # the next load tries again
                    self._forget(found.name)
        return chosen

    def _all(self) -> list[_Found]:
        files: dict[str, list[str]] = defaultdict(list)
        modified: dict[str, datetime] = {}
        for path, time in self._root.files():
            folder, _, name = path.partition("/")
            files[folder].append(name)
            modified[folder] = max(time, modified.get(folder, time))
        return [_Found(name, files[name], modified[name]) for name in sorted(files)]

    def _begun(self, found: _Found) -> datetime | None:
        """When the load of a folder began, if it would plan the same."""
        if _HEADER not in found.files:
            return None
        try:
            header: dict[str, Any] = json.loads(self._root.of(found.name).read(_HEADER).to_pybytes())
            return datetime.fromisoformat(header["time"]) if header["content"] == self._content else None
        except (AnnobridgeError, ValueError, KeyError, TypeError):  # damaged, or of another version of annobridge
            return None

    def _hold(self, name: str) -> None:
        self._held.enter_context(self._leases.hold(_LEASE + name, "is being planned", "The load"))

    def leave(self) -> None:
        """Leave the files for a load that goes on with them."""
        if self._is_open:
            self._is_open = False
            self._held.close()

    def remove(self) -> None:
        """Remove the files, unless they were left. Never raises: what stays is removed by a later load."""
        if self._is_open:
            self._is_open = False
            with suppress(AnnobridgeError, OSError):
                self._clear(self.folder.name)
            self._held.close()

    def _forget(self, name: str) -> None:
        """Remove the folder of another load, unless somebody uses it."""
        with suppress(RunBusy), self._leases.hold(_LEASE + name, "is being removed", "The load"):
            self._clear(name)

    def _clear(self, name: str) -> None:
        for table in _TABLES:  # first: without the files, nobody would know them
            remove_tag(self._database, table, _TAG + name)
        self._root.of(name).remove()


def is_of_load(tag: str) -> bool:
    """Whether a tag is of a load on a cluster that goes on, or was interrupted."""
    return tag.startswith(_TAG)
