"""Upload sessions, which are folders on the server's disk, and the removal of those that were interrupted.

Pixano keeps the files of an upload that was not imported until it starts a day later or more. It does not list them; but if its
disk is on this machine, they can be found: each has a ``dataset.yaml`` that names its dataset.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from annobridge.exceptions import BackendError

from .api import Api

SPEC = "dataset.yaml"
FOLDER = Path(".pixano", "uploads")  # in the folder that a server was started on


@dataclass(frozen=True, slots=True)
class Disk:
    """The server's folders, if they are on this machine."""

    library: Path
    uploads: Path

    @classmethod
    def of(cls, source: str) -> Disk | None:
        """The folders of a server, from the folder of an open session. That has a random name, so if it is here, the server is."""
        folder = Path(source)
        here = folder.is_absolute() and folder.is_dir() and folder.parent.name == "uploads"
        library = folder.parent.parent.parent / "library"
        return cls(library, folder.parent) if here and library.is_dir() else None


@contextmanager
def session(api: Api) -> Iterator[tuple[str, str]]:
    """An upload session: its id, and its folder on the server. It is removed if the block raises an exception."""
    upload, source = api.open_upload()
    try:
        yield upload, source
    except BaseException:
        discard(api, upload)
        raise


def discard(api: Api, upload: str) -> None:
    """Remove a session; an error of the server is ignored."""
    with suppress(BackendError):
        api.close_upload(upload)


def find_disk(api: Api) -> Disk | None:
    """The server's folders, if they are on this machine."""
    with session(api) as (upload, source):
        disk = Disk.of(source)
    discard(api, upload)
    return disk


def discard_interrupted(api: Api, disk: Disk, name: str) -> None:
    """Remove the sessions of earlier uploads of the dataset of this name."""
    for folder in session_folders(disk.uploads):
        if _dataset_name(folder) == name:
            discard(api, folder.name)


def session_folders(uploads: Path) -> list[Path]:
    """The folders of all sessions."""
    return sorted(folder for folder in uploads.iterdir() if folder.is_dir()) if uploads.is_dir() else []


def _dataset_name(folder: Path) -> str | None:
    """The name in ``dataset.yaml``, which annobridge writes as JSON; ``None`` for a file that somebody else wrote."""
    try:
        spec = json.loads((folder / SPEC).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    dataset = spec.get("dataset") if isinstance(spec, dict) else None
    return dataset.get("name") if isinstance(dataset, dict) else None
