"""The organization a call is made in, and what a user may do with an object."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import ApiError, denied
from .messages import Request
from .state import Job, Organization, Project, State, Task, User

BOSSES = ("owner", "maintainer")


@dataclass(frozen=True)
class Context:
    """`sandbox` is the personal space, asked for by an empty name; neither means no context at all."""

    organization: Organization | None = None
    sandbox: bool = False

    def admits(self, organization: Organization | None) -> bool:
        if self.sandbox:
            return organization is None
        return self.organization is None or organization is self.organization


def context_of(request: Request, state: State, user: User) -> Context:
    slug = request.headers.get("x-organization", request.query.get("org"))
    number = request.query.get("org_id")
    if slug is not None and number is not None:
        raise ApiError(400, ["You cannot specify \"org_id\" query parameter with \"org\" or \"X-Organization\"."])  # fmt: skip
    if slug is None and number is None:
        return Context()
    if not (slug or number):
        return Context(sandbox=True)
    found = next((o for o in state.organizations.values() if number == str(o.id) or (slug and o.slug == slug)), None)
    if found is None:
        raise ApiError(404, {"detail": f"{slug or number} organization does not exist."})
    if user.id not in found.roles and not user.is_superuser:
        raise denied()
    return Context(found)


def leads(user: User, organization: Organization | None) -> bool:
    return organization is not None and organization.roles.get(user.id) in BOSSES


def may_create(user: User, context: Context) -> bool:
    role = context.organization.roles.get(user.id) if context.organization else None
    return user.is_superuser or role != "worker"


def owns(user: User, item: Project | Task) -> bool:
    """May change the project or task itself."""
    if user.is_superuser or user in (item.owner, item.assignee) or leads(user, item.organization):
        return True
    return isinstance(item, Task) and item.project is not None and owns(user, item.project)


def sees(user: User, item: Project | Task | Job) -> bool:
    """May read it. Who has a job of a task, and nothing else of it, may read that job, and not the task."""
    return (item.assignee is user or owns(user, item.task)) if isinstance(item, Job) else owns(user, item)
