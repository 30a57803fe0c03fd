"""Tasks: created, listed, changed, deleted. Their media are in `upload` and `creation`."""

from __future__ import annotations

from .contexts import may_create, owns, sees
from .errors import denied, invalid, invalid_field
from .fields import check_known, check_name, check_text, organization_given, user_given, whole_number
from .labels import change_labels, make_labels
from .listing import not_found, page
from .messages import Answer, Json, answer, empty
from .moving import planned
from .router import Call, route
from .state import Project, State, Task, stamp
from .store import forget
from .users import brief_user

WRITABLE = (
    "name", "assignee_id", "owner_id", "bug_tracker", "subset", "labels", "organization_id", "project_id",
    "source_storage", "target_storage",
)  # fmt: skip
FILTERS = ("name", "project_id", "project_name", "assignee", "owner", "subset", "mode", "dimension", "status")


@route("GET", "/tasks")
def list_tasks(call: Call) -> Answer:
    seen = [t for t in call.state.tasks.values() if sees(call.user, t) and call.context.admits(t.organization)]
    searched = ("name", "owner", "status", "assignee", "subset", "mode", "dimension")
    return page(call, [described(task, call) for task in seen], filters=FILTERS, search=searched)


@route("POST", "/tasks")
def create_task(call: Call) -> Answer:
    fields = call.request.json()
    if not may_create(call.user, call.context):
        raise denied()
    check_fields(fields, creating=True)
    project = project_given(call, fields)
    segment_size, replicas = whole_number(fields, "segment_size", 0), replicas_given(call, fields)
    overlap = whole_number(fields, "overlap", 0) if fields.get("overlap") is not None else None
    assignee = user_given(call, fields.get("assignee_id"))
    owner = user_given(call, fields.get("owner_id")) or call.user
    labels = make_labels(fields.get("labels") or [], call.state)
    now = call.state.now()
    made = Task(call.state.next_id("task"), fields["name"], owner, now, now, assignee, project=project)
    made.organization = project.organization if project else call.context.organization
    made.bug_tracker, made.subset = fields.get("bug_tracker", ""), fields.get("subset", "")
    made.segment_size, made.overlap, made.replicas = segment_size, overlap, replicas
    made.own_labels = labels
    call.state.tasks[made.id] = made
    if project:
        project.updated = now
    return answer(described(made, call), 201)


def replicas_given(call: Call, fields: dict[str, Json]) -> int:
    """The number of replicas of each job; older servers do not know the field."""
    name = "consensus_replicas"
    if not call.since(2, 27):
        return 0
    if fields.get(name, 0) is None:
        raise invalid_field(name, "This field may not be null.")
    found = whole_number(fields, name, 0)
    if found == 1 or found > 11:
        raise invalid_field(
            name, f"Consensus replicas must be 0 or a positive number more than 1 and less than 12, got {found}"
        )
    return found


def check_fields(fields: dict[str, Json], *, creating: bool) -> None:
    check_name(fields, creating=creating)
    check_text(fields, "bug_tracker", 2000)
    check_text(fields, "subset", 64)


def project_given(call: Call, fields: dict[str, Json]) -> Project | None:
    """A task has labels of its own or those of a project."""
    number, labels = fields.get("project_id"), fields.get("labels")
    if number is not None and (labels or (labels is not None and not call.since(2, 46))):
        kind = "Task" if call.since(2, 46) else "Project"
        raise invalid(f"{kind} must have only one of Label set or project_id")
    if number is None:
        if labels is None and not call.since(2, 46):
            raise invalid("Label set or project_id must be present")
        return None
    project = call.state.projects.get(number) if isinstance(number, int) else None
    if project is None:
        raise invalid("Project matching query does not exist.")
    if not owns(call.user, project):
        raise denied()
    return project


@route("GET", "/tasks/{task}")
def get_task(call: Call) -> Answer:
    return answer(described(find(call), call))


@route("PATCH", "/tasks/{task}")
def patch_task(call: Call) -> Answer:
    found, fields = changeable(call), call.request.json()
    check_known(call, fields, WRITABLE)
    check_fields(fields, creating=False)
    move = planned(call, found, fields)
    assignee = user_given(call, fields["assignee_id"]) if "assignee_id" in fields else found.assignee
    owner = user_given(call, fields.get("owner_id")) or found.owner
    if "labels" in fields and found.project is None:
        change_labels(found, fields["labels"], call.state)
    if call.since(2, 21) and "organization_id" in fields:
        found.organization = organization_given(call, fields["organization_id"])
    if assignee is not found.assignee:
        found.assigned = call.state.now()
    found.assignee, found.owner = assignee, owner
    for name in ("name", "bug_tracker", "subset"):
        setattr(found, name, fields.get(name, getattr(found, name)))
    if move:
        move.apply(call.state, found)
    call.state.touch(found)
    return answer(described(found, call))


@route("DELETE", "/tasks/{task}")
def delete_task(call: Call) -> Answer:
    remove_task(call.state, changeable(call))
    return empty(204)


def remove_task(state: State, task: Task) -> None:
    forget(state, task)
    for job in task.jobs:
        del state.jobs[job.id]
    state.issues = {number: issue for number, issue in state.issues.items() if issue.job.task is not task}
    state.comments = {number: c for number, c in state.comments.items() if c.issue.job.task is not task}
    del state.tasks[task.id]
    state.touch(task)


def find(call: Call) -> Task:
    found = call.state.tasks.get(call.ids["task"])
    if found is None:
        raise not_found(call, "Task")
    if not sees(call.user, found):
        raise denied()
    return found


def changeable(call: Call) -> Task:
    found = find(call)
    if not owns(call.user, found):
        raise denied()
    return found


def described(task: Task, call: Call) -> Json:
    request = call.request
    told = {
        "url": request.url(f"/tasks/{task.id}"),
        "id": task.id,
        "name": task.name,
        "project_id": task.project.id if task.project else None,
        "owner": brief_user(task.owner, request),
        "assignee": brief_user(task.assignee, request),
        "bug_tracker": task.bug_tracker,
        "created_date": stamp(task.created),
        "updated_date": stamp(task.updated),
        "overlap": task.overlap if task.size else None,
        "segment_size": task.segment_size,
        "status": task.status,
        "guide_id": task.guide_id,
        "subset": task.subset,
        "organization": task.organization.id if task.organization else None,
        "target_storage": None,
        "source_storage": None,
        "jobs": {
            "count": len(task.jobs),
            "completed": sum(job.status == "completed" for job in task.jobs),
            "validation": sum(job.stage == "validation" for job in task.jobs),
            "url": request.url(f"/jobs?task_id={task.id}"),
        },
        "labels": {"url": request.url(f"/labels?task_id={task.id}")},
        "mode": mode_of(task),
        "dimension": "2d" if task.size or not call.since(2, 65) else "",
    }
    told |= media_fields(task)
    return {**told, **newer_fields(task)} if call.since(2, 21) else told


def mode_of(task: Task) -> str:
    if task.data is None or not task.size:
        return ""
    return "interpolation" if task.data.is_video else "annotation"


def media_fields(task: Task) -> Json:
    if task.data is None:
        return {}
    return {
        "data_chunk_size": task.data.chunk_size,
        "data_compressed_chunk_type": "imageset" if task.data.zip_chunks else "video",
        "data_original_chunk_type": "video" if task.data.is_video else "imageset",
        "size": task.size,
        "image_quality": task.data.image_quality,
        "data": task.data.id,
    }


def newer_fields(task: Task) -> Json:
    validation = task.data.validation if task.data else None
    return {
        "project_name": task.project.name if task.project else None,
        "assignee_updated_date": stamp(task.assigned),
        **({"data_cloud_storage_id": None} if task.data else {"data": None}),
        "media_type": media_type(task),
        "organization_id": task.organization.id if task.organization else None,
        "validation_mode": validation.mode if validation else None,
        "consensus_enabled": task.replicas > 0,
    }


def media_type(task: Task) -> str:
    if task.data is None or not task.size:
        return ""
    return "video" if task.data.is_video else "image"
