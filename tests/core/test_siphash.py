"""SipHash of many texts, against the published values, and against the algorithm written out for one text."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annobridge.core.siphash import _BLOCK, siphash

KEY = bytes(range(16))
_MASK = (1 << 64) - 1


def of_one(key: bytes, text: bytes) -> bytes:
    """The hash of one text, word by word."""
    keys = [int.from_bytes(key[at : at + 8], "little") for at in (0, 8)] * 2
    constants = (0x736F6D6570736575, 0x646F72616E646F6D ^ 0xEE, 0x6C7967656E657261, 0x7465646279746573)
    v = [constant ^ part for constant, part in zip(constants, keys, strict=True)]

    def mix(x: int, y: int, left: int) -> None:
        v[x] = (v[x] + v[y]) & _MASK
        v[y] = rotated(v[y], left) ^ v[x]

    def rounds(count: int) -> None:
        for _ in range(count):
            mix(0, 1, 13)
            v[0] = rotated(v[0], 32)
            mix(2, 3, 16)
            mix(0, 3, 21)
            mix(2, 1, 17)
            v[2] = rotated(v[2], 32)

    padded = text + bytes(7 - len(text) % 8) + bytes([len(text) & 0xFF])
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at : at + 8], "little")
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    out = b""
    for place, constant in ((2, 0xEE), (1, 0xDD)):
        v[place] ^= constant
        rounds(4)
        out += (v[0] ^ v[1] ^ v[2] ^ v[3]).to_bytes(8, "little")
    return out


def rotated(word: int, left: int) -> int:
    return (word << left | word >> (64 - left)) & _MASK


@pytest.mark.parametrize(
    ("size", "published"), [(0, "a3817f04ba25a8e66df67214c7550293"), (1, "da87c1d86b99af44347659119b22fc45")]
)
def test_published_values(size: int, published: str) -> None:
    text = bytes(range(size))
    assert of_one(KEY, text).hex() == siphash(KEY, pa.array([text.decode()])).tobytes().hex() == published


@given(st.binary(min_size=16, max_size=16), st.lists(st.text(max_size=40)), st.integers(0, 3))
def test_each_text_has_the_hash_that_it_has_alone(key: bytes, texts: list[str], start: int) -> None:
    hashes = siphash(key, pa.array(texts, pa.string()).slice(start))
    assert [row.tobytes() for row in hashes] == [of_one(key, text.encode()) for text in texts[start:]]


def test_texts_of_several_blocks() -> None:
    texts = [str(n) * (n % 7) for n in range(2 * _BLOCK + 1)]
    hashes = siphash(KEY, pa.array(texts))
    for n in (0, 1, _BLOCK - 1, _BLOCK, 2 * _BLOCK - 1, 2 * _BLOCK):
        assert hashes[n].tobytes() == of_one(KEY, texts[n].encode())
