"""Processes of this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, ClassVar

from ..exceptions import ExecutorError
from .base import Cluster, Executor

_IDLE = 60  # seconds after which a process that has nothing to do ends
_ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "2",  # or glibc keeps what was freed for each of its threads, some 150 MiB
    "LOKY_MAX_MEMORY_LEAK_SIZE": "1e18",  # or loky takes the labels of a job for a leak, and starts the process anew
}


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Watched:
    """An executor of Loky that notices when a process ends which it has just started. Loky looks for such only when it is woken
    afterwards, so a call whose process was killed would be waited for without an end.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        """See ``Executor``."""
        future: Future[Any] = self._executor.submit(function, *arguments)
        self._executor.submit(bool)  # wakes it
        return future


class LocalProcesses:
    """Processes that are kept for a while, so that the next load finds them running.

    They import what they need by themselves, so a script needs no ``if __name__ == "__main__"``.
    """

    on_this_machine: ClassVar[bool] = True
    takes_address: ClassVar[bool] = False

    @contextmanager
    def connected(self, address: str | None, workers: int | None) -> Iterator[Cluster]:  # noqa: ARG002 - none is taken
        """See ``Adapter``."""
        from loky import get_reusable_executor
        from loky.process_executor import TerminatedWorkerError

        count = workers or cores()
        executor = get_reusable_executor(count, timeout=_IDLE, env=_ENVIRONMENT)
        try:
            yield Cluster(_Watched(executor), 2 * count, "processes of this machine")
        except TerminatedWorkerError as error:
            raise ExecutorError(
                "A worker process was ended by the system, perhaps for want of memory; use fewer workers."
            ) from error
        except BaseException:
            executor.shutdown(wait=False, kill_workers=True)
            raise
