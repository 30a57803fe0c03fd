"""SipHash-2-4 with 128 bits, of many texts at once (Aumasson and Bernstein, 2012, https://www.aumasson.jp/siphash/siphash.pdf)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Words = npt.NDArray[np.uint64]

_WORD = 8  # bytes
_BLOCK = 16_384  # texts at once, whose state stays in the cache of the processor
_INITIAL = (0x736F6D6570736575, 0x646F72616E646F6D ^ 0xEE, 0x6C7967656E657261, 0x7465646279746573)  # for 128 bits


def siphash(key: bytes, texts: pa.Array) -> Words:
    """The hash of each text, in two words; ``texts`` has no nulls.

    >>> siphash(bytes(range(16)), pa.array([""])).tobytes().hex()
    'a3817f04ba25a8e66df67214c7550293'
    """
    hashes = np.empty((len(texts), 2), "<u8")
    if not len(texts):
        return hashes
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    octets = np.zeros(ends[-1] - ends[0] + _WORD, np.uint8)  # the last word may end after the last text
    if data is not None:
        octets[:-_WORD] = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]
    words = np.ndarray(len(octets) - _WORD + 1, "<u8", octets, strides=(1,))  # eight bytes from each byte on
    starts, lengths = ends[:-1] - ends[0], np.diff(ends)
    for first in range(0, len(texts), _BLOCK):
        block = slice(first, first + _BLOCK)
        order = np.argsort(-(lengths[block] // _WORD), kind="stable")  # those that go on are always the first ones
        hashes[block][order] = _of_block(key, words, starts[block][order], lengths[block][order])
    return hashes


def _of_block(key: bytes, words: Words, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Words:
    """Hashes of texts that come in the order of their full words, the longest first."""
    keys = np.frombuffer(key, "<u8")
    state = [np.full(len(starts), value, np.uint64) ^ keys[n % 2] for n, value in enumerate(_INITIAL)]
    for count, word in _words(words, starts, lengths):
        part = [v[:count] for v in state]
        part[3] ^= word
        _rounds(part, 2)
        part[0] ^= word
    state[2] ^= np.uint64(0xEE)
    _rounds(state, 4)
    first = state[0] ^ state[1] ^ state[2] ^ state[3]
    state[1] ^= np.uint64(0xDD)
    _rounds(state, 4)
    return np.stack([first, state[0] ^ state[1] ^ state[2] ^ state[3]], axis=1)


def _words(words: Words, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Iterator[tuple[int, Words]]:
    """The words of the texts one after another, each with the number of texts that have it; then the last of all of them, which is
    what is left of a text and its length.
    """
    full = lengths // _WORD
    for n in range(int(full[0])):
        count = int(np.searchsorted(-full, -n))  # of the texts with more than n
        yield count, words[starts[:count] + n * _WORD]
    left = (lengths % _WORD).astype(np.uint64) * np.uint64(8)  # bits
    last = words[starts + full * _WORD] & ((np.uint64(1) << left) - np.uint64(1))
    yield len(starts), last | lengths.astype(np.uint64) << np.uint64(56)


def _rounds(state: list[Words], count: int) -> None:
    a, b, c, d = state
    spare = np.empty_like(a)
    for _ in range(count):
        for x, y, left in ((a, b, 13), (c, d, 16)):
            _mix(x, y, left, spare)
        _rotate(a, 32, spare)
        for x, y, left in ((a, d, 21), (c, b, 17)):
            _mix(x, y, left, spare)
        _rotate(c, 32, spare)


def _mix(x: Words, y: Words, left: int, spare: Words) -> None:
    x += y
    _rotate(y, left, spare)
    y ^= x


def _rotate(x: Words, left: int, spare: Words) -> None:
    np.right_shift(x, np.uint64(64 - left), out=spare)
    np.left_shift(x, np.uint64(left), out=x)
    x |= spare
