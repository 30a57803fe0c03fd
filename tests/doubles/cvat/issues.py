"""Issues with their comments, and guides."""

from __future__ import annotations

from .contexts import owns, sees
from .errors import ApiError, denied, invalid, invalid_field
from .listing import not_found, page
from .messages import Answer, Json, answer, empty
from .router import Call, route
from .state import Comment, Guide, Issue, Project, Task, stamp
from .users import brief_user


@route("GET", "/issues")
def list_issues(call: Call) -> Answer:
    seen = [issue for issue in call.state.issues.values() if sees(call.user, issue.job)]

    def value_of(row: Json, name: str) -> Json:
        key = row["job"]
        return {"job_id": key, "task_id": call.state.jobs[key].task.id, "frame_id": row["frame"]}.get(
            name, row.get(name)
        )

    rows = [issue_described(issue, call) for issue in seen]
    return page(call, rows, filters=("job_id", "task_id", "resolved", "frame_id"), search=("owner",), value_of=value_of)


@route("POST", "/issues")
def create_issue(call: Call) -> Answer:
    fields = call.request.json()
    faults = {
        name: ["This field is required."] for name in ("job", "frame", "position", "message") if name not in fields
    }
    if "message" in fields and not fields["message"].strip():
        faults["message"] = ["This field may not be blank."]
    if "position" in fields and not fields["position"]:
        faults["position"] = ["This list may not be empty."]
    if faults:
        raise ApiError(400, faults)
    job = call.state.jobs.get(fields["job"])
    if job is None:
        raise invalid("Job matching query does not exist.")
    if not sees(call.user, job):
        raise denied()
    now = call.state.now()
    position = [float(number) for number in fields["position"]]
    issue = Issue(call.state.next_id("issue"), job, fields["frame"], position, call.user, now, now)
    call.state.issues[issue.id] = issue
    add_comment(call, issue, fields["message"])
    return answer(issue_described(issue, call), 201)


@route("GET", "/issues/{issue}")
def get_issue(call: Call) -> Answer:
    return answer(issue_described(find(call), call))


@route("PATCH", "/issues/{issue}")
def patch_issue(call: Call) -> Answer:
    issue, fields = find(call), call.request.json()
    issue.resolved = fields.get("resolved", issue.resolved)
    issue.position = fields.get("position", issue.position)
    issue.updated = call.state.now()
    return answer(issue_described(issue, call))


@route("DELETE", "/issues/{issue}")
def delete_issue(call: Call) -> Answer:
    issue = find(call)
    del call.state.issues[issue.id]
    call.state.comments = {number: c for number, c in call.state.comments.items() if c.issue is not issue}
    return empty(204)


def find(call: Call) -> Issue:
    issue = call.state.issues.get(call.ids["issue"])
    if issue is None:
        raise not_found(call, "Issue")
    if not sees(call.user, issue.job):
        raise denied()
    return issue


def issue_described(issue: Issue, call: Call) -> Json:
    return {
        "id": issue.id,
        "frame": issue.frame,
        "position": issue.position,
        "job": issue.job.id,
        "owner": brief_user(issue.owner, call.request),
        "assignee": brief_user(issue.assignee, call.request),
        "created_date": stamp(issue.created),
        "updated_date": stamp(issue.updated),
        "resolved": issue.resolved,
        "comments": {
            "count": sum(comment.issue is issue for comment in call.state.comments.values()),
            "url": call.request.url(f"/comments?issue_id={issue.id}"),
        },
    }


@route("GET", "/comments")
def list_comments(call: Call) -> Answer:
    rows = [comment_described(c, call) for c in call.state.comments.values() if sees(call.user, c.issue.job)]

    def value_of(row: Json, name: str) -> Json:
        issue = call.state.issues[row["issue"]]
        return {"issue_id": issue.id, "job_id": issue.job.id, "frame_id": issue.frame}.get(name, row.get(name))

    return page(call, rows, filters=("issue_id", "job_id", "frame_id"), search=("owner",), value_of=value_of)


@route("POST", "/comments")
def create_comment(call: Call) -> Answer:
    fields = call.request.json()
    issue = call.state.issues.get(fields.get("issue", -1))
    if issue is None:
        raise invalid_field("issue", f'Invalid pk "{fields.get("issue")}" - object does not exist.')
    if not fields.get("message"):
        raise invalid_field("message", "This field may not be blank.")
    return answer(comment_described(add_comment(call, issue, fields["message"]), call), 201)


def add_comment(call: Call, issue: Issue, message: str) -> Comment:
    now = call.state.now()
    comment = Comment(call.state.next_id("comment"), issue, message.strip(), call.user, now, now)
    call.state.comments[comment.id] = comment
    issue.updated = now
    return comment


def comment_described(comment: Comment, call: Call) -> Json:
    return {
        "id": comment.id,
        "issue": comment.issue.id,
        "owner": brief_user(comment.owner, call.request),
        "message": comment.message,
        "created_date": stamp(comment.created),
        "updated_date": stamp(comment.updated),
    }


@route("POST", "/guides")
def create_guide(call: Call) -> Answer:
    fields = call.request.json()
    owner = guided(call, fields)
    if not owns(call.user, owner):
        raise denied()
    guide = Guide(call.state.next_id("guide"), owner, fields.get("markdown", ""))
    call.state.guides[guide.id] = guide
    owner.guide_id = guide.id
    return answer(guide_described(guide), 201)


def guided(call: Call, fields: dict[str, Json]) -> Project | Task:
    owner = call.state.tasks.get(fields.get("task_id", -1)) or call.state.projects.get(fields.get("project_id", -1))
    if owner is None:
        raise ApiError(400, {"non_field_errors": ["One of project_id or task_id must be specified"]})
    return owner


@route("GET", "/guides/{guide}")
def get_guide(call: Call) -> Answer:
    guide = call.state.guides.get(call.ids["guide"])
    if guide is None:
        raise not_found(call, "AnnotationGuide")
    if not sees(call.user, guide.owner):
        raise denied()
    return answer(guide_described(guide))


def guide_described(guide: Guide) -> Json:
    is_task = isinstance(guide.owner, Task)
    task_id, project_id = (guide.owner.id, None) if is_task else (None, guide.owner.id)
    return {"id": guide.id, "task_id": task_id, "project_id": project_id, "markdown": guide.markdown}
