"""Values of MongoDB's extended JSON, in which FiftyOne writes ids, dates, arrays and NaN."""

from __future__ import annotations

import base64
import io
import math
import re
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

import numpy as np

_HEAD = 1 << 16  # bytes in which the header of an array is
_MOST = 1 << 30  # bytes of an array; a larger one is refused as damaged
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OBJECT_ID = re.compile(r"[0-9a-f]{24}")


def decode_value(document: dict[str, Any]) -> Any:
    """The value of an object of extended JSON; any other object as it is. An ``object_hook`` of ``json``. Raises ``ValueError``.

    >>> decode_value({"$oid": "5f3b"}), decode_value({"$numberDouble": "NaN"}), decode_value({"label": "car"})
    ('5f3b', nan, {'label': 'car'})
    """
    if not document or len(document) > 2:
        return document
    name, value = next(iter(document.items()))
    match name:
        case "$oid":
            return str(value)
        case "$numberInt" | "$numberLong":
            return int(value)
        case "$numberDouble":
            return float(value)
        case "$date":
            return _date(value)
        case "$binary":
            return base64.b64decode(value["base64"] if isinstance(value, Mapping) else value, validate=True)
    return document


def _date(value: Any) -> datetime:
    if isinstance(value, str):
        return datetime.fromisoformat(value).astimezone(UTC)
    return _EPOCH + timedelta(milliseconds=int(value))


def decode_array(data: bytes) -> np.ndarray:
    """The numpy array in a binary value, which is the ``.npy`` format compressed by zlib. Raises ``ValueError``.

    The header is read first, and no more is decompressed than it says, so that a small file cannot fill the memory.
    """
    stream = zlib.decompressobj()
    try:
        head = stream.decompress(data, _HEAD)
        kind, shape, fortran, start = _header(head)
        size = math.prod(shape) * kind.itemsize
        if size > _MOST:
            raise ValueError(f"says that it has the shape {shape}, which is larger than {_MOST} bytes")
        rest = max(0, start + size + 1 - len(head))
        content = head + (stream.decompress(stream.unconsumed_tail, rest) if rest else b"")
    except zlib.error as error:
        raise ValueError(f"is not compressed by zlib ({error})") from None
    if len(content) != start + size:
        raise ValueError(f"does not have as many values as its shape {shape} says")
    return np.frombuffer(content, kind, offset=start).reshape(shape, order="F" if fortran else "C")


def _header(head: bytes) -> tuple[np.dtype[Any], tuple[int, ...], bool, int]:
    """The type, the shape, whether the order is Fortran's, and the offset of the values. Raises ``ValueError``."""
    stream = io.BytesIO(head)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, kind = read(stream)
    except Exception as error:  # numpy parses the header as Python, which raises many types of errors
        raise ValueError(f"is not an array of numpy ({str(error).partition(chr(10))[0]})") from None
    if kind.hasobject or any(n < 0 for n in shape):
        raise ValueError("is not an array of numpy that holds numbers")
    return kind, shape, fortran, stream.tell()


def encode_array(values: np.ndarray) -> dict[str, Any]:
    """An array as a binary value.

    >>> decode_array(decode_value(encode_array(np.array([1, 2])))).tolist()
    [1, 2]
    """
    content = io.BytesIO()
    np.save(content, values, allow_pickle=False)
    text = base64.b64encode(zlib.compress(content.getvalue())).decode("ascii")
    return {"$binary": {"base64": text, "subType": "00"}}


def encode_number(value: float) -> Any:
    """A number, which may be NaN or infinite."""
    if math.isfinite(value):
        return value
    return {"$numberDouble": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}


def encode_date(value: datetime) -> dict[str, str]:
    """A timestamp in milliseconds, the precision of MongoDB."""
    return {"$date": value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"}


def is_object_id(text: str) -> bool:
    """Whether a text is an id of MongoDB."""
    return _OBJECT_ID.fullmatch(text) is not None


def object_id(text: str) -> dict[str, str]:
    """The text itself if it is an id of MongoDB, or else an id that is derived from it."""
    return {"$oid": text if is_object_id(text) else blake2b(text.encode(), digest_size=12).hexdigest()}
