"""Does jobs in this process, or in others of this machine; each opens the dataset and the tool for itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from itertools import islice
from typing import Any, Protocol, TypeVar

from ..backend.checked import CheckedBackend
from ..exceptions import AnnobridgeError
from ..store.stores import Stores
from .execution import JOBS_PER_CALL, LOCAL, Execution
from .place import Place
from .worker_calls import Caller

Item = TypeVar("Item")
Result = TypeVar("Result")
Job_contra = TypeVar("Job_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)


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
    """Do jobs in ``count`` processes, or in this one; the results come in the order of the jobs.

    Args:
        stores: the dataset.
        answers: the tool.
        work: what is done.
        context: its third argument, which is the same for all jobs.
        jobs: the jobs.
        count: the number of processes.
        execution: which processes of this machine they are.
    """
    if count < 2 or not isinstance(answers, CheckedBackend) or answers.in_process:
        yield from work(stores, answers, context, jobs)
        return
    with execution.connected(count) as cluster:
        caller = Caller(cluster, _work, Place.of(stores, answers), work, context, names_host=False)
        for results in in_order(caller.submit, ([job] for job in jobs), cluster.at_once):
            yield from results


def _work(place: Place, work: Work[Item, Result], context: Any, jobs: Sequence[Item]) -> list[Result]:
    return list(work(place.dataset.stores, place.tool, context, jobs))


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
