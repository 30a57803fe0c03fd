"""The file of decisions of a review: read once, appended to, and watched for the lines of other processes.

A decision is on the disk before ``append`` returns. All writers take the same lock, so a line is never mixed with another; one
that a killed process did not write to its end is cut off by whoever writes next.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..bridge import decision_file
from ..core.review.decisions import contradicted
from ..exceptions import InvalidOption
from ..store.run import Run

_LOCK_SECONDS = 10  # a writer holds the lock for milliseconds
_TAIL = 1 << 16  # bytes that are read at a time to find the last line end


class DecisionLog:
    """The decisions in a file, with those that other processes append while it is open.

    Attributes:
        path: the file. It is made when it is not there.
        rows: all decisions, in the order of the file, as rows of ``DECISIONS``. Their number, from 1, is their ``seq``.
        notes: what was found when it was opened.
    """

    def __init__(self, path: Path, run: Run) -> None:
        """Open the file. Raises ``InvalidOption`` for a file that cannot be written, and for a line that is no decision."""
        self.path, self.rows, self.notes = path, list[dict[str, Any]](), list[str]()
        self._run, self._read, self._lines, self._closed = run, 0, 0, False
        self._threads = threading.RLock()
        real = path.resolve()  # by whatever links it was named
        self._lock = FileLock(real.with_name(f".{real.name}.lock"), timeout=_LOCK_SECONDS)
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
        except OSError as error:
            raise InvalidOption(
                f"The file of decisions {str(path)!r} cannot be written ({error.strerror}); choose another with --decisions."
            ) from None
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            self.close()
            raise InvalidOption(
                f"{str(path)!r} is a device or a pipe, which keeps nothing; choose a file with --decisions."
            )
        try:
            with self._exclusive():
                if cut := self._mend():
                    self.notes.append(
                        f"The last line of {path} was not written to its end, and was cut off ({cut:,} bytes)."
                    )
                self.refresh()
        except BaseException:
            self.close()
            raise
        if again := contradicted(self.rows):
            self.notes.append(f"{path} has different decisions about {again:,} of its changes; the latest counts.")

    def close(self) -> None:
        """Close the file. What was read stays in ``rows``."""
        with self._threads:
            if not self._closed:
                os.close(self._file)
            self._closed = True

    def append(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write decisions to the disk. Afterwards ``rows`` has them, behind those that others wrote before.

        Raises ``InvalidOption``, and then none of them is in the file.
        """
        data = b"".join(map(decision_file.to_line, rows))
        decision_file.parse(
            data, f"A decision for {self.path}", self._run
        )  # a line that cannot be read would end the review
        if self._closed:
            raise InvalidOption("This review was ended, so nothing can be decided in it; start another.")
        with self._threads, self._exclusive():
            self._mend()
            self.refresh()
            self._write(data)
            self.refresh()

    def refresh(self) -> int:
        """Read what was appended since; returns how many decisions there are. Raises ``InvalidOption``."""
        with self._threads:
            size = self._read if self._closed else self._size()
            if size > self._read:
                data = self._at(self._read, size - self._read)
                data = data[: data.rfind(b"\n") + 1]  # somebody may be writing the next line right now
                found = decision_file.parse(data, str(self.path), self._run, self._lines + 1)
                self.rows += found.rows
                self._read, self._lines = self._read + len(data), self._lines + found.lines
            return len(self.rows)

    def _exclusive(self) -> Any:
        try:
            return self._lock.acquire()
        except Timeout:
            raise InvalidOption(
                f"Another process has held the lock of {str(self.path)!r} for {_LOCK_SECONDS} seconds; stop it, and try again."
            ) from None
        except OSError as error:
            raise InvalidOption(
                f"The lock of {str(self.path)!r} cannot be taken ({error.strerror}): its folder has to be one that can be written."
            ) from None

    def _mend(self) -> int:
        """Make the file end with a line end: cut off a line that was not written to its end. Returns how many bytes."""
        size = self._size()
        start = size
        while start > self._read:
            start = max(self._read, start - _TAIL)
            if (at := self._at(start, size - start).rfind(b"\n")) >= 0:
                start += at + 1
                break
        tail = self._at(start, size - start)
        if not tail:
            return 0
        if decision_file.is_complete(tail):
            self._write(b"\n")
            return 0
        os.ftruncate(self._file, start)
        os.fsync(self._file)
        return len(tail)

    def _size(self) -> int:
        """The size of the file. Raises ``InvalidOption`` if it is not the file that was opened, or was made shorter."""
        state = os.fstat(self._file)
        try:
            is_there = os.path.samestat(os.stat(self.path), state)
        except OSError:
            is_there = False
        if not is_there or state.st_size < self._read:
            raise InvalidOption(
                f"The file of decisions {str(self.path)!r} was removed, replaced or shortened while it was open; put it back, or "
                "end this review and start another."
            )
        return state.st_size

    def _at(self, start: int, size: int) -> bytes:
        os.lseek(self._file, start, os.SEEK_SET)
        parts = []
        while size > 0 and (part := os.read(self._file, size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _write(self, data: bytes) -> None:
        rest, before = memoryview(data), os.fstat(self._file).st_size
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, before)  # all of them or none
            raise InvalidOption(
                f"The decisions could not be written to {str(self.path)!r} ({error.strerror}); make room, and decide again."
            ) from None
