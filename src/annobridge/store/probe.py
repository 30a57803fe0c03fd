"""Tries out a place for a dataset: what is allowed there, whether a file can be created by one of several writers only, its clock.

Small files are written into a folder of their own below the place, and removed afterwards.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any, Literal

import obstore
from obstore import exceptions
from obstore.store import LocalStore

from ..core.media import without_secrets
from ..core.wording import plural
from ..exceptions import StoreError
from .object_files import SCHEMES, open_store
from .refusals import DENIED, UNREACHABLE, plain_text, refusal
from .remote import local_path
from .remote_file import StorageOptions

WRITERS = 8
ROUNDS = 20
PERMISSIONS = ("list", "read", "write", "delete")
_NOT_ALLOWED = ("os error 1)", "os error 13)", "os error 30)")  # EPERM, EACCES, EROFS
_DEADLINE = 60.0  # seconds for all writers to be ready


@dataclass(frozen=True, slots=True)
class Round:
    """What writers were told who created one file at once.

    Attributes:
        winners: how many were told that they had created it.
        losers: how many were told that it was there.
        failed: how many got another answer.
        kept: whether the file is that of a winner; ``None`` if it cannot be read, or nobody won.
    """

    winners: int
    losers: int
    failed: int
    kept: bool | None


@dataclass(frozen=True, slots=True)
class Probe:
    """What a place allows and does.

    Attributes:
        denied: those of ``PERMISSIONS`` that are missing.
        conditional: whether a file can be created only if it does not exist; ``None`` if nothing can be written.
        rounds: the races of ``WRITERS`` for one file.
        clock: how many seconds the clock of the place is ahead of that of this machine; ``None`` if it is not known.
        left: the files that could not be removed.
    """

    denied: tuple[str, ...]
    conditional: bool | None
    rounds: tuple[Round, ...]
    clock: float | None
    left: tuple[str, ...]


def probe(uri: str, options: StorageOptions) -> Probe:
    """Try out a place, which need not have a dataset yet. Raises ``StoreError`` if it is not there, or does not answer."""
    store, folder = _open(uri, options)
    trial = _Trial(store, folder)
    try:
        return trial.run()
    except (exceptions.BaseError, FileNotFoundError) as error:
        why = (
            refusal(error)
            or f"{plain_text(str(error).splitlines()[0])}. Check the address and the connection, and repeat"
        )
        left = trial.remove()
        what = f" {plural(len(left), 'small file')} of this check may be left in {folder!r}." if left else ""
        raise StoreError(f"The place {without_secrets(uri)!r} cannot be checked: {why}.{what}") from None
    finally:
        trial.remove()


def _open(uri: str, options: StorageOptions) -> tuple[Any, str]:
    """The store of a place, and a folder there that nobody uses."""
    name = f".annobridge-probe-{uuid.uuid4().hex}"
    if (path := local_path(uri)) is not None:
        # A folder is not made for this: what holds for the one that it will be in holds for it.
        there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())
        return LocalStore(there, automatic_cleanup=True), name
    scheme = uri.partition("://")[0].lower()
    if scheme not in SCHEMES:
        known = ", ".join(f"{known}://" for known in ("file", *SCHEMES))
        raise StoreError(f"The storage of {scheme}:// cannot be checked; give a folder, or one of {known}.")
    try:
        store, key = open_store(uri, options)
    except OSError as error:
        raise StoreError(f"The place {without_secrets(uri)!r} cannot be opened: {error}.") from None
    return store, f"{key.rstrip('/')}/{name}".lstrip("/")


class _Trial:
    def __init__(self, store: Any, folder: str) -> None:
        self._store, self._folder = store, folder
        self._written: set[str] = set()  # keys that may be there
        self._denied: set[str] = set()

    def run(self) -> Probe:
        """Try everything out."""
        first = f"{self._folder}/first"
        before = datetime.now(UTC)
        writable = self._allowed("write", lambda: self._put(first, b"", "overwrite"))
        after = datetime.now(UTC)
        self._allowed("list", lambda: obstore.list(self._store, self._folder).collect())
        clock = None
        if self._allowed("read", lambda: obstore.get(self._store, first).bytes()) and writable:
            clock = _ahead(obstore.head(self._store, first)["last_modified"], before, after)
        conditional, rounds = None, []
        if writable:
            conditional = self._create(f"{self._folder}/alone", b"") is True
        if conditional:
            with ThreadPoolExecutor(WRITERS) as threads:
                rounds = [self._race(threads, f"{self._folder}/{number}") for number in range(ROUNDS)]
        left = self.remove()
        denied = tuple(name for name in PERMISSIONS if name in self._denied)
        return Probe(denied, conditional, tuple(rounds), clock, left)

    def _race(self, threads: ThreadPoolExecutor, key: str) -> Round:
        """All writers create one file at once, each with its number."""
        barrier = Barrier(WRITERS, timeout=_DEADLINE)

        def create(number: int) -> bool | None:
            barrier.wait()
            return self._create(key, bytes([number]))

        told = list(threads.map(create, range(WRITERS)))
        winners = [number for number, won in enumerate(told) if won]
        kept = None
        if winners and "read" not in self._denied:
            kept = bytes(obstore.get(self._store, key).bytes())[0] in winners
        return Round(len(winners), told.count(False), told.count(None), kept)

    def _create(self, key: str, content: bytes) -> bool | None:
        """Create a file unless it is there; returns whether it was created, ``None`` for another answer."""
        try:
            self._put(key, content, "create")
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
            return False
        except exceptions.BaseError:
            return None
        return True

    def _put(self, key: str, content: bytes, mode: Literal["create", "overwrite"]) -> None:
        self._written.add(key)
        try:
            obstore.put(self._store, key, content, mode=mode, use_multipart=False)
        except exceptions.BaseError as error:
            # A file that the store refused is not there, unless another writer creates it; after other errors, it may be.
            if mode == "overwrite" and refusal(error) not in (None, UNREACHABLE):
                self._written.discard(key)
            raise

    def _allowed(self, permission: str, call: Callable[[], Any]) -> bool:
        """Whether a call is allowed; another fault is raised as it is."""
        try:
            call()
        except FileNotFoundError as error:  # the folder, or the file that could not be written: reading was allowed
            if refusal(error):
                raise
        except exceptions.BaseError as error:
            if not _is_denied(error):
                raise
            self._denied.add(permission)
            return False
        return True

    def remove(self) -> tuple[str, ...]:
        """Remove the files; returns those that are left."""
        left = []
        for key in sorted(self._written):
            try:
                obstore.delete(self._store, key)
            except FileNotFoundError:
                continue
            except exceptions.BaseError as error:
                if _is_denied(error):
                    self._denied.add("delete")
                left.append(key)
        self._written = set(left)
        return tuple(left)


def _is_denied(error: Exception) -> bool:
    return refusal(error) == DENIED or any(text in str(error) for text in _NOT_ALLOWED)


def _ahead(modified: datetime, before: datetime, after: datetime) -> float:
    """How many seconds a clock is ahead that gave a time, in whole seconds, to a file that was written in between."""
    least = (modified - after).total_seconds()
    most = (modified + timedelta(seconds=1) - before).total_seconds()
    return least if least > 0 else min(most, 0.0)
