"""Archives: the files of a source, which is a zip, a folder or a single file. They are read by name and never unpacked as a whole.

A name is relative, with ``/`` between its parts. Names that could leave the archive (``..``, absolute ones, backslashes, drive
letters), links, encrypted and repeated members are refused before anything is read.
"""

from __future__ import annotations

import io
import os
import shutil
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Self

from ...exceptions import InvalidSource
from ...spill import temporary
from ..base import Calls, CallsHere

_LINK = stat.S_IFLNK
_ENCRYPTED = 0x1
_UNPACKING = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, NotImplementedError, RuntimeError, UnicodeDecodeError,
)  # fmt: skip
_SMALL = 1 << 20  # bytes of a member that may have any ratio
_SAID = 200  # characters of a message of zipfile, which may quote what it read
_GIB = 1 << 30


@dataclass(frozen=True)
class Limits:
    """What an archive may hold. Each is an option of reading, and can be raised there."""

    max_files: int = 2_000_000
    max_bytes: int = 500 * _GIB  # of all files, unpacked
    max_file_bytes: int = 20 * _GIB  # of one file, unpacked
    max_ratio: int = 200  # of unpacked to packed bytes of one file


class Archive:
    """The files of a source, by name. Use it with ``with``.

    Raises ``InvalidSource`` for an archive that is damaged, or holds what no label archive holds.
    """

    def __init__(
        self, path: Path, limits: Limits | None = None, media_folder: Path | None = None, unpacks: bool = True,
        calls: Calls | None = None,
    ) -> None:  # fmt: skip
        self.path, self.limits, self.calls = (path := path.absolute()), limits or Limits(), calls or CallsHere()
        self._media_folder, self._unpacks = media_folder, unpacks  # where ``put`` writes, if it does
        self._media_folder_text = str(media_folder.absolute()) if media_folder is not None else ""
        self._copies: dict[str, Path] = {}  # of what is inside a zip, on disk
        self._copy_folder: Path | None = None
        self._put = self._put_bytes = 0
        self._made: set[str] = set()  # folders
        self.sizes: dict[str, tuple[int, int]] = {}  # of images that were put, as they are shown
        self._zip: zipfile.ZipFile | None = None
        self._members: dict[str, zipfile.ZipInfo] = {}
        self._files: dict[str, str] = {}
        self._embedded: dict[str, tuple[int, Callable[[], bytes]]] = {}
        self.opened: set[str] = set()  # the names of the files that were read
        if path.is_dir():
            self._files = dict(_walk(path))
        elif zipfile.is_zipfile(path):
            self._members = self._open_zip(path)
        elif _begins_as_zip(path):
            raise InvalidSource(
                f"{str(path)!r} is no whole zip, as its directory at the end is missing; download it again."
            )
        else:
            self._files = {path.name: str(path)}
        if len(self.names) > self.limits.max_files:
            raise InvalidSource(
                f"{str(path)!r} holds {len(self.names):,} files, more than max_files={self.limits.max_files:,}; raise that limit."
            )

    @cached_property
    def names(self) -> list[str]:
        """The names of all files, sorted. Hidden files and what a Mac adds are left out."""
        return sorted(name for name in (self._members or tuple(self._files)) if not _is_hidden(name))

    @cached_property
    def by_suffix(self) -> Mapping[str, list[str]]:
        """The names by their suffix in lower case, as ``".json"``."""
        found: dict[str, list[str]] = {}
        for name in self.names:
            start = name.rfind("/") + 2  # a name that begins with a dot has no suffix there
            at = name.rfind(".", start)
            found.setdefault(name[at:].lower() if at >= 0 else "", []).append(name)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._members or name in self._files or name in self._embedded

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._zip is not None:
            self._zip.close()
        if self._copy_folder is not None:
            temporary.remove(self._copy_folder)

    @property
    def is_folder(self) -> bool:
        """Whether the files are on disk, each by itself."""
        return self._zip is None

    def file(self, name: str) -> Path | None:
        """Where a file is on disk; ``None`` inside a zip."""
        path = self._files.get(name)
        return Path(path) if path is not None else None

    def file_text(self, name: str) -> str | None:
        """The absolute path of a file on disk, as text, which costs less than a ``Path``; ``None`` inside a zip."""
        return self._files.get(name)

    def embed(self, name: str, size: int, read: Callable[[], bytes]) -> None:
        """Add a file that is inside another one, as an image in a JSON file; ``read`` returns its ``size`` bytes when it is
        opened. Its name is not in ``names``.
        """
        if name not in self and is_safe_name(name):
            self._embedded[name] = size, read

    def is_embedded(self, name: str) -> bool:
        """Whether a file is inside another one."""
        return name in self._embedded

    def size(self, name: str) -> int:
        """How many bytes a file has, unpacked."""
        if name in self._embedded:
            return self._embedded[name][0]
        return self._members[name].file_size if name in self._members else os.stat(self._files[name]).st_size

    def open(self, name: str) -> BinaryIO:
        """A file for reading. No more bytes come out of it than its entry says, and than the limits allow."""
        if name not in self:
            raise InvalidSource(f"{str(self.path)!r} has no file {name!r}.")
        self.opened.add(name)
        if self.size(name) > self.limits.max_file_bytes:
            raise InvalidSource(
                f"{name!r} in {str(self.path)!r} has {self.size(name):,} bytes, more than "
                f"max_file_bytes={self.limits.max_file_bytes:,}; raise that limit."
            )
        if name in self._embedded:
            return io.BytesIO(self._embedded[name][1]())
        if self._zip is None or name not in self._members:
            return open(self._files[name], "rb")
        return io.BufferedReader(_Member(self._zip, self._members[name], self.where(name)), 1 << 16)

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        with self.open(name) as stream:
            return stream.read()

    def text(self, name: str) -> str:
        """The text of a file, UTF-8 with or without a mark of byte order."""
        try:
            return self.read(name).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InvalidSource(f"{self.where(name)} is not UTF-8 text ({error}); save it as UTF-8.") from None

    def lines(self, name: str) -> Iterator[tuple[int, str]]:
        """The lines of a text that are not blank, each with its number, from 1."""
        for number, line in enumerate(self.text(name).splitlines(), 1):
            if line.strip():
                yield number, line

    @contextmanager
    def on_disk(self, name: str) -> Iterator[Path]:
        """A file as one on disk that can be read at any place; of what is inside a zip, a copy that is there as long as the archive
        is open.
        """
        if (path := self.file(name)) is not None:
            self.open(name).close()
            yield path
            return
        if name not in self._copies:
            self._copy_folder = self._copy_folder or temporary.make()
            copy = self._copy_folder / f"{len(self._copies)}{os.path.splitext(name)[1]}"
            with self.open(name) as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
            self._copies[name] = copy
        yield self._copies[name]

    def put(self, name: str, data: bytes, size: tuple[int, int] | None = None) -> None:
        """Add an image that is inside another file (a table, a tar): it is written to the folder of unpacked images, and is from
        then on a file of the archive. ``size`` is (width, height) as it is shown, where it is known. Raises ``InvalidSource`` for a
        name that leads out of the folder, and beyond the limits.
        """
        if size is not None:
            self.sizes[name] = size
        if not self._unpacks:
            return
        if self._media_folder is None:
            raise InvalidSource(
                f"The images of {str(self.path)!r} are inside its files; give media_dir= for the folder to unpack them into."
            )
        if not is_safe_name(name):
            raise InvalidSource(
                f"{str(self.path)!r} has an image with the name {name!r}, which leads out of the archive."
            )
        self._put += 1
        self._put_bytes += len(data)
        if self._put > self.limits.max_files or self._put_bytes > self.limits.max_bytes:
            limit = "max_files" if self._put > self.limits.max_files else "max_bytes"
            raise InvalidSource(
                f"{str(self.path)!r} holds more images than {limit}={getattr(self.limits, limit):,} allows; raise that limit."
            )
        target = os.path.join(self._media_folder_text, name)
        try:
            if (folder := os.path.dirname(target)) not in self._made:
                os.makedirs(folder, exist_ok=True)
                self._made.add(folder)
            _write(target, data)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise InvalidSource(
                f"The image {name!r} of {str(self.path)!r} cannot be unpacked to {target!r} ({error.strerror}); give "
                "another folder with media_dir=."
            ) from None
        self._files[name] = target

    def where(self, name: str) -> str:
        """How to speak of a file in a message."""
        return repr(name if self.path.name == name else f"{self.path.name}/{name}")

    def _open_zip(self, path: Path) -> dict[str, zipfile.ZipInfo]:
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
            raise InvalidSource(f"{str(path)!r} cannot be read as a zip ({error}); download it again.") from error
        entries = [entry for entry in self._zip.infolist() if not entry.is_dir()]
        for entry in entries:
            if problem := self._problem(entry):
                self._zip.close()
                raise InvalidSource(
                    f"The member {entry.filename!r} of {str(path)!r} {problem}; the archive is refused."
                )
        if repeated := [name for name, count in Counter(e.filename for e in entries).items() if count > 1]:
            self._zip.close()
            raise InvalidSource(
                f"The member {repeated[0]!r} is in {str(path)!r} more than once; the archive is refused."
            )
        if (total := sum(entry.file_size for entry in entries)) > self.limits.max_bytes:
            self._zip.close()
            raise InvalidSource(
                f"{str(path)!r} has {total:,} bytes unpacked, more than max_bytes={self.limits.max_bytes:,}; raise that limit."
            )
        return {entry.filename: entry for entry in entries}

    def _problem(self, entry: zipfile.ZipInfo) -> str | None:
        # zipfile turns backslashes into slashes and cuts names at NUL; orig_filename has what the archive says.
        name = entry.orig_filename
        if not is_safe_name(name):
            return "has a name that leads out of the archive"
        if stat.S_IFMT(entry.external_attr >> 16) == _LINK:
            return "is a link"
        if entry.flag_bits & _ENCRYPTED:
            return "is encrypted"
        if entry.file_size > _SMALL and entry.file_size > self.limits.max_ratio * max(entry.compress_size, 1):
            ratio = entry.file_size // max(entry.compress_size, 1)
            return f"unpacks to {ratio:,} times its size, more than max_ratio={self.limits.max_ratio}"
        return None


_KEPT: ContextVar[dict[Path, Archive] | None] = ContextVar("kept", default=None)


def look(path: Path) -> AbstractContextManager[Archive]:
    """An archive that is looked at, and not read: within ``looking``, the same for all that look at it."""
    kept = _KEPT.get()
    if kept is None:
        return Archive(path)
    if path not in kept:
        kept[path] = Archive(path)
    return nullcontext(kept[path])


@contextmanager
def looking() -> Iterator[None]:
    """While many formats look at a source: its files are listed once. Inside another ``looking``, it is that one."""
    if _KEPT.get() is not None:
        yield
        return
    kept: dict[Path, Archive] = {}
    token = _KEPT.set(kept)
    try:
        yield
    finally:
        _KEPT.reset(token)
        with ExitStack() as stack:
            for archive in kept.values():
                stack.enter_context(archive)


class _Member(io.RawIOBase):
    """A member of a zip, whose errors name it."""

    def __init__(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, where: str) -> None:
        self._where, self._left = where, entry.file_size
        with self._errors():
            self._stream = archive.open(entry)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        with self._errors():
            piece = self._stream.read(len(buffer))
        self._left -= len(piece)
        if self._left < 0:
            raise InvalidSource(f"{self._where} is larger than its entry in the archive says; the archive is damaged.")
        if not piece and len(buffer) and self._left > 0:
            raise InvalidSource(f"{self._where} is smaller than its entry in the archive says; the archive is damaged.")
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._stream.close()
        super().close()

    def _errors(self) -> _Translated:
        return _Translated(self._where)


class _Translated:
    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, _UNPACKING):
            raise InvalidSource(
                f"{self._where} cannot be unpacked ({str(error)[:_SAID]}); the archive is damaged."
            ) from error


def _write(path: str, data: bytes) -> None:
    """Write a file, unless it is there with that content."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    except FileExistsError:
        there = Path(path)
        if there.stat().st_size != len(data) or there.read_bytes() != data:
            there.write_bytes(data)
        return
    try:
        written = 0
        while written < len(data):
            written += os.write(file, data[written:] if written else data)
    finally:
        os.close(file)


def is_safe_name(name: str) -> bool:
    r"""Whether a name stays inside the folder that it is relative to, on every system.

    >>> [is_safe_name(name) for name in ("a/b.jpg", "../a", "/a", "a\\b", "C:x", "a/../b", "")]
    [True, False, False, False, False, False, False]
    """
    if not name or "\\" in name or "\0" in name or name.startswith("/") or name[1:2] == ":":
        return False
    return ".." not in name.split("/")


def _begins_as_zip(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PK\3\4" or path.suffix.lower() == ".zip"
    except OSError as error:
        raise InvalidSource(f"{str(path)!r} cannot be read ({error.strerror}); correct the path.") from None


def _walk(folder: Path) -> Iterator[tuple[str, str]]:
    top = len(str(folder).rstrip(os.sep)) + 1
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        inner, above = place[top:].replace(os.sep, "/"), os.path.join(place, "")
        prefix = f"{inner}/" if inner else ""
        for name in files:
            yield prefix + name, above + name


def _is_hidden(name: str) -> bool:
    if not name.startswith(".") and "/." not in name and "__MACOSX" not in name:
        return False
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
