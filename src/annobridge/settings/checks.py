"""The checks of plans that the configuration file chooses, and their limits.

[checks]
use = ["share_of_deletions", "duplicates"]  # by default all that are installed

[checks.share_of_deletions]
limit = 0.05
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..checks import registry
from ..exceptions import ConfigError, InvalidOption
from .layers import File, Value, read_file


class ChosenChecks(NamedTuple):
    """The names of the checks to run (``None``: all), and their parameters by name of the check."""

    names: list[str] | None
    limits: dict[str, dict[str, Any]]


def chosen() -> ChosenChecks:
    """What the file chooses. Raises ``ConfigError`` for a file that cannot be read, and ``InvalidOption`` for unknown checks and
    parameters and wrong values, with where they are.
    """
    file = read_file()
    if not file.readable:
        raise ConfigError("\n".join(file.problems))
    if found := faults(file):
        raise InvalidOption("\n".join(map(str, found)))
    limits = {name: {key: said.value for key, said in given.items()} for name, given in file.limits.items()}
    return ChosenChecks(None if file.checks is None else list(file.checks.value), limits)


def faults(file: File) -> list[ConfigError]:
    """A sentence for each check and parameter that there is not, and each value of another type."""
    found: list[ConfigError] = []
    for option, said in listed(file):
        name, _, key = option.partition(".")
        try:
            if option == "use":
                registry.require_valid(said.value, {})
            else:
                registry.require_valid(None, {name: {key: said.value}})
        except InvalidOption as error:
            found.append(InvalidOption(f"{said.origin}: {error}"))
    return found


def listed(file: File) -> Iterator[tuple[str, Value]]:
    """The settings of checks, as ``use`` and ``NAME.PARAMETER``."""
    if file.checks is not None:
        yield "use", file.checks
    for name, given in file.limits.items():
        yield from ((f"{name}.{key}", said) for key, said in given.items())
