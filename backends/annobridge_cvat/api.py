"""CVAT's REST API: one method for each call, and the differences between server versions."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Literal
from urllib.parse import quote

from annobridge.backend.http import Http
from annobridge.exceptions import Broken, Denied, Gone, Rejected

from .connect import Version

Json = dict[str, Any]
PARALLEL = 8  # small calls at once, of all tasks together
MAX_BODY = 8 << 20  # bytes of annotations in one request
_JOBS_AT_ONCE = 200  # job ids in one address
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0  # seconds between two polls

# The parts of the server's answers that are used (see ``annobridge.backend.expect``)
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
_TASK = {
    "id": int, "name": str, "status": str, "size?": int | None, "updated_date?": str | None, "project_id?": int | None,
    "dimension?": str | None, "media_type?": str | None, "validation_mode?": str | None,
}  # fmt: skip
_PROJECT = {"id": int, "name": str, "bug_tracker?": str | None}
_COLLECTIONS = {"tasks": _TASK, "projects": _PROJECT}
_USER = {"id": int, "username": str}
_SPEC = {"id": int, "name": str, "input_type": str, "mutable": bool, "values": list, "default_value": Any}
_LABEL = {
    "id": int, "name": str, "type": str, "color": str, "attributes": [_SPEC], "project_id?": int | None,
    "sublabels?": ([{"id": int, "name": str}], None), "svg?": str | None,
}  # fmt: skip
_JOB = {
    "id": int, "task_id": int, "start_frame": int, "stop_frame": int, "state": str, "stage": str, "type": str,
    "assignee?": ({"username": str}, None), "parent_job_id?": int | None, "issues?": {"count": int}, "updated_date?": str | None,
}  # fmt: skip
_ISSUE = {"id": int, "job": int, "frame": int, "position": [float], "resolved": bool}
_COMMENT = {
    "id": int, "issue": int, "message": str, "owner?": ({"username": str}, None), "created_date?": str | None,
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
        self._pool = ThreadPoolExecutor(PARALLEL, "annobridge-cvat")

    def close(self) -> None:
        """Close the connections."""
        self._pool.shutdown()
        self.http.close()

    def concurrently(self, *calls: Callable[[], Any]) -> list[Any]:
        """The results of several small calls that are made at the same time; the first error of them, after all have ended."""
        futures = [self._pool.submit(call) for call in calls]
        wait(futures)
        return [future.result() for future in futures]

    # --- reading ----------------------------------------------------------------------------------------------------

    def list_all(self, path: str, shape: Json, **params: Any) -> list[Json]:
        """All objects of a collection; each has to have the form ``shape``."""
        answer = self.http.get(path, {**params, "page_size": "all"}, expect={"results": [shape]})
        return list(answer["results"])

    def named(self, collection: str, name: str) -> list[Json]:
        """The tasks or projects with exactly this name, oldest first."""
        found = self.list_all(f"/api/{collection}", _COLLECTIONS[collection], name=name, sort="id")
        return [o for o in found if o["name"] == name]

    def tasks_containing(self, text: str) -> list[Json]:
        """The tasks whose name contains a text."""
        return [t for t in self.list_all("/api/tasks", _TASK, search=text) if text in t["name"]]

    def tasks_of(self, project: int) -> list[Json]:
        """The tasks of a project, oldest first."""
        return self.list_all("/api/tasks", _TASK, project_id=project, sort="id")

    def user(self, name: str) -> int | None:
        """The id of a user; ``None`` for one that does not exist, or that may not be seen."""
        found = self.list_all("/api/users", _USER, username=name)
        return next((u["id"] for u in found if u["username"] == name), None)

    def labels(self, **owner: int) -> list[Json]:
        """The label set of a task (``task_id=``) or a project (``project_id=``)."""
        return self.list_all("/api/labels", _LABEL, **owner)

    def jobs(self, task: int) -> list[Json]:
        """The jobs of a task, in the order of their frames."""
        return sorted(self.list_all("/api/jobs", _JOB, task_id=task), key=lambda j: (j["start_frame"], j["id"]))

    def task(self, number: int) -> Json:
        return dict(self.http.get(f"/api/tasks/{number}", expect=_TASK))

    def project(self, number: int) -> Json:
        """A project, with the count of its tasks."""
        return dict(self.http.get(f"/api/projects/{number}", expect={**_PROJECT, "tasks": {"count": int}}))

    def meta(self, number: int) -> Json:
        """The frames of a task, in order, with their names and sizes, and the numbers of those that were deleted."""
        found = dict(self.http.get(f"/api/tasks/{number}/data/meta", expect=_META))
        if len(found["frames"]) not in (1, found["size"]):
            raise Broken(
                f"cvat: the task {number} has {found['size']} frames, and the server describes {len(found['frames'])} of them."
            )
        return found

    def included_frames(self, job: int) -> list[int]:
        """The frames of a ground-truth job, which are some of those from its first to its last."""
        found = self.http.get(f"/api/jobs/{job}/data/meta", expect={"included_frames": [int]})
        return list(found["included_frames"])

    def issues(self, task: int) -> list[Json]:
        """All issues of a task."""
        return self.list_all("/api/issues", _ISSUE, task_id=task)

    def comments(self, jobs: Sequence[int]) -> list[Json]:
        """All comments of the issues of some jobs."""
        found = []
        for start in range(0, len(jobs), _JOBS_AT_ONCE):
            rule = {"in": [{"var": "job_id"}, list(jobs[start : start + _JOBS_AT_ONCE])]}
            found += self.list_all("/api/comments", _COMMENT, filter=json.dumps(rule, separators=(",", ":")))
        return found

    # --- writing ---------------------------------------------------------------------------------------------------

    def create(self, collection: str, body: Json) -> Json:
        """Create a task or a project."""
        return dict(self.http.send("POST", f"/api/{collection}", json=body, expect=_COLLECTIONS[collection]))

    def update(self, collection: str, number: int, **fields: Any) -> None:
        """Change these fields. A PATCH with unchanged ones, too, is refused by newer servers."""
        self.http.send("PATCH", f"/api/{collection}/{number}", json=fields, repeatable=True)

    def create_issue(self, job: int, frame: int, position: Sequence[float], message: str) -> None:
        """Create an issue with one comment. ``position`` are the pixels left, top, right and bottom."""
        body = {"job": job, "frame": frame, "position": list(position), "message": message}
        self.http.send("POST", "/api/issues", json=body, expect={"id": int})

    def create_comment(self, issue: int, message: str) -> None:
        """Add a comment to an issue."""
        self.http.send("POST", "/api/comments", json={"issue": issue, "message": message}, expect={"id": int})

    def delete(self, collection: str, number: int) -> None:
        """Delete an object; one that does not exist is no error."""
        self.http.delete(f"/api/{collection}/{number}")

    def wait_for_media(self, task: int, request: str | None, deadline: float) -> None:
        """Wait until the server has read the media of a task.

        Args:
            task: the id of the task.
            request: the id of the request in which the server reads them; ``None`` for older servers, which have none.
            deadline: seconds to wait.

        Raises:
            Rejected: the server cannot read the media.
            Broken: the time is over.
        """
        due, pause = time.monotonic() + deadline, _FIRST_PAUSE
        while (failure := self._failure(task, request)) is None:
            if time.monotonic() + pause > due:
                raise Broken(
                    f"cvat: the server has not read the media of task {task} within {deadline:g} s; look at its workers, "
                    "or give a longer `deadline`, and resume."
                )
            time.sleep(pause)
            pause = min(pause * 1.2, _LONGEST_PAUSE)
        if failure:
            raise Rejected(f"cvat: the server could not read the media: {failure}.")

    def _failure(self, task: int, request: str | None) -> str | None:
        """Why reading the media failed; ``None`` while it goes on, ``""`` after it has ended well."""
        if request is None:
            status = self.http.get(f"/api/tasks/{task}/status", expect={"state": str})
            state = status["state"].lower()
        else:
            try:
                status = self.http.get(f"/api/requests/{quote(request, safe='')}", expect={"status": str})
            except Gone:  # the server forgets a request some minutes after its end
                return ""
            state = status["status"].lower()
        if state == "failed":
            return failure_reason(str(status.get("message", "")))
        return None if state in ("queued", "started", "unknown") else ""

    # --- annotations ------------------------------------------------------------------------------------------------

    def annotations(self, owner: str, number: int) -> Json:
        """All annotations of a task or a job (``owner`` is ``"tasks"`` or ``"jobs"``)."""
        return dict(self.http.get(f"/api/{owner}/{number}/annotations", expect=_ANNOTATIONS))

    def replace_annotations(self, task: int, body: bytes) -> Json:
        """Replace all annotations of a task by those of a body. Returns the new ones, with their ids."""
        return self._send_body("PUT", f"/api/tasks/{task}/annotations", body, {})

    def add_annotations(self, task: int, body: bytes) -> Json:
        """Add annotations to a task. Returns the new ones, with their ids."""
        return self._send_body("PATCH", f"/api/tasks/{task}/annotations", body, {"action": "create"})

    def patch_job(self, job: int, action: Literal["create", "update", "delete"], body: bytes) -> Json:
        """Create annotations of a job, update them whole, or delete them. Returns them with their ids, in any order."""
        return self._send_body("PATCH", f"/api/jobs/{job}/annotations", body, {"action": action})

    def _send_body(self, method: str, path: str, body: bytes, params: Mapping[str, str]) -> Json:
        headers = {"Content-Type": "application/json"}
        return dict(self.http.send(method, path, data=body, headers=headers, params=params, expect=_ANNOTATIONS))

    def bodies(self, items: Mapping[str, Sequence[Json]]) -> Iterator[bytes]:
        """Annotations as JSON, in bodies of a bounded size; none if there are no annotations."""
        texts: dict[str, list[bytes]] = {name: [] for name in items}
        size = 0
        for name, objects in items.items():
            for item in objects:
                text = self.http.encode(item)
                if size and size + len(text) > MAX_BODY:
                    yield _joined(texts)
                    texts, size = {n: [] for n in items}, 0
                texts[name].append(text)
                size += len(text)
        if size:
            yield _joined(texts)

    def may_annotate(self, task: int) -> bool:
        """Whether the user may change annotations of a task. Nothing is changed, not even its date."""
        path = f"/api/tasks/{task}/annotations"
        nothing: Json = {"tags": [], "shapes": [], "tracks": []}
        try:
            self.http.send("PATCH", path, json=nothing, params={"action": "create"}, repeatable=True)
        except Denied as e:
            if e.status != 403:
                raise
            return False
        return True


def _joined(texts: Mapping[str, Sequence[bytes]]) -> bytes:
    """A JSON object of lists, from the texts of their items."""
    return b"{%b}" % b",".join(b'"%b":[%b]' % (name.encode(), b",".join(of_name)) for name, of_name in texts.items())


def failure_reason(message: str) -> str:
    """The reason in the message of a failed task creation, without the traceback."""
    if inner := _DETAIL.search(message):
        return inner[2].rstrip(".")
    lines = [line for line in message.strip().splitlines() if line.strip()]
    return _CLASS.sub("", lines[-1].strip()).rstrip(".") if lines else "it gives no reason"
