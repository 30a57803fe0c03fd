"""The JSON import («prediction»): one transaction for a whole body, with few checks."""

from __future__ import annotations

import json
from typing import Any

from . import collation, import_schema
from .errors import ApiError, generic
from .state import Entry, Project, State, Task, Value
from .values import check, create, ensure_globals

Json = dict[str, Any]
_TEXT = 255  # characters of the column in the database


def run(state: State, project: Project, body: bytes) -> Json:
    """Import labels. The answer is 200 even if they were refused."""
    if not body.strip():
        raise generic("error_messages", "Unable to parse the content. No data available?")
    try:
        items, _ = _DECODER.raw_decode(body.decode("utf-8-sig").lstrip())  # what follows is not looked at
    except ValueError as error:
        line, column = getattr(error, "lineno", 1), getattr(error, "colno", 1)
        return {"errorMessages": f"line: {line}, column: {column}\n{error}"}
    if not isinstance(items, list):
        raise generic("error_messages", "A JSONArray text must start with '[' at 1 [character 2 line 1]")
    if found := import_schema.faults(items):
        return {"errorMessages": import_schema.message(found)}
    saved: dict[str, tuple[Task, list[Value], bool]] = {}
    try:
        for item in items:
            _item(state, project, item, saved)
    except ApiError:
        for task, values, uploaded in saved.values():
            task.values, task.json_upload = values, uploaded
        raise
    return {"errorMessages": ""}


def _no_constant(word: str) -> None:
    raise ValueError(f"Unrecognized token '{word}'")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _item(state: State, project: Project, item: Json, saved: dict[str, Any]) -> None:
    if "internal_media_ID" not in item:
        return
    task = state.by_media.get((project.id, item["internal_media_ID"]))
    if task is None:
        raise generic("json_upload_not_found_task")
    saved.setdefault(task.id, (task, [v.copy() for v in task.values], task.json_upload))
    if item.get("keepData") is False:
        task.values = []
    ensure_globals(state, task)
    for key, values in item.get("global_classifications", {}).items():
        root = next((v for v in task.values if not v.entry.is_geometry and v.entry.key == key), None)
        if root is None:
            raise generic("wrong_entry_id", key)
        _classify(root, values)
    for key, labels in item.get("labels", {}).items():
        entry = next((e for e in project.entries if collation.key(e.key) == collation.key(key)), None)
        if entry is None:
            raise generic("wrong_entry_id", key)
        for label in labels:
            task.values.append(_label(state, entry, label, None))
    task.json_upload = True


def _label(state: State, entry: Entry, label: Json, parent: Value | None) -> Value:
    if not entry.is_geometry:
        raise generic("entry_type_not_found", entry.type)
    made = create(entry, parent, state.user)
    for kind in ("polygon", "rectangle", "line", "point", "geometry"):
        for point in label.get(kind, []):
            _place(made, point)
    check(made)
    for key, values in label.get("classifications", {}).items():
        child = next((v for v in made.children if not v.entry.is_geometry and v.entry.key == key), None)
        if child is None:
            raise generic("wrong_entry_id", key)
        _classify(child, values)
    if parent is None:
        inside = label.get("nested_geometries")
        for key, inner in inside.items() if isinstance(inside, dict) else ():
            nested = next((e for e in entry.children if e.key == key), None)
            if nested is None:
                raise generic("wrong_entry_id", key)
            made.children += [_label(state, nested, one, made) for one in inner]
    return made


def _place(value: Value, point: Json) -> None:
    """Store one coordinate object in a value. Its form depends on the class, whatever the key was."""
    kind, is_box = value.entry.type, "w" in point or "h" in point
    if kind == "IMAGE_SEGMENTATION":
        raise generic("entry_type_not_found", kind)
    if is_box and kind != "RECTANGLE":
        raise generic("entry_value_validation", kind)
    known = {"x", "y", "w", "h"} if kind == "RECTANGLE" else {"x", "y"}
    if set(point) - known:
        raise generic("entry_type_not_found", kind)
    try:
        numbers = {name: float(number) for name, number in point.items()}
    except (TypeError, ValueError):
        raise generic("entry_value_validation", kind, value.id) from None
    place = (numbers["x"], numbers["y"])
    if kind == "RECTANGLE":
        value.points, value.width, value.height = [place], numbers.get("w"), numbers.get("h")
    elif kind == "POINT":
        value.points = [place]
    else:
        value.points.append(place)


def _classify(value: Value, answers: list[Any]) -> None:
    texts = [a for a in answers if isinstance(a, str)]
    if any(len(t) > _TEXT for t in texts):
        raise ApiError(500, "ex_system")
    match value.entry.type:
        case "CHECKLIST" if texts:
            value.checked = texts
            check(value)
        case "SELECT" if len(texts) == 1:  # an unknown option is dropped without a word
            known = texts[0] in (value.entry.options or {})
            value.select = texts[0] if known else None
            value.valid = known
        case "FREETEXT" if len(texts) == 1:
            value.text = texts[0]
            check(value)
    child = next((a for a in answers if isinstance(a, dict)), None)
    if not child:
        return
    key = next(iter(child))  # further keys are not read
    below = next((v for v in value.children if v.entry.key == key), None)
    if below is None:
        raise generic("wrong_entry_id", key)
    _classify(below, child[key])
