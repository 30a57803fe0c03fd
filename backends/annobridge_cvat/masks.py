"""Masks: COCO's RLE, column by column over the whole image <-> CVAT's, row by row within a box whose edges are inclusive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from annobridge.core.geometry import Mask, Rle, decode_rle, encode_rle


def encode(rle: Mapping[str, Any]) -> list[float]:
    """The lengths of the runs, zeros first, and the box ``left, top, right, bottom``; nothing for an empty mask."""
    pixels = decode_rle(rle)
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not rows.size:
        return []
    top, bottom, left, right = rows[0], rows[-1], columns[0], columns[-1]
    flat = pixels[top : bottom + 1, left : right + 1].ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    first = [0, 0] if flat[0] else [0]
    runs = np.diff(np.concatenate([first, edges, [flat.size]]))
    return [*map(float, runs), float(left), float(top), float(right), float(bottom)]


def pixels(points: Sequence[float], size: Sequence[int]) -> Mask:
    """Decode CVAT's numbers to the pixels of an image of ``(width, height)``. Pixels outside of the image, and runs beyond the end
    of the box, are cut off.
    """
    width, height = int(size[0]), int(size[1])
    left, top, right, bottom = (round(p) for p in points[-4:])
    full = np.zeros((height, width), bool)
    box = max(right - left + 1, 0), max(bottom - top + 1, 0)
    runs = np.maximum(np.rint(np.asarray(points[:-4], np.float64)), 0).astype(np.int64)
    flat = np.repeat(np.arange(runs.size) % 2 == 1, runs)[: box[0] * box[1]]
    inside = np.zeros(box[0] * box[1], bool)
    inside[: flat.size] = flat
    part = inside.reshape(box[1], box[0])[max(-top, 0) : max(height - top, 0), max(-left, 0) : max(width - left, 0)]
    y, x = max(top, 0), max(left, 0)
    full[y : y + part.shape[0], x : x + part.shape[1]] = part
    return full


def union(masks: Sequence[Mask]) -> Rle:
    """The RLE of the union of masks."""
    return encode_rle(np.logical_or.reduce(masks))
