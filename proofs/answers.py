"""The area ``answers``: one HTTP call of a verb gets a faulty answer. The verb must raise a ``BackendError`` that says how to go
on, or succeed. Then it is repeated without a fault, after which the dataset must be as if there had been none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from annobridge import exceptions

from . import actions, cvat, servers
from .checks import check_content, check_is_one_of, check_outcome, check_plan_is_empty
from .children import Outcome
from .faults import FAULTS, Fault
from .framework import Finding, Row, Shared, Trial, TrialContext, area
from .gateway import Gateway
from .storage import Disk
from .target import Snapshot, Target, draw

# Fewer for Pixano, whose datasets are made by a program, which is slow.
ROUNDS = {("cvat", "annotate"): 110, ("cvat", "load"): 55, ("datagym", "annotate"): 110, ("datagym", "load"): 55,
          ("pixano", "annotate"): 24, ("pixano", "load"): 24}  # fmt: skip
PATIENCE = {"timeout": 2.0, "deadline": 8.0}
IN_THE_BACKEND = (
    "This is a mistake in the backend"  # in the message for any exception of a backend that is not an AnnobridgeError
)
NEXT = {"annotate": ("resume_annotation",), "load": ("load_annotations", "delete_annotation_run")}


@area("answers", "faulty answers of servers, proxies and login pages")
def answers(shared: Shared) -> Iterator[Row]:
    """Yield a row for each backend and verb."""
    bases = Bases(shared)
    for (name, verb), rounds in ROUNDS.items():
        yield Row(f"{verb} ({name})", Answering(name, verb, rounds, bases).plan)


@dataclass
class Bases:
    """The dataset that trials copy."""

    shared: Shared
    _plain: Target | None = None

    def plain(self, context: TrialContext) -> Target:
        if self._plain is None:
            folder = self.shared.folder / "bases"
            draw(folder / "photos", 0)
            made = Target(str(folder / "plain"), None, folder / "photos")
            context.call(actions.create, made)
            self._plain = made
        return self._plain


@dataclass
class Answering:
    """The trials of a verb with one backend."""

    backend: str
    verb: str
    rounds: int
    bases: Bases
    calls: int = 0  # HTTP calls of the verb without a fault
    before: Snapshot | None = None
    after: Snapshot | None = None
    sent: tuple[Target, servers.Server] | None = None  # an edited run, for trials of load

    def plan(self, context: TrialContext) -> Sequence[Trial]:
        """Trials with every fault about equally often, each at a random call."""
        action = getattr(actions, self.verb)
        with ExitStack() as exit_:
            if self.verb == "load":
                self._send(context)
            target, running = self._begin(context, exit_)
            self.before = context.call(actions.snapshot, target)
            gateway = exit_.enter_context(Gateway(running.url))
            context.call(action, replace(target, url=gateway.url))
            self.after, self.calls = context.call(actions.snapshot, target), gateway.calls
        faults = [fault for fault in FAULTS if not (fault.lies and self._lists_only)]
        rounds = context.shared.settings.rounds or self.rounds
        chosen = [faults[number % len(faults)] for number in range(rounds)]
        storage = [context.rng.randrange(self.calls) for _ in chosen]
        return [
            Trial(f"{fault.name}, at call {at} of {self.calls}", partial(self._trial, fault=fault, at=at))
            for fault, at in zip(chosen, storage, strict=True)
        ]

    @property
    def _lists_only(self) -> bool:
        """Whether labels are read as plain lists, where a wrong list cannot be told from edits in the tool."""
        return (self.backend, self.verb) == ("pixano", "load")

    def _send(self, context: TrialContext) -> None:
        """Make the run that trials of load copy."""
        exit_ = context.shared.exit
        target, running = self._fresh(context.shared.folder / f"{self.backend}-sent", context, exit_)
        context.call(actions.annotate, target)
        running.work(context.call(actions.known_states, target))
        self.sent = target, running

    def _fresh(self, folder: Path, context: TrialContext, exit_: ExitStack) -> tuple[Target, servers.Server]:
        folder.mkdir(parents=True, exist_ok=True)
        running = exit_.enter_context(servers.SERVERS[self.backend](folder))
        plain = self.bases.plain(context)
        more = tuple((running.more | PATIENCE).items())
        target = replace(
            plain, uri=str(folder / "dataset"), url=running.url, token=running.token, backend=running.backend, more=more
        )
        Disk().copy(plain.uri, target.uri)
        return target, running

    def _begin(self, context: TrialContext, exit_: ExitStack) -> tuple[Target, servers.Server]:
        """A dataset for one trial, and its server. Loads change nothing on the server, and share one."""
        if self.sent is None:
            return self._fresh(context.folder / "fresh", context, exit_)
        made, running = self.sent
        target = replace(made, uri=str(context.folder / "dataset"))
        Disk().copy(made.uri, target.uri)
        return target, running

    def _trial(self, context: TrialContext, fault: Fault, at: int) -> Finding:
        assert self.before is not None
        assert self.after is not None
        with ExitStack() as exit_:
            target, running = self._begin(context, exit_)
            gateway = exit_.enter_context(Gateway(running.url, fault, at))
            target = replace(target, url=gateway.url)
            outcome = context.attempt(getattr(actions, self.verb), target)
            gateway.clear_fault()
            where = f" [{gateway.landed}]"
            finding = replace(check_outcome(outcome, self.verb), landed=bool(gateway.landed))
            now = context.call(actions.snapshot, target)
            finding += check_content(now, [self.before, self.after], "after the fault")
            finding += self._check_error(outcome, now)
            retry = context.attempt(actions.finish if self.verb == "annotate" else actions.load, target)
            finding += check_outcome(retry, "the repetition")
            if retry.kind == "refused":
                finding += Finding(lost=1, notes=(f"the repetition is refused: {retry.text}",))
            if finding.sound:
                finding += check_is_one_of(context.call(actions.snapshot, target), [self.after], "after the repetition")
                finding += self._on_the_server(context, target, running)
            return replace(finding, notes=tuple(note + where for note in finding.notes))

    def _check_error(self, outcome: Outcome, now: Snapshot) -> Finding:
        """Check the error: once a run exists, it has to be a ``BackendError`` that says how to go on, or ``MissingCredential``."""
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

    def _on_the_server(self, context: TrialContext, target: Target, running: servers.Server) -> Finding:
        if self.verb == "load":
            return Finding()
        known = [task for state in context.call(actions.known_states, target) for task in running.known(state)]
        return cvat.compare(running.there(), known) + check_plan_is_empty(context.call(actions.plan, target))
