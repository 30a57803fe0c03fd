"""Size and content of media, recorded when they come into the dataset, so that they are known again at another place.

A fingerprint is a hash of the size and of four blocks of the file: the first, the last, and two between; of a file of up to 4 KiB,
it is a hash of all. It is read in some 15 µs. A change that keeps the size and touches none of the blocks is not seen.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import TypeVar

import pyarrow as pa

from .image_headers import OPEN
from .parallel import map_files
from .remote import is_uri, local_path

T = TypeVar("T")

_BLOCKS, _BLOCK = 4, 1024  # how many, and bytes
_WHOLE = _BLOCKS * _BLOCK  # bytes up to which all of a file is hashed
START = _WHOLE + 1  # bytes at the start of a file that ``of_open_file`` needs
_NOTHING = (None, None)


def of_file(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """The size of a file in bytes, and its fingerprint; ``None`` if it is no file, or cannot be read."""
    return from_start(path, of_open_file, OSError)  # of a folder, or a disk that fails


def from_start(
    path: str | os.PathLike[str],
    look: Callable[[int, int, bytes], T],
    errors: type[Exception] | tuple[type[Exception], ...],
) -> T | None:
    """What ``look`` finds in a file that is opened once; ``None`` if it is no file, cannot be read, or ``look`` raises ``errors``.

    Args:
        path: the file.
        look: is given the open file, its size, and its first ``START`` bytes.
        errors: what it may raise.
    """
    try:
        file = os.open(path, OPEN)  # a file object would cost as much as all the rest
    except (OSError, ValueError):  # ValueError: a null byte in the path
        return None
    try:
        about = os.fstat(file)
        return look(file, about.st_size, os.read(file, START)) if stat.S_ISREG(about.st_mode) else None
    except errors:
        return None
    finally:
        os.close(file)


def of_open_file(file: int, size: int, start: bytes) -> tuple[int, int]:
    """``of_file`` of a file that is open, given its size and its first ``START`` bytes. Raises ``OSError``."""
    data = start
    if len(start) <= _WHOLE:
        size = len(start)
    else:
        places = ((size - _BLOCK) * number // (_BLOCKS - 1) for number in range(1, _BLOCKS))
        data = b"".join((size.to_bytes(8), start[:_BLOCK], *(_read(file, place) for place in places)))
    return size, int.from_bytes(blake2b(data, digest_size=8).digest(), signed=True)


def _read(file: int, place: int) -> bytes:
    os.lseek(file, place, os.SEEK_SET)
    return os.read(file, _BLOCK)


def of_places(places: Sequence[str | None]) -> pa.Table:
    """``size`` and ``fingerprint`` of each file; null for what is no file here, as a URI."""
    found = map_files(_of_place, places)
    sizes, contents = zip(*found, strict=True) if found else ((), ())
    return pa.table({"size": pa.array(sizes, pa.int64()), "fingerprint": pa.array(contents, pa.int64())})


def _of_place(place: str | None) -> tuple[int, int] | tuple[None, None]:
    if place is None:
        return _NOTHING
    path = local_path(place) if is_uri(place) else place
    return (of_file(path) if path is not None else None) or _NOTHING
