"""The Label Studio servers that tests use: a double, and a real server if the environment names one.

``ANNOBRIDGE_TEST_LABELSTUDIO_URL`` and ``_TOKEN`` name the real one; ``_EMAIL`` and ``_PASSWORD`` log a browser in. The tests make
projects of their own there, and delete them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests

_NAMES = {name: f"ANNOBRIDGE_TEST_LABELSTUDIO_{name}" for name in ("URL", "TOKEN", "EMAIL", "PASSWORD")}
GIVEN = {name: os.environ.get(variable, "") for name, variable in _NAMES.items()}
HAS_REAL = bool(GIVEN["URL"] and GIVEN["TOKEN"])


@dataclass
class Server:
    """The address of a server, and a legacy token of it; ``double`` is its double, if it is not a real one."""

    url: str
    token: str
    double: Any = None

    def options(self) -> dict[str, Any]:
        """The options that every call needs."""
        return {"url": self.url, "token": self.token}

    def send(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """Make a call."""
        headers = {"Authorization": f"Token {self.token}"}
        return requests.request(method, self.url.rstrip("/") + path, headers=headers, timeout=60, **arguments)

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        """The JSON of the answer to a call that succeeds."""
        answer = self.send(method, path, **arguments)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        return answer.json() if answer.content else None


@contextmanager
def real() -> Iterator[Server]:
    """The server that the environment names, without the projects that a test leaves."""
    server = Server(GIVEN["URL"], GIVEN["TOKEN"])
    before = _projects(server)
    try:
        yield server
    finally:
        for number in _projects(server) - before:
            server.send("DELETE", f"/api/projects/{number}/")


def _projects(server: Server) -> set[int]:
    return {project["id"] for project in server.call("GET", "/api/projects?page_size=10000&include=id")["results"]}
