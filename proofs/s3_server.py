"""An S3 server (moto) on a free port, which it prints.

Calls are served one at a time: moto checks whether an object exists and then writes it, and a conditional write has to be atomic,
as it is on S3.

Tests may have it misbehave. ``PUT /-/habits`` takes ``Habits`` as JSON, and ``GET /-/requests`` gives method, path and status of
the requests since then.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.datastructures import Headers
from werkzeug.serving import make_server
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Response


@dataclass
class Fault:
    """An answer in place of that of moto.

    Attributes:
        status: the status of the answer.
        code: the code in its body, as ``AccessDenied``.
        methods: the methods of the requests that get it; all by default.
        path: an expression that is looked for in path and query of the request.
        token: the session token of the requests that get it; any by default.
        skip: how many such requests are served before.
        times: how many are answered so; all by default.
        served: carry the request out before.
        then: after the first of such requests, all others with that token get the answer too, whatever they are.
    """

    status: int
    code: str
    methods: list[str] = field(default_factory=list)
    path: str = ""
    token: str | None = None
    skip: int = 0
    times: int | None = None
    served: bool = False
    then: bool = False

    def meets(self, environ: dict[str, Any], path: str) -> bool:
        """Whether a request is to be answered so; counts it."""
        if (self.methods and environ["REQUEST_METHOD"] not in self.methods) or not re.search(self.path, path):
            return False
        if self.token not in (None, environ.get("HTTP_X_AMZ_SECURITY_TOKEN")) or self.times == 0:
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True

    def go_on(self) -> None:
        """What follows the first answer."""
        if self.then:
            self.methods, self.path, self.served = [], "", False

    def answer(self, environ: dict[str, Any]) -> Response:
        """The answer, which names the token, as that of S3 does."""
        token = environ.get("HTTP_X_AMZ_SECURITY_TOKEN", "")
        body = f"<Error><Code>{self.code}</Code><Message>No.</Message><Token-0>{token}</Token-0></Error>"
        return Response(body, self.status, mimetype="application/xml")


@dataclass
class Habits:
    """How the server differs from S3.

    Attributes:
        conditions: whether it heeds ``If-None-Match`` and ``If-Match``.
        clock: how many seconds its clock is ahead.
        faults: answers in place of those of moto.
    """

    conditions: bool = True
    clock: float = 0
    faults: list[Fault] = field(default_factory=list)


class S3App:
    """The application: moto, with habits."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        self._habits = Habits()
        self._requests: list[tuple[str, str, int]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with self._lock:
            path = f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}"
            response = self._control(environ) if path.startswith("/-/") else self._served(environ, path)
            return response(environ, start_response)

    def _control(self, environ: dict[str, Any]) -> Response:
        if environ["REQUEST_METHOD"] == "GET":
            return Response(json.dumps(self._requests), mimetype="application/json")
        given = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        self._habits = Habits(**given | {"faults": [Fault(**fault) for fault in given["faults"]]})
        self._requests = []
        return Response("")

    def _served(self, environ: dict[str, Any], path: str) -> Response:
        if not self._habits.conditions:
            for name in ("HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH"):
                environ.pop(name, None)
        fault = next((fault for fault in self._habits.faults if fault.meets(environ, path)), None)
        if fault is None or fault.served:
            body, status, headers = run_wsgi_app(self._moto, environ, buffered=True)
            self._set_clock(headers)
            response = Response(list(body), status, headers)
        if fault is not None:
            response = fault.answer(environ)
            fault.go_on()
        self._requests.append((environ["REQUEST_METHOD"], path, response.status_code))
        return response

    def _set_clock(self, headers: Headers) -> None:
        if self._habits.clock and "Last-Modified" in headers:
            time = parsedate_to_datetime(headers["Last-Modified"]) + timedelta(seconds=self._habits.clock)
            headers["Last-Modified"] = format_datetime(time, usegmt=True)


def main() -> None:
    """Serve until the process that started this one ends."""
    server = make_server("127.0.0.1", 0, S3App(), threaded=True)
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
