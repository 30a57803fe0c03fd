"""Simulates a person in Label Studio's editor, which saves the results of an annotation as a whole."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

from tests.labelstudio_servers import Server

from annobridge.bridge.results import AnnotationResults

Row = dict[str, Any]
Result = dict[str, Any]
ANSWERS = {"choices": "choices", "textarea": "text", "number": "number", "rating": "rating"}


def place(box: list[float], degrees: float = 0) -> dict[str, float]:
    """The value of a rectangle."""
    x, y, width, height = (100 * number for number in box)
    return {"x": x, "y": y, "width": width, "height": height, "rotation": degrees}


class Editor:
    """Edits the tasks of a run as the editor does: it reads what is there, and saves all of it again."""

    def __init__(self, server: Server, results: AnnotationResults) -> None:
        self.server = server
        self.states = [receipt.state for receipt in results.receipts()]
        self.project = self.states[0]["project"]
        config = server.call("GET", f"/api/projects/{self.project}")["parsed_label_config"]
        self.types = {name: control["type"].lower() for name, control in config.items()}

    # Edits

    def edit(self, row: Row, **columns: Any) -> None:
        def change(results: list[Result]) -> list[Result]:
            for name, value in columns.get("attributes", {}).items():
                results = self._answered(results, row, name, value)
            for one in results:
                if not self.is_of(one, row):
                    continue
                if ("label" in columns and one["type"] != "choices") or (row["kind"] == "classification"):
                    one["value"][one["type"]] = [
                        columns["label"] if name == row["label"] else name for name in one["value"][one["type"]]
                    ]
                if "bounding_box" in columns:
                    one["value"] |= place(columns["bounding_box"])
                if "value" in columns:
                    value = json.loads(columns["value"])
                    one["value"] = {ANSWERS[one["type"]]: [value] if one["type"] in ("textarea", "choices") else value}
            return results

        self.save(row["sample_id"], change)

    def _answered(self, results: list[Result], row: Row, name: str, value: Any) -> list[Result]:
        control = f"{row['field']}.{name}"
        kind, (shape, *_) = self.types[control], [r for r in results if self.is_of(r, row)]
        texts = [str(v).lower() if isinstance(v, bool) else v for v in (value if isinstance(value, list) else [value])]
        given = value if kind in ("number", "rating") else texts
        region = {k: v for k, v in shape["value"].items() if k not in (shape["type"], "rle", "format")}
        answer = {**shape, "from_name": control, "type": kind, "value": {**region, ANSWERS[kind]: given}}
        rest = [r for r in results if not (r["id"] == shape["id"] and r["from_name"] == control)]
        return [*rest, answer]

    def delete(self, row: Row) -> None:
        id_ = row["remote_id"]

        def change(results: list[Result]) -> list[Result]:
            kept = []
            for one in results:
                if row["kind"] in ("classification", "scalar") and self.is_of(one, row):
                    one["value"]["choices"] = [n for n in one["value"].get("choices", ()) if n != row["label"]]
                    kept += [one] * bool(one["value"]["choices"])
                elif not (one["id"] == id_ or one["id"].startswith(f"{id_}-")):
                    kept.append(one)
            return kept

        self.save(row["sample_id"], change)

    def add(self, sample_id: str, **columns: Any) -> None:
        control = next((name for name, type_ in self.types.items() if type_ == "rectanglelabels"), "another")
        self.draw(sample_id, control, "rectanglelabels", place(columns["bounding_box"]), columns["label"])

    # Calls

    def draw(self, sample_id: str, control: str, type_: str, value: dict[str, Any], label: str) -> str:
        """Draw a region; returns its id."""
        made = {
            "id": uuid.uuid4().hex[:10], "from_name": control, "to_name": "image", "type": type_, "origin": "manual",
            "original_width": 64, "original_height": 48, "image_rotation": 0, "value": {**value, type_: [label]},
        }  # fmt: skip
        self.save(sample_id, lambda results: [*results, made])
        return str(made["id"])

    def save(self, sample_id: str, change: Callable[[list[Result]], list[Result]]) -> None:
        """Change the results of the image, in the annotation that it has, or in a new one made from the prediction."""
        task = self.server.call("GET", f"/api/tasks/{self.task_of(sample_id)}")
        if task["annotations"]:
            one = max(task["annotations"], key=lambda a: a["updated_at"])
            results = change(one["result"])
            self.server.call("PATCH", f"/api/annotations/{one['id']}/", json={"result": results})
            return
        before = task["predictions"][0]["result"] if task["predictions"] else []
        path = f"/api/tasks/{task['id']}/annotations/?project={self.project}"
        self.server.call("POST", path, json={"result": change(before), "was_cancelled": False})

    def task_of(self, sample_id: str) -> str:
        return next(task for state in self.states for task, sample in state["tasks"].items() if sample == sample_id)

    def is_of(self, one: Result, row: Row) -> bool:
        """Whether a result is the region of a label, or the answer that it is a part of."""
        if row["kind"] in ("classification", "scalar"):
            return bool(one["from_name"] == row["remote_id"].split("\n")[0])
        return bool(one["id"] == row["remote_id"] and one["type"].endswith("labels"))
