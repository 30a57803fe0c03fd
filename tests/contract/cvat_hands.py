"""A person at CVAT's editor: it sends changed objects whole, as ``update``, and new ones as ``create``."""

from __future__ import annotations

import json
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests

from annobridge.bridge.results import AnnotationResults

Row = dict[str, Any]
KINDS = {"tag": "tags", "shape": "shapes", "track": "tracks"}


class Editor:
    """Works on the CVAT tasks of a run, knowing nothing of our rows but what a person sees of them."""

    def __init__(self, url: str, token: str, results: AnnotationResults) -> None:
        self.url = url.rstrip("/")
        self.session = requests.Session()
        scheme = "Bearer" if "." in token else "Token"
        self.session.headers.update({"Authorization": f"{scheme} {token}", "Accept": "*/*"})
        self.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.tasks = [task for receipt in results.receipts() for task in receipt.state["tasks"]]

    def close(self) -> None:
        self.session.close()

    # What a person does

    def edit(self, row: Row, **columns: Any) -> None:
        task, kind, shape = self._find(row)
        if "label" in columns:
            shape["label_id"] = self.label(task, columns["label"])["id"]
            theirs = {a["name"]: a["id"] for a in self.label(task, columns["label"])["attributes"]}
            names = {a["id"]: a["name"] for a in self.label(task, row["label"])["attributes"]}
            shape["attributes"] = [{**a, "spec_id": theirs[names[a["spec_id"]]]} for a in shape["attributes"]]
        if "bounding_box" in columns:
            shape["points"] = self.pixels(task, row["sample_id"], columns["bounding_box"])
        specs = {a["name"]: a["id"] for a in self.label(task, row["label"])["attributes"]}
        for name, value in columns.get("attributes", {}).items():
            word = value if isinstance(value, str) else json.dumps(value)
            kept = [a for a in shape["attributes"] if a["spec_id"] != specs[name]]
            shape["attributes"] = [*kept, {"spec_id": specs[name], "value": word}]
        self.send(task, "update", kind, shape)

    def delete(self, row: Row) -> None:
        task, kind, shape = self._find(row)
        self.send(task, "delete", kind, shape)

    def add(self, sample_id: str, **columns: Any) -> None:
        task = next(t for t in self.tasks if sample_id in t["samples"])
        self.draw(task, "rectangle", task["samples"].index(sample_id), columns["label"],
                  self.pixels(task, sample_id, columns["bounding_box"]))  # fmt: skip

    def shown(self, sample_id: str) -> bytes:
        """The image of a sample as the page shows it."""
        task = next(t for t in self.tasks if sample_id in t["samples"])
        frame = {"type": "frame", "quality": "compressed", "number": task["samples"].index(sample_id)}
        path = f"{self.url}/api/tasks/{task['task']}/data"
        answer = self.session.get(path, params=frame, timeout=120)
        answer.raise_for_status()
        return answer.content

    # How it is sent

    def draw(self, task: Row, kind: str, frame: int, label: str, points: list[float], **more: Any) -> Row:
        """A new shape; it is returned with its number."""
        shape = {
            "type": kind, "frame": frame, "label_id": self.label(task, label)["id"], "points": points, "rotation": 0,
            "occluded": False, "outside": False, "z_order": 0, "group": 0, "source": "manual", "attributes": [],
            "elements": [], **more,
        }  # fmt: skip
        return self.send(task, "create", "shapes", shape)[0]

    def send(self, task: Row, action: str, kind: str, *objects: Row) -> list[Row]:
        body = {"version": 0, "tags": [], "shapes": [], "tracks": [], kind: list(objects)}
        path = f"/api/tasks/{task['task']}/annotations"
        return self.call("PATCH", path, params={"action": action}, json=body)[kind]

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        answer = self.session.request(method, self.url + path, timeout=120, **arguments)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        return answer.json() if answer.content else None

    def annotations(self, task: Row) -> Row:
        return self.call("GET", f"/api/tasks/{task['task']}/annotations")

    def label(self, task: Row, name: str) -> Row:
        found = self.call("GET", "/api/labels", params={"task_id": task["task"], "page_size": "all"})["results"]
        return next(label for label in found if label["name"] == name)

    def pixels(self, task: Row, sample_id: str, box: list[float]) -> list[float]:
        frames = self.call("GET", f"/api/tasks/{task['task']}/data/meta")["frames"]
        frame = frames[task["samples"].index(sample_id)] if len(frames) > 1 else frames[0]
        x, y, w, h = box
        return [x * frame["width"], y * frame["height"], (x + w) * frame["width"], (y + h) * frame["height"]]

    def _find(self, row: Row) -> tuple[Row, str, Row]:
        kind, number = row["remote_id"].split(":")[:2]
        for task in self.tasks:
            if row["sample_id"] in task["samples"]:
                for shape in self.annotations(task)[KINDS[kind]]:
                    if shape["id"] == int(number):
                        return task, KINDS[kind], shape
        raise AssertionError(f"{row['remote_id']} is not on the server")
