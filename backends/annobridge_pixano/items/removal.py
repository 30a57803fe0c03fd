"""Removing a dataset from a server that has no call for it: its rows over REST, then its folders, where they are here."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import suppress
from pathlib import Path

from annobridge.exceptions import Broken, Gone

from .api import NAMED, ItemsApi

# What refers to others goes first: nothing cascades, and a row that refers to nothing is shown as an error.
_TABLES = ("messages", "keypoints", "masks", "bboxes", "conversations", "objects", "image", "item")


def empty(api: ItemsApi, dataset: str) -> None:
    """Delete all rows that a person could see."""
    for table in _TABLES:
        with suppress(Gone):  # not every dataset has all of them
            _empty(api, dataset, table)


def _empty(api: ItemsApi, dataset: str, table: str) -> None:
    gone: set[str] = set()
    while rows := api.head(dataset, table, NAMED):
        ids = {r["id"] for r in rows}
        if ids & gone:
            raise Broken(f"pixano: the server keeps rows of {table} that were deleted; see its log, and try again.")
        api.remove(dataset, table, ids)
        gone |= ids


def clear(library: Path, media: Path, name: str) -> None:
    """Remove the folders of a dataset of ours, and nothing that only has its name."""
    if not re.fullmatch(r"[a-z0-9_]+", name):
        return
    info = library / name / "info.json"
    with suppress(OSError, ValueError):
        if json.loads(info.read_text("utf-8")).get("name") != name:
            return
    for home in (library / name, media / name):
        if home.is_dir() and not home.is_symlink():
            shutil.rmtree(home, ignore_errors=True)
