"""Workers of a Ray cluster."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, ClassVar

import ray
from ray.exceptions import RayError, RayTaskError

from ..exceptions import ExecutorError, InvalidOption
from .base import CONNECTING, Cluster
from .reachable import listens


class RayAdapter:
    """Connects to a cluster. Ray repeats the calls of a worker that ended."""

    on_this_machine: ClassVar[bool] = False
    takes_address: ClassVar[bool] = True

    @contextmanager
    def connected(self, address: str | None, workers: int | None) -> Iterator[Cluster]:
        """See ``Adapter``. Without an address, that of ``RAY_ADDRESS``, or the cluster of this process, is used."""
        made = _connect(address)
        name = f"the Ray cluster at {ray.get_runtime_context().gcs_address}"
        try:
            resources: Any = ray.cluster_resources  # it has no types
            cpus = int(resources().get("CPU", 0))
            if not cpus:
                raise ExecutorError(f"{_first_upper(name)} has no CPU for calls; start workers.")
            at_once = workers or 2 * cpus
            yield Cluster(_RayExecutor(at_once), at_once, name)
        except RayTaskError as error:
            raise error.cause from error
        except (RayError, ConnectionError) as error:
            raise ExecutorError(
                f"{_first_upper(name)} did not finish the work ({type(error).__name__}): a node or a worker ended, perhaps for "
                "want of memory. Start it again."
            ) from error
        finally:
            if made:
                ray.shutdown()


class _RayExecutor:
    """Tasks of Ray as futures; not more than ``limit`` at once are handed over."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._running: list[Any] = []

        # A function that workers do not look up: they may lack this module, which they are then asked about.
        def call(function: Callable[..., Any], *arguments: Any) -> Any:
            return function(*arguments)

        self._call: Any = ray.remote(call)

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        """See ``Executor``. Waits while too many are running."""
        while len(self._running) >= self._limit:
            _, self._running = ray.wait(self._running, num_returns=1)
        reference = self._call.options(name=getattr(function, "__name__", "call")).remote(function, *arguments)
        self._running.append(reference)
        future: Future[Any] = reference.future()
        return future


def _connect(address: str | None) -> bool:
    """Connect to a cluster, unless this process is; returns whether it was not."""
    address = address or os.environ.get("RAY_ADDRESS")
    if ray.is_initialized():
        here = ray.get_runtime_context().gcs_address
        if address in (None, "auto", here):
            return False
        raise ExecutorError(
            f"This process uses the Ray cluster at {here} already, and cannot use that at {address!r}, too; call ray.shutdown() "
            "before, or leave executor_address out."
        )
    if address is None:
        raise InvalidOption(
            "executor='ray' needs the address of a cluster; give executor_address=, as 10.0.0.1:6379, or call ray.init before."
        )
    refusal = ExecutorError(
        f"There is no Ray cluster at {address!r} that answers within {CONNECTING:.0f} seconds; start it (ray start --head), or "
        "correct executor_address."
    )
    if not listens(address, CONNECTING):
        raise refusal
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise refusal from error
    return True


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]
