"""The states that trials start from. Each is made once, and copied for every trial that changes it."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from tests.doubles.cvat import CvatServer

from . import actions, cvat
from .children import Step
from .framework import ProofError, Shared, TrialContext
from .storage import STORAGES, Storage
from .target import Target, draw

WORK = cvat.Work(moves=((0, 4),), delete=1, draw=True)
WORK_A = cvat.Work(moves=((0, 4), (1, 6)), draw=True)
WORK_B = cvat.Work(moves=((0, 8),), delete=2)


class States:
    """Datasets and servers in each state, on one kind of storage.

    nothing · plain · plain, more images (to be added) · sent · half sent (its sender was killed) · half a run (six of twelve
    images) · edited here (after it was sent) · to adopt (tasks of another dataset) · worked (edited in the tool) · loaded ·
    two runs (a and b, both edited in the tool) · a loaded (of these two)
    """

    def __init__(self, shared: Shared, store: str) -> None:
        self.shared, self.store = shared, store
        self.folder = shared.folder / f"states-{store}"
        self.photos, self.more = self.folder / "photos", self.folder / "more"
        self._made: dict[str, tuple[Target, CvatServer | None]] = {}
        self._lock = threading.RLock()
        self._half: Step | None = None

    @cached_property
    def storage(self) -> Storage:
        """The storage; it and the images are made when the first row asks for them."""
        draw(self.photos, 0)
        draw(self.more, 100)
        return self.shared.exit.enter_context(STORAGES[self.store]())

    def begin(self, context: TrialContext, state: str, exit_: ExitStack) -> tuple[Target, CvatServer]:
        """A dataset in some state for one trial, and its server."""
        base, more = state.removesuffix(", more images"), state.endswith(", more images")
        storage, uri = self.storage, self._new(context.folder)
        if base in ("plain", "nothing", *_SENT_ALONE, "half sent"):
            server = exit_.enter_context(cvat.server())
            target = Target(uri, storage.options, self.more if more else self.photos, server.url, server.token)
            if base != "nothing":
                storage.copy(self.base(context, "plain")[0].uri, uri)
            for action in _SENT_ALONE.get(base, ()):
                context.call(action, target)
            if base == "half sent":
                self._send_half(context, target)
            return target, server
        made, shared_server = self.base(context, base)
        assert shared_server is not None
        storage.copy(made.uri, uri)
        return replace(made, uri=uri), shared_server

    def base(self, context: TrialContext, state: str) -> tuple[Target, CvatServer | None]:
        """The dataset in a state that trials copy, made when it is first asked for, and its server."""
        with self._lock:
            if state not in self._made:
                target = Target(self._new(self.folder), self.storage.options, self.photos)
                self._made[state] = _MAKE[state](self, context, target)
            return self._made[state]

    def _new(self, folder: Path) -> str:
        return self.storage.uri(Path(tempfile.mkdtemp(dir=folder)) / "dataset")

    def _send_half(self, context: TrialContext, target: Target) -> None:
        """Annotate, and kill the process after half of its steps."""
        with self._lock:
            if self._half is None:
                with ExitStack() as exit_:
                    steps, _ = context.call(actions.rehearse, actions.annotate, self.begin(context, "plain", exit_)[0])
                self._half = Step(len(steps) // 2, "after")
        if (outcome := context.attempt(actions.annotate, target, at=self._half)).kind != "killed":
            raise ProofError(f"annotate was to be killed: {outcome}")

    def _plain(self, context: TrialContext, target: Target) -> tuple[Target, None]:
        context.call(actions.create, target)
        return target, None

    def _sent(self, context: TrialContext, target: Target, runs: dict[str, cvat.Work]) -> tuple[Target, CvatServer]:
        server = self.shared.exit.enter_context(cvat.server())
        target = replace(target, url=server.url, token=server.token)
        self.storage.copy(self.base(context, "plain")[0].uri, target.uri)
        tasks = {}
        for key in runs:
            there = set(server.tasks)
            context.call(actions.annotate, target, key)
            tasks[key] = set(server.tasks) - there
        for key, todo in runs.items():
            cvat.work(server, sorted(tasks[key]), todo)
        return target, server

    def _worked(self, context: TrialContext, target: Target) -> tuple[Target, CvatServer]:
        return self._sent(context, target, {"r": WORK})

    def _two_runs(self, context: TrialContext, target: Target) -> tuple[Target, CvatServer]:
        return self._sent(context, target, {"a": WORK_A, "b": WORK_B})

    def _after(self, context: TrialContext, target: Target, state: str, key: str) -> tuple[Target, CvatServer | None]:
        made, server = self.base(context, state)
        loaded = replace(made, uri=target.uri)
        self.storage.copy(made.uri, loaded.uri)
        context.call(actions.load, loaded, key)
        return loaded, server


# States with a server of their own: what makes them of a plain dataset
_SENT_ALONE: dict[str, tuple[Callable[[Target], None], ...]] = {
    "sent": (actions.annotate,),
    "half a run": (actions.annotate_half,),
    "edited here": (actions.annotate, actions.edit_here),
    "to adopt": (actions.make_tasks,),
}
_MAKE: dict[str, Callable[[States, TrialContext, Target], tuple[Target, CvatServer | None]]] = {
    "plain": States._plain,
    "worked": States._worked,
    "two runs": States._two_runs,
    "loaded": lambda states, context, target: states._after(context, target, "worked", "r"),
    "a loaded": lambda states, context, target: states._after(context, target, "two runs", "a"),
}
