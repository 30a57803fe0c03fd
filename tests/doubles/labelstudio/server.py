"""A double of Label Studio 1.23, on loopback, with what it does wrong: files of one field name overwrite each other, results are
not looked at, the same list makes its tasks twice, ``include`` takes the results out of annotations, errors have an ``id``, and a
busy server loses annotations.

    with running() as double:
        requests.get(f"{double.url}/api/version")
"""

from __future__ import annotations

import base64
import email.parser
import email.policy
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from .state import Refused, State

TOKEN = "5f2c" * 10  # of the user 1; that of the user 2 is OTHER
OTHER = "7d1e" * 10
MOST_FILES = 100


@dataclass
class Double:
    """The server: what it stores, the tokens that it knows, and what the tests make it do.

    Attributes:
        calls: each request, as ``"GET /api/version"``, with the body of those that have one.
        access_tokens: of access tokens, until when they are valid.
        revoked: personal access tokens that are not taken any more.
        lose: called with method and path; where it is true, the answer is lost after the call was carried out.
        shorten: called with the files of a request; returns what is stored of them.
    """

    url: str = ""
    state: State = field(default_factory=State)
    calls: list[tuple[str, bytes]] = field(default_factory=list)
    tokens: dict[str, int] = field(default_factory=lambda: {TOKEN: 1, OTHER: 2})
    access_tokens: dict[str, float] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    lifetime: float = 300.0
    lose: Callable[[str, str], bool] = lambda method, path: False
    shorten: Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]] = lambda files: files
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def personal_token(self) -> str:
        """A personal access token."""
        return _jwt("refresh", time.time() + 6e9)

    def paths(self, method: str) -> list[str]:
        """The paths of all calls with a method."""
        return [call.partition(" ")[2] for call, _ in self.calls if call.startswith(f"{method} ")]


@dataclass
class Request:
    """A call, its user, and the parts of its path that are ids."""

    double: Double
    method: str
    path: str
    query: dict[str, str]
    headers: Any
    body: bytes
    user: int = 0
    ids: list[int] = field(default_factory=list)

    @property
    def json(self) -> Any:
        return json.loads(self.body or b"null")


Handler = Callable[[Request], Any]
_NONE = 404, {"detail": "Not found."}
_ROUTES: list[tuple[str, re.Pattern[str], Handler]] = []


def _on(method: str, path: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        _ROUTES.append((method, re.compile(path.replace("*", r"(\d+)").replace("@", ".+") + "/?"), handler))
        return handler

    return register


@_on("GET", "/api/version")
def _version(_: Request) -> Any:
    return {"release": "1.23.2"}


@_on("POST", "/api/token/refresh")
def _refresh(request: Request) -> Any:
    given = request.json.get("refresh", "")
    if given.count(".") != 2 or given in request.double.revoked:
        raise Refused(401, "Token is blacklisted" if given.count(".") == 2 else "Token is invalid")
    access = _jwt("access", time.time() + request.double.lifetime)
    request.double.access_tokens[access] = time.time() + request.double.lifetime
    return {"access": access}


@_on("GET", "/api/current-user/whoami")
def _whoami(request: Request) -> Any:
    return {"id": request.user, "email": request.double.state.users[request.user]}


@_on("GET", "/api/users")
def _users(request: Request) -> Any:
    return [{"id": number, "email": address} for number, address in request.double.state.users.items()]


@_on("GET", "/api/projects")
def _projects(request: Request) -> Any:
    state = request.double.state
    shown = [state.shown_project(number) for number in sorted(state.projects, reverse=True)]
    page, _ = _page(request, shown, "Invalid page.")
    return {"count": len(shown), "next": None, "previous": None, "results": page}


@_on("POST", "/api/projects")
def _make_project(request: Request) -> Any:
    return 201, request.double.state.make_project(request.json)


@_on("GET", "/api/projects/*")
def _project(request: Request) -> Any:
    return request.double.state.shown_project(request.ids[0])


@_on("PATCH", "/api/projects/*")
def _change_project(request: Request) -> Any:
    request.double.state.projects[request.ids[0]] |= request.json
    return request.double.state.shown_project(request.ids[0])


@_on("DELETE", "/api/projects/*")
def _delete_project(request: Request) -> Any:
    state, number = request.double.state, request.ids[0]
    state.shown_project(number)
    for task in [id_ for id_, task in state.tasks.items() if task["project"] == number]:
        state.delete_task(task)
    del state.projects[number]
    return 204, None


@_on("POST", "/api/projects/*/import")
def _import(request: Request) -> Any:
    state, project = request.double.state, request.ids[0]
    state.shown_project(project)
    if not request.headers.get("content-type", "").startswith("multipart/"):
        return 201, state.import_tasks(project, request.json, request.user)
    parts = _multipart(request)
    if len(parts) > MOST_FILES:
        raise Refused(500, "The number of files exceeded settings.DATA_UPLOAD_MAX_NUMBER_FILES.")
    files = list({name: (file, content) for name, file, content in parts}.values())  # of one name, the last
    ids = [state.store_file(project, file, content) for file, content in request.double.shorten(files)]
    return 201, {"task_count": len(ids), "annotation_count": None, "file_upload_ids": ids, "could_be_tasks_list": False}


@_on("GET", "/api/projects/*/file-uploads")
def _uploads(request: Request) -> Any:
    wanted = json.loads(request.query.get("ids", "[]"))
    found = [(id_, path, content) for id_, (project, path, content) in request.double.state.files.items()
             if project == request.ids[0] and id_ in wanted]  # fmt: skip
    return [{"id": id_, "file": path, "size": len(content)} for id_, path, content in reversed(found)]


@_on("GET", "/api/tasks")
def _tasks(request: Request) -> Any:
    state, project = request.double.state, int(request.query["project"])
    state.shown_project(project)
    labels = request.query.get("fields") == "all"
    wanted = {}
    if "query" in request.query:
        for item in json.loads(request.query["query"])["filters"]["items"]:
            wanted[item["filter"].removeprefix("filter:tasks:data.")] = item["value"]
    found = [number for number, task in sorted(state.tasks.items()) if task["project"] == project
             and all(str(task["data"].get(name)) == value for name, value in wanted.items())]  # fmt: skip
    page, _ = _page(request, found, "Invalid page.")
    shown = [state.shown_task(number, request.user, labels=labels) for number in page]
    if "include" in request.query:
        kept = request.query["include"].split(",")
        for task in shown:
            task["annotations"] = [{"id": one["id"]} for one in task.get("annotations", ())]
        shown = [{name: value for name, value in task.items() if name in kept} for task in shown]
    return {"total": len(found), "total_annotations": 0, "total_predictions": 0, "tasks": shown}


@_on("GET", "/api/tasks/*")
def _task(request: Request) -> Any:
    state = request.double.state
    task = state.shown_task(request.ids[0], request.user)
    people = {number: {"id": number, "email": address} for number, address in state.users.items()}
    return task | {"annotations": [{**one, "completed_by": people[one["completed_by"]]} for one in task["annotations"]]}


@_on("DELETE", "/api/tasks/*")
def _delete_task(request: Request) -> Any:
    request.double.state.shown_task(request.ids[0], request.user)
    request.double.state.delete_task(request.ids[0])
    return 204, None


@_on("POST", "/api/dm/actions")
def _action(request: Request) -> Any:
    state, project = request.double.state, int(request.query["project"])
    state.shown_project(project)
    chosen = [n for n in request.json["selectedItems"]["included"] if state.tasks.get(n, {}).get("project") == project]
    for number in chosen:
        state.delete_task(number)
    return {"processed_items": len(chosen)}


@_on("POST", "/api/tasks/*/annotations")
def _annotate(request: Request) -> Any:
    request.double.state.shown_task(request.ids[0], request.user)
    return 201, request.double.state.annotate(request.ids[0], request.json, request.user)


@_on("POST", "/api/tasks/*/drafts")
def _draft(request: Request) -> Any:
    made = {"task": request.ids[0], "user": request.user, "result": request.json["result"]}
    request.double.state.drafts.append(made)
    return 201, made


@_on("PATCH", "/api/annotations/*")
def _change(request: Request) -> Any:
    return request.double.state.change(request.ids[0], request.json, request.user)


@_on("DELETE", "/api/annotations/*")
def _delete_annotation(request: Request) -> Any:
    one = request.double.state.annotations.pop(request.ids[0], None)
    if one is None:
        raise Refused(404, "No Annotation matches the given query.")
    request.double.state.touch(one["task"])
    return 204, None


@_on("PATCH", "/api/predictions/*")
def _change_prediction(request: Request) -> Any:
    one = request.double.state.predictions[request.ids[0]]
    one["result"] = request.json["result"]
    return one


@_on("GET", "/data/upload/@")
def _file(request: Request) -> Any:
    wanted = unquote(request.path).removeprefix("/data/")
    return (
        next((content for _, path, content in request.double.state.files.values() if path == wanted), None)
        or _missing()
    )


def _missing() -> Any:
    raise Refused(404, "")


def _page(request: Request, rows: list[Any], wrong: str) -> tuple[list[Any], int]:
    """A page of rows; past the last one there is none, but a 404."""
    size, number = int(request.query.get("page_size", 100)), int(request.query.get("page", 1))
    if size < 0:
        return rows, 1
    if number > max(1, -(-len(rows) // size)):
        raise Refused(404, wrong)
    return rows[(number - 1) * size : number * size], number


def _multipart(request: Request) -> list[tuple[str, str, bytes]]:
    """Field name, file name and content of each file."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + request.body)
    found = []
    for part in message.iter_parts():
        heading = part["content-disposition"].encode("utf-8", "surrogateescape").decode()
        name, file = (re.search(rf'\b{what}="([^"]*)"', heading) for what in ("name", "filename"))
        if name and file:
            found.append((name[1], unquote(file[1]), part.get_payload(decode=True)))
    return found


def _jwt(kind: str, expires: float) -> str:
    claims = {"token_type": kind, "exp": int(expires), "iat": int(time.time()), "jti": uuid.uuid4().hex, "user_id": "1"}
    text = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJIUzI1NiJ9.{text}.{uuid.uuid4().hex}"


def _user(request: Request) -> int:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    double = request.double
    if scheme == "Token":
        if token not in double.tokens:
            raise Refused(401, "Invalid token.")
        return double.tokens[token]
    if scheme == "Bearer" and double.access_tokens.get(token, 0) > time.time():
        return 1
    raise Refused(401, "Authentication credentials were not provided.")  # of an expired token too


def _answer(request: Request) -> tuple[int, Any]:
    known = [(m, found, handler) for m, pattern, handler in _ROUTES if (found := pattern.fullmatch(request.path))]
    if not known:
        return 404, b"<!doctype html><html><body>" + b" " * 170_000
    if request.path not in ("/api/version", "/api/token/refresh"):
        request.user = _user(request)
    for method, found, handler in known:
        if method == request.method:
            request.ids = [int(text) for text in found.groups()]
            answer = handler(request)
            return answer if isinstance(answer, tuple) else (200, answer)
    raise Refused(405, f'Method "{request.method}" not allowed.')


class _Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    double: Double

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.double, self.command, parts.path, dict(parse_qsl(parts.query)), self.headers, body)
        with self.double.lock:
            self.double.calls.append((f"{self.command} {self.path}", body))
            try:
                status, answer = _answer(request)
            except Refused as error:
                status = error.status
                answer = {
                    "id": str(uuid.uuid4()),
                    "status_code": status,
                    "version": "1.23.2",
                    "detail": error.detail,
                    "exc_info": None,
                }
                answer |= {"validation_errors": error.validation} if error.validation else {}
            if self.double.lose(self.command, parts.path):
                self.close_connection = True
                self.connection.close()
                return
        content = answer if isinstance(answer, bytes) else b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        kind = "application/octet-stream" if isinstance(answer, bytes) else "application/json"
        self.send_header("Content-Type", "text/html" if content.startswith(b"<!doctype") else kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Set-Cookie", f"sessionid={uuid.uuid4().hex}; Path=/")
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@contextmanager
def running() -> Iterator[Double]:
    """A server of its own."""
    double = Double()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Server,), {"double": double}))
    server.daemon_threads = True
    double.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
