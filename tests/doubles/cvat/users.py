"""Server information and users."""

from __future__ import annotations

from .errors import denied
from .listing import not_found, page
from .messages import Answer, Json, Request, answer
from .router import Call, route
from .state import User, stamp

DESCRIPTION = "A test double that answers as a CVAT server does."
FORMATS = (
    "COCO 1.0", "COCO Keypoints 1.0", "CVAT for images 1.1", "CVAT for video 1.1", "Datumaro 1.0", "LabelMe 3.0",
    "Segmentation mask 1.1", "MOT 1.1", "MOTS PNG 1.0", "PASCAL VOC 1.1", "YOLO 1.1", "ImageNet 1.0", "CamVid 1.0",
)  # fmt: skip


@route("GET", "/server/about", public=True)
def about(call: Call) -> Answer:
    told = {"name": "Computer Vision Annotation Tool", "description": DESCRIPTION, "version": call.state.version.text}
    if call.since(2, 30):
        logo = f"{call.request.base_url}/static/logo.svg"
        told |= {"logo_url": logo, "subtitle": "Open Data Annotation Platform"}
    return answer(told)


@route("GET", "/server/annotation/formats")
def formats(call: Call) -> Answer:
    def described(name: str) -> Json:
        return {"name": name, "ext": "ZIP", "version": name.split()[-1], "enabled": True, "dimension": "2d"}

    names = [name for name in FORMATS if not name.startswith("CVAT")]
    return answer(
        {"importers": [described(n) for n in [*names, "CVAT 1.1"]], "exporters": [described(n) for n in FORMATS]}
    )


@route("GET", "/users/self")
def own_user(call: Call) -> Answer:
    return answer(full_user(call.user, call))


@route("GET", "/users/{user}")
def get_user(call: Call) -> Answer:
    user = call.state.users.get(call.ids["user"])
    if user is None:
        raise not_found(call, "User")
    if user not in visible_users(call):
        raise denied()
    return answer(full_user(user, call) if call.user.is_superuser else brief_user(user, call.request))


@route("GET", "/users")
def list_users(call: Call) -> Answer:
    rows = [full_user(u, call) if call.user.is_superuser else brief_user(u, call.request) for u in visible_users(call)]
    names = ("username", "first_name", "last_name")
    return page(call, rows, filters=("id", "is_active", *names), search=names)


def visible_users(call: Call) -> list[User]:
    """An ordinary user sees himself, and the members of the organization he works in."""
    everyone = list(call.state.users.values())
    if call.user.is_superuser and call.context.organization is None:
        return everyone
    members = call.context.organization.roles if call.context.organization else {}
    return [user for user in everyone if user is call.user or user.id in members]


def brief_user(user: User | None, request: Request) -> Json:
    if user is None:
        return None
    url = request.url(f"/users/{user.id}")
    return {"url": url, "id": user.id, "username": user.username, "first_name": "", "last_name": ""}


def full_user(user: User, call: Call) -> Json:
    told = {
        **brief_user(user, call.request),
        "email": user.email,
        "groups": ["admin" if user.is_superuser else "user"],
        "is_staff": user.is_superuser,
        "is_superuser": user.is_superuser,
        "is_active": True,
        "last_login": stamp(user.joined),
        "date_joined": stamp(user.joined),
    }
    return {**told, "has_analytics_access": user.is_superuser} if call.since(2, 16) else told
