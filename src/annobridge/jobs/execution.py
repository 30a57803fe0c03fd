"""Where jobs run, as a value."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..exceptions import ExecutorError, InvalidOption
from ..executors import registry
from ..executors.base import Adapter, Cluster, Executor
from ..executors.local import LocalProcesses, cores
from ..settings import config
from ..settings.layers import EXECUTION

ExecutorChoice: TypeAlias = str | Executor | None  # see ``Dataset.load_annotations``

JOBS_PER_CALL = 2  # a worker downloads one while it merges the other; for fewer, a process is not worth its start
LABELS_AT_ONCE = 60_000  # 80,000 take some 30 MiB more, and a twentieth less CPU


@dataclass(frozen=True)
class Execution:
    """An adapter, and what it is asked for.

    Attributes:
        adapter: connects to the workers.
        workers: how many jobs run at once; ``None`` for as many as there are cores, or as a cluster has room for.
        address: of the cluster.
        labels_per_job: how many labels are sent or planned at once.
    """

    adapter: Adapter = field(default_factory=LocalProcesses)
    workers: int | None = None
    address: str | None = None
    labels_per_job: int = LABELS_AT_ONCE

    @classmethod
    def of(cls, given: dict[str, Any]) -> Execution:
        """From the options of a load, which are taken out of ``given``, and the settings.

        Raises:
            ConfigError: there is no such executor, a package is missing, or a value cannot be used.
        """
        arguments = {name: given.pop(name, None) for name in EXECUTION}
        labels = given.pop("labels_per_job", LABELS_AT_ONCE)
        chosen = config.resolve_execution(arguments)
        name = chosen.executor
        adapter = registry.get(name) if isinstance(name, str) else registry.GivenExecutor(name)
        if arguments["executor_address"] is not None and not adapter.takes_address:
            raise InvalidOption(
                f"executor_address={chosen.address!r} is the address of a cluster, which "
                f"executor={_shown(name)} does not take; leave it out, or name the executor."
            )
        return cls(adapter, chosen.workers, chosen.address, labels)

    @property
    def on_cluster(self) -> bool:
        """Whether the workers are on other machines, as far as this process knows."""
        return not self.adapter.on_this_machine

    @property
    def at_once(self) -> int:
        """How many tasks are worked on at once on this machine."""
        return self.workers or cores()

    def processes(self, jobs: int) -> int:
        """How many processes of this machine are used for so many jobs."""
        return min(self.at_once, jobs // JOBS_PER_CALL)

    def connected(self, workers: int | None = None) -> AbstractContextManager[Cluster]:
        """Connect to the workers for a block; see ``Adapter``."""
        return self.adapter.connected(self.address, workers or self.workers)


LOCAL = Execution()


@contextmanager
def telling(what_was_done: str) -> Iterator[None]:
    """Add a sentence to an ``ExecutorError`` of a block: what was done nevertheless, and how to go on."""
    try:
        yield
    except ExecutorError as error:
        raise ExecutorError(f"{error} {what_was_done}") from error


def _shown(executor: Any) -> str:
    return repr(executor) if isinstance(executor, str) else type(executor).__name__
