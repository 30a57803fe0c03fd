"""JSON of a server that is not trusted: read only where the values it makes fit in a few times its own size."""

from __future__ import annotations

import json
from typing import Any

DENSE = 8  # bytes for each list and object, on average: what real answers have at the least
FREE = 1 << 20  # bytes in which there may be any number of them


class TooDense(ValueError):
    """So many lists and objects that they would take many times the memory of the text, and minutes to build."""


def parse(body: bytes) -> Any:
    """The value; ``None`` for an empty body. Raises ``ValueError`` for what is no JSON, or is too deep or too dense."""
    if not body.strip():
        return None
    if len(body) > FREE and DENSE * (body.count(b"[") + body.count(b"{")) > len(body):
        raise TooDense("it is mostly empty lists and objects")
    try:
        return json.loads(body.decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("it is too deep") from None
