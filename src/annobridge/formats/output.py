"""Where an export is written: a new folder, or a zip of it, which appears when it is complete."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..core.media import IMAGES, PICTURES
from ..exceptions import StoreError
from ..store.errors import is_disk_full

_DATE = (1980, 1, 1, 0, 0, 0)  # of all files in a zip, so that equal exports are equal files


@contextmanager
def new_output(target: Path) -> Iterator[Path]:
    """An empty folder to write into, which becomes ``target``, or the content of the zip ``target``, at the end.

    After an error, nothing is left. Raises ``StoreError`` if there is something at ``target``, or the disk is full.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StoreError(f"There is something at {str(target)!r} already; give a new folder or zip.")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))  # on the disk of the target
    draft = temporary / target.name.removesuffix(".zip")  # writers may use the name of the folder
    draft.mkdir()
    try:
        yield draft
        if target.suffix.lower() == ".zip":
            _zip(draft, temporary / "zip")
            (temporary / "zip").rename(target)
        else:
            draft.rename(target)
    except Exception as error:
        if is_disk_full(error):
            raise StoreError("The disk is full, so nothing was exported; make room, and repeat.") from error
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _zip(folder: Path, target: Path) -> None:
    stored = IMAGES | PICTURES
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for root, folders, names in os.walk(folder):
            folders.sort()
            for name in sorted(names):
                path = Path(root) / name
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _DATE)
                entry.compress_type = zipfile.ZIP_STORED if path.suffix.lower() in stored else zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                entry.file_size = path.stat().st_size  # tells whether it needs the fields of large files
                with path.open("rb") as source, archive.open(entry, "w") as copy:
                    shutil.copyfileobj(source, copy, 1 << 20)
