"""Upload: one CVAT task is created and gets its media and its labels, or is found if an earlier call has created it."""

from __future__ import annotations

import os.path
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from annobridge.backend import Media
from annobridge.core import geometry
from annobridge.core.arrays import as_array
from annobridge.exceptions import Broken, Rejected

from . import decode, jobs, label_set, media, remote_ids
from .api import Api
from .config import CvatConfig
from .encode import TRACKS, Encoded, encode
from .frames import Frames
from .vocabulary import Vocabulary

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TaskPart:
    """The part of a task of annobridge that becomes one CVAT task: its images, or one video."""

    name: str
    samples: pa.Table
    labels: pa.Table
    media: Media


@dataclass(frozen=True, slots=True)
class UploadedPart:
    """The CVAT task that a part became.

    Attributes:
        task: its id.
        project: the id of its project.
        samples: the ids of the samples in the order of its frames; that of a video once.
        names: the names of their files there.
        vocabulary: the vocabulary with the ids of its labels.
        baseline: the labels that were sent, as ``REMOTE``.
        unsent: the ids of the labels on frames that it does not have.
    """

    task: int
    project: int | None
    samples: list[str]
    names: list[str]
    vocabulary: Vocabulary
    baseline: pa.Table
    unsent: pa.Array


def upload_part(
    api: Api, part: TaskPart, vocabulary: Vocabulary, config: CvatConfig, project: int | None, users: Mapping[str, int]
) -> UploadedPart:
    """Create the task unless it exists, and send what it lacks.

    Args:
        api: the server.
        part: what to send.
        vocabulary: the vocabulary, without ids.
        config: the options.
        project: the id of the project to create it in, if any.
        users: the ids of the users that the options name.

    Raises:
        Rejected: the server refuses the files or the labels; the error names the samples if it is about some of them. The
            task is deleted then, unless it existed before and has annotations: people may have worked on it.
    """
    files = media.files(part.samples, part.media, config)
    existing = _existing_task(api, part.name, config.deadline)
    task = existing or int(api.create("tasks", _body(part.name, vocabulary, config, project, users))["id"])
    try:
        labels = api.labels(task_id=task) if existing else _send_media(api, task, part, files, config)
        frames, vocabulary = _frames(api.meta(task), files), vocabulary.with_ids(labels)
        _check_sizes(part, frames)
        sent = encode(part.labels, vocabulary, frames)
        stored = (_complete(api, task, sent) if existing else None) or _send(api, task, sent)
        ids = _remote_ids(api, task, part, sent, stored, vocabulary, frames)
    except Rejected as e:
        if not existing or not _has_annotations(api, task):
            api.delete("tasks", task)
        raise _with_sample(e, part) from e
    if config.job_assignees:
        jobs.assign(api, api.jobs(task), [users[name] for name in config.job_assignees])
    samples = list(dict.fromkeys(frames.samples.to_pylist()))
    names = {file.sample_id: file.name for file in files}
    unsent = as_array(part.labels["label_id"]).filter(pa.array(frames.index_of(part.labels) < 0))
    return UploadedPart(
        task, label_set.project_of(labels), samples, [names[i] for i in samples], vocabulary,
        remote_ids.with_remote_ids(part.labels, ids), unsent,
    )  # fmt: skip


def _has_annotations(api: Api, task: int) -> bool:
    annotations = api.annotations("tasks", task)
    return any(annotations[kind] for kind in ("tags", "shapes", "tracks"))


def _with_sample(error: Rejected, part: TaskPart) -> Rejected:
    """The error; in a part with only one sample, it is about that one."""
    samples = error.samples or (tuple(part.samples["sample_id"].to_pylist()) if part.samples.num_rows == 1 else ())
    return Rejected(str(error), error.status, error.detail, samples)


def _existing_task(api: Api, name: str, deadline: float) -> int | None:
    """The id of the task of that name. One without all of its media is deleted."""
    for task in api.named("tasks", name):
        if task.get("size") or _has_media(api, task["id"], deadline):
            return int(task["id"])
        api.delete("tasks", task["id"])
    return None


def _has_media(api: Api, task: int, deadline: float) -> bool:
    """Whether a task has its media after the server has finished. It also calls a task finished that was never sent any."""
    try:
        api.wait_for_media(task, None, deadline)
    except Rejected:
        return False
    return bool(api.task(task).get("size"))


def _send_media(api: Api, task: int, part: TaskPart, files: Sequence[media.File], config: CvatConfig) -> list[Json]:
    """Send a task its media. Returns its label set, which is asked for while the server reads the media."""
    try:
        request = media.send(api.http, task, files, part.media, config)
        labels = api.labels(task_id=task)
        api.wait_for_media(task, request, config.deadline)
    except Rejected as e:
        raise _with_file(e, files, part) from e
    return labels


def _body(name: str, vocabulary: Vocabulary, config: CvatConfig, project: int | None, users: Mapping[str, int]) -> Json:
    body: Json = {"name": name, "overlap": 0, "bug_tracker": config.issue_tracker}
    body |= {"project_id": project} if project else {"labels": [e.definition() for e in vocabulary.entries]}
    if config.segment_size:
        body["segment_size"] = config.segment_size
    if config.consensus_replicas:
        body["consensus_replicas"] = config.consensus_replicas
    if config.task_assignee:
        body["assignee_id"] = users[config.task_assignee]
    return body


def _with_file(error: Rejected, files: Sequence[media.File], part: TaskPart) -> Rejected:
    """The error with the sample whose file it is about: the only one, the one that the server names, or the first that cannot
    be decoded here either.
    """
    message = str(error)
    named = [f for f in files if os.path.basename(f.name) in message or len(files) == 1]
    longest = max(named, key=lambda f: len(f.name), default=None)  # a message with aa.jpg contains a.jpg, too
    culprit = longest or media.first_unreadable(files, part.media)
    if culprit is None:
        text = f"{message} The task was removed from the server; look at its {len(files)} files."
        return Rejected(text, error.status, error.detail)
    row = part.samples["sample_id"].to_pylist().index(culprit.sample_id)
    return Rejected(
        f"{message} That is {part.samples['filepath'][row].as_py()!r}, of sample {culprit.sample_id!r}: mend or replace the file, "
        "or leave the sample out of the view. The task was removed from the server.",
        error.status,
        error.detail,
        (culprit.sample_id,),
    )


def _remote_ids(
    api: Api,
    task: int,
    part: TaskPart,
    sent: Encoded,
    stored: Mapping[str, list[Json]],
    vocabulary: Vocabulary,
    frames: Frames,
) -> dict[int, str]:
    """The remote ids of the labels that were sent, by row. Where the task has several jobs, CVAT cuts the tracks among them."""
    task_jobs = api.jobs(task) if sent.items[TRACKS] else []
    if len(task_jobs) < 2:
        return remote_ids.assign(sent, stored, part.labels, vocabulary)
    ids = remote_ids.assign(sent, {**stored, TRACKS: []}, part.labels, vocabulary)
    found = decode.read_labels(jobs.read_annotations(api, task_jobs), np.ones(len(frames), bool))
    return ids | remote_ids.assign_cut_tracks(sent, found, part.labels, frames)


def _frames(meta: Json, files: Sequence[media.File]) -> Frames:
    names = {f.name: f.sample_id for f in files}
    try:
        frames = Frames.of(meta, [names[f["name"]] for f in meta["frames"]])
    except KeyError as e:
        raise Broken(f"cvat: the server has a file {e.args[0]!r}, which was not sent to it; abort the run.") from e
    missing = set(names.values()) - set(frames.samples.to_pylist())
    if missing:
        raise Rejected(
            f"cvat: the server shows {len(names) - len(missing)} of the {len(names)} files; it does not read that of sample "
            f"{sorted(missing)[0]!r}. Give it as a JPEG or PNG, or leave it out of the view.",
            samples=tuple(sorted(missing)),
        )
    return frames


def _check_sizes(part: TaskPart, frames: Frames) -> None:
    """Raise ``Rejected`` for a mask of another size than the server has for its image, which it rotates as the EXIF data say."""
    frame_of = frames.index_of(part.labels)
    for row, rle in enumerate(part.labels["mask"].to_pylist()):
        if rle is not None and frame_of[row] >= 0 and [*reversed(rle["size"])] != frames.sizes[frame_of[row]].tolist():
            label, sample = (part.labels[name][row].as_py() for name in ("label_id", "sample_id"))
            wrong = geometry.other_size(rle["size"][::-1], frames.sizes[frame_of[row]].tolist())
            raise Rejected(f"cvat: the mask {label!r} of sample {sample!r} {wrong}", samples=(sample,))


def _complete(api: Api, task: int, sent: Encoded) -> dict[str, list[Json]] | None:
    """Add the objects that an earlier call did not get to send. Returns all objects as the server has them; ``None``, and sends
    nothing, if there are none at all.
    """
    annotations = api.annotations("tasks", task)
    stored = {name: list(annotations[name]) for name in sent.items}
    if not any(stored.values()):
        return None
    for body in api.bodies(remote_ids.not_stored(sent.items, stored)):
        answer = api.add_annotations(task, body)
        for name, objects in stored.items():
            objects += answer[name]
    return stored


def _send(api: Api, task: int, sent: Encoded) -> dict[str, list[Json]]:
    """Send the objects. Returns them as the server has them."""
    stored: dict[str, list[Json]] = {name: [] for name in sent.items}
    for number, body in enumerate(api.bodies(sent.items)):
        answer = api.replace_annotations(task, body) if number == 0 else api.add_annotations(task, body)
        for name, objects in stored.items():
            objects += answer[name]
    return stored
