"""Logins that expire: made before the first call, and renewed before they expire or when the server refuses them."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

_EARLY = 0.2  # of its lifetime: how long before its end a login is renewed


@dataclass(frozen=True, slots=True)
class Login:
    """Headers for authentication, and for how many seconds they are valid; ``None`` if that is not known."""

    headers: Mapping[str, SecretStr]
    lifetime: float | None = None


def claims(token: SecretStr) -> dict[str, Any]:
    """What a JSON web token says about itself, as ``"exp"``; nothing for a token of another kind. Signatures are not checked."""
    parts = token.get_secret_value().split(".")
    with suppress(ValueError):
        if len(parts) == 3 and isinstance(found := json.loads(base64.urlsafe_b64decode(f"{parts[1]}==")), dict):
            return found
    return {}


class Renewal:
    """Keeps a login valid. Threads may share it: one logs in while the others wait.

    Args:
        obtain: logs in. It may use the same ``Http``, whose calls do not renew the login meanwhile.
        use: gets the headers of each new login.
        clock: the time in seconds.
    """

    def __init__(
        self,
        obtain: Callable[[], Login],
        use: Callable[[Mapping[str, SecretStr]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._obtain, self._use, self._clock = obtain, use, clock
        self._lock = threading.RLock()
        self._busy = False
        self._number = 0
        self._due: float | None = 0.0

    def ensure_valid(self) -> int:
        """Log in if necessary; returns the number of the valid login."""
        with self._lock:
            if not self._busy and (not self._number or (self._due is not None and self._clock() >= self._due)):
                self._renew()
            return self._number

    def after_refusal(self, number: int) -> bool:
        """Renew the login of this number, unless another thread has. Returns whether it makes sense to try the call again."""
        with self._lock:
            if self._busy:
                return False
            if number == self._number:
                self._renew()
            return True

    def _renew(self) -> None:
        self._busy = True
        try:
            login = self._obtain()
        finally:
            self._busy = False
        self._use(login.headers)
        self._number += 1
        self._due = None if login.lifetime is None else self._clock() + (1 - _EARLY) * login.lifetime
