"""Ids of samples and labels, which are texts. Derived ids give a label of the tool the same id on every load."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from hashlib import sha1
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..exceptions import InvalidLabels
from .hashes import text_hashes

_GROUPS = ((0, 8), (9, 13), (14, 18), (19, 23), (24, 36))  # of digits in the text of a UUID


def join_parts(*parts: str) -> str:
    r"""Several texts joined into one; different texts never give the same result.

    >>> join_parts("7", "s0")
    '7\ns0'
    >>> join_parts("a\nb", "c") == join_parts("a", "b\nc")
    False
    """
    return "\n".join(p.replace("\\", "\\\\").replace("\n", "\\n") if "\\" in p or "\n" in p else p for p in parts)


def join_columns(*columns: pa.Array) -> pa.Array:
    r"""``join_parts`` of each row of some columns of texts.

    >>> join_columns(pa.array(["7", "a\nb"]), pa.array(["s0", "c"])).to_pylist() == [join_parts("7", "s0"), join_parts("a\nb", "c")]
    True
    """
    return pc.binary_join_element_wise(*map(_escaped, columns), "\n")


def _escaped(texts: pa.Array) -> pa.Array:
    for plain, escaped in (("\\", "\\\\"), ("\n", "\\n")):
        if pc.any(pc.match_substring(texts, plain)).as_py():
            texts = pc.replace_substring(texts, plain, escaped)
    return texts


def derive(space: str, names: pa.Array) -> pa.Array:
    """``uuid5(UUID(space), name)`` of each name, as a string array; ``space`` is the id of the run, or another UUID.

    Stored labels, and decisions about them, are found again by these ids, so they are the same in every version. Ten times faster
    than ``uuid.uuid5``: only the SHA-1 digests are computed one by one. Raises ``TypeError`` for null.

    >>> run = str(uuid.UUID(int=7))
    >>> derive(run, pa.array(["a"]))[0].as_py() == str(uuid.uuid5(uuid.UUID(run), "a"))
    True
    """
    key = uuid.UUID(space).bytes
    digests = b"".join([sha1(key + name).digest() for name in names.cast(pa.binary()).to_pylist()])  # noqa: S324
    return _format(np.frombuffer(digests, np.uint8).reshape(-1, 20)[:, :16].copy(), version=5)


def fresh(count: int) -> pa.Array:
    """New random ids (UUID version 4)."""
    return _format(np.frombuffer(np.random.default_rng().bytes(16 * count), np.uint8).reshape(-1, 16).copy(), version=4)


def as_texts(given: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of ids as texts; integers are converted. Raises ``InvalidLabels`` for any other type."""
    kind = given.type.value_type if pa.types.is_dictionary(given.type) else given.type
    if not (pa.types.is_null(kind) or pa.types.is_integer(kind) or pa.types.is_string(kind)
            or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):  # fmt: skip
        raise InvalidLabels("", [f"A column of ids is {given.type}; give texts, or whole numbers."])
    return given.cast(pa.string())


def from_python(given: Iterable[Any]) -> pa.Array:
    """Python values as a column of ids: texts or integers, or ``None``. Raises ``InvalidLabels`` for any other value."""
    return pa.array(map(_text, given), pa.string())


def buckets(texts: pa.Array, count: int) -> npt.NDArray[np.int64]:
    """A number from 0 to ``count - 1`` for each text: the same for equal texts, and about equally often each.

    >>> a, b, c = buckets(pa.array(["x1", "x2", "x1"]), 100)
    >>> bool(a == c), bool(a == b)
    (True, False)
    """
    return (text_hashes(texts) % np.uint64(count)).astype(np.int64)


def _text(given: Any) -> str | None:
    if given is None or isinstance(given, str):
        return given
    if isinstance(given, int | np.integer) and not isinstance(given, bool):
        return str(int(given))
    raise InvalidLabels("", [f"An id is {given!r}; give a text, or a whole number."])


def _format(octets: np.ndarray, version: int) -> pa.Array:
    octets[:, 6] = octets[:, 6] & 0x0F | version << 4
    octets[:, 8] = octets[:, 8] & 0x3F | 0x80
    text = np.full((len(octets), 36), ord("-"), np.uint8)
    digits = np.frombuffer(octets.tobytes().hex().encode(), np.uint8).reshape(-1, 32)
    at = 0
    for start, end in _GROUPS:
        text[:, start:end] = digits[:, at : (at := at + end - start)]
    offsets = np.arange(0, 36 * len(octets) + 1, 36, dtype=np.int32)
    return pa.StringArray.from_buffers(len(octets), pa.py_buffer(offsets), pa.py_buffer(text.tobytes()))
