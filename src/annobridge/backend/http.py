"""The one place that speaks HTTP. Backends say what to call; this says how long, how often, and what may be shown.

    http = Http("https://cvat.example", backend="cvat", secrets={"Authorization": SecretStr("Token …")})
    http.get("/api/tasks/5")                       # parsed JSON, repeated when the network or the server stumbles
    http.send("POST", "/api/tasks", json={...})    # sent once: a lost answer is an unknown outcome, and said to be
    http.get("/api/tasks/5", expect={"id": int})   # parsed JSON that has a member ``id``: see ``expect``

Only calls that may be repeated are repeated. What comes back is JSON, bytes of ``stream``, or a ``BackendError``.
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
from ._json import TooDense, parse
from ._redactor import Redactor
from ._session import is_loopback, new_session, origin_of, shown
from ._transport import OUTCOME_UNKNOWN, Body, Call, Failure, Transport
from .expect import Shape, mismatch
from .paging import Offsets, Paging, Reader
from .renewal import Login, Renewal
from .uploads import MediaFile, Multipart

T = TypeVar("T")

DOWNLOAD = 8 << 30  # bytes: the cap of ``stream``
_IDEMPOTENT = {"GET", "PUT", "DELETE"}


class Http:
    """One server, spoken to with care. Threads may share it.

    ``secrets`` are headers that nobody may read; ``timeout`` is for connecting and between two bytes, ``deadline`` for
    all of an answer and for its repetitions; ``limit`` is the largest JSON answer in bytes, unpacked, and ``limit_option`` the
    option of the backend that sets it, for messages.
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
        """The address of the server, without a slash at its end."""
        return self._url

    def close(self) -> None:
        """Release the connections."""
        self._transport.session.close()

    def authorize(self, secrets: Mapping[str, SecretStr]) -> None:
        """Send these headers too from now on (after a login, say)."""
        for name, secret in secrets.items():
            value = self._reveal(secret).strip()
            if not (value.isascii() and value.isprintable()):
                raise ConfigError(
                    f"{self._backend}: the secret for {name} has characters that no header can hold; copy it again."
                )
            self._transport.secrets[name] = SecretStr(value)

    def log_in(self, obtain: Callable[[], Login]) -> None:
        """Have ``obtain`` called for headers to send: before the next call, before they are over, and once after each 401.

        It may use this ``Http``. What was refused with a 401 is sent again after it.
        """
        self._renewal = Renewal(obtain, self.authorize)

    def get(self, path: str, params: Mapping[str, Any] | None = None, *, expect: Shape = Any) -> Any:
        """Parsed JSON of this shape; ``None`` when the answer is empty and anything is expected."""
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
        """Parsed JSON of this shape; ``None`` when the answer is empty and anything is expected.

        ``json`` may hold ``SecretStr``. Repeated only if ``repeatable`` (GET, PUT and DELETE are), or if no connection
        came about; and, until the deadline, whenever ``retry_on(status, detail)`` says that the server asks for it.
        """
        return self._json(self._call(method, path, json, data, headers, params, repeatable, retry_on), expect)

    def delete(self, path: str, params: Mapping[str, Any] | None = None) -> None:
        """Delete something; that it is gone already is no error."""
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
        """Send files in one ``multipart/form-data`` body; what comes back is that of ``send``.

        The field of a file is ``field``, with the number of the file for ``{}``. Files are read as they are sent.
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
        """The headers of an answer, those that are expected among them, for protocols that speak by them (as tus does)."""
        call = self._call(method, path, None, data, headers, None, repeatable or method == "HEAD", None)
        response, _ = self._with_login(call, self._transport.fetch)
        if missing := [name for name in expect if name not in response.headers]:
            raise self._strange(call, response.status_code, f"no header {missing[0]!r}")
        return response.headers

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
            data = jsonlib.dumps(json, default=self._reveal, allow_nan=False).encode()
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
        """The first answer that is ``ready``. Asks again and again, with growing pauses."""
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
        """Every item of a list that is read page by page; all, or an error. ``expect`` is the shape of an item."""
        page = [expect] if items is None else {items: [expect]}

        def get(where: str, given: Mapping[str, Any] | None) -> Any:
            return self.get(where, given, expect=page)

        at = f"{self._at}: the list GET {self._path(path)}"
        for found in by.pages(Reader(get, path, params or {}, size, items, at)):
            yield from found

    def stream(self, path: str, params: Mapping[str, Any] | None = None, *, limit: int = DOWNLOAD) -> Iterator[bytes]:
        """The bytes of a download, at most ``limit`` of them. Repeated until they begin to come."""
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
        """What ``attempt`` returns, with a login that is renewed in time, and once more if the server does not know it."""
        if self._renewal is None:
            return self._transport.retry(call, attempt)
        login = self._renewal.fresh()
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
        raise self._strange(call, response.status_code, what)

    def _strange(self, call: Call, status: int, what: str) -> Broken:
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
        """What is shown of a path or an address."""
        return self._redactor.redact(re.sub(r"^(\w+:)?//[^/]*", "", re.split("[?#]", path)[0]) or "/")

    def _resolve(self, path: str) -> str:
        """The address of a path. An address that a server gave is welcome if it is the same server's."""
        if path.startswith("//") or "://" in path.partition("?")[0]:
            if not self._is_same_server(path):
                raise Rejected(f"{self._at}: {self._path(path)} is on another server, and was not fetched.")
            return path
        return f"{self._url}/{path.lstrip('/')}"

    def _reveal(self, secret: Any) -> str:
        """The secret's value, for sending only; from now on it is taken out of every message."""
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
    """Where a body begins; ``None`` if it can be read only once."""
    if isinstance(body, bytes | None):
        return 0
    return body.tell() if body.seekable() else None
