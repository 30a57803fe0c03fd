"""The server, on loopback, with the handlers of both dialects.

with running(edition="open-core") as double:
    requests.get(f"{double.url}/api/project")
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from . import config, exporting, importing, places, tasks, values
from .errors import ApiError, forbidden, generic
from .state import State
from .wire import Call, Moved, Nowhere, Raw, Request

Json = dict[str, Any]
TOKEN = "datagym-token-6a1f"
_USERS = {"open-core": "open-core-dummy-user-sub", "hosted": "token_user"}


Handler = Callable[[Call], Any]
_ROUTES: list[tuple[str, re.Pattern[str], Handler, bool]] = []


def _on(method: str, v1: str | None, internal: str | None) -> Callable[[Handler], Handler]:
    """Register a handler for a path of either dialect; ``*`` is an id."""

    def register(handler: Handler) -> Handler:
        for path, is_internal in ((v1, False), (internal, True)):
            if path is not None:
                full = ("/api/" if is_internal else "/api/v1/") + path
                _ROUTES.append((method, re.compile(full.replace("*", "([^/]+)")), handler, is_internal))
        return handler

    return register


def dispatch(request: Request, state: State) -> Any:
    """Check the credentials, then call the handler."""
    path = re.sub(r"^//", "/", request.path)  # the Python client doubles it for configurations
    v1 = path.startswith("/api/v1/")
    _check_access(request, state, path, v1)
    known = [(m, found, h) for m, pattern, h, internal in _ROUTES
             if internal != v1 and (found := pattern.fullmatch(path))]  # fmt: skip
    if not known or (not state.has_task_api and v1 and re.match(r"/api/v1/(task|lcValue)/", path)):
        raise Nowhere(request.path)
    method = "GET" if request.method == "HEAD" else request.method
    for name, found, handler in known:
        if name == method:
            return handler(Call(request, state, list(found.groups()), not v1))
    raise ApiError(405, None)


def _check_access(request: Request, state: State, path: str, v1: bool) -> None:
    if state.edition == "open-core":  # nobody reads tokens there, and v1 wants one
        if v1 and not re.fullmatch(r"/api/v1/(project/[^/]+/prediction|export/bitmap/.*)", path):
            raise forbidden()
        return
    if state.edition == "closed":  # answers 403 to everything
        raise forbidden()
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    given = token if scheme == "Token" else request.query.get("token")
    if not v1:
        raise Moved(state.login) if state.login else ApiError(401, "ex_unauthorized")
    if given not in state.tokens:
        raise forbidden()


# --- projects and datasets --------------------------------------------------------------------------------------------


@_on("GET", "project", "project")
def _projects(call: Call) -> Any:
    there = [p for p in call.state.projects.values() if not p.deleted]
    return [places.project_shown(call.state, p, internal=call.internal) for p in there]


@_on("GET", None, "project/*")
def _project(call: Call) -> Any:
    return places.project_shown(call.state, call.state.project(call.ids[0]), internal=True)


@_on("POST", None, "project")
def _create_project(call: Call) -> Any:
    made = places.create_project(call.state, call.request.json())
    return places.project_shown(call.state, made, internal=True)


@_on("DELETE", None, "project/*")
def _delete_project(call: Call) -> Any:
    project = call.state.projects.get(call.ids[0]) or call.state.project(
        call.ids[0]
    )  # a deleted one may be deleted again
    project.deleted = True
    return places.project_shown(call.state, project, internal=True)


@_on("GET", "dataset", "dataset")
def _datasets(call: Call) -> Any:
    there = [d for d in call.state.datasets.values() if not d.deleted]
    return [places.dataset_shown(call.state, d, internal=call.internal) for d in there]


@_on("GET", "dataset/*", "dataset/*")
def _dataset(call: Call) -> Any:
    return places.dataset_shown(call.state, call.state.dataset(call.ids[0]), internal=call.internal)


@_on("GET", None, "dataset/*/file")
def _files(call: Call) -> Any:
    return [places.media_shown(m) for m in reversed(call.state.dataset(call.ids[0]).present())]


@_on("POST", "dataset", "dataset")
def _create_dataset(call: Call) -> Any:
    made = places.create_dataset(call.state, call.request.json(), internal=call.internal)
    return places.dataset_shown(call.state, made, internal=call.internal)


@_on("DELETE", None, "dataset/*")
def _delete_dataset(call: Call) -> Any:
    dataset = call.state.datasets.get(call.ids[0]) or call.state.dataset(call.ids[0])
    places.delete_dataset(call.state, dataset)
    return places.dataset_shown(call.state, dataset, internal=True)


@_on("POST", "project/*/dataset/*", "project/*/dataset/*")
def _connect(call: Call) -> Any:
    project, dataset = call.ids
    places.connect(call.state, call.state.project(project), call.state.connected(dataset))


@_on("DELETE", "project/*/dataset/*/remove", "project/*/dataset/*/remove")
def _disconnect(call: Call) -> Any:
    project, dataset = call.ids
    places.disconnect(call.state, call.state.project(project), call.state.connected(dataset))


# --- media ------------------------------------------------------------------------------------------------------------


@_on("POST", "media/*/file", "dataset/*/file")
def _upload(call: Call) -> Any:
    name = call.request.headers.get("x-filename")
    dataset = call.state.dataset(call.ids[0])
    return places.media_shown(places.upload(call.state, dataset, name, call.request.body, internal=call.internal))


@_on("POST", "media/*/url", "dataset/*/url")
def _urls(call: Call) -> Any:
    return places.add_urls(call.state, call.state.dataset(call.ids[0]), call.request.json())


@_on("GET", "media/*", "media/*")
def _download(call: Call) -> Any:
    media = call.state.media(call.ids[0])
    if media.source != "LOCAL":
        raise ApiError(503, "ex_service_unavailable")
    return Raw(media.data, {"Content-Type": "application/octet-stream"})


@_on("DELETE", "media/*", "media/*")
def _delete_media(call: Call) -> Any:
    places.delete_media(call.state, call.ids[0])


# --- label configuration ----------------------------------------------------------------------------------------------


@_on("GET", None, "lconfig/forbiddenKeywords")
def _forbidden(call: Call) -> Any:
    return list(config.FORBIDDEN)


@_on("GET", None, "lconfig/*")
def _config(call: Call) -> Any:
    return config.shown(call.state, call.state.of_config(call.ids[0]))


@_on("GET", None, "lconfig/*/export")
def _config_export(call: Call) -> Any:
    return [config.exported(e) for e in call.state.of_config(call.ids[0]).entries]


@_on("DELETE", "config/*", "lconfig/*")
def _clear(call: Call) -> Any:
    config.clear(call.state, call.state.of_config(call.ids[0]))
    return {"configId": call.ids[0]}


@_on("PUT", "config/*", None)
@_on("POST", None, "lconfig/*/import")
def _set_config(call: Call) -> Any:
    project = call.state.of_config(call.ids[0])
    config.replace_all(project, config.read(call.request.json()))
    return config.shown(call.state, project)


@_on("PUT", None, "lconfig/*")
def _merge_config(call: Call) -> Any:
    project = call.state.of_config(call.ids[0])
    config.merge(call.state, project, call.request.json(), call.request.query.get("changeStatus", "true") == "true")
    return config.shown(call.state, project)


# --- labels -----------------------------------------------------------------------------------------------------------


@_on("POST", "project/*/prediction", "project/*/prediction")
def _import(call: Call) -> Any:
    return importing.run(call.state, call.state.project(call.ids[0]), call.request.body)


@_on("GET", "export/*", "project/*/export")
def _export(call: Call) -> Any:
    project = call.state.project(call.ids[0])
    name = f'attachment; filename="datagym_export_1700000000000_{project.name}.json"'
    return Raw(exporting.export(call.state, project), {"Content-Type": "application/json", "Content-Disposition": name})


@_on("GET", "export/bitmap/*/*", None)
def _bitmap(call: Call) -> Any:
    task = call.state.task(call.ids[0])
    if task.state not in ("COMPLETED", "SKIPPED", "REVIEWED"):
        raise generic("wrong_label_task_state", task.state)
    if all(e.key != call.ids[1] for e in task.project.all_entries()):
        raise ApiError(404, "ex_notfound", "lcEntry", "entry_key", call.ids[1])
    raise ApiError(503, "ex_service_unavailable")  # pictures of segments are none of this double's business


@_on("GET", "task/*/list", "project/*/task")
def _tasks(call: Call) -> Any:
    return tasks.listed(call.state, call.state.project(call.ids[0]), call.request.query, internal=call.internal)


@_on("GET", "task/*", "task/*")
def _task(call: Call) -> Any:
    return tasks.shown(call.state, call.state.task(call.ids[0]))


@_on("PUT", "task/*/completeTask", "task/*/completeTask")
def _complete(call: Call) -> Any:
    return tasks.complete(call.state, call.state.task(call.ids[0]), call.request.json())


@_on("PUT", "task/*/skipTask", "task/*/skipTask")
def _skip(call: Call) -> Any:
    tasks.skip(call.state.task(call.ids[0]))


@_on("PUT", None, "task/*/toWaiting")
def _to_waiting(call: Call) -> Any:
    return tasks.move(call.state.task(call.ids[0]), "WAITING")


@_on("PUT", None, "task/*/toBacklog")
def _to_backlog(call: Call) -> Any:
    return tasks.move(call.state.task(call.ids[0]), "BACKLOG")


@_on("PUT", None, "task/*/skipToWC")
def _wait_again(call: Call) -> Any:
    return tasks.move(call.state.task(call.ids[0]), "WAITING_CHANGED")


@_on("PUT", None, "task/reviewedFailed")
def _review_failed(call: Call) -> Any:
    tasks.review(call.state, call.request.json(), success=False)


@_on("PUT", None, "task/reviewedSuccess")
def _review_passed(call: Call) -> Any:
    tasks.review(call.state, call.request.json(), success=True)


@_on("PUT", None, "task/moveAll")
def _move(call: Call) -> Any:
    tasks.move_all(call.state, call.request.json())


@_on("POST", "lcValue/*", "lcvalues/*")
def _new_value(call: Call) -> Any:
    body = call.request.json()
    made = values.new(call.state, call.ids[0], body)
    return values.shown(call.state.task(body["labelTaskId"]), made)


@_on("PUT", "lcValue/*", "lcvalues/*")
def _update_value(call: Call) -> Any:
    made = values.update(call.state, call.ids[0], call.request.json())
    return values.shown(call.state.value(made.id)[0], made) | {"children": []}


@_on("PUT", "lcValue/*/changeType", "lcvalues/*/changeType")
def _change_type(call: Call) -> Any:
    made = values.change_type(call.state, call.ids[0], call.request.json())
    return values.shown(call.state.value(made.id)[0], made)


@_on("DELETE", "lcValue/*", "lcvalues/*")
def _delete_value(call: Call) -> Any:
    values.delete(call.state, call.ids[0])


# --- on the wire ------------------------------------------------------------------------------------------------------


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one piece: two would wait for each other on the way
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = dict(parse_qsl(parts.query))
        request = Request(self.command, parts.path, query, headers, self.rfile.read(length))
        state = self.server.state
        with state.lock:
            state.calls.append((request.method, request.path))
            if self.server.cut and self.server.cut(request):
                dispatch(request, state)
                self.close_connection = True
                return
            try:
                answer, status = dispatch(request, state), 200
            except ApiError as error:
                answer, status = error.body, error.status
            except Moved as elsewhere:
                answer, status = Raw(b"", {"Location": str(elsewhere)}), 302
        headers = {"Content-Type": "application/json;charset=UTF-8"}
        if isinstance(answer, Raw):
            body, headers = answer.body, answer.headers
        else:
            body = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    state: State
    cut: Callable[[Request], bool] | None = None


@dataclass
class Double:
    """A running server; ``cut`` says for which requests the connection is closed before the answer."""

    url: str
    state: State
    server: _Server

    def cut_after(self, when: Callable[[Request], bool] | None) -> None:
        self.server.cut = when


@contextmanager
def running(edition: str = "hosted") -> Iterator[Double]:
    """Run a server of an edition, which accepts one token, and stop it at the end."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.state = State(edition, places.open_core_owner(edition), {TOKEN}, _USERS.get(edition, "user-7"))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Double(f"http://127.0.0.1:{server.server_address[1]}", server.state, server)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
