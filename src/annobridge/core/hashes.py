"""Hashes of texts: numbers that are equal where the texts are, made of many texts at once.

Different texts may have one hash, so it only tells which rows may be equal.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .arrays import as_array

Hashes = npt.NDArray[np.uint64]

_BYTES = 16  # at the end of a text that count, as two numbers
_FACTORS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))  # odd, of mixed bits
# For each length of a text, the bytes of both numbers that are its own; the others belong to the text before.
_OWN_BYTES = np.array(
    [[(1 << 64) - (1 << 8 * min(max(missing, 0), 8)) for missing in (16 - n, 8 - n)] for n in range(_BYTES + 1)],
    np.uint64,
)


def text_hashes(texts: pa.Array) -> Hashes:
    """A number for each text, from its length and its last 16 bytes; null is as the empty text.

    >>> a, b, c = text_hashes(pa.array(["x1", "x2", "x1"]))
    >>> bool(a == c), bool(a == b)
    (True, False)
    """
    texts = texts.fill_null("") if texts.null_count else texts
    count = len(texts)
    _, offsets, data = texts.buffers()
    if not count or data is None:
        return np.zeros(count, np.uint64)
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + count + 1].astype(np.int64)
    octets = np.concatenate([np.zeros(_BYTES, np.uint8), np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]])
    words = np.ndarray(len(octets) - 7, "<u8", octets, strides=(1,))  # eight bytes from each byte on
    lengths, ends = np.diff(ends), ends[1:] - ends[0]
    size = int(lengths[0])
    if size and (lengths == size).all():  # a slice is read much faster than words here and there
        first, last = words[size::size][:count], words[size + 8 :: size]
    else:
        first, last = words[ends], words[ends + 8]
    if lengths.min() < _BYTES:
        own = _OWN_BYTES[np.minimum(lengths, _BYTES)]
        first, last = first & own[:, 0], last & own[:, 1]
    mixed = (first * _FACTORS[0] ^ last) * _FACTORS[1]
    hashes: Hashes = mixed ^ mixed >> np.uint64(32) ^ lengths.astype(np.uint64)
    return hashes


def row_hashes(rows: pa.Table, columns: Sequence[str]) -> Hashes:
    """A number for each row: equal where the texts of all these columns are."""
    hashes = np.zeros(rows.num_rows, np.uint64)
    for name in columns:
        hashes = hashes * _FACTORS[0] ^ text_hashes(as_array(rows[name]))
    return hashes
