"""The API of tokens (v1): what it shows and takes otherwise than the internal one. Its project is given, and is left empty."""

from __future__ import annotations

from typing import Any

from .asking import Asker, Json, entry, picture

_CONFIG = [entry("car", "rectangle", entry("color", "freetext")), entry("bus", "rectangle"), entry("note", "freetext")]


def ask(a: Asker) -> None:
    """All questions of this area; none where there is no token."""
    project = next(p for p in a.do("GET", "v1/project") if p["name"] == a.project)
    a.answers["v1: project"] = {n: type(v).__name__ for n, v in sorted(project.items())}
    dataset = _datasets(a)
    a.do("POST", f"v1/project/{project['id']}/dataset/{dataset}")
    try:
        _connected(a, project, dataset)
    finally:
        a.do("DELETE", f"v1/project/{project['id']}/dataset/{dataset}/remove")
        a.do("DELETE", f"v1/config/{project['labelConfigurationId']}")


def _datasets(a: Asker) -> str:
    name = f"Hosted {a.mark}"
    made = a.ask("v1: dataset", "POST", "v1/dataset", {"name": name, "shortDescription": "probe"})
    a.ask("v1: dataset of a name that is taken", "POST", "v1/dataset", {"name": name, "shortDescription": None})
    for what, body in {
        "with a hyphen": {"name": f"a-b {a.mark}"},
        "with an owner": {"name": f"H0 {a.mark}", "owner": "x"},
        "without a name": {},
        "with a point in the short description": {"name": f"H1 {a.mark}", "shortDescription": "a.b"},
        "with a medium": {"name": f"H2 {a.mark}", "mediaType": "IMAGE"},
    }.items():
        a.ask(f"v1: dataset {what}", "POST", "v1/dataset", body)
    path = f"v1/media/{made['id']}"
    a.ask("v1: image", "POST", f"{path}/file", picture(), headers={"X-filename": "a.png"})
    a.ask("v1: image of a name that is taken", "POST", f"{path}/file", picture(), headers={"X-filename": "A.png"})
    a.ask(
        "v1: image of a Latin-1 name",
        "POST",
        f"{path}/file",
        picture(),
        headers={"X-filename": "ü.png".encode("latin-1")},
    )
    a.ask("v1: image without a name", "POST", f"{path}/file", picture(), headers={})
    a.ask("v1: file that is text", "POST", f"{path}/file", b"hello", headers={"X-filename": "t.png"})
    a.ask("v1: address that is signed", "POST", f"{path}/url", ["http://127.0.0.1:9/c.png?x=1"])
    a.ask("v1: dataset, read", "GET", f"v1/dataset/{made['id']}")
    a.ask("v1: dataset that is not there, read", "GET", "v1/dataset/nowhere")
    return str(made["id"])


def _connected(a: Asker, project: Json, dataset: str) -> None:
    a.ask("v1: dataset, connected again", "POST", f"v1/project/{project['id']}/dataset/{dataset}")
    config = f"v1/config/{project['labelConfigurationId']}"
    a.ask("v1: configuration, cleared", "DELETE", config)
    a.ask("v1: configuration, set", "PUT", config, _CONFIG)
    a.ask("v1: configuration, set again", "PUT", config, _CONFIG)
    tasks = f"v1/task/{project['id']}/list"
    a.ask("v1: tasks", "GET", tasks)
    listed = a.ask("v1: tasks in the backlog", "GET", f"{tasks}?state=BACKLOG")
    a.ask("v1: tasks of a state that is none", "GET", f"{tasks}?state=NONE")
    a.ask("v1: tasks by a word that is not allowed", "GET", f"{tasks}?state=BACKLOG&search=a.png")
    one = next(t for t in listed if t["mediaName"] == "a.png")
    label = {"rectangle": [{"x": 1.5, "y": 2, "w": 3, "h": 4}], "classifications": {"color": ["red"]}}
    path = f"v1/project/{project['id']}/prediction"
    a.ask("v1: import", "POST", path, [{"internal_media_ID": one["mediaId"], "labels": {"car": [label]}}])
    a.ask(
        "v1: import of an unknown class",
        "POST",
        path,
        [{"internal_media_ID": one["mediaId"], "labels": {"van": [label]}}],
    )
    a.ask(
        "v1: import into no project", "POST", "v1/project/nowhere/prediction", [{"internal_media_ID": one["mediaId"]}]
    )
    task = a.ask("v1: task", "GET", f"v1/task/{one['taskId']}")
    a.ask("v1: task that is not there", "GET", "v1/task/nowhere")
    _edited(a, one, task)
    a.ask(
        "v1: task, completed",
        "PUT",
        f"v1/task/{one['taskId']}/completeTask",
        {"lastChangedConfig": task["lastChangedConfig"]},
    )
    other = next(t for t in listed if t is not one)
    a.ask("v1: task, skipped", "PUT", f"v1/task/{other['taskId']}/skipTask")
    a.ask("v1: export", "GET", f"v1/export/{project['id']}")
    a.ask("v1: export of no project", "GET", "v1/export/nowhere")
    a.ask("v1: bitmap of no class", "GET", f"v1/export/bitmap/{one['taskId']}/nothing")
    a.ask("v1: image, deleted", "DELETE", f"v1/media/{other['mediaId']}")
    a.ask("v1: image, deleted again", "DELETE", f"v1/media/{other['mediaId']}")
    a.ask("v1: path that is not there", "GET", "v1/nothing")


def _edited(a: Asker, one: Json, task: Json) -> None:
    car = next(v for v in task["labelIteration"]["entryValues"] if v["entryKeyLcEntry"] == "car")
    entries = {e["entryKey"]: e["id"] for e in task["labelConfig"]["entries"]}
    body: dict[str, Any] = {
        "id": car["id"],
        "lcEntryId": car["lcEntryId"],
        "lcEntryValueParentId": None,
        "labelTaskId": one["taskId"],
        "valid": True,
        "x": 9.5,
        "y": 9.0,
        "width": 2.0,
        "height": 3.0,
    }
    a.ask("v1: value, changed", "PUT", f"v1/lcValue/{car['id']}", body)
    a.ask("v1: class, changed", "PUT", f"v1/lcValue/{car['id']}/changeType", {"newLcEntryId": entries["bus"]})
    new = {
        "iterationId": task["labelIteration"]["id"],
        "mediaId": one["mediaId"],
        "labelTaskId": one["taskId"],
        "lcEntryId": entries["car"],
        "lcEntryValueParentId": None,
    }
    made = a.ask("v1: value, drawn", "POST", f"v1/lcValue/{entries['car']}", new)
    a.ask("v1: value, deleted", "DELETE", f"v1/lcValue/{made['id']}")
