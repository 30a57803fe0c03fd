"""Child processes that can be killed: forked from a server process that has imported LanceDB, so that each starts in 10 ms."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from annobridge.exceptions import AnnobridgeError

START = 120.0  # seconds; the first child waits for the imports
_PRELOAD = "proofs.preload"
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([_PRELOAD])

# The calls that count as steps: each changes a table, a server or a folder. They are functions of libraries, so that the proofs do
# not depend on the structure of annobridge.
_SITES = {
    "write_dataset": "lance:write_dataset",
    "write_fragments": "lance.fragment:write_fragments",
    "commit": "lance:LanceDataset.commit",
    "delete": "lance:LanceDataset.delete",
    "add_columns": "lance:LanceDataset.add_columns",
    "merge_insert": "lance.dataset:MergeInsertBuilder.execute",
    "create_table": "lancedb.db:LanceDBConnection.create_table",
    "HTTP": "requests:Session.request",
    "rename": "os:rename",
    "link": "os:link",
}


@dataclass(frozen=True)
class Step:
    """A call that changes something, by its number in the process, and whether to kill the process before or after it."""

    number: int
    when: Literal["before", "after"]


@dataclass(frozen=True)
class Outcome:
    """How a call in a child ended.

    ``refused`` is an ``AnnobridgeError``, ``bare`` any other; ``killed`` by a signal, ``hung`` beyond its deadline.
    """

    kind: Literal["done", "refused", "bare", "killed", "hung"]
    value: Any = None
    text: str = ""


class Child:
    """A process that calls a function once ``go`` is called."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...], at: Step | None, log: Path) -> None:
        self._pipe, theirs = _context.Pipe()
        self._log = log
        self._process = _context.Process(target=_main, args=(theirs, function, arguments, at, log), daemon=True)
        self._process.start()
        theirs.close()
        if not self._pipe.poll(START):
            self.kill()
            raise TimeoutError(f"A child process did not start within {START:.0f} s.")
        self._pipe.recv()

    def go(self) -> None:
        self._pipe.send(None)

    def kill(self) -> None:
        self._process.kill()

    def outcome(self, deadline: float) -> Outcome:
        """Wait for the end; after ``deadline`` seconds, kill the process."""
        try:
            if not self._pipe.poll(deadline):
                self.kill()
                return Outcome("hung", text=f"not ended after {deadline:.0f} s")
            found: Outcome = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            self._process.join(10)
            if self._process.exitcode == -signal.SIGKILL:
                return Outcome("killed")
            response = self._log.read_text(errors="replace")[-2000:] if self._log.exists() else ""
            return Outcome("bare", text=f"the process ended with {self._process.exitcode}: {response}")
        else:
            return found
        finally:
            self._process.join(10)
            self._pipe.close()


def _main(
    pipe: Connection, function: Callable[..., Any], arguments: tuple[Any, ...], at: Step | None, log: Path
) -> None:
    with log.open("ab") as sink:
        os.dup2(sink.fileno(), 2)
    importlib.import_module(_PRELOAD)  # where the fork server did not
    warnings.simplefilter("ignore")
    try:
        with killing(at):
            pipe.send(True)
            pipe.recv()
            found = Outcome("done", function(*arguments))
    except AnnobridgeError as error:
        found = Outcome("refused", text=f"{type(error).__name__}: {error}")
    except BaseException:
        found = Outcome("bare", text=traceback.format_exc())
    pipe.send(found)
    sys.stderr.flush()


@contextmanager
def killing(at: Step | None) -> Iterator[None]:
    """Kill this process at a step within the block."""
    if at is None:
        yield
        return

    def check(number: int, _name: str, when: str) -> None:
        if (number, when) == (at.number, at.when):
            os.kill(os.getpid(), signal.SIGKILL)

    with _watched(check):
        yield


@contextmanager
def recording() -> Iterator[list[str]]:
    """Collect the names of the steps of this process within the block."""
    names: list[str] = []
    with _watched(lambda _number, name, when: names.append(name) if when == "before" else None):
        yield names


@contextmanager
def _watched(call: Callable[[int, str, str], None]) -> Iterator[None]:
    """Call ``call(number, name, "before" or "after")`` around each step within the block."""
    counted, lock, undo = [0], threading.Lock(), []

    def watched(name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(plain)
        def step(*arguments: Any, **options: Any) -> Any:
            what = name if name != "HTTP" else f"HTTP {arguments[1]}"
            if what in ("HTTP GET", "HTTP HEAD"):
                return plain(*arguments, **options)
            with lock:
                counted[0] += 1
                number = counted[0]
            call(number, what, "before")
            result = plain(*arguments, **options)
            call(number, what, "after")
            return result

        return step

    for name, site in _SITES.items():
        module, _, path = site.partition(":")
        owner: Any = importlib.import_module(module)
        *outer, last = path.split(".")
        for part in outer:
            owner = getattr(owner, part)
        there = vars(owner)[last]
        static = isinstance(there, staticmethod)
        stepped = watched(name, getattr(owner, last))
        setattr(owner, last, staticmethod(stepped) if static else stepped)
        undo.append((owner, last, there))
    try:
        yield
    finally:
        for owner, last, there in undo:
            setattr(owner, last, there)
