"""Masks as COCO compressed RLE, and the geometry that labels need; with numpy, and without loops over pixels.

>>> rle = encode_rle(np.array([[0, 1], [0, 1]], bool))
>>> rle, mask_box(rle)
({'size': [2, 2], 'counts': b'22'}, [0.5, 0.0, 0.5, 1.0])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from ..exceptions import InvalidLabels

Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

_MAX_DIGITS = 7  # base 32: 35 bits, more than any image has pixels
_DIGIT_ENDS = 16 * 32 ** np.arange(_MAX_DIGITS - 1)  # the magnitudes from which another digit is needed


class Rle(TypedDict):
    """A mask over the whole image: ``size`` is ``[height, width]``, ``counts`` is COCO's compressed text."""

    size: list[int]
    counts: bytes


def encode_rle(mask: npt.ArrayLike) -> Rle:
    """The COCO compressed RLE of a ``height × width`` mask (any array; values other than 0 are in the mask)."""
    pixels = np.asarray(mask)
    if pixels.ndim != 2 or not pixels.size:
        raise InvalidLabels("", [f"A mask has the shape {pixels.shape}; give an array of height × width pixels."])
    height, width = pixels.shape
    flat = (pixels if pixels.dtype == np.bool_ else pixels != 0).ravel(order="F")  # COCO's order is column by column
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    first = [0, 0] if flat[0] else [0]  # the first run is of zeros, and may be empty
    counts = np.diff(np.concatenate([first, edges, [flat.size]]))
    return {"size": [height, width], "counts": compress(counts)}


def decode_rle(rle: Mapping[str, Any]) -> Mask:
    """The mask of an RLE, in any form that ``as_rle`` accepts: the exact inverse of ``encode_rle``."""
    height, width = (int(n) for n in rle["size"])
    counts = runs(rle)
    if wrong := _miscounted(counts, height, width):
        raise InvalidLabels("", [f"An RLE {wrong}"])
    flat = np.repeat(np.arange(counts.size) % 2 == 1, counts)
    return flat.reshape(width, height).T


def turn_rle(rle: Mapping[str, Any], orientation: int) -> Rle:
    """Convert a mask of the stored pixels of an image to a mask of the image as it is shown. ``orientation`` is EXIF's, 1 to 8."""
    pixels = decode_rle(rle)
    if orientation >= 5:
        pixels = pixels.T
    flip_x, flip_y = orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)
    return encode_rle(pixels[:: -1 if flip_y else 1, :: -1 if flip_x else 1])


def runs(rle: Mapping[str, Any]) -> Ints:
    """The lengths of the runs, alternately of background and mask, from any form of ``counts``."""
    counts = rle["counts"]
    if isinstance(counts, str):
        counts = counts.encode("ascii", "replace")
    return decompress(counts) if isinstance(counts, bytes) else np.asarray(counts, np.int64).ravel()


def compress(counts: npt.ArrayLike) -> bytes:
    """COCO's text for run lengths. From the fourth on, each is the difference to the last but one; in signed base 32."""
    rest = np.array(counts, np.int64)
    rest[3:] -= np.asarray(counts, np.int64)[1:-2]
    # A digit has 5 bits; the last one has the sign in its highest bit, so it holds a magnitude below 16.
    last = np.searchsorted(_DIGIT_ENDS, rest ^ (rest >> 63), side="right")[:, None]
    position = np.arange(last.max(initial=0) + 1)
    digits = (rest[:, None] >> 5 * position & 31) + 48 + 32 * (position < last)
    found: bytes = digits[position <= last].astype(np.uint8).tobytes()
    return found


def decompress(text: bytes) -> Ints:
    """The run lengths of COCO's text: the inverse of ``compress``. Raises ``InvalidLabels`` for any other text."""
    codes = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if not codes.size:
        return codes
    last = np.flatnonzero(codes < 32)
    starts = np.concatenate([[0], last[:-1] + 1])
    size = last - starts + 1 if last.size else last
    if codes.min() < 0 or codes.max() > 63 or not last.size or last[-1] != codes.size - 1 or size.max() > _MAX_DIGITS:
        raise InvalidLabels("", ["An RLE's counts are not COCO's compressed text; encode the mask again."])
    position = np.arange(codes.size) - np.repeat(starts, size)
    values = np.add.reduceat((codes & 31) << (5 * position), starts)
    values -= np.where(codes[last] & 16, 1, 0) << (5 * size)  # two's complement
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def as_rle(mask: Any) -> Rle:
    """An RLE from a mask array, or from a dictionary with compressed or plain counts. Raises ``InvalidLabels`` for others."""
    if not isinstance(mask, Mapping):
        return encode_rle(mask)
    if "size" not in mask or "counts" not in mask:
        raise InvalidLabels(
            "", [f"A mask is a dictionary of {sorted(mask)}; give 'size' ([height, width]) and 'counts'."]
        )
    height, width = (int(n) for n in mask["size"])
    counts = mask["counts"]
    if isinstance(counts, str):
        counts = counts.encode("ascii", "replace")
    if not isinstance(counts, bytes):
        counts = compress(counts)
    return {"size": [height, width], "counts": counts}


def check_rle(rle: Mapping[str, Any], image_size: Sequence[int] | None = None) -> str | None:
    """What is wrong with an RLE, as the end of a sentence; ``None`` if nothing is. ``image_size`` is ``(width, height)``."""
    height, width = (int(n) for n in rle["size"])
    if image_size is not None and (width, height) != tuple(image_size):
        return other_size((width, height), image_size)
    try:
        return _miscounted(runs(rle), height, width)
    except (InvalidLabels, ValueError, TypeError):
        return "has counts that are not COCO's compressed text; encode the mask again."


def other_size(mask_size: Sequence[int], image_size: Sequence[int]) -> str:
    """The end of a sentence about a mask that has another ``(width, height)`` than its image.

    >>> other_size((10, 10), (64, 48))
    'covers 10×10 pixels, but the image has 64×48; resize the mask to the image.'
    """
    has, need = ("×".join(map(str, size)) for size in (mask_size, image_size))
    sentence = f"covers {has} pixels, but the image has {need}; resize the mask to the image."
    if tuple(mask_size) != tuple(reversed(image_size)):
        return sentence
    return (
        f"{sentence} Its sides are swapped: give the mask of the image as it is shown, its EXIF orientation applied "
        "(PIL.ImageOps.exif_transpose), and its size as [height, width]. Where the dataset has the size the wrong way round, "
        "`annobridge doctor --repair` sets it."
    )


def _miscounted(counts: Ints, height: int, width: int) -> str | None:
    if height <= 0 or width <= 0:
        return f"has the size {height}×{width}; give [height, width] of the image."
    if counts.size and counts.min() < 0:
        return "has a negative count; encode the mask again."
    if (total := int(counts.sum())) != height * width:
        return f"counts {total} pixels where {height}×{width} = {height * width} are needed; encode the mask again."
    return None


def mask_box(rle: Mapping[str, Any]) -> list[float]:
    """The box ``[x, y, width, height]`` around a mask, relative to the image; all 0 for a mask without pixels."""
    height, width = (int(n) for n in rle["size"])
    ends = np.cumsum(runs(rle))
    start, stop = ends[:-1:2], ends[1::2]
    start, last = start[stop > start], stop[stop > start] - 1
    if not start.size:
        return [0.0, 0.0, 0.0, 0.0]
    left, right = int(start[0]) // height, int(last[-1]) // height
    if (start // height != last // height).any():  # a run that continues in the next column touches top and bottom
        top, bottom = 0, height - 1
    else:
        top, bottom = int((start % height).min()), int((last % height).max())
    return [left / width, top / height, (right - left + 1) / width, (bottom - top + 1) / height]


def paste(mask: npt.ArrayLike, box: Sequence[float], image_size: Sequence[int]) -> Mask:
    """Convert a mask of a box (FiftyOne's form) to a mask of the whole image.

    Args:
        mask: the boolean array of the box. It is resized (nearest pixel) if its size is not that of the box in pixels.
        box: ``[x, y, width, height]``, relative to the image.
        image_size: ``(width, height)`` in pixels.
    """
    width, height = (int(n) for n in image_size)
    pixels = np.asarray(mask, bool)
    if len(box) != 4 or pixels.ndim != 2 or not pixels.size:
        raise InvalidLabels("", [f"A mask of shape {pixels.shape} in the box {list(box)}; give both, of an area."])
    left, top = round(box[0] * width), round(box[1] * height)
    pixels = _resized(_resized(pixels, box[3] * height).T, box[2] * width).T
    full = np.zeros((height, width), bool)
    y0, x0 = max(top, 0), max(left, 0)
    part = pixels[y0 - top : max(height - top, 0), x0 - left : max(width - left, 0)]
    full[y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]] = part
    return full


def _resized(pixels: Mask, rows: float) -> Mask:
    size = len(pixels)
    if abs(size - rows) < 1:  # a relative box may be off by rounding
        return pixels
    new_size = max(round(rows), 1)
    return pixels[(2 * np.arange(new_size) + 1) * size // (2 * new_size)]


def polygon_mask(parts: Sequence[Sequence[Sequence[float]]], image_size: Sequence[int]) -> Mask:
    """The mask of the pixels whose centres are inside relative rings, by the even-odd rule: a ring in a ring is a hole."""
    width, height = (int(n) for n in image_size)
    toggles = np.zeros((height, width + 1), np.uint8)
    for part in parts:
        ring = np.asarray(part, np.float64).reshape(-1, 2) * (width, height) - 0.5  # pixel centres on whole numbers
        if not np.isfinite(ring).all():
            raise InvalidLabels("", ["A ring has a point that is not a number; remove the point."])
        _mark_crossings(toggles, ring, np.roll(ring, -1, axis=0))
    return np.bitwise_xor.accumulate(toggles[:, :width], axis=1).view(np.bool_)


def _mark_crossings(
    toggles: npt.NDArray[np.uint8], start: npt.NDArray[np.float64], end: npt.NDArray[np.float64]
) -> None:
    """Toggle, in every row that an edge crosses, the first pixel whose centre is on the edge or right of it."""
    height, width = toggles.shape[0], toggles.shape[1] - 1
    upper, lower = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    first, stop = (np.clip(np.ceil(y), 0, height).astype(np.int64) for y in (upper, lower))
    rows = stop - first
    edge = np.repeat(np.arange(rows.size), rows)
    y = np.arange(edge.size) - np.repeat(np.cumsum(rows) - rows, rows) + first[edge]
    slope = (end[edge, 0] - start[edge, 0]) / (
        end[edge, 1] - start[edge, 1]
    )  # an edge that crosses a row is not horizontal
    x = start[edge, 0] + (y - start[edge, 1]) * slope
    column = np.clip(np.ceil(x), 0, width).astype(np.int64)
    np.bitwise_xor.at(toggles, (y, column), np.uint8(1))
