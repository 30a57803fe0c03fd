"""Tokens that expire: got before the first call, and got again before they are over, or when the server refuses one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import SecretStr

EARLY = 0.2  # of its lifetime: how long before its end a token is renewed


@dataclass(frozen=True, slots=True)
class Login:
    """Headers that let us in, and for how many seconds they do; ``None`` where that is not known."""

    headers: Mapping[str, SecretStr]
    lifetime: float | None = None


class Renewal:
    """Keeps a login fresh. Threads may share it: one of them logs in, the others wait.

    ``obtain`` may use the same ``Http``: its own calls renew nothing.
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

    def fresh(self) -> int:
        """Have a login that is not over; its number."""
        with self._lock:
            if not self._busy and (not self._number or (self._due is not None and self._clock() >= self._due)):
                self._renew()
            return self._number

    def after_refusal(self, number: int) -> bool:
        """Log in anew, unless that was done since the login of this number; ``False`` if it is of no use."""
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
        self._due = None if login.lifetime is None else self._clock() + (1 - EARLY) * login.lifetime
