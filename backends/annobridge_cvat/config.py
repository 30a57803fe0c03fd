"""How to reach CVAT, and the options of a run. The names are FiftyOne's wherever it has the same option."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, SecretStr, field_validator

from annobridge.backend import AnnotationBackendConfig, WebAddress

State = Literal["new", "in progress", "completed", "rejected"]
Stage = Literal["annotation", "validation", "acceptance"]
JobType = Literal["annotation", "ground_truth", "consensus_replica"]


class CvatConfig(AnnotationBackendConfig):
    """Settings of the CVAT backend. The options about loading are given to ``load_annotations`` and not stored with the run."""

    transient: ClassVar[frozenset[str]] = frozenset(
        {
            "timeout",
            "deadline",
            "largest_answer",
            "verify",
            "allow_insecure",
            "headers",
            "only_states",
            "only_stages",
            "only_assignees",
            "only_samples",
            "job_types",
        }
    )
    credentials: ClassVar[tuple[str, ...]] = ("token", "username", "password")
    required: ClassVar[tuple[tuple[str, ...], ...]] = (("token",), ("username", "password"))

    url: WebAddress = Field("https://app.cvat.ai", description="the server")
    token: SecretStr | None = Field(
        None,
        description="a personal access token, or the key of an account",
        json_schema_extra={"env": ["CVAT_ACCESS_TOKEN"]},
    )
    username: str | None = Field(None, description="instead of a token", json_schema_extra={"ask": True})
    password: SecretStr | None = Field(None, description="of that user", json_schema_extra={"ask": True})
    organization: str | None = Field(None, description="the slug of the organization to work in")
    headers: Mapping[str, SecretStr] = Field(
        default_factory=dict, description="more headers, for a proxy before CVAT", examples=[{}]
    )
    timeout: float = Field(300.0, gt=0, description="seconds to wait for an answer to begin")
    deadline: float = Field(1800.0, gt=0, description="seconds that the server may take for one task")
    largest_answer: int = Field(256, ge=1, description="MiB of one answer, as the annotations of a task are")
    verify: bool | str = Field(True, description="check the TLS certificate, or the file of a CA to check it with")
    allow_insecure: bool = Field(False, description="send credentials over http to another machine")

    # Tasks, jobs and projects
    task_name: str | None = Field(None, description="what tasks are called; a number is added")
    segment_size: int | None = Field(None, ge=1, description="frames per job; by default a task is one job")
    task_assignee: str | None = Field(None, description="user name")
    job_assignees: tuple[str, ...] = Field(
        (), description="user names, who get the jobs of a task, or their replicas, in turn"
    )
    consensus_replicas: int | None = Field(
        None, ge=2, le=11, description="copies of each job, for so many people; they begin empty", examples=[3]
    )
    job_reviewers: tuple[str, ...] = Field((), description="of CVAT 1; CVAT 2 has none")
    project_name: str | None = Field(None, description="a project, made if there is none of that name")
    project_id: int | None = Field(None, ge=1, description="a project that exists")
    update_project: bool = Field(False, description="add to an existing project what its label set lacks")
    issue_tracker: str = Field("", max_length=1700, description="the address of a bug tracker, shown with the task")

    # Media
    media: Literal["upload", "archive", "share", "cloud"] = Field(
        "upload",
        description="send the files; send them as one zip, which keeps folders; or let the server read its share or cloud storage",
    )
    media_root: str | None = Field(None, description="the folder of the dataset that is the server's share or bucket")
    cloud_storage_id: int | None = Field(None, ge=1, description="for media='cloud': CVAT's number of the storage")
    image_quality: int = Field(75, ge=1, le=100, description="of what annotators see, in percent")
    use_cache: bool = Field(True, description="let the server cut the media when they are looked at, not before")
    use_zip_chunks: bool = Field(True, description="show the frames of videos as images")
    chunk_size: int | None = Field(None, ge=1, description="frames per chunk that annotators fetch")
    frame_start: int | None = Field(None, ge=0, description="of videos: the first frame to annotate, from 0")
    frame_stop: int | None = Field(None, ge=0, description="of videos: the last one")
    frame_step: int | None = Field(None, ge=1, description="of videos: every so many frames")

    # Attributes that are builtin properties of CVAT's shapes
    occluded_attr: str | None = Field(None, description="the attribute that is CVAT's switch «occluded»")
    group_id_attr: str | None = Field(None, description="the attribute that is the number of CVAT's group")
    z_order_attr: str | None = Field(None, description="the attribute that is the layer")
    source_attr: str | None = Field(None, description="the attribute that says how a shape was made (manual, auto, …)")

    # Loading
    only_states: tuple[State, ...] = Field((), description="load only jobs in these states")
    only_stages: tuple[Stage, ...] = Field((), description="load only jobs in these stages")
    only_assignees: tuple[str, ...] = Field((), description="load only jobs of these users")
    only_samples: tuple[str, ...] = Field((), description="load only these samples, by id")
    job_types: tuple[JobType, ...] = Field(
        ("annotation",), description="ground truth and replicas are left out unless asked for"
    )

    @field_validator(
        "job_assignees",
        "job_reviewers",
        "only_states",
        "only_stages",
        "only_assignees",
        "only_samples",
        "job_types",
        mode="before",
    )
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    def builtin(self) -> dict[str, str]:
        """The attributes that are builtin properties of CVAT: the key in CVAT's annotations, by the attribute's name."""
        pairs = {
            "occluded": self.occluded_attr,
            "group": self.group_id_attr,
            "z_order": self.z_order_attr,
            "source": self.source_attr,
        }
        return {name: key for key, name in pairs.items() if name}
