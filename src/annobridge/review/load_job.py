"""A load that was started from the page: it runs in a thread of its own, and says how far it is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ..exceptions import AnnobridgeError, TooManyDeletions, UnexpectedLabels
from .reviewed import Report

IDLE, RUNNING, DONE, FAILED = "idle", "running", "done", "failed"
_UNEXPECTED = (
    "The page cannot ask: end this review, and start it again with --unexpected keep, ignore or return (in Python, "
    "plan_annotations(…, unexpected=…)). What was decided stays."
)


class LoadJob:
    """One load at a time; the last one's outcome is kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._state: dict[str, Any] = self._new(IDLE)

    @property
    def is_running(self) -> bool:
        """Whether a load is going on."""
        return bool(self._state["state"] == RUNNING)

    def start(self, load: Callable[[Callable[[int, int], None]], Report], after: Callable[[], str | None]) -> bool:
        """Start a load; ``False`` if one is going on.

        Args:
            load: called with a function that takes (done, total).
            after: called after a load that was done, before anybody is told; returns a remark, if there is one.
        """
        with self._lock:
            if self.is_running:
                return False
            self._state = self._new(RUNNING)
            self._thread = threading.Thread(target=self._run, args=(load, after), name="annobridge load")
            self._thread.start()
            return True

    def wait(self) -> None:
        """Wait for the load that is going on, if there is one."""
        if self._thread is not None:
            self._thread.join()

    def state(self) -> dict[str, Any]:
        """How far it is, as the API says it."""
        return dict(self._state)

    def _run(self, load: Callable[[Callable[[int, int], None]], Report], after: Callable[[], str | None]) -> None:
        try:
            report = load(self._progress)
        except AnnobridgeError as error:
            text = f"{error} {_UNEXPECTED}" if isinstance(error, UnexpectedLabels) else str(error)
            self._fail(text, isinstance(error, TooManyDeletions))
            return
        except BaseException as error:
            self._fail(f"The load failed unexpectedly: {error!r}.")
            raise
        done = {"state": DONE, "report": report.to_dict(), "lines": repr(report).splitlines()}
        try:
            remark = after()
        except BaseException as error:
            self._state = self._state | done | {"lines": [*done["lines"], f"Afterwards, something failed: {error!r}."]}
            raise
        self._state = self._state | done | {"lines": [*done["lines"], *([remark] if remark else [])]}

    def _fail(self, text: str, can_force: bool = False) -> None:
        self._state = self._state | {"state": FAILED, "error": text, "can_force": can_force}

    def _progress(self, done: int, total: int) -> None:
        self._state = {**self._state, "done": done, "total": total}

    @staticmethod
    def _new(state: str) -> dict[str, Any]:
        return {"state": state, "done": 0, "total": 0, "report": None, "lines": [], "error": None, "can_force": False}
