"""Coordinates in pixels, which Pixano's tables may have, made relative to the image."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ....core.arrays import Bools, Ints, as_array, as_mask, list_array, list_lengths, set_columns
from ....exceptions import InvalidSource


def relative_boxes(rows: pa.Table, sizes: Ints) -> pa.Table:
    """Boxes with relative coordinates. A table may have both forms, and each row says which one is its.

    Args:
        rows: rows of ``bboxes``.
        sizes: width and height of each row's image, shape (rows, 2).
    """
    in_pixels = ~as_mask(rows["is_normalized"])
    if not in_pixels.any():
        return rows
    _require_sizes(rows, sizes, in_pixels)
    xywh = as_array(rows["coords"]).flatten().to_numpy(zero_copy_only=False).reshape(-1, 4).copy()
    xywh[in_pixels] /= np.tile(sizes[in_pixels], 2)
    coords = list_array(np.full(len(rows), 4), pa.array(xywh.ravel()))
    return set_columns(rows, coords=coords, is_normalized=True)


def relative_keypoints(rows: pa.Table, sizes: Ints) -> pa.Table:
    """Keypoints, all of which are in pixels, with relative coordinates; ``sizes`` as in ``relative_boxes``."""
    _require_sizes(rows, sizes, np.ones(len(rows), bool))
    coords = as_array(rows["coords"])
    xy = coords.flatten().to_numpy(zero_copy_only=False).reshape(-1, 2)
    xy = xy / np.repeat(sizes, list_lengths(coords) // 2, axis=0)
    return set_columns(rows, coords=list_array(list_lengths(coords), pa.array(xy.ravel())))


def _require_sizes(rows: pa.Table, sizes: Ints, where: Bools) -> None:
    unknown = np.flatnonzero(where & (sizes <= 0).any(axis=1))
    if len(unknown):
        raise InvalidSource(
            f"The annotation {rows['id'][int(unknown[0])].as_py()!r} is in pixels, and the width and height of its image "
            "are not known; write them in the table of the images."
        )
