"""The one place that speaks HTTP. Backends say what to call; this says how long, how often, and what may be shown.

    http = Http("https://cvat.example", backend="cvat", secrets={"Authorization": SecretStr("Token …")})
    http.get("/api/tasks/5")                       # parsed JSON, repeated when the network or the server stumbles
    http.send("POST", "/api/tasks", json={...})    # sent once: a lost answer is an unknown outcome, and said to be

Only calls that may be repeated are repeated. What comes back is JSON, bytes of ``stream``, or a ``BackendError``.
"""

from __future__ import annotations

import json as jsonlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any, BinaryIO, Self
from urllib.parse import urlsplit

from pydantic import SecretStr

from ..exceptions import Broken, ConfigError, Rejected
from ._calls import Call, Caller, Failure
from ._wire import is_loopback, new_session, origin_of, shown
from ._words import Veil

DOWNLOAD = 8 << 30  # bytes: the cap of ``stream``
_IDEMPOTENT = {"GET", "PUT", "DELETE"}


class Http:
    """One server, spoken to with care. Threads may share it.

    ``secrets`` are headers that nobody may read; ``timeout`` is for connecting and between two bytes, ``deadline`` for
    all of an answer and for its repetitions; ``limit`` is the largest JSON answer in bytes, unpacked.
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
        allow_insecure: bool = False,
    ) -> None:
        self._backend, self._url, self._origin = backend, url.rstrip("/"), origin_of(url)
        self._check_url()
        self._at, self._veil, self._allow_insecure = f"{backend} at {self._url}", Veil(), allow_insecure
        self._caller = Caller(
            backend=backend,
            at=self._at,
            ours=self._ours,
            session=new_session(url, verify),
            veil=self._veil,
            headers=dict(headers or {}),
            timeout=timeout,
            deadline=deadline,
            limit=limit,
        )
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
        self._caller.session.close()

    def authorize(self, secrets: Mapping[str, SecretStr]) -> None:
        """Send these headers too from now on (after a login, say)."""
        for name, secret in secrets.items():
            value = self._reveal(secret).strip()
            if not (value.isascii() and value.isprintable()):
                raise ConfigError(
                    f"{self._backend}: the secret for {name} has characters that no header can hold; copy it again."
                )
            self._caller.secrets[name] = SecretStr(value)

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """Parsed JSON; ``None`` when the answer is empty."""
        return self._json(Call("GET", self._path(path), self._resolve(path), params=params))

    def send(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        data: bytes | BinaryIO | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        repeatable: bool = False,
        retry_on: Callable[[int, Any], bool] | None = None,
    ) -> Any:
        """Parsed JSON, or ``None`` when the answer is empty.

        ``json`` may hold ``SecretStr``. Repeated only if ``repeatable`` (GET, PUT and DELETE are), or if no connection
        came about; and, until the deadline, whenever ``retry_on(status, detail)`` says that the server asks for it.
        """
        return self._json(self._call(method, path, json, data, headers, params, repeatable, retry_on))

    def headers(
        self,
        method: str,
        path: str,
        *,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
    ) -> Mapping[str, str]:
        """The headers of an answer, for protocols that speak by them (as tus does of its uploads)."""
        call = self._call(method, path, None, data, headers, None, repeatable or method == "HEAD", None)
        return self._caller.repeat(call, self._caller.whole)[0].headers

    def _call(
        self,
        method: str,
        path: str,
        json: Any,
        data: bytes | BinaryIO | None,
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
    ) -> Any:
        """The first answer that is ``ready``. Asks again and again, with growing pauses."""
        allowed, pause = self._caller.deadline if deadline is None else deadline, 0.1
        due = self._caller.clock() + allowed
        while not ready(answer := self.get(path, params)):
            if self._caller.clock() + pause > due:
                last = self._veil.excerpt(jsonlib.dumps(answer, default=str, ensure_ascii=False))
                raise Broken(
                    f"{self._at}: waited {allowed:g} s for GET {self._path(path)}; its last answer was {last}. "
                    "Look at the server's log, or wait longer."
                )
            self._caller.sleep(pause)
            pause = min(pause * 1.5, 2.0)
        return answer

    def pages(
        self, path: str, params: Mapping[str, Any] | None = None, *, size: int = 500, items: str = "items"
    ) -> Iterator[Any]:
        """Every item of a list answering ``{items: […], "total": n}`` to ``limit`` and ``offset``; all, or an error."""
        offset, total = 0, 1
        while offset < total:
            page = self.get(path, {**(params or {}), "limit": size, "offset": offset})
            if not isinstance(page, dict) or not isinstance(page.get(items), list):
                raise Broken(f"{self._at}: GET {self._path(path)} should answer a page of {items!r}, and does not.")
            found, stated = page[items], page.get("total")
            offset += len(found)
            total = stated if isinstance(stated, int) else offset + (len(found) == size)
            if not found and isinstance(stated, int) and offset < total:
                raise Broken(f"{self._at}: GET {self._path(path)} stopped at {offset} of {total} {items}; try again.")
            yield from found

    def stream(self, path: str, params: Mapping[str, Any] | None = None, *, limit: int = DOWNLOAD) -> Iterator[bytes]:
        """The bytes of a download, at most ``limit`` of them. Repeated until they begin to come."""
        call = Call(
            "GET", self._path(path), self._resolve(path), headers={"Accept-Encoding": "identity"}, params=params
        )
        with closing(self._caller.repeat(call, self._caller.open)) as response:
            try:
                yield from self._caller.chunks(call, response, limit)
            except Failure as failed:
                failure = failed
            else:
                return
        raise failure.error

    def _json(self, call: Call) -> Any:
        response, body = self._caller.repeat(call, self._caller.whole)
        try:
            return jsonlib.loads(body.decode("utf-8-sig")) if body.strip() else None
        except (ValueError, RecursionError):
            kind = self._veil.excerpt(response.headers.get("Content-Type", "no content type"))
        raise Broken(
            f"{self._at}: {call} answers {response.status_code} with {kind}, which cannot be read as JSON: "
            f"{self._veil.excerpt(body)!r}. Is this the url of a {self._backend} server?",
            response.status_code,
        )

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

    def _ours(self, url: str) -> bool:
        return origin_of(url) == self._origin and "@" not in urlsplit(url).netloc

    def _path(self, path: str) -> str:
        """What is shown of a path or an address."""
        return self._veil.over(re.sub(r"^(\w+:)?//[^/]*", "", re.split("[?#]", path)[0]) or "/")

    def _resolve(self, path: str) -> str:
        """The address of a path. An address that a server gave is welcome if it is the same server's."""
        if path.startswith("//") or "://" in path.partition("?")[0]:
            if not self._ours(path):
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
        self._veil.add(secret.get_secret_value())
        return secret.get_secret_value()


def _start(body: bytes | BinaryIO | None) -> int | None:
    """Where a body begins; ``None`` if it can be read only once."""
    if isinstance(body, bytes | None):
        return 0
    return body.tell() if body.seekable() else None
