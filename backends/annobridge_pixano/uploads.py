"""Upload sessions: Pixano's folders of files on their way; and those that were cut off, where its disk is this machine's.

Pixano keeps the files of an upload that no import followed, until it is started a day later. It has no list of them; but
each of ours begins with a ``dataset.yaml`` that names its dataset.
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
    """The server's folders, where they are on this machine."""

    library: Path
    uploads: Path

    @classmethod
    def of(cls, source: str) -> Disk | None:
        """From the folder of an open session: it has a random name, so that its being here is the proof."""
        folder = Path(source)
        here = folder.is_absolute() and folder.is_dir() and folder.parent.name == "uploads"
        library = folder.parent.parent.parent / "library"
        return cls(library, folder.parent) if here and library.is_dir() else None


@contextmanager
def session(api: Api) -> Iterator[tuple[str, str]]:
    """An upload session: its id, and its folder on the server. What fails in it is removed."""
    upload, source = api.open_upload()
    try:
        yield upload, source
    except BaseException:
        discard(api, upload)
        raise


def discard(api: Api, upload: str) -> None:
    """Remove a session that came to nothing."""
    with suppress(BackendError):
        api.close_upload(upload)


def find_disk(api: Api) -> Disk | None:
    """The server's folders, if they are on this machine."""
    with session(api) as (upload, source):
        disk = Disk.of(source)
    discard(api, upload)
    return disk


def discard_cut_off(api: Api, disk: Disk, name: str) -> None:
    """Remove the sessions of earlier attempts to send the dataset of this name."""
    for folder in left(disk.uploads):
        if _name(folder) == name:
            discard(api, folder.name)


def left(uploads: Path) -> list[Path]:
    """The folders of all sessions."""
    return sorted(folder for folder in uploads.iterdir() if folder.is_dir()) if uploads.is_dir() else []


def _name(folder: Path) -> str | None:
    """The name of the dataset that a session is of; JSON is how we write it."""
    try:
        spec = json.loads((folder / SPEC).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    dataset = spec.get("dataset") if isinstance(spec, dict) else None
    return dataset.get("name") if isinstance(dataset, dict) else None
