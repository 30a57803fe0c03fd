"""The export: finished tasks only, whole pixels, no ids of values, in no order."""

from __future__ import annotations

import json
import math
from typing import Any
from urllib.parse import quote_plus

from .state import FINISHED, GEOMETRIES, Project, State, Task, Value

Json = dict[str, Any]
_CLASS_ORDER = ("POINT", "LINE", "POLYGON", "RECTANGLE", "IMAGE_SEGMENTATION", "SELECT", "CHECKLIST", "FREETEXT")


def export(state: State, project: Project) -> bytes:
    """The body of an export, pretty-printed."""
    tasks = [t for t in state.tasks_of(project) if t.state in FINISHED]
    items: list[Json] = [_header(project)] if tasks else []
    items += [_task(state, t) for t in reversed(tasks)]
    return json.dumps(items, indent=2, ensure_ascii=False).encode()


def _header(project: Project) -> Json:
    found = sorted(project.all_entries(), key=lambda e: _CLASS_ORDER.index(e.type))
    name = {True: "geometry_type", False: "classification_type"}
    return {"label_classes": [{"class_name": e.key, name[e.type in GEOMETRIES[:4]]: e.type.lower()} for e in found]}


def _task(state: State, task: Task) -> Json:
    made: Json = {
        "internal_media_ID": task.media.id,
        "external_media_ID": task.media.name,
        "labeler": task.labeler,
        "status": task.state.lower(),
    }
    segments = {v.entry.key for v in task.all_values() if v.entry.type == "IMAGE_SEGMENTATION" and v.valid}
    if segments:
        base = f"{state.api_url}export/bitmap/{task.id}/"
        made["segmentations"] = [base + quote_plus(key) for key in sorted(segments)]
    made["global_classifications"] = _classifications([v for v in task.values if not v.entry.is_geometry])
    made["labels"] = _geometries([v for v in task.values if v.entry.is_geometry])
    return made


def _classifications(values: list[Value]) -> Json:
    return {value.entry.key: _answers(value) for value in values}


def _answers(value: Value) -> list[Any]:
    found: list[Any] = [value.select] if value.entry.type == "SELECT" else [value.text]
    if value.entry.type == "CHECKLIST":
        found = list(value.checked) or [None]
    return found + [{child.entry.key: _answers(child)} for child in value.children]


def _geometries(values: list[Value]) -> Json:
    by_key: dict[str, list[Json]] = {}
    for value in reversed(values):
        by_key.setdefault(value.entry.key, []).append(_geometry(value))
    return by_key


def _geometry(value: Value) -> Json:
    made: Json = {value.entry.type.lower(): _points(value)}
    made["classifications"] = _classifications([v for v in value.children if not v.entry.is_geometry])
    if value.parent is None:
        made["nested_geometries"] = _geometries([v for v in value.children if v.entry.is_geometry])
    return made


def _points(value: Value) -> list[Any]:
    if value.entry.type == "IMAGE_SEGMENTATION":
        return [[_xy(p) for p in ring] for ring in value.rings]
    if value.entry.type != "RECTANGLE":
        return [_xy(p) for p in value.points]
    x, y = value.points[0] if value.points else (None, None)
    return [_whole({"x": x, "y": y, "w": value.width, "h": value.height})]


def _xy(point: tuple[float, float]) -> Json:
    return _whole({"x": point[0], "y": point[1]})


def _whole(numbers: Json) -> Json:
    """Coordinates truncated to integers, or all ``None`` where one is invalid."""
    if any(n is None or n < 0 for n in numbers.values()):
        return dict.fromkeys(numbers)
    return {name: math.trunc(n) for name, n in numbers.items()}
