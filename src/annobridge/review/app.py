"""The HTTP API of a review, and its page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from ..core.review.decisions import UNDECIDED
from ..exceptions import AnnobridgeError
from .guard import LARGEST_BODY, TooLarge
from .images import WIDEST
from .page_files import PAGE, page_files
from .session import Refused, Session

_DECODERS = 3  # pictures that are made at the same time
_MOST_AT_ONCE = 100_000  # decisions of a request
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


def make_app(session: Session) -> Starlette:
    """The application. ``Guard`` has to stand before it."""
    handlers = _Handlers(session)
    routes = [
        Route("/", handlers.page),
        Route("/static/{name}", handlers.static),
        Route("/api/plan", handlers.plan),
        Route("/api/samples/{number}", handlers.sample),
        Route("/api/samples/{number}/image", handlers.image),
        Route("/api/decisions", handlers.decisions, methods=["GET"]),
        Route("/api/decisions", handlers.decide, methods=["POST"]),
        Route("/api/load", handlers.load_state, methods=["GET"]),
        Route("/api/load", handlers.load, methods=["POST"]),
        Route("/api/send_back", handlers.send_back, methods=["POST"]),
    ]
    handled: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
        Refused: _refused,
        AnnobridgeError: _failed,
        TooLarge: _too_large,
        ClientDisconnect: _gone,
        HTTPException: _http,
        Exception: _unexpected,
    }
    return Starlette(routes=routes, exception_handlers=handled)


class _Handlers:
    """One method for each route. What takes longer than a look-up runs in a thread."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._files = page_files()
        self._decoders = CapacityLimiter(_DECODERS)

    async def page(self, _: Request) -> Response:
        return HTMLResponse(self._files.get(PAGE, b""))

    async def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        media_type = _TYPES.get(f".{name.rpartition('.')[2]}")
        if name not in self._files or media_type is None:
            raise Refused("There is no such file.", 404)
        return Response(self._files[name], media_type=media_type, headers={"cache-control": "private, no-cache"})

    async def plan(self, _: Request) -> Response:
        return _json(await to_thread.run_sync(self._session.plan_json))

    async def sample(self, request: Request) -> Response:
        return _json(await to_thread.run_sync(self._session.labels, _sample(request)))

    async def image(self, request: Request) -> Response:
        number, frame, width = _sample(request), _number(request, "frame", None), _number(request, "width", WIDEST)
        if width is None or not 1 <= width <= WIDEST:
            raise Refused(f"'width' should be from 1 to {WIDEST}.")
        if frame == 0:
            raise Refused("'frame' should be from 1.")
        picture = await to_thread.run_sync(self._session.picture, number, frame, width, limiter=self._decoders)
        headers = {"etag": picture.etag, "cache-control": "private, no-cache"}
        if picture.frames is not None:
            headers["x-annobridge-frames"] = str(picture.frames)
        if picture.reason is not None:
            headers |= {"x-annobridge-placeholder": _header(picture.reason), "cache-control": "no-store"}
        if picture.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(picture.data, media_type=picture.media_type, headers=headers)

    async def decisions(self, request: Request) -> Response:
        after = _number(request, "after", 0) or 0
        seq, records = await to_thread.run_sync(self._session.records, after)
        return _json(msgspec.json.encode({"seq": seq, "decisions": records, "plan_id": self._session.plan_id}))

    async def decide(self, request: Request) -> Response:
        body = await _body(request)
        given = body.get("decisions")
        if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
            raise Refused("'decisions' should be a list of objects.")
        if len(given) > _MOST_AT_ONCE:
            raise Refused(f"A request may have {_MOST_AT_ONCE:,} decisions; send several.", 413)
        seq, records = await to_thread.run_sync(self._session.decide, body.get("by"), given)
        return _json(msgspec.json.encode({"seq": seq, "decisions": records}))

    async def load_state(self, _: Request) -> Response:
        return _json(msgspec.json.encode(self._session.job.state()))

    async def load(self, request: Request) -> Response:
        body = await _body(request)
        undecided, force = body.get("undecided"), body.get("force", False)
        if undecided not in UNDECIDED or not isinstance(force, bool):
            raise Refused(f"'undecided' is one of {', '.join(UNDECIDED)}, and 'force' true or false.")
        await to_thread.run_sync(self._session.load, undecided, force)
        return JSONResponse(self._session.job.state(), 202)

    async def send_back(self, request: Request) -> Response:
        body = await _body(request)
        ids, note = body.get("change_ids"), body.get("note", "")
        if not isinstance(ids, list) or not all(isinstance(i, str) for i in ids) or not isinstance(note, str):
            raise Refused("'change_ids' should be a list of texts, and 'note' a text.")
        sent, text = await to_thread.run_sync(self._session.send_back, list(dict.fromkeys(ids)), note)
        return JSONResponse({"sent": sent, "text": text})


async def _body(request: Request) -> Mapping[str, Any]:
    """The body of a request, a JSON object."""
    try:
        found = msgspec.json.decode(await request.body())
    except (msgspec.DecodeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refused("The body of the request is no JSON object.")
    return found


def _number(request: Request, name: str, default: int | None) -> int | None:
    """A whole number from the query."""
    text = request.query_params.get(name)
    if text is None or (text == "" and default is None):
        return default
    if not _is_number(text):
        raise Refused(f"{name!r} should be a whole number.")
    return int(text)


def _sample(request: Request) -> int:
    """The number of the sample that the address names."""
    text: str = request.path_params["number"]
    if not _is_number(text):
        raise HTTPException(404)
    return int(text)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10


def _json(data: bytes) -> Response:
    return Response(data, media_type="application/json")


def _header(text: str) -> str:
    """A text as the value of a header: one line of ASCII."""
    return " ".join(text.split()).encode("ascii", "replace").decode()


def _error(message: str, status: int) -> Response:
    return JSONResponse({"error": message}, status)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101
    return _error(str(error), error.status)


async def _failed(_: Request, error: Exception) -> Response:
    return _error(str(error), 500)


async def _too_large(_: Request, __: Exception) -> Response:
    return _error(f"The body of the request is larger than {LARGEST_BODY >> 20} MB.", 413)


async def _gone(_: Request, __: Exception) -> Response:
    """Nobody gets this answer: the page was closed while it was sending."""
    return Response(status_code=400)


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    reasons = {404: "There is no such page.", 405: "That is not possible with this address."}
    return _error(reasons.get(error.status_code, error.detail), error.status_code)


async def _unexpected(_: Request, error: Exception) -> Response:
    return _error(f"The server failed unexpectedly: {type(error).__name__}. The terminal has the details.", 500)
