"""A small web server on loopback, whose files and habits a test sets; and how commands find an object store."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import pytest
from proofs.storage import S3


@dataclass
class WebServer:
    """Serves ``files`` by path. ``requests`` are those that came: method, and path with its query.

    ``validators`` says whether answers have an ETag, ``chunked`` whether they have no length, ``head`` is the status of answers to
    HEAD where it is not that of GET, and ``status`` that of all answers.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    validators: bool = True
    chunked: bool = False
    head: int | None = None
    status: int | None = None

    def __enter__(self) -> Self:
        this = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_HEAD(self) -> None:
                this.answer(self)

            def do_GET(self) -> None:
                this.answer(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests.append((handler.command, handler.path))
        content = self.files.get(handler.path.partition("?")[0])
        tag = f'"{sha1(content or b"").hexdigest()}"'
        status = 404 if content is None else 200
        if content is not None and self.validators and handler.headers.get("If-None-Match") == tag:
            status = 304
        if handler.command == "HEAD" and self.head is not None:
            status = self.head
        status = self.status or status
        self.statuses.append(status)
        body = content if status == 200 and content is not None else b""
        handler.send_response(status)
        if self.validators and status in (200, 304):
            handler.send_header("ETag", tag)
        if self.chunked and body:
            handler.send_header("Transfer-Encoding", "chunked")
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        elif status != 304:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if handler.command == "GET":
            handler.wfile.write(body)


def environment(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the options of an S3 server as variables, from which commands have them."""
    for name, value in (s3.options or {}).items():
        monkeypatch.setenv(name.upper() if name.startswith("aws") else f"AWS_{name.upper()}", value)
