"""Temporary folders. They hold labels, so none stays: not after an error, and not for long after a process that was killed.

A folder bears the name of its process. The first one that a process makes clears those of processes that have ended here; those
of other machines, and of other containers that share the place, cannot be looked up and are left alone.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from ..processes import current_process, has_ended

_PREFIX = "annobridge-"
_OWNER = ".owner"  # the file in a folder that says whose it is


def make() -> Path:
    """A new folder, for as long as the caller needs it."""
    _clear_once()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    (folder / _OWNER).write_text(current_process(), "utf-8")
    return folder


def remove(folder: Path) -> None:
    """Remove a folder, whatever is in it."""
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def folder() -> Iterator[Path]:
    """A new folder for the length of the block."""
    made = make()
    try:
        yield made
    finally:
        remove(made)


def clear() -> int:
    """Remove the folders of processes that have ended; how many there were."""
    return sum(map(_remove_if_ended, Path(tempfile.gettempdir()).glob(f"{_PREFIX}*")))


_clear_once = cache(clear)


def _remove_if_ended(left: Path) -> bool:
    try:
        ended = has_ended((left / _OWNER).read_text("utf-8"))
    except (OSError, ValueError):  # not one of these, or of another user
        return False
    if ended:
        remove(left)
    return ended
