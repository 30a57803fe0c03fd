"""The six shapes of an error answer, raised by handlers and turned into answers by the server."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An answer other than success: a JSON body of any shape."""

    def __init__(self, status: int, body: Any, **headers: str) -> None:
        super().__init__(f"{status} {body}")
        self.status, self.body = status, body
        self.headers = [(name.replace("_", "-"), value) for name, value in headers.items()]


class PageError(Exception):
    """An HTML page: an unknown path, or the server's own failure."""

    def __init__(self, status: int, title: str, text: str) -> None:
        super().__init__(f"{status} {title}")
        self.status = status
        self.page = (
            f'\n<!doctype html>\n<html lang="en">\n<head>\n  <title>{title}</title>\n</head>\n'
            f"<body>\n  <h1>{title}</h1><p>{text}</p>\n</body>\n</html>\n"
        )


class TextError(Exception):
    """Plain text that is labelled as HTML."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text}")
        self.status, self.text = status, text


def crash() -> PageError:
    """The plain 500 that the server answers to several mistakes of a client."""
    return PageError(500, "Server Error (500)", "")


def unknown_path() -> PageError:
    return PageError(404, "Not Found", "The requested resource was not found on this server.")


def invalid(*texts: str) -> ApiError:
    """A list of strings."""
    return ApiError(400, list(texts))


def invalid_field(name: str, *texts: str) -> ApiError:
    return ApiError(400, {name: list(texts)})


def denied() -> ApiError:
    return ApiError(403, {"detail": "You do not have permission to perform this action."})


def unknown_field() -> ApiError:
    return ApiError(403, {"detail": "Attempted to update an unknown field"})


def gone_export(path: str) -> TextError:
    """The answer of the former export calls."""
    return TextError(
        410,
        f"This endpoint is no longer supported.\nTo initiate the export process, use POST {path}.\n"
        "To check the process status, use GET /api/requests/rq_id, where rq_id is obtained from the response of the previous "
        "request.\nTo download the prepared file, use the result_url obtained from the response of the previous request.\n",
    )
