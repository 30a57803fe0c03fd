"""Masks: COCO's RLE, column by column over the whole image <-> CVAT's, row by row within a box whose edges are inclusive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from annobridge.core.geometry import Mask, Rle, encode_rle
from annobridge.formats.common.boxed_masks import crop, paste


def encode(rle: Mapping[str, Any]) -> list[float]:
    """The lengths of the runs, zeros first, and the box ``left, top, right, bottom``; nothing for an empty mask."""
    box, left, top = crop(rle)
    if not box.any():
        return []
    flat = box.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    first = [0, 0] if flat[0] else [0]
    runs = np.diff(np.concatenate([first, edges, [flat.size]]))
    corners = (left, top, left + box.shape[1] - 1, top + box.shape[0] - 1)
    return np.concatenate([runs, corners]).astype(float).tolist()  # type: ignore[no-any-return]


def decode(parts: Sequence[Sequence[float]], size: Sequence[int]) -> Rle:
    """The RLE of an image of ``(width, height)``, of the pixels that are in any of the masks, each as CVAT's numbers."""
    width, height = int(size[0]), int(size[1])
    if len(parts) == 1:
        return paste(*_box(parts[0]), (width, height))
    return encode_rle(np.logical_or.reduce([pixels(part, (width, height)) for part in parts]))


def pixels(points: Sequence[float], size: tuple[int, int]) -> Mask:
    """Decode CVAT's numbers to the pixels of an image of ``(width, height)``. Pixels outside of the image are cut off."""
    width, height = size
    box, left, top = _box(points)
    full = np.zeros((height, width), bool)
    part = box[max(-top, 0) : max(height - top, 0), max(-left, 0) : max(width - left, 0)]
    y, x = max(top, 0), max(left, 0)
    full[y : y + part.shape[0], x : x + part.shape[1]] = part
    return full


def _box(points: Sequence[float]) -> tuple[Mask, int, int]:
    """The pixels of the box of CVAT's numbers, and its left and top. Runs beyond the end of the box are cut off."""
    left, top, right, bottom = (round(p) for p in points[-4:])
    width, height = max(right - left + 1, 0), max(bottom - top + 1, 0)
    runs = np.maximum(np.rint(np.asarray(points[:-4], np.float64)), 0).astype(np.int64)
    flat = np.repeat(np.arange(runs.size) % 2 == 1, runs)[: width * height]
    inside = np.zeros(width * height, bool)
    inside[: flat.size] = flat
    return inside.reshape(height, width), left, top
