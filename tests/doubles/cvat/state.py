"""The state of the server: users, projects, labels, tasks, jobs and their annotations."""

from __future__ import annotations

import itertools
import random
import secrets
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from .versions import Version

Json = Any
KINDS = ("tags", "shapes", "tracks", "intervals")

# Each kind of id starts elsewhere, so that a mix-up of ids cannot pass unseen.
FIRST_IDS = {
    "user": 1, "organization": 31, "membership": 41, "project": 61, "task": 101, "data": 201, "job": 301, "issue": 401,
    "comment": 451, "guide": 481, "access token": 491, "label": 1001, "attribute": 2001,
    "tags": 5001, "tracks": 7001, "intervals": 9001, "shapes": 20001, "keyframes": 50001,
}  # fmt: skip


@dataclass
class User:
    id: int
    username: str
    password: str
    email: str = ""
    is_superuser: bool = False
    key: str | None = None
    joined: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass
class AccessToken:
    id: int
    name: str
    value: str
    owner: User
    read_only: bool
    expiry: str | None
    created: datetime
    updated: datetime
    last_used: datetime | None = None


@dataclass
class Organization:
    id: int
    slug: str
    name: str
    owner: User
    roles: dict[int, str] = field(default_factory=dict)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass
class Attribute:
    id: int
    name: str
    mutable: bool
    input_type: str
    default_value: str
    values: list[str]


@dataclass
class Label:
    id: int
    name: str
    color: str
    type: str
    attributes: list[Attribute] = field(default_factory=list)
    sublabels: list[Label] = field(default_factory=list)
    svg: str | None = None
    parent: Label | None = None


@dataclass
class Project:
    id: int
    name: str
    owner: User
    created: datetime
    updated: datetime
    assignee: User | None = None
    bug_tracker: str = ""
    organization: Organization | None = None
    labels: list[Label] = field(default_factory=list)
    guide_id: int | None = None


@dataclass
class Frame:
    """One image. `content` is the original file's bytes; a video's frames have none of their own."""

    name: str
    width: int
    height: int
    content: bytes = b""


@dataclass
class Data:
    """The media of a task."""

    id: int
    created: datetime
    frames: list[Frame] = field(default_factory=list)
    size: int = 0
    chunk_size: int | None = 72
    image_quality: int = 50
    start_frame: int = 0
    stop_frame: int = 0
    frame_filter: str = ""
    deleted: list[int] = field(default_factory=list)
    is_video: bool = False
    zip_chunks: bool = True
    validation: Validation | None = None

    def frame(self, number: int) -> Frame:
        return self.frames[0] if self.is_video else self.frames[number]


@dataclass
class Validation:
    """Ground truth: `gt` frames belong to the task's own, `gt_pool` frames come after them and are copied into jobs."""

    mode: str
    frames: list[int]
    per_job: int | None = None
    honeypots: dict[int, int] = field(default_factory=dict)


@dataclass
class Creation:
    """The background work that makes frames and jobs from uploaded files."""

    options: dict[str, Json]
    owner: User
    created: datetime
    status: str = "queued"
    started: datetime | None = None
    finished: datetime | None = None
    message: str = ""


@dataclass
class Upload:
    """A resumable upload (TUS) under way."""

    id: str
    name: str
    length: int
    content: bytearray = field(default_factory=bytearray)


@dataclass
class Task:
    id: int
    name: str
    owner: User
    created: datetime
    updated: datetime
    assignee: User | None = None
    assigned: datetime | None = None
    project: Project | None = None
    organization: Organization | None = None
    bug_tracker: str = ""
    subset: str = ""
    overlap: int | None = None
    segment_size: int = 0
    replicas: int = 0
    own_labels: list[Label] = field(default_factory=list)
    guide_id: int | None = None
    data: Data | None = None
    jobs: list[Job] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    creation: Creation | None = None
    stuck: bool = False  # a file name with a directory part leaves the upload unusable

    @property
    def labels(self) -> list[Label]:
        return self.project.labels if self.project else self.own_labels

    @property
    def size(self) -> int:
        return self.data.size if self.data else 0

    @property
    def status(self) -> str:
        stages = [job.status for job in self.jobs]
        if stages and all(stage == "completed" for stage in stages):
            return "completed"
        return "validation" if stages and all(stage != "annotation" for stage in stages) else "annotation"


@dataclass
class Job:
    id: int
    task: Task
    start: int
    stop: int
    created: datetime
    updated: datetime
    type: str = "annotation"
    stage: str = "annotation"
    state: str = "new"
    assignee: User | None = None
    assigned: datetime | None = None
    parent_id: int | None = None
    frames: list[int] | None = None  # of a ground-truth job
    annotations: dict[str, dict[int, Json]] = field(default_factory=lambda: {kind: {} for kind in KINDS})

    @property
    def status(self) -> str:
        """The legacy word for stage and state."""
        if self.stage == "acceptance":
            return "completed" if self.state == "completed" else "validation"
        return self.stage


@dataclass
class Issue:
    id: int
    job: Job
    frame: int
    position: list[float]
    owner: User
    created: datetime
    updated: datetime
    assignee: User | None = None
    resolved: bool = False


@dataclass
class Comment:
    id: int
    issue: Issue
    message: str
    owner: User
    created: datetime
    updated: datetime


@dataclass
class Guide:
    id: int
    owner: Project | Task
    markdown: str


@dataclass
class Limits:
    """What a test may set: speed of the background work, throttling of strangers, life of a finished creation."""

    creation_delay: float = 0.05
    anonymous_calls: int | None = 100
    anonymous_period: float = 60.0
    creation_life: float = 500.0


class State:
    """The whole state, under one lock."""

    def __init__(self, version: Version, seed: int = 0) -> None:
        self.version, self.lock, self.limits = version, threading.RLock(), Limits()
        self.random = random.Random(seed)
        self.shift = timedelta()
        self.share: dict[str, bytes] = {}
        self.users: dict[int, User] = {}
        self.sessions: dict[str, User] = {}
        self.access_tokens: dict[int, AccessToken] = {}
        self.organizations: dict[int, Organization] = {}
        self.projects: dict[int, Project] = {}
        self.tasks: dict[int, Task] = {}
        self.jobs: dict[int, Job] = {}
        self.issues: dict[int, Issue] = {}
        self.comments: dict[int, Comment] = {}
        self.guides: dict[int, Guide] = {}
        self.memberships: dict[tuple[int, int], int] = {}
        self.anonymous: dict[str, list[float]] = defaultdict(list)
        self.exports: dict[str, datetime] = {}
        self.slips: list[str] = []
        self.taken: dict[str, set[int]] = defaultdict(set)  # annotation ids in use, over all tasks
        self.counters: dict[str, Iterator[int]] = {kind: itertools.count(first) for kind, first in FIRST_IDS.items()}

    def next_id(self, kind: str) -> int:
        return next(self.counters[kind])

    def now(self) -> datetime:
        return datetime.now(UTC) + self.shift

    def add_user(self, username: str, password: str, *, is_superuser: bool = False) -> User:
        user = User(self.next_id("user"), username, password, f"{username}@example.com", is_superuser)
        self.users[user.id] = user
        return user

    def user_named(self, username: str) -> User | None:
        return next((user for user in self.users.values() if user.username == username), None)

    def key_of(self, user: User) -> str:
        """The user's one legacy key, made when first asked for."""
        user.key = user.key or secrets.token_hex(20)
        return user.key

    def add_organization(self, slug: str, name: str, owner: User) -> Organization:
        made = Organization(self.next_id("organization"), slug, name, owner)
        self.organizations[made.id] = made
        self.join(made, owner, "owner")
        return made

    def join(self, organization: Organization, user: User, role: str) -> None:
        organization.roles[user.id] = role
        self.memberships[organization.id, user.id] = self.next_id("membership")

    def touch(self, task: Task, job: Job | None = None) -> None:
        now = self.now()
        task.updated = now
        if job:
            job.updated = now
        if task.project:
            task.project.updated = now


def stamp(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if moment else None
