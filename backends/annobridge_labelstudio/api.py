"""The calls of Label Studio that the backend makes. Answers are checked, and lists are read to their last page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from pydantic import SecretStr

from annobridge.backend.http import Http
from annobridge.backend.paging import PageNumbers
from annobridge.backend.renewal import Login, claims
from annobridge.backend.uploads import MediaFile, batches, limited
from annobridge.exceptions import Broken, Denied, Gone, MissingCredential, Rejected

from .config import LabelStudioConfig

Json = dict[str, Any]
TASK, SAMPLE, FILE = "annobridge_task", "annobridge_sample", "annobridge_file"  # keys of the data of a task
_FILES, _BYTES, _TASKS, _TASK_BYTES = 100, 200 << 20, 500, 32 << 20  # of one request; more than 100 files are refused
_PAGE = 200  # tasks
_STORED = re.compile(
    r"upload/\d+/[0-9a-f]{8}-(\d+)-"
)  # the name of an upload: eight digits, then the name that was sent
_PROJECT = {"id": int, "title": str, "description": str | None, "label_config": str}
_TASK = {
    "id": int, "data": dict, "updated_at": str, "total_annotations": int, "cancelled_annotations": int, "updated_by": list,
}  # fmt: skip
_PERSON = ({"id": int}, int, None)
_ANNOTATION = {
    "id": int, "result": list, "was_cancelled": bool, "ground_truth": bool, "created_at": str, "updated_at": str,
    "completed_by": _PERSON, "updated_by": _PERSON,
}  # fmt: skip
_LABELLED = {**_TASK, "annotations": [_ANNOTATION], "predictions": [{"id": int, "result": list}], "drafts": list}
_CURE = "make a token on Label Studio's page «Account & Settings», and run `annobridge login labelstudio`"


def connect(config: LabelStudioConfig) -> Http:
    """A client that logs in with the token of the configuration, of whichever kind it is."""
    if config.token is None:
        raise MissingCredential(f"labelstudio: there is no token; {_CURE}.")
    http = Http(
        config.url, backend="labelstudio", verify=config.verify, timeout=config.timeout, deadline=config.deadline,
        limit=config.largest_answer << 20, limit_option="largest_answer", allow_insecure=config.allow_insecure,
    )  # fmt: skip
    token = SecretStr(config.token.get_secret_value().strip())
    match claims(token).get("token_type"):
        case "refresh":
            http.log_in(lambda: _renewed(http, token))
        case "access":
            http.authorize({"Authorization": SecretStr(f"Bearer {token.get_secret_value()}")})
        case _:
            http.authorize({"Authorization": SecretStr(f"Token {token.get_secret_value()}")})
    return http


def _renewed(http: Http, token: SecretStr) -> Login:
    """An access token in exchange for a personal access token; it is valid for minutes only."""
    try:
        body, shape = {"refresh": token}, {"access": str}
        answer = http.send("POST", "/api/token/refresh", json=body, repeatable=True, expect=shape)
    except Denied as error:
        raise Denied(f"{error} The personal access token was revoked, or has expired; {_CURE}.", error.status) from None
    access = SecretStr(answer["access"])
    says = claims(access)
    lifetime = says["exp"] - says["iat"] if {"exp", "iat"} <= says.keys() else None
    return Login({"Authorization": SecretStr(f"Bearer {access.get_secret_value()}")}, lifetime)


class Api:
    """A server of Label Studio."""

    def __init__(self, http: Http) -> None:
        self.http = http

    def check_login(self) -> None:
        """Ask who we are. Raises ``Denied`` with the cure."""
        try:
            self.http.get("/api/current-user/whoami", expect={"id": int})
        except Denied as error:
            raise Denied(f"{error} To log in, {_CURE}.", error.status) from None

    def users(self) -> dict[int, str]:
        """The e-mail address of each user."""
        return {user["id"]: user["email"] for user in self.http.get("/api/users", expect=[{"id": int, "email": str}])}

    # --- projects ---------------------------------------------------------------------------------------------------

    def projects(self) -> list[Json]:
        """Id, title and description of all projects. Others make and delete some meanwhile: then all are read again."""
        shape = {"id": int, "title": str, "description": str | None}
        given = {"include": "id,title,description"}
        pages = partial(self.http.pages, "/api/projects", given, items="results", by=PageNumbers(), expect=shape)
        with suppress(Broken):
            return list(pages())
        return list(pages())

    def project(self, number: int) -> Json:
        """A project. Raises ``Gone``."""
        return dict(self.http.get(f"/api/projects/{number}", expect=_PROJECT))

    def create_project(self, title: str, description: str, config: str) -> Json:
        """Make a project."""
        given = {"title": title, "description": description, "label_config": config}
        return dict(self.http.send("POST", "/api/projects", json=given, expect=_PROJECT))

    # --- media ------------------------------------------------------------------------------------------------------

    def upload(self, project: int, files: Iterable[MediaFile]) -> dict[int, str]:
        """Upload files whose names begin with a number and ``-``; returns the path of each on the server, by this number.

        Raises ``Broken`` if the server has not stored all of a request, with all of their bytes.
        """
        paths: dict[int, str] = {}
        for batch in batches(files, count=_FILES, size=_BYTES):
            path = f"/api/projects/{project}"
            target, shape = f"{path}/import?commit_to_project=false", {"file_upload_ids": [int]}
            answer = self.http.upload(target, batch, field="file{}", expect=shape)
            given = {"ids": json.dumps(answer["file_upload_ids"])}
            listed = self.http.get(f"{path}/file-uploads", given, expect=[{"file": str, "size": int}])
            stored = {int(m[1]): f for f in listed if (m := _STORED.match(f["file"]))}
            sizes = {int(file.name.partition("-")[0]): file.size for file in batch}
            wrong = [n for n, size in sizes.items() if n not in stored or stored[n]["size"] != size]
            if wrong:
                raise Broken(
                    f"labelstudio: of {len(batch)} files that were sent at once, {len(wrong)} were not stored as they were sent; "
                    "look at the server's log and the space on its disk, then resume the run."
                )
            paths |= {n: f"/data/{stored[n]['file']}" for n in sizes}
        return paths

    # --- tasks ------------------------------------------------------------------------------------------------------

    def import_tasks(self, project: int, tasks: Iterable[Json]) -> None:
        """Make tasks. Each request is taken as a whole, or not at all."""
        texts = (json.dumps(task, ensure_ascii=False, allow_nan=False).encode() for task in tasks)
        for batch in limited(texts, len, count=_TASKS, size=_TASK_BYTES):
            body, head = b"[" + b",".join(batch) + b"]", {"Content-Type": "application/json"}
            path, shape = f"/api/projects/{project}/import", {"task_count": int}
            answer = self.http.send("POST", path, data=body, headers=head, expect=shape)
            if answer["task_count"] != len(batch):
                made = answer["task_count"]
                raise Broken(f"labelstudio: {made} of {len(batch)} tasks were made; abort the run, and send it again.")

    def tasks(self, project: int, name: str | None, *, labels: bool = False) -> Iterator[Json]:
        """The tasks of a project that were sent under a name, or all; with annotations, predictions and drafts, if asked."""
        given: Json = {"project": project, "resolve_uri": "false"} | (
            {"fields": "all"} if labels else {"include": _BRIEF}
        )
        if name is not None:
            wanted = {"filter": f"filter:tasks:data.{TASK}", "operator": "equal", "type": "String", "value": name}
            given["query"] = json.dumps({"filters": {"conjunction": "and", "items": [wanted]}})
        by, shape = PageNumbers(total="total"), _LABELLED if labels else _TASK
        return self.http.pages("/api/tasks", given, items="tasks", size=_PAGE, by=by, expect=shape)

    def delete_tasks(self, project: int, ids: Sequence[int]) -> None:
        """Delete tasks with their annotations; it is no error if they, or the project, are gone."""
        if ids:
            path, chosen = f"/api/dm/actions?id=delete_tasks&project={project}", {"all": False, "included": list(ids)}
            with suppress(Gone):
                self.http.send("POST", path, json={"selectedItems": chosen}, repeatable=True)

    # --- annotations ------------------------------------------------------------------------------------------------

    def task(self, number: int) -> Json:
        """A task with annotations, predictions and drafts. Raises ``Gone``."""
        return dict(self.http.get(f"/api/tasks/{number}", expect=_LABELLED))

    def set_results(self, what: str, number: int, results: list[Json]) -> None:
        """Replace the results of one of the ``"annotations"`` or ``"predictions"``."""
        self.http.send("PATCH", f"/api/{what}/{number}/", json={"result": results}, repeatable=True)

    def add_annotation(self, project: int, task: int, results: list[Json]) -> None:
        """Add an annotation to a task."""
        self.http.send("POST", f"/api/tasks/{task}/annotations/?project={project}", json={"result": results})


_BRIEF = "id,data,updated_at,total_annotations,total_predictions,cancelled_annotations,updated_by"


def named(api: Api, wanted: str) -> Json:
    """The project with an id or a title. Raises ``Rejected`` if there is none, or several have the title."""
    projects = api.projects()
    found = [p for p in projects if str(p["id"]) == wanted] or [p for p in projects if p["title"] == wanted]
    if len(found) != 1:
        why = f"{len(found)} are called so; give the id of one" if found else "there is none, or not for this token"
        raise Rejected(f"labelstudio: the project {wanted!r} cannot be used: {why}.")
    return api.project(found[0]["id"])
