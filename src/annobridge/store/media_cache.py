"""A cache on disk of files that are read by URI, which any number of processes may share.

For each URI there is an entry, a small JSON file with the state that the server gave and the name of a file with the bytes. The
bytes of a name never change, and entries are replaced as a whole, so that a reader sees an old state with the old bytes, or a new
one with the new. Each use asks the server whether the file has changed, which sends no bytes if it has not. If there are too many
files, those go that were not used for longest.

Names are hashes of URIs without the parts that sign them: a URL that was signed anew finds its entry, and no name tells a secret.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from filelock import FileLock, Timeout

from ..core.media import CACHE, CACHE_SIZE
from ..exceptions import InvalidOption
from .remote import open_remote
from .remote_file import FileState, RemoteFile, StorageOptions

_DEFAULT_SIZE = 10 << 30  # bytes
_OFF = ("0", "off", "false", "no")
_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}  # powers of 2
_IN_MEMORY = 8 << 20  # bytes of a file that is not kept
_KEPT = 0.9  # part of the size that is left when files are removed
_STALE = 3600  # seconds, after which a file that is still being written was left by a process that ended
# What signs a URL, by the way it is signed: parameters that tell it, and those that change when it is signed anew. In another
# query, each parameter may say which bytes are meant.
_SIGNED = (
    (frozenset({"x-amz-signature"}), re.compile(r"x-amz-.*")),
    (frozenset({"x-goog-signature"}), re.compile(r"x-goog-.*")),
    (frozenset({"signature", "awsaccesskeyid"}), re.compile(r"signature|expires|awsaccesskeyid|x-amz-security-token")),
    (frozenset({"signature", "googleaccessid"}), re.compile(r"signature|expires|googleaccessid")),
    (frozenset({"signature", "key-pair-id"}), re.compile(r"signature|expires|key-pair-id|policy")),  # CloudFront
    (frozenset({"sig", "sv", "sp"}), re.compile(r"s(ig|e|p|v|r|t|pr|ip|koid|ktid|kt|ke|ks|kv)")),  # Azure
)


def open_cached(uri: str, options: StorageOptions = None) -> BinaryIO:
    """A file by its URI: a seekable stream, which the caller closes. Raises ``OSError``."""
    remote = open_remote(uri, options)
    cache = shared()
    return cache.open(uri, remote) if cache is not None else _temporary(remote)


def shared() -> MediaCache | None:
    """The cache of this user, as the environment says; ``None`` if it is off. Raises ``InvalidOption``."""
    place = os.environ.get(CACHE, "").strip()
    size = _parse_size(os.environ.get(CACHE_SIZE, "").strip())
    if place.lower() in _OFF or not size:
        return None
    return _at(Path(place).expanduser() if place else _user_folder() / "annobridge" / "media", size)


@functools.lru_cache(8)
def _at(folder: Path, size: int) -> MediaCache | None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        warnings.warn(_cannot_keep(folder, error), stacklevel=2)
        return None
    return MediaCache(folder, size)


def _cannot_keep(folder: Path, error: OSError) -> str:
    why = f"Files read by URI are not kept in {str(folder)!r} ({error.strerror})"
    return f"{why}; make room there, or name another folder in {CACHE}, or 'off'."


class MediaCache:
    """Files in a folder, of ``size`` bytes at most."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder, self._size = folder, size
        self._unmeasured = size  # bytes that were added since the folder was measured; at first it was never
        self._told = False  # that the folder cannot be written to

    def open(self, uri: str, remote: RemoteFile) -> BinaryIO:
        """The bytes of a remote file, from the cache if it has them as they are there now. Raises ``OSError``.

        Where the folder cannot be written to, as on a full disk, the bytes are not kept; that is told once.
        """
        try:
            return self._open(uri, remote)
        except OSError as error:
            if error.errno is None:  # an answer of the server, and not of this machine
                raise
            if not self._told:
                self._told = True
                warnings.warn(_cannot_keep(self._folder, error), stacklevel=2)
        return _temporary(remote)

    def _open(self, uri: str, remote: RemoteFile) -> BinaryIO:
        path = self._folder / f"{_key(uri)}.json"
        entry = _read_entry(path)
        with _part(self._folder) as part, ExitStack() as on_error:
            if entry is not None:
                on_error.enter_context(entry.stream)
            with part.open("wb") as into:
                state = remote.download(into, entry.state if entry is not None else None)
            if state is not None:
                return self._keep(path, part, state, entry)
            if entry is None:
                raise OSError("the server says that a file has not changed that was not read before")
            with suppress(OSError):
                os.utime(path)
            on_error.pop_all()
            return entry.stream

    def _keep(self, path: Path, part: Path, state: FileState, old: _Entry | None) -> BinaryIO:
        """Make a downloaded file part of the cache, if it can be compared later and is not larger than all of it; opens it."""
        size = part.stat().st_size
        if not state.can_be_compared or size > self._size:
            return _open_unnamed(part)
        version = blake2b(json.dumps([state.etag, state.modified, size]).encode(), digest_size=8).hexdigest()
        data = path.with_suffix(f".{version}.data")
        with ExitStack() as on_error:
            opened = on_error.enter_context(_rename_and_open(part, data))
            part.write_text(
                json.dumps({"etag": state.etag, "modified": state.modified, "size": size, "data": data.name})
            )
            os.replace(part, path)
            on_error.pop_all()
        if old is not None and old.data != data.name:
            with suppress(OSError):
                (self._folder / old.data).unlink()
        self._unmeasured += size
        if self._unmeasured > self._size * (1 - _KEPT) / 2:
            self.shrink()
        return opened

    def shrink(self) -> None:
        """Remove the files that were not used for longest, until the rest takes less than the size."""
        with suppress(Timeout, NotImplementedError, OSError), FileLock(self._folder / ".lock", timeout=0):
            self._unmeasured = 0
            data, entries = self._listed()
            total = sum(size for size, _ in data.values())
            if total <= self._size:
                return
            used = {name.partition(".")[0]: when for name, when in entries.items()}
            for name in sorted(data, key=lambda name: used.get(name.partition(".")[0], 0.0)):
                if total <= self._size * _KEPT:
                    break
                with suppress(OSError):
                    (self._folder / f"{name.partition('.')[0]}.json").unlink(missing_ok=True)
                    (self._folder / name).unlink(missing_ok=True)
                    total -= data[name][0]

    def _listed(self) -> tuple[dict[str, tuple[int, float]], dict[str, float]]:
        """Size and time of files of bytes, and the time of the last use of entries. Removes what killed processes left."""
        data, entries = {}, {}
        with os.scandir(self._folder) as files:
            for file in files:
                with suppress(OSError):
                    about = file.stat()
                    if file.name.endswith(".data"):
                        data[file.name] = about.st_size, about.st_mtime
                    elif file.name.endswith(".json"):
                        entries[file.name] = about.st_mtime
                    elif file.name.endswith(".part") and about.st_mtime < time.time() - _STALE:
                        os.unlink(file.path)
        return data, entries


class _Entry(NamedTuple):
    state: FileState
    data: str  # the name of the file with the bytes
    stream: BinaryIO


def _read_entry(path: Path) -> _Entry | None:
    """An entry with its bytes, opened; ``None`` if there is none, or its bytes are gone or cut off."""
    try:
        about: dict[str, Any] = json.loads(path.read_bytes())
        name = Path(about["data"]).name
        entry = _Entry(
            FileState(about["size"], about["etag"], about["modified"]), name, (path.parent / name).open("rb")
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if os.fstat(entry.stream.fileno()).st_size != entry.state.size:
        entry.stream.close()
        return None
    return entry


@contextmanager
def _part(folder: Path) -> Iterator[Path]:
    """A new file to write into, which is gone after the block unless it was renamed."""
    handle, name = tempfile.mkstemp(".part", dir=folder)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        with suppress(OSError):
            os.unlink(name)


def _rename_and_open(part: Path, data: Path) -> BinaryIO:
    """Rename a file, and open it. It may be removed at any time by a process that makes room."""
    if os.name != "nt":
        with ExitStack() as on_error:
            opened = on_error.enter_context(part.open("rb"))
            os.replace(part, data)
            on_error.pop_all()
        return opened
    with suppress(PermissionError):  # another process has the same file open
        os.replace(part, data)
    return data.open("rb")


def _open_unnamed(part: Path) -> BinaryIO:
    """The bytes of a file whose name is about to be removed."""
    if os.name != "nt":
        return part.open("rb")
    file: Any = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - Windows removes no open file
    with part.open("rb") as stream:
        shutil.copyfileobj(stream, file)
    file.seek(0)
    return file  # type: ignore[no-any-return]


def _temporary(remote: RemoteFile) -> BinaryIO:
    """The bytes of a file that is not kept; a large one is on disk until it is closed."""
    file: Any = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - the caller closes it
    try:
        remote.download(file)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file  # type: ignore[no-any-return]


def _key(uri: str) -> str:
    """A name for a URI that is the same however it is signed.

    >>> signed = "https://host/a.png?page=2&X-Amz-Expires=60&X-Amz-Signature="
    >>> _key(f"{signed}one") == _key(f"{signed}two") == _key("https://host/a.png?page=2")
    True
    """
    parts = urlsplit(uri)
    query = parse_qsl(parts.query, keep_blank_values=True)
    names = {name.lower() for name, _ in query}
    for telling, changing in _SIGNED:
        if telling <= names:
            rest = urlencode([(name, value) for name, value in query if not changing.fullmatch(name.lower())])
            uri = urlunsplit((parts.scheme, parts.netloc, parts.path, rest, ""))
            break
    return blake2b(uri.encode("utf-8", "surrogateescape"), digest_size=20).hexdigest()


def _parse_size(text: str) -> int:
    """A size as ``20GB``, in bytes; the default for an empty text.

    >>> _parse_size("20 GB"), _parse_size("0")
    (21474836480, 0)
    """
    if not text:
        return _DEFAULT_SIZE
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", text.upper())
    if match is None:
        raise InvalidOption(
            f"{CACHE_SIZE}={text!r} (environment) is not a size; give one, as 20GB, or 0 to keep nothing."
        )
    return int(float(match[1]) * 2 ** _UNITS[match[2]])


def _user_folder() -> Path:
    """Where programs of this user keep what can be had again."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
