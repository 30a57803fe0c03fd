"""Annotations as a GET returns them: with a value for every attribute of the label, in another order than they were sent."""

from __future__ import annotations

import random
from typing import Any

from .state import Job, Label, Task

Json = Any
Objects = dict[str, list[Json]]


class Defaults:
    """The default values of each label's attributes: all, mutable ones, immutable ones."""

    def __init__(self, task: Task) -> None:
        self.all: dict[int, list[Json]] = {}
        self.mutable: dict[int, list[Json]] = {}
        self.immutable: dict[int, list[Json]] = {}
        for label in task.labels:
            for each in (label, *label.sublabels):
                self._add(each)

    def _add(self, label: Label) -> None:
        values = [(spec, {"spec_id": spec.id, "value": spec.default_value}) for spec in label.attributes]
        self.all[label.id] = [value for _, value in values]
        self.mutable[label.id] = [value for spec, value in values if spec.mutable]
        self.immutable[label.id] = [value for spec, value in values if not spec.mutable]


def of_job(job: Job, defaults: Defaults, order: random.Random) -> Objects:
    kept = job.annotations
    return {
        "tags": [flat(tag, defaults, order) for tag in kept["tags"].values()],
        "shapes": [flat(shape, defaults, order) for shape in kept["shapes"].values()],
        "tracks": [track(item, defaults, order) for item in kept["tracks"].values()],
        "intervals": [flat(interval, defaults, order) for interval in kept["intervals"].values()],
    }


def flat(item: Json, defaults: Defaults, order: random.Random) -> Json:
    values = defaults.all[item["label_id"]]
    elements = item.get("elements")
    if not values and not elements:
        return item
    shown = {**item, "attributes": shuffled(extended(item["attributes"], values), order)}
    if elements:
        shown["elements"] = shuffled([flat(element, defaults, order) for element in elements], order)
    return shown


def track(item: Json, defaults: Defaults, order: random.Random) -> Json:
    """A keyframe takes over the values of the one before it."""
    values, shapes = defaults.mutable[item["label_id"]], []
    for shape in sorted(item["shapes"], key=lambda shape: (shape["frame"], shape["id"])):
        values = extended(shape["attributes"], values)
        shapes.append({**shape, "attributes": shuffled(values, order)})
    shown = {**item, "shapes": shapes}
    shown["attributes"] = extended(item["attributes"], defaults.immutable[item["label_id"]])
    if "elements" in item:
        shown["elements"] = shuffled([track(element, defaults, order) for element in item["elements"]], order)
    return shown


def extended(values: list[Json], defaults: list[Json]) -> list[Json]:
    own = {value["spec_id"] for value in values}
    return values + [default for default in defaults if default["spec_id"] not in own]


def shuffled(items: list[Json], order: random.Random) -> list[Json]:
    return order.sample(items, len(items)) if len(items) > 1 else items


def answered(objects: Objects, order: random.Random, *, by_frame: bool, intervals: bool) -> Json:
    """The body of an answer. A GET goes by frames, a write by nothing; within that the order is the database's whim."""
    for kind in ("tags", "shapes"):
        order.shuffle(objects[kind])
        if by_frame:
            objects[kind].sort(key=lambda item: item["frame"])
    body = {"version": 0, "tags": objects["tags"], "shapes": objects["shapes"], "tracks": objects["tracks"]}
    return {**body, "intervals": objects["intervals"]} if intervals else body
