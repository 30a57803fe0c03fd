"""Remove a dataset from a server that has no call for it.

The dataset is overwritten by an empty one (a record and a pixel): its images and labels are gone, and its old id is unknown.
If the server's library is on this machine, the folder is removed as well. Otherwise it stays, with a description that says so,
and the next upload of that name replaces it.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
from pathlib import Path

from . import uploads
from .api import Api

REMOVED = "Removed by annobridge: this folder may be deleted"
_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


def remove(api: Api, name: str, deadline: float) -> None:
    """Remove the dataset of this name and all that it holds."""
    with uploads.session(api) as (upload, source):
        disk = uploads.Disk.of(source)
        spec = {
            "dataset": {"name": name, "description": REMOVED, "workspace": "image"},
            "format": "pixano_jsonl",
            "mode": "overwrite",
            "schema": {"views": {"image": "image"}},
        }
        api.put_file(upload, uploads.SPEC, json.dumps(spec).encode())
        api.put_file(upload, "train/0.png", _PIXEL)
        api.put_file(upload, "train/metadata.jsonl", b'{"id":"removed","views":{"image":"0.png"}}\n')
        api.finish(api.start(api.analyze(source)), deadline)
    if disk:
        _remove_folder(disk.library, name)


def _remove_folder(library: Path, name: str) -> None:
    """Remove the folder of a dataset if that is the empty one."""
    folder = library / name
    if not re.fullmatch(r"[a-z0-9_]+", name) or folder.is_symlink() or not (folder / "info.json").is_file():
        return
    info = json.loads((folder / "info.json").read_text("utf-8"))
    if info.get("name") == name and info.get("description") == REMOVED:
        shutil.rmtree(folder, ignore_errors=True)
        (library / f".{name}.pixano-write.lock").unlink(missing_ok=True)
