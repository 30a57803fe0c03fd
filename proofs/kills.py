"""The area ``kills``: a process is killed in the middle of each verb. Afterwards another process must find the dataset as before or
as after, and a repetition must complete the verb, with nothing doubled and no task on the server that no run knows.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from . import actions, cvat
from .checks import check_is_one_of, check_outcome, check_plan_is_empty
from .children import Child, Outcome, Step
from .framework import Finding, Row, Shared, Trial, TrialContext, area
from .states import States
from .target import Snapshot, Target

ROUNDS = 16
Action = Callable[[Target], Any]


@dataclass(frozen=True)
class Verb:
    """What is killed. ``start`` is a state of ``States``; ``again`` is what a user calls afterwards."""

    name: str
    start: str
    action: Action
    retry: Action
    sends: bool = False
    removes: bool = False  # removes what was sent from the server
    plan_is_empty: bool = False  # afterwards a plan has no changes
    not_repeatable: bool = False  # a repetition does it again, so it is repeated only if it did not happen
    on_s3: bool = True  # whether it is tested on S3 too
    moves: bool = False  # moves folders: between two moves the dataset is elsewhere, and the error says where
    snapshot: Callable[[Target], Snapshot] = actions.snapshot


def _same(name: str, start: str, action: Action, **more: Any) -> Verb:
    return Verb(name, start, action, action, **more)


VERBS = (
    Verb("annotate", "plain", actions.annotate, actions.finish, sends=True, plan_is_empty=True),
    Verb("resume", "half sent", actions.resume, actions.finish, sends=True, plan_is_empty=True),
    Verb("abort", "half sent", actions.abort, actions.abort_again, removes=True),
    _same("cleanup", "sent", actions.cleanup, removes=True),
    _same("load", "worked", actions.load, plan_is_empty=True),
    _same("extend", "half a run", actions.extend, sends=True, plan_is_empty=True),
    _same("push", "edited here", actions.push, plan_is_empty=True),
    _same("adopt", "to adopt", actions.adopt, plan_is_empty=True),
    _same("undo", "loaded", actions.undo),
    _same("rename", "two runs", actions.rename),
    _same("add_samples", "plain, more images", actions.add_samples, not_repeatable=True),
    _same("add_samples with ids", "plain, more images", actions.add_samples_with_ids),
    _same("delete_samples", "plain", actions.delete_samples),
    _same("add_labels", "plain", actions.add_labels),
    _same("set_labels", "plain", actions.set_labels),
    _same("delete_labels", "plain", actions.delete_labels),
    _same("import create", "nothing", actions.import_create),
    _same("import add", "plain, more images", actions.import_add),
    _same("import overwrite", "plain, more images", actions.import_overwrite, on_s3=False, moves=True),
    _same("snapshot", "loaded", actions.name_version, plan_is_empty=True),
    _same("clean-up", "loaded", actions.clean_up, plan_is_empty=True),
    _same("export", "plain", actions.export, on_s3=False, snapshot=actions.snapshot_of_export),
)


@area("kills", "processes killed in the middle of each verb")
def kills(shared: Shared) -> Iterator[Row]:
    """Yield a row for each verb and storage, by default the disk."""
    for name in shared.settings.stores or ("disk",):
        states = States(shared, name)
        for verb in VERBS:
            if verb.on_s3 or name == "disk":
                yield Row(f"{verb.name} ({name})", Killing(verb, states).plan)


@dataclass(frozen=True)
class Killing:
    """The trials of a verb."""

    verb: Verb
    states: States

    def plan(self, context: TrialContext) -> list[Trial]:
        """Half of the trials kill at steps, which are drawn, and half at random moments."""
        with ExitStack() as exit_:
            target, _ = self.states.begin(context, self.verb.start, exit_)
            before = take_snapshot(context, self.verb, target)
            steps, seconds = context.call(actions.rehearse, self.verb.action, target)
            after = take_snapshot(context, self.verb, target)
        rounds = context.shared.settings.rounds or ROUNDS
        points = [(Step(n, when), name) for n, name in enumerate(steps, 1) for when in ("before", "after")]
        chosen = sorted(context.rng.sample(range(len(points)), min(len(points), rounds // 2)))
        trial = partial(self._trial, before=before, after=after)
        trials = [
            Trial(f"{step.when} step {step.number} ({name})", partial(trial, at=step, delay=0.0))
            for step, name in (points[at] for at in chosen)
        ]
        for number in range(rounds - len(trials)):
            moment = context.rng.random()
            trials.append(Trial(f"random {number}, at {moment:.0%}", partial(trial, at=None, delay=moment * seconds)))
        return trials

    def _trial(
        self, context: TrialContext, at: Step | None, delay: float, before: Snapshot, after: Snapshot
    ) -> Finding:
        with ExitStack() as exit_:
            target, server = self.states.begin(context, self.verb.start, exit_)
            outcome = killed(context.start(self.verb.action, target, at=at), delay, context)
            finding = replace(check_outcome(outcome, self.verb.name), landed=outcome.kind == "killed")
            found = context.attempt(self.verb.snapshot, target)
            finding += check_outcome(found, "looking")
            now = found.value if found.kind == "done" else Snapshot(Counter())
            if found.kind == "done" or not self.verb.moves:
                finding += check_is_one_of(now, [before, after], f"after the kill {found.text}".rstrip())
            happened = now.content == after.content
            if not (self.verb.not_repeatable and happened):
                retry = context.attempt(self.verb.retry, target)
                finding += check_outcome(retry, "the repetition")
                if retry.kind == "refused" and not happened:
                    finding += Finding(lost=1, notes=(f"the repetition is refused: {retry.text}",))
            finding += check_is_one_of(take_snapshot(context, self.verb, target), [after], "after the repetition")
            if self.verb.sends:
                finding += cvat.audit(server, context.call(actions.known_tasks, target))
            if self.verb.plan_is_empty and finding.sound:
                finding += check_plan_is_empty(context.call(actions.plan, target))
            if self.verb.removes and server.tasks:
                finding += Finding(
                    orphans=len(server.tasks), notes=(f"{len(server.tasks)} tasks are left on the server",)
                )
            return finding


def killed(child: Child, delay: float, context: TrialContext) -> Outcome:
    """Run a child that kills itself at a step, or is killed after ``delay`` seconds."""
    child.go()
    if delay:
        time.sleep(delay)
        child.kill()
    return child.outcome(context.shared.settings.deadline)


def take_snapshot(context: TrialContext, verb: Verb, target: Target) -> Snapshot:
    """A snapshot by another process; empty where there is no dataset."""
    outcome = context.attempt(verb.snapshot, target)
    return outcome.value if outcome.kind == "done" else Snapshot(Counter())
