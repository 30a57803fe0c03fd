"""Runs the proofs: an area has rows, a row has trials, and each trial returns a finding that is counted.

An area is a module-level function with the decorator ``area``. It yields rows; ``Row.plan`` returns the trials of its row:

    @area("answers", "faulty HTTP answers")
    def answers(stage: Stage) -> Iterator[Row]:
        yield Row("cvat, annotate", lambda room: [Trial(f"fault {n}", attempt) for n in range(room.stage.settings.rounds)])

A trial gets a ``TrialContext``: an empty folder, a random number generator, and functions that start child processes.
"""

from __future__ import annotations

import random
import shutil
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .children import Child, Outcome, Step

FAILURES = ("lost", "doubled", "orphans", "bare", "hung")


@dataclass(frozen=True)
class Settings:
    """Options of the command line. Each area has defaults of its own for ``rounds`` and ``stores`` (``None``)."""

    folder: Path
    seed: int = 0
    rounds: int | None = None
    stores: tuple[str, ...] | None = None
    jobs: int = 2
    deadline: float = 120.0


@dataclass(frozen=True)
class Finding:
    """The result of a trial: how many things were lost, doubled, …; ``landed`` is whether the fault took effect."""

    landed: bool = False
    lost: int = 0
    doubled: int = 0
    orphans: int = 0
    bare: int = 0
    hung: int = 0
    notes: tuple[str, ...] = ()

    def __add__(self, other: Finding) -> Finding:
        sums = {name: getattr(self, name) + getattr(other, name) for name in (*FAILURES, "notes")}
        return Finding(self.landed or other.landed, **sums)

    @property
    def sound(self) -> bool:
        return not any(getattr(self, name) for name in FAILURES)


@dataclass(frozen=True)
class Shared:
    """What the trials of an area share: settings, a folder, and resources that are closed after its last trial."""

    settings: Settings
    folder: Path
    exit: ExitStack


@dataclass(frozen=True)
class TrialContext:
    """What one trial is given: an empty folder, and a random number generator."""

    shared: Shared
    folder: Path
    rng: random.Random

    def start(self, function: Callable[..., Any], *arguments: Any, at: Step | None = None) -> Child:
        """Start a child process, which calls the function after ``go``; it kills itself at the step ``at``."""
        return Child(function, arguments, at, self.folder / "stderr.log")

    def attempt(self, function: Callable[..., Any], *arguments: Any, at: Step | None = None) -> Outcome:
        """Call a function in a child process, and wait for the outcome."""
        child = self.start(function, *arguments, at=at)
        child.go()
        return child.outcome(self.shared.settings.deadline)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The value of a function, called in a child process. Raises ``ProofError`` if it does not succeed."""
        outcome = self.attempt(function, *arguments)
        if outcome.kind != "done":
            raise ProofError(f"{function.__name__}: {outcome.kind}: {outcome.text}")
        return outcome.value


@dataclass(frozen=True)
class Trial:
    """One attempt to break something; its name is unique in its row."""

    name: str
    run: Callable[[TrialContext], Finding]


@dataclass(frozen=True)
class Row:
    """A line of the table. ``plan`` prepares what its trials share, and returns the trials."""

    name: str
    plan: Callable[[TrialContext], Sequence[Trial]]


@dataclass(frozen=True)
class Area:
    """A kind of proof, by its name on the command line."""

    name: str
    title: str
    rows: Callable[[Shared], Iterable[Row]]


@dataclass
class Tally:
    """The counts of a row: trials in which something was lost, doubled, …"""

    area: str
    row: str
    tried: int = 0
    landed: int = 0
    lost: int = 0
    doubled: int = 0
    orphans: int = 0
    bare: int = 0
    hung: int = 0
    seconds: float = 0.0
    errors: int = 0  # trials that could not be carried out
    notes: list[str] = field(default_factory=list)

    def count(self, trial: str, finding: Finding) -> None:
        self.tried += 1
        self.landed += finding.landed
        for name in FAILURES:
            setattr(self, name, getattr(self, name) + bool(getattr(finding, name)))
        if not finding.sound:
            amounts = ", ".join(f"{name} {getattr(finding, name)}" for name in FAILURES if getattr(finding, name))
            self.notes.append(f"{trial}: {amounts}. {' | '.join(finding.notes)}".rstrip())

    def fail(self, trial: str, error: str) -> None:
        """Count a trial, or a whole plan, that could not be carried out."""
        self.errors += 1
        self.notes.append(f"{trial}: could not be carried out. {error}")

    @property
    def sound(self) -> bool:
        return not (self.errors or any(getattr(self, name) for name in FAILURES))


class ProofError(Exception):
    """A trial could not be carried out, for a reason that is not its subject."""


AREAS: dict[str, Area] = {}


def area(name: str, title: str) -> Callable[[Callable[[Shared], Iterable[Row]]], Callable[[Shared], Iterable[Row]]]:
    """Register a function that yields the rows of an area."""

    def register(rows: Callable[[Shared], Iterable[Row]]) -> Callable[[Shared], Iterable[Row]]:
        AREAS[name] = Area(name, title, rows)
        return rows

    return register


def run(
    areas: Iterable[Area], settings: Settings, only: str = "", report: Callable[[Tally], None] = lambda _: None
) -> list[Tally]:
    """Run the rows of some areas (those whose name contains ``only``), and count."""
    return [tally for one in areas for tally in _area(one, settings, only, report)]


def _area(one: Area, settings: Settings, only: str, report: Callable[[Tally], None]) -> Iterator[Tally]:
    with ExitStack() as exit_, ThreadPoolExecutor(settings.jobs) as pool:
        shared = Shared(settings, settings.folder / one.name, exit_)
        for number, row in enumerate(one.rows(shared)):
            if only in row.name:
                tally = Tally(one.name, row.name)
                begun = time.monotonic()
                _row(row, tally, shared, shared.folder / f"row{number}", pool)
                tally.seconds = round(time.monotonic() - begun, 1)
                report(tally)
                yield tally


def _row(row: Row, tally: Tally, shared: Shared, folder: Path, pool: ThreadPoolExecutor) -> None:
    def context(name: str, number: int) -> TrialContext:
        folder_of_trial = folder / str(number)
        folder_of_trial.mkdir(parents=True)
        return TrialContext(
            shared, folder_of_trial, random.Random(f"{shared.settings.seed}/{tally.area}/{row.name}/{name}")
        )

    def attempt(number: int, trial: Trial) -> Finding | str:
        here = context(trial.name, number)
        try:
            return trial.run(here)
        except Exception as error:
            return _reason(error)
        finally:
            shutil.rmtree(here.folder, ignore_errors=True)

    try:
        trials = row.plan(context("plan", 0))
    except Exception as error:
        tally.fail("plan", _reason(error))
    else:
        findings = pool.map(attempt, range(1, len(trials) + 1), trials)
        for trial, finding in zip(trials, findings, strict=True):
            if isinstance(finding, str):
                tally.fail(trial.name, finding)
            else:
                tally.count(trial.name, finding)
    shutil.rmtree(folder, ignore_errors=True)


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, ProofError) else "".join(traceback.format_exception(error))
