"""Watching a run: what counts as finished, when it ends, and what it does when the tool fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from annobridge.bridge.watch import LONGEST, Look, Progress, Trouble, Unit, has_finished, progress_of, watch
from annobridge.exceptions import Conflict, Denied, Gone, InvalidOption, RunBusy, Throttled, Unreachable


def task(reviewed: int | None = 0, state: str = "open", mark: str = "m", jobs: Any = ()) -> dict[str, Any]:
    return {"state": state, "samples": {}, "reviewed": reviewed, "mark": mark, "jobs": list(jobs), "url": "http://a"}


def progress(**tasks: Any) -> Progress:
    return progress_of({"anno_key": "r", "tasks": tasks}, dict.fromkeys(tasks, 4))


@dataclass
class World:
    """A tool whose answers are given, one for each look, and a clock that only waiting moves."""

    answers: list[Progress | Exception]
    failures: list[Exception | None] = field(default_factory=list)  # of acting
    acted: list[int | None] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def ask(self) -> Progress:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def act(self, found: Progress) -> None:
        if self.failures and (failure := self.failures.pop(0)):
            raise failure
        self.acted.append(found.reviewed)

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += timedelta(seconds=seconds)
        if not self.answers:
            raise KeyboardInterrupt

    def watch(self, every: float = 60, until_done: bool = False) -> Iterator[Look | Trouble]:
        return watch(self.ask, self.act, every, until_done, lambda: self.now, self.wait)

    def events(self, **options: Any) -> list[Look | Trouble]:
        found: list[Look | Trouble] = []
        with suppress(KeyboardInterrupt):
            found.extend(self.watch(**options))
        return found


def test_it_acts_once_on_what_is_finished() -> None:
    world = World([progress(a=task(n)) for n in (0, 1, 1, 3)])
    looks = world.events()
    assert [(look.has_changed, look.has_finished) for look in looks if isinstance(look, Look)] == [
        (True, False), (True, True), (False, False), (True, True),
    ]  # fmt: skip
    assert world.acted == [1, 3]
    assert world.waits == [60] * 4
    assert [look.time.minute for look in looks] == [0, 1, 2, 3]


def test_what_was_finished_before_the_first_look_counts() -> None:
    world = World([progress(a=task(2))])
    world.events()
    assert world.acted == [2]


def test_a_look_is_told_before_it_is_acted_on() -> None:
    world = World([progress(a=task(1))])
    assert isinstance(next(world.watch()), Look)
    assert world.acted == []


def test_it_ends_when_all_is_reviewed() -> None:
    world = World([progress(a=task(n), b=task(4)) for n in (1, 4, 4)])
    assert len(list(world.watch(until_done=True))) == 2
    assert world.acted == [5, 8]
    assert len(world.answers) == 1


def test_it_does_not_end_where_the_last_act_failed() -> None:
    world = World([progress(a=task(4)), progress(a=task(4))], [Unreachable("down"), None])
    kinds = [type(event) for event in world.watch(until_done=True)]
    assert kinds == [Look, Trouble, Look]
    assert world.acted == [4]


@pytest.mark.parametrize("error", [Unreachable("down"), Throttled("slow"), RunBusy("held")])
def test_passing_errors_are_told_with_growing_pauses(error: Exception) -> None:
    world = World([error] * 5 + [progress(a=task()), error])
    found = world.events(every=60)
    assert world.waits == [120, 240, 480, LONGEST, LONGEST, 60, 120]
    assert [event.pause for event in found if isinstance(event, Trouble)] == [120, 240, 480, 600, 600, 120]
    assert all(event.error is error for event in found if isinstance(event, Trouble))


def test_pauses_are_never_shorter_than_looks_are_apart() -> None:
    world = World([Unreachable("down")])
    world.events(every=3600)
    assert world.waits == [3600]


@pytest.mark.parametrize("error", [Gone("gone"), Denied("no"), Conflict("both"), ValueError("a mistake")])
def test_other_errors_end_it(error: Exception) -> None:
    with pytest.raises(type(error)):
        list(World([error]).watch())
    with pytest.raises(type(error)):
        list(World([progress(a=task(1))], [error]).watch())


@pytest.mark.parametrize("every", [0.99, 0, -1, float("nan")])
def test_looks_must_not_be_too_close(every: float) -> None:
    world = World([progress(a=task())])
    with pytest.raises(InvalidOption, match="is too short; give 1 second or more"):
        next(world.watch(every=every))
    assert len(world.answers) == 1


def test_work_on_one_task_is_not_hidden_by_another() -> None:
    assert has_finished(progress(a=task(1), b=task(2)), progress(a=task(2), b=task(1)))
    assert not has_finished(progress(a=task(1), b=task(2)), progress(a=task(1), b=task(1)))
    assert has_finished(progress(a=task(1)), progress(a=task(1), b=task(1)))


def test_a_job_that_is_finished_counts_within_a_task() -> None:
    def jobs(*reviewed: int) -> Any:
        return [
            {"name": n, "state": "s", "assignee": None, "samples": 2, "reviewed": count}
            for n, count in enumerate(reviewed)
        ]

    assert has_finished(progress(a=task(2, jobs=jobs(2, 0))), progress(a=task(2, jobs=jobs(0, 2))))
    assert not has_finished(progress(a=task(2, jobs=jobs(2, 0))), progress(a=task(2, jobs=jobs(2, 0), mark="new")))


def test_where_nothing_is_said_of_reviews_any_change_counts() -> None:
    before = progress(a=task(None))
    assert has_finished(None, before)
    assert not has_finished(before, progress(a=task(None)))
    assert has_finished(before, progress(a=task(None, mark="n")))
    assert has_finished(before, progress(a=task(None, state="completed")))
    assert not before.is_done


def test_a_bar_for_each_job_or_task() -> None:
    job = {"name": "job 1", "state": "new", "assignee": "ann", "url": None, "samples": 3, "reviewed": 1}
    found = progress(a=task(1, jobs=[job, {"name": "job 2", "state": "gone"}]), b=task(2))
    assert found.units == (
        Unit("job 1", "new", "ann", 1, 3), Unit("job 2", "gone", None, None, None), Unit("b", "open", None, 2, 4),
    )  # fmt: skip
    assert (found.reviewed, found.total, found.gone) == (3, 8, 0)


def test_tasks_that_are_gone_are_left_out_and_all_of_them_end_it() -> None:
    found = progress(a=task(4), b=task(None, state="gone"))
    assert (found.reviewed, found.total, found.gone, found.is_done) == (4, 4, 1, True)
    with pytest.raises(Gone, match="Nothing of the run 'r' is on the server any more"):
        progress(a=task(None, state="gone"))


def test_tasks_that_are_added_meanwhile_are_counted(bridge: Any) -> None:
    from annobridge.bridge.watch import Asker

    run = bridge.annotate(view=bridge.ds.limit(1))
    asker = Asker(bridge.ds.stores, run)
    assert asker().total == 1
    bridge.ds.extend_annotation("r", bridge.ds, url=bridge.url)
    assert asker().total == 4
    assert len(asker().units) == 2
