"""Watch a run: ask again and again how far people are, and act when they have finished something. Nothing is printed here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from time import sleep
from typing import Any

import pyarrow.compute as pc

from ..backend.values import GONE
from ..exceptions import Broken, Gone, InvalidOption, RunBusy, StalePlan, Throttled, Unreachable
from ..store.stores import Stores
from .results import AnnotationResults

SHORTEST = 1.0  # seconds between two looks
LONGEST = 600.0  # seconds to wait after failures, unless the looks are further apart
PASSING = (Unreachable, Throttled, Broken, RunBusy, StalePlan)  # errors that a later try may not have


@dataclass(frozen=True, slots=True)
class Unit:
    """What a bar is drawn for: a job, or a task of a tool without jobs. ``reviewed`` is ``None`` where the tool does not say."""

    name: str
    state: str
    assignee: str | None
    reviewed: int | None
    samples: int | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        units: its jobs, or tasks.
        reviewed: how many samples are reviewed; ``None`` where the tool does not say.
        total: how many samples the tool has.
        tasks: task → what the tool says of it, without its address; for comparisons.
        gone: how many tasks are not in the tool any more.
    """

    units: tuple[Unit, ...]
    reviewed: int | None
    total: int
    tasks: Mapping[str, Mapping[str, Any]]
    gone: int = 0

    @property
    def is_done(self) -> bool:
        """Whether people have reviewed all samples."""
        return self.reviewed is not None and self.reviewed >= self.total


@dataclass(frozen=True, slots=True)
class Look:
    """What was found at one time: the progress, and what is new in it since the last look."""

    time: datetime
    progress: Progress
    has_changed: bool  # anything
    has_finished: bool  # there is work to plan or load


@dataclass(frozen=True, slots=True)
class Trouble:
    """A look, or what was done about it, failed. The next try is in ``pause`` seconds."""

    time: datetime
    error: Exception
    pause: float


def watch(
    ask: Callable[[], Progress],
    act: Callable[[Progress], None],
    every: float,
    until_done: bool = False,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    wait: Callable[[float], None] | None = None,
) -> Iterator[Look | Trouble]:
    """Look, act if something was finished since the last look (or before the first), wait, and again.

    Errors of the network, and of other processes that hold the run, are told as ``Trouble``; the pause doubles with each, up to
    ``LONGEST``, and what was not acted on is acted on then. All other errors end it.

    Args:
        ask: how far the run is.
        act: called after the look that found finished work was taken.
        every: seconds between two looks.
        until_done: whether to end when all samples are reviewed; else it goes on until it is closed, or ``wait`` raises.
        clock: the time of a look.
        wait: waits some seconds; by default, ``time.sleep``.

    Raises:
        Gone: no task of the run is in the tool any more.
        InvalidOption: ``every`` is too short.
    """
    if not every >= SHORTEST:
        raise InvalidOption(f"every={every:g} is too short; give {SHORTEST:g} second or more.")
    last: Progress | None = None  # as of the last look
    settled: Progress | None = None  # as of the last look that was acted on where that was needed
    failures = 0
    while True:
        try:
            now = ask()
            finished = has_finished(settled, now)
            yield Look(clock(), now, now != last, finished)
            last = now
            if finished:
                act(now)
            settled, failures, pause = now, 0, every
        except PASSING as error:
            failures += 1
            pause = min(every * 2**failures, max(LONGEST, every))
            yield Trouble(clock(), error, pause)
        if until_done and not failures and now.is_done:
            return
        (wait or sleep)(pause)


def has_finished(before: Progress | None, now: Progress) -> bool:
    """Whether people have finished something since an earlier look; ``None`` stands for a time at which nothing was.

    Where the tool says what is reviewed, that is a sample more in a task or job. Where it does not, it is any change.
    """
    if now.reviewed is None:
        return before is None or before.tasks != now.tasks
    if before is None:
        return now.reviewed > 0
    known = dict(_counts(before))
    return any(count > known.get(key, 0) for key, count in _counts(now))


def _counts(progress: Progress) -> Iterator[tuple[tuple[str, ...], int]]:
    """How many samples are reviewed in each task, and in each of its jobs."""
    for name, task in progress.tasks.items():
        yield (name,), task["reviewed"] or 0
        yield from (((name, str(job["name"])), job.get("reviewed") or 0) for job in task["jobs"])


def progress_of(status: Mapping[str, Any], sizes: Mapping[str, int]) -> Progress:
    """The progress of a run by its status (see ``AnnotationResults.status``) and the number of samples of each task.

    Raises ``Gone`` if none of its tasks is in the tool any more.
    """
    there = {name: task for name, task in status["tasks"].items() if task["state"] != GONE}
    if status["tasks"] and not there:
        raise Gone(
            f"Nothing of the run {status['anno_key']!r} is on the server any more, so there is nothing to watch. What was loaded "
            "is in the dataset."
        )
    told = [task["reviewed"] for task in there.values()]
    units = tuple(unit for name, task in there.items() for unit in _units(name, task, sizes[name]))
    return Progress(
        units, None if None in told else sum(told), sum(sizes[name] for name in there),
        {name: {key: value for key, value in task.items() if key != "url"} for name, task in there.items()},
        len(status["tasks"]) - len(there),
    )  # fmt: skip


def _units(name: str, task: Mapping[str, Any], size: int) -> Iterator[Unit]:
    if not task["jobs"]:
        yield Unit(name, task["state"], None, task["reviewed"], size)
    for job in task["jobs"]:
        yield Unit(str(job["name"]), job["state"], job.get("assignee"), job.get("reviewed"), job.get("samples"))


class Asker:
    """Asks the tool how far a run is. Tasks that were added meanwhile are counted, too."""

    def __init__(self, stores: Stores, results: AnnotationResults) -> None:
        self._stores, self._results = stores, results
        self._sizes: dict[str, int] = {}

    def __call__(self) -> Progress:
        status = self._results.status()
        if status["tasks"].keys() - self._sizes.keys():
            tasks = self._stores.runs.tasks(self._results.run)
            counts = pc.list_value_length(tasks["sample_ids"]).to_pylist()
            self._sizes = dict(zip(tasks["task"].to_pylist(), counts, strict=True))
        return progress_of(status, self._sizes)
