"""Image files that are opened once, for all that an import needs to know of them: size as displayed, bytes and fingerprint."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from . import fingerprints, image_headers
from .parallel import map_files

_Look = tuple[int, int, int, int]  # width, height, bytes, fingerprint


def look_at(paths: Sequence[str]) -> tuple[npt.NDArray[np.int32], pa.Table]:
    """``[width, height]`` of each image, as displayed; and ``size`` (bytes) and ``fingerprint`` of its file.

    Files that are missing or not images have a width and a height of 0, and null.
    """
    found = map_files(_look, paths)
    rows = np.array([look or (0, 0, 0, 0) for look in found], np.int64).reshape(-1, 4)
    unknown = rows[:, 0] == 0
    files = {name: pa.array(rows[:, at], mask=unknown) for at, name in ((2, "size"), (3, "fingerprint"))}
    return rows[:, :2].astype(np.int32), pa.table(files)


def _look(path: str) -> _Look | None:
    def found(file: int, size: int, start: bytes) -> _Look:
        header = image_headers.header_of(path, file, start)
        return *header.shown, *fingerprints.of_open_file(file, size, start)

    return fingerprints.from_start(path, found, image_headers.IMAGE_ERRORS)
