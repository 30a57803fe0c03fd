"""New datasets are built in a folder beside their final place, and moved there when they are complete.

The folders of an import to ``/data/ds`` are ``/data/.ds.importing-ID``, and ``/data/.ds.replaced-ID`` for the dataset that it
overwrites. A file ``/data/.ds.import-ID.lock`` is locked for as long as the import runs. The system releases the lock of a
process that ends, however it ends, and so the next import knows which folders to remove.
"""

from __future__ import annotations

import errno
import glob
import os
import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ..exceptions import DatasetExists, StoreError
from .snapshots import Snapshots
from .staged_files import STAGING
from .tables import Database


@contextmanager
def staged_database(uri: str, storage_options: dict[str, str] | None, replace: bool) -> Iterator[Database]:
    """A new database to fill in the block, which is moved to ``uri`` at its end; an error leaves nothing of it.

    Object stores cannot rename a folder. There the tables are created in place, what an interrupted import left is used
    again, and ``replace`` is refused.

    Args:
        uri: where the dataset is to be.
        storage_options: options of the object store.
        replace: replace the dataset that is there; ``StoreError`` is raised if it has snapshots. Otherwise ``DatasetExists`` is
            raised for it.
    """
    if "://" in uri:
        if replace:
            raise StoreError(f"A dataset can be overwritten on a local disk only; delete {uri!r}, and import again.")
        yield Database.create_or_continue(uri, storage_options)
        return
    place = Path(uri).resolve()  # the target of a link
    restore_replaced(place)
    _require_free(place, replace)
    place.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(place)
    with _import_id(place) as import_id:
        draft = _beside(place, f"importing-{import_id}")
        try:
            database = Database.create(str(draft), storage_options)
            database.place = str(place)
            yield database
            _move(draft, place, _beside(place, f"replaced-{import_id}"), replace)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise


def restore_replaced(place: Path) -> None:
    """Move back the dataset that was to be replaced, if a process ended between the two moves of ``_move``."""
    if (aside := find_replaced(place)) is not None:
        aside.rename(place)


def find_replaced(place: Path) -> Path | None:
    """The dataset that was moved away to be replaced, if nothing has taken its place."""
    if place.exists():
        return None
    return min(place.parent.glob(f".{glob.escape(place.name)}.replaced-*-*-*"), default=None)


def _require_free(place: Path, replace: bool) -> None:
    if not place.exists():
        return
    names = sorted(p.name for p in place.iterdir()) if place.is_dir() else [place.name]
    if not replace:
        if names:
            raise DatasetExists(
                f"There is something at {str(place)!r} already; choose another place, or give mode='add' or mode='overwrite'."
            )
        return
    database = Database.open(str(place))  # only a dataset may be replaced
    ours = {STAGING, *(f"{name}.lance" for name in database.own_tables)}
    if others := [n for n in names if n not in ours and not n.startswith(".")]:
        raise StoreError(
            f"The folder {str(place)!r} holds {others[0]!r} beside the dataset, which overwriting would delete; "
            "move it away, or import into another place."
        )
    _require_no_snapshot(database)


def _require_no_snapshot(database: Database) -> None:
    if names := Snapshots(database).names():
        raise StoreError(
            f"The dataset {database.uri!r} has snapshots, which overwriting would delete: {', '.join(map(repr, names))}. Delete "
            f"them with delete_snapshot({names[0]!r}), or import into another place."
        )


def _move(draft: Path, place: Path, old: Path, replace: bool) -> None:
    # A process that ends after the first rename leaves no dataset at ``place``: ``restore_replaced`` moves the old one back.
    # After the second, the new dataset is there, and ``_remove_abandoned`` deletes the old one.
    if replace and place.exists():
        _require_no_snapshot(Database.open(str(place)))  # again, as the import may have taken long
        place.rename(old)
    try:
        draft.rename(place)  # an empty folder may be there
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise DatasetExists(
            f"Something came to be at {str(place)!r} while this import ran; it stays, and nothing was imported."
        ) from None
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _import_id(place: Path) -> Iterator[str]:
    """An id for the folders of an import, whose lock file is locked during the block."""
    while True:
        import_id = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        path = _beside(place, f"import-{import_id}.lock")
        lock = FileLock(path, thread_local=False)
        with suppress(NotImplementedError):  # the file system has no locks: what a killed import leaves there stays
            lock.acquire()
        # Between its creation and its locking, another process may have taken the file for abandoned, and removed it.
        if path.exists() or not lock.is_locked:
            break
        lock.release()
    try:
        yield import_id
    finally:
        _release(lock, path)


def _remove_abandoned(place: Path) -> None:
    """Remove what imports of this machine left beside ``place`` whose process has ended."""
    prefix = f".{glob.escape(place.name)}.import-"
    for path in place.parent.glob(f"{prefix}{glob.escape(socket.gethostname())}-*-*.lock"):
        lock = FileLock(path, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except (Timeout, NotImplementedError, OSError):  # it is running, or of another user
            continue
        import_id = path.name.removeprefix(f".{place.name}.import-").removesuffix(".lock")
        for folder in ("importing", "replaced"):
            shutil.rmtree(_beside(place, f"{folder}-{import_id}"), ignore_errors=True)
        _release(lock, path)


def _release(lock: FileLock, path: Path) -> None:
    # Removed while it is locked, so that no other process can lock it in between; Windows does not remove open files.
    with suppress(OSError):
        path.unlink(missing_ok=True)
    lock.release()
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _beside(place: Path, suffix: str) -> Path:
    return place.parent / f".{place.name}.{suffix}"
