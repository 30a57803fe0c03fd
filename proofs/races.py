"""Races: several processes do things to one dataset at once. What is there afterwards must be what some order of those that
succeeded gives, one after the other; a process that loses may refuse, and has then changed nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

from tests.doubles.cvat import CvatServer

from . import acts, tool
from .frame import Finding, ProofError, Room, Row, Stage, Trial, area
from .judge import between, ended, pending
from .scene import IMAGES, PER_TASK, Look, Scene
from .states import States

ROUNDS = {"disk": 20, "s3": 5}
TRIES = 3  # of the load that settles a run
WAIT = 20.0  # seconds, for a sender's tasks to come
TASKS = IMAGES // PER_TASK


@dataclass(frozen=True)
class Actor:
    """A process: what it does, to which run, and whether it starts late, while those before it are sending."""

    act: Callable[..., Any]
    arguments: tuple[str, ...] = ()
    late: bool = False

    def again(self, room: Room, scene: Scene) -> None:
        """Do it alone, whether it is refused or not."""
        if (outcome := room.attempt(self.act, scene, *self.arguments)).kind not in ("done", "refused"):
            raise ProofError(f"{self.act.__name__} alone: {outcome.kind}: {outcome.text}")


@dataclass(frozen=True)
class Race:
    """Who meets. ``loads`` are the runs that are loaded once more at the end; ``sends`` is a race about sending a run."""

    name: str
    start: str
    actors: tuple[Actor, ...]
    loads: tuple[str, ...] = ()
    sends: bool = False


RACES = (
    Race("annotate + resume", "plain", (Actor(acts.annotate), Actor(acts.resume, late=True)), sends=True),
    Race("resume x2 after a crash", "half sent", (Actor(acts.resume),) * 2, sends=True),
    Race("annotate + abort", "plain", (Actor(acts.annotate), Actor(acts.abort, late=True)), sends=True),
    Race("annotate x4, one key", "plain", (Actor(acts.annotate),) * 4, sends=True),
    Race("add_samples x3, same ids", "plain, more images", (Actor(acts.add_samples_with_ids),) * 3),
    Race("add_labels x3, same ids", "plain", (Actor(acts.add_labels),) * 3),
    Race("rename x2 to one key", "two runs", (Actor(acts.rename, ("a",)), Actor(acts.rename, ("b",)))),
    Race("import add x2", "plain, more images", (Actor(acts.import_add),) * 2),
    Race("import add x3", "plain, more images", (Actor(acts.import_add),) * 3),
    Race("load x3, one run", "worked", (Actor(acts.load),) * 3, ("r",)),
    Race("load x2, two runs", "two runs", (Actor(acts.load, ("a",)), Actor(acts.load, ("b",))), ("a", "b")),
    Race("load + set_labels", "worked", (Actor(acts.load), Actor(acts.set_labels)), ("r",)),
    Race("undo + load", "a loaded", (Actor(acts.undo, ("a",)), Actor(acts.load, ("b",))), ("b",)),
)


@area("races", "processes that work on one dataset at once")
def races(stage: Stage) -> Iterator[Row]:
    """A row for each race and store."""
    for store in stage.settings.stores or tuple(ROUNDS):
        states = States(stage, store)
        for race in RACES:
            yield Row(f"{race.name} ({store})", Racing(race, states).plan)


@dataclass(frozen=True)
class Racing:
    """The trials of a race."""

    race: Race
    states: States
    _orders: dict[tuple[int, ...], tuple[Look, Look]] = field(default_factory=dict)

    def plan(self, room: Room) -> list[Trial]:
        """As many equal rounds as asked for. What the actors give one after the other is found out first."""
        if not self.race.sends:
            for order in self._all_orders(range(len(self.race.actors))):
                self._orders[order] = self._one_after_the_other(room, order)
        rounds = room.stage.settings.rounds or ROUNDS[self.states.store]
        return [Trial(f"round {n}", self._round) for n in range(rounds)]

    def _all_orders(self, done: Sequence[int]) -> list[tuple[int, ...]]:
        """The orders of some actors, each of those that tell apart: equal actors are the same in any order."""
        every = sorted({self.race.actors.index(self.race.actors[n]) for n in done})
        return [order for size in range(len(every) + 1) for order in permutations(every, size)]

    def _one_after_the_other(self, room: Room, order: Sequence[int]) -> tuple[Look, Look]:
        with ExitStack() as exit_:
            scene, _ = self.states.begin(room, self.race.start, exit_)
            for n in order:
                self.race.actors[n].again(room, scene)
            at_once = room.call(acts.look, scene)
            self._settle(room, scene)
            return at_once, room.call(acts.look, scene)

    def _round(self, room: Room) -> Finding:
        with ExitStack() as exit_:
            scene, server = self.states.begin(room, self.race.start, exit_)
            before = room.call(acts.look, scene)
            children = [room.start(actor.act, scene, *actor.arguments) for actor in self.race.actors]
            for actor, child in zip(self.race.actors, children, strict=True):
                if actor.late:
                    wait(server, room.rng.randint(1, TASKS - 1))
                child.go()
            outcomes = [child.outcome(room.stage.settings.deadline) for child in children]
            finding = Finding(landed=True)
            for actor, outcome in zip(self.race.actors, outcomes, strict=True):
                finding += ended(outcome, actor.act.__name__)
            if self.race.sends:
                return finding + self._sent(room, scene, server, before)
            done = [n for n, outcome in enumerate(outcomes) if outcome.kind == "done"]
            return finding + self._ordered(room, scene, done)

    def _ordered(self, room: Room, scene: Scene, done: Sequence[int]) -> Finding:
        """Against all orders of those that succeeded."""
        kinds = len(self._all_orders(done)[-1])
        expected = [self._orders[order] for order in self._all_orders(done) if len(order) == kinds]
        finding = between(room.call(acts.look, scene), [at_once for at_once, _ in expected], "after the race")
        if not self.race.loads:
            return finding
        self._settle(room, scene)
        settled = room.call(acts.look, scene)
        return finding + between(settled, [late for _, late in expected], "after the next loads")

    def _settle(self, room: Room, scene: Scene) -> None:
        """Load each run once more, as users do."""
        for key in self.race.loads:
            for _ in range(TRIES):
                outcome = room.attempt(acts.load, scene, key)
                if outcome.kind == "done":
                    break
            else:
                raise ProofError(f"the run {key!r} cannot be loaded any more: {outcome.text}")

    def _sent(self, room: Room, scene: Scene, server: CvatServer, before: Look) -> Finding:
        """After a race about sending: the samples and labels are as before, and the run can be finished, or is gone."""
        now = room.call(acts.look, scene)
        finding = between(now.without_runs(), [before.without_runs()], "after the race")
        if now.states:
            outcome = room.attempt(acts.finish, scene)
            finding += ended(outcome, "finishing")
            if outcome.kind == "refused":
                finding += Finding(lost=1, notes=(f"the run cannot be finished: {outcome.text}",))
                return finding
        known = room.call(acts.known_tasks, scene)
        finding += tool.audit(server, known)
        if known:
            finding += pending(room.call(acts.plan, scene))
        return finding


def wait(server: CvatServer, tasks: int) -> None:
    """Until the server has so many tasks; not for ever, as a sender may fail."""
    end = time.monotonic() + WAIT
    while len(server.tasks) < tasks and time.monotonic() < end:
        time.sleep(0.001)
