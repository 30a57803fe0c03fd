"""Faulty HTTP responses, as servers, proxies and login pages may give them.

A fault is given the response of the server (``None`` where the call was not forwarded), and writes another one to the socket. It
returns ``False`` where it cannot be made from that response, which is then passed on.
"""

from __future__ import annotations

import gzip
import json
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

BOMB = 120 << 20  # bytes, which compress to 119 KiB
SILENCE = 4.0  # seconds, longer than the timeout of the trials


@dataclass(frozen=True)
class Response:
    """The response of the server."""

    status: int
    kind: str
    content: bytes


Write = Callable[[socket.socket, Response | None], bool]


@dataclass(frozen=True)
class Fault:
    """A faulty response. ``forwarded``: whether the server gets the call; ``lies``: whether it is well formed but wrong."""

    name: str
    write: Write
    forwarded: bool = True
    lies: bool = False


def head(status: str, kind: str, length: int | None, *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", "Connection: close", *more]
    lines += [] if length is None else [f"Content-Length: {length}"]
    return "\r\n".join([*lines, "", ""]).encode()


def answer(body: bytes, status: str = "200 OK", kind: str = "application/json", *more: str) -> Write:
    """A fixed response."""

    def write(connection: socket.socket, _: Response | None) -> bool:
        connection.sendall(head(status, kind, len(body), *more) + body)
        return True

    return write


def of_json(change: Callable[[Any], Any]) -> Write:
    """The server's JSON, changed; ``change`` returns ``None`` where it does not apply."""

    def write(connection: socket.socket, response: Response | None) -> bool:
        try:
            found = json.loads(response.content) if response else None
        except ValueError:
            return False
        changed = change(found)
        return changed is not None and answer(json.dumps(changed).encode())(connection, response)

    return write


def of_lists(change: Callable[[list[Any]], list[Any]]) -> Callable[[Any], Any]:
    """A change of responses that are lists, or pages of one."""

    def changed(found: Any) -> Any:
        if isinstance(found, list) and found:
            return change(found)
        name = next(
            (n for n in ("results", "items") if isinstance(found, dict) and isinstance(found.get(n), list)), None
        )
        return {**found, name: change(found[name])} if name and found[name] else None

    return changed


def without_a_member(found: Any) -> Any:
    """An object, or the first one of a list, without its first member."""
    if isinstance(found, list) and found and isinstance(found[0], dict):
        return [without_a_member(found[0]), *found[1:]]
    return dict(list(found.items())[1:]) if isinstance(found, dict) and found else None


def with_another_type(found: Any) -> Any:
    """An object whose members are wrapped in lists."""
    return {name: [value] for name, value in found.items()} if isinstance(found, dict) and found else None


def cut(connection: socket.socket, response: Response | None) -> bool:
    """A response that ends before its Content-Length."""
    if not response or len(response.content) < 2:
        return False
    connection.sendall(
        head("200 OK", response.kind, len(response.content)) + response.content[: len(response.content) // 2]
    )
    return True


def half(connection: socket.socket, response: Response | None) -> bool:
    """The first half of the body as a complete response."""
    if not response or len(response.content) < 2:
        return False
    return answer(response.content[: len(response.content) // 2])(connection, response)


def drip(connection: socket.socket, response: Response | None) -> bool:
    """One byte every half second."""
    content = response.content if response else b"{}"
    connection.sendall(head("200 OK", "application/json", len(content) + 10_000))
    for byte in content + b" " * 10_000:
        connection.sendall(bytes([byte]))
        time.sleep(0.5)
    return True


def silent(*_: Any) -> bool:
    """No response for longer than the timeout."""
    time.sleep(SILENCE)
    return True


def nothing(*_: Any) -> bool:
    """A connection that is closed without a response."""
    return True


def reset(connection: socket.socket, _: Response | None) -> bool:
    """A connection that is reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return True


def chunks(connection: socket.socket, _: Response | None) -> bool:
    """A chunked body with an invalid chunk size."""
    connection.sendall(
        head("200 OK", "application/json", None, "Transfer-Encoding: chunked") + b"zz\r\n{}\r\n0\r\n\r\n"
    )
    return True


def bomb(connection: socket.socket, response: Response | None) -> bool:
    """A small gzip body of a large list of empty lists."""
    body = gzip.compress(b"[" + b"[]," * (BOMB // 3) + b"[]]", 6)
    return answer(body, "200 OK", "application/json", "Content-Encoding: gzip")(connection, response)


def redirect(target: str, status: str = "302 Found") -> Write:
    return answer(b"", status, "text/plain", f"Location: {target}")


PAGE = b"<!doctype html><html><head><title>Log in</title></head><body><form>Password</form></body></html>"
JSON = "application/json"

FAULTS = (
    *(Fault(f"answered with {text}", answer(text.encode()))
      for text in ("null", "[]", "{}", "17", '"text"', "true", "[null]", "[[]]", '{"results": null}', '{"results": [null]}',
                   '{"items": {}, "total": "x"}', '{"detail": "ok"}', '{"id": "x", "name": 7}', "NaN")),
    Fault("a member less", of_json(without_a_member)),
    Fault("members of other types", of_json(with_another_type)),
    Fault("an empty list", of_json(of_lists(lambda _: [])), lies=True),
    Fault("a page twice", of_json(of_lists(lambda found: found + found)), lies=True),
    Fault("null in a list", of_json(of_lists(lambda found: [None, *found[1:]]))),
    Fault("204", answer(b"", "204 No Content")),
    Fault("an empty 200", answer(b"")),
    Fault("a page for logging in", answer(PAGE, "200 OK", "text/html")),
    Fault("a page that says it is JSON", answer(PAGE)),
    Fault("bytes", answer(bytes(range(256)) * 8, "200 OK", "application/octet-stream")),
    Fault("deep JSON", answer(b"[" * 100_000)),
    Fault("half of the JSON", half),
    Fault("a body cut off", cut),
    Fault("plain text that says it is gzip", answer(b"{}", "200 OK", JSON, "Content-Encoding: gzip")),
    Fault("chunks without sizes", chunks),
    Fault("a gzip bomb", bomb),
    Fault("a byte from time to time", drip),
    Fault("silence", silent),
    Fault("silence before it", silent, forwarded=False),
    Fault("closed without an answer", nothing),
    Fault("closed before it", nothing, forwarded=False),
    Fault("reset after it", reset),
    Fault("reset before it", reset, forwarded=False),
    Fault("redirected to another server", redirect("http://127.0.0.1:9/login")),
    Fault("redirected to a page that is not there", redirect("/login/none"), forwarded=False),
    Fault("redirected with 303", redirect("/login/none", "303 See Other"), forwarded=False),
    *(Fault(f"{status} before it", answer(b'{"detail": "not now"}', status), forwarded=False)
      for status in ("400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Not Found", "409 Conflict",
                     "429 Too Many Requests", "500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable")),
    *(Fault(f"{status} after it", answer(PAGE, status, "text/html"))
      for status in ("404 Not Found", "500 Internal Server Error", "502 Bad Gateway", "504 Gateway Timeout")),
)  # fmt: skip
