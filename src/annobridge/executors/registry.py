"""The adapters that are installed, by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from typing import ClassVar

from .. import entry_points
from ..exceptions import ConfigError, ExecutorError
from .base import GROUP, Adapter, Cluster, Executor
from .local import cores


def names() -> list[str]:
    """The names of the adapters that are installed."""
    return sorted(entry_points.by_name(GROUP))


def get(name: str) -> Adapter:
    """An adapter by name.

    Raises:
        ConfigError: it cannot be loaded, as a package is missing or two have one name.
    """
    found = entry_points.by_name(GROUP)[name]
    if len(found) > 1:
        listed = " and ".join(map(entry_points.source, found))
        raise ConfigError(f"Two packages have an executor {name!r}: {listed}; uninstall one of them.")
    try:
        made: Adapter = found[0].load()()
    except ImportError as error:
        raise ConfigError(
            f"executor={name!r} cannot be used, as {error.name or error} is not installed; {_cure(found[0])}."
        ) from error
    return made


def _cure(entry: EntryPoint) -> str:
    """How to install what an adapter needs; its entry point may name the extra of its package."""
    if entry.dist is None or not entry.extras:
        return f"install what {entry_points.source(entry)} needs"
    return f"pip install '{entry.dist.name}[{','.join(entry.extras)}]'"


class GivenExecutor:
    """An adapter for an executor that the caller has made, and closes."""

    on_this_machine: ClassVar[bool] = False
    takes_address: ClassVar[bool] = False

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    @contextmanager
    def connected(self, address: str | None, workers: int | None) -> Iterator[Cluster]:  # noqa: ARG002 - none is taken
        """See ``Adapter``."""
        from concurrent.futures import BrokenExecutor, CancelledError

        name = f"the executor {type(self._executor).__name__}"
        try:
            yield Cluster(self._executor, workers or 2 * cores(), name)
        except (BrokenExecutor, CancelledError) as error:
            raise ExecutorError(
                f"{name[0].upper()}{name[1:]} ended before the work was done ({type(error).__name__}). Start it again."
            ) from error
