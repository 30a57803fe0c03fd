"""Jobs: who works on which frames, and which of them a load is asked to take."""

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
    """Give the jobs to people, in turn."""
    turn = cycle(users)
    for job in jobs if users else ():
        if is_regular(job):
            api.change("jobs", job["id"], assignee=next(turn))


def wanted(jobs: Sequence[Json], config: CvatConfig) -> list[Json]:
    """The jobs that a load takes."""
    return [
        job
        for job in jobs
        if job.get("type", "annotation") in config.job_types
        and (not config.only_states or job["state"] in config.only_states)
        and (not config.only_stages or job["stage"] in config.only_stages)
        and (not config.only_assignees or who(job) in config.only_assignees)
    ]


def is_regular(job: Mapping[str, Any]) -> bool:
    """Whether it is neither ground truth nor a replica."""
    return bool(job.get("type", "annotation") == "annotation")


def who(job: Mapping[str, Any]) -> str | None:
    """The user name of the person whose job it is."""
    return (job.get("assignee") or {}).get("username")


def covered(jobs: Sequence[Json], size: int) -> Bools:
    """Which frames of a task are in one of the jobs."""
    frames = np.zeros(size, bool)
    for job in jobs:
        frames[job["start_frame"] : job["stop_frame"] + 1] = True
    return frames


def annotators(jobs: Sequence[Json]) -> dict[int, str]:
    """Who has each frame."""
    return {f: name for job in jobs if (name := who(job)) for f in range(job["start_frame"], job["stop_frame"] + 1)}


def chosen_annotations(api: Api, whole: Json, jobs: Sequence[Json], chosen: Sequence[Json]) -> Json:
    """The annotations of the chosen jobs: those of the ``whole`` task where these are all that it answers for, else read one by
    one. CVAT cuts a track at the end of a job, so tracks of several jobs are read where they end.
    """
    regular = [job["id"] for job in jobs if is_regular(job)]
    same = [job["id"] for job in chosen] == regular
    return whole if same and (len(chosen) == 1 or not whole["tracks"]) else collect(api, chosen)


def collect(api: Api, chosen: Sequence[Json]) -> Json:
    """The annotations of some jobs; of each track, ``last`` is the last frame of its job."""
    found: Json = {"tags": [], "shapes": [], "tracks": []}
    for job in chosen:
        part = api.annotations("jobs", job["id"])
        found["tags"] += part["tags"]
        found["shapes"] += part["shapes"]
        found["tracks"] += [{**track, "last": job["stop_frame"]} for track in part["tracks"]]
    return found


def progress(jobs: Sequence[Json]) -> Counter[str]:
    """How many frames are in jobs of each state."""
    counts: Counter[str] = Counter()
    for job in jobs:
        if is_regular(job):
            counts[job["state"]] += (
                job["frame_count"] if "frame_count" in job else job["stop_frame"] - job["start_frame"] + 1
            )
    return counts
