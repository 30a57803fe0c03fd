"""Image files that are opened once, for size, bytes and fingerprint; by several processes where there are many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...store import image_files
from ..base import Calls

_AT_ONCE = 2_000  # files of a call

Looked = tuple[npt.NDArray[np.int32], pa.Table]


def look_at(paths: Sequence[str], calls: Calls) -> Looked:
    """What ``image_files.look_at`` finds. Files that a worker of a cluster could not read are looked at here once more."""
    blocks = [paths[at : at + _AT_ONCE] for at in range(0, len(paths), _AT_ONCE)] or [[]]
    found = list(calls.results(_look_at, None, blocks, len(blocks)))
    sizes, files = np.concatenate([sizes for sizes, _ in found]), pa.concat_tables([files for _, files in found])
    unread = np.flatnonzero(sizes[:, 0] == 0)
    if not len(unread):
        return sizes, files
    sizes[unread], again = image_files.look_at([paths[at] for at in unread.tolist()])
    rows = np.arange(len(paths))
    rows[unread] = len(paths) + np.arange(len(unread))
    return sizes, pa.concat_tables([files, again]).take(pa.array(rows))


def _look_at(_: None, paths: Sequence[str]) -> Looked:
    return image_files.look_at(paths)
