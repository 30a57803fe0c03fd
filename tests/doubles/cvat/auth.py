"""Authentication by token, access token, session cookie or password, and the rate limit for anonymous calls."""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass
from datetime import datetime

from .errors import ApiError, denied
from .messages import Request
from .state import AccessToken, State, User

SAFE = ("GET", "HEAD", "OPTIONS")
SESSION_AGE, CSRF_AGE = 1_209_600, 31_449_600


@dataclass(frozen=True)
class Credentials:
    user: User | None = None
    access_token: AccessToken | None = None
    by_key: bool = False


def missing_credentials() -> ApiError:
    return ApiError(401, {"detail": "Authentication credentials were not provided."}, WWW_Authenticate="Token")


def refused(text: str) -> ApiError:
    return ApiError(401, {"detail": text}, WWW_Authenticate="Token")


def authenticate(request: Request, state: State) -> Credentials:
    scheme, _, value = request.header("Authorization").partition(" ")
    if scheme == "Token":
        return Credentials(user_with_key(value, state), by_key=True)
    if scheme == "Bearer" and state.version.since(2, 48):
        token = living_token(value, state)
        return Credentials(token.owner, token)
    session = state.sessions.get(request.cookies.get("sessionid", ""))
    if session:
        check_csrf(request)
        return Credentials(session)
    if scheme == "Basic":
        return Credentials(user_with_password(value, state))
    return Credentials()


def user_with_key(key: str, state: State) -> User:
    user = next((user for user in state.users.values() if user.key and user.key == key), None)
    if user is None:
        raise refused("Invalid token.")
    return user


def living_token(value: str, state: State) -> AccessToken:
    token = next((token for token in state.access_tokens.values() if token.value == value), None)
    if token is None or is_expired(token, state):
        raise refused("Invalid token.")
    token.last_used = state.now()
    return token


def is_expired(token: AccessToken, state: State) -> bool:
    return token.expiry is not None and datetime.fromisoformat(token.expiry) <= state.now()


def user_with_password(coded: str, state: State) -> User:
    try:
        name, _, password = base64.b64decode(coded).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise refused("Invalid basic header. Credentials not correctly base64 encoded.") from None
    user = state.user_named(name)
    if user is None or user.password != password:
        raise refused("Invalid username/password.")
    return user


def check_csrf(request: Request) -> None:
    if request.method in SAFE:
        return
    given = request.header("X-CSRFToken")
    if not given:
        raise ApiError(403, {"detail": "CSRF Failed: CSRF token missing."})
    if given != request.cookies.get("csrftoken"):
        raise ApiError(403, {"detail": "CSRF Failed: CSRF token from the 'X-Csrftoken' HTTP header incorrect."})


def check_token_may(token: AccessToken | None, request: Request, reads: bool) -> None:
    """Refuse what an access token may not do: change the user or the tokens, or anything if it is read-only."""
    if token is None or request.method in SAFE:
        return
    if request.path.startswith(("/auth/access_tokens", "/users")):
        raise denied()
    if token.read_only and not reads and request.path != "/auth/logout":
        raise denied()


def throttle(request: Request, state: State) -> None:
    """Count an anonymous call; refuse it when the window is full."""
    limit, period = state.limits.anonymous_calls, state.limits.anonymous_period
    if limit is None:
        return
    now = state.now().timestamp()
    calls = state.anonymous["127.0.0.1"]
    calls[:] = [moment for moment in calls if moment > now - period]
    if len(calls) >= limit:
        wait = max(1, int(calls[0] + period - now + 0.999))
        text = f"Request was throttled. Expected available in {wait} second{'s' * (wait != 1)}."
        raise ApiError(429, {"detail": text}, Retry_After=str(wait))
    calls.append(now)


def cookies_for(credentials: Credentials, request: Request, state: State) -> list[tuple[str, str]]:
    """Old servers open a session with each call that comes with a key and without a session."""
    known = request.cookies.get("sessionid", "") in state.sessions
    if not credentials.by_key or known or state.version.since(2, 17) or credentials.user is None:
        return []
    return open_session(credentials.user, state)


def open_session(user: User, state: State) -> list[tuple[str, str]]:
    session, csrf = secrets.token_hex(16), secrets.token_urlsafe(24)
    state.sessions[session] = user
    return [
        ("Set-Cookie", f"csrftoken={csrf}; Max-Age={CSRF_AGE}; Path=/; SameSite=Lax"),
        ("Set-Cookie", f"sessionid={session}; HttpOnly; Max-Age={SESSION_AGE}; Path=/; SameSite=Lax"),
    ]
