"""The command ``watch``."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from ...exceptions import InvalidOption, MergeError
from ..option_groups import LAST, Merging
from ..options import BackendOptions, DatasetOption, JsonOption, KeyArgument, open_dataset, parse_options
from ..plan_text import is_pending
from ..root import INTERRUPTED, PENDING
from ..watch_text import Display, display
from ..wording import to_cli

if TYPE_CHECKING:
    from ...bridge.reports import Summary
    from ...bridge.results import AnnotationResults
    from ...bridge.watch import Progress
    from ...dataset import Dataset

_FINDINGS = {"conflicts": "in conflict", "refused": "refused", "unexpected": "outside the schema"}
_ENDS = {"done": "all samples are reviewed", "interrupted": "the watch ended"}


class Until(StrEnum):
    DONE = "done"


def watch(
    *,
    key: KeyArgument,
    dataset: DatasetOption = None,
    load: Annotated[
        bool, typer.Option("--load", help="Load what people have finished, instead of planning it.")
    ] = False,
    every: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long to wait between two looks, 1 or more.")
    ] = 60,
    until: Annotated[
        Until | None, typer.Option(help="End when all samples are reviewed; else only Ctrl-C ends it.")
    ] = None,
    command: Annotated[
        str | None,
        typer.Option(
            "--exec",
            metavar="CMD",
            help="Run this in the shell after each plan or load; $ANNOBRIDGE_KEY, _REVIEWED, _TOTAL and _DATASET tell of it.",
        ),
    ] = None,
    merging: Merging,
    option: BackendOptions = None,
    as_json: JsonOption = False,
) -> None:
    """Show how far people are, and plan or load what they have finished, again and again.

    With --load, only reviewed samples are loaded, where the tool says which. An unreachable tool is asked again, less and less
    often. Ctrl-C ends it; a load that is going on is finished first.

    Exits with the code of the last load; without --load, with 2 if changes are pending; with 130 if Ctrl-C ended it before
    anything was loaded.
    """
    from ...bridge import watch as watching

    ds = open_dataset(dataset)
    results = ds.load_annotation_results(key, **parse_options(option))
    if until and not results.backend.capabilities.reviewed:
        raise InvalidOption(
            f"{results.backend.name} does not say which samples are reviewed, so that the watch would not end; leave --until out."
        )
    with display(key, as_json) as shown:
        visit = _Visit(ds, results, shown, load, merging, command, as_json)
        asker = watching.Asker(ds.stores, results)
        try:
            for event in watching.watch(asker, visit, every, until_done=until is not None):
                if isinstance(event, watching.Look):
                    shown.look(event)
                else:
                    message = to_cli(str(event.error))
                    kind = type(event.error).__name__
                    text = f"{message} The next try is in {event.pause:g} seconds."
                    shown.tell("trouble", text, kind=kind, message=message, retry_in=event.pause)
            why, code = "done", visit.code or 0
        except KeyboardInterrupt:
            why, code = "interrupted", INTERRUPTED if visit.code is None or not load else visit.code
        shown.tell("end", f"{key}: {_ENDS[why]}.", why=why, code=code)
    raise typer.Exit(code)


class _Visit:
    """Plans or loads what people have finished. ``code`` is the exit code of the last time; ``None`` before the first."""

    def __init__(
        self, ds: Dataset, results: AnnotationResults, shown: Display, loads: bool, merging: Merging, command: str | None,
        as_json: bool,
    ) -> None:  # fmt: skip
        self._ds, self._results, self._shown, self._loads = ds, results, shown, loads
        self._options = {
            **merging.arguments(), "since": LAST, "reviewed_only": results.backend.capabilities.reviewed,
        }  # fmt: skip
        self._command, self._as_json = command, as_json
        self.code: int | None = None

    def __call__(self, now: Progress) -> None:
        with self._shown.paused():
            if self._loads:
                with _held(lambda: self._shown.tell("ending", "Ending after this load; Ctrl-C again ends it at once.")):
                    self._load()
            else:
                self._plan()
            if self._command:
                self._run(self._command, now)

    def _plan(self) -> None:
        plan = self._results.plan(**self._options)
        self.code = PENDING if is_pending(plan, self._options["unexpected"]) else 0
        self._shown.tell("plan", _counts("Plan", plan), **plan.to_dict())
        plan.close()

    def _load(self) -> None:
        try:
            report = self._results.load(**self._options)
        except MergeError as error:  # nothing was written; people have to decide first
            self.code = 1
            message = to_cli(str(error))
            self._shown.tell("refused", f"Not loaded: {message}", kind=type(error).__name__, message=message)
        else:
            self.code = 0
            self._shown.tell("load", _counts("Loaded", report), **report.to_dict())

    def _run(self, command: str, now: Progress) -> None:
        told = {"KEY": self._results.anno_key, "REVIEWED": now.reviewed, "TOTAL": now.total, "DATASET": self._ds.uri}
        variables = {f"ANNOBRIDGE_{name}": "" if value is None else str(value) for name, value in told.items()}
        done = subprocess.run(  # noqa: S602 - it is the command of whoever started this
            command, shell=True, env={**os.environ, **variables}, check=False, stdin=subprocess.DEVNULL,
            stdout=2 if self._as_json else None,
        )  # fmt: skip
        if done.returncode or self._as_json:
            self._shown.tell(
                "exec", f"{command!r} ended with {done.returncode}.", command=command, code=done.returncode
            )


def _counts(word: str, found: Summary) -> str:
    """A plan or a report in a line; what was not sent is told when it is sent."""
    counts = found.to_dict()
    text = f"{word}: {counts['added']:,} added, {counts['edited']:,} edited, {counts['deleted']:,} deleted"
    others = (f"{counts[name]:,} {what}" for name, what in _FINDINGS.items() if counts[name])
    return "".join([", ".join([text, *others]), ".", *(f" {to_cli(note)}" for note in found.notes)])


@contextmanager
def _held(told: Callable[[], None]) -> Iterator[None]:
    """Let a first Ctrl-C within the block take effect at its end, and a second one at once; ``told`` is called at the first."""
    if threading.current_thread() is not threading.main_thread():  # which alone may handle signals
        yield
        return
    pressed = False

    def note(*_: object) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True
        told()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt
