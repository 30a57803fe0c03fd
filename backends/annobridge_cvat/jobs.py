"""Jobs: whose they are, which frames they have, and which of them a load takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import numpy.typing as npt

from .api import Api
from .config import CvatConfig

Json = dict[str, Any]
Bools = npt.NDArray[np.bool_]


def assign(api: Api, jobs: Sequence[Json], users: Sequence[int]) -> None:
    """Assign the regular jobs to users, by their ids, in turn."""
    next_user = cycle(users)
    for job in jobs if users else ():
        if is_regular(job):
            api.update("jobs", job["id"], assignee=next(next_user))


def selected(jobs: Sequence[Json], config: CvatConfig) -> list[Json]:
    """The jobs that the options of a load select."""
    return [
        job
        for job in jobs
        if job.get("type", "annotation") in config.job_types
        and (not config.only_states or job["state"] in config.only_states)
        and (not config.only_stages or job["stage"] in config.only_stages)
        and (not config.only_assignees or assignee(job) in config.only_assignees)
    ]


def is_regular(job: Mapping[str, Any]) -> bool:
    """Whether a job is neither ground truth nor a consensus replica."""
    return bool(job.get("type", "annotation") == "annotation")


def assignee(job: Mapping[str, Any]) -> str | None:
    """The user name of a job's assignee."""
    return (job.get("assignee") or {}).get("username")


def frames_of(jobs: Sequence[Json], size: int) -> Bools:
    """Which of the ``size`` frames of a task are in one of the jobs."""
    frames = np.zeros(size, bool)
    for job in jobs:
        frames[job["start_frame"] : job["stop_frame"] + 1] = True
    return frames


def annotators(jobs: Sequence[Json]) -> dict[int, str]:
    """The user name of the assignee, by frame."""
    return {
        f: name for job in jobs if (name := assignee(job)) for f in range(job["start_frame"], job["stop_frame"] + 1)
    }


def annotations_of(api: Api, whole: Json, jobs: Sequence[Json], chosen: Sequence[Json]) -> Json:
    """The annotations of the selected jobs. Those of the ``whole`` task are used where they are the same; otherwise each job is
    read. CVAT cuts tracks at the end of a job, so with several jobs and tracks, the jobs are read as well.
    """
    regular = [job["id"] for job in jobs if is_regular(job)]
    same = [job["id"] for job in chosen] == regular
    return whole if same and (len(chosen) == 1 or not whole["tracks"]) else read_annotations(api, chosen)


def read_annotations(api: Api, chosen: Sequence[Json]) -> Json:
    """Read the annotations of some jobs. Each track gets the key ``last``: the last frame of its job."""
    found: Json = {"tags": [], "shapes": [], "tracks": []}
    for job in chosen:
        part = api.annotations("jobs", job["id"])
        found["tags"] += part["tags"]
        found["shapes"] += part["shapes"]
        found["tracks"] += [{**track, "last": job["stop_frame"]} for track in part["tracks"]]
    return found


def frames_by_state(jobs: Sequence[Json]) -> Counter[str]:
    """The number of frames in the regular jobs of each state."""
    counts: Counter[str] = Counter()
    for job in jobs:
        if is_regular(job):
            counts[job["state"]] += (
                job["frame_count"] if "frame_count" in job else job["stop_frame"] - job["start_frame"] + 1
            )
    return counts
