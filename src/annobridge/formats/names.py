"""Paths as other systems write them: with backslashes, or in another form of Unicode."""

from __future__ import annotations

import os
import unicodedata


def composed(name: str) -> str:
    """A name in composed Unicode (NFC). macOS decomposes accented characters, which look the same."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def on_disk(path: str) -> str:
    """The path of an existing file that differs in backslashes or the form of Unicode only; else the path as it is given."""
    if os.path.exists(path):
        return path
    plain = path.replace("\\", "/")
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
