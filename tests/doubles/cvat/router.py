"""Routes calls to handlers, after checks of the form of the call, the credentials and the method."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from . import auth
from .contexts import Context, context_of
from .errors import ApiError, crash, unknown_path
from .messages import Answer, Request
from .state import AccessToken, State, User

Handler = Callable[["Call"], Answer]
ROUTES: list[Route] = []


@dataclass(frozen=True)
class Route:
    method: str
    pattern: re.Pattern[str]
    handler: Handler
    public: bool = False
    reads: bool = False  # a POST that only reads, open to read-only tokens
    head: bool = False
    since: tuple[int, int] = (0, 0)


@dataclass
class Call:
    """One request with all that its handler needs."""

    request: Request
    state: State
    ids: dict[str, int]
    words: dict[str, str]
    credentials: auth.Credentials
    context: Context = field(default_factory=Context)

    @property
    def user(self) -> User:
        if self.credentials.user is None:
            raise auth.missing_credentials()
        return self.credentials.user

    @property
    def token(self) -> AccessToken | None:
        return self.credentials.access_token

    def since(self, major: int, minor: int) -> bool:
        return self.state.version.since(major, minor)


def route(
    method: str,
    path: str,
    *,
    public: bool = False,
    reads: bool = False,
    head: bool = False,
    since: tuple[int, int] = (0, 0),
) -> Callable[[Handler], Handler]:
    """Register a handler. `{task}` in the path is a number, `<word>` is any one segment, a last `/?` is an optional slash."""
    with_words = re.sub(r"<(\w+)>", r"(?P<w_\1>[^/]+)", path)
    pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[0-9]+)", with_words)

    def register(handler: Handler) -> Handler:
        ROUTES.append(Route(method, re.compile(pattern), handler, public, reads, head, since))
        return handler

    return register


def dispatch(request: Request, state: State) -> Answer:
    """Find the handler, check the call, and let it answer. Checks come in the order of the server's."""
    candidates = [
        (candidate, found)
        for candidate in ROUTES
        if state.version.since(*candidate.since) and (found := candidate.pattern.fullmatch(request.path))
    ]
    if not candidates:
        raise unknown_path()
    check_accept(request)
    chosen = next(((route, found) for route, found in candidates if route.method == request.method), None)
    if request.method == "HEAD" and not (chosen and chosen[0].head):
        if state.version.since(2, 16):
            raise crash()
        chosen = next(((route, found) for route, found in candidates if route.method == "GET"), None)
    credentials = auth.authenticate(request, state)
    public = chosen is not None and chosen[0].public
    if credentials.user is None:
        auth.throttle(request, state)
        if not public:
            raise auth.missing_credentials()
    if chosen is None:
        raise ApiError(405, {"detail": f'Method "{request.method}" not allowed.'})
    groups = chosen[1].groupdict()
    call = Call(
        request,
        state,
        {name: int(text) for name, text in groups.items() if not name.startswith("w_")},
        {name[2:]: text for name, text in groups.items() if name.startswith("w_")},
        credentials,
    )
    if credentials.user is not None:
        auth.check_token_may(call.token, request, chosen[0].reads)
        call.context = context_of(request, state, credentials.user)
    answer = chosen[0].handler(call)
    answer.headers += auth.cookies_for(credentials, request, state)
    return answer


def check_accept(request: Request) -> None:
    for choice in (request.header("Accept") or "*/*").split(","):
        kind, *parameters = [part.strip() for part in choice.split(";")]
        if kind in ("*/*", "application/*", "application/vnd.cvat+json"):
            versions = [text.partition("=")[2] for text in parameters if text.startswith("version=")]
            if kind == "application/vnd.cvat+json" and versions not in ([], ["2.0"]):
                raise ApiError(406, {"detail": 'Invalid version in "Accept" header.'})
            return
    raise ApiError(406, {"detail": "Could not satisfy the request Accept header."})
