"""Filling: one CVAT task made, given its media and its labels; or found, when an earlier call was cut off after it."""

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

from . import decode, identity, jobs, media, numbers
from .api import Api, parts
from .config import CvatConfig
from .encode import TRACKS, Sent, encode
from .frames import Frames
from .vocabulary import Vocabulary

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """What becomes one CVAT task: some images, or one video."""

    name: str
    samples: pa.Table
    labels: pa.Table
    media: Media


@dataclass(frozen=True, slots=True)
class Filled:
    """The task that it became: its number, its project, the samples in the order of its frames (a video's once), the numbers of
    its labels, what was sent, and the ids of the labels on frames that are not in it.
    """

    task: int
    project: int | None
    samples: list[str]
    vocabulary: Vocabulary
    baseline: pa.Table
    unsent: pa.Array


def fill(
    api: Api, part: Part, vocabulary: Vocabulary, config: CvatConfig, project: int | None, users: Mapping[str, int]
) -> Filled:
    """Make the task, unless it is there. One that is refused is removed, unless it was there with annotations, at which people
    may have worked; the error names the samples, where it is theirs.
    """
    files = media.files(part.samples, part.media, config)
    there = _there(api, part.name, config.deadline)
    task = there or int(api.create("tasks", _body(part.name, vocabulary, config, project, users))["id"])
    try:
        labels = api.labels(task_id=task) if there else _given_media(api, task, part, files, config)
        frames, vocabulary = _frames(api.meta(task), files), vocabulary.known(labels)
        _check_sizes(part, frames)
        sent = encode(part.labels, vocabulary, frames)
        stored = (_stored(api, task, sent) if there else None) or _put(api, task, sent)
        ids = _ids(api, task, part, sent, stored, vocabulary, frames)
    except Rejected as e:
        if not there or not _has_annotations(api, task):
            api.remove("tasks", task)
        raise _of_one(e, part) from e
    if config.job_assignees:
        jobs.assign(api, api.jobs(task), [users[name] for name in config.job_assignees])
    samples = list(dict.fromkeys(frames.samples.to_pylist()))
    unsent = as_array(part.labels["label_id"]).filter(pa.array(frames.place(part.labels) < 0))
    return Filled(task, numbers.project_of(labels), samples, vocabulary, identity.baseline_of(part.labels, ids), unsent)


def _has_annotations(api: Api, task: int) -> bool:
    there = api.annotations("tasks", task)
    return any(there[kind] for kind in ("tags", "shapes", "tracks"))


def _of_one(error: Rejected, part: Part) -> Rejected:
    """The error; of a part of one sample, it is about that."""
    samples = error.samples or (tuple(part.samples["sample_id"].to_pylist()) if part.samples.num_rows == 1 else ())
    return Rejected(str(error), error.status, error.detail, samples)


def _there(api: Api, name: str, deadline: float) -> int | None:
    """The number of a task of that name that has its media. One whose media never came whole is removed."""
    for task in api.named("tasks", name):
        if task.get("size") or _has_media(api, task["id"], deadline):
            return int(task["id"])
        api.remove("tasks", task["id"])
    return None


def _has_media(api: Api, task: int, deadline: float) -> bool:
    """Whether a task has them once the server does no more for it: it calls one finished, too, that was never sent any."""
    try:
        api.settle(task, None, deadline)
    except Rejected:
        return False
    return bool(api.task(task).get("size"))


def _given_media(api: Api, task: int, part: Part, files: Sequence[media.File], config: CvatConfig) -> list[Json]:
    """Send a task its media. Its labels, which are asked for while the server reads the media."""
    try:
        request = media.send(api.http, task, files, part.media, config)
        labels = api.labels(task_id=task)
        api.settle(task, request, config.deadline)
    except Rejected as e:
        raise _naming(e, files, part) from e
    return labels


def _body(name: str, vocabulary: Vocabulary, config: CvatConfig, project: int | None, users: Mapping[str, int]) -> Json:
    body: Json = {"name": name, "overlap": 0, "bug_tracker": config.issue_tracker}
    body |= {"project_id": project} if project else {"labels": [e.definition() for e in vocabulary.entries]}
    if config.segment_size:
        body["segment_size"] = config.segment_size
    if config.task_assignee:
        body["assignee_id"] = users[config.task_assignee]
    return body


def _naming(error: Rejected, files: Sequence[media.File], part: Part) -> Rejected:
    """The error, with the sample whose file it is about: there is only one, the server names it, or we find it."""
    said = str(error)
    named = [f for f in files if os.path.basename(f.name) in said or len(files) == 1]
    longest = max(named, key=lambda f: len(f.name), default=None)  # of a.jpg and aa.jpg, that is meant
    culprit = longest or media.unreadable(files, part.media)
    if culprit is None:
        text = f"{said} The task was removed from the server; look at its {len(files)} files."
        return Rejected(text, error.status, error.detail)
    row = part.samples["sample_id"].to_pylist().index(culprit.sample_id)
    return Rejected(
        f"{said} That is {part.samples['filepath'][row].as_py()!r}, of sample {culprit.sample_id!r}: mend or replace the file, or "
        "leave the sample out of the view. The task was removed from the server.",
        error.status,
        error.detail,
        (culprit.sample_id,),
    )


def _ids(
    api: Api,
    task: int,
    part: Part,
    sent: Sent,
    stored: Mapping[str, list[Json]],
    vocabulary: Vocabulary,
    frames: Frames,
) -> dict[int, str]:
    """The remote id of each label that was sent. Of several jobs, each has its own piece of a track."""
    work = api.jobs(task) if sent.items[TRACKS] else []
    if len(work) < 2:
        return identity.remote_ids(sent, stored, part.labels, vocabulary)
    ids = identity.remote_ids(sent, {**stored, TRACKS: []}, part.labels, vocabulary)
    found = decode.read(jobs.collect(api, work), np.ones(len(frames), bool))
    return ids | identity.cut_tracks(sent, found, part.labels, frames)


def _frames(meta: Json, files: Sequence[media.File]) -> Frames:
    names = {f.name: f.sample_id for f in files}
    try:
        frames = Frames.of(meta, names)
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


def _check_sizes(part: Part, frames: Frames) -> None:
    """A mask covers the pixels of its image, as the server sees it: turned as EXIF data say."""
    place = frames.place(part.labels)
    for row, rle in enumerate(part.labels["mask"].to_pylist()):
        if rle is not None and place[row] >= 0 and [*reversed(rle["size"])] != frames.sizes[place[row]].tolist():
            label, sample = (part.labels[name][row].as_py() for name in ("label_id", "sample_id"))
            wrong = geometry.other_size(rle["size"][::-1], frames.sizes[place[row]].tolist())
            raise Rejected(f"cvat: the mask {label!r} of sample {sample!r} {wrong}", samples=(sample,))


def _stored(api: Api, task: int, sent: Sent) -> dict[str, list[Json]] | None:
    """What a call that was cut off has put there already, if anything; what it had still to put is added."""
    there = api.annotations("tasks", task)
    stored = {name: list(there[name]) for name in sent.items}
    if not any(stored.values()):
        return None
    for body in parts(identity.lacking(sent.items, stored)):
        answer = api.add(task, body)
        for name, objects in stored.items():
            objects += answer[name]
    return stored


def _put(api: Api, task: int, sent: Sent) -> dict[str, list[Json]]:
    """The objects as the server has them."""
    stored: dict[str, list[Json]] = {name: [] for name in sent.items}
    for number, body in enumerate(parts(sent.items)):
        answer = api.put(task, body) if number == 0 else api.add(task, body)
        for name, objects in stored.items():
            objects += answer[name]
    return stored
