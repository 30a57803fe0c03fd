"""Kills: a process dies in the middle of each verb. Then a fresh one must find the dataset as before or as after, and the
repetition must finish what was begun, with nothing doubled and no task on the server that no run knows.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from . import acts, tool
from .children import Child, Outcome, Step
from .frame import Finding, Room, Row, Stage, Trial, area
from .judge import ended, one_of, pending
from .scene import Look, Scene
from .states import States

ROUNDS = 16
Act = Callable[[Scene], Any]


@dataclass(frozen=True)
class Verb:
    """What is killed. ``start`` is a state of ``States``; ``again`` is how a user goes on afterwards."""

    name: str
    start: str
    act: Act
    again: Act
    sends: bool = False
    removes: bool = False  # from the server, what was sent
    quiet: bool = False  # afterwards a plan shows nothing
    by_eye: bool = False  # repeated only if it did not happen: nothing tells a repetition from a second order
    everywhere: bool = True  # also on S3
    moves: bool = False  # folders: between two moves there is no dataset at its place, and the error says where it is
    look: Callable[[Scene], Look] = acts.look


def _same(name: str, start: str, act: Act, **more: Any) -> Verb:
    return Verb(name, start, act, act, **more)


VERBS = (
    Verb("annotate", "plain", acts.annotate, acts.finish, sends=True, quiet=True),
    Verb("resume", "half sent", acts.resume, acts.finish, sends=True, quiet=True),
    Verb("abort", "half sent", acts.abort, acts.abort_again, removes=True),
    _same("cleanup", "sent", acts.cleanup, removes=True),
    _same("load", "worked", acts.load, quiet=True),
    _same("undo", "loaded", acts.undo),
    _same("rename", "two runs", acts.rename),
    _same("add_samples", "plain, more images", acts.add_samples, by_eye=True),
    _same("add_samples with ids", "plain, more images", acts.add_samples_with_ids),
    _same("delete_samples", "plain", acts.delete_samples),
    _same("add_labels", "plain", acts.add_labels),
    _same("set_labels", "plain", acts.set_labels),
    _same("delete_labels", "plain", acts.delete_labels),
    _same("import create", "nothing", acts.import_create),
    _same("import add", "plain, more images", acts.import_add),
    _same("import overwrite", "plain, more images", acts.import_overwrite, everywhere=False, moves=True),
    _same("export", "plain", acts.export, everywhere=False, look=acts.look_at_export),
)


@area("kills", "processes killed in the middle of each verb")
def kills(stage: Stage) -> Iterator[Row]:
    """A row for each verb and store; on disk alone unless asked otherwise."""
    for name in stage.settings.stores or ("disk",):
        states = States(stage, name)
        for verb in VERBS:
            if verb.everywhere or name == "disk":
                yield Row(f"{verb.name} ({name})", Killing(verb, states).plan)


@dataclass(frozen=True)
class Killing:
    """The trials of a verb."""

    verb: Verb
    states: States

    def plan(self, room: Room) -> list[Trial]:
        """Half of the trials at steps, spread over all of them, and half at random moments."""
        with ExitStack() as exit_:
            scene, _ = self.states.begin(room, self.verb.start, exit_)
            before = seen(room, self.verb, scene)
            steps, seconds = room.call(acts.rehearse, self.verb.act, scene)
            after = seen(room, self.verb, scene)
        rounds = room.stage.settings.rounds or ROUNDS
        points = [(Step(n, when), name) for n, name in enumerate(steps, 1) for when in ("before", "after")]
        chosen = sorted(room.rng.sample(range(len(points)), min(len(points), rounds // 2)))
        trial = partial(self._trial, before=before, after=after)
        trials = [
            Trial(f"{step.when} step {step.number} ({name})", partial(trial, at=step, delay=0.0))
            for step, name in (points[at] for at in chosen)
        ]
        for number in range(rounds - len(trials)):
            moment = room.rng.random()
            trials.append(Trial(f"random {number}, at {moment:.0%}", partial(trial, at=None, delay=moment * seconds)))
        return trials

    def _trial(self, room: Room, at: Step | None, delay: float, before: Look, after: Look) -> Finding:
        with ExitStack() as exit_:
            scene, server = self.states.begin(room, self.verb.start, exit_)
            outcome = killed(room.start(self.verb.act, scene, at=at), delay, room)
            finding = replace(ended(outcome, self.verb.name), landed=outcome.kind == "killed")
            found = room.attempt(self.verb.look, scene)
            finding += ended(found, "looking")
            now = found.value if found.kind == "done" else Look(Counter())
            if found.kind == "done" or not self.verb.moves:
                finding += one_of(now, [before, after], f"after the kill {found.text}".rstrip())
            happened = now.content == after.content
            if not (self.verb.by_eye and happened):
                again = room.attempt(self.verb.again, scene)
                finding += ended(again, "the repetition")
                if again.kind == "refused" and not happened:
                    finding += Finding(lost=1, notes=(f"the repetition is refused: {again.text}",))
            finding += one_of(seen(room, self.verb, scene), [after], "after the repetition")
            if self.verb.sends:
                finding += tool.audit(server, room.call(acts.known_tasks, scene))
            if self.verb.quiet and finding.sound:
                finding += pending(room.call(acts.plan, scene))
            if self.verb.removes and server.tasks:
                finding += Finding(
                    orphans=len(server.tasks), notes=(f"{len(server.tasks)} tasks are left on the server",)
                )
            return finding


def killed(child: Child, delay: float, room: Room) -> Outcome:
    """The outcome of a child that kills itself at a step, or is killed after a delay."""
    child.go()
    if delay:
        time.sleep(delay)
        child.kill()
    return child.outcome(room.stage.settings.deadline)


def seen(room: Room, verb: Verb, scene: Scene) -> Look:
    """What a fresh process sees; nothing where there is no dataset."""
    outcome = room.attempt(verb.look, scene)
    return outcome.value if outcome.kind == "done" else Look(Counter())
