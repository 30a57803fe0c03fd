"""What is done: which samples people have finished, by the state and the stage of the jobs that they are in.

CVAT's jobs pass the stages annotation, validation and acceptance, each with a state of its own: new, in progress, completed or
rejected. A job is finished by its annotator when its state is completed, or when it is in a later stage, which it gets to only
then, and is not rejected there.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from annobridge.core.labels import REVIEWED

from . import jobs
from .frames import Frames

Json = dict[str, Any]


def is_reviewed(job: Mapping[str, Any]) -> bool:
    """Whether people have finished a job."""
    return bool(job["state"] == "completed" or (job["stage"] != "annotation" and job["state"] != "rejected"))


def words(job: Mapping[str, Any]) -> str:
    """The stage and the state of a job."""
    return f"{job['stage']}, {job['state']}"


def samples(regular: Sequence[Json], frames: Frames) -> pa.Table:
    """The progress of the samples on the frames of a task, as ``REVIEWED``. A video in several jobs is reviewed when all of them
    are; frames that were deleted do not count.
    """
    shown = frames.samples.to_pylist()
    by_sample: dict[str, list[Json]] = defaultdict(list)
    for job in regular:
        here = (shown[f] for f in range(job["start_frame"], job["stop_frame"] + 1) if f not in frames.deleted)
        for sample in dict.fromkeys(s for s in here if s is not None):
            by_sample[sample].append(job)
    return pa.Table.from_pylist([_row(sample, own) for sample, own in by_sample.items()], REVIEWED)


def _row(sample: str, own: Sequence[Json]) -> Json:
    last = next((job for job in own if not is_reviewed(job)), own[-1])
    times = [time for job in own if (time := jobs.moment(job.get("updated_date")))]
    names = dict.fromkeys(name for job in own if (name := jobs.assignee(job)))
    return {
        "sample_id": sample, "reviewed": all(map(is_reviewed, own)), "state": words(last), "by": ", ".join(names) or None,
        "time": max(times, default=None),
    }  # fmt: skip


def counts(job: Mapping[str, Any], stored: Json) -> dict[str, int]:
    """The numbers of the samples of a regular job, and of those that are reviewed. A video counts as one."""
    shown, is_one = stored["samples"], len(stored["samples"]) == 1
    here = shown if is_one else shown[job["start_frame"] : job["stop_frame"] + 1]
    number = sum(sample is not None for sample in here)
    return {"samples": number, "reviewed": number if is_reviewed(job) else 0}


def number_reviewed(regular: Sequence[Json], stored: Json) -> int:
    """The number of samples of a task that are reviewed."""
    if len(stored["samples"]) == 1:
        return int(stored["samples"][0] is not None and bool(regular) and all(map(is_reviewed, regular)))
    return sum(counts(job, stored)["reviewed"] for job in regular)


def mark(tasks: Sequence[Json], all_jobs: Sequence[Json]) -> str:
    """A text that is another one after each change of labels, of a job, or of the number of issues. Comments on an issue that is
    there do not change it, as the server keeps no date of them with the job.
    """
    moved = [[t["id"], t.get("updated_date")] for t in tasks]
    keys = ("id", "stage", "state", "updated_date", "assignee", "issues")
    moved += [[(job.get(k) or {}).get("username") if k == "assignee" else job.get(k) for k in keys] for job in all_jobs]
    return hashlib.sha256(json.dumps(moved, sort_keys=True).encode()).hexdigest()[:16]
