"""Does jobs in this process, and in others of this machine; each opens the dataset and the tool for itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TypeVar

from ..backend.checked import CheckedBackend
from ..exceptions import InvalidOption
from ..jobs.calls import Caller, require_workers
from ..jobs.execution import LOCAL, Execution
from ..jobs.shared import SharedJobs, in_order
from ..store.stores import Stores
from .place import Place

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


def processes_for(answers: Any, jobs: int, limit: int, execution: Execution = LOCAL) -> int:
    """How many processes of this machine do so many jobs: one, if others cannot reach the tool.

    Args:
        answers: the tool.
        jobs: the number of jobs.
        limit: the largest number of tasks that the tool takes at once.
        execution: how many processes there may be.
    """
    is_shared = isinstance(answers, CheckedBackend) and not answers.in_process
    return min(execution.processes(jobs), limit) if is_shared else 1


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
    if count < 2:
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
