"""Paths as other systems write them: with backslashes, or in another form of Unicode."""

from __future__ import annotations

import os
import unicodedata
from pathlib import PurePosixPath

from ..core.media import without_secrets
from ..core.path_prefix import is_windows


def composed(name: str) -> str:
    """A name in composed Unicode (NFC). macOS decomposes accented characters, which look the same."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def with_slashes(path: str) -> str:
    """A path with slashes: those of Windows have backslashes. Every name in a source goes through here."""
    return path.replace("\\", "/")


def plain_path(place: str) -> str:
    """A path or URI for names of an export: with slashes, without parts that are dots, and without what signs a URI.

    >>> plain_path("a/./b.png"), plain_path("https://me:word@host/b.png?sig=x")
    ('a/b.png', 'https:/host/b.png')
    """
    path = with_slashes(without_secrets(place))
    return str(PurePosixPath(path)) if "//" in path or "./" in path else path  # making a path object costs most here


def without_drive(path: str) -> str | None:
    r"""The parts of an absolute path of Windows, with slashes; ``None`` for other paths.

    >>> without_drive("C:\\photos\\cam\\0.png"), without_drive("\\\\nas\\photos\\0.png"), without_drive("photos/0.png")
    ('photos/cam/0.png', 'nas/photos/0.png', None)
    """
    return with_slashes(path)[2:].lstrip("/") if is_windows(path) else None


def in_folder(folder: str, path: str) -> str | None:
    r"""The file in a folder that an absolute path of Windows ends with, by the longest such end; ``None`` if there is none.

    ``C:\Users\x\data\0.png`` is ``FOLDER/data/0.png``, or else ``FOLDER/0.png``.
    """
    inner = without_drive(path)
    while inner and ".." not in inner.split("/"):
        found = on_disk(f"{folder}/{inner}")
        if os.path.isfile(found):
            return found
        inner = inner.partition("/")[2]
    return None


def on_disk(path: str) -> str:
    """The path of an existing file that differs in backslashes or the form of Unicode only; else the path as it is given."""
    if os.path.exists(path):
        return path
    plain = with_slashes(path)
    if os.path.exists(plain):
        return plain
    found = ""
    for part in plain.split("/"):
        step = f"{found}/{part}" if found or plain.startswith("/") else part
        if part and not os.path.exists(step):
            equal = [name for name in _listed(found or "/") if composed(name) == composed(part)]
            if len(equal) != 1:
                return path
            step = f"{found}/{equal[0]}"
        found = step if part else found
    return found


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
