"""Media that are written into a dataset, beside its tables: ``<dataset>/media/…``."""

from __future__ import annotations

import io
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO

from .media_paths import absolute
from .remote import is_uri
from .tables import Database

if TYPE_CHECKING:
    from .object_files import ObjectFile

FOLDER = "media"
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"|?*]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # names that Windows has for devices
_LONGEST = 150  # characters of a part of a name
_CHUNK = 1 << 20
_IN_MEMORY = 8 << 20  # bytes


class MediaFiles:
    """Writes media into the folder of a dataset, on disk or in an object store. No file is ever overwritten."""

    def __init__(self, database: Database) -> None:
        self._root = absolute(database.uri)
        self._options = database.storage_options

    def write(self, name: str, data: BinaryIO) -> str:
        """Write a file, and return its path or URI, which is the ``filepath`` of its sample.

        If there is a file of this name with the same bytes, nothing is written. One with other bytes stays, and the new file gets
        a name with a digest of its bytes. A process that is killed leaves no file of the name, or the whole file.

        Args:
            name: the name that is wanted, perhaps with folders, as ``"cam/0.png"``. What no file system takes is replaced, and
                nothing is written outside of the folder of media.
            data: the bytes, read to the end.

        Raises:
            OSError: the place cannot be written to.
        """
        safe = _safe_name(name)
        return self._write_object(safe, data) if is_uri(self._root) else self._write_file(safe, data)

    def _write_file(self, name: str, data: BinaryIO) -> str:
        folder = Path(self._root, FOLDER)
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{uuid.uuid4().hex}.part"
        try:
            with part.open("xb") as file:
                digest = _copy(data, file)
            for candidate in _candidates(name, digest):
                target = folder / candidate
                target.parent.mkdir(parents=True, exist_ok=True)
                if _link(part, target) or _digest_of(target) == digest:
                    return str(target)
        finally:
            with suppress(OSError):
                part.unlink()
        raise FileExistsError("every name for the file is taken")

    def _write_object(self, name: str, data: BinaryIO) -> str:
        from .object_files import ObjectFile

        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as spooled:
            file: Any = spooled
            digest = _copy(data, file)
            for candidate in _candidates(name, digest):
                uri = f"{self._root}/{FOLDER}/{candidate.replace('%', '%25')}"
                there = ObjectFile(uri, self._options)
                file.seek(0)
                if there.create(file) or _digest_of_object(there) == digest:
                    return uri
        raise FileExistsError("every name for the file is taken")


def _candidates(name: str, digest: str) -> Iterator[str]:
    """Names for a file, in the order in which they are tried."""
    yield name
    path = PurePosixPath(name)
    for length in (8, 16, len(digest)):
        yield str(path.with_name(f"{path.stem}-{digest[:length]}{path.suffix}"))


def _safe_name(name: str) -> str:
    r"""A relative path that every file system takes.

    >>> _safe_name("C:\\photos\\..\\a b?.png"), _safe_name("/cam/nul.png"), _safe_name("..")
    ('photos/a b_.png', 'cam/_nul.png', 'file')
    """
    plain = re.sub(r"^[A-Za-z]:(?=[\\/])", "", name).replace("\\", "/")
    parts = [_safe_part(part) for part in plain.split("/") if part not in ("", ".", "..")]
    return "/".join(part for part in parts if part) or "file"


def _safe_part(part: str) -> str:
    part = _UNSAFE.sub("_", part).encode("utf-8", "replace").decode().rstrip(". ").lstrip(" ")
    if _RESERVED.fullmatch(part) or part.startswith("."):
        part = f"_{part}"
    if len(part) > _LONGEST:
        stem, suffix = os.path.splitext(part)
        part = stem[: _LONGEST - len(suffix[:20])] + suffix[:20]
    return part


class _Digest(io.RawIOBase):
    """Takes the digest of what is written, and hands it on."""

    def __init__(self, into: BinaryIO | None = None) -> None:
        self._into, self._hash = into, blake2b(digest_size=20)

    def write(self, chunk: Any, /) -> int:
        self._hash.update(chunk)
        return self._into.write(chunk) if self._into is not None else len(chunk)

    @property
    def text(self) -> str:
        return self._hash.hexdigest()


def _copy(data: BinaryIO, into: BinaryIO | None = None) -> str:
    """Copy a stream; returns the digest of its bytes."""
    digest = _Digest(into)
    shutil.copyfileobj(data, digest, _CHUNK)
    return digest.text


def _digest_of(path: Path) -> str:
    if not path.is_file():  # a folder has the name
        return ""
    with path.open("rb") as file:
        return _copy(file)


def _digest_of_object(file: ObjectFile) -> str:
    digest: Any = _Digest()
    file.download(digest)
    return str(digest.text)


def _link(part: Path, target: Path) -> bool:
    """Give a complete file a name, unless the name is taken; returns whether it was free."""
    try:
        os.link(part, target)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        try:
            with part.open("rb") as source, target.open("xb") as copy:
                shutil.copyfileobj(source, copy, _CHUNK)
        except FileExistsError:
            return False
    return True
