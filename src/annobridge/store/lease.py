"""Leases: locks of a dataset that expire, for processes on any machine. A run has one, and so has adding or deleting samples.

A lease is an entry in the configuration of a Lance table that has no rows. Taking, renewing and releasing it are commits of
metadata, which Lance refuses when the entry was changed since it was read: a compare-and-set on disks and on object stores. The
holder renews its lease in the background. Another process takes it over when it has expired, or when its holder is known to
have ended. The clocks of machines that share a dataset must differ by less than ``LIFETIME``.

A lease alone does not make writes safe: a holder that was suspended may go on after another process took over. It only keeps two
processes from doing the same work; the commits have their own checks (``Hold.check``, ``Runs.is_only_load``, revisions, fences).
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
from .schemas import LEASES
from .tables import Database

LIFETIME = timedelta(minutes=2)
RENEWAL = timedelta(seconds=30)
_POLL = 0.1  # seconds between attempts to take a lease
_PREFIX = "annobridge.lease."
_HELD: set[str] = set()  # tokens of the leases of this process


@dataclass(frozen=True, slots=True)
class Lease:
    """An entry: the holder, what it does, since when, and when the lease expires unless it is renewed."""

    token: str
    owner: str
    purpose: str  # the end of a sentence, as "is being sent"
    since: str
    expires: str

    @classmethod
    def new(cls, purpose: str) -> Lease:
        """A lease of this process."""
        now = datetime.now(UTC)
        return cls(uuid.uuid4().hex, current_process(), purpose, now.isoformat(), (now + LIFETIME).isoformat())

    def renewed(self) -> Lease:
        """The same lease, which expires later."""
        return replace(self, expires=(datetime.now(UTC) + LIFETIME).isoformat())

    @property
    def valid(self) -> bool:
        """Whether the holder may still be working."""
        if self.owner == current_process():  # its threads take leases too, and release them without fail
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
        """All entries by name, including expired ones."""
        try:
            return _entries(self._commits.latest())
        except ValueError:  # a dataset of version 0.1 has no such table
            return {}

    def find(self, name: str) -> Lease | None:
        """The lease of that name, unless it is free or no longer valid."""
        found = self.all().get(name)
        return found if found is not None and found.valid else None

    @contextmanager
    def hold(
        self, name: str, purpose: str, what: str, wait: float = 0, busy: type[AnnobridgeError] = RunBusy
    ) -> Iterator[Hold]:
        """Hold a lease for the block.

        Args:
            name: the name of the lease.
            purpose: what the holder does, for messages: the end of a sentence, as "is being sent".
            what: the beginning of that sentence, as "The run 'a'".
            wait: how many seconds to wait for the lease at most.
            busy: what is raised when another holds it.
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
            with suppress(Exception):  # an error of the block matters more, and the lease expires by itself
                self._write(name, None, mine.token)

    def _take(self, name: str, mine: Lease, deadline: float) -> Lease | str:
        """The lease; or, when the time is over, a sentence about its holder."""
        while True:
            table = self._table()
            found = _entries(table).get(name)
            if found is None or not found.valid:
                _HELD.add(
                    mine.token
                )  # before the commit, so that no thread takes the new entry for one that was left behind
                with suppress(CommitConflictError):
                    self._commit(table, {name: mine})
                    return mine
                _HELD.discard(mine.token)
            elif time.monotonic() >= deadline:
                return str(found)
            time.sleep(_POLL)

    def _table(self) -> lance.LanceDataset:
        try:
            return self._commits.latest()
        except ValueError:  # a dataset of version 0.1 has no such table
            self._database.create_table(LEASES)
            return self._commits.latest()

    def _write(self, name: str, lease: Lease | None, token: str) -> bool:
        """Replace or remove a lease; ``False`` when it has another token, as another process took it over."""
        for _ in range(MAX_ATTEMPTS):
            table = self._commits.latest()
            found = _entries(table).get(name)
            if found is None or found.token != token:
                return False
            with suppress(CommitConflictError):
                self._commit(table, {name: lease})
                return True
        return False

    def _commit(self, table: lance.LanceDataset, entries: Mapping[str, Lease | None]) -> None:
        updates = {_PREFIX + n: None if lease is None else json.dumps(asdict(lease)) for n, lease in entries.items()}
        self._commits.set_config(table, updates)


class Hold:
    """A lease that this process holds."""

    def __init__(self, leases: Leases, name: str, what: str, lease: Lease) -> None:
        self._leases, self._name, self._what, self.lease = leases, name, what, lease
        self._stop = threading.Event()

    def check(self) -> None:
        """Raise ``RunBusy`` if another process took the lease over."""
        found = self._leases.all().get(self._name)
        if found is None or found.token != self.lease.token:
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
            with suppress(
                Exception
            ):  # the store may be unreachable for a while; ``check`` finds out whether the lease was lost
                self._leases._write(self._name, self.lease.renewed(), self.lease.token)


def _entries(table: lance.LanceDataset) -> dict[str, Lease]:
    found = {}
    for key, text in table.config().items():
        if key.startswith(_PREFIX):
            with suppress(ValueError, KeyError, TypeError):  # a damaged entry counts as free
                entry = json.loads(text)
                found[key.removeprefix(_PREFIX)] = Lease(**{f.name: entry[f.name] for f in fields(Lease)})
    return found
