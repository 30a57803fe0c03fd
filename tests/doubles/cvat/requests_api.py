"""The state of the background work: the old status of a task, and the requests API."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import unquote

from .creation import is_expired, traceback
from .errors import ApiError, TextError, denied, invalid
from .listing import page
from .messages import Answer, Json, answer, empty
from .router import Call, route
from .state import Creation, Task, stamp
from .tasks import find
from .upload import request_id

FAILURE_LIFE = timedelta(days=365)


@route("GET", "/tasks/{task}/status")
def task_status(call: Call) -> Answer:
    """`Finished` also when nothing was ever uploaded, and when the result is forgotten."""
    task = find(call)
    creation = task.creation
    state, message, progress = "Finished", "", 0.0
    if creation and creation.status in ("queued", "started"):
        state = creation.status.capitalize()
        if state == "Started":
            message, progress = "Task is being saved in database", 1.0
    elif creation and creation.status == "failed":
        state, message = "Failed", traceback(creation.message)
    found = answer({"state": state, "message": message, "progress": progress})
    if call.since(2, 16):
        found.headers.append(("Deprecation", "true"))
    return found


@route("GET", "/requests", since=(2, 16))
def list_requests(call: Call) -> Answer:
    rows = [
        described(task, creation, call)
        for task in call.state.tasks.values()
        if (creation := living(task, call)) and creation.owner is call.user
    ]

    def value_of(row: Json, name: str) -> Json:
        operation = row["operation"]
        special = {"action": operation["type"].split(":")[0], "id": operation["task_id"]}
        return special.get(name, row.get(name, operation.get(name)))

    return page(call, rows, filters=("task_id", "action", "status", "target"), value_of=value_of)


@route("GET", "/requests/<request>", since=(2, 16))
def get_request(call: Call) -> Answer:
    number = unquote(call.words["request"])
    if number in call.state.exports:
        return answer(export_described(number, call.state.exports[number], call))
    task, creation = find_creation(call)
    return answer(described(task, creation, call))


@route("POST", "/requests/<request>/cancel", since=(2, 16))
def cancel_request(call: Call) -> Answer:
    _, creation = find_creation(call)
    if creation.status != "queued":
        raise TextError(400, "Only requests that have not yet been started can be cancelled")
    creation.status = "cancelled"
    return empty(200)


def living(task: Task, call: Call) -> Creation | None:
    creation = task.creation
    gone = creation is None or creation.status == "cancelled" or is_expired(call.state, creation)
    return None if gone else creation


def find_creation(call: Call) -> tuple[Task, Creation]:
    prefix, _, number = unquote(call.words["request"]).rpartition("=")
    if prefix != "action=create&target=task&target_id" or not number.isdecimal():
        raise TextError(404, "There is no request with specified id")
    task = call.state.tasks.get(int(number))
    if task is None:
        raise invalid("Task matching query does not exist.")
    creation = living(task, call)
    if creation is None:
        raise TextError(404, "There is no request with specified id")
    if creation.owner is not call.user and not call.user.is_superuser:
        raise denied()
    return task, creation


def described(task: Task, creation: Creation, call: Call) -> Json:
    life = FAILURE_LIFE if creation.status == "failed" else timedelta(seconds=call.state.limits.creation_life)
    return {
        "status": creation.status,
        # Only the last line, and with its line end.
        "message": f"{creation.message}\n" if creation.message else "",
        "id": request_id(task),
        "operation": operation("create:task", task),
        "progress": 0.0,
        "created_date": stamp(creation.created),
        "started_date": stamp(creation.started),
        "finished_date": stamp(creation.finished),
        "expiry_date": stamp(creation.finished + life) if creation.finished else None,
        "owner": {"id": creation.owner.id, "username": creation.owner.username},
        "result_url": None,
        "result_id": None,
    }


def operation(kind: str, task: Task) -> Json:
    return {
        "type": kind,
        "target": "task",
        "project_id": task.project.id if task.project else None,
        "task_id": task.id,
        "job_id": None,
        "org_id": task.organization.id if task.organization else None,
        "format": None,
        "lightweight": None,
    }


def export_described(number: str, started: datetime, call: Call) -> Json:
    fields = dict(pair.split("=", 1) for pair in number.split("&"))
    task = call.state.tasks.get(int(fields["target_id"]))
    if task is None:
        raise ApiError(400, ["Task matching query does not exist."])
    return {
        "status": "started",
        "message": "",
        "id": number,
        "operation": operation(f"export:{fields['subresource']}", task),
        "progress": 0.0,
        "created_date": stamp(started),
        "started_date": stamp(started),
        "finished_date": None,
        "expiry_date": None,
        "owner": {"id": call.user.id, "username": call.user.username},
        "result_url": None,
        "result_id": None,
    }
