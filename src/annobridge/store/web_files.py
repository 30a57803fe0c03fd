"""Files of web servers."""

from __future__ import annotations

import threading
from typing import Any, BinaryIO

from .remote_file import FileState

_CHUNK = 1 << 16
_TIMEOUT = (10, 60)  # seconds to connect, and between two pieces
_WITHOUT_HEAD = frozenset({403, 405, 501})  # answers to HEAD of servers that may answer GET, as those of signed URLs
_IDENTITY = {"Accept-Encoding": "identity"}  # so that the size in the answer is that of the file
_local = threading.local()


class WebFile:
    """A file by its ``http://`` or ``https://`` URL."""

    def __init__(self, url: str) -> None:
        self._url = url

    def state(self) -> FileState:
        """Ask for the headers only; where the server refuses that, the bytes are asked for and not read."""
        try:
            with self._ask("HEAD") as answer:
                return _state(answer)
        except _RefusedError as refusal:
            if refusal.status not in _WITHOUT_HEAD:
                raise
        with self._ask("GET") as answer:
            return _state(answer)

    def download(self, into: BinaryIO, known: FileState | None = None) -> FileState | None:
        """Write the bytes into ``into``; returns ``None`` for a file that did not change."""
        import requests

        condition = {"If-None-Match": known.etag, "If-Modified-Since": known.modified} if known is not None else {}
        with self._ask("GET", {name: value for name, value in condition.items() if value}) as answer:
            if answer.status_code == requests.codes.not_modified:
                return None
            size = 0
            try:
                for chunk in answer.iter_content(_CHUNK):
                    size += into.write(chunk)
            except requests.RequestException as error:
                raise _no_answer(error) from None
            return _state(answer)._replace(size=size)

    def _ask(self, method: str, headers: dict[str, str] | None = None) -> Any:
        """The answer, whose body was not read yet; the caller closes it."""
        import requests

        try:
            answer = _session().request(
                method, self._url, headers=_IDENTITY | (headers or {}), stream=True, timeout=_TIMEOUT,
                allow_redirects=True,
            )  # fmt: skip
        except (requests.RequestException, ValueError) as error:
            raise _no_answer(error) from None
        if answer.ok:
            return answer
        answer.close()
        if answer.status_code in (requests.codes.not_found, requests.codes.gone):
            raise FileNotFoundError("there is no such file")
        raise _RefusedError(answer.status_code)


class _RefusedError(OSError):
    def __init__(self, status: int) -> None:
        super().__init__(f"the server answers {status}")
        self.status = status


def _session() -> Any:
    """The session of this thread, which keeps connections open."""
    import requests

    if not hasattr(_local, "session"):
        _local.session = requests.Session()
    return _local.session


def _state(answer: Any) -> FileState:
    length = answer.headers.get("Content-Length", "")
    return FileState(
        int(length) if length.isdecimal() else None,
        answer.headers.get("ETag", ""),
        answer.headers.get("Last-Modified", ""),
    )


def _no_answer(error: Exception) -> OSError:
    """The error without its text, which has the URL."""
    return OSError(f"the server does not answer ({type(error).__name__})")
