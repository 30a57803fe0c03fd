"""Runs the jobs of a load in this process, or in others, each of which opens the dataset and the tool for itself."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from typing import Any, Protocol, TypeVar

from pydantic import SecretStr

from ..backend.base import AnnotationBackend
from ..backend.checked import CheckedBackend
from ..core.arrow_memory import system_memory
from ..exceptions import ExecutorError, InvalidOption
from ..store.stores import Stores
from ..store.tables import Database

_JOBS_PER_WORKER = 2  # from which on a process of its own pays off, as it takes most of a second to start
_IDLE = 60  # seconds after which a process that has nothing to do ends

Item = TypeVar("Item")
Result = TypeVar("Result")
Job_contra = TypeVar("Job_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)


@dataclass(frozen=True)
class Execution:
    """Where jobs run."""

    workers: int | None = None  # processes; None: as many as there are cores

    def __post_init__(self) -> None:
        if self.workers is not None and (type(self.workers) is not int or self.workers < 1):
            raise InvalidOption(f"workers={self.workers!r} is not a number of workers; give 1 or more.")

    @property
    def at_once(self) -> int:
        """How many tasks are worked on at once."""
        return self.workers or _cores()

    def processes(self, jobs: int) -> int:
        """How many processes are used for so many jobs."""
        return min(self.at_once, jobs // _JOBS_PER_WORKER)


LOCAL = Execution()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, eq=False)
class Place:
    """What a worker needs to open the dataset and the tool. It holds credentials, so it is only ever sent to workers."""

    uri: str
    storage_options: dict[str, str] | None
    backend: type[AnnotationBackend]
    options: dict[str, Any]

    def __repr__(self) -> str:
        return f"Place({self.uri!r}, {self.backend.name!r})"

    @classmethod
    def of(cls, stores: Stores, answers: CheckedBackend) -> Place:
        """The place of this dataset and tool."""
        return cls(stores.database.uri, stores.database.storage_options, answers.type, _revealed(answers.config))


@lru_cache(1)
def _opened(place: Place) -> tuple[Stores, CheckedBackend]:
    """The dataset and the tool, which a worker opens once for a load."""
    stores = Stores.open(Database.open(place.uri, place.storage_options))
    return stores, CheckedBackend(place.backend(place.backend.Config(**place.options)))


def _revealed(config: Any) -> dict[str, Any]:
    """The options of a backend that were set, credentials in plain text."""
    return {name: _plain(getattr(config, name)) for name in config.model_fields_set}


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return {key: _plain(one) for key, one in value.items()} if isinstance(value, dict) else value


class Work(Protocol[Job_contra, Result_co]):
    """A function that does some jobs; other processes can import it."""

    def __call__(
        self, stores: Stores, answers: Any, context: Any, jobs: Iterable[Job_contra], /
    ) -> Iterator[Result_co]:
        """Do the jobs; the results come in their order."""
        ...


def run_jobs(
    stores: Stores, answers: Any, work: Work[Item, Result], context: Any, jobs: Iterable[Item], count: int
) -> Iterator[Result]:
    """Do jobs in ``count`` processes, or in this one; the results come in the order of the jobs.

    Args:
        stores: the dataset.
        answers: the tool.
        work: what is done.
        context: its third argument, which is the same for all jobs.
        jobs: the jobs.
        count: the number of processes.
    """
    if count < 2 or not isinstance(answers, CheckedBackend) or answers.in_process:
        yield from work(stores, answers, context, jobs)
        return
    with processes(count) as executor:
        do = partial(_work, Place.of(stores, answers), work, context)
        for results in in_order(executor, do, _parts(jobs), 2 * count):
            yield from results


def _parts(jobs: Iterable[Item]) -> Iterator[list[Item]]:
    remaining = iter(jobs)
    while some := list(islice(remaining, _JOBS_PER_WORKER)):
        yield some


def _work(place: Place, work: Work[Item, Result], context: Any, jobs: Sequence[Item]) -> list[Result]:
    """Do some jobs in a worker."""
    with system_memory():
        return list(work(*_opened(place), context, jobs))


@contextmanager
def processes(count: int) -> Iterator[Executor]:
    """Processes of this machine, which are kept for a while: the next load finds them running.

    They import what they need by themselves, so a script needs no ``if __name__ == "__main__"``.
    """
    from loky import get_reusable_executor
    from loky.process_executor import TerminatedWorkerError

    executor = get_reusable_executor(count, timeout=_IDLE)
    try:
        yield executor
    except TerminatedWorkerError as error:
        raise ExecutorError(
            "A worker process was ended by the system, perhaps for want of memory. Nothing was written; try again, with fewer "
            "workers."
        ) from error
    except BaseException:
        executor.shutdown(wait=False, kill_workers=True)
        raise


def in_order(
    executor: Executor, function: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Iterator[Result]:
    """``function`` of each item, in their order, while up to ``ahead`` of them are worked on."""
    running: deque[Future[Result]] = deque()
    try:
        for item in items:
            running.append(executor.submit(function, item))
            if len(running) >= ahead:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:  # after an error, what has not begun is not asked for
        for future in running:
            future.cancel()
