"""Writing annotations to a job, or to a task and so to its jobs by frame. A write is atomic."""

from __future__ import annotations

from collections import defaultdict
from copy import deepcopy
from typing import Any

from . import tracks
from .errors import crash, invalid
from .merge import Joined
from .state import KINDS, Job, State, Task
from .store import Journal

Json = Any
Objects = dict[str, list[Json]]


class Writer:
    """One write. `action` is `put`, `create`, `update` or `delete`."""

    def __init__(self, state: State, task: Task, action: str) -> None:
        self.state, self.task, self.action = state, task, action
        labels = [each for label in task.labels for each in (label, *label.sublabels)]
        self.specs = {label.id: {spec.id: spec.mutable for spec in label.attributes} for label in labels}

    def to_job(self, job: Job, objects: Objects) -> Objects:
        with Journal(self.state) as journal:
            return self._write(job, objects, journal)

    def to_task(self, objects: Objects) -> Objects:
        jobs = jobs_of(self.task)
        parts = self.parted(objects, jobs)
        joined = Joined(self.task.overlap or 0, self.state.version)
        with Journal(self.state) as journal:
            for job in jobs:
                joined.add(self._write(job, parts[job.id], journal), job.start)
        return joined.result()

    def parted(self, objects: Objects, jobs: list[Job]) -> dict[int, Objects]:
        """What each job gets. An object on a shared frame goes to both jobs, one on no job's frame goes nowhere."""
        parts: dict[int, Objects] = {job.id: {kind: [] for kind in KINDS} for job in jobs}
        by_frame: dict[int, list[Job]] = defaultdict(list)
        for job in jobs:
            for frame in range(job.start, job.stop + 1):
                by_frame[frame].append(job)
        for kind in ("tags", "shapes"):
            for item in objects[kind]:
                for at, job in enumerate(by_frame.get(item["frame"], ())):
                    parts[job.id][kind].append(item if at == 0 else deepcopy(item))
        for track in objects["tracks"]:
            for job in jobs:
                part = tracks.cut(track, job.start, job.stop, self.state.version)
                if part:
                    parts[job.id]["tracks"].append(part)
        for job in jobs:
            check_intervals(objects["intervals"], job)
            parts[job.id]["intervals"] = deepcopy(objects["intervals"])
        return parts

    def _write(self, job: Job, objects: Objects, journal: Journal) -> Objects:
        changed = any(objects.values())
        if self.action == "put":
            refuse_poisoned(self.state, [job])
            changed |= journal.clear(job)
        elif self.action in ("update", "delete"):
            for kind, items in objects.items():
                for item in items:
                    journal.remove(job, kind, item["id"])
        if self.action != "delete":
            for kind in KINDS:
                for item in objects[kind]:
                    self._add(job, kind, item, journal)
        if changed:
            self.state.touch(self.task, job)
        return objects

    def _add(self, job: Job, kind: str, item: Json, journal: Journal) -> None:
        if kind == "tracks":
            self._add_track(job, item, journal)
        else:
            self.check(item, None)
            journal.add(job, kind, item)

    def _add_track(self, job: Job, track: Json, journal: Journal) -> None:
        """What is kept differs from what is answered: a skeleton begins no later than its elements."""
        if not track["shapes"]:
            raise crash()
        settle([track])
        elements = track.get("elements", [])
        begin = settle(elements, track)
        self.check_track(track)
        if self.state.version.since(2, 16):
            elements = [element for element in elements if element["shapes"]]
        first, *rest = track["shapes"]
        if begin < track["frame"]:
            first = {**first, "frame": begin}
        kept = {**track, "frame": min(begin, track["frame"]), "shapes": [first, *rest], "elements": elements}
        journal.add(job, "tracks", kept)
        track["id"], track["shapes"][0]["id"] = kept["id"], first["id"]

    def check(self, item: Json, mutable: bool | None) -> None:
        """Label and attributes must be the task's; in tracks also each at its place."""
        specs = self.specs.get(item["label_id"])
        if specs is None:
            raise invalid(f"label_id `{item['label_id']}` is invalid")
        self.check_values(item["attributes"], specs, mutable)
        for element in item.get("elements", ()):
            self.check(element, mutable)

    def check_values(self, values: list[Json], specs: dict[int, bool], mutable: bool | None) -> None:
        for value in values:
            number = value["spec_id"]
            if number not in specs or (mutable is not None and specs[number] is not mutable):
                raise invalid(f"spec_id `{number}` is invalid")

    def check_track(self, track: Json) -> None:
        self.check({**track, "elements": []}, mutable=False)
        for shape in track["shapes"]:
            self.check_values(shape["attributes"], self.specs[track["label_id"]], True)
        for element in track.get("elements", ()):
            self.check_track(element)


def check_intervals(intervals: list[Json], job: Job) -> None:
    """Intervals cannot be cut: a task of several jobs refuses them."""
    for interval in intervals:
        stop = interval["start"] if interval["stop"] is None else interval["stop"]
        if not (job.start <= interval["start"] <= job.stop and stop <= job.stop + 1):
            raise invalid(f"Interval {interval['id']} cannot be sliced to the [{job.start}, {job.stop}] range")


def settle(tracks: list[Json], parent: Json = None) -> int:
    """A track begins with its first keyframe, and an element with its parent, hidden until its own first keyframe.

    Returned is where the first one begins; elements that begin before their parent take it, and each other, along.
    """
    for track in tracks:
        begin_at(track, track["frame"] if parent is None else min(track["frame"], parent["frame"]))
    begin: int = min((track["frame"] for track in tracks), default=parent["frame"] if parent else 0)
    if parent and begin < parent["frame"]:
        for track in tracks:
            begin_at(track, begin)
    return begin


def begin_at(track: Json, frame: int) -> None:
    track["frame"] = frame
    first = min(track["shapes"], key=lambda shape: shape["frame"], default=None)
    if first is None:
        return
    if first["frame"] < frame:
        track["frame"] = first["frame"]
    elif first["frame"] > frame and first["type"] == "skeleton":
        first["frame"] = frame
    elif first["frame"] > frame:
        track["shapes"].append({**deepcopy(first), "frame": frame, "outside": True, "id": None})


def jobs_of(task: Task) -> list[Job]:
    """The jobs whose annotations are the task's. Ground truth belongs to them only when its frames are the task's own."""
    kinds = ["annotation"]
    if task.data and task.data.validation and task.data.validation.mode == "gt_pool":
        kinds.append("ground_truth")
    return [job for job in task.jobs if job.type in kinds]


def refuse_poisoned(state: State, jobs: list[Job]) -> None:
    """A skeleton element on another frame than its skeleton's cannot be read any more, and nothing beside it."""
    if not state.version.since(2, 16):
        return
    for job in jobs:
        for shape in job.annotations["shapes"].values():
            if any(element["frame"] != shape["frame"] for element in shape["elements"]):
                raise crash()
