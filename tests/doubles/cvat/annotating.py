"""The annotation calls of tasks and jobs."""

from __future__ import annotations

from . import jobs, tasks
from .checks import cleaned
from .errors import ApiError, TextError, crash, gone_export, invalid
from .honeypots import spread
from .merge import Joined
from .messages import Answer, Json, answer, empty
from .router import Call, route
from .state import Job, Task
from .store import DuplicateId, Journal
from .views import Defaults, Objects, answered, of_job
from .writing import Writer, jobs_of, refuse_poisoned

ACTIONS = ("create", "update", "delete")
EXPORT_PARAMETERS = ("format", "filename", "action", "location", "cloud_storage_id")


@route("GET", "/tasks/{task}/annotations/?")
def get_of_task(call: Call) -> Answer:
    task = tasks.find(call)
    if task.data is None:
        text = "Exporting annotations from a task without data is not allowed"
        raise TextError(400, text) if call.since(2, 16) else ApiError(400, text)
    refuse_export(call)
    found = jobs_of(task)
    refuse_poisoned(call.state, found)
    joined, defaults = Joined(task.overlap or 0, call.state.version), Defaults(task)
    for job in found:
        joined.add(of_job(job, defaults, call.state.random), job.start)
    return shown(call, joined.result(), by_frame=True)


@route("GET", "/jobs/{job}/annotations/?")
def get_of_job(call: Call) -> Answer:
    job = jobs.find(call)
    refuse_export(call)
    refuse_poisoned(call.state, [job])
    return shown(call, of_job(job, Defaults(job.task), call.state.random), by_frame=True)


def refuse_export(call: Call) -> None:
    """The former call to export annotations."""
    if call.since(2, 32) and any(name in call.request.query for name in EXPORT_PARAMETERS):
        kind = call.request.path.split("/")[1]
        raise gone_export(f"/api/{kind}/id/dataset/export?save_images=False")


def refuse_import(call: Call) -> None:
    """The former call for the state of an import."""
    if call.since(2, 38) and ("format" in call.request.query or "rq_id" in call.request.query):
        raise TextError(
            410,
            "This endpoint no longer supports checking the status of the import process.\nThe common requests API should be "
            "used instead: GET /api/requests/rq_id, where rq_id is obtained from the response of the initializing request.\n",
        )


@route("PUT", "/tasks/{task}/annotations/?")
def put_to_task(call: Call) -> Answer:
    task = tasks.changeable(call)
    refuse_import(call)
    objects = checked(call, "create")
    if task.data is None and call.since(2, 16):
        raise crash()
    try:
        return shown(call, written_to_task(call, task, objects, "put"))
    except DuplicateId:
        raise crash() from None  # here, and only here, the server does not expect it


@route("PATCH", "/tasks/{task}/annotations/?")
def patch_task(call: Call) -> Answer:
    task, action = tasks.changeable(call), action_asked(call)
    objects = checked(call, action)
    if task.data is None and call.since(2, 16):
        raise ApiError(400, "'NoneType' object has no attribute 'validation_mode'")
    return shown(call, written_to_task(call, task, objects, action))


def written_to_task(call: Call, task: Task, objects: Objects, action: str) -> Objects:
    spread(task, objects, action)
    return Writer(call.state, task, action).to_task(objects)


@route("PUT", "/jobs/{job}/annotations/?")
def put_to_job(call: Call) -> Answer:
    job = jobs.find(call)
    refuse_import(call)
    return shown(call, Writer(call.state, job.task, "put").to_job(job, checked(call, "create")))


@route("PATCH", "/jobs/{job}/annotations/?")
def patch_job(call: Call) -> Answer:
    job, action = jobs.find(call), action_asked(call)
    return shown(call, Writer(call.state, job.task, action).to_job(job, checked(call, action)))


@route("DELETE", "/tasks/{task}/annotations/?")
def delete_of_task(call: Call) -> Answer:
    task = tasks.changeable(call)
    if task.data is None and call.since(2, 16):
        raise crash()
    return cleared(call, jobs_of(task))


@route("DELETE", "/jobs/{job}/annotations/?")
def delete_of_job(call: Call) -> Answer:
    return cleared(call, [jobs.find(call)])


def cleared(call: Call, found: list[Job]) -> Answer:
    refuse_poisoned(call.state, found)
    for job in found:
        if Journal(call.state).clear(job):
            call.state.touch(job.task, job)
    return empty(204)


def action_asked(call: Call) -> str:
    action = call.request.query.get("action", "")
    if action not in ACTIONS:
        raise invalid("Please specify a correct 'action' for the request")
    return action


def checked(call: Call, action: str) -> Objects:
    if call.request.content_type == "application/json" and call.request.body.lstrip().startswith(b"["):
        raise crash()
    return cleaned(call.request.json(), action, call.state.version)


def shown(call: Call, objects: Objects, *, by_frame: bool = False) -> Answer:
    body: Json = answered(objects, call.state.random, by_frame=by_frame, intervals=call.since(2, 66))
    return answer(body)
