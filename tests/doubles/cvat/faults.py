"""Planned faults: answers that replace those of the handlers, and answers that are lost."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from .messages import HTML_TYPE, Answer, Json, answer


@dataclass
class Fault:
    """`status` answers without handling the call; `drop` handles it and loses the answer, `cut` loses its end."""

    method: str
    path: re.Pattern[str]
    status: int | None
    body: Json
    headers: Mapping[str, str]
    times: int
    drop: bool
    delay: float
    cut: int | None = None

    def answer(self) -> Answer | None:
        if self.status is None:
            return None
        if isinstance(self.body, str | bytes):
            content = self.body.encode() if isinstance(self.body, str) else self.body
            found = Answer(self.status, content, HTML_TYPE)
        else:
            found = Answer(self.status) if self.body is None else answer(self.body, self.status)
        kind = next((value for name, value in self.headers.items() if name.lower() == "content-type"), None)
        found.content_type = kind or found.content_type
        found.headers += [(name, value) for name, value in self.headers.items() if name.lower() != "content-type"]
        return found


@dataclass
class Faults:
    """The planned faults, in order."""

    planned: list[Fault] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, fault: Fault) -> None:
        with self.lock:
            self.planned.append(fault)

    def clear(self) -> None:
        with self.lock:
            self.planned.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """Remove and return the first fault that applies to this call."""
        with self.lock:
            for fault in self.planned:
                if fault.method in ("*", method) and fault.path.search(path):
                    fault.times -= 1
                    if fault.times <= 0:
                        self.planned.remove(fault)
                    return fault
        return None
