"""Projects."""

from __future__ import annotations

from .contexts import may_create, owns, sees
from .errors import denied
from .fields import check_known, check_name, check_text, organization_given, user_given
from .labels import change_labels, make_labels
from .listing import not_found, page
from .messages import Answer, Json, answer, empty
from .router import Call, route
from .state import Project, Task, stamp
from .tasks import remove_task
from .users import brief_user

WRITABLE = (
    "name",
    "assignee_id",
    "owner_id",
    "bug_tracker",
    "labels",
    "organization_id",
    "source_storage",
    "target_storage",
)
FILTERS = ("name", "assignee", "owner", "status")


@route("GET", "/projects")
def list_projects(call: Call) -> Answer:
    seen = [p for p in call.state.projects.values() if sees(call.user, p) and call.context.admits(p.organization)]
    return page(
        call, [described(p, call) for p in seen], filters=FILTERS, search=("name", "owner", "assignee", "status")
    )


@route("POST", "/projects")
def create_project(call: Call) -> Answer:
    fields = call.request.json()
    if not may_create(call.user, call.context):
        raise denied()
    check_name(fields, creating=True)
    check_text(fields, "bug_tracker", 2000)
    assignee = user_given(call, fields.get("assignee_id"))
    labels = make_labels(fields.get("labels", []), call.state)
    now = call.state.now()
    made = Project(call.state.next_id("project"), fields["name"], call.user, now, now, assignee)
    made.bug_tracker = fields.get("bug_tracker", "")
    made.organization, made.labels = call.context.organization, labels
    call.state.projects[made.id] = made
    return answer(described(made, call), 201)


@route("GET", "/projects/{project}")
def get_project(call: Call) -> Answer:
    return answer(described(find(call), call))


@route("PATCH", "/projects/{project}")
def patch_project(call: Call) -> Answer:
    found, fields = changeable(call), call.request.json()
    check_known(call, fields, WRITABLE)
    check_name(fields, creating=False)
    check_text(fields, "bug_tracker", 2000)
    assignee = user_given(call, fields["assignee_id"]) if "assignee_id" in fields else found.assignee
    if "labels" in fields:
        change_labels(found, fields["labels"], call.state)
    if "organization_id" in fields:
        found.organization = organization_given(call, fields["organization_id"])
    found.name = fields.get("name", found.name)
    found.bug_tracker = fields.get("bug_tracker", found.bug_tracker)
    found.assignee, found.updated = assignee, call.state.now()
    return answer(described(found, call))


@route("DELETE", "/projects/{project}")
def delete_project(call: Call) -> Answer:
    found = changeable(call)
    for task in tasks_of(found, call):
        remove_task(call.state, task)
    del call.state.projects[found.id]
    return empty(204)


def find(call: Call) -> Project:
    found = call.state.projects.get(call.ids["project"])
    if found is None:
        raise not_found(call, "Project")
    if not sees(call.user, found):
        raise denied()
    return found


def changeable(call: Call) -> Project:
    found = find(call)
    if not owns(call.user, found):
        raise denied()
    return found


def tasks_of(project: Project, call: Call) -> list[Task]:
    return [task for task in call.state.tasks.values() if task.project is project]


def described(project: Project, call: Call) -> Json:
    request, tasks = call.request, tasks_of(project, call)
    organization = project.organization.id if project.organization else None
    told = {
        "url": request.url(f"/projects/{project.id}"),
        "id": project.id,
        "name": project.name,
        "owner": brief_user(project.owner, request),
        "assignee": brief_user(project.assignee, request),
        "guide_id": project.guide_id,
        "bug_tracker": project.bug_tracker,
        "created_date": stamp(project.created),
        "updated_date": stamp(project.updated),
        "status": "annotation",
        "dimension": "2d" if any(task.size for task in tasks) else None,
        "organization": organization,
        "target_storage": None,
        "source_storage": None,
        "tasks": {"count": len(tasks), "url": request.url(f"/tasks?project_id={project.id}")},
        "labels": {"url": request.url(f"/labels?project_id={project.id}")},
        "task_subsets": sorted({task.subset for task in tasks if task.subset}),
    }
    if call.since(2, 21):
        told |= {"organization_id": organization, "assignee_updated_date": None}
    return told
