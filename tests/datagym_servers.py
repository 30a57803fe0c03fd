"""The DataGym servers that tests use: doubles of both editions, and a real server if the environment names one.

``ANNOBRIDGE_TEST_DATAGYM_URL`` with ``_TOKEN`` (hosted) or without (open-core) names the real one. A project has one label
configuration, so each test has a project of its own if the server's API creates one. Otherwise the tests use ``_PROJECT``, an
existing project for images, one after another, and **delete its label configuration and all labels in it**.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
from tests.doubles.datagym import places, server

PROJECT = "Road signs"
OWNER = "open-core-dummy-org-sub"
REPLACING = "replace_config_and_delete_all_labels"
_NAMES = {name: f"ANNOBRIDGE_TEST_DATAGYM_{name}" for name in ("URL", "TOKEN", "PROJECT")}
HAS_REAL = bool(os.environ.get(_NAMES["URL"]))


@dataclass
class Server:
    """The URL and credentials of a server; ``double`` is its double, if it is not a real one."""

    url: str
    token: str | None = None
    project: str | None = None
    double: Any = None
    shared: bool = False  # whether all tests use the project
    session: requests.Session = field(default_factory=requests.Session)

    @property
    def v1(self) -> bool:
        return self.token is not None

    def login(self) -> dict[str, Any]:
        """The options that every call needs."""
        return {name: value for name, value in (("url", self.url), ("token", self.token)) if value is not None}

    def options(self) -> dict[str, Any]:
        """The options of a run."""
        made = self.login() | ({} if self.project is None else {"project_name": self.project})
        return made | ({REPLACING: True} if self.shared else {})

    def call(
        self,
        method: str,
        v1: str,
        internal: str | None = None,
        headers_: dict[str, str] | None = None,
        **arguments: Any,
    ) -> Any:
        """Make a call in the server's dialect."""
        if not self.v1:
            return self.browse(method, internal or v1, headers=headers_, **arguments)
        headers = {"Authorization": f"Token {self.token}"} | (headers_ or {})
        return self._sent(method, f"/api/v1/{v1}", headers=headers, **arguments)

    def browse(self, method: str, path: str, **arguments: Any) -> Any:
        """Make a call of the internal API, which the hosted edition answers to browsers only."""
        return self._sent(method, f"/api/{path}", **arguments)

    def _sent(self, method: str, path: str, **arguments: Any) -> Any:
        answer = self.session.request(method, self.url.rstrip("/") + path, timeout=60, **arguments)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        return answer.json() if answer.content else None

    def finish(self, tasks: list[str]) -> None:
        """Finish tasks, as a labeler does."""
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
    """A double of the open-core edition."""
    with server.running("open-core") as double:
        yield Server(double.url, double=double)


@contextmanager
def real() -> Iterator[Server]:
    """The server that the environment names, with a project for one test."""
    given = {name: os.environ.get(variable) for name, variable in _NAMES.items()}
    server = Server(given["URL"] or "", given["TOKEN"], f"Test {uuid.uuid4().hex}")
    body = {"owner": OWNER, "name": server.project, "shortDescription": "test", "mediaType": "IMAGE"}
    try:
        number = server.browse("POST", "project", json=body)["id"]
    except (AssertionError, ValueError):  # its API creates no projects
        assert given["PROJECT"], f"{server.url} creates no projects by its API: name one in {_NAMES['PROJECT']}"
        server.project, server.shared = given["PROJECT"], True
        yield server
        return
    try:
        yield server
    finally:
        for dataset in server.browse("GET", f"project/{number}")["datasets"]:
            server.browse("DELETE", f"dataset/{dataset['id']}")
        server.browse("DELETE", f"project/{number}")


KINDS = ["hosted", "open_core", *(["real"] if HAS_REAL else [])]
DOUBLES = KINDS[:2]


def running(kind: str) -> AbstractContextManager[Server]:
    """A server of one of the ``KINDS``."""
    makers: dict[str, Callable[[], AbstractContextManager[Server]]]
    makers = {"hosted": hosted, "open_core": open_core, "real": real}
    return makers[kind]()
