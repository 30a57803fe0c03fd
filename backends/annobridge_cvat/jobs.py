"""Jobs: whose they are, which frames they have, and which of them a load takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import cycle
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .api import Api
from .config import CvatConfig

Json = dict[str, Any]
Bools = npt.NDArray[np.bool_]


def assign(api: Api, jobs: Sequence[Json], users: Sequence[int]) -> None:
    """Assign the replicas to users, by their ids, in turn; or the regular jobs where there are no replicas. Nobody gets two
    replicas of one job, as long as there are as many users as replicas of a job.
    """
    replicas = [job for job in jobs if is_replica(job)]
    turns = cycle(dict.fromkeys(users) if replicas else users)
    for job, user in zip(replicas or filter(is_regular, jobs), turns, strict=False):
        api.update("jobs", job["id"], assignee=user)


def selected(jobs: Sequence[Json], config: CvatConfig) -> list[Json]:
    """The jobs that the options of a load select."""
    return [job for job in jobs if job.get("type", "annotation") in config.job_types and is_asked_for(job, config)]


def is_asked_for(job: Json, config: CvatConfig) -> bool:
    """Whether the options of a load select a job, whatever its type."""
    return (
        (not config.only_states or job["state"] in config.only_states)
        and (not config.only_stages or job["stage"] in config.only_stages)
        and (not config.only_assignees or assignee(job) in config.only_assignees)
    )


def is_regular(job: Mapping[str, Any]) -> bool:
    """Whether a job is neither ground truth nor a consensus replica."""
    return bool(job.get("type", "annotation") == "annotation")


def is_replica(job: Mapping[str, Any]) -> bool:
    """Whether a job is a consensus replica: one of several with the same frames, each for another person."""
    return bool(job.get("type") == "consensus_replica")


def is_truth(job: Mapping[str, Any]) -> bool:
    """Whether a job is ground truth."""
    return bool(job.get("type") == "ground_truth")


def is_begun(job: Mapping[str, Any]) -> bool:
    """Whether somebody has worked on a job. CVAT's own consensus leaves out those that nobody has begun by the same rule."""
    return (job["stage"], job["state"]) != ("annotation", "new")


def assignee(job: Mapping[str, Any]) -> str | None:
    """The user name of a job's assignee."""
    return (job.get("assignee") or {}).get("username")


def frames_of(jobs: Sequence[Json], size: int) -> Bools:
    """Which of the ``size`` frames of a task are in one of the jobs."""
    frames = np.zeros(size, bool)
    for job in jobs:
        frames[job["start_frame"] : job["stop_frame"] + 1] = True
    return frames


class Work(NamedTuple):
    """Who works on a frame, and when its job was changed last: the server does not say so of single labels."""

    annotator: str | None
    time: datetime | None


def work(jobs: Sequence[Json]) -> dict[int, Work]:
    """The work on each frame, by the jobs that have it; of several, by the regular one."""
    return {
        frame: Work(assignee(job), moment(job.get("updated_date")))
        for job in sorted(jobs, key=is_regular)
        for frame in range(job["start_frame"], job["stop_frame"] + 1)
    }


def moment(text: str | None) -> datetime | None:
    """A date of the server."""
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def without_overlap(jobs: Sequence[Json]) -> list[Json]:
    """The jobs, with each frame in one regular job only: of several that have it, in the first. The key ``overlap`` has the number
    of frames that a job shares with earlier ones, and that are not in it here.

    CVAT keeps the labels on such frames twice, with ids of their own.
    """
    found, end = [], 0
    for job in jobs:
        shared = max(min(end, job["stop_frame"] + 1) - job["start_frame"], 0) if is_regular(job) else 0
        found.append({**job, "start_frame": job["start_frame"] + shared, "overlap": shared})
        if is_regular(job):
            end = max(end, job["stop_frame"] + 1)
    return found


def annotations_of(api: Api, whole: Json, jobs: Sequence[Json], chosen: Sequence[Json]) -> Json:
    """The annotations of the selected jobs. Those of the ``whole`` task are used where they are the same; otherwise each job is
    read. CVAT cuts tracks at the end of a job, and mixes what is on frames of several jobs, so then the jobs are read as well.
    """
    regular = [job["id"] for job in jobs if is_regular(job)]
    is_whole = [job["id"] for job in chosen] == regular
    is_cut = len(chosen) > 1 and (whole["tracks"] or any(job.get("overlap") for job in chosen))
    return whole if is_whole and not is_cut else read_annotations(api, chosen)


def read_annotations(api: Api, chosen: Sequence[Json]) -> Json:
    """The annotations of some jobs together, as ``read_each`` has them."""
    parts = read_each(api, chosen)
    return {kind: [item for part in parts for item in part[kind]] for kind in ("tags", "shapes", "tracks")}


def read_each(api: Api, chosen: Sequence[Json]) -> list[Json]:
    """The annotations of each of some jobs. Each track gets the keys ``first`` and ``last``, the frames of its job, and each object
    the key ``job``.
    """
    answers = api.concurrently(*(partial(api.annotations, "jobs", job["id"]) for job in chosen))
    return [_in_job(part, job) for job, part in zip(chosen, answers, strict=True)]


def _in_job(part: Json, job: Json) -> Json:
    first, last = job["start_frame"] if job.get("overlap") else 0, job["stop_frame"]
    flat = {
        kind: [{**item, "job": job["id"]} for item in part[kind] if item["frame"] >= first]
        for kind in ("tags", "shapes")
    }
    return {**flat, "tracks": [{**track, "job": job["id"], "first": first, "last": last} for track in part["tracks"]]}


def frames_by_state(jobs: Sequence[Json]) -> Counter[str]:
    """The number of frames in the regular jobs of each state."""
    counts: Counter[str] = Counter()
    for job in jobs:
        if is_regular(job):
            counts[job["state"]] += (
                job["frame_count"] if "frame_count" in job else job["stop_frame"] - job["start_frame"] + 1
            )
    return counts
