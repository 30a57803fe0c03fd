"""Writes to a task whose jobs have copies of ground-truth frames."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from .errors import invalid
from .state import Task, Validation

Json = Any
Objects = dict[str, list[Json]]


def spread(task: Task, objects: Objects, action: str) -> None:
    """Annotations of pool frames replace those of their copies. They come only with a whole new set or new objects."""
    validation = task.data.validation if task.data else None
    if validation is None or validation.mode != "gt_pool":
        return
    if objects["tracks"]:
        raise invalid("Tracks are not supported when task validation mode is gt_pool")
    pool = set(validation.frames)
    touches_pool = any(item["frame"] in pool for kind in ("tags", "shapes") for item in objects[kind])
    if action in ("update", "delete"):
        if touches_pool:
            raise invalid("Annotations on validation frames can only be edited via task import or the GT job")
        return
    if action == "put" or touches_pool:
        for kind in ("tags", "shapes"):
            objects[kind] = copied(objects[kind], validation)


def copied(items: list[Json], validation: Validation) -> list[Json]:
    kept = [item for item in items if item["frame"] not in validation.honeypots]
    for frame, real in validation.honeypots.items():
        kept += [at_frame(item, frame) for item in items if item["frame"] == real]
    return kept


def at_frame(item: Json, frame: int) -> Json:
    copy = {**deepcopy(item), "frame": frame}
    for part in (copy, *copy.get("elements", ())):
        part["id"] = None
    return copy
