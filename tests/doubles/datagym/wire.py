"""Requests as handlers get them, and answers that are not plain JSON."""

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
    """A request for a handler; ``ids`` are the variable parts of its path."""

    request: Request
    state: State
    ids: list[str]
    internal: bool


@dataclass
class Raw:
    """An answer with a body of its own."""

    body: bytes
    headers: dict[str, str]


class Nowhere(ApiError):
    """The framework's answer to an unknown path."""

    def __init__(self, path: str) -> None:
        super().__init__(404, None)
        self.body = {"timestamp": now(), "status": 404, "error": "Not Found", "path": path}


class Moved(Exception):
    """A redirect."""
