"""The state of a DataGym server: projects, datasets, media, tasks and values."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from .errors import not_found

Point = tuple[float, float]
OPEN_CORE_OWNER = "open-core-dummy-org-sub"
GEOMETRIES = ("POINT", "LINE", "POLYGON", "RECTANGLE", "IMAGE_SEGMENTATION")
FINISHED = ("COMPLETED", "SKIPPED", "REVIEWED")  # what the export has


def new_id() -> str:
    return str(uuid.uuid4())


def now() -> int:
    return int(time.time() * 1000)


@dataclass(eq=False)
class Entry:
    """One class or attribute of a label configuration."""

    id: str
    key: str
    shown: str
    type: str
    color: str | None = None
    shortcut: str | None = None
    options: dict[str, str | None] | None = field(default_factory=dict)
    max_length: int | None = None
    required: bool = False
    parent: Entry | None = None
    children: list[Entry] = field(default_factory=list)
    timestamp: int = field(default_factory=now)

    @property
    def is_geometry(self) -> bool:
        return self.type in GEOMETRIES

    def walk(self) -> Iterator[Entry]:
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(eq=False)
class Media:
    id: str
    name: str
    source: str
    data: bytes = b""
    width: int | None = None
    height: int | None = None
    url: str | None = None
    deleted: bool = False
    timestamp: int = field(default_factory=now)


@dataclass(eq=False)
class Dataset:
    id: str
    name: str
    owner: str
    short: str | None = None
    media_type: str = "IMAGE"
    media: list[Media] = field(default_factory=list)
    deleted: bool = False
    timestamp: int = field(default_factory=now)

    def present(self) -> list[Media]:
        return [m for m in self.media if not m.deleted]


@dataclass(eq=False)
class Value:
    """A geometry, or the answer to a classification, on one image."""

    id: str
    entry: Entry
    parent: Value | None = None
    children: list[Value] = field(default_factory=list)
    labeler: str | None = None
    valid: bool = False
    comment: str | None = None
    points: list[Point] = field(default_factory=list)
    width: float | None = None
    height: float | None = None
    rings: list[list[Point]] = field(default_factory=list)
    text: str | None = None
    select: str | None = None
    checked: list[str] = field(default_factory=list)
    timestamp: int = field(default_factory=now)

    def walk(self) -> Iterator[Value]:
        yield self
        for child in self.children:
            yield from child.walk()

    def copy(self, parent: Value | None = None) -> Value:
        """The same values in new objects, so that a transaction can be rolled back."""
        made = replace(self, parent=parent, points=list(self.points), checked=list(self.checked), children=[])
        made.children = [child.copy(made) for child in self.children]
        return made


@dataclass(eq=False)
class Task:
    id: str
    project: Project
    dataset: Dataset
    media: Media
    state: str = "BACKLOG"
    labeler: str | None = None
    review_comment: str | None = None
    json_upload: bool = False
    values: list[Value] = field(default_factory=list)  # roots

    def all_values(self) -> Iterator[Value]:
        for root in self.values:
            yield from root.walk()


@dataclass(eq=False)
class Project:
    id: str
    name: str
    owner: str
    short: str
    description: str | None = None
    media_type: str = "IMAGE"
    config_id: str = field(default_factory=new_id)
    iteration_id: str = field(default_factory=new_id)
    entries: list[Entry] = field(default_factory=list)
    changed: int = field(default_factory=now)
    datasets: list[Dataset] = field(default_factory=list)
    deleted: bool = False
    timestamp: int = field(default_factory=now)

    def all_entries(self) -> Iterator[Entry]:
        for entry in self.entries:
            yield from entry.walk()


@dataclass
class State:
    """One server. ``edition`` is ``hosted`` (v1 with tokens) or ``open-core`` (internal, without any)."""

    edition: str = "hosted"
    owner: str = "org-1"
    tokens: set[str] = field(default_factory=set)
    user: str = "user-7"  # who is logged in, or what a token is taken for
    has_task_api: bool = True  # older hosted servers publish no task endpoints
    login: str | None = None  # where the hosted edition sends those who ask its internal API; 401 if nowhere
    api_url: str = "http://localhost:8080/api/v1/"
    projects: dict[str, Project] = field(default_factory=dict)
    datasets: dict[str, Dataset] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    by_media: dict[tuple[str, str], Task] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def project(self, number: str) -> Project:
        found = self.projects.get(number)
        if found is None or found.deleted:
            raise not_found("Project", number)
        return found

    def of_config(self, number: str) -> Project:
        for project in self.projects.values():
            if project.config_id == number and not project.deleted:
                return project
        raise not_found("Label Configuration", number)

    def dataset(self, number: str) -> Dataset:
        found = self.datasets.get(number)
        if found is None or found.deleted:
            raise not_found("dataset", number)
        return found

    def connected(self, number: str) -> Dataset:
        """A dataset, as calls for projects show it."""
        if number not in self.datasets or self.datasets[number].deleted:
            raise not_found("Dataset", number)
        return self.datasets[number]

    def media(self, number: str, *, deleted: bool = False) -> Media:
        for dataset in self.datasets.values():
            for media in dataset.media:
                if media.id == number and (deleted or not media.deleted):
                    return media
        raise not_found("media", number)

    def task(self, number: str) -> Task:
        if number not in self.tasks:
            raise not_found("Label Task", number)
        return self.tasks[number]

    def tasks_of(self, project: Project) -> list[Task]:
        return [t for t in self.tasks.values() if t.project is project and not t.media.deleted]

    def value(self, number: str) -> tuple[Task, Value]:
        for task in self.tasks.values():
            for value in task.all_values():
                if value.id == number:
                    return task, value
        raise not_found("Label Entry Value", number)

    def add_task(self, project: Project, dataset: Dataset, media: Media) -> None:
        task = Task(new_id(), project, dataset, media)
        self.tasks[task.id] = task
        self.by_media[project.id, media.id] = task

    def drop_tasks(self, project: Project, dataset: Dataset) -> None:
        for task in [t for t in self.tasks.values() if t.project is project and t.dataset is dataset]:
            del self.tasks[task.id], self.by_media[project.id, task.media.id]


Json = dict[str, Any]
