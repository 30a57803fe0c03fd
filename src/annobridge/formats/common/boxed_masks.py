"""Masks that are known inside a box only, in rows as CVAT's XML has them, as COCO's RLE of the whole image, and back.

Only the columns of the box are looked at, so a small mask on a large image costs little.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.geometry import Rle, compress, runs

Bools = npt.NDArray[np.bool_]
_COUNTS = re.compile(r"\s*\d{1,10}(\s*,\s*\d{1,10})*\s*")


def paste(pixels: Bools, left: int, top: int, size: tuple[int, int]) -> Rle:
    """The RLE of an image of ``(width, height)`` whose pixels from ``(left, top)`` are these; what is outside is cut off.

    >>> paste(np.array([[True, False], [True, True]]), 1, 0, (3, 2))
    {'size': [2, 3], 'counts': b'221O'}
    """
    width, height = size
    pixels = pixels[max(-top, 0) : max(height - top, 0), max(-left, 0) : max(width - left, 0)]
    left, top = max(left, 0), max(top, 0)
    padded = np.zeros((pixels.shape[1], pixels.shape[0] + 2), bool)
    padded[:, 1:-1] = pixels.T
    columns, rows = np.nonzero(padded[:, 1:] != padded[:, :-1])
    edges = (left + columns) * height + top + rows  # a start, an end, a start, …
    goes_on = np.flatnonzero(edges[1:] == edges[:-1])  # a run, at the top of the next column
    if goes_on.size:
        edges = np.delete(edges, np.concatenate([goes_on, goes_on + 1]))
    places = np.concatenate([[0], edges, [width * height]])
    counts = np.diff(places)
    if counts[-1] == 0 and counts.size > 1:
        counts = counts[:-1]
    return {"size": [height, width], "counts": compress(counts)}


def from_rows(text: str, left: int, top: int, width: int, height: int, size: tuple[int, int]) -> Rle | str:
    """The RLE of CVAT's ``rle``: comma separated run lengths of a box's rows, zeros first. A text says what is wrong with it."""
    if width <= 0 or height <= 0:
        return "its mask has no area"
    if (
        width > size[0]
        or height > size[1]
        or left >= size[0]
        or top >= size[1]
        or left + width <= 0
        or top + height <= 0
    ):
        return "its mask is not inside its image"
    if not _COUNTS.fullmatch(text):
        return "its RLE is no list of run lengths"
    counts = np.array(text.split(","), np.int64)
    if counts.sum() != width * height:
        return "its RLE is not of the size of its box"
    pixels = np.repeat(np.arange(counts.size) % 2 == 1, counts).reshape(height, width)
    return paste(pixels, left, top, size)


def crop(mask: Mapping[str, Any]) -> tuple[Bools, int, int]:
    """The pixels of the box around a mask, and the box's left and top; of an empty mask, one pixel.

    >>> crop({"size": [2, 3], "counts": b"231"})[1:]
    (1, 0)
    """
    height = int(mask["size"][0])
    ends = np.cumsum(runs(mask))
    starts, stops = ends[:-1:2], ends[1::2]
    full = stops > starts
    starts, stops = starts[full], stops[full]
    if not starts.size:
        return np.zeros((1, 1), bool), 0, 0
    left, right = int(starts[0]) // height, int(stops[-1] - 1) // height
    flat = np.zeros((right - left + 1) * height + 1, np.int8)
    flat[starts - left * height] += 1
    flat[stops - left * height] -= 1
    columns = np.cumsum(flat[:-1]).astype(bool).reshape(-1, height)
    rows = np.flatnonzero(columns.any(axis=0))
    return columns[:, rows[0] : rows[-1] + 1].T, left, int(rows[0])


def to_rows(pixels: Bools) -> str:
    """CVAT's ``rle`` of the pixels of a box.

    >>> to_rows(np.array([[True, False], [True, True]]))
    '0, 1, 1, 2'
    """
    flat = pixels.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    first = [0, 0] if flat[0] else [0]
    return ", ".join(map(str, np.diff(np.concatenate([first, edges, [flat.size]])).tolist()))
