"""Answers: what each person has made of a task in which several people label the same frames.

A job of the type «annotation» can have replicas: jobs of the same frames that begin empty, for a person each. A ground-truth job
has some frames of the task, labelled by somebody who is trusted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend import Answer, Receipt
from annobridge.core.arrays import as_mask, not_null
from annobridge.core.labels import REMOTE
from annobridge.exceptions import Gone

from . import decode, jobs
from .api import Api
from .config import CvatConfig
from .download import CurrentTask, deleted_frames, gone_note, labels_of, read_task

Json = dict[str, Any]
Ints = npt.NDArray[np.int64]
_EVER = datetime.min.replace(tzinfo=UTC)


class _Person(NamedTuple):
    name: str
    is_truth: bool


class _Part(NamedTuple):
    """The part of an answer that is in one CVAT task."""

    labels: pa.Table
    samples: pa.Array
    notes: list[str]


def read_answers(api: Api, receipt: Receipt, config: CvatConfig) -> Iterator[Answer]:
    """The answers for a task, one after another. Notes about all of the task are those of the first answer.

    Raises:
        Gone: all its CVAT tasks were deleted.
    """
    tasks, notes = _read_tasks(api, receipt)
    work: dict[_Person, list[tuple[CurrentTask, list[Json]]]] = defaultdict(list)
    for task in tasks:
        for person, own in _by_person([job for job in task.jobs if jobs.is_asked_for(job, config)], task.jobs).items():
            work[person].append((task, own))
    for person, parts in work.items():
        found = [_read_part(api, task, own, receipt, config) for task, own in parts]
        is_taken = person.is_truth and _Person(person.name, False) in work
        name = f"{person.name} (ground truth)" if is_taken else person.name
        notes += [f"{name}: {note}" for part in found for note in part.notes]
        labels, samples = pa.concat_tables([p.labels for p in found]), pa.concat_arrays([p.samples for p in found])
        yield Answer(name, labels, samples, person.is_truth, tuple(notes))
        notes = []


def _read_tasks(api: Api, receipt: Receipt) -> tuple[list[CurrentTask], list[str]]:
    """The CVAT tasks that are on the server, and notes about removed tasks and frames."""
    found, gone, notes = list[CurrentTask](), list[str](), list[str]()
    for stored in receipt.state["tasks"]:
        try:
            task = read_task(api, stored)
        except Gone as e:
            gone.append(gone_note(stored, e))
            continue
        found.append(task)
        notes += deleted_frames(task.number, task.frames)
    if not found:
        raise Gone(gone[0])
    return found, [*gone, *notes]


def _by_person(asked_for: Sequence[Json], all_jobs: Sequence[Json]) -> dict[_Person, list[Json]]:
    """The jobs of each person. A job that has replicas is left out: CVAT stores its own consensus there."""
    replicated = {job.get("parent_job_id") for job in all_jobs}
    number_of = _numbers(all_jobs)
    found: dict[_Person, list[Json]] = defaultdict(list)
    for job in asked_for:
        if jobs.is_replica(job):
            person = _Person(jobs.assignee(job) or f"replica {number_of[job['id']]}", False)
        elif jobs.is_truth(job):
            person = _Person(jobs.assignee(job) or "ground truth", True)
        elif job["id"] not in replicated:
            person = _Person(jobs.assignee(job) or "no assignee", False)
        else:
            continue
        found[person].append(job)
    return found


def _numbers(all_jobs: Sequence[Json]) -> dict[int, int]:
    """The number of each replica among those of its job, from 1, by its id: the n-th of each job are of one person."""
    seen: Counter[int] = Counter()
    found = {}
    for job in sorted(filter(jobs.is_replica, all_jobs), key=lambda job: job["id"]):
        seen[job["parent_job_id"]] += 1
        found[job["id"]] = seen[job["parent_job_id"]]
    return found


def _read_part(api: Api, task: CurrentTask, own: Sequence[Json], receipt: Receipt, config: CvatConfig) -> _Part:
    """What a person has made of the jobs ``own`` of a CVAT task."""
    begun = sorted(filter(jobs.is_begun, own), key=_last_change)
    frames = task.frames
    taken, shared = _taken_from(api, task, begun)
    kept = taken > 0
    if config.only_samples:
        kept &= as_mask(pc.is_in(frames.samples, value_set=pa.array(config.only_samples)))
    found = chain.from_iterable(
        decode.read_labels(annotations, kept & (taken == job["id"]), frames.deleted)
        for job, annotations in zip(begun, jobs.read_each(api, begun), strict=True)
    )
    # What was sent is in the regular jobs: ground truth and replicas begin empty.
    baseline = task.own(receipt.baseline) if all(map(jobs.is_regular, own)) else REMOTE.empty_table()
    labels, notes = labels_of(found, task, begun, replace(receipt, baseline=baseline))
    samples = frames.completed(kept)
    in_part = len(frames.answered(kept)) - len(samples)
    notes += _left_out(task.number, len(own) - len(begun), shared, in_part)
    return _Part(labels.filter(pc.is_in(labels["sample_id"], value_set=samples)), samples, notes)


def _left_out(task: int, not_begun: int, shared: int, in_part: int) -> Iterator[str]:
    """Sentences about jobs that nobody has begun, frames in two jobs, and videos that are answered in part."""
    if not_begun:
        yield (
            f"{not_begun} jobs of the CVAT task {task} are left out, as nobody has begun them (stage annotation, state new)."
        )
    if shared:
        yield f"{shared} frames of the CVAT task {task} are in two jobs; what is in the job that was changed last counts."
    if in_part:
        yield f"{in_part} videos of the CVAT task {task} are left out, as only some of their frames are answered."


def _last_change(job: Json) -> tuple[datetime, int]:
    return jobs.moment(job.get("updated_date")) or _EVER, job["id"]


def _taken_from(api: Api, task: CurrentTask, begun: Sequence[Json]) -> tuple[Ints, int]:
    """The id of the job that each frame of a task is taken from, 0 for none; and how many are in several of the jobs, of which the
    last one counts. Frames that were deleted, or that show no sample, are taken from none.
    """
    usable = not_null(task.frames.samples)
    usable[list(task.frames.deleted)] = False
    taken, times = np.zeros(len(usable), np.int64), np.zeros(len(usable), np.int64)
    for job in begun:
        here = usable & _frames_of(api, job, len(usable))
        taken[here] = job["id"]
        times += here
    return taken, int(np.count_nonzero(times > 1))


def _frames_of(api: Api, job: Json, size: int) -> npt.NDArray[np.bool_]:
    """Which of the ``size`` frames of a task are in a job."""
    if not jobs.is_truth(job):
        return jobs.frames_of([job], size)
    frames = np.zeros(size, bool)
    frames[api.included_frames(job["id"])] = True
    return frames
