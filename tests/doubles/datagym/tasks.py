"""Tasks: listing, showing, moving and finishing them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from . import config, places, values
from .errors import generic, invalid, unreadable
from .state import Project, State, Task

Json = dict[str, Any]
_SEARCH = re.compile(r"[a-zA-Z0-9_ -]*")
STATES = ("BACKLOG", "WAITING", "IN_PROGRESS", "COMPLETED", "SKIPPED", "REVIEWED", "REVIEWED_SKIP", "WAITING_CHANGED")


def listed(state: State, project: Project, query: Mapping[str, str], *, internal: bool) -> list[Json]:
    """The tasks of a project; v1 lists the waiting ones, unless a state is given."""
    if not internal and not _SEARCH.fullmatch(query.get("search", "")):
        raise invalid(("", "ex_pattern"))
    wanted = query.get("state") or (None if internal else "WAITING")
    if wanted is not None and wanted not in STATES:
        raise unreadable()
    found = [t for t in state.tasks_of(project) if wanted in (None, t.state)]
    found = [t for t in found if _holds(t, query.get("search", "").split())]
    limit = int(query.get("limit") or 0)
    return [_item(t) for t in (found[:limit] if limit else found)]


def _holds(task: Task, words: Sequence[str]) -> bool:
    """Whether a task contains one of the search words, if there are any."""
    return not words or any(w in f"{task.media.name} {task.labeler}" for w in words)


def _item(task: Task) -> Json:
    return {
        "taskId": task.id, "projectId": task.project.id, "projectName": task.project.name, "labelTaskState": task.state,
        "labelTaskType": "DEFAULT", "preLabelState": None, "mediaId": task.media.id, "mediaName": task.media.name,
        "labeler": task.labeler, "iterationId": task.project.iteration_id, "iterationRun": 1, "reviewComment": task.review_comment,
        "benchmark": False, "hasJsonUpload": task.json_upload,
    }  # fmt: skip


def shown(state: State, task: Task) -> Json:
    """A task with its values. Showing it creates the missing values of global classifications."""
    values.ensure_globals(state, task)
    project = task.project
    return {
        "taskId": task.id, "labelTaskState": task.state, "projectName": project.name, "projectType": project.media_type,
        "lastChangedConfig": project.changed, "reviewActivated": False, "reviewComment": task.review_comment,
        "aiSegLimitReached": False,
        "datasetId": task.dataset.id, "datasetName": task.dataset.name,
        "media": places.media_shown(task.media), "labelConfig": config.shown(state, project),
        "labelIteration": {
            "id": project.iteration_id, "projectId": project.id, "run": 1,
            "entryValues": [values.shown(task, v) for v in task.values],
        },
    }  # fmt: skip


def complete(state: State, task: Task, body: Any) -> Json:
    """Finish a task, if the configuration has not changed since it was shown, and all values are valid."""
    if not isinstance(body, dict) or set(body) - {"lastChangedConfig"}:
        raise unreadable()
    if body.get("lastChangedConfig") is None:
        raise invalid(("", "ex_notnull"))
    changed = int(body["lastChangedConfig"]) < task.project.changed
    if not changed:
        if bad := values.first_bad(task):
            raise generic("entry_value_validation", bad.entry.type, bad.id)
        task.state = "COMPLETED"
    return {"hasLabelConfigChanged": changed, "currentTaskId": task.id}


def skip(task: Task) -> None:
    task.state = "SKIPPED"


_DIRECTIONS = {  # for one task; a task may also be moved to the state that it is in
    "BACKLOG": ("WAITING",), "WAITING": ("BACKLOG", "IN_PROGRESS"),
    "IN_PROGRESS": ("WAITING_CHANGED", "SKIPPED", "COMPLETED"), "COMPLETED": ("WAITING_CHANGED", "REVIEWED"),
    "REVIEWED": ("WAITING_CHANGED",), "SKIPPED": ("WAITING_CHANGED", "REVIEWED_SKIP"), "REVIEWED_SKIP": ("WAITING_CHANGED",),
    "WAITING_CHANGED": ("BACKLOG", "IN_PROGRESS"),
}  # fmt: skip
LONGEST_COMMENT = 128


def move(task: Task, to: str) -> Json:
    """Move one task, as an admin may. Whoever waits for changes has no labeler."""
    if to != task.state and to not in _DIRECTIONS[task.state]:
        raise generic("wrong_label_task_state", task.id)
    task.state = to
    if to == "WAITING_CHANGED":
        task.labeler = None
    return _item(task)


def review(state: State, body: Any, *, success: bool) -> None:
    """Accept a finished task, or give it back to its labeler. The comment is replaced, also by none."""
    if not isinstance(body, dict) or set(body) - {"taskId", "reviewComment"}:
        raise unreadable()
    faults = [("Task Id", key) for key in ("ex_notnull", "ex_notempty") if body.get("taskId") is None]
    if len(body.get("reviewComment") or "") > LONGEST_COMMENT:
        faults.append(("Review Comment", "ex_size"))
    if faults:
        raise invalid(*faults)
    task = state.task(body["taskId"])
    if task.state not in ("COMPLETED", "SKIPPED"):
        raise generic("wrong_label_task_state", task.id)
    task.review_comment = body.get("reviewComment")
    if success:
        task.state = "REVIEWED" if task.state == "COMPLETED" else "REVIEWED_SKIP"
    else:
        task.state = "WAITING_CHANGED"


def move_all(state: State, body: Any) -> None:
    """Move tasks into the backlog or out of it."""
    if not isinstance(body, dict) or set(body) != {"projectId", "datasetId", "direction"}:
        raise unreadable()
    source = {"WAITING": "BACKLOG", "BACKLOG": "WAITING"}.get(body["direction"])
    if source is None:
        raise generic("wrong_label_task_state")
    project = state.project(body["projectId"])
    if body["datasetId"] != "ALL":
        state.connected(body["datasetId"])
    for task in state.tasks_of(project):
        if task.state == source and body["datasetId"] in ("ALL", task.dataset.id):
            task.state = body["direction"]
