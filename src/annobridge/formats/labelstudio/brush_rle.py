"""Label Studio's run lengths of a brush: a stream of bits, with the four channels of every pixel, row by row.

The stream begins with the number of values (32 bits), the bits of a value less one (5), and four sizes less one (4 bits each).
Then come blocks: a bit that says whether the block is one value repeated, two bits that choose a size, the length less one in as
many bits, and the value or the values. A pixel is in the mask if its last channel, alpha, is not 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
_SIZES = (3, 4, 8, 16)  # that are written
_CHANNELS = 4
_HEADER = 32 + 5 + 4 * 4
_MOST = 1 << 28  # pixels
_ON = 255


class BrushError(ValueError):
    """What is wrong with a stream, as the end of a sentence about it."""


def decode(rle: Sequence[int], width: int, height: int) -> Bools:
    """The mask of a stream, of ``height`` × ``width`` pixels. Raises ``BrushError`` for a stream of another size, or a damaged one.

    >>> decode(encode(np.array([[True, False, False], [False, True, True]])), 3, 2).astype(int).tolist()
    [[1, 0, 0], [0, 1, 1]]
    """
    if not 0 < width * height <= _MOST:
        raise BrushError(f"it is of an image of {width}×{height} pixels")
    ends, values = _runs(_bits(rle), width * height * _CHANNELS)
    # The runs of the alpha channel: the last of each four values.
    ends //= _CHANNELS
    flat = np.repeat(values != 0, np.diff(ends, prepend=0))
    return flat.reshape(height, width)


def encode(mask: Bools) -> list[int]:
    """The stream of a mask."""
    flat = np.asarray(mask, bool).ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(np.concatenate([[0], edges, [flat.size]])) * _CHANNELS
    on = flat[np.concatenate([[0], edges])]
    most = 1 << _SIZES[-1]
    pieces = -(-lengths // most)  # of runs that are longer than a block can be
    owner = np.repeat(np.arange(lengths.size), pieces)
    place = np.arange(owner.size) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    counts = np.minimum(lengths[owner] - place * most, most) - 1
    choice = np.searchsorted(np.array([1 << size for size in _SIZES]), counts, side="right")
    sizes = np.array(_SIZES)[choice]
    # A row of bits for each block: repeated, choice, length (of its size, from the right), value.
    width = 3 + _SIZES[-1] + 8
    bits = np.zeros((counts.size, width), np.uint8)
    bits[:, 0] = 1
    bits[:, 1], bits[:, 2] = choice >> 1, choice & 1
    shifts = np.arange(_SIZES[-1] - 1, -1, -1)
    bits[:, 3 : 3 + _SIZES[-1]] = (counts[:, None] >> shifts) & 1
    bits[:, -8:] = np.where(on[owner], 1, 0)[:, None]
    used = np.ones(bits.shape, bool)
    used[:, 3 : 3 + _SIZES[-1]] = shifts < sizes[:, None]
    header = f"{flat.size * _CHANNELS:032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in _SIZES)
    stream = np.concatenate([np.array(list(header), np.uint8), bits[used]])
    return np.packbits(stream).tolist()


def _bits(rle: Sequence[int]) -> npt.NDArray[np.uint8]:
    try:
        values = np.array(rle, np.int64)
    except (TypeError, ValueError, OverflowError):
        raise BrushError("it is no list of bytes") from None
    if values.ndim != 1 or (values.size and (values.min() < 0 or values.max() > 255)):
        raise BrushError("it is no list of bytes")
    if values.size * 8 < _HEADER:
        raise BrushError("it is too short")
    return np.unpackbits(values.astype(np.uint8))


def _runs(bits: npt.NDArray[np.uint8], wanted: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The ends of runs and their values. Raises ``BrushError`` where they are not as many values as are wanted."""
    text = bits.tobytes().translate(_DIGITS).decode("ascii")
    total, word = int(text[:32], 2), int(text[32:37], 2) + 1
    sizes = [int(text[at : at + 4], 2) + 1 for at in range(37, _HEADER, 4)]
    if total != wanted:
        raise BrushError(f"it has {total:,} values, and its image needs {wanted:,}")
    at, done = _HEADER, 0
    ends: list[npt.NDArray[np.int64]] = []
    values: list[npt.NDArray[np.int64]] = []
    single_ends, single_values = list[int](), list[int]()
    powers = 1 << np.arange(word - 1, -1, -1)
    while done < total:
        size = sizes[int(text[at + 1 : at + 3] or "0", 2)]
        start = at + 3 + size
        is_run = text[at : at + 1] == "1"
        count = int(text[at + 3 : start] or "0", 2) + 1
        at = start + (word if is_run else word * count)
        if at > len(text):
            raise BrushError("it ends before its last pixel")
        if done + count > total:
            raise BrushError("it has more values than it says")
        if is_run:
            done += count
            single_ends.append(done)
            single_values.append(int(text[start:at], 2))
            continue
        ends += [np.array(single_ends, np.int64), np.arange(done + 1, done + count + 1)]
        values += [np.array(single_values, np.int64), bits[start:at].reshape(count, word) @ powers]
        single_ends, single_values = [], []
        done += count
    ends.append(np.array(single_ends, np.int64))
    values.append(np.array(single_values, np.int64))
    return np.concatenate(ends), np.concatenate(values)


_DIGITS = bytes([48, 49]) + bytes(254)
