"""A reverse proxy that forwards calls to a server, and gives one of them a faulty response."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import requests

from .faults import Fault, Response, head

_HOP = {"host", "connection", "content-length", "accept-encoding", "transfer-encoding", "keep-alive"}
_OURS = {"connection", "content-length", "content-encoding", "content-type", "transfer-encoding", "server", "date"}


class Gateway:
    """Forwards calls to ``upstream``. The call number ``at`` (from 0), or the first later one that it fits, gets the fault."""

    def __init__(self, upstream: str, fault: Fault | None = None, at: int = 0) -> None:
        self.upstream, self.at, self.calls = upstream, at, 0
        self.landed = ""  # the call that got the fault
        self._fault, self._lock = fault, threading.Lock()
        self._session = requests.Session()
        self._session.trust_env = False
        self._web = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._web.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._web.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._web.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._web.shutdown()
        self._web.server_close()
        self._session.close()

    def clear_fault(self) -> None:
        """Forward all further calls."""
        with self._lock:
            self._fault = None

    def take(self) -> Fault | None:
        """The fault, if it is due; no other call gets it unless it is given back."""
        with self._lock:
            self.calls += 1
            taken, self._fault = (self._fault, None) if self.calls > self.at else (None, self._fault)
            return taken

    def give_back(self, fault: Fault) -> None:
        """Keep the fault for the next call, as it did not apply to this one."""
        with self._lock:
            self._fault = fault

    def ask(self, method: str, path: str, headers: Any, body: bytes) -> requests.Response:
        kept = {name: value for name, value in headers.items() if name.lower() not in _HOP}
        return self._session.request(
            method, self.upstream + path, headers=kept, data=body, timeout=60, allow_redirects=False
        )


def _handler(gateway: Gateway) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def reply(self) -> None:
            self.close_connection = True
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fault = gateway.take()
            found = None if fault and not fault.forwarded else gateway.ask(self.command, self.path, self.headers, body)
            response = (
                Response(found.status_code, found.headers.get("Content-Type", ""), found.content)
                if found is not None
                else None
            )
            with contextlib.suppress(OSError):  # the client may hang up
                if fault and (response is None or response.status < 300):
                    gateway.landed = f"{self.command} {self.path}"
                    if fault.write(self.connection, response):
                        return
                if fault:
                    gateway.landed = ""
                    gateway.give_back(fault)
                if found is not None:
                    self.pass_on(found)

        def pass_on(self, found: requests.Response) -> None:
            more = [f"{name}: {value}" for name, value in found.headers.items() if name.lower() not in _OURS]
            kind = found.headers.get("Content-Type", "text/plain")
            self.connection.sendall(
                head(f"{found.status_code} {found.reason}", kind, len(found.content), *more) + found.content
            )

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = reply  # noqa: N815 - http.server looks for these

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler
