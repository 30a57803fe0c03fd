"""JSON that is sent to servers, and that comes from them. What comes is not trusted: the values must fit in a few times the size of
the text.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import orjson

from ..core.collector import paused

_MIN_BYTES = 8  # per list or object on average; real responses have more
_ALWAYS_PARSED = 1 << 20  # bytes; a shorter text may have any number of lists and objects
_AS_JSON_DOES = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME  # they are no JSON


class TooDense(ValueError):
    """The text has so many lists and objects that they would take many times its memory, and minutes to create."""


def parse(body: bytes) -> Any:
    """The value of a JSON text; ``None`` for an empty one. Raises ``ValueError``: not JSON, nested too deeply, or ``TooDense``."""
    if not body.strip():
        return None
    if len(body) > _ALWAYS_PARSED and _MIN_BYTES * (body.count(b"[") + body.count(b"{")) > len(body):
        raise TooDense("it is mostly empty lists and objects")
    try:
        with paused():
            return msgspec.json.decode(body)  # orjson makes floats of large integers
    except (msgspec.DecodeError, ValueError, RecursionError):
        pass  # it takes neither NaN nor a byte order mark nor half a surrogate pair
    try:
        return json.loads(body.decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("it is too deep") from None


def encode(value: Any, default: Callable[[Any], Any]) -> bytes:
    """The JSON text of a value, in UTF-8; ``default`` converts what is no JSON.

    Raises ``ValueError`` for NaN and infinity, and what ``default`` raises.
    """
    try:
        text = orjson.dumps(value, default=default, option=_AS_JSON_DOES)
    except TypeError:  # a key that is no string, a large integer, or an error of ``default``
        pass
    else:
        if b"null" not in text:  # as which orjson writes NaN and infinity
            return text
    return json.dumps(value, default=default, allow_nan=False).encode()
