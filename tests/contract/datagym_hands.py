"""Simulates a person in DataGym's editor, which sends each changed value as a whole and changes a class by making a new value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.datagym_servers import Server

from annobridge.bridge.results import AnnotationResults

Row = dict[str, Any]


class Editor:
    """Edits the tasks of a run by the calls that the editor makes. It uses only those columns of a row that a person sees."""

    def __init__(self, server: Server, results: AnnotationResults) -> None:
        self.server = server
        self.states = [receipt.state for receipt in results.receipts()]

    # Edits

    def edit(self, row: Row, **columns: Any) -> None:
        task, value = self.find(row)
        if "label" in columns:
            entry = self.entry(task, columns["label"], value["entryTypeLcEntry"])
            path = f"{value['id']}/changeType"
            value = self.server.call("PUT", f"lcValue/{path}", f"lcvalues/{path}", json={"newLcEntryId": entry["id"]})
        if "bounding_box" in columns:
            x, y, width, height = self.pixels(row["sample_id"], columns["bounding_box"])
            self.update(task, value, x=x, y=y, width=width, height=height)
        for name, answer in columns.get("attributes", {}).items():
            self.answer(task, next(c for c in value["children"] if c["entryValueLcEntry"] == name), answer)

    def delete(self, row: Row) -> None:
        for number in row["remote_id"].split("+"):
            self.server.call("DELETE", f"lcValue/{number}", f"lcvalues/{number}")

    def add(self, sample_id: str, **columns: Any) -> None:
        task = self.task(sample_id)
        x, y, width, height = self.pixels(sample_id, columns["bounding_box"])
        entry = self.entry(task, columns["label"], "RECTANGLE", make=True)
        self.draw(task, entry, x=x, y=y, width=width, height=height)

    # Calls

    def draw(self, task: Row, entry: Row, parent: str | None = None, **place: Any) -> Row:
        body = {
            "iterationId": task["labelIteration"]["id"], "mediaId": task["media"]["id"], "labelTaskId": task["taskId"],
            "lcEntryId": entry["id"], "lcEntryValueParentId": parent,
        }  # fmt: skip
        made = self.server.call("POST", f"lcValue/{entry['id']}", f"lcvalues/{entry['id']}", json=body)
        return self.update(task, made, **place)

    def update(self, task: Row, value: Row, **changes: Any) -> Row:
        """Send a value whole, as the editor does."""
        names = ("id", "lcEntryId", "lcEntryValueParentId", "points", "pointsCollection", "text", "selectKey", "checkedValues",
                 "comment", "width", "height")  # fmt: skip
        body = {name: value.get(name) for name in names} | {"labelTaskId": task["taskId"], "valid": True}
        point = value.get("point") or {}
        body |= {"x": point.get("x"), "y": point.get("y")} | changes
        return self.server.call("PUT", f"lcValue/{value['id']}", f"lcvalues/{value['id']}", json=body)

    def answer(self, task: Row, value: Row, answer: Any) -> None:
        """Answer a classification."""
        word = answer if isinstance(answer, str) else json.dumps(answer)
        if value["entryTypeLcEntry"] == "FREETEXT":
            self.update(task, value, text=word)
            return
        entry = next(e for e in self.entries(task) if e["id"] == value["lcEntryId"])
        keys = {shown: key for key, shown in entry["options"].items()}
        if value["entryTypeLcEntry"] == "SELECT":
            self.update(task, value, selectKey=keys[word])
        else:
            self.update(task, value, checkedValues=[keys[w] for w in answer])

    # What the editor shows

    def task(self, sample_id: str) -> Row:
        state = next(s for s in self.states if sample_id in s["samples"])
        return self.server.call("GET", f"task/{state['tasks'][state['samples'].index(sample_id)]}")

    def task_again(self, task: Row) -> Row:
        """Read a task again, because the answer to a change has no children."""
        return self.server.call("GET", f"task/{task['taskId']}")

    def pixels(self, sample_id: str, box: list[float]) -> list[float]:
        state = next(s for s in self.states if sample_id in s["samples"])
        width, height = state["sizes"][state["samples"].index(sample_id)]
        return [box[0] * width, box[1] * height, box[2] * width, box[3] * height]

    def find(self, row: Row) -> tuple[Row, Row]:
        task = self.task(row["sample_id"])
        number = row["remote_id"].split("+")[0]
        return task, next(v for v in _walk(task["labelIteration"]["entryValues"]) if v["id"] == number)

    def entries(self, task: Row) -> list[Row]:
        return list(_walk(task["labelConfig"]["entries"]))

    def entry(self, task: Row, shown: str, kind: str, *, make: bool = False) -> Row:
        """The class of that name and type. ``make`` adds it to the configuration if it is missing."""
        roots = task["labelConfig"]["entries"]
        found = next((e for e in roots if e["entryValue"] == shown and e["type"] == kind), None)
        if found is None and make:
            project = self.states[0]["project"]
            found = add_class(
                self.server, project, {"entryKey": f"{shown} box", "entryValue": shown, "type": kind.lower()}
            )
        assert found is not None, f"no class {shown} of type {kind}"
        return found


def add_class(server: Server, project: str, entry: Row) -> Row:
    """Add a class to the label configuration; in the hosted edition that is possible in the browser only."""
    if server.double is not None:
        from tests.doubles.datagym import config

        made = config.read([{**entry, "children": []}])[0]
        server.double.state.project(project).entries.append(made)
        return config.entry_shown(made)
    try:
        found = server.browse("GET", f"project/{project}")
    except (AssertionError, ValueError):
        pytest.skip("classes are added in the browser there")
    path = f"lconfig/{found['labelConfigurationId']}"
    kept = ("id", "entryKey", "entryValue", "type", "color", "shortcut", "options", "maxLength", "required")

    def body(one: Row) -> Row:
        return {n: one[n] for n in kept if one[n] is not None} | {"children": [body(c) for c in one["children"]]}

    there = server.browse("GET", path)["entries"]
    after = server.browse("PUT", f"{path}?changeStatus=false", json=[*map(body, there), {**entry, "children": []}])
    return next(e for e in after["entries"] if e["entryKey"] == entry["entryKey"])


def _walk(values: list[Row]) -> Iterator[Row]:
    for value in values:
        yield value
        yield from _walk(value["children"])
