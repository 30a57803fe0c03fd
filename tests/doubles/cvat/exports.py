"""The start of an export. No file is ever made: the request stays in progress."""

from __future__ import annotations

from . import tasks
from .errors import ApiError, crash, gone_export, invalid
from .messages import Answer, answer, empty
from .router import Call, route
from .users import FORMATS


@route("GET", "/tasks/{task}/dataset")
def old_export(call: Call) -> Answer:
    task, name = tasks.find(call), call.request.query.get("format")
    if call.since(2, 32):
        raise gone_export("/api/tasks/id/dataset/export?save_images=True")
    if task.data is None:
        raise ApiError(400, "Exporting a dataset from a task without data is not allowed")
    if not name:
        raise ApiError(400, "Format is not specified")
    check_format(name)
    return empty(202)


@route("POST", "/tasks/{task}/dataset/export", reads=True, since=(2, 16))
def new_export(call: Call) -> Answer:
    task, query = tasks.find(call), call.request.query
    check_format(query.get("format", ""))
    images = query.get("save_images", "false").lower()
    if images not in ("true", "false"):
        raise crash()
    content = "dataset" if images == "true" else "annotations"
    name = query["format"].replace(" ", "_").replace(".", "~")
    number = f"action=export&target=task&target_id={task.id}&user_id={call.user.id}&format={name}&subresource={content}"
    if number in call.state.exports:
        return answer({"rq_id": number}, 409)
    call.state.exports[number] = call.state.now()
    return answer({"rq_id": number}, 202)


def check_format(name: str) -> None:
    if name not in FORMATS:
        raise invalid("Unknown format specified for the request")
