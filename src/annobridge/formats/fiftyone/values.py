"""Values of MongoDB's extended JSON, in which FiftyOne writes what JSON has no word for: ids, dates, arrays, NaN."""

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

_MOST = 1 << 30  # bytes of an array; more is taken for a mistake
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OBJECT_ID = re.compile(r"[0-9a-f]{24}")


def plain(document: dict[str, Any]) -> Any:
    """A JSON object, or the value that it stands for; a hook for ``json``. Raises ``ValueError``.

    >>> plain({"$oid": "5f3b"}), plain({"$numberDouble": "NaN"}), plain({"label": "car"})
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


def array(data: bytes) -> np.ndarray:
    """The numpy array in a binary value: zlib around the ``.npy`` format. Raises ``ValueError``."""
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(data, _MOST)
    except zlib.error as error:
        raise ValueError(f"is not compressed by zlib ({error})") from None
    if stream.unconsumed_tail:
        raise ValueError(f"is larger than {_MOST} bytes")
    try:
        found: np.ndarray = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"is not an array of numpy ({error})") from None
    return found


def binary(values: np.ndarray) -> dict[str, Any]:
    """An array as a binary value.

    >>> array(plain(binary(np.array([1, 2])))).tolist()
    [1, 2]
    """
    content = io.BytesIO()
    np.save(content, values, allow_pickle=False)
    text = base64.b64encode(zlib.compress(content.getvalue())).decode("ascii")
    return {"$binary": {"base64": text, "subType": "00"}}


def number(value: float) -> Any:
    """A number, which may be NaN or infinite."""
    if math.isfinite(value):
        return value
    return {"$numberDouble": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}


def date(value: datetime) -> dict[str, str]:
    """A date, to the millisecond, which is as much as MongoDB keeps."""
    return {"$date": value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"}


def is_object_id(text: str) -> bool:
    """Whether MongoDB takes a text as an id."""
    return _OBJECT_ID.fullmatch(text) is not None


def object_id(text: str) -> dict[str, str]:
    """The id itself if MongoDB takes it, else one that is always the same for the same text."""
    return {"$oid": text if is_object_id(text) else blake2b(text.encode(), digest_size=12).hexdigest()}
