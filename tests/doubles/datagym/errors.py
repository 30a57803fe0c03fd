"""DataGym's errors: one form of body, and keys that say what happened."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


class ApiError(Exception):
    """An answer that is an error. ``body`` is ``None`` where the server sends none."""

    def __init__(self, status: int, key: str | None, *params: Any, details: list[Json] | None = None) -> None:
        super().__init__(key)
        self.status = status
        texts = [None if p is None else str(p) for p in params]
        # The texts of messages are not part of the open source: clients decide on the key.
        body = {"key": key, "params": texts, "msg": f"No msg available for key: {key}", "code": status}
        self.body: Json | None = None if key is None else {**body, "details": details or []}


def generic(key: str, *params: Any) -> ApiError:
    """A client's mistake that the server calls its own."""
    return ApiError(500, f"ex_gen_{key}", *params)


def not_found(what: str, value: str) -> ApiError:
    return ApiError(404, "ex_notfound", what, "id", value)


def invalid(name: str, key: str, *params: Any) -> ApiError:
    """Bean validation."""
    detail = {"name": name, "key": key, "params": [name, *map(str, params)]}
    return ApiError(400, "ex_validation", details=[detail])


def forbidden() -> ApiError:
    return ApiError(403, "ex_forbidden")
