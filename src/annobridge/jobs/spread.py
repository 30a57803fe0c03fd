"""Calls that do not depend on each other, spread over processes of this machine, or over the workers of a cluster."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from ..exceptions import ExecutorError
from .calls import Caller, require_workers
from .execution import Execution
from .shared import SharedJobs, in_order

Shared = TypeVar("Shared")
Job = TypeVar("Job")
Result = TypeVar("Result")

JOBS_PER_PROCESS = 16  # of some 40 ms each: for fewer, a process is not worth its start


class SpreadCalls:
    """Calls where an execution says; this process takes part, unless they are on a cluster.

    Args:
        execution: where.
        places: files and folders that workers have to see.
    """

    def __init__(self, execution: Execution, places: Sequence[str]) -> None:
        self._execution, self._places = execution, tuple(places)

    def processes(self, jobs: int) -> int:
        """How many processes so many jobs are worth."""
        worth = jobs // JOBS_PER_PROCESS
        return worth if self._execution.on_cluster else min(self._execution.at_once, worth)

    def results(
        self, function: Callable[[Shared, Job], Result], shared: Shared, jobs: Iterable[Job], count: int
    ) -> Iterator[Result]:
        """The results of ``function(shared, job)``, in the order of the jobs.

        Args:
            function: what others can import. It raises nothing that depends on a job.
            shared: its first argument.
            jobs: its second arguments. They are made one by one, in any thread.
            count: how many jobs there are, about.

        Raises:
            ExecutorError: the workers are not there, do not see ``places``, or ended.
        """
        if (processes := self.processes(count)) < 2:
            yield from (function(shared, job) for job in jobs)
        elif self._execution.on_cluster:
            with self._execution.connected() as cluster:
                require_workers(cluster)
                caller = Caller(cluster, _where_seen, self._places, function, shared)
                yield from in_order(caller.submit, jobs, cluster.at_once)
        else:
            with self._execution.connected(processes - 1) as cluster:
                caller = Caller(cluster, function, shared, names_host=False)
                yield from SharedJobs(jobs, caller.submit, processes - 1).results(lambda job: function(shared, job))


def _where_seen(places: Sequence[str], function: Callable[[Any, Any], Any], shared: Any, job: Any) -> Any:
    """Make a call in a worker, which has to see some places."""
    for place in places:
        if not os.path.exists(place):
            raise ExecutorError(
                f"A worker on {socket.gethostname()} does not see {place!r}; workers need the source at the same path, as on a "
                "shared disk. Or leave executor= out."
            )
    return function(shared, job)
