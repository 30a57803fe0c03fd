"""Moving a task into a project: its annotations get the labels and attributes of the project that have the same names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .contexts import owns
from .errors import crash, denied, invalid, invalid_field
from .messages import Json
from .router import Call
from .state import Attribute, Job, Label, Project, State, Task
from .store import parts_of

UNMAPPED = "All task or project label names must be mapped to the target project"


@dataclass
class Move:
    """Where a task goes, and which new number each label and attribute gets."""

    target: Project
    labels: dict[int, int]
    attributes: dict[int, int]

    def apply(self, state: State, task: Task) -> None:
        for job in task.jobs:
            self._renumber(job)
        task.project, task.own_labels = self.target, []
        self.target.updated = state.now()

    def _renumber(self, job: Job) -> None:
        for kind, items in job.annotations.items():
            for item in items.values():
                for _, part in parts_of(kind, item):
                    if "label_id" in part:
                        part["label_id"] = self.labels[part["label_id"]]
                    part["attributes"] = [
                        {**value, "spec_id": self.attributes[value["spec_id"]]} for value in part["attributes"]
                    ]


def planned(call: Call, task: Task, fields: Mapping[str, Json]) -> Move | None:
    """The move that a PATCH of a task asks for, if it does. `labels` may say which name a label goes to."""
    if "project_id" not in fields:
        return None
    number = fields["project_id"]
    if number is None:
        raise crash()
    target = call.state.projects.get(number)
    if target is None:
        raise invalid_field("non_field_errors", f"Cannot find project with ID {number}")
    if not owns(call.user, target):
        raise denied()
    names = {label.id: label.name for label in every(task.labels)}
    names |= {
        spec["id"]: spec["name"] for spec in fields.get("labels", []) if spec.get("id") in names and "name" in spec
    }
    check_names(task.labels, target, names)
    return None if task.project is target else paired(task.labels, target, names)


def every(labels: list[Label]) -> list[Label]:
    """Labels and their sublabels, in the order of their making."""
    return sorted((each for label in labels for each in (label, *label.sublabels)), key=lambda label: label.id)


def check_names(labels: list[Label], target: Project, names: Mapping[int, str]) -> None:
    """Every label has one of its name in the project; a skeleton has all points of that one, and no more."""
    there = {label.name: {sub.name for sub in label.sublabels} for label in target.labels}
    for label in labels:
        points = {names[sub.id] for sub in label.sublabels}
        if names[label.id] not in there or (points and points != there.get(label.name)):
            raise invalid_field("non_field_errors", UNMAPPED)


def paired(labels: list[Label], target: Project, names: Mapping[int, str]) -> Move:
    move = Move(target, {}, {})
    candidates = every(target.labels)
    for old in every(labels):
        parent = old.parent
        new = next(
            c for c in candidates
            if c.name == names[old.id] and (parent is None or (c.parent is not None and c.parent.name == parent.name))
        )  # fmt: skip
        move.labels[old.id] = new.id
        for attribute in old.attributes:
            move.attributes[attribute.id] = same(attribute, old, new).id
    return move


def same(attribute: Attribute, old: Label, new: Label) -> Attribute:
    """The new label's attribute of that name, type and choices; whether it is mutable does not matter."""
    wanted = (attribute.name, attribute.values, attribute.input_type)
    found = next((a for a in new.attributes if (a.name, a.values, a.input_type) == wanted), None)
    if found is None:
        raise invalid(f'Target project does not have "{old.name}" label with "{attribute.name}" attribute')
    return found
