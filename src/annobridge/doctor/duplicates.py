"""Twice: which texts come more than once in a long stream, in eight bytes for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array

_WEIGHTS = np.random.default_rng(0).integers(1, 2**63, 4096, np.uint64)


def repeated_texts(stream: Callable[[], Iterator[pa.Array]]) -> pa.Array:
    """The texts that come more than once; the stream is read once, or twice where some seem to."""
    parts = [_codes(texts) for texts in stream()]
    codes = np.sort(np.concatenate([*parts, np.zeros(0, np.uint64)]))
    again = np.unique(codes[1:][codes[1:] == codes[:-1]])
    if not again.size:
        return pa.array([], pa.string())
    alike = [texts.filter(pa.array(np.isin(_codes(texts), again))) for texts in stream()]
    counts = pc.value_counts(pa.chunked_array(alike, pa.string()))
    return counts.filter(pc.greater(counts.field("counts"), 1)).field("values")


def joined_keys(*columns: pa.Array) -> pa.Array:
    """Keys of several columns as one text."""
    return pc.binary_join_element_wise(*(c.cast(pa.string()) for c in columns), "\x1f", null_handling="replace")


def _codes(texts: pa.Array) -> npt.NDArray[np.uint64]:
    """A number for each text: equal for equal texts, and nearly always different for others."""
    texts = as_array(texts).cast(pa.large_string())
    _, ends, data = texts.buffers()
    if not len(texts) or data is None:
        return np.zeros(len(texts), np.uint64)
    offsets = np.frombuffer(ends, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    octets = np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]].astype(np.uint64)
    sizes = np.diff(offsets)
    place = np.arange(octets.size) - np.repeat(offsets[:-1] - offsets[0], sizes)
    sums = np.concatenate(
        [np.zeros(1, np.uint64), np.cumsum(octets * _WEIGHTS[place % _WEIGHTS.size], dtype=np.uint64)]
    )
    at = offsets - offsets[0]
    codes: npt.NDArray[np.uint64] = sums[at[1:]] - sums[at[:-1]] + sizes.astype(np.uint64)
    return codes
