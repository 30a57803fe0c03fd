"""What is refused before a request reaches the page: other hosts, other origins, no token, bodies that are too large.

The token is in the address that the terminal prints; the first request takes it into a cookie. A page of another site can make a
browser send requests here, or point a name of its own at this machine (DNS rebinding): such requests name another origin or
host, and do not have the cookie.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, JSONResponse

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

TOKEN_HEADER = "x-annobridge-token"  # noqa: S105 - the name of the header
LARGEST_BODY = 32 << 20
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
# A redirect would be part of a navigation that another site began (a link in a notebook), for which a browser withholds the
# new cookie. A page that goes on by itself is a new navigation, by this site.
_ENTRY = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/">'
    '<link rel="icon" href="data:,"><title>annobridge</title>'
    '<p><a href="/">Open the review</a></p></html>'
)


class Guard:
    """Lets requests through that are of the page itself."""

    def __init__(self, app: App, token: str, port: int, host: str = "127.0.0.1") -> None:
        """``host`` is where the server listens; of an address for all networks, any address of this machine is accepted."""
        self._app, self._token, self._port, self._host = app, token, port, host
        self._cookie = f"annobridge_{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            return
        connection = HTTPConnection(scope)
        send = _with_headers(send)
        if problem := self._problem(connection):
            await JSONResponse({"error": problem[1]}, problem[0])(scope, receive, send)
        elif scope["path"] == "/" and "token" in connection.query_params:
            answer = HTMLResponse(_ENTRY)
            answer.set_cookie(self._cookie, self._token, httponly=True, samesite="strict", path="/")
            await answer(scope, receive, send)
        else:
            await self._app(scope, _limited(receive), send)

    def _problem(self, connection: HTTPConnection) -> tuple[int, str] | None:
        """Status and reason, if a request is refused."""
        headers, scope = connection.headers, connection.scope
        if not self._is_own(headers.get("host", "")):
            return 403, "The request names another host than this server; open the address that the terminal shows."
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{headers['host']}":
            return 403, "The request comes from the page of another site."
        given = connection.query_params.get("token") if scope["path"] == "/" and scope["method"] == "GET" else None
        given = given or connection.cookies.get(self._cookie) or headers.get(TOKEN_HEADER, "")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self._token.encode()):
            return 403, "The token of this review is missing; open the address that the terminal shows."
        if scope["method"] == "POST":
            if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
                return 415, "The body of the request has to be application/json."
            size = headers.get("content-length", "0")
            if not size.isdecimal() or int(size) > LARGEST_BODY:
                return 413, f"The body of the request is larger than {LARGEST_BODY >> 20} MB."
        return None

    def _is_own(self, host: str) -> bool:
        """Whether a ``Host`` is this server: an address cannot be rebound, so any is, if the server listens on all."""
        name, _, port = host.lower().rpartition(":")
        if port != str(self._port):
            return False
        name = name.strip("[]")
        if name in ("127.0.0.1", "localhost", self._host):
            return True
        if self._host not in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
            return False
        return name == socket.gethostname().lower() or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _with_headers(send: Send) -> Send:
    async def wrapped(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            present = {name for name, _ in message["headers"]}
            more = {"cache-control": "no-store", **_HEADERS}
            new = [(n.encode(), v.encode()) for n, v in more.items() if n.encode() not in present]
            message = {**message, "headers": [*message["headers"], *new]}
        await send(message)

    return wrapped


class TooLarge(Exception):
    """The body of a request is too large."""


def _limited(receive: Receive) -> Receive:
    """``receive``, up to the largest body: the header may not say how large it is."""
    size = 0

    async def wrapped() -> MutableMapping[str, Any]:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > LARGEST_BODY:
            raise TooLarge
        return message

    return wrapped
