"""Building: a dataset is made beside the place where it will lie, and moved there once it is whole."""

from __future__ import annotations

import errno
import glob
import os
import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..exceptions import DatasetExists, StoreError
from .tables import Database


@contextmanager
def staged_database(uri: str, storage_options: dict[str, str] | None, replace: bool) -> Iterator[Database]:
    """A new database for the length of the block, and at its place afterwards; an error leaves nothing of it.

    ``replace`` puts it in the place of the dataset that is there. Object stores cannot move a folder: there the tables are
    made in place, what an interrupted import left is used again, and nothing is replaced. Raises ``DatasetExists``.
    """
    if "://" in uri:
        if replace:
            raise StoreError(f"A dataset can be overwritten on a local disk only; delete {uri!r}, and import again.")
        yield Database.create_or_continue(uri, storage_options)
        return
    place = Path(uri).resolve()  # of a link, what it leads to
    restore_replaced(place)
    _check(place, replace)
    place.parent.mkdir(parents=True, exist_ok=True)
    _clear(place)
    draft = _new_beside(place, "importing")
    try:
        yield Database.create(str(draft), storage_options)
        _move(draft, place, replace)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def restore_replaced(place: Path) -> None:
    """Bring back the dataset that was to be replaced, if a process ended between the two moves."""
    if (aside := find_replaced(place)) is not None:
        aside.rename(place)


def find_replaced(place: Path) -> Path | None:
    """The dataset that was to be replaced, where nothing has come into its place."""
    return None if place.exists() else next(iter(sorted(_beside(place, "replaced"))), None)


def _check(place: Path, replace: bool) -> None:
    if not place.exists():
        return
    names = sorted(p.name for p in place.iterdir()) if place.is_dir() else [place.name]
    if not replace:
        if names:
            raise DatasetExists(
                f"There is something at {str(place)!r} already; choose another place, or give mode='add' or mode='overwrite'."
            )
        return
    ours = {f"{name}.lance" for name in Database.open(str(place)).own}  # whatever is not a dataset is not replaced
    if others := [n for n in names if n not in ours and not n.startswith(".")]:
        raise StoreError(
            f"The folder {str(place)!r} holds {others[0]!r} beside the dataset, which overwriting would delete; "
            "move it away, or import into another place."
        )


def _move(draft: Path, place: Path, replace: bool) -> None:
    old = _new_beside(place, "replaced")
    if replace and place.exists():
        place.rename(old)
    try:
        draft.rename(place)  # also onto an empty folder
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise DatasetExists(
            f"Something came to be at {str(place)!r} while this import ran; it stays, and nothing was imported."
        ) from None
    shutil.rmtree(old, ignore_errors=True)


def _new_beside(place: Path, what: str) -> Path:
    owner = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    return place.parent / f".{place.name}.{what}-{owner}"


def _beside(place: Path, what: str, host: str = "*") -> Iterator[Path]:
    return place.parent.glob(f".{glob.escape(place.name)}.{what}-{host}-*-*")


def _clear(place: Path) -> None:
    """Remove what processes of this machine left here that ended in the middle."""
    for left in _beside(place, "*", glob.escape(socket.gethostname())):
        try:
            os.kill(int(left.name.split("-")[-2]), 0)
        except ProcessLookupError:
            shutil.rmtree(left, ignore_errors=True)
        except (PermissionError, ValueError):
            continue
