"""DataGym's errors, whose bodies have one form with a key."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


class ApiError(Exception):
    """An error answer. ``body`` is ``None`` where the server sends none."""

    def __init__(self, status: int, key: str | None, *params: Any) -> None:
        super().__init__(key)
        self.status = status
        texts = [None if p is None else str(p) for p in params]
        # The texts of messages are not part of the open source: clients decide on the key.
        body = {"key": key, "params": texts, "msg": f"No msg available for key: {key}", "code": status, "details": []}
        self.body: Json | None = None if key is None else body


def unreadable() -> ApiError:
    """The error for a body that is not JSON, has an unknown property, or a value of another type."""
    return ApiError(400, None)


def broken() -> ApiError:
    """An unexpected error, for instance of the database."""
    return ApiError(500, "ex_system")


def generic(key: str, *params: Any) -> ApiError:
    """A mistake of the client that the server answers with 500."""
    return ApiError(500, f"ex_gen_{key}", *params)


def not_found(what: str, value: str) -> ApiError:
    return ApiError(404, "ex_notfound", what, "id", value)


def exists(what: str, by: str, value: str) -> ApiError:
    return ApiError(412, "ex_alreadyexists", what, by, value)


def invalid(*faults: tuple[str, str]) -> ApiError:
    """The faults that bean validation found, by name and key."""
    error = ApiError(400, "ex_validation")
    details = [{"name": name, "key": key, "params": [name]} for name, key in faults]
    error.body = {"key": "ex_validation", "params": [], "msg": "Validation error.", "code": 0, "details": details}
    return error


def odd(name: str, key: str) -> ApiError:
    """A fault that the server itself finds in an upload."""
    error = ApiError(400, "ex_validation")
    assert error.body is not None
    error.body["details"] = [{"name": name, "key": key, "params": [name]}]
    return error


def forbidden() -> ApiError:
    return ApiError(403, "ex_forbidden")
