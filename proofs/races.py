"""The area ``races``: several processes change one dataset at once. The result must be that of those which succeeded, one after
the other in some order; the others must have raised an ``AnnobridgeError`` and changed nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

from tests.doubles.cvat import CvatServer

from . import actions, cvat
from .checks import check_content, check_outcome, check_plan_is_empty
from .framework import Finding, ProofError, Row, Shared, Trial, TrialContext, area
from .states import States
from .target import IMAGES, PER_TASK, Snapshot, Target

ROUNDS = {"disk": 20, "s3": 5}
TRIES = 3  # of the load at the end
WAIT = 20.0  # seconds to wait for a sender's tasks
TASKS = IMAGES // PER_TASK


@dataclass(frozen=True)
class Actor:
    """A process: its action with arguments, and whether it starts late, while the others are sending."""

    action: Callable[..., Any]
    arguments: tuple[str, ...] = ()
    late: bool = False

    def retry(self, context: TrialContext, target: Target) -> None:
        """Run the action alone; it may be refused."""
        if (outcome := context.attempt(self.action, target, *self.arguments)).kind not in ("done", "refused"):
            raise ProofError(f"{self.action.__name__} alone: {outcome.kind}: {outcome.text}")


@dataclass(frozen=True)
class Race:
    """The processes of a race. ``loads`` are runs to load once more at the end; ``sends`` is for races about sending a run."""

    name: str
    start: str
    actors: tuple[Actor, ...]
    loads: tuple[str, ...] = ()
    sends: bool = False


RACES = (
    Race("annotate + resume", "plain", (Actor(actions.annotate), Actor(actions.resume, late=True)), sends=True),
    Race("resume x2 after a crash", "half sent", (Actor(actions.resume),) * 2, sends=True),
    Race("annotate + abort", "plain", (Actor(actions.annotate), Actor(actions.abort, late=True)), sends=True),
    Race("annotate x4, one key", "plain", (Actor(actions.annotate),) * 4, sends=True),
    Race("add_samples x3, same ids", "plain, more images", (Actor(actions.add_samples_with_ids),) * 3),
    Race("add_labels x3, same ids", "plain", (Actor(actions.add_labels),) * 3),
    Race("rename x2 to one key", "two runs", (Actor(actions.rename, ("a",)), Actor(actions.rename, ("b",)))),
    Race("import add x2", "plain, more images", (Actor(actions.import_add),) * 2),
    Race("import add x3", "plain, more images", (Actor(actions.import_add),) * 3),
    Race("load x3, one run", "worked", (Actor(actions.load),) * 3, ("r",)),
    Race("load x2, two runs", "two runs", (Actor(actions.load, ("a",)), Actor(actions.load, ("b",))), ("a", "b")),
    Race("load + set_labels", "worked", (Actor(actions.load), Actor(actions.set_labels)), ("r",)),
    Race("clean-up + load", "worked", (Actor(actions.clean_up), Actor(actions.load)), ("r",)),
    Race("clean-up + set_labels", "plain", (Actor(actions.clean_up), Actor(actions.set_labels))),
    Race(
        "snapshot + add_samples + clean-up",
        "plain, more images",
        (Actor(actions.name_version), Actor(actions.add_samples_with_ids), Actor(actions.clean_up)),
    ),
    Race("undo + load", "a loaded", (Actor(actions.undo, ("a",)), Actor(actions.load, ("b",))), ("b",)),
)


@area("races", "processes that work on one dataset at once")
def races(shared: Shared) -> Iterator[Row]:
    """Yield a row for each race and storage."""
    for store in shared.settings.stores or tuple(ROUNDS):
        states = States(shared, store)
        for race in RACES:
            yield Row(f"{race.name} ({store})", Racing(race, states).plan)


@dataclass(frozen=True)
class Racing:
    """The trials of a race."""

    race: Race
    states: States
    _orders: dict[tuple[int, ...], tuple[Snapshot, Snapshot]] = field(default_factory=dict)

    def plan(self, context: TrialContext) -> list[Trial]:
        """Rounds of the race; first the results of all orders, one actor after the other, are found out."""
        if not self.race.sends:
            for order in self._all_orders(range(len(self.race.actors))):
                self._orders[order] = self._one_after_the_other(context, order)
        rounds = context.shared.settings.rounds or ROUNDS[self.states.store]
        return [Trial(f"round {n}", self._round) for n in range(rounds)]

    def _all_orders(self, done: Sequence[int]) -> list[tuple[int, ...]]:
        """The orders of some actors, where equal actors are not told apart."""
        every = sorted({self.race.actors.index(self.race.actors[n]) for n in done})
        return [order for size in range(len(every) + 1) for order in permutations(every, size)]

    def _one_after_the_other(self, context: TrialContext, order: Sequence[int]) -> tuple[Snapshot, Snapshot]:
        with ExitStack() as exit_:
            target, _ = self.states.begin(context, self.race.start, exit_)
            for n in order:
                self.race.actors[n].retry(context, target)
            at_once = context.call(actions.snapshot, target)
            self._settle(context, target)
            return at_once, context.call(actions.snapshot, target)

    def _round(self, context: TrialContext) -> Finding:
        with ExitStack() as exit_:
            target, server = self.states.begin(context, self.race.start, exit_)
            before = context.call(actions.snapshot, target)
            children = [context.start(actor.action, target, *actor.arguments) for actor in self.race.actors]
            for actor, child in zip(self.race.actors, children, strict=True):
                if actor.late:
                    wait_for_tasks(server, context.rng.randint(1, TASKS - 1))
                child.go()
            outcomes = [child.outcome(context.shared.settings.deadline) for child in children]
            finding = Finding(landed=True)
            for actor, outcome in zip(self.race.actors, outcomes, strict=True):
                finding += check_outcome(outcome, actor.action.__name__)
            if self.race.sends:
                return finding + self._sent(context, target, server, before)
            done = [n for n, outcome in enumerate(outcomes) if outcome.kind == "done"]
            return finding + self._ordered(context, target, done)

    def _ordered(self, context: TrialContext, target: Target, done: Sequence[int]) -> Finding:
        """Compare the dataset with the results of all orders of the actors that succeeded."""
        kinds = len(self._all_orders(done)[-1])
        expected = [self._orders[order] for order in self._all_orders(done) if len(order) == kinds]
        finding = check_content(
            context.call(actions.snapshot, target), [at_once for at_once, _ in expected], "after the race"
        )
        if not self.race.loads:
            return finding
        self._settle(context, target)
        settled = context.call(actions.snapshot, target)
        return finding + check_content(settled, [late for _, late in expected], "after the next loads")

    def _settle(self, context: TrialContext, target: Target) -> None:
        """Load each run once more."""
        for key in self.race.loads:
            for _ in range(TRIES):
                outcome = context.attempt(actions.load, target, key)
                if outcome.kind == "done":
                    break
            else:
                raise ProofError(f"the run {key!r} cannot be loaded any more: {outcome.text}")

    def _sent(self, context: TrialContext, target: Target, server: CvatServer, before: Snapshot) -> Finding:
        """After a race about sending: samples and labels are as before, and the run can be completed, or is gone."""
        now = context.call(actions.snapshot, target)
        finding = check_content(now.without_runs(), [before.without_runs()], "after the race")
        if now.states:
            outcome = context.attempt(actions.finish, target)
            finding += check_outcome(outcome, "finishing")
            if outcome.kind == "refused":
                finding += Finding(lost=1, notes=(f"the run cannot be finished: {outcome.text}",))
                return finding
        known = context.call(actions.known_tasks, target)
        finding += cvat.audit(server, known)
        if known:
            finding += check_plan_is_empty(context.call(actions.plan, target))
        return finding


def wait_for_tasks(server: CvatServer, tasks: int) -> None:
    """Wait until the server has so many tasks, or for ``WAIT`` seconds, as a sender may fail."""
    end = time.monotonic() + WAIT
    while len(server.tasks) < tasks and time.monotonic() < end:
        time.sleep(0.001)
