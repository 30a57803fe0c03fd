"""The DataGym servers that tests speak with: doubles of both editions, and a real one where the environment names it.

``ANNOBRIDGE_TEST_DATAGYM_URL`` with ``_TOKEN`` (hosted; then ``_PROJECT`` names an existing, empty project for images) or without
(open-core) names the real one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
from tests.doubles.datagym import places, server

PROJECT = "Road signs"
_NAMES = {name: f"ANNOBRIDGE_TEST_DATAGYM_{name}" for name in ("URL", "TOKEN", "PROJECT")}
HAS_REAL = bool(os.environ.get(_NAMES["URL"]))


@dataclass
class Server:
    """An address and how to be let in; ``double`` is the double behind it, if it is one."""

    url: str
    token: str | None = None
    project: str | None = None
    double: Any = None
    session: requests.Session = field(default_factory=requests.Session)

    @property
    def v1(self) -> bool:
        return self.token is not None

    def options(self) -> dict[str, Any]:
        given = {"url": self.url, "token": self.token, "project_name": self.project}
        return {name: value for name, value in given.items() if value is not None}

    def call(
        self,
        method: str,
        v1: str,
        internal: str | None = None,
        headers_: dict[str, str] | None = None,
        **arguments: Any,
    ) -> Any:
        """A call in the server's dialect, as a browser makes it."""
        path = f"/api/v1/{v1}" if self.v1 else f"/api/{internal or v1}"
        headers = {"Authorization": f"Token {self.token}"} if self.v1 else {}
        headers |= headers_ or {}
        answer = self.session.request(method, self.url.rstrip("/") + path, headers=headers, timeout=60, **arguments)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        return answer.json() if answer.content else None

    def finish(self, tasks: list[str]) -> None:
        """Finish tasks, as a labeler does with the last button."""
        for task in tasks:
            seen = self.call("GET", f"task/{task}")
            body = {"lastChangedConfig": seen["lastChangedConfig"]}
            self.call("PUT", f"task/{task}/completeTask", json=body)


@contextmanager
def hosted() -> Iterator[Server]:
    """A double of the hosted edition, with one project."""
    with server.running("hosted") as double:
        body = {"owner": double.state.owner, "name": PROJECT, "shortDescription": "signs"}
        places.create_project(double.state, body)
        yield Server(double.url, server.TOKEN, PROJECT, double)


@contextmanager
def open_core() -> Iterator[Server]:
    """A double of the open edition."""
    with server.running("open-core") as double:
        yield Server(double.url, double=double)


def real() -> Server:
    """The server of the environment."""
    given = {name: os.environ.get(variable) for name, variable in _NAMES.items()}
    return Server(given["URL"] or "", given["TOKEN"], given["PROJECT"])
