"""The Label Studio servers that tests use: a double, and a real server if the environment names one.

``ANNOBRIDGE_TEST_LABELSTUDIO_URL`` and ``_TOKEN`` name the real one; ``_EMAIL`` and ``_PASSWORD`` log a browser in. The tests make
projects of their own there, and delete them.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import requests
from tests.doubles.labelstudio import server

from annobridge_labelstudio.api import Api

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
def double() -> Iterator[Server]:
    """A double."""
    with server.running() as made:
        yield Server(made.url, server.TOKEN, made)


@contextmanager
def real() -> Iterator[Server]:
    """The server that the environment names; the projects that are made there meanwhile are deleted."""
    real, made, create = Server(GIVEN["URL"], GIVEN["TOKEN"]), list[int](), Api.create_project

    def note(api: Api, *arguments: Any) -> dict[str, Any]:
        project = create(api, *arguments)
        made.append(project["id"])
        return project

    try:
        with patch.object(Api, "create_project", note):
            yield real
    finally:
        for number in made:
            tries = (real.send("DELETE", f"/api/projects/{number}/").status_code for _ in range(5))
            assert any(status in (204, 404) for status in tries)  # a database that is locked answers 500


def second(server_: Server) -> Server:
    """The server, as a second person sees it; on a real one, somebody who has just signed up by an invitation."""
    if server_.double:
        return Server(server_.url, server.OTHER, server_.double)
    url = server_.url.rstrip("/") + server_.call("GET", "/api/invite")["invite_url"]
    session = requests.Session()
    (secret,) = re.findall(r'csrfmiddlewaretoken" value="([^"]+)', session.get(url, timeout=60).text)
    form = {"csrfmiddlewaretoken": secret, "email": f"{uuid.uuid4().hex[:8]}@example.com", "password": uuid.uuid4().hex}
    session.post(url, data=form, headers={"Referer": url}, timeout=60).raise_for_status()
    answer = session.get(f"{server_.url.rstrip('/')}/api/current-user/token", timeout=60)
    return Server(server_.url, answer.json()["token"])
