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

    def all(self, path: str, **params: Any) -> list[Json]:
        """Every element of a collection."""
        answer = self.http.get(path, {**params, "page_size": "all"})
        return list(answer["results"])

    def named(self, collection: str, name: str) -> list[Json]:
        """The tasks or projects of exactly that name, oldest first."""
        return [o for o in self.all(f"/api/{collection}", name=name, sort="id") if o["name"] == name]

    def user(self, name: str) -> int | None:
        """The number of a user, if we may see him."""
        return next((u["id"] for u in self.all("/api/users", username=name) if u["username"] == name), None)

    def labels(self, **owner: int) -> list[Json]:
        """The label set of a task (``task_id=``) or a project (``project_id=``)."""
        return self.all("/api/labels", **owner)

    def jobs(self, task: int) -> list[Json]:
        """The jobs of a task, in the order of their frames."""
        return sorted(self.all("/api/jobs", task_id=task), key=lambda j: (j["start_frame"], j["id"]))

    def task(self, number: int) -> Json:
        """A task."""
        return dict(self.http.get(f"/api/tasks/{number}"))

    def meta(self, number: int) -> Json:
        """The frames of a task, in order, with their names and sizes, and those that were deleted."""
        return dict(self.http.get(f"/api/tasks/{number}/data/meta"))

    # --- making and removing ----------------------------------------------------------------------------------------

    def create(self, collection: str, body: Json) -> Json:
        """Make a task or a project."""
        return dict(self.http.send("POST", f"/api/{collection}", json=body))

    def change(self, collection: str, number: int, **fields: Any) -> None:
        """Change some fields, and no others: newer servers refuse a PATCH with more."""
        self.http.send("PATCH", f"/api/{collection}/{number}", json=fields, repeatable=True)

    def remove(self, collection: str, number: int) -> None:
        """Delete, unless it is gone already."""
        try:
            self.http.send("DELETE", f"/api/{collection}/{number}")
        except Gone:
            return

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
            status = self.http.get(f"/api/tasks/{task}/status")
        else:
            try:
                status = self.http.get(f"/api/requests/{quote(request, safe='')}")
            except Gone:  # it is forgotten some minutes after it has ended
                return ""
        state = str(status.get("state") or status.get("status")).lower()
        if state == "failed":
            return reason(str(status.get("message", "")))
        return None if state in ("queued", "started", "unknown") else ""

    # --- annotations ------------------------------------------------------------------------------------------------

    def annotations(self, owner: str, number: int) -> Json:
        """Everything in a task or a job (``owner``: ``tasks`` or ``jobs``)."""
        return dict(self.http.get(f"/api/{owner}/{number}/annotations"))

    def put(self, task: int, part: Json) -> Json:
        """Replace all annotations of a task; they are returned with their ids."""
        return dict(self.http.send("PUT", f"/api/tasks/{task}/annotations", json=part))

    def add(self, task: int, part: Json) -> Json:
        """Add annotations; they are returned with their ids."""
        return dict(self.http.send("PATCH", f"/api/tasks/{task}/annotations", json=part, params={"action": "create"}))


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
