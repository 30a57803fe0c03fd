"""The HTTP client of backends, with time-outs, retries, limits, and errors without secrets.

    http = Http("https://cvat.example", backend="cvat", secrets={"Authorization": SecretStr("Token …")})
    http.get("/api/tasks/5")                       # parsed JSON; retried after errors of the network or the server
    http.send("POST", "/api/tasks", json={...})    # sent once; if the response is lost, the error says so
    http.get("/api/tasks/5", expect={"id": int})   # parsed JSON that has a member ``id``: see ``expect``

Only calls that may be repeated are retried. Every failure is a ``BackendError``.
"""

from __future__ import annotations

import json as jsonlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import SecretStr

from ..exceptions import Broken, ConfigError, Denied, Gone, Rejected
from ._json import TooDense, encode, parse
from ._redactor import Redactor
from ._session import is_loopback, new_session, origin_of, shown
from ._transport import OUTCOME_UNKNOWN, Body, Call, Failure, Transport
from .expect import Shape, mismatch
from .paging import Offsets, Paging, Reader
from .renewal import Login, Renewal
from .uploads import MediaFile, Multipart

T = TypeVar("T")

STREAM_LIMIT = 8 << 30  # bytes
_IDEMPOTENT = {"GET", "PUT", "DELETE"}


class Http:
    """A client of one server. Threads may share it.

    Args:
        url: the address of the server.
        backend: the name of the backend, for messages.
        headers: headers of every call.
        secrets: headers with secrets, which never appear in messages.
        verify: whether to verify certificates, or the file of a CA.
        timeout: seconds to connect, and between two bytes.
        deadline: seconds for a call with all its retries.
        limit: the largest response body in bytes, decompressed.
        limit_option: the option of the backend that sets ``limit``, for messages.
        allow_insecure: allow secrets without encryption.
    """

    def __init__(
        self,
        url: str,
        *,
        backend: str,
        headers: Mapping[str, str] | None = None,
        secrets: Mapping[str, SecretStr] | None = None,
        verify: bool | str = True,
        timeout: float = 60.0,
        deadline: float = 600.0,
        limit: int = 64 << 20,
        limit_option: str | None = None,
        allow_insecure: bool = False,
    ) -> None:
        self._backend, self._url, self._origin = backend, url.rstrip("/"), origin_of(url)
        self._check_url()
        self._at, self._redactor, self._allow_insecure = f"{backend} at {self._url}", Redactor(), allow_insecure
        self._transport = Transport(
            backend=backend,
            at=self._at,
            is_same_server=self._is_same_server,
            session=new_session(url, verify),
            redactor=self._redactor,
            headers=dict(headers or {}),
            timeout=timeout,
            deadline=deadline,
            limit=limit,
            limit_option=limit_option,
        )
        self._renewal: Renewal | None = None
        self.authorize(secrets or {})

    def __repr__(self) -> str:
        return f"Http({self._backend} at {self._url})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The address of the server, without a trailing slash."""
        return self._url

    def close(self) -> None:
        """Close the connections."""
        self._transport.session.close()

    def authorize(self, secrets: Mapping[str, SecretStr]) -> None:
        """Add secret headers to all further calls."""
        for name, secret in secrets.items():
            value = self._reveal(secret).strip()
            if not (value.isascii() and value.isprintable()):
                raise ConfigError(
                    f"{self._backend}: the secret for {name} has characters that no header can hold; copy it again."
                )
            self._transport.secrets[name] = SecretStr(value)

    def log_in(self, obtain: Callable[[], Login]) -> None:
        """Log in with ``obtain``: before the next call, before the login expires, and once after each 401.

        ``obtain`` may use this ``Http``. A call that was refused with a 401 is sent again after it.
        """
        self._renewal = Renewal(obtain, self.authorize)

    def get(self, path: str, params: Mapping[str, Any] | None = None, *, expect: Shape = Any) -> Any:
        """The parsed JSON of a GET; ``None`` for an empty body if ``expect`` is ``Any``. Raises ``Broken`` for another shape."""
        return self._json(Call("GET", self._path(path), self._resolve(path), params=params), expect)

    def send(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        data: Body | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        repeatable: bool = False,
        retry_on: Callable[[int, Any], bool] | None = None,
        expect: Shape = Any,
    ) -> Any:
        """Send a request; returns the parsed JSON of the response, or ``None`` for an empty body if ``expect`` is ``Any``.

        Args:
            method: the HTTP method.
            path: a path on the server, or a URL of the same server.
            json: the body as JSON; it may contain ``SecretStr``.
            data: the body as bytes or as a file.
            headers: more headers.
            params: the query.
            repeatable: the server may get the request twice, so it may be retried. GET, PUT and DELETE always are. Others are
                retried only if no connection was established.
            retry_on: called with the status and the detail of an error; retry until the deadline if it returns true.
            expect: the shape of the response; see ``expect``.
        """
        return self._json(self._call(method, path, json, data, headers, params, repeatable, retry_on), expect)

    def delete(self, path: str, params: Mapping[str, Any] | None = None) -> None:
        """Send a DELETE. A 404 is not an error."""
        with suppress(Gone):
            self.send("DELETE", path, params=params)

    def upload(
        self,
        path: str,
        files: Sequence[MediaFile],
        *,
        field: str = "file",
        fields: Mapping[str, Any] | None = None,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
        retry_on: Callable[[int, Any], bool] | None = None,
        expect: Shape = Any,
    ) -> Any:
        """Send files in one ``multipart/form-data`` body, read as they are sent; returns what ``send`` does.

        ``field`` is the name of each file's form field; ``{}`` in it stands for the number of the file. ``fields`` are further form
        fields.
        """
        body = Multipart(files, fields or {}, field)
        sent = {**(headers or {}), "Content-Type": body.content_type}
        return self.send(method, path, data=body, headers=sent, repeatable=repeatable, retry_on=retry_on, expect=expect)

    def headers(
        self,
        method: str,
        path: str,
        *,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
        expect: Sequence[str] = (),
    ) -> Mapping[str, str]:
        """The headers of a response, for protocols that use them (as tus). Raises ``Broken`` if one of ``expect`` is missing."""
        call = self._call(method, path, None, data, headers, None, repeatable or method == "HEAD", None)
        response, _ = self._with_login(call, self._transport.fetch)
        if missing := [name for name in expect if name not in response.headers]:
            raise self._unexpected(call, response.status_code, f"no header {missing[0]!r}")
        return response.headers

    def encode(self, json: Any) -> bytes:
        """The body that ``send`` makes of ``json=``, for backends that need to know its size first; send it as ``data``, with its
        ``Content-Type``.
        """
        return encode(json, self._reveal)

    def _call(
        self,
        method: str,
        path: str,
        json: Any,
        data: Body | None,
        headers: Mapping[str, str] | None,
        params: Mapping[str, Any] | None,
        repeatable: bool,
        retry_on: Callable[[int, Any], bool] | None,
    ) -> Call:
        method, sent = method.upper(), dict(headers or {})
        if json is not None:
            data = self.encode(json)
            sent.setdefault("Content-Type", "application/json")
        url, start = self._resolve(path), _start(data)
        repeatable = (repeatable or method in _IDEMPOTENT) and (start is not None)
        return Call(method, self._path(path), url, data, sent, params, repeatable, retry_on, start)

    def poll(
        self,
        path: str,
        ready: Callable[[Any], bool],
        *,
        deadline: float | None = None,
        params: Mapping[str, Any] | None = None,
        expect: Shape = Any,
    ) -> Any:
        """GET with growing pauses until ``ready`` is true for the response; returns it. ``deadline`` is in seconds."""
        allowed, pause = self._transport.deadline if deadline is None else deadline, 0.1
        due = self._transport.clock() + allowed
        while not ready(answer := self.get(path, params, expect=expect)):
            if self._transport.clock() + pause > due:
                last = self._redactor.excerpt(jsonlib.dumps(answer, default=str, ensure_ascii=False))
                raise Broken(
                    f"{self._at}: waited {allowed:g} s for GET {self._path(path)}; its last answer was {last}. "
                    "Look at the server's log, or wait longer."
                )
            self._transport.sleep(pause)
            pause = min(pause * 1.5, 2.0)
        return answer

    def pages(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        size: int = 500,
        items: str | None = "items",
        by: Paging = Offsets(),  # noqa: B008 - a value
        expect: Shape = Any,
    ) -> Iterator[Any]:
        """All items of a list that is read page by page, or an error. ``expect`` is the shape of an item."""
        page = [expect] if items is None else {items: [expect]}

        def get(where: str, given: Mapping[str, Any] | None) -> Any:
            return self.get(where, given, expect=page)

        at = f"{self._at}: the list GET {self._path(path)}"
        for found in by.pages(Reader(get, path, params or {}, size, items, at)):
            yield from found

    def stream(
        self, path: str, params: Mapping[str, Any] | None = None, *, limit: int = STREAM_LIMIT
    ) -> Iterator[bytes]:
        """The bytes of a download, at most ``limit``. Retried until the first bytes arrive."""
        call = Call(
            "GET", self._path(path), self._resolve(path), headers={"Accept-Encoding": "identity"}, params=params
        )
        with closing(self._with_login(call, self._transport.open)) as response:
            try:
                yield from self._transport.chunks(call, response, limit)
            except Failure as failed:
                failure = failed
            else:
                return
        raise failure.error

    def _with_login(self, call: Call, attempt: Callable[[Call], T]) -> T:
        """What ``attempt`` returns, with a valid login; tried again with a new one after a 401."""
        if self._renewal is None:
            return self._transport.retry(call, attempt)
        login = self._renewal.ensure_valid()
        try:
            return self._transport.retry(call, attempt)
        except Denied as error:
            if error.status != 401 or call.start is None:
                raise
            refused = error
        if not self._renewal.after_refusal(login):
            raise refused
        return self._transport.retry(call, attempt)

    def _json(self, call: Call, expected: Shape) -> Any:
        response, body = self._with_login(call, self._transport.fetch)
        try:
            found = parse(body)
        except TooDense as error:
            what = f"JSON that was not read: {error}"
        except ValueError:
            kind = self._redactor.excerpt(response.headers.get("Content-Type", "no content type"))
            what = f"{kind}, which cannot be read as JSON: {self._redactor.excerpt(body)!r}"
        else:
            wrong = mismatch(found, expected)
            if wrong is None:
                return found
            what = f"JSON of another form: {self._redactor.excerpt(wrong)}" if body.strip() else "nothing in it"
        raise self._unexpected(call, response.status_code, what)

    def _unexpected(self, call: Call, status: int, what: str) -> Broken:
        outcome = "" if call.repeatable else OUTCOME_UNKNOWN
        message = (
            f"{self._at}: {call} answers {status} with {what}. Is this the url of a {self._backend} server?{outcome}"
        )
        return Broken(message, status)

    def _check_url(self) -> None:
        parts = urlsplit(self._url) if self._origin else None
        if parts is None:
            raise ConfigError(
                f"{self._backend}: the url is not a web address; give http:// or https://, then host and port."
            )
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ConfigError(
                f"{self._backend}: the url {shown(self._url)} has a user, a password or a query in it; "
                f"give credentials as options, or with `annobridge login {self._backend}`."
            )

    def _is_same_server(self, url: str) -> bool:
        return origin_of(url) == self._origin and "@" not in urlsplit(url).netloc

    def _path(self, path: str) -> str:
        """A path or URL for messages."""
        return self._redactor.redact(re.sub(r"^(\w+:)?//[^/]*", "", re.split("[?#]", path)[0]) or "/")

    def _resolve(self, path: str) -> str:
        """The URL of a path. A URL, as servers return them, must be of the same server."""
        if path.startswith("//") or "://" in path.partition("?")[0]:
            if not self._is_same_server(path):
                raise Rejected(f"{self._at}: {self._path(path)} is on another server, and was not fetched.")
            return path
        return f"{self._url}/{path.lstrip('/')}"

    def _reveal(self, secret: Any) -> str:
        """The value of a secret, to be sent; from now on it is redacted in messages."""
        if not isinstance(secret, SecretStr):
            raise TypeError(f"{type(secret).__name__} cannot be sent as JSON.")
        if self._url.startswith("http:") and not (self._allow_insecure or is_loopback(self._url)):
            raise ConfigError(
                f"{self._backend}: {self._url} is not encrypted, and a secret would be sent to it in the clear; "
                "use https, or set allow_insecure=True if the network between is yours."
            )
        self._redactor.add(secret.get_secret_value())
        return secret.get_secret_value()


def _start(body: Body | None) -> int | None:
    """The position at which a body begins; ``None`` if it can be read only once."""
    if isinstance(body, bytes | None):
        return 0
    return body.tell() if body.seekable() else None
