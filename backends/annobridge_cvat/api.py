"""CVAT's REST calls, thinly. What they mean is the business of the others; how versions differ, of this module."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

from annobridge.backend.http import Http
from annobridge.exceptions import Broken, Gone, Rejected

from .connect import Version

Json = dict[str, Any]
PARALLEL = 4  # small calls at once: the server gains from so many, and from no more
BODY = 8 << 20  # bytes of annotations in one request
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0  # seconds, between two looks at a creation

# What is read of the server's answers
_ATTRIBUTES = [{"spec_id": int, "value": Any}]
_ELEMENT = {
    "frame": int,
    "label_id": int,
    "points": [float],
    "outside": bool,
    "occluded": bool,
    "attributes": _ATTRIBUTES,
}
_OBJECT = {"id": int, "frame": int, "label_id": int, "attributes": _ATTRIBUTES}
_SHAPE = {**_OBJECT, "type": str, "points": [float], "elements?": ([_ELEMENT], None)}
_KEYFRAME = {"frame": int, "type": str, "points": [float], "outside": bool, "attributes": _ATTRIBUTES}
_TRACK = {
    **_OBJECT,
    "shapes": [_KEYFRAME],
    "elements": [{"frame": int, "label_id": int, "attributes": _ATTRIBUTES, "shapes": [_KEYFRAME]}],
}
_ANNOTATIONS = {"tags": [_OBJECT], "shapes": [_SHAPE], "tracks": [_TRACK]}
_TASK = {"id": int, "name": str, "status": str, "size?": int | None}
_PROJECT = {"id": int, "name": str, "bug_tracker?": str | None}
_MADE = {"tasks": _TASK, "projects": _PROJECT}
_USER = {"id": int, "username": str}
_SPEC = {"id": int, "name": str, "input_type": str, "mutable": bool, "values": list, "default_value": Any}
_LABEL = {
    "id": int, "name": str, "type": str, "color": str, "attributes": [_SPEC], "project_id?": int | None,
    "sublabels?": ([{"id": int, "name": str}], None),
}  # fmt: skip
_JOB = {
    "id": int, "task_id": int, "start_frame": int, "stop_frame": int, "state": str, "stage": str, "type": str,
    "assignee?": ({"username": str}, None),
}  # fmt: skip
_META = {
    "size": int, "frames": [{"name": str, "width": int, "height": int}], "deleted_frames?": ([int], None),
    "start_frame?": int | None, "frame_filter?": str | None,
}  # fmt: skip

_DETAIL = re.compile(r"ErrorDetail\(string=(['\"])(.*?)\1")
_CLASS = re.compile(r"^[A-Za-z_][\w.]*(Error|Exception|Warning): ")


class Api:
    """One CVAT server."""

    def __init__(self, http: Http, version: Version) -> None:
        self.http, self.version = http, version

    @staticmethod
    def at_once(*calls: Callable[[], Any]) -> list[Any]:
        """The answers of several small calls, made together."""
        with ThreadPoolExecutor(PARALLEL) as pool:
            return [found.result() for found in [pool.submit(call) for call in calls]]

    # --- what there is ----------------------------------------------------------------------------------------------

    def all(self, path: str, shape: Json, **params: Any) -> list[Json]:
        """Every element of a collection."""
        answer = self.http.get(path, {**params, "page_size": "all"}, expect={"results": [shape]})
        return list(answer["results"])

    def named(self, collection: str, name: str) -> list[Json]:
        """The tasks or projects of exactly that name, oldest first."""
        found = self.all(f"/api/{collection}", _MADE[collection], name=name, sort="id")
        return [o for o in found if o["name"] == name]

    def tasks_like(self, text: str) -> list[Json]:
        """The tasks that have a text in their name."""
        return [t for t in self.all("/api/tasks", _TASK, search=text) if text in t["name"]]

    def user(self, name: str) -> int | None:
        """The number of a user, if we may see him."""
        found = self.all("/api/users", _USER, username=name)
        return next((u["id"] for u in found if u["username"] == name), None)

    def labels(self, **owner: int) -> list[Json]:
        """The label set of a task (``task_id=``) or a project (``project_id=``)."""
        return self.all("/api/labels", _LABEL, **owner)

    def jobs(self, task: int) -> list[Json]:
        """The jobs of a task, in the order of their frames."""
        return sorted(self.all("/api/jobs", _JOB, task_id=task), key=lambda j: (j["start_frame"], j["id"]))

    def task(self, number: int) -> Json:
        """A task."""
        return dict(self.http.get(f"/api/tasks/{number}", expect=_TASK))

    def project(self, number: int) -> Json:
        """A project, with the number of its tasks."""
        return dict(self.http.get(f"/api/projects/{number}", expect={**_PROJECT, "tasks": {"count": int}}))

    def meta(self, number: int) -> Json:
        """The frames of a task, in order, with their names and sizes, and those that were deleted."""
        found = dict(self.http.get(f"/api/tasks/{number}/data/meta", expect=_META))
        if len(found["frames"]) not in (1, found["size"]):
            raise Broken(
                f"cvat: the task {number} has {found['size']} frames, and the server describes {len(found['frames'])} of them."
            )
        return found

    # --- making and removing ----------------------------------------------------------------------------------------

    def create(self, collection: str, body: Json) -> Json:
        """Make a task or a project."""
        return dict(self.http.send("POST", f"/api/{collection}", json=body, expect=_MADE[collection]))

    def change(self, collection: str, number: int, **fields: Any) -> None:
        """Change some fields, and no others: newer servers refuse a PATCH with more."""
        self.http.send("PATCH", f"/api/{collection}/{number}", json=fields, repeatable=True)

    def remove(self, collection: str, number: int) -> None:
        """Delete, unless it is gone already."""
        self.http.delete(f"/api/{collection}/{number}")

    def settle(self, task: int, request: str | None, deadline: float) -> None:
        """Wait until the server has read a task's media. Raises ``Rejected`` with the server's reason if it cannot."""
        due, pause = time.monotonic() + deadline, _FIRST_PAUSE
        while (failure := self._creation(task, request)) is None:
            if time.monotonic() + pause > due:
                raise Broken(
                    f"cvat: the server has not read the media of task {task} within {deadline:g} s; look at its workers, "
                    "or give a longer `deadline`, and resume."
                )
            time.sleep(pause)
            pause = min(pause * 1.2, _LONGEST_PAUSE)
        if failure:
            raise Rejected(f"cvat: the server could not read the media: {failure}.")

    def _creation(self, task: int, request: str | None) -> str | None:
        """``None`` while it goes on, ``""`` when it has ended, or why it failed."""
        if request is None:
            name, status = "state", self.http.get(f"/api/tasks/{task}/status", expect={"state": str})
        else:
            try:
                name, status = (
                    "status",
                    self.http.get(f"/api/requests/{quote(request, safe='')}", expect={"status": str}),
                )
            except Gone:  # it is forgotten some minutes after it has ended
                return ""
        state = status[name].lower()
        if state == "failed":
            return reason(str(status.get("message", "")))
        return None if state in ("queued", "started", "unknown") else ""

    # --- annotations ------------------------------------------------------------------------------------------------

    def annotations(self, owner: str, number: int) -> Json:
        """Everything in a task or a job (``owner``: ``tasks`` or ``jobs``)."""
        return dict(self.http.get(f"/api/{owner}/{number}/annotations", expect=_ANNOTATIONS))

    def put(self, task: int, part: Json) -> Json:
        """Replace all annotations of a task; they are returned with their ids."""
        return dict(self.http.send("PUT", f"/api/tasks/{task}/annotations", json=part, expect=_ANNOTATIONS))

    def add(self, task: int, part: Json) -> Json:
        """Add annotations; they are returned with their ids."""
        path, params = f"/api/tasks/{task}/annotations", {"action": "create"}
        return dict(self.http.send("PATCH", path, json=part, params=params, expect=_ANNOTATIONS))


def parts(items: Mapping[str, Sequence[Json]]) -> Iterable[dict[str, list[Json]]]:
    """Annotations in bodies of a bounded size."""
    part: dict[str, list[Json]] = {name: [] for name in items}
    size = 0
    for name, objects in items.items():
        for one in objects:
            length = len(json.dumps(one))
            if size and size + length > BODY:
                yield part
                part, size = {n: [] for n in items}, 0
            part[name].append(one)
            size += length
    if size:
        yield part


def reason(message: str) -> str:
    """What a failed creation says, without its traceback."""
    if inner := _DETAIL.search(message):
        return inner[2].rstrip(".")
    lines = [line for line in message.strip().splitlines() if line.strip()]
    return _CLASS.sub("", lines[-1].strip()).rstrip(".") if lines else "it gives no reason"
