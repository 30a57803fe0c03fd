"""Jobs: listed, assigned, moved through stages; and ground-truth jobs."""

from __future__ import annotations

from .contexts import owns, sees
from .errors import denied, invalid, invalid_field
from .fields import check_known, user_given
from .listing import not_found, page
from .messages import Answer, Json, answer, empty
from .router import Call, route
from .state import Job, Task, Validation, stamp
from .store import Journal
from .tasks import media_type, mode_of
from .users import brief_user

STAGES = ("annotation", "validation", "acceptance")
STATES = ("new", "in progress", "completed", "rejected")
WRITABLE = ("assignee", "stage", "state")
FILTERS = (
    "task_id", "task_name", "project_id", "project_name", "assignee", "state", "stage", "type", "mode", "dimension",
    "parent_job_id", "status",
)  # fmt: skip


@route("GET", "/jobs")
def list_jobs(call: Call) -> Answer:
    seen = [j for j in call.state.jobs.values() if sees(call.user, j) and call.context.admits(j.task.organization)]
    asked = call.request.query.get("task_id", "")
    if asked.isdecimal():
        seen = [job for job in seen if job.task.id == int(asked)]
    return page(call, [described(job, call) for job in seen], filters=FILTERS, search=("assignee", "state", "stage"))


@route("GET", "/jobs/{job}")
def get_job(call: Call) -> Answer:
    return answer(described(find(call), call))


@route("PATCH", "/jobs/{job}")
def patch_job(call: Call) -> Answer:
    found, fields = find(call), call.request.json()
    check_known(call, fields, WRITABLE)
    for name, choices in (("stage", STAGES), ("state", STATES)):
        if name in fields and fields[name] not in choices:
            raise invalid_field(name, f'"{fields[name]}" is not a valid choice.')
    if {"assignee", "stage"} & set(fields) and not owns(call.user, found.task):
        raise denied()
    assignee = user_given(call, fields["assignee"]) if "assignee" in fields else found.assignee
    if assignee is not found.assignee:
        found.assignee, found.assigned = assignee, call.state.now()
    if fields.get("stage", found.stage) != found.stage:
        # A new stage starts anew, unless the same call says otherwise.
        found.stage, found.state = fields["stage"], "new"
    found.state = fields.get("state", found.state)
    found.updated = call.state.now()  # the task's own date stays
    return answer(described(found, call))


@route("POST", "/jobs")
def create_job(call: Call) -> Answer:
    fields = call.request.json()
    if fields.get("type") != "ground_truth":
        raise invalid(f"Unexpected job type '{fields.get('type')}'")
    task = call.state.tasks.get(fields.get("task_id", -1))
    if task is None:
        raise (
            invalid_field("task_id", "Task matching query does not exist.")
            if call.since(2, 21)
            else not_found(call, "Task")
        )
    if not owns(call.user, task):
        raise denied()
    if task.data is None or not task.size:
        raise invalid("This task has no media to create ground truth jobs for")
    if any(job.type == "ground_truth" for job in task.jobs):
        newer = 'Task with validation mode "gt" cannot have more than 1 GT job'
        raise invalid(newer if call.since(2, 21) else "A task can have only 1 ground truth job")
    frames = frames_given(call, task, fields)
    task.data.validation = Validation("gt", frames)
    return answer(described(add_job(call, task, frames), call), 201)


def frames_given(call: Call, task: Task, fields: dict[str, Json]) -> list[int]:
    method = fields.get("frame_selection_method")
    if method == "manual":
        frames = sorted(set(fields.get("frames", [])))
        if not frames or frames[0] < 0 or frames[-1] >= task.size:
            raise invalid_field("frames", "The list of frames is empty or holds frames that the task does not have")
        return frames
    if method != "random_uniform":
        raise invalid_field("frame_selection_method", f'"{method}" is not a valid choice.')
    count = fields.get("frame_count") or max(1, round(task.size * fields.get("frame_share", 0)))
    return sorted(call.state.random.sample(range(task.size), min(count, task.size)))


def add_job(call: Call, task: Task, frames: list[int]) -> Job:
    now = call.state.now()
    job = Job(call.state.next_id("job"), task, 0, task.size - 1, now, now, "ground_truth", frames=frames)
    call.state.jobs[job.id] = job
    task.jobs.append(job)
    return job


@route("DELETE", "/jobs/{job}")
def delete_job(call: Call) -> Answer:
    found = find(call)
    if not owns(call.user, found.task):
        raise denied()
    if found.type != "ground_truth":
        raise invalid("Only ground truth jobs can be removed")
    Journal(call.state).clear(found)
    found.task.jobs.remove(found)
    del call.state.jobs[found.id]
    if found.task.data:
        found.task.data.validation = None
    return empty(204)


def find(call: Call) -> Job:
    found = call.state.jobs.get(call.ids["job"])
    if found is None:
        raise not_found(call, "Job")
    if not sees(call.user, found):
        raise denied()
    return found


def described(job: Job, call: Call) -> Json:
    request, task, data = call.request, job.task, job.task.data
    told = {
        "url": request.url(f"/jobs/{job.id}"),
        "id": job.id,
        "task_id": task.id,
        "project_id": task.project.id if task.project else None,
        "assignee": brief_user(job.assignee, request),
        "guide_id": task.guide_id,
        "dimension": "2d",
        "bug_tracker": task.bug_tracker or None,
        "status": job.status,
        "stage": job.stage,
        "state": job.state,
        "mode": mode_of(task),
        "frame_count": len(job.frames) if job.frames is not None else job.stop - job.start + 1,
        "start_frame": job.start,
        "stop_frame": job.stop,
        "data_chunk_size": data.chunk_size if data else None,
        "data_compressed_chunk_type": "imageset" if data and data.zip_chunks else "video",
        "created_date": stamp(job.created),
        "updated_date": stamp(job.updated),
        "issues": {
            "url": request.url(f"/issues?job_id={job.id}"),
            "count": sum(issue.job is job for issue in call.state.issues.values()),
        },
        "labels": {"url": request.url(f"/labels?job_id={job.id}")},
        "type": job.type,
        "organization": task.organization.id if task.organization else None,
        "target_storage": None,
        "source_storage": None,
    }
    return {**told, **newer_fields(job)} if call.since(2, 21) else told


def newer_fields(job: Job) -> Json:
    task = job.task
    replicas = sum(other.parent_id == job.id for other in task.jobs) if job.type == "annotation" else 0
    return {
        "task_name": task.name,
        "project_name": task.project.name if task.project else None,
        "media_type": media_type(task),
        "data_original_chunk_type": "video" if task.data and task.data.is_video else "imageset",
        "assignee_updated_date": stamp(job.assigned),
        "parent_job_id": job.parent_id,
        "replicas_count": replicas,
        "consensus_replicas": replicas,
    }
