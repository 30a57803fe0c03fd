"""Whether files came back from people: told by the size and the time of each, beside those that it was written with."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa

from annobridge.core.labels import REVIEWED, conform
from annobridge.exceptions import InvalidSource
from annobridge.formats.common.archive import Archive

HERE, ABSENT, WRITTEN = "in the file", "not in the file", "written"  # states of samples


def mark(place: Path) -> str:
    """A text that changes with the files of a folder, or with a zip. Where it is does not matter."""
    found = [(os.path.relpath(path, place), info.st_size, info.st_mtime_ns) for path, info in _files(place)]
    return blake2b(repr(found).encode(), digest_size=16).hexdigest()


def changed_at(place: Path) -> datetime:
    """When a file of a folder, or a zip, was changed last."""
    newest = max((info.st_mtime_ns for _, info in _files(place)), default=0)
    return datetime.fromtimestamp(newest // 10**9, UTC).replace(microsecond=newest % 10**9 // 1000)


def _files(place: Path) -> list[tuple[Path, os.stat_result]]:
    paths = [Path(root) / name for root, _, names in os.walk(place) for name in names] if place.is_dir() else [place]
    return [(path, path.lstat()) for path in sorted(paths)]


def is_as_written(place: Path, written: Path) -> bool:
    """Whether a place has each file of another folder, byte for byte. It may have images beside them."""
    try:
        with Archive(place) as archive:
            return all(
                (name := path.relative_to(written).as_posix()) in archive and archive.read(name) == path.read_bytes()
                for path, _ in _files(written)
            )
    except InvalidSource:
        return False


def reviewed(samples: pa.Array, is_there: pa.Array, time: datetime | None) -> pa.Table:
    """The progress of samples (``REVIEWED``): those that came back count as reviewed.

    Args:
        samples: their ids.
        is_there: whether each is in the files.
        time: when the files were changed; ``None`` for files that are as they were written.
    """
    ids = pa.table({"sample_id": samples})
    if time is None:
        return conform(ids, REVIEWED, reviewed=False, state=WRITTEN)
    states = pa.array([HERE if there else ABSENT for there in is_there.to_pylist()], pa.string())
    return conform(ids.append_column("state", states).append_column("reviewed", is_there), REVIEWED, time=time)
