"""Does jobs in this process, and in others of this machine; each opens the dataset and the tool for itself."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

from ..backend.checked import CheckedBackend
from ..exceptions import AnnobridgeError, InvalidOption
from ..store.stores import Stores
from .execution import JOBS_PER_CALL, LOCAL, Execution
from .place import Place
from .worker_calls import Caller, require_workers

Item = TypeVar("Item")
Result = TypeVar("Result")
Job_contra = TypeVar("Job_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)


_RESULTS_AHEAD = 4  # of each process, that wait for an earlier one


class Work(Protocol[Job_contra, Result_co]):
    """A function that does some jobs; other processes can import it."""

    def __call__(
        self, stores: Stores, answers: Any, context: Any, jobs: Iterable[Job_contra], /
    ) -> Iterator[Result_co]:
        """Do the jobs; the results come in their order."""
        ...


def run_jobs(
    stores: Stores, answers: Any, work: Work[Item, Result], context: Any, jobs: Iterable[Item], count: int,
    execution: Execution = LOCAL,
) -> Iterator[Result]:  # fmt: skip
    """Do jobs in ``count`` processes, of which this is one; the results come in the order of the jobs.

    Args:
        stores: the dataset.
        answers: the tool.
        work: what is done.
        context: its third argument, which is the same for all jobs.
        jobs: the jobs.
        count: the number of processes.
        execution: which processes of this machine the others are.
    """
    if count < 2 or not isinstance(answers, CheckedBackend) or answers.in_process:
        yield from work(stores, answers, context, jobs)
        return
    with execution.connected(count - 1) as cluster:
        caller = Caller(cluster, _work, Place.of(stores, answers), work, context, names_host=False)
        shared = SharedJobs(jobs, caller.submit, count - 1)
        for results in shared.results(lambda job: list(work(stores, answers, context, [job]))):
            yield from results


def call_cluster(
    stores: Stores, answers: CheckedBackend, work: Work[Item, Result], context: Any, jobs: Iterable[Item],
    execution: Execution,
) -> Iterator[Result]:  # fmt: skip
    """Do jobs in the workers of a cluster, one with each call; the results come in the order of the jobs.

    Raises:
        ExecutorError: the cluster is not there, has other versions, or ended.
        InvalidOption: the tool is in this process, or an argument cannot be sent to workers.
    """
    require_outside(answers)
    with execution.connected() as cluster:
        require_workers(cluster)
        caller = Caller(cluster, _work, Place.of(stores, answers), work, context)
        at_once = min(cluster.at_once, answers.capabilities.parallel_uploads)
        for results in in_order(caller.submit, jobs, at_once):
            yield from results


def require_outside(answers: CheckedBackend) -> None:
    """Raise ``InvalidOption`` for a tool that other machines cannot reach."""
    if answers.in_process:
        raise InvalidOption(
            f"The backend {answers.name!r} is in the memory of this process, where the workers of a cluster cannot reach it; leave "
            "executor= out."
        )


def _work(place: Place, work: Work[Item, Result], context: Any, job: Item) -> list[Result]:
    return list(work(place.dataset.stores, place.tool, context, [job]))


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
