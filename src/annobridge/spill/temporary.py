"""Temporary folders, and the base of the containers that keep rows in one.

The rows are labels, so no folder may stay: not after an error, and not for long after a process was killed. A file in each folder
names the process that made it, and the first folder that a process makes removes those of processes that have ended on this
machine. Folders of other machines, or of other containers that share the file system, cannot be checked, and are left alone.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Self

from ..processes import current_process, has_ended

_PREFIX = "annobridge-"
_OWNER = ".owner"  # the file that names the process


def make() -> Path:
    """Create a folder; the caller removes it."""
    _clear_once()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    (folder / _OWNER).write_text(current_process(), "utf-8")
    return folder


def remove(folder: Path) -> None:
    """Remove a folder with all its files."""
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def folder() -> Iterator[Path]:
    """Create a folder, and remove it at the end of the block."""
    made = make()
    try:
        yield made
    finally:
        remove(made)


class Spilled:
    """Rows in a temporary folder, which ``close``, the end of a ``with`` block or the garbage collector removes."""

    def __init__(self) -> None:
        self._folder = make()
        # Not tempfile.TemporaryDirectory, which warns when it is collected: a plan may be dropped without being closed.
        self._remove: list[weakref.finalize[..., Any]] = [weakref.finalize(self, remove, self._folder)]

    @property
    def path(self) -> Path:
        """The folder, in which others may write too."""
        return self._folder

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the rows from the disk."""
        for each in self._remove:
            each()

    def close_with(self, close: Callable[[], object]) -> None:
        """Call a function at the same time, once."""
        self._remove.append(weakref.finalize(self, close))


def file_of(chunks: Iterable[bytes]) -> BinaryIO:
    """A file with the bytes of a download, at its start; it is gone when the caller closes it."""
    stream: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        stream.writelines(chunks)
    except BaseException:
        stream.close()
        raise
    stream.seek(0)
    return stream


def clear() -> int:
    """Remove the folders of processes that have ended; returns how many there were."""
    return sum(map(_remove_if_ended, Path(tempfile.gettempdir()).glob(f"{_PREFIX}*")))


_clear_once = cache(clear)


def _remove_if_ended(folder: Path) -> bool:
    try:
        ended = has_ended((folder / _OWNER).read_text("utf-8"))
    except (OSError, ValueError):  # made by another program, or by another user
        return False
    if ended:
        remove(folder)
    return ended
