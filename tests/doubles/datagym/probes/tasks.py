"""Tasks: states, completing, skipping, moving, and the export of what is finished."""

from __future__ import annotations

from typing import Any

from .asking import Asker, Json, entry

_BOX = {"rectangle": [{"x": 1.75, "y": 2.5, "w": 30.99, "h": 4}]}
_CONFIG = [
    entry("car", "rectangle", entry("color", "freetext", maxLength=5),
          entry("kind", "select", entry("make", "freetext"), options={"a": "A"}),
          entry("extras", "checklist", options={"x": "X", "y": "Y"}), entry("plate", "polygon"), color="#22AA33"),
    entry("area", "polygon"), entry("street", "line"), entry("poi", "point"), entry("grass", "image_segmentation"),
    entry("weather", "select", options={"sunny": "S"}), entry("note", "freetext", maxLength=5),
]  # fmt: skip


def ask(a: Asker) -> None:
    """All questions of this area."""
    project, tasks = a.new_task("Tasks", _CONFIG, 4)
    a.ask("export before anything is finished", "GET", f"project/{project['id']}/export")
    a.ask("export of no project", "GET", "project/nowhere/export")
    _listed(a, project)
    a.ask("task, read", "GET", f"task/{tasks[0]['taskId']}")
    a.ask("task that is not there, read", "GET", "task/nowhere")
    _moved(a, project)
    _completed(a, project, tasks)
    _cleared(a, project, tasks)
    _invalid(a)
    _deleted(a)


def _listed(a: Asker, project: Json) -> None:
    path = f"project/{project['id']}/task"
    a.ask("tasks of a state", "GET", f"{path}?state=BACKLOG")
    a.ask("tasks of another state", "GET", f"{path}?state=COMPLETED")
    a.ask("tasks of a state that is none", "GET", f"{path}?state=NONE")
    a.ask("tasks by a word", "GET", f"{path}?search=image%201")
    a.answers["tasks, two of them"] = len(a.do("GET", f"{path}?limit=2"))


def _moved(a: Asker, project: Json) -> None:
    body = {"projectId": project["id"], "datasetId": "ALL", "direction": "WAITING"}
    for what, changes in {
        "to waiting": {},
        "to waiting again": {},
        "to the backlog": {"direction": "BACKLOG"},
        "of no project": {"projectId": "nowhere"},
        "of no dataset": {"datasetId": "nowhere"},
        "to completed": {"direction": "COMPLETED"},
        "to nowhere": {"direction": "NOWHERE"},
        "with an unknown property": {"colour": "red"},
        "to waiting at last": {},
    }.items():
        a.ask(f"tasks moved {what}", "PUT", "task/moveAll", body | changes)
    a.ask("tasks that were moved", "GET", f"project/{project['id']}/task")


def _completed(a: Asker, project: Json, tasks: list[Json]) -> None:
    one, two, three, four = (t["taskId"] for t in tasks)
    label = _BOX | {"classifications": {"color": ["red"], "kind": ["a", {"make": ["m"]}], "extras": ["x", "y"]}}
    label |= {"nested_geometries": {"plate": [{"polygon": [{"x": n, "y": n * n} for n in (1, 2.5, 3)]}]}}
    shapes = {
        "car": [label, _BOX],
        "poi": [{"point": [{"x": 9.9, "y": 0.5}]}],
        "street": [{"line": [{"x": 0, "y": 0}, {"x": 9.99, "y": 1}]}],
    }
    item = {
        "internal_media_ID": tasks[0]["mediaId"],
        "labels": shapes,
        "global_classifications": {"weather": ["sunny"]},
    }
    a.do("POST", f"project/{project['id']}/prediction", [item])
    a.ask("task with labels, read", "GET", f"task/{one}")
    changed = a.do("GET", f"task/{one}")["lastChangedConfig"]
    a.ask(
        "task, completed with an old configuration",
        "PUT",
        f"task/{one}/completeTask",
        {"lastChangedConfig": changed - 1},
    )
    a.ask("task, completed", "PUT", f"task/{one}/completeTask", {"lastChangedConfig": changed})
    a.ask("task, completed again", "PUT", f"task/{one}/completeTask", {"lastChangedConfig": changed})
    a.ask("task, completed without a time", "PUT", f"task/{two}/completeTask", {})
    a.ask(
        "task, completed with an unknown property",
        "PUT",
        f"task/{two}/completeTask",
        {"lastChangedConfig": changed, "x": 1},
    )
    a.ask("task, skipped", "PUT", f"task/{three}/skipTask")
    a.ask("task, skipped again", "PUT", f"task/{three}/skipTask")
    a.ask("task that is not there, completed", "PUT", "task/nowhere/completeTask", {"lastChangedConfig": changed})
    a.ask("task that is not there, skipped", "PUT", "task/nowhere/skipTask")
    a.ask("export", "GET", f"project/{project['id']}/export")
    a.ask("project with finished tasks, read", "GET", f"project/{project['id']}")
    a.ask("tasks, some of them finished", "GET", f"project/{project['id']}/task")
    a.ask("task that was never touched, completed", "PUT", f"task/{four}/completeTask", {"lastChangedConfig": changed})


def _cleared(a: Asker, project: Json, tasks: list[Json]) -> None:
    a.ask("configuration with labels, cleared", "DELETE", f"lconfig/{project['labelConfigurationId']}")
    a.ask("tasks after the configuration was cleared", "GET", f"project/{project['id']}/task")
    a.ask("task after the configuration was cleared", "GET", f"task/{tasks[0]['taskId']}")
    a.ask("export after the configuration was cleared", "GET", f"project/{project['id']}/export")


_INVALID: dict[str, Any] = {
    "without a geometry": {"labels": {"car": [{}]}},
    "with a polygon for a rectangle": {
        "labels": {"car": [{"polygon": [{"x": 1, "y": 1}, {"x": 2, "y": 1}, {"x": 2, "y": 2}]}]}
    },
    "with a text that is too long": {"labels": {"car": [_BOX | {"classifications": {"color": ["purple"]}}]}},
    "without a required answer": {"labels": {"car": [_BOX]}},
    "with an unknown item of a checklist": {"labels": {"car": [_BOX | {"classifications": {"extras": ["z"]}}]}},
    "with a global text that is too long": {"global_classifications": {"note": ["abcdef"]}},
    "with a shape of no size": {"labels": {"car": [{"rectangle": [{"x": 0, "y": 0, "w": 0, "h": 0}]}]}},
    "with a shape far outside": {"labels": {"poi": [{"point": [{"x": 1e6, "y": 1e6}]}]}},
}


def _invalid(a: Asker) -> None:
    """Tasks that hold what DataGym may not find valid."""
    for what, item in _INVALID.items():
        config: list[Json] = [entry("car", "rectangle", entry("color", "freetext", maxLength=5),
                                    entry("extras", "checklist", options={"x": "X"})), entry("poi", "point"),
                              entry("note", "freetext", maxLength=5)]  # fmt: skip
        if "required" in what:
            config[0]["children"][0]["required"] = True
        project, (task,) = a.new_task(f"Odd {list(_INVALID).index(what)}", config)
        a.do("POST", f"project/{project['id']}/prediction", [{"internal_media_ID": task["mediaId"]} | item])
        changed = a.do("GET", f"task/{task['taskId']}")["lastChangedConfig"]
        a.ask(f"task {what}, completed", "PUT", f"task/{task['taskId']}/completeTask", {"lastChangedConfig": changed})
        a.do("PUT", f"task/{task['taskId']}/skipTask")
        a.ask(f"task {what}, exported", "GET", f"project/{project['id']}/export")


def _deleted(a: Asker) -> None:
    """An image that was deleted leaves the lists and the export."""
    project, tasks = a.new_task("Deleted", [entry("car", "rectangle")], 2)
    for task in tasks:
        changed = a.do("GET", f"task/{task['taskId']}")["lastChangedConfig"]
        a.do("PUT", f"task/{task['taskId']}/completeTask", {"lastChangedConfig": changed})
    a.do("DELETE", f"media/{tasks[0]['mediaId']}")
    a.ask("tasks after an image was deleted", "GET", f"project/{project['id']}/task")
    a.ask("task of an image that was deleted", "GET", f"task/{tasks[0]['taskId']}")
    a.ask("export after an image was deleted", "GET", f"project/{project['id']}/export")
    a.ask("import onto an image that was deleted", "POST", f"project/{project['id']}/prediction",
          [{"internal_media_ID": tasks[0]["mediaId"]}])  # fmt: skip
    a.ask(
        "task of an image that was deleted, completed",
        "PUT",
        f"task/{tasks[0]['taskId']}/completeTask",
        {"lastChangedConfig": 9e12},
    )
