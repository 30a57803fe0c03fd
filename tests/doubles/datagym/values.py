"""Values of labels: creating, validating, changing and showing them."""

from __future__ import annotations

import re
from typing import Any

from .errors import broken, generic, invalid, not_found, unreadable
from .state import Entry, Project, State, Task, Value, new_id, now

Json = dict[str, Any]
_SELECT_KEY = re.compile(r"[a-zA-Z0-9_ -]*")


def create(entry: Entry, parent: Value | None, labeler: str | None) -> Value:
    """A value with empty values for its classifications as children."""
    made = Value(new_id(), entry, parent, labeler=labeler)
    made.children = [create(child, made, labeler) for child in entry.children if not child.is_geometry]
    return made


def ensure_globals(state: State, task: Task) -> None:
    """Create the values of all global classifications, as the first import or showing of a task does."""
    there = {v.entry.id for v in task.values}
    task.values += [
        create(e, None, state.user) for e in task.project.entries if not e.is_geometry and e.id not in there
    ]


def check(value: Value) -> None:
    """Whether a finished task may have the value."""
    entry = value.entry
    if entry.is_geometry:
        value.valid = _sound(value)
    elif entry.type == "SELECT":
        value.valid = value.select in entry.options or not (entry.required or value.select)
    elif entry.type == "CHECKLIST":
        value.valid = not entry.required or (bool(value.checked) and set(value.checked) <= set(entry.options))
    else:
        value.valid = len(value.text or "") <= (entry.max_length or 0) and bool(value.text or not entry.required)


def _sound(value: Value) -> bool:
    match value.entry.type:
        case "RECTANGLE":
            return bool(value.points) and value.width is not None and value.height is not None
        case "IMAGE_SEGMENTATION":
            return bool(value.rings) and all(len(r) >= 3 for r in value.rings)
    return len(value.points) >= {"POINT": 1, "LINE": 2, "POLYGON": 3}[value.entry.type]


def first_bad(task: Task) -> Value | None:
    """The values that prevent a task from being finished."""
    for value in task.all_values():
        check(value)
        if not value.valid:
            return value
    return None


def new(state: State, number: str, body: Any) -> Value:
    """Create an empty value with its children."""
    known = ("iterationId", "mediaId", "labelTaskId", "lcEntryId", "lcEntryValueParentId")
    if not isinstance(body, dict) or set(body) - set(known):
        raise unreadable()
    if any(body.get(n) is None for n in known[:-1]):
        raise invalid(("", "ex_notnull"), ("", "ex_notempty"))
    if body["lcEntryId"] != number:
        raise generic("entry_definition_incorrect", body["lcEntryId"])
    if all(p.iteration_id != body["iterationId"] for p in state.projects.values()):
        raise not_found("Label Iteration", body["iterationId"])
    state.media(body["mediaId"])
    task = state.task(body["labelTaskId"])
    entry = _entry(task.project, number)
    parent = state.value(body["lcEntryValueParentId"])[1] if body.get("lcEntryValueParentId") else None
    made = create(entry, parent, state.user)
    (parent.children if parent else task.values).append(made)
    return made


def update(state: State, number: str, body: Any) -> Value:
    """Change a value; the body is the whole value, with few checks."""
    if not isinstance(body, dict):
        raise unreadable()
    if len(body.get("comment") or "") > 128:
        raise invalid(("Comment", "ex_size"))
    if not _SELECT_KEY.fullmatch(body.get("selectKey") or ""):
        raise invalid(("Select Key", "ex_pattern"))
    if body.get("id") != number:
        raise generic("entry_definition_incorrect", body.get("id"))
    task, value = state.value(number)
    state.task(body.get("labelTaskId", ""))
    if len(body.get("text") or "") > 255:
        raise broken()  # the column is full
    if body.get("lcEntryValueParentId") is None and value.parent is not None:
        value.parent.children.remove(value)
        value.parent = None
        task.values.append(value)
    if value.entry.type == "RECTANGLE":
        value.points = [(body["x"], body["y"])]
        value.width, value.height = body.get("width"), body.get("height")
    elif value.entry.type == "POINT":
        value.points = [(body["x"], body["y"])]
    elif value.entry.type == "IMAGE_SEGMENTATION":
        value.rings = [[(p["x"], p["y"]) for p in ring["points"]] for ring in body.get("pointsCollection") or []]
    else:
        value.points = [(p["x"], p["y"]) for p in body.get("points") or []]
    value.text, value.select = body.get("text"), body.get("selectKey")
    value.checked = list(body.get("checkedValues") or [])
    value.comment, value.valid = body.get("comment"), bool(body.get("valid", False))
    value.labeler, value.timestamp = state.user, now()
    return value


def change_type(state: State, number: str, body: Json) -> Value:
    """Change the class: a new value with the same coordinates and nothing else of the old one."""
    task, old = state.value(number)
    entry = _entry(task.project, body.get("newLcEntryId", ""))
    if entry is old.entry:
        raise generic("entry_types_are_the_same")
    if entry.type != old.entry.type:
        raise generic("entry_types_not_the_same")
    made = create(entry, old.parent, state.user)
    made.points, made.width, made.height, made.rings = old.points, old.width, old.height, old.rings
    for value in made.walk():
        check(value)
    siblings = old.parent.children if old.parent else task.values
    siblings[siblings.index(old)] = made
    return made


def delete(state: State, number: str) -> None:
    """Delete a value; only geometries can be deleted."""
    task, value = state.value(number)
    if not value.entry.is_geometry:
        raise generic("entry_value_delete", number)
    (value.parent.children if value.parent else task.values).remove(value)


def _entry(project: Project, number: str) -> Entry:
    for entry in project.all_entries():
        if entry.id == number:
            return entry
    raise not_found("Entry", number)


def shown(task: Task, value: Value) -> Json:
    """A value as the task endpoint shows it, in full precision."""
    made: Json = {
        "id": value.id,
        "lcEntryValueParentId": value.parent.id if value.parent else None,
        "labelIterationId": task.project.iteration_id,
        "mediaId": task.media.id,
        "lcEntryId": value.entry.id,
        "configurationId": task.project.config_id,
        "entryTypeLcEntry": value.entry.type,
        "entryKeyLcEntry": value.entry.key,
        "entryValueLcEntry": value.entry.shown,
        "timestamp": value.timestamp,
        "labeler": value.labeler,
        "valid": value.valid,
        "comment": value.comment,
        "change": [],
    }
    points: list[Json] = [{"id": value.id, "x": x, "y": y} for x, y in value.points]
    point = points[0] if points else {"id": value.id, "x": None, "y": None}
    match value.entry.type:
        case "RECTANGLE":
            made |= {"point": point, "width": value.width, "height": value.height}
        case "POINT":
            made |= {"point": point}
        case "LINE" | "POLYGON":
            made |= {"points": points}
        case "IMAGE_SEGMENTATION":
            rings = [[{"id": value.id, "x": x, "y": y} for x, y in ring] for ring in value.rings]
            made |= {"pointsCollection": [{"id": value.id, "points": ring} for ring in rings]}
        case "SELECT":
            made |= {"selectKey": value.select}
        case "CHECKLIST":
            made |= {"checkedValues": value.checked}
        case "FREETEXT":
            made |= {"text": value.text}
    if not value.entry.is_geometry:
        made["required"] = value.entry.required
    else:
        made |= {"color": value.entry.color, "shortcut": value.entry.shortcut}
    return made | {"children": [shown(task, child) for child in value.children]}
