"""Where loads and imports run: which executor, its address, and how many workers. ``config`` says which source counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..core.did_you_mean import did_you_mean
from ..exceptions import ConfigError, InvalidOption
from ..executors import registry
from ..executors.base import Executor
from .layers import EXECUTION, Layer, Options, Value

DEFAULT_EXECUTOR = "local"
_WORDS = {"executor": "the name of an executor", "executor_address": "an address, as tcp://10.0.0.1:8786"}


class ChosenExecution(NamedTuple):
    """What was chosen."""

    executor: str | Executor
    workers: int | None
    address: str | None


def found(layers: Iterable[Layer], arguments: Mapping[str, Any]) -> Options:
    """What is set, by name of the setting; that of the last layer counts, unless an argument is given."""
    options = {name: value for layer in layers for name, value in layer.execution.items()}
    given = {name: Value(arguments[name], "argument") for name in EXECUTION if arguments.get(name) is not None}
    return {**options, **given}


def choose(options: Options) -> ChosenExecution:
    """What was chosen, checked. ``faults`` has to be empty."""
    executor = options.get("executor", Value(DEFAULT_EXECUTOR, "default")).value
    workers = options["workers"].value if "workers" in options else None
    address = options["executor_address"].value if "executor_address" in options else None
    return ChosenExecution(executor, None if workers is None else int(workers), address)


def faults(options: Options) -> list[ConfigError]:
    """A sentence for each value that cannot be used, with where it was set."""
    problems = []
    for name, (value, origin, _) in options.items():
        if name == "workers":
            if not _is_count(value):
                problems.append(f"workers={value!r} ({origin}) is not a number of workers; give 1 or more.")
        elif name == "executor" and callable(getattr(value, "submit", None)):
            continue
        elif not isinstance(value, str):
            problems.append(f"{name}={value!r} ({origin}) should be {_WORDS[name]}.")
        elif name == "executor" and value not in registry.names():
            problems.append(f"There is no executor {value!r} ({origin}); {did_you_mean(value, registry.names())}")
    return [InvalidOption(problem) for problem in problems]


def _is_count(value: Any) -> bool:
    return (type(value) is int or (isinstance(value, str) and value.isdecimal())) and int(value) > 0


def listed(options: Options) -> list[tuple[str, Value]]:
    """Every setting with its value, set or not."""
    defaults = {"executor": Value(DEFAULT_EXECUTOR, "default"), "workers": Value("", "default: one for each core")}
    return [(name, options.get(name, defaults.get(name, Value("", "not set")))) for name in EXECUTION]
