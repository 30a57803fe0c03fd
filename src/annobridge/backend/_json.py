"""Parses JSON of servers, which are not trusted: the values must fit in a few times the size of the text."""

from __future__ import annotations

import json
from typing import Any

_MIN_BYTES = 8  # per list or object on average; real responses have more
_ALWAYS_PARSED = 1 << 20  # bytes; a shorter text may have any number of lists and objects


class TooDense(ValueError):
    """The text has so many lists and objects that they would take many times its memory, and minutes to create."""


def parse(body: bytes) -> Any:
    """The value of a JSON text; ``None`` for an empty one. Raises ``ValueError``: not JSON, nested too deeply, or ``TooDense``."""
    if not body.strip():
        return None
    if len(body) > _ALWAYS_PARSED and _MIN_BYTES * (body.count(b"[") + body.count(b"{")) > len(body):
        raise TooDense("it is mostly empty lists and objects")
    try:
        return json.loads(body.decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("it is too deep") from None
