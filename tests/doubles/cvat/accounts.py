"""Log in and out, and personal access tokens."""

from __future__ import annotations

import secrets
import string

from . import auth
from .errors import ApiError, denied, invalid, invalid_field
from .listing import not_found, page
from .messages import Answer, Json, answer, empty
from .router import Call, route
from .state import AccessToken, State, User, stamp
from .users import brief_user

MOST_TOKENS = 50


@route("POST", "/auth/login", public=True)
def log_in(call: Call) -> Answer:
    fields = call.request.json()
    name, email, password = (fields.get(key) for key in ("username", "email", "password"))
    if not password or not (name or email):
        raise invalid('Must include either "username" or "email" and "password".')
    users = call.state.users.values()
    user = next(
        (u for u in users if u.password == password and (u.username == name or (email and u.email == email))), None
    )
    if user is None:
        raise invalid_field("non_field_errors", "Unable to log in with provided credentials.")
    found = answer({"key": call.state.key_of(user)})
    found.headers += auth.open_session(user, call.state)
    return found


@route("POST", "/auth/logout")
def log_out(call: Call) -> Answer:
    """Deletes the user's legacy key, even if the call came with an access token."""
    call.user.key = None
    call.state.sessions.pop(call.request.cookies.get("sessionid", ""), None)
    return answer({"detail": "Successfully logged out."})


@route("GET", "/auth/access_tokens", since=(2, 48))
def list_tokens(call: Call) -> Answer:
    own = [token for token in call.state.access_tokens.values() if token.owner is call.user]
    return page(call, [described(token, call) for token in own])


@route("POST", "/auth/access_tokens", since=(2, 48))
def create_token(call: Call) -> Answer:
    fields = call.request.json()
    check_name(fields)
    if sum(token.owner is call.user for token in call.state.access_tokens.values()) >= MOST_TOKENS:
        raise invalid("You have reached the maximum allowed number of Personal Access Tokens for a user")
    read_only, expiry = bool(fields.get("read_only", True)), fields.get("expiry_date")
    token = add_token(call.state, call.user, fields["name"], read_only=read_only, expiry=expiry)
    return answer({**described(token, call), "value": token.value}, 201)


def add_token(state: State, owner: User, name: str, *, read_only: bool, expiry: str | None) -> AccessToken:
    now = state.now()
    token = AccessToken(state.next_id("access token"), name, token_value(), owner, read_only, expiry, now, now)
    state.access_tokens[token.id] = token
    return token


def token_value() -> str:
    letters = string.ascii_letters + string.digits
    return ".".join("".join(secrets.choice(letters) for _ in range(length)) for length in (8, 32))


def check_name(fields: dict[str, Json]) -> None:
    if not fields.get("name"):
        raise invalid_field("name", "This field is required.")
    if len(fields["name"]) > 50:
        raise invalid_field("name", "Ensure this field has no more than 50 characters.")


@route("GET", "/auth/access_tokens/self", since=(2, 48))
def own_token(call: Call) -> Answer:
    if call.token is None:
        raise ApiError(404, {"detail": "Not found."})
    return answer(described(call.token, call))


@route("GET", "/auth/access_tokens/{token}", since=(2, 48))
def get_token(call: Call) -> Answer:
    return answer(described(find_token(call), call))


@route("PATCH", "/auth/access_tokens/{token}", since=(2, 48))
def patch_token(call: Call) -> Answer:
    token, fields = find_token(call), call.request.json()
    if "name" in fields:
        check_name(fields)
        token.name = fields["name"]
    token.read_only = fields.get("read_only", token.read_only)
    token.expiry = fields.get("expiry_date", token.expiry)
    token.updated = call.state.now()
    return answer(described(token, call))


@route("DELETE", "/auth/access_tokens/{token}", since=(2, 48))
def delete_token(call: Call) -> Answer:
    del call.state.access_tokens[find_token(call).id]
    return empty(204)


def find_token(call: Call) -> AccessToken:
    token = call.state.access_tokens.get(call.ids["token"])
    if token is None:
        raise not_found(call, "AccessToken")
    if token.owner is not call.user:
        raise denied()
    return token


def described(token: AccessToken, call: Call) -> Json:
    return {
        "id": token.id,
        "name": token.name,
        "created_date": stamp(token.created),
        "updated_date": stamp(token.updated),
        "expiry_date": token.expiry,
        "last_used_date": stamp(token.last_used),
        "read_only": token.read_only,
        "owner": brief_user(token.owner, call.request),
    }
