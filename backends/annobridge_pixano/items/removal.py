"""Remove a dataset. The server has no call for it: so its rows over REST, then its folders if they are on this machine."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import suppress
from pathlib import Path

from annobridge.exceptions import Broken, Gone

from .api import IDS_IN_URL, ItemsApi

# Rows that refer to others first: deletions do not cascade, and a dangling reference is shown as an error.
_TABLES = ("messages", "keypoints", "masks", "bboxes", "conversations", "objects", "image", "item")


def remove_rows(api: ItemsApi, dataset: str) -> None:
    """Delete all rows that a person could see."""
    for table in _TABLES:
        with suppress(Gone):  # not every dataset has all of them
            _remove_rows_of(api, dataset, table)


def _remove_rows_of(api: ItemsApi, dataset: str, table: str) -> None:
    removed: set[str] = set()
    while rows := api.head(dataset, table, IDS_IN_URL):
        ids = {r["id"] for r in rows}
        if ids & removed:
            raise Broken(f"pixano: the server keeps rows of {table} that were deleted; see its log, and try again.")
        api.remove(dataset, table, ids)
        removed |= ids


def remove_folders(library: Path, media: Path, name: str) -> None:
    """Remove the folders of a dataset; of none that has another name in its ``info.json``."""
    if not re.fullmatch(r"[a-z0-9_]+", name):
        return
    info = library / name / "info.json"
    with suppress(OSError, ValueError):
        if json.loads(info.read_text("utf-8")).get("name") != name:
            return
    for folder in (library / name, media / name):
        if folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)
