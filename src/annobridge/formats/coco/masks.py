"""COCO's run lengths, checked: what is taken counts exactly the pixels of its image."""

from __future__ import annotations

import numpy as np

from ...core.geometry import Rle, compress, mask_box, runs
from ...exceptions import InvalidLabels

_MOST_PIXELS = 1 << 31


def checked(size: list[int], counts: list[int] | str) -> tuple[Rle, list[float]] | str:
    """A mask and the box around it in pixels; or what is wrong with it, as the reason of a skip.

    >>> checked([2, 2], [1, 1, 2])
    ({'size': [2, 2], 'counts': b'112'}, [0.0, 1.0, 1.0, 1.0])
    >>> checked([2, 2], [1, 1])
    'its RLE has fewer pixels than its size'
    """
    if len(size) != 2 or min(size) <= 0 or size[0] * size[1] > _MOST_PIXELS:
        return "its RLE has no size [height, width] that an image can have"
    try:
        values = runs({"counts": counts})
    except (InvalidLabels, ValueError, OverflowError):
        return "its RLE is not COCO's compressed text"
    if values.size and values.min() < 0:
        return "its RLE has a negative count"
    if (wrong := int(values.sum()) - size[0] * size[1]) or values.max(initial=0) > _MOST_PIXELS:
        return f"its RLE has {'more' if wrong > 0 else 'fewer'} pixels than its size"
    text = compress(values) if isinstance(counts, list) else counts.encode()
    rle: Rle = {"size": list(size), "counts": text}
    box = np.array(mask_box(rle)) * np.tile(size[::-1], 2)
    if not box[2]:
        return "its mask has no pixel"
    return rle, [float(v) for v in np.round(box)]
