"""Annotation rows as ``decode`` takes them: relative to the image, of the one sample they belong to, none that is corrupt."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annobridge.core import geometry
from annobridge.exceptions import InvalidSource

from ..arrays import Bools, bools, lengths, one, setting

Sizes = np.ndarray  # width and height of the image of each row


def relative_boxes(rows: pa.Table, sizes: Sizes) -> pa.Table:
    """Boxes in pixels made relative; both forms may stand in one table, and each row says which it has."""
    pixels = ~bools(rows["is_normalized"])
    if not pixels.any():
        return rows
    _require_sizes(rows, sizes, pixels)
    flat = pc.list_flatten(one(rows["coords"])).to_numpy(zero_copy_only=False).reshape(-1, 4).copy()
    flat[pixels] /= np.tile(sizes[pixels], 2)
    coords = pa.ListArray.from_arrays(pa.array(np.arange(len(rows) + 1, dtype=np.int32) * 4), pa.array(flat.ravel()))
    return setting(rows, coords=coords, is_normalized=True)


def relative_points(rows: pa.Table, sizes: Sizes) -> pa.Table:
    """Points in pixels made relative."""
    _require_sizes(rows, sizes, np.ones(len(rows), bool))
    coords = one(rows["coords"])
    flat = pc.list_flatten(coords).to_numpy(zero_copy_only=False).reshape(-1, 2)
    flat = flat / np.repeat(sizes, lengths(coords) // 2, axis=0)
    offsets = np.concatenate([[0], np.cumsum(lengths(coords))]).astype(np.int32)
    return setting(rows, coords=pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat.ravel())))


def corrupt(masks: pa.Table) -> Bools:
    """Which masks cannot be read."""
    pairs = zip(masks["size"].to_pylist(), masks["counts"].to_pylist(), strict=True)
    return np.array([geometry.check_rle({"size": s, "counts": c}) is not None for s, c in pairs], bool)


def _require_sizes(rows: pa.Table, sizes: Sizes, where: Bools) -> None:
    unknown = np.flatnonzero(where & (sizes <= 0).any(axis=1))
    if len(unknown):
        raise InvalidSource(
            f"The annotation {rows['id'][int(unknown[0])].as_py()!r} is in pixels, and the width and height of its image "
            "are not known; write them in the table of the images."
        )
