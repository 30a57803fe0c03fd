"""A fixed conversation with a CVAT server, and which parts of its answers a double must match.

The golden recordings in `tests/golden/cvat` are reduced from conversations with real CVAT 2.15.0 and 2.73.0 servers. Of each
answer they keep what a client can rely on: status, content type, and the shape of the body – its keys, and for each value
whether it is a number, a text, a flag or nothing. So no host, time or secret is in them, and ids in paths are names. The body
of a refusal is kept word for word.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import requests
from PIL import Image

Json = Any
Value = dict[str, Json]

SVG = '<line x1="20" y1="20" x2="60" y2="60" data-type="edge" data-node-from="1" data-node-to="2"></line>' + "".join(
    f'<circle r="0.75" cx="{at}" cy="{at}" data-type="element node" data-element-id="{node}" data-node-id="{node}" '
    f'data-label-name="{name}"></circle>'
    for node, name, at in ((1, "head", 20), (2, "foot", 60))
)


def attribute(name: str, kind: str, default: str, values: list[str], *, mutable: bool = True) -> Value:
    return {"name": name, "mutable": mutable, "input_type": kind, "default_value": default, "values": values}


LABELS: list[Value] = [
    {
        "name": "car",
        "attributes": [
            attribute("make", "text", "", [""], mutable=False),
            attribute("side", "select", "left", ["left", "right"]),
            attribute("parked", "checkbox", "false", ["false"]),
            attribute("age", "number", "1", ["0", "10", "1"]),
        ],
    },
    {"name": "person", "attributes": []},
    {
        "name": "pose",
        "type": "skeleton",
        "attributes": [],
        "svg": SVG,
        "sublabels": [{"name": name, "type": "points", "attributes": []} for name in ("head", "foot")],
    },
]


@dataclass(frozen=True)
class Heard:
    """One exchange, as far as it is compared."""

    step: str
    method: str
    path: str
    status: int
    type: str
    body: Json


def heard(step: str, method: str, path: str, status: int, content_type: str, body: Json) -> Heard:
    refused = status >= 400 and "json" in content_type
    return Heard(step, method, path, status, content_type, reduced(body, (lambda word: word) if refused else kind_of))


def reduced(value: Json, leaf: Callable[[Json], Json]) -> Json:
    """An answer with its keys; a list becomes the set of its members, as their order has no meaning."""
    if isinstance(value, dict):
        return {key: reduced(member, leaf) for key, member in sorted(value.items())}
    if isinstance(value, list):
        members = {json.dumps(reduced(member, leaf), sort_keys=True) for member in value}
        return [json.loads(member) for member in sorted(members)]
    return leaf(value)


def kind_of(value: Json) -> str:
    """A page is told from a text by how it begins."""
    if value is None or isinstance(value, bool):
        return "nothing" if value is None else "flag"
    if isinstance(value, str):
        return "page" if value.lstrip().startswith("<!doctype") else "text"
    return "number"


def write(path: Path, recording: Iterable[Heard]) -> None:
    path.write_text("".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in recording))


def read(path: Path) -> list[Heard]:
    return [Heard(**json.loads(line)) for line in path.read_text().splitlines()]


def differences(expected: list[Heard], found: list[Heard]) -> Iterator[str]:
    """A line for each step that is missing, superfluous, or has another answer."""
    by_step = {one.step: one for one in found}
    for one in expected:
        other = by_step.pop(one.step, None)
        if other is None:
            yield f"{one.step}: missing"
        elif other != one:
            yield f"{one.step}:\n  expected {one}\n  found    {other}"
    yield from (f"{step}: not expected" for step in by_step)


def hold(url: str, username: str, password: str) -> list[Heard]:
    """Hold the conversation with the server at this address."""
    talk = Talk(url)
    knock(talk)
    enter(talk, username, password)
    set_up(talk)
    send_images(talk)
    annotate(talk)
    correct(talk)
    review(talk)
    look_around(talk)
    fail(talk)
    use_a_project(talk)
    clear_up(talk)
    return talk.recording


class Talk:
    """Calls a server and records the answers. Ids have names, and are written as `{name}` in paths."""

    def __init__(self, url: str) -> None:
        self.api, self.recording = f"{url}/api", list[Heard]()
        self.ids: dict[str, int] = {}
        self.key: dict[str, str] = {}

    def say(self, step: str, method: str, path: str, headers: Value | None = None, **what: Json) -> Json:
        reply = self.send(method, path, headers, **what)
        kind = reply.headers.get("Content-Type", "").partition(";")[0]
        body: Json = reply.json() if "json" in kind else reply.text if kind.startswith("text") else None
        self.recording.append(heard(step, method, path, reply.status_code, kind, body))
        return body

    def send(self, method: str, path: str, headers: Value | None = None, **what: Json) -> requests.Response:
        given = {"Accept": "*/*", **self.key, **(headers or {})}
        return requests.request(method, self.api + path.format(**self.ids), headers=given, timeout=120, **what)


def knock(talk: Talk) -> None:
    talk.say("about", "GET", "/server/about")
    talk.say("formats without credentials", "GET", "/server/annotation/formats")
    talk.say("self without credentials", "GET", "/users/self")


def enter(talk: Talk, username: str, password: str) -> None:
    talk.say("login refused", "POST", "/auth/login", json={"username": username, "password": f"not {password}"})
    key = talk.say("login", "POST", "/auth/login", json={"username": username, "password": password})["key"]
    talk.key = {"Authorization": f"Token {key}"}
    talk.say("unknown key", "GET", "/users/self", {"Authorization": "Token " + "0" * 40})
    talk.say("self", "GET", "/users/self")
    talk.say("only json accepted", "GET", "/users/self", {"Accept": "application/json"})
    talk.say("slash at the end", "GET", "/tasks/")
    talk.say("form", "POST", "/tasks", data={"name": "x"})


def set_up(talk: Talk) -> None:
    talk.say("same label twice", "POST", "/tasks", json={"name": "t", "labels": [{"name": "a"}, {"name": "a"}]})
    body = {"name": "conversation", "labels": LABELS, "segment_size": 2}
    talk.ids["task"] = talk.say("task made", "POST", "/tasks", json=body)["id"]
    talk.say("status of an empty task", "GET", "/tasks/{task}/status")
    talk.say("frames of an empty task", "GET", "/tasks/{task}/data/meta")
    for label in talk.say("labels", "GET", "/labels?task_id={task}&page_size=all")["results"]:
        talk.ids[label["name"]] = label["id"]
        talk.ids |= {part["name"]: part["id"] for part in [*label["attributes"], *label["sublabels"]]}


def send_images(talk: Talk) -> None:
    images = {f"{number}.jpg": jpeg(color) for number, color in enumerate(["red", "green", "blue", "white"])}
    upload(talk, "images sent", "{task}", images.items())
    wait(talk, "{task}")
    talk.say("status of a full task", "GET", "/tasks/{task}/status")
    upload(talk, "more images sent", "{task}", [("z.jpg", jpeg("black"))])
    talk.say("task", "GET", "/tasks/{task}")
    talk.say("frames", "GET", "/tasks/{task}/data/meta")
    jobs = talk.say("jobs", "GET", "/jobs?task_id={task}&sort=id&page_size=all")["results"]
    talk.ids["job"] = jobs[0]["id"]


def jpeg(color: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), color).save(buffer, "JPEG")
    return buffer.getvalue()


def upload(talk: Talk, step: str, task: str, images: Iterable[tuple[str, bytes]]) -> None:
    files = [(f"client_files[{at}]", (name, body, "image/jpeg")) for at, (name, body) in enumerate(images)]
    options = {"image_quality": "70", "sorting_method": "predefined"}
    talk.say(step, "POST", f"/tasks/{task}/data", data=options, files=files)


def wait(talk: Talk, task: str) -> None:
    """Until the media are there, or refused: `Finished` alone says nothing."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        state = talk.send("GET", f"/tasks/{task}/status").json()["state"]
        if state == "Failed" or (state == "Finished" and talk.send("GET", f"/tasks/{task}").json().get("size")):
            return
        time.sleep(0.02)
    raise TimeoutError(f"the media of task {task} are not ready")


def annotate(talk: Talk) -> None:
    whole = {"version": 0, "tags": [tag(talk)], "shapes": shapes(talk), "tracks": [track(talk)]}
    talk.say("annotations put", "PUT", "/tasks/{task}/annotations", json=whole)
    talk.say("annotations", "GET", "/tasks/{task}/annotations")
    talk.say("annotations of a job", "GET", "/jobs/{job}/annotations")
    unknown = {**figure(talk, "rectangle", [1, 1, 2, 2]), "label_id": 10**8}
    talk.say("unknown label put", "PUT", "/tasks/{task}/annotations", json=only(unknown))
    turned = figure(talk, "rectangle", [1, 1, 2, 2], rotation=400)
    talk.say("too much rotation put", "PUT", "/tasks/{task}/annotations", json=only(turned))
    talk.say("annotations after refusals", "GET", "/tasks/{task}/annotations")


def figure(talk: Talk, kind: str, points: list[float], frame: int = 0, label: str = "person", **more: Json) -> Value:
    usual = {"occluded": False, "outside": False, "z_order": 0, "rotation": 0, "group": 0, "source": "manual"}
    own = {"type": kind, "frame": frame, "label_id": talk.ids[label], "points": points, "attributes": []}
    return {**usual, **own, **more}


def only(*shapes: Value) -> Value:
    return {"version": 0, "tags": [], "shapes": list(shapes), "tracks": []}


def values(talk: Talk) -> list[Value]:
    given = {"make": "007", "side": "right", "parked": "true", "age": "3"}
    return [{"spec_id": talk.ids[name], "value": value} for name, value in given.items()]


def tag(talk: Talk) -> Value:
    return {"frame": 0, "label_id": talk.ids["person"], "group": 0, "source": "manual", "attributes": []}


def shapes(talk: Talk) -> list[Value]:
    """One of each kind, on all four frames."""
    cuboid: list[float] = [5, 5, 5, 20, 15, 5, 15, 20, 18, 4, 18, 18, 8, 4, 8, 18]
    head, foot = ({"type": "points", "frame": 0, "label_id": talk.ids[name]} for name in ("head", "foot"))
    shown: Value = {"occluded": False, "outside": False, "attributes": []}
    elements = [{**head, **shown, "points": [10, 10]}, {**foot, **shown, "points": [20, 30]}]
    return [
        figure(talk, "rectangle", [1.25, 2.5, 30.125, 40.0625], label="car", attributes=values(talk)),
        figure(talk, "rectangle", [5, 5, 20, 20], 1, rotation=33.5, group=7, occluded=True, z_order=2),
        figure(talk, "polygon", [1, 1, 20.5, 1, 20.5, 30, 1, 30]),
        figure(talk, "polyline", [1, 1, 20, 20, 40, 1], 2),
        figure(talk, "points", [3, 3, 9.5, 9.5], 2),
        figure(talk, "ellipse", [20, 20, 30, 10], 3),
        figure(talk, "cuboid", cuboid, 3),
        figure(talk, "mask", [0, 2, 2, 2, 10, 10, 12, 11], 1),
        figure(talk, "skeleton", [], label="pose", elements=elements),
    ]


def track(talk: Talk) -> Value:
    """Over both jobs: visible on the first three frames, moving at first."""
    make, *rest = values(talk)
    shown: Value = {"type": "rectangle", "occluded": False, "outside": False, "z_order": 0, "attributes": []}
    keyframes = [
        {**shown, "frame": 0, "points": [1, 1, 9, 9], "attributes": rest},
        {**shown, "frame": 2, "points": [3, 3, 12, 12], "occluded": True},
        {**shown, "frame": 3, "points": [3, 3, 12, 12], "outside": True},
    ]
    common = {"frame": 0, "label_id": talk.ids["car"], "group": 0, "source": "manual"}
    return {**common, "attributes": [make], "shapes": keyframes}


def correct(talk: Talk) -> None:
    path = "/tasks/{task}/annotations"
    beyond = figure(talk, "rectangle", [1, 1, 2, 2], 99)
    talk.say("shape created on no frame", "PATCH", f"{path}?action=create", json=only(beyond))
    new = figure(talk, "rectangle", [1, 1, 2, 2], 1)
    made = talk.say("shape created", "PATCH", f"{path}?action=create", json=only(new))["shapes"][0]
    moved = {**made, "points": [2, 2, 4, 4]}
    talk.say("shape updated", "PATCH", f"{path}?action=update", json=only(moved))
    talk.say("shape deleted", "PATCH", f"{path}?action=delete", json=only(moved))
    kept = talk.send("GET", path).json()
    talk.say("annotations put back with their ids", "PUT", path, json=kept)


def review(talk: Talk) -> None:
    talk.say("stage alone", "PATCH", "/jobs/{job}", json={"stage": "validation"})
    talk.say("state alone", "PATCH", "/jobs/{job}", json={"state": "completed"})
    talk.say("stage and state", "PATCH", "/jobs/{job}", json={"stage": "acceptance", "state": "completed"})
    talk.say("unknown field of a job", "PATCH", "/jobs/{job}", json={"no_such": 1})
    talk.say("frame deleted", "PATCH", "/tasks/{task}/data/meta", json={"deleted_frames": [3]})
    talk.say("annotations with a deleted frame", "GET", "/tasks/{task}/annotations")


def look_around(talk: Talk) -> None:
    talk.say("tasks by name", "GET", "/tasks?name=conversation&page_size=1")
    talk.say("no such page", "GET", "/tasks?page=9999")
    talk.say("no such task", "GET", "/tasks/99999999")
    talk.say("no such path", "GET", "/no/such/path")
    talk.say("export in the old way", "GET", "/tasks/{task}/dataset?format=COCO%201.0")
    talk.say("export in the new way", "POST", "/tasks/{task}/dataset/export?format=COCO%201.0&save_images=false")


def fail(talk: Talk) -> None:
    labels: Json = [{"name": "a"}]
    talk.ids["doubled"] = talk.say("task for equal names", "POST", "/tasks", json={"name": "dup", "labels": labels})[
        "id"
    ]
    upload(talk, "equal names sent", "{doubled}", [("a.jpg", jpeg("red")), ("a.jpg", jpeg("blue"))])
    talk.ids["broken"] = talk.say("task for a bad image", "POST", "/tasks", json={"name": "bad", "labels": labels})[
        "id"
    ]
    upload(talk, "bad image sent", "{broken}", [("a.jpg", b"\xff\xd8\xff\xe0 not an image")])
    wait(talk, "{broken}")
    talk.say("status of a failed task", "GET", "/tasks/{broken}/status")


def use_a_project(talk: Talk) -> None:
    body: Json = {"name": "p", "labels": [{"name": "a", "attributes": []}]}
    talk.ids["project"] = talk.say("project made", "POST", "/projects", json=body)["id"]
    talk.say("labels of a project", "GET", "/labels?project_id={project}&page_size=all")
    inside: Json = {"name": "in", "project_id": talk.ids["project"]}
    talk.say("task made in a project", "POST", "/tasks", json=inside)
    talk.say("task made in a project with labels", "POST", "/tasks", json={**inside, "labels": [{"name": "b"}]})


def clear_up(talk: Talk) -> None:
    for name in ("task", "doubled", "broken"):
        talk.say(f"{name} deleted", "DELETE", f"/tasks/{{{name}}}")
    talk.say("project deleted", "DELETE", "/projects/{project}")
    talk.say("task deleted again", "DELETE", "/tasks/{task}")
