"""Looks at files, in threads: whether they are there, their size, and their content."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from ..store import fingerprints
from ..store.remote import local_path, open_remote
from ..store.remote_file import StorageOptions

_THREADS = 8
_AT_ONCE = 1_000  # files that wait for a thread
MISSING, UNREADABLE, SIZE, CONTENT = "missing", "unreadable", "size", "content"


class Look(NamedTuple):
    """A file as it is now. ``problem`` is empty, ``MISSING`` or ``UNREADABLE``, and ``why`` the reason for the latter."""

    size: int | None = None
    content: int | None = None  # its fingerprint, if it was asked for; never of files elsewhere
    problem: str = ""
    why: str = ""


class Recorded(NamedTuple):
    """What is recorded of a file; ``None`` for what is not."""

    size: int | None
    content: int | None


def look_at(places: Sequence[str | None], options: StorageOptions, content: bool) -> Iterator[Look]:
    """Look at files, in their order; nothing is downloaded. ``content`` reads the fingerprints of those on disk."""
    with ThreadPoolExecutor(_THREADS) as pool:
        for at in range(0, len(places), _AT_ONCE):
            yield from pool.map(lambda place: _look(place, options, content), places[at : at + _AT_ONCE])


def difference(found: Look, recorded: Recorded) -> str:
    """``SIZE`` or ``CONTENT`` where a file that is there is not as it is recorded; else an empty text."""
    if None not in (found.size, recorded.size) and found.size != recorded.size:
        return SIZE
    return CONTENT if None not in (found.content, recorded.content) and found.content != recorded.content else ""


def _look(place: str | None, options: StorageOptions, content: bool) -> Look:
    if place is None:
        return Look(problem=MISSING)
    try:
        path = local_path(place)
        if path is None:
            return Look(open_remote(place, options).state().size)
        about = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return Look(problem=MISSING)
    except (OSError, ValueError) as error:
        return Look(problem=UNREADABLE, why=getattr(error, "strerror", None) or str(error))
    if not stat.S_ISREG(about.st_mode):
        return Look(problem=UNREADABLE, why="it is no file")
    if not content:
        return Look(about.st_size)
    found = fingerprints.of_file(path)
    return Look(*found) if found is not None else Look(about.st_size, problem=UNREADABLE, why="it cannot be opened")
