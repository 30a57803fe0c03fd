"""Processes that die at a step of annobridge: forked from one that has imported LanceDB, so that each costs no start.

A function that a child calls has to be importable, so it is in a module of its own: ``tests/bridge/wrecks.py``.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from proofs.children import Child, Outcome

DEADLINE = 120.0  # seconds


def start(function: Callable[..., Any], *arguments: Any) -> Child:
    """A child that calls a function when it is let go."""
    return Child(function, arguments, None, Path(os.devnull))


def call(function: Callable[..., Any], *arguments: Any) -> Outcome:
    """How a function ends in a process of its own."""
    child = start(function, *arguments)
    child.go()
    return child.outcome(DEADLINE)


def die_at(what: str, nth: int = 1, when: str = "before") -> None:
    """Have this process kill itself before or after the nth call of ``module:function`` or ``module:Class.method``."""
    warnings.simplefilter("error")
    module, _, path = what.partition(":")
    owner: Any = importlib.import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    plain, static, calls = getattr(owner, name), isinstance(vars(owner).get(name), staticmethod), 0

    @functools.wraps(plain)
    def deadly(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == nth and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = plain(*arguments, **options)
        if calls == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, staticmethod(deadly) if static else deadly)
