"""The annotations of a job: added, removed, and rolled back when a later part of the same write fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .errors import ApiError
from .state import KINDS, Job, State, Task

Json = Any


class DuplicateId(ApiError):
    """The database's own words, as a bare text."""

    def __init__(self, kind: str, number: int) -> None:
        tables = {
            "tags": "labeledimage",
            "shapes": "labeledshape",
            "tracks": "labeledtrack",
            "keyframes": "trackedshape",
        }
        table = f"engine_{tables.get(kind, 'labeledinterval')}_pkey"
        detail = f"DETAIL:  Key (id)=({number}) already exists.\n"
        super().__init__(400, f'duplicate key value violates unique constraint "{table}"\n{detail}')


class Journal:
    """One write, over one job or all jobs of a task. Used as a context: an error inside undoes everything."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.done: list[tuple[bool, Job, str, Json]] = []

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            return
        for added, job, name, item in reversed(self.done):
            self._take(job, name, item) if added else self._put(job, name, item)

    def add(self, job: Job, kind: str, item: Json) -> None:
        """Store an object, giving ids to all its parts that have none. An id in use anywhere is refused."""
        given = set[tuple[str, int]]()
        for name, part in parts_of(kind, item):
            if part.get("id") is None:
                part["id"] = self.state.next_id(name)
            if part["id"] in self.state.taken[name] or (name, part["id"]) in given:
                raise DuplicateId(name, part["id"])
            given.add((name, part["id"]))
        self._put(job, kind, item)
        self.done.append((True, job, kind, item))

    def remove(self, job: Job, kind: str, number: int | None) -> None:
        """Remove an object of this job; of anything else, nothing."""
        item = job.annotations[kind].get(number) if number is not None else None
        if item is not None:
            self._take(job, kind, item)
            self.done.append((False, job, kind, item))

    def clear(self, job: Job) -> bool:
        """Remove all, and say whether there was anything."""
        numbers = [(kind, number) for kind in KINDS for number in job.annotations[kind]]
        for kind, number in numbers:
            self.remove(job, kind, number)
        return bool(numbers)

    def _put(self, job: Job, kind: str, item: Json) -> None:
        job.annotations[kind][item["id"]] = item
        for name, part in parts_of(kind, item):
            self.state.taken[name].add(part["id"])

    def _take(self, job: Job, kind: str, item: Json) -> None:
        del job.annotations[kind][item["id"]]
        for name, part in parts_of(kind, item):
            self.state.taken[name].discard(part["id"])


def parts_of(kind: str, item: Json) -> Iterator[tuple[str, Json]]:
    """The object, its elements and its keyframes, each with the name of its kind of id."""
    yield kind, item
    for element in item.get("elements", ()):
        yield from parts_of(kind, element)
    for keyframe in item.get("shapes", ()):
        yield "keyframes", keyframe


def drop_label(state: State, tasks: list[Task], label_id: int) -> None:
    """Remove the annotations of a label that is deleted."""
    journal = Journal(state)
    for job in (job for task in tasks for job in task.jobs):
        for kind in KINDS:
            for number in [number for number, item in job.annotations[kind].items() if item["label_id"] == label_id]:
                journal.remove(job, kind, number)


def drop_attribute(tasks: list[Task], attribute_id: int) -> None:
    """Remove the values of an attribute that is deleted."""
    for job in (job for task in tasks for job in task.jobs):
        for kind in KINDS:
            for item in job.annotations[kind].values():
                for _, part in parts_of(kind, item):
                    part["attributes"] = [value for value in part["attributes"] if value["spec_id"] != attribute_id]


def forget(state: State, task: Task) -> None:
    """Free the ids of a task that is deleted."""
    for job in task.jobs:
        Journal(state).clear(job)
