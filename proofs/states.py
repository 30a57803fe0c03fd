"""The states that trials start from. What a trial does not change is made once, and copied."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from tests.doubles.cvat import CvatServer

from . import acts, tool
from .children import Step
from .frame import ProofError, Room, Stage
from .places import PLACES, Place
from .scene import Scene, draw

WORK = tool.Work(moves=((0, 4),), delete=1, draw=True)
WORK_A = tool.Work(moves=((0, 4), (1, 6)), draw=True)
WORK_B = tool.Work(moves=((0, 8),), delete=2)


class States:
    """Datasets and servers in each state, on one kind of store.

    nothing · plain · plain, more images (to be added) · sent · half sent (its sender was killed) · worked (people did) ·
    loaded · two runs (people worked in both, a and b) · a loaded (of these two)
    """

    def __init__(self, stage: Stage, store: str) -> None:
        self.stage, self.store = stage, store
        self.folder = stage.folder / f"states-{store}"
        self.photos, self.more = self.folder / "photos", self.folder / "more"
        self._made: dict[str, tuple[Scene, CvatServer | None]] = {}
        self._lock = threading.RLock()
        self._half: Step | None = None

    @cached_property
    def place(self) -> Place:
        """The store, and images; there once the first row asks for them."""
        draw(self.photos, 0)
        draw(self.more, 100)
        return self.stage.exit.enter_context(PLACES[self.store]())

    def begin(self, room: Room, state: str, exit_: ExitStack) -> tuple[Scene, CvatServer]:
        """A dataset of a trial's own in some state, and its server."""
        base, more = state.removesuffix(", more images"), state.endswith(", more images")
        place, uri = self.place, self._new(room.folder)
        if base in ("sent", "half sent", "plain", "nothing"):
            server = exit_.enter_context(tool.server())
            scene = Scene(uri, place.options, self.more if more else self.photos, server.url, server.token)
            if base != "nothing":
                place.copy(self.base(room, "plain")[0].uri, uri)
            if base == "sent":
                room.call(acts.annotate, scene)
            if base == "half sent":
                self._send_half(room, scene)
            return scene, server
        made, shared = self.base(room, base)
        assert shared is not None
        place.copy(made.uri, uri)
        return replace(made, uri=uri), shared

    def base(self, room: Room, state: str) -> tuple[Scene, CvatServer | None]:
        """The state that others are copied from, made when it is first asked for."""
        with self._lock:
            if state not in self._made:
                scene = Scene(self._new(self.folder), self.place.options, self.photos)
                self._made[state] = _MAKE[state](self, room, scene)
            return self._made[state]

    def _new(self, folder: Path) -> str:
        return self.place.uri(Path(tempfile.mkdtemp(dir=folder)) / "dataset")

    def _send_half(self, room: Room, scene: Scene) -> None:
        """Annotate, and be killed after half of the steps."""
        with self._lock:
            if self._half is None:
                with ExitStack() as exit_:
                    steps, _ = room.call(acts.rehearse, acts.annotate, self.begin(room, "plain", exit_)[0])
                self._half = Step(len(steps) // 2, "after")
        if (outcome := room.attempt(acts.annotate, scene, at=self._half)).kind != "killed":
            raise ProofError(f"annotate was to be killed: {outcome}")

    def _plain(self, room: Room, scene: Scene) -> tuple[Scene, None]:
        room.call(acts.create, scene)
        return scene, None

    def _sent(self, room: Room, scene: Scene, runs: dict[str, tool.Work]) -> tuple[Scene, CvatServer]:
        server = self.stage.exit.enter_context(tool.server())
        scene = replace(scene, url=server.url, token=server.token)
        self.place.copy(self.base(room, "plain")[0].uri, scene.uri)
        tasks = {}
        for key in runs:
            there = set(server.tasks)
            room.call(acts.annotate, scene, key)
            tasks[key] = set(server.tasks) - there
        for key, todo in runs.items():
            tool.work(server, sorted(tasks[key]), todo)
        return scene, server

    def _worked(self, room: Room, scene: Scene) -> tuple[Scene, CvatServer]:
        return self._sent(room, scene, {"r": WORK})

    def _two_runs(self, room: Room, scene: Scene) -> tuple[Scene, CvatServer]:
        return self._sent(room, scene, {"a": WORK_A, "b": WORK_B})

    def _after(self, room: Room, scene: Scene, state: str, key: str) -> tuple[Scene, CvatServer | None]:
        made, server = self.base(room, state)
        loaded = replace(made, uri=scene.uri)
        self.place.copy(made.uri, loaded.uri)
        room.call(acts.load, loaded, key)
        return loaded, server


_MAKE: dict[str, Callable[[States, Room, Scene], tuple[Scene, CvatServer | None]]] = {
    "plain": States._plain,
    "worked": States._worked,
    "two runs": States._two_runs,
    "loaded": lambda states, room, scene: states._after(room, scene, "worked", "r"),
    "a loaded": lambda states, room, scene: states._after(room, scene, "two runs", "a"),
}
