"""What goes over the wire: a request on its way to a handler, and answers that are more than JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .errors import ApiError, unreadable
from .state import State, now


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            raise unreadable() from None


@dataclass
class Call:
    """A request on its way to a handler; ``ids`` are the parts of its path."""

    request: Request
    state: State
    ids: list[str]
    internal: bool


@dataclass
class Raw:
    """An answer that is not JSON made by us."""

    body: bytes
    headers: dict[str, str]


class Nowhere(ApiError):
    """There is no such path; the answer is the framework's."""

    def __init__(self, path: str) -> None:
        super().__init__(404, None)
        self.body = {"timestamp": now(), "status": 404, "error": "Not Found", "path": path}


class Moved(Exception):
    """Somebody is sent elsewhere."""
