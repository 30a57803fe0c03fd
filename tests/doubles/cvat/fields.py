"""Checks of the fields that projects, tasks and jobs have in common."""

from __future__ import annotations

from .errors import crash, denied, invalid_field, unknown_field
from .messages import Json
from .router import Call
from .state import Organization, User
from .users import visible_users


def check_known(call: Call, fields: dict[str, Json], writable: tuple[str, ...]) -> None:
    """Since 2.21 a PATCH with any other field is refused as a whole; before, other fields are ignored."""
    if call.since(2, 21) and not set(fields) <= set(writable):
        raise unknown_field()


def check_name(fields: dict[str, Json], *, creating: bool, longest: int = 256) -> None:
    if "name" not in fields:
        if creating:
            raise invalid_field("name", "This field is required.")
        return
    check_text(fields, "name", longest, blank=False)


def check_text(fields: dict[str, Json], name: str, longest: int, *, blank: bool = True) -> None:
    value = fields.get(name, "")
    if name in fields and not isinstance(value, str | int | float):
        raise invalid_field(name, "Not a valid string." if value is not None else "This field may not be null.")
    if name in fields and not blank and not str(value).strip():
        raise invalid_field(name, "This field may not be blank.")
    if len(str(value)) > longest:
        raise invalid_field(name, f"Ensure this field has no more than {longest} characters.")


def whole_number(fields: dict[str, Json], name: str, default: int) -> int:
    value = fields.get(name, default)
    if isinstance(value, bool) or not str(value).lstrip("-").isdecimal():
        raise invalid_field(name, "A valid integer is required.")
    if int(value) < 0:
        raise invalid_field(name, "Ensure this value is greater than or equal to 0.")
    return int(value)


def user_given(call: Call, value: Json) -> User | None:
    """The user with an id. Any other value crashes the server."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value not in call.state.users:
        raise crash()
    user = call.state.users[value]
    if not call.user.is_superuser and user not in visible_users(call):
        raise denied()
    return user


def organization_given(call: Call, value: Json) -> Organization | None:
    if value is None:
        return None
    organization = call.state.organizations.get(value)
    if organization is None or not (call.user.is_superuser or call.user.id in organization.roles):
        raise denied()
    return organization
