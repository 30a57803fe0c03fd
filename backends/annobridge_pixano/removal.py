"""Removing a dataset from a server that has no call for it.

The dataset is overwritten by an empty one (a record and a pixel): its images and labels are gone, and nobody can open
it by its old id. Where the server's library is on this disk, the folder that is left is removed as well. Otherwise it
stays, marked as removed, and the next upload of that name takes its place.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
from contextlib import suppress
from pathlib import Path

from annobridge.exceptions import BackendError

from .api import Api

REMOVED = "Removed by annobridge: this folder may be deleted"
_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


def remove(api: Api, name: str, deadline: float) -> None:
    """Remove the dataset of this name and all that it holds."""
    upload, source = api.open_upload()
    library = _library(source)
    try:
        spec = {
            "dataset": {"name": name, "description": REMOVED, "workspace": "image"},
            "format": "pixano_jsonl",
            "mode": "overwrite",
            "schema": {"views": {"image": "image"}},
        }
        api.put_file(upload, "dataset.yaml", json.dumps(spec).encode())
        api.put_file(upload, "train/0.png", _PIXEL)
        api.put_file(upload, "train/metadata.jsonl", b'{"id":"removed","views":{"image":"0.png"}}\n')
        api.finish(api.start(api.analyze(source)), deadline)
    except BackendError:
        with suppress(BackendError):
            api.close_upload(upload)
        raise
    if library:
        _clear(library, name)


def _library(source: str) -> Path | None:
    """The server's library, if it is on this disk: the session's folder, which has a random name, is the proof."""
    folder = Path(source)
    here = folder.is_absolute() and folder.is_dir() and folder.parent.name == "uploads"
    library = folder.parent.parent.parent / "library"
    return library if here and library.is_dir() else None


def _clear(library: Path, name: str) -> None:
    """Remove the folder, if it is just what we left there."""
    folder = library / name
    if not re.fullmatch(r"[a-z0-9_]+", name) or folder.is_symlink() or not (folder / "info.json").is_file():
        return
    info = json.loads((folder / "info.json").read_text("utf-8"))
    if info.get("name") == name and info.get("description") == REMOVED:
        shutil.rmtree(folder, ignore_errors=True)
        (library / f".{name}.pixano-write.lock").unlink(missing_ok=True)
