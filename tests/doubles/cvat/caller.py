"""A plain client for the double's own tests: no session, no cookies, every status is checked."""

from __future__ import annotations

import io
import time
from typing import Any

import requests
from PIL import Image

from . import CvatServer

Json = Any
OLD, NEW = "2.15.0", "2.73.0"

# Of the labels, a is plain, car has the attributes, and pose is a skeleton.
_ATTRIBUTES = [
    {"name": "make", "mutable": False, "input_type": "text", "default_value": "none", "values": []},
    {"name": "parked", "mutable": True, "input_type": "checkbox", "default_value": "false", "values": []},
]
_POSE = {"name": "pose", "type": "skeleton", "sublabels": [{"name": "nose", "type": "points"}]}
LABELS = [{"name": "a"}, {"name": "car", "attributes": _ATTRIBUTES}, _POSE]


def image(size: tuple[int, int] = (64, 48), kind: str = "JPEG", **options: Json) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size).save(buffer, kind, **options)
    return buffer.getvalue()


def files(*names: str) -> dict[str, bytes]:
    return {name: image() for name in names}


class Caller:
    """Calls as one user: the superuser, unless the headers of another are given."""

    def __init__(self, server: CvatServer, authorization: str | None = None) -> None:
        self.server = server
        self.headers = {"Authorization": f"Token {server.token}" if authorization is None else authorization}

    @property
    def is_new(self) -> bool:
        return self.server.state.version.since(2, 16)

    def call(self, method: str, path: str, body: Json = None, **what: Json) -> requests.Response:
        given = {**self.headers, **what.pop("headers", {})}
        extra = {"json": body} if body is not None else {}
        return requests.request(method, f"{self.server.url}/api{path}", headers=given, timeout=30, **extra, **what)

    def status(self, method: str, path: str, body: Json = None, **what: Json) -> int:
        return self.call(method, path, body, **what).status_code

    def json(self, method: str, path: str, body: Json = None, **what: Json) -> Json:
        found = self.call(method, path, body, **what)
        assert found.ok, (found.status_code, found.text)
        return found.json()

    def rows(self, path: str) -> list[Json]:
        joint = "&" if "?" in path else "?"
        rows: list[Json] = self.json("GET", f"{path}{joint}page_size=all")["results"]
        return rows

    # Tasks with media

    def task(self, **fields: Json) -> int:
        labels = [] if "project_id" in fields else [{"name": "a"}]
        body = {"name": "t", **({"labels": labels} if labels else {}), **fields}
        number: int = self.json("POST", "/tasks", body)["id"]
        return number

    def full_task(self, count: int = 4, *, options: Json = None, **fields: Json) -> int:
        """A task with images of its own, when they are there."""
        number = self.task(**fields)
        self.upload(number, {f"{at}.jpg": image() for at in range(count)}, **(options or {}))
        assert self.wait(number)["state"] == "Finished"
        return number

    def upload(self, task: int, files: dict[str, bytes], **options: Json) -> requests.Response:
        """In one request, as a form."""
        parts = [(f"client_files[{at}]", (name, body)) for at, (name, body) in enumerate(files.items())]
        fields = {"image_quality": "70", **options}
        return self.call("POST", f"/tasks/{task}/data", data=fields, files=parts)

    def session(self, task: int, files: dict[str, bytes], **options: Json) -> requests.Response:
        """In a session of requests, ended with JSON."""
        path = f"/tasks/{task}/data"
        assert self.status("POST", path, headers={"Upload-Start": "true"}) == 202
        parts = [(f"client_files[{at}]", (name, body)) for at, (name, body) in enumerate(files.items())]
        if parts:
            more = {"data": {"image_quality": "70"}, "files": parts, "headers": {"Upload-Multiple": "true"}}
            assert self.status("POST", path, **more) == 200
        return self.call("POST", path, {"image_quality": 70, **options}, headers={"Upload-Finish": "true"})

    def wait(self, task: int) -> Json:
        for _ in range(500):
            state = self.json("GET", f"/tasks/{task}/status")
            if state["state"] not in ("Queued", "Started"):
                return state
            time.sleep(0.01)
        raise TimeoutError(task)

    def names(self, task: int) -> list[str]:
        return [frame["name"] for frame in self.json("GET", f"/tasks/{task}/data/meta")["frames"]]

    def jobs(self, task: int) -> list[Json]:
        return self.rows(f"/jobs?task_id={task}&sort=id")

    def bounds(self, task: int) -> list[tuple[int, int]]:
        return [(job["start_frame"], job["stop_frame"]) for job in self.jobs(task)]

    def label(self, task: int, name: str = "a") -> Json:
        return next(label for label in self.rows(f"/labels?task_id={task}") if label["name"] == name)

    # Annotations

    def box(self, task: int, frame: int = 0, **fields: Json) -> Json:
        """A rectangle with the required fields only."""
        label = fields.pop("label_id", None) or self.label(task)["id"]
        return {"type": "rectangle", "frame": frame, "label_id": label, "points": [1, 2, 30, 40], **fields}

    def write(self, where: str, action: str, **objects: list[Json]) -> requests.Response:
        """`where` is like tasks/5; the action is `put`, `create`, `update` or `delete`."""
        path = f"/{where}/annotations"
        return (
            self.call("PUT", path, objects)
            if action == "put"
            else self.call("PATCH", f"{path}?action={action}", objects)
        )

    def written(self, where: str, action: str, **objects: list[Json]) -> Json:
        found = self.write(where, action, **objects)
        assert found.status_code == 200, (found.status_code, found.text)
        return found.json()

    def read(self, where: str) -> Json:
        return self.json("GET", f"/{where}/annotations")


def values_of(caller: Caller, task: int, shape: Json) -> dict[str, str]:
    names = {spec["id"]: spec["name"] for spec in caller.label(task, "car")["attributes"]}
    return {names[value["spec_id"]]: value["value"] for value in shape["attributes"]}


def specs(caller: Caller, task: int) -> dict[str, int]:
    return {spec["name"]: spec["id"] for spec in caller.label(task, "car")["attributes"]}


def shapes(caller: Caller, where: str) -> list[Json]:
    found: list[Json] = caller.read(where)["shapes"]
    return found


def outcome(caller: Caller, task: int) -> Json:
    """The state of a task's creation, and the last line of its message."""
    found = caller.wait(task)
    return found["state"], found["message"].strip().split("\n")[-1]
