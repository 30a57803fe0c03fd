"""Organizations, memberships, invitations."""

from __future__ import annotations

from .contexts import leads
from .errors import denied, invalid, invalid_field
from .listing import not_found, page
from .messages import Answer, Json, answer, empty
from .router import Call, route
from .state import Organization, stamp
from .users import brief_user

ROLES = ("worker", "supervisor", "maintainer", "owner")


@route("GET", "/organizations")
def list_organizations(call: Call) -> Answer:
    seen = [o for o in call.state.organizations.values() if call.user.is_superuser or call.user.id in o.roles]
    return page(call, [described(o, call) for o in seen], filters=("name", "slug"), search=("name", "slug"))


@route("POST", "/organizations")
def create_organization(call: Call) -> Answer:
    fields = call.request.json()
    slug = fields.get("slug")
    if not slug:
        raise invalid_field("slug", "This field is required.")
    if any(o.slug == slug for o in call.state.organizations.values()):
        raise invalid_field("slug", "organization with this slug already exists.")
    made = call.state.add_organization(slug, fields.get("name") or slug, call.user)
    return answer(described(made, call), 201)


@route("GET", "/organizations/{organization}")
def get_organization(call: Call) -> Answer:
    return answer(described(find(call), call))


@route("DELETE", "/organizations/{organization}")
def delete_organization(call: Call) -> Answer:
    found = find(call)
    if found.owner is not call.user and not call.user.is_superuser:
        raise denied()
    del call.state.organizations[found.id]
    return empty(204)


@route("POST", "/invitations")
def invite(call: Call) -> Answer:
    """An existing user becomes a member at once."""
    organization = call.context.organization
    if organization is None or not (call.user.is_superuser or leads(call.user, organization)):
        raise denied()
    fields = call.request.json()
    if fields.get("role") not in ROLES:
        raise invalid_field("role", f'"{fields.get("role")}" is not a valid choice.')
    user = next((u for u in call.state.users.values() if u.email == fields.get("email")), None)
    if user is None:
        raise invalid("The user with this email does not exist")
    call.state.join(organization, user, fields["role"])
    return answer(
        {"role": fields["role"], "user": brief_user(user, call.request), "organization": organization.id}, 201
    )


@route("GET", "/memberships")
def list_memberships(call: Call) -> Answer:
    rows = []
    for organization in call.state.organizations.values():
        if call.context.admits(organization) and (call.user.is_superuser or call.user.id in organization.roles):
            rows += [membership(organization, number, role, call) for number, role in organization.roles.items()]
    return page(call, rows, filters=("role", "user"))


def membership(organization: Organization, user_id: int, role: str, call: Call) -> Json:
    return {
        "id": call.state.memberships[organization.id, user_id],
        "user": brief_user(call.state.users[user_id], call.request),
        "organization": organization.id,
        "is_active": True,
        "joined_date": stamp(organization.created),
        "role": role,
        "invitation": None,
    }


def find(call: Call) -> Organization:
    found = call.state.organizations.get(call.ids["organization"])
    if found is None:
        raise not_found(call, "Organization")
    if call.user.id not in found.roles and not call.user.is_superuser:
        raise denied()
    return found


def described(organization: Organization, call: Call) -> Json:
    return {
        "id": organization.id,
        "slug": organization.slug,
        "name": organization.name,
        "description": "",
        "created_date": stamp(organization.created),
        "updated_date": stamp(organization.created),
        "contact": {},
        "owner": brief_user(organization.owner, call.request),
    }
