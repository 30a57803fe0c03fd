"""Issues: what people wrote beside the labels, and what a reviewer has refused.

An issue is made by annobridge if its first comment ends in a line of ``signature``. By that line, a refusal that went back before
is found again, whatever people have answered to it.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from annobridge.backend import SentBack
from annobridge.core.labels import COMMENTS

from . import jobs
from .api import Api
from .frames import Frames

Json = dict[str, Any]
JobUrl = Callable[[Json], str]
_SIGNATURE = re.compile(r"\n+(annobridge [0-9a-f]{10})$")
_SHOWN = 5  # jobs that a note names
REJECTED = {"stage": "annotation", "state": "rejected"}  # one call: a new stage alone makes the job new
_TOLERANCE = 1.0  # pixels between an issue and the label that it is about


def signature(change_id: str) -> str:
    """The last line of the first comment of an issue for a refused change."""
    return f"annobridge {hashlib.sha256(change_id.encode()).hexdigest()[:10]}"


# --- reading --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue with its comments, oldest first."""

    id: int
    job: int
    frame: int
    position: Sequence[float]
    resolved: bool
    comments: Sequence[Json]

    @property
    def signature(self) -> str | None:
        """The signature of the refusal that it is."""
        found = _SIGNATURE.search(self.comments[0]["message"]) if self.comments else None
        return found[1] if found else None

    def texts(self) -> set[str]:
        """What the comments say, without signatures."""
        return {text_of(comment) for comment in self.comments}

    def box(self) -> tuple[float, float, float, float] | None:
        """Its place in pixels, as left, top, right and bottom: CVAT has points, rectangles and polygons, all as x, y, x, y, …"""
        if len(self.position) < 2 or len(self.position) % 2:
            return None
        xs, ys = self.position[::2], self.position[1::2]
        return min(xs), min(ys), max(xs), max(ys)


def text_of(comment: Json) -> str:
    """What a comment says, without a signature."""
    return _SIGNATURE.sub("", comment["message"])


def issues_of(api: Api, task: int, all_jobs: Iterable[Json]) -> list[Issue]:
    """The issues of some jobs of a task, oldest first. Nothing is asked where the jobs say that they have none."""
    wanted = {job["id"] for job in all_jobs if (job.get("issues") or {"count": 1})["count"]}
    found = [issue for issue in api.issues(task) if issue["job"] in wanted] if wanted else []
    comments: dict[int, list[Json]] = defaultdict(list)
    for comment in api.comments(sorted({issue["job"] for issue in found})):
        comments[comment["issue"]].append(comment)
    return [
        Issue(i["id"], i["job"], i["frame"], i["position"], i["resolved"], sorted(comments[i["id"]], key=lambda c: c["id"]))
        for i in sorted(found, key=lambda i: i["id"])
    ]  # fmt: skip


def read_comments(
    found: Sequence[Issue], frames: Frames, labels: pa.Table, job_url: JobUrl, all_jobs: Sequence[Json]
) -> tuple[pa.Table, list[str]]:
    """The comments of issues as ``COMMENTS``, and notes.

    Args:
        found: the issues.
        frames: of the task.
        labels: what the tool has now; a comment at the place of one of them is about it.
        job_url: the page of a job.
        all_jobs: of the task.
    """
    shown = frames.samples.is_valid().to_pylist()
    inside = [issue for issue in found if issue.frame < len(frames) and shown[issue.frame]]
    urls = {job["id"]: job_url(job) for job in all_jobs}
    places = _places(labels, frames, {issue.frame for issue in inside})
    rows = []
    for issue in inside:
        number, size = int(frames.numbers[issue.frame]), frames.sizes[issue.frame]
        row = {
            "sample_id": frames.samples[issue.frame].as_py(), "frame_number": number or None,
            "box": _relative(issue.box(), size), "remote_id": _label_at(issue.box(), places.get(issue.frame, {})),
            "state": "resolved" if issue.resolved else "open", "thread": str(issue.id),
            "url": f"{urls[issue.job]}?frame={issue.frame}",
        }  # fmt: skip
        rows += [
            {
                **row,
                "author": (comment.get("owner") or {}).get("username"),
                "time": jobs.moment(comment.get("created_date")),
                "text": text_of(comment),
            }
            for comment in issue.comments
        ]
    lost = sum(len(issue.comments) for issue in found if issue.frame >= len(frames))
    notes = (
        [f"{lost} comments in CVAT are on frames that their task does not have; they were left out."] if lost else []
    )
    return pa.Table.from_pylist(rows, COMMENTS), notes


def _relative(box: tuple[float, float, float, float] | None, size: np.ndarray) -> list[float] | None:
    if box is None:
        return None
    left, top, right, bottom = box
    return [left / size[0], top / size[1], (right - left) / size[0], (bottom - top) / size[1]]


def _places(labels: pa.Table, frames: Frames, wanted: set[int]) -> dict[int, dict[str, list[float]]]:
    """Frame → remote id → left, top, right and bottom in pixels of the labels on some frames, where they have a place."""
    at = frames.index_of(labels)
    on_wanted = labels.filter(pa.array(np.isin(at, list(wanted))))
    rows = on_wanted.select(["remote_id", "bounding_box", "points"]).to_pylist()
    found: dict[int, dict[str, list[float]]] = defaultdict(dict)
    for row, frame in zip(rows, at[np.isin(at, list(wanted))].tolist(), strict=True):
        if (corners := _corners(row)) is not None:
            found[frame][row["remote_id"]] = (corners * frames.sizes[frame]).ravel().tolist()
    return found


def _corners(row: Mapping[str, Any]) -> np.ndarray | None:
    if row["bounding_box"] is not None:
        x, y, width, height = row["bounding_box"]
        return np.array([[x, y], [x + width, y + height]])
    points = [point for part in row["points"] or () for point in part if point[0] == point[0]]
    return np.array([np.min(points, axis=0), np.max(points, axis=0)]) if points else None


def _label_at(box: tuple[float, float, float, float] | None, places: Mapping[str, Sequence[float]]) -> str | None:
    """The only label at a place."""
    if box is None:
        return None
    near = [i for i, place in places.items() if np.allclose(place, box, rtol=0, atol=_TOLERANCE)]
    return near[0] if len(near) == 1 else None


# --- sending back ---------------------------------------------------------------------------------------------------


def send_back(api: Api, stored: Json, refusals: pa.Table) -> SentBack:
    """Make an issue of each refusal that has none, and reject the jobs that they are in.

    A job is rejected if it gets a new issue, or is finished or in a later stage: its stage becomes "annotation" and its state
    "rejected", which annotators see in their list of jobs, and in which they can work. An issue that was resolved is opened again.

    Args:
        api: the server.
        stored: what the receipt keeps of the CVAT task.
        refusals: ``REFUSALS``, of samples of that task.

    Raises:
        Gone: the CVAT task was deleted.
    """
    task = stored["task"]
    meta, all_jobs = api.concurrently(lambda: api.meta(task), lambda: api.jobs(task))
    frames = Frames.of(meta, stored["samples"])
    regular = [job for job in all_jobs if jobs.is_regular(job)]
    there = {issue.signature: issue for issue in issues_of(api, task, regular)}
    rows, at = refusals.to_pylist(), frames.index_of(refusals).tolist()
    found = [(row, frame, _job_of(frame, regular)) for row, frame in zip(rows, at, strict=True)]
    placeable = [(row, frame, job) for row, frame, job in found if job is not None and frame not in frames.deleted]
    new = [(row, frame, job) for row, frame, job in placeable if signature(row["change_id"]) not in there]
    old = [(row, there[signature(row["change_id"])]) for row, _, _ in placeable if signature(row["change_id"]) in there]

    busy = {job["id"] for _, _, job in new} | {issue.job for _, issue in old if issue.resolved}
    notes = _reject(api, {job["id"]: job for _, _, job in placeable}.values(), busy)
    for row, frame, job in new:
        api.create_issue(job["id"], frame, _position(row["box"], frames.sizes[frame]), _signed(row))
    notes += _answer(api, old)
    kept = {row["change_id"] for row, _, _ in placeable}
    left_out = [row["change_id"] for row in rows if row["change_id"] not in kept]
    if left_out:
        notes.append(
            f"{len(left_out)} refused changes are on images or frames that the CVAT task {task} does not show any more."
        )
    return SentBack(len(new), len(old), pa.array(left_out, pa.string()), tuple(notes))


def _job_of(frame: int, regular: Sequence[Json]) -> Json | None:
    """The first job that has a frame."""
    return next((job for job in regular if job["start_frame"] <= frame <= job["stop_frame"]), None)


def _position(box: Sequence[float] | None, size: np.ndarray) -> list[float]:
    """Left, top, right and bottom in pixels; of a label of the whole image, the image, as an issue has to have a place."""
    x, y, width, height = box or (0.0, 0.0, 1.0, 1.0)
    corners = np.clip([[x, y], [x + width, y + height]], 0, 1) * size
    return [round(float(v), 2) for v in corners.ravel()]


def _signed(row: Mapping[str, Any]) -> str:
    return f"{row['message'].strip()}\n\n{signature(row['change_id'])}"


def _reject(api: Api, of_refusals: Iterable[Json], busy: set[int]) -> list[str]:
    """Give jobs back to their annotators: the ``busy`` ones, and those that are finished or in a later stage."""
    rejected = []
    for job in of_refusals:
        is_open = job["stage"] == REJECTED["stage"] and job["state"] != "completed"
        is_rejected = {name: job[name] for name in REJECTED} == REJECTED
        if not is_rejected and (job["id"] in busy or not is_open):
            api.update("jobs", job["id"], **REJECTED)
            rejected.append(job["id"])
    if not rejected:
        return []
    shown = ", ".join(map(str, rejected[:_SHOWN])) + " …" * (len(rejected) > _SHOWN)
    what = f"The job {shown} is" if len(rejected) == 1 else f"{len(rejected)} jobs ({shown}) are"
    return [f"{what} in the stage «annotation» and the state «rejected» now."]


def _answer(api: Api, old: Iterable[tuple[Mapping[str, Any], Issue]]) -> list[str]:
    """Open resolved issues again, and add what is refused in other words, as with another note."""
    opened = 0
    for row, issue in old:
        if issue.resolved:
            api.update("issues", issue.id, resolved=False)
            opened += 1
        if row["message"].strip() not in issue.texts():
            api.create_comment(issue.id, row["message"].strip())
    return (
        [f"{opened} issues that were resolved are open again, as what they are about is refused still."]
        if opened
        else []
    )
