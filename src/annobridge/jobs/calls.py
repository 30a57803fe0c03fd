"""Calls in workers: what they are given is sealed, so that no engine shows it, and what annobridge raises there is a value.

Engines log the text of the arguments of a call that fails, and wrap what it raises in errors of their own.
"""

from __future__ import annotations

import pickle
import platform
import socket
import threading
import uuid
from collections.abc import Callable, Mapping
from functools import cache
from importlib import metadata
from typing import Any

import cloudpickle

from ..core.arrow_memory import system_memory
from ..exceptions import AnnobridgeError, BackendError, ExecutorError, InvalidOption, StoreError
from ..executors.base import Cluster

_PACKAGES = {"annobridge": "annobridge", "lance": "pylance"}  # name for messages → distribution
_FIRST_ANSWER = 300.0  # seconds: workers may be busy with the calls of others


class Sealed:
    """A value for workers, pickled once. Its text does not show it."""

    def __init__(self, value: Any) -> None:
        try:
            self._content = cloudpickle.dumps(value)
        except Exception as error:
            raise InvalidOption(
                f"What this needs cannot be sent to workers ({type(error).__name__}: {error}). A function as unexpected= may "
                "use values that can be pickled, and no open files, locks or connections; or leave executor= out."
            ) from error
        self._token = uuid.uuid4().hex

    def __repr__(self) -> str:
        return f"Sealed({len(self._content)} bytes)"

    def opened(self) -> Any:
        """The value."""
        return pickle.loads(self._content)  # noqa: S301 - made by the driver of this load

    def kept(self) -> Any:
        """The value, which this thread keeps until it is given another."""
        if getattr(_KEPT, "token", None) != self._token:
            _KEPT.value, _KEPT.token = self.opened(), self._token
        return _KEPT.value


_KEPT = threading.local()


@cache
def versions() -> dict[str, str]:
    """The versions that driver and workers must have in common."""
    found = {name: metadata.version(package) for name, package in _PACKAGES.items()}
    return {**found, "Python": ".".join(platform.python_version_tuple()[:2])}


def require_workers(cluster: Cluster) -> None:
    """Ask a worker for its versions.

    Raises:
        ExecutorError: it has others than this process, lacks annobridge, or does not answer.
    """
    for name, package in _PACKAGES.items():
        try:
            # Of the standard library, so that a worker with any version can be asked.
            found = cluster.executor.submit(metadata.version, package).result(_FIRST_ANSWER)
        except TimeoutError:
            raise ExecutorError(
                f"No worker of {cluster.name} has answered within {_FIRST_ANSWER:.0f} seconds: all are busy, or there is none. Add "
                "workers, or try again later."
            ) from None
        except metadata.PackageNotFoundError:
            raise ExecutorError(
                f"The workers of {cluster.name} do not have {name}; install {package} {versions()[name]} there, which is the "
                "version here."
            ) from None
        _require_version(name, found, versions()[name])


def _require_version(name: str, theirs: str, ours: str) -> None:
    if theirs != ours:
        raise ExecutorError(
            f"The workers have {name} {theirs}, and this process has {name} {ours}; install the same version on all of them."
        )


def in_worker(expected: Mapping[str, str], shared: Sealed, own: Sealed, names_host: bool) -> Any:
    """Make a call; what a worker runs. Returns an ``AnnobridgeError`` that the call raises.

    Args:
        expected: the versions of the driver.
        shared: function, and its first arguments, which are the same for all calls of a load.
        own: its last argument.
        names_host: whether errors of the tool and of the dataset say on which machine they were.
    """
    try:
        for name, found in versions().items():
            _require_version(name, found, expected[name])
        try:
            function, *arguments = shared.kept()
            last = own.opened()
        except ImportError as error:
            raise ExecutorError(
                f"A worker on {socket.gethostname()} cannot load what it was sent: {error}. Install the packages of this process "
                "there, too, with those of backends."
            ) from error
        with system_memory():
            return function(*arguments, last)
    except (BackendError, StoreError) as error:
        return _with_host(error) if names_host else error
    except AnnobridgeError as error:
        return error


def _with_host(error: AnnobridgeError) -> AnnobridgeError:
    where = f"{error} This was in a worker on {socket.gethostname()}."
    if isinstance(error, BackendError):
        return type(error)(where, error.status, None, error.samples)
    return type(error)(where)


class Caller:
    """Makes calls of one function in workers, whose first arguments are the same for all of them.

    Raises ``InvalidOption`` for arguments that cannot be pickled.
    """

    def __init__(
        self, cluster: Cluster, function: Callable[..., Any], *arguments: Any, names_host: bool = True
    ) -> None:
        self._shared, self._cluster, self._names_host = Sealed((function, *arguments)), cluster, names_host

    def submit(self, last: Any) -> Any:
        """The future of a call; see ``in_order``."""
        return self._cluster.executor.submit(in_worker, versions(), self._shared, Sealed(last), self._names_host)
