"""Answers: one faulty answer at some call of a verb. The verb ends in a ``BackendError`` that says how to go on, or its work is
done all the same; then it is called again without a fault, and what is there must be what it would have been without one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from annobridge import exceptions

from . import acts, tool, tools
from .children import Outcome
from .faults import FAULTS, Fault
from .frame import Finding, Room, Row, Stage, Trial, area
from .gateway import Gateway
from .judge import between, ended, one_of, pending
from .places import Disk
from .scene import Look, Scene, draw

# A dataset of Pixano is made by a program, which takes its time.
ROUNDS = {("cvat", "annotate"): 110, ("cvat", "load"): 55, ("datagym", "annotate"): 110, ("datagym", "load"): 55,
          ("pixano", "annotate"): 24, ("pixano", "load"): 24}  # fmt: skip
PATIENCE = {"timeout": 2.0, "deadline": 8.0}
IN_THE_BACKEND = "This is a mistake in the backend"  # said of any exception of a backend that is not one of annobridge
NEXT = {"annotate": ("resume_annotation",), "load": ("load_annotations", "delete_annotation_run")}


@area("answers", "faulty answers of servers, proxies and login pages")
def answers(stage: Stage) -> Iterator[Row]:
    """A row for each backend and verb."""
    bases = Bases(stage)
    for (name, verb), rounds in ROUNDS.items():
        yield Row(f"{verb} ({name})", Answering(name, verb, rounds, bases).plan)


@dataclass
class Bases:
    """The datasets that trials are copies of."""

    stage: Stage
    _plain: Scene | None = None

    def plain(self, room: Room) -> Scene:
        """A dataset that was not sent."""
        if self._plain is None:
            folder = self.stage.folder / "bases"
            draw(folder / "photos", 0)
            made = Scene(str(folder / "plain"), None, folder / "photos")
            room.call(acts.create, made)
            self._plain = made
        return self._plain


@dataclass
class Answering:
    """The trials of a verb with one backend."""

    backend: str
    verb: str
    rounds: int
    bases: Bases
    calls: int = 0  # of the verb, without a fault
    before: Look | None = None
    after: Look | None = None
    sent: tuple[Scene, tools.Running] | None = None  # what loads are made of: people worked in it

    def plan(self, room: Room) -> Sequence[Trial]:
        """Every fault about as often as the others, each at a call that is drawn."""
        act = getattr(acts, self.verb)
        with ExitStack() as exit_:
            if self.verb == "load":
                self._send(room)
            scene, running = self._begin(room, exit_)
            self.before = room.call(acts.look, scene)
            gateway = exit_.enter_context(Gateway(running.url))
            room.call(act, replace(scene, url=gateway.url))
            self.after, self.calls = room.call(acts.look, scene), gateway.calls
        faults = [fault for fault in FAULTS if not (fault.lies and self._believes)]
        rounds = room.stage.settings.rounds or self.rounds
        chosen = [faults[number % len(faults)] for number in range(rounds)]
        places = [room.rng.randrange(self.calls) for _ in chosen]
        return [
            Trial(f"{fault.name}, at call {at} of {self.calls}", partial(self._trial, fault=fault, at=at))
            for fault, at in zip(chosen, places, strict=True)
        ]

    @property
    def _believes(self) -> bool:
        """Whether labels are read as lists, so that nobody can tell an empty one from the work of a person."""
        return (self.backend, self.verb) == ("pixano", "load")

    def _send(self, room: Room) -> None:
        """The run that loads are made of."""
        exit_ = room.stage.exit
        scene, running = self._fresh(room.stage.folder / f"{self.backend}-sent", room, exit_)
        room.call(acts.annotate, scene)
        running.work(room.call(acts.known_states, scene))
        self.sent = scene, running

    def _fresh(self, folder: Path, room: Room, exit_: ExitStack) -> tuple[Scene, tools.Running]:
        folder.mkdir(parents=True, exist_ok=True)
        running = exit_.enter_context(tools.SERVERS[self.backend](folder))
        plain = self.bases.plain(room)
        more = tuple((running.more | PATIENCE).items())
        scene = replace(
            plain, uri=str(folder / "dataset"), url=running.url, token=running.token, backend=running.backend, more=more
        )
        Disk().copy(plain.uri, scene.uri)
        return scene, running

    def _begin(self, room: Room, exit_: ExitStack) -> tuple[Scene, tools.Running]:
        """A dataset of a trial's own, and its server; loads change nothing there, so that they have one together."""
        if self.sent is None:
            return self._fresh(room.folder / "fresh", room, exit_)
        made, running = self.sent
        scene = replace(made, uri=str(room.folder / "dataset"))
        Disk().copy(made.uri, scene.uri)
        return scene, running

    def _trial(self, room: Room, fault: Fault, at: int) -> Finding:
        assert self.before is not None
        assert self.after is not None
        with ExitStack() as exit_:
            scene, running = self._begin(room, exit_)
            gateway = exit_.enter_context(Gateway(running.url, fault, at))
            scene = replace(scene, url=gateway.url)
            outcome = room.attempt(getattr(acts, self.verb), scene)
            gateway.mend()
            where = f" [{gateway.landed}]"
            finding = replace(ended(outcome, self.verb), landed=bool(gateway.landed))
            now = room.call(acts.look, scene)
            finding += between(now, [self.before, self.after], "after the fault")
            finding += self._said(outcome, now)
            again = room.attempt(acts.finish if self.verb == "annotate" else acts.load, scene)
            finding += ended(again, "the repetition")
            if again.kind == "refused":
                finding += Finding(lost=1, notes=(f"the repetition is refused: {again.text}",))
            if finding.sound:
                finding += one_of(room.call(acts.look, scene), [self.after], "after the repetition")
                finding += self._on_the_server(room, scene, running)
            return replace(finding, notes=tuple(note + where for note in finding.notes))

    def _said(self, outcome: Outcome, now: Look) -> Finding:
        """An error is a ``BackendError`` that says how to go on, or names a credential to give; or nothing was begun."""
        if outcome.kind != "refused":
            return Finding()
        if IN_THE_BACKEND in outcome.text:
            return Finding(bare=1, notes=(f"not a sentence of the backend: {outcome.text}",))
        kind = getattr(exceptions, outcome.text.partition(":")[0])
        begun = (self.verb == "load" or bool(now.states)) and not issubclass(kind, exceptions.MissingCredential)
        if begun and not (
            issubclass(kind, exceptions.BackendError) and any(n in outcome.text for n in NEXT[self.verb])
        ):
            return Finding(bare=1, notes=(f"it does not say how to go on: {outcome.text}",))
        return Finding()

    def _on_the_server(self, room: Room, scene: Scene, running: tools.Running) -> Finding:
        if self.verb == "load":
            return Finding()
        known = [task for state in room.call(acts.known_states, scene) for task in running.known(state)]
        return tool.compare(running.there(), known) + pending(room.call(acts.plan, scene))
