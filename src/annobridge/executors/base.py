"""What a cluster needs to be used: an adapter, which connects to it, and an executor, which takes calls.

Scheduling, data transfer and the repetition of calls whose worker ended are the engine's. It may run a call twice, so calls are
made for that. An adapter is a class without arguments, named by an entry point of the group ``annobridge.executors``.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar

GROUP = "annobridge.executors"
CONNECTING = 10.0  # seconds for a cluster to answer, and again for its first worker

T = TypeVar("T")


class Executor(Protocol):
    """Takes calls, as those of ``concurrent.futures`` do."""

    def submit(self, function: Callable[..., T], /, *arguments: Any) -> Future[T]:
        """Call a function in a worker. What it is given, and what it returns, is pickled."""
        ...


class Cluster(NamedTuple):
    """An executor that is connected.

    Attributes:
        executor: takes calls.
        at_once: how many calls it gets before the first of them has returned.
        name: what it is, for messages, as "the Dask scheduler at tcp://10.0.0.1:8786".
    """

    executor: Executor
    at_once: int
    name: str


class Adapter(Protocol):
    """Connects to one kind of cluster."""

    on_this_machine: ClassVar[
        bool
    ]  # whether its workers are processes of this machine, which read files of its temporary folder
    takes_address: ClassVar[bool]

    def connected(self, address: str | None, workers: int | None) -> AbstractContextManager[Cluster]:
        """Connect for a block, in which the failures of the engine are raised as ``ExecutorError``.

        Args:
            address: of the cluster; ``None`` for the one that this process, or its environment, knows.
            workers: how many calls run at once; ``None`` for as many as there is room for.

        Raises:
            ExecutorError: the cluster is not there, or has no worker. It is known within ``CONNECTING`` seconds for each.
            ConfigError: a package is missing, or no address is known.
        """
        ...
