"""Jobs that several processes share: each takes the next one as soon as it is free, and the results come in their order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from typing import Any, Generic, TypeVar

from ..exceptions import AnnobridgeError
from .execution import JOBS_PER_CALL

Item = TypeVar("Item")
Result = TypeVar("Result")

_RESULTS_AHEAD = 4  # of each process, that wait for an earlier one


class SharedJobs(Generic[Item, Result]):
    """Jobs that are done by other processes and by this one, each of which takes the next one as soon as it is free.

    Args:
        jobs: the jobs. They are made one by one, in any thread.
        submit: hands one over to another process.
        others: how many other processes there are.
    """

    def __init__(self, jobs: Iterable[Item], submit: Callable[[Item], Future[Result]], others: int) -> None:
        self._jobs, self._submit, self._others = iter(jobs), submit, others
        self._results: deque[Future[Result]] = deque()  # in the order of the jobs
        self._running = 0
        self._lock = threading.RLock()  # a future may call back at once

    def results(self, do: Callable[[Item], Result]) -> Iterator[Result]:
        """The result of each job, in their order. ``do`` does one in this process. An ``AnnobridgeError`` that another process
        returns is raised.
        """
        self._hand_over()
        try:
            while taken := self._take():
                job, future = taken
                future.set_result(do(job))
                while self._results and self._results[0].done():
                    yield _result(self._results.popleft())
                    self._hand_over()
            while self._results:
                yield _result(self._results.popleft())
        finally:
            self._jobs = iter(())  # after an error, no other one is handed over

    def _take(self) -> tuple[Item, Future[Result]] | None:
        """The next job for this process, with the future of its result, or ``None`` when no job is left."""
        with self._lock:
            for job in self._jobs:
                self._results.append(Future())
                return job, self._results[-1]
        return None

    def _hand_over(self) -> None:
        """Give each other process that is free a job, unless so many results wait for an earlier one."""
        with self._lock:
            while self._running < self._others and len(self._results) < _RESULTS_AHEAD * (self._others + 1):
                job = next(self._jobs, None)
                if job is None:
                    return
                self._running += 1
                self._results.append(self._submit(job))
                self._results[-1].add_done_callback(self._ended)

    def _ended(self, future: Future[Result]) -> None:
        """One of the other processes is free. This is called in a thread of the executor, where nobody would see an error."""
        with self._lock:
            self._running -= 1
            if future.cancelled() or future.exception() or isinstance(future.result(), AnnobridgeError):
                return
            try:
                self._hand_over()
            except Exception as error:
                self._results.append(Future())
                self._results[-1].set_exception(error)
                self._jobs = iter(())


def of_calls(jobs: Iterable[Item]) -> Iterator[list[Item]]:
    """The jobs of each call."""
    remaining = iter(jobs)
    while some := list(islice(remaining, JOBS_PER_CALL)):
        yield some


def in_order(submit: Callable[[Item], Future[Any]], items: Iterable[Item], ahead: int) -> Iterator[Any]:
    """The result of a call for each item, in their order, while up to ``ahead`` of them are worked on.

    An ``AnnobridgeError`` that is returned is raised.
    """
    running: deque[Future[Any]] = deque()
    try:
        for item in items:
            running.append(submit(item))
            if len(running) >= ahead:
                yield _result(running.popleft())
        while running:
            yield _result(running.popleft())
    finally:  # after an error, what has not begun is not asked for
        for future in running:
            future.cancel()


def _result(future: Future[Any]) -> Any:
    result = future.result()
    if isinstance(result, AnnobridgeError):
        raise result
    return result
