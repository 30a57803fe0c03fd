"""The HTTP side: connections, bodies, compression, records of the calls, faults."""

from __future__ import annotations

import gzip
import socket
import sys
import threading
import traceback
import uuid
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .creation import work
from .errors import ApiError, PageError, TextError, crash, unknown_path
from .faults import Faults
from .messages import API_TYPE, HTML_TYPE, Answer, Request, answer, parse_query, plain
from .router import dispatch
from .state import State

SMALLEST_COMPRESSED = 200
PREFIX = "/api"


@dataclass(frozen=True)
class Record:
    """One call as it came: `size` is that of its body, `status` is None when the answer was lost."""

    method: str
    path: str
    query: dict[str, str]
    status: int | None
    size: int


class Server(ThreadingHTTPServer):
    """The listening socket and the open connections."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], state: State) -> None:
        super().__init__(address, Handler)
        self.state, self.faults = state, Faults()
        self.records: list[Record] = []
        self.public_url: str | None = None
        self.connections: dict[socket.socket, threading.Thread] = {}
        self.stopping = threading.Event()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        self.connections[request] = threading.current_thread()
        try:
            super().process_request_thread(request, client_address)
        finally:
            del self.connections[request]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that disconnects is not an error of the server."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def stop(self) -> None:
        """End all connections, also those kept open, and wait for their threads."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        for connection, thread in list(self.connections.items()):
            disconnect(connection)
            thread.join()

    def handled(self, request: Request) -> Answer:
        """The answer to a call; whatever goes wrong in a handler is the server's bare failure, as it is there."""
        with self.state.lock:
            try:
                work(self.state)
                return dispatch(request, self.state)
            except ApiError as error:
                found = answer(error.body, error.status)
                found.headers += error.headers
                return found
            except PageError as error:
                return Answer(error.status, error.page.encode(), HTML_TYPE)
            except TextError as error:
                return plain(error.text, error.status)
            except Exception:
                self.state.slips.append(traceback.format_exc())
                return Answer(500, crash().page.encode(), HTML_TYPE)


def disconnect(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # closed by the other side already


class Handler(BaseHTTPRequestHandler):
    """Each method is answered in the same way."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def answer_call(self) -> None:
        target, _, query = self.path.partition("?")
        body = self.read_body()
        fault = self.server.faults.take(self.command, target)
        if fault and fault.delay:
            self.server.stopping.wait(fault.delay)
        found = fault.answer() if fault else None
        if found is None:
            found = self.answered(target, query, body)
        lost = fault is not None and fault.drop
        status = None if lost else found.status
        self.server.records.append(Record(self.command, target, parse_query(query), status, len(body)))
        if lost:
            self.close_connection = True
            disconnect(self.connection)
        else:
            self.reply(found, fault.cut if fault else None)

    def answered(self, target: str, query: str, body: bytes) -> Answer:
        if not target.startswith(f"{PREFIX}/"):
            return Answer(404, unknown_path().page.encode(), HTML_TYPE)
        headers = {name.lower(): value for name, value in self.headers.items()}
        host = headers.get("x-forwarded-host") or headers.get("host") or f"127.0.0.1:{self.server.server_port}"
        base_url = self.server.public_url or f"{headers.get('x-forwarded-proto', 'http')}://{host}"
        path = target.removeprefix(PREFIX)
        cookies = parse_cookies(headers.get("cookie", ""))
        return self.server.handled(Request(self.command, path, parse_query(query), headers, body, base_url, cookies))

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def reply(self, found: Answer, cut: int | None) -> None:
        body = found.body
        headers = [*found.headers, ("X-Request-Id", str(uuid.uuid4()))]
        if found.content_type:
            headers.append(("Content-Type", found.content_type))
        wants_less = "gzip" in self.headers.get("Accept-Encoding", "")
        if wants_less and len(body) >= SMALLEST_COMPRESSED and found.content_type in (API_TYPE, HTML_TYPE):
            body = gzip.compress(body, compresslevel=1)
            headers.append(("Content-Encoding", "gzip"))
        self.send_response(found.status)
        for name, value in headers:
            self.send_header(name, value)
        if found.status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:cut])
        if cut is not None:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log nothing: the calls are recorded."""


for _method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"):
    setattr(Handler, f"do_{_method}", Handler.answer_call)


def parse_cookies(text: str) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(text).items()}
    except CookieError:
        return {}
