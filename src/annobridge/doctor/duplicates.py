"""Finds repeated strings in a long stream with eight bytes of memory for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array

_WEIGHTS = np.random.default_rng(0).integers(1, 2**63, 4096, np.uint64)


def repeated_texts(stream: Callable[[], Iterator[pa.Array]]) -> pa.Array:
    """The strings that occur more than once. ``stream`` is called again if hashes are equal, to compare the strings."""
    parts = [_hashes(texts) for texts in stream()]
    hashes = np.sort(np.concatenate([*parts, np.zeros(0, np.uint64)]))
    repeated_hashes = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    if not repeated_hashes.size:
        return pa.array([], pa.string())
    candidates = [texts.filter(pa.array(np.isin(_hashes(texts), repeated_hashes))) for texts in stream()]
    counts = pc.value_counts(pa.chunked_array(candidates, pa.string()))
    return counts.filter(pc.greater(counts.field("counts"), 1)).field("values")


def joined_keys(*columns: pa.Array) -> pa.Array:
    """The values of several columns as one string per row."""
    return pc.binary_join_element_wise(*(c.cast(pa.string()) for c in columns), "\x1f", null_handling="replace")


def _hashes(texts: pa.Array) -> npt.NDArray[np.uint64]:
    """A hash of each string: the sum of its bytes, weighted by position, and its length."""
    texts = as_array(texts).cast(pa.large_string())
    _, ends, data = texts.buffers()
    if not len(texts) or data is None:
        return np.zeros(len(texts), np.uint64)
    offsets = np.frombuffer(ends, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    octets = np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]].astype(np.uint64)
    sizes = np.diff(offsets)
    position = np.arange(octets.size) - np.repeat(offsets[:-1] - offsets[0], sizes)
    sums = np.concatenate(
        [np.zeros(1, np.uint64), np.cumsum(octets * _WEIGHTS[position % _WEIGHTS.size], dtype=np.uint64)]
    )
    at = offsets - offsets[0]
    hashes: npt.NDArray[np.uint64] = sums[at[1:]] - sums[at[:-1]] + sizes.astype(np.uint64)
    return hashes
