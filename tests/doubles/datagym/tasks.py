"""Tasks: listed, looked into, moved, finished."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import config, values
from .errors import ApiError, generic
from .state import Project, State, Task

Json = dict[str, Any]
STATES = ("BACKLOG", "WAITING", "IN_PROGRESS", "COMPLETED", "SKIPPED", "REVIEWED", "REVIEWED_SKIP", "WAITING_CHANGED")


def listed(state: State, project: Project, query: Mapping[str, str], *, internal: bool) -> list[Json]:
    """The tasks of a project; v1 shows those that wait, unless a state is asked for."""
    wanted = query.get("state") or (None if internal else "WAITING")
    if wanted is not None and wanted not in STATES:
        raise ApiError(400, None)
    found = [t for t in state.tasks_of(project) if wanted in (None, t.state)]
    found = [t for t in found if all(w in f"{t.media.name} {t.labeler}" for w in query.get("search", "").split())]
    limit = int(query.get("limit") or 0)
    return [_item(t) for t in (found[:limit] if limit else found)]


def _item(task: Task) -> Json:
    return {
        "taskId": task.id, "projectId": task.project.id, "projectName": task.project.name, "labelTaskState": task.state,
        "labelTaskType": "DEFAULT", "preLabelState": None, "mediaId": task.media.id, "mediaName": task.media.name,
        "labeler": task.labeler, "iterationId": task.project.iteration_id, "iterationRun": 1, "reviewComment": None,
        "benchmark": False, "hasJsonUpload": task.json_upload,
    }  # fmt: skip


def shown(state: State, task: Task) -> Json:
    """A task with its values. Looking makes what is missing of the global classifications."""
    values.ensure_globals(task.project, task)
    project = task.project
    return {
        "taskId": task.id, "labelTaskState": task.state, "projectName": project.name, "projectType": project.media_type,
        "lastChangedConfig": project.changed, "reviewActivated": False, "reviewComment": None, "aiSegLimitReached": False,
        "datasetId": task.dataset.id, "datasetName": task.dataset.name,
        "media": {"id": task.media.id, "mediaName": task.media.name},
        "labelConfig": {"id": project.config_id, "entries": [config.entry_shown(e) for e in project.entries]},
        "labelIteration": {
            "id": project.iteration_id, "projectId": project.id, "run": 1,
            "entryValues": [values.shown(task, v) for v in task.values],
        },
    }  # fmt: skip


def complete(state: State, task: Task, body: Any) -> Json:
    """Finish, if the configuration is the one that was seen, and all values are sound."""
    changed = int(body["lastChangedConfig"]) < task.project.changed
    if not changed:
        if bad := values.first_bad(task):
            raise generic("entry_value_validation", bad.entry.type, bad.id)
        task.state = "COMPLETED"
    return {"hasLabelConfigChanged": changed, "currentTaskId": task.id}


def skip(task: Task) -> Json:
    task.state = "SKIPPED"
    return {"hasLabelConfigChanged": False, "currentTaskId": task.id}


def move_all(state: State, body: Any) -> None:
    """Between the backlog and where labelers see them."""
    if not isinstance(body, dict) or set(body) != {"projectId", "datasetId", "direction"}:
        raise ApiError(400, None)
    source = {"WAITING": "BACKLOG", "BACKLOG": "WAITING"}.get(body["direction"])
    if source is None:
        raise generic("wrong_label_task_state", body["direction"])
    project = state.project(body["projectId"])
    for task in state.tasks_of(project):
        if task.state == source and body["datasetId"] in ("ALL", task.dataset.id):
            task.state = body["direction"]
