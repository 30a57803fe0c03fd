"""Leases: who is working on a run, or adding samples, so that no two do it at once.

A lease is an entry in the configuration of a Lance table of its own. Taking, renewing and releasing one is a commit of metadata,
which Lance refuses when the entry was changed since it was read: a compare-and-set that works on disks and object stores alike.
The holder renews its lease in the background for as long as it works; others take it over when it has expired, or when the
process is known to have ended. Clocks of machines that share a dataset may differ by less than ``LIFETIME``.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta

import lance
from lance.commit import CommitConflictError

from ..exceptions import AnnobridgeError, RunBusy
from ..processes import current_process, has_ended
from .commits import MAX_ATTEMPTS, Commits
from .tables import LEASES, Database

LIFETIME = timedelta(minutes=2)
RENEWAL = timedelta(seconds=30)
_POLL = 0.1  # seconds between looks at a lease that is waited for
_PREFIX = "annobridge.lease."
_HELD: set[str] = set()  # the tokens of the leases that this process holds


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds what, since when, and until when if it is not renewed."""

    token: str
    owner: str
    purpose: str  # as in "is being sent"
    since: str
    expires: str

    @classmethod
    def new(cls, purpose: str) -> Lease:
        """A lease of this process."""
        now = datetime.now(UTC)
        return cls(uuid.uuid4().hex, current_process(), purpose, now.isoformat(), (now + LIFETIME).isoformat())

    def renewed(self) -> Lease:
        """The same lease for longer."""
        return replace(self, expires=(datetime.now(UTC) + LIFETIME).isoformat())

    @property
    def valid(self) -> bool:
        """Whether the holder must be expected to be at work."""
        if self.owner == current_process():
            return self.token in _HELD
        return datetime.now(UTC) < datetime.fromisoformat(self.expires) and not has_ended(self.owner)

    def __str__(self) -> str:
        host, *_, pid, _ = self.owner.split("|")
        return f"{self.purpose} by process {pid} on {host} since {self.since[:19]} UTC"


class Leases:
    """The leases of a dataset."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._commits = Commits(database, LEASES)

    def all(self) -> dict[str, Lease]:
        """All entries by name, expired ones too."""
        try:
            return _entries(self._commits.latest())
        except ValueError:  # there is no such table
            return {}

    def find(self, name: str) -> Lease | None:
        """The lease of that name, if somebody must be expected to hold it."""
        found = self.all().get(name)
        return found if found is not None and found.valid else None

    @contextmanager
    def hold(
        self, name: str, purpose: str, what: str, wait: float = 0, busy: type[AnnobridgeError] = RunBusy
    ) -> Iterator[Hold]:
        """Hold a lease for the length of the block; ``wait`` for it as many seconds at most.

        Raises ``busy`` while somebody else holds it; ``what`` begins the sentence, as in "The run 'a'".
        """
        mine = self._take(name, Lease.new(purpose), time.monotonic() + wait)
        if isinstance(mine, str):
            raise busy(f"{what} {mine}; wait until that has ended, and try again.")
        hold = Hold(self, name, what, mine)
        try:
            with hold.renewing():
                yield hold
        finally:
            _HELD.discard(mine.token)
            with suppress(Exception):  # it expires by itself; what the block raised matters more
                self._write(name, None, mine.token)

    def _take(self, name: str, mine: Lease, deadline: float) -> Lease | str:
        """The lease, or who holds it."""
        while True:
            table = self._made()
            there = _entries(table).get(name)
            if there is None or not there.valid:
                _HELD.add(mine.token)
                with suppress(CommitConflictError):
                    self._commit(table, {name: mine})
                    return mine
                _HELD.discard(mine.token)
            elif time.monotonic() >= deadline:
                return str(there)
            time.sleep(_POLL)

    def _made(self) -> lance.LanceDataset:
        try:
            return self._commits.latest()
        except ValueError:  # a dataset of version 0.1 has no such table yet
            self._database.create_table(LEASES)
            return self._commits.latest()

    def _write(self, name: str, lease: Lease | None, token: str) -> bool:
        """Replace or remove a lease that is still the holder's; ``False`` when it is not."""
        for _ in range(MAX_ATTEMPTS):
            table = self._commits.latest()
            there = _entries(table).get(name)
            if there is None or there.token != token:
                return False
            with suppress(CommitConflictError):
                self._commit(table, {name: lease})
                return True
        return False

    def _commit(self, table: lance.LanceDataset, entries: Mapping[str, Lease | None]) -> None:
        updates = {_PREFIX + n: None if lease is None else json.dumps(asdict(lease)) for n, lease in entries.items()}
        operation = lance.LanceOperation
        self._commits.commit(table, operation.UpdateConfig(config_updates=operation.UpdateMap(updates=updates)))


class Hold:
    """A lease that this process holds."""

    def __init__(self, leases: Leases, name: str, what: str, lease: Lease) -> None:
        self._leases, self._name, self._what, self.lease = leases, name, what, lease
        self._stop = threading.Event()

    def check(self) -> None:
        """Raise ``RunBusy`` unless the lease is still held."""
        there = self._leases.all().get(self._name)
        if there is None or there.token != self.lease.token:
            raise RunBusy(
                f"{self._what} was taken over by another process while this one did not respond; what was done so far is kept."
            )

    @contextmanager
    def renewing(self) -> Iterator[None]:
        """Renew the lease in the background."""
        thread = threading.Thread(target=self._renew, name="annobridge-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _renew(self) -> None:
        while not self._stop.wait(RENEWAL.total_seconds()):
            with suppress(Exception):  # the store may be out of reach for a while; ``check`` says what came of it
                self._leases._write(self._name, self.lease.renewed(), self.lease.token)


def _entries(table: lance.LanceDataset) -> dict[str, Lease]:
    found = {}
    for key, text in table.config().items():
        if key.startswith(_PREFIX):
            with suppress(ValueError, KeyError, TypeError):  # a damaged entry holds nothing
                entry = json.loads(text)
                found[key.removeprefix(_PREFIX)] = Lease(**{f.name: entry[f.name] for f in fields(Lease)})
    return found
