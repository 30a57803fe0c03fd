"""The CVAT servers that tests speak with: doubles of two versions, and a real one where the environment names it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import requests

_NAMES = {name: f"ANNOBRIDGE_TEST_CVAT_{name}" for name in ("URL", "USERNAME", "PASSWORD", "TOKEN")}
HAS_REAL = bool(os.environ.get(_NAMES["URL"]))


@dataclass(frozen=True)
class Server:
    """An address, and a token of somebody who may do everything there; ``double`` is the double behind it, if it is one."""

    url: str
    token: str
    double: Any = None


def real() -> Server:
    """The server of the environment."""
    given = {name: os.environ.get(variable, "") for name, variable in _NAMES.items()}
    if given["TOKEN"]:
        return Server(given["URL"], given["TOKEN"])
    login = {"username": given["USERNAME"], "password": given["PASSWORD"]}
    answer = requests.post(f"{given['URL'].rstrip('/')}/api/auth/login", json=login, timeout=60)
    answer.raise_for_status()
    return Server(given["URL"], answer.json()["key"])
