"""Labels: created and changed through their project or task, or one by one."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from .contexts import owns, sees
from .errors import ApiError, denied, invalid
from .listing import not_found, page
from .messages import Answer, Json, answer, empty
from .router import Call, route
from .state import Attribute, Job, Label, Project, State, Task
from .store import drop_attribute, drop_label

TYPES = (
    "any",
    "rectangle",
    "polygon",
    "polyline",
    "points",
    "ellipse",
    "cuboid",
    "mask",
    "skeleton",
    "tag",
    "interval",
)
INPUT_TYPES = ("select", "radio", "checkbox", "number", "text")


@dataclass
class Place:
    """Where labels live: a project with all its tasks, or a task of its own."""

    owner: Project | Task
    labels: list[Label]
    tasks: list[Task]

    def described(self, label: Label) -> Json:
        key = "project_id" if isinstance(self.owner, Project) else "task_id"
        told = {**described(label), "sublabels": [described(sub) for sub in label.sublabels]}
        told |= {key: self.owner.id, "parent_id": label.parent.id if label.parent else None}
        return {**told, "svg": label.svg} if label.type == "skeleton" else told


def place_of(owner: Project | Task, state: State) -> Place:
    if isinstance(owner, Task):
        return place_of(owner.project, state) if owner.project else Place(owner, owner.own_labels, [owner])
    return Place(owner, owner.labels, [task for task in state.tasks.values() if task.project is owner])


def described(label: Label) -> Json:
    fields = ("id", "name", "mutable", "input_type", "default_value", "values")
    return {
        "id": label.id,
        "name": label.name,
        "color": label.color,
        "attributes": [{name: getattr(attribute, name) for name in fields} for attribute in label.attributes],
        "type": label.type,
        "has_parent": label.parent is not None,
    }


def default_color(name: str) -> str:
    return f"#{zlib.crc32(name.encode()) & 0xFFFFFF:06x}"


# Made


def check_labels(specs: Json, state: State, *, creating: bool = True) -> None:
    """Validate labels field by field; an error names the position of the label."""
    if not isinstance(specs, list):
        raise ApiError(400, {"labels": [f'Expected a list of items but got type "{type(specs).__name__}".']})
    faults = [label_faults(spec, state, creating and "id" not in spec) for spec in specs]
    if any(faults):
        raise ApiError(400, {"labels": faults})
    for spec in specs:
        check_names([a["name"] for a in spec.get("attributes", []) if "name" in a and not a.get("deleted")])


def label_faults(spec: Json, state: State, creating: bool) -> Json:
    faults: dict[str, Json] = {}
    if creating and "name" not in spec:
        faults["name"] = ["This field is required."]
    elif "name" in spec and (fault := name_fault(spec["name"])):
        faults["name"] = [fault]
    if state.version.since(2, 26) and spec.get("type", "any") not in TYPES:
        faults["type"] = [f'"{spec["type"]}" is not a valid choice.']
    attributes = [attribute_faults(attribute, "id" not in attribute) for attribute in spec.get("attributes", [])]
    if any(attributes):
        faults["attributes"] = attributes
    return faults


def name_fault(name: Json) -> str:
    if not str(name).strip():
        return "This field may not be blank."
    return "Ensure this field has no more than 64 characters." if len(str(name)) > 64 else ""


def attribute_faults(attribute: Json, creating: bool) -> Json:
    needed = ("name", "mutable", "input_type", "values") if creating else ()
    faults = {name: ["This field is required."] for name in needed if name not in attribute}
    if "name" in attribute and (fault := name_fault(attribute["name"])):
        faults["name"] = [fault]
    if "input_type" in attribute and attribute["input_type"] not in INPUT_TYPES:
        faults["input_type"] = [f'"{attribute["input_type"]}" is not a valid choice.']
    if len(str(attribute.get("default_value", ""))) > 128:
        faults["default_value"] = ["Ensure this field has no more than 128 characters."]
    if len("\n".join(map(str, attribute.get("values", [])))) > 4096:
        faults["values"] = ["Ensure this field has no more than 4096 characters."]
    return faults


def check_names(names: list[str]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise invalid(f"Duplicate attribute with name '{name}' exists")


def check_unique(names: list[str]) -> None:
    if len(set(names)) < len(names):
        raise invalid("All label names must be unique")


def make_labels(specs: list[Json], state: State) -> list[Label]:
    check_labels(specs, state)
    check_unique([spec["name"] for spec in specs])
    return [make_label(spec, state) for spec in specs]


def make_label(spec: Json, state: State, parent: Label | None = None) -> Label:
    label = Label(
        state.next_id("label"),
        spec["name"],
        spec.get("color") or default_color(spec["name"]),
        spec.get("type") or "any",
    )
    label.parent = parent
    label.attributes = [make_attribute(attribute, state) for attribute in spec.get("attributes", [])]
    label.sublabels = [make_label(sub, state, label) for sub in spec.get("sublabels", [])]
    if label.type == "skeleton":
        label.svg = spec.get("svg", "")
        for sub in label.sublabels:
            label.svg = label.svg.replace(f'data-label-name="{sub.name}"', f'data-label-id="{sub.id}"')
    return label


def make_attribute(spec: Json, state: State) -> Attribute:
    values = [str(value) for value in spec["values"]] or [""]
    default = str(spec.get("default_value", ""))
    return Attribute(
        state.next_id("attribute"), spec["name"], bool(spec["mutable"]), spec["input_type"], default, values
    )


# Changed


def change_labels(owner: Project | Task, specs: list[Json], state: State) -> None:
    """Add the labels without id, change or delete those with one. Nothing happens when one of them is at fault."""
    place = place_of(owner, state)
    check_labels(specs, state)
    known = {label.id: label for label in place.labels}
    for spec in specs:
        if "id" in spec and spec["id"] not in known:
            raise ApiError(404, {"detail": f"Not found label with id #{spec['id']} to change"})
        if spec.get("deleted") and "id" not in spec:
            raise ApiError(400, {"labels": [{"non_field_errors": ["Deleted label must have an ID"]}]})
        if "id" in spec:
            check_edits(known[spec["id"]], spec.get("attributes", []), state)
    names = {label.id: label.name for label in place.labels}
    names |= {spec["id"]: spec["name"] for spec in specs if "id" in spec and spec.get("name")}
    gone = {spec["id"] for spec in specs if spec.get("deleted")}
    check_unique(
        [name for number, name in names.items() if number not in gone] + [s["name"] for s in specs if "id" not in s]
    )
    for spec in specs:
        if spec.get("deleted"):
            delete_label(known[spec["id"]], place, state)
        elif "id" in spec:
            change_label(known[spec["id"]], spec, place, state)
        else:
            place.labels.append(make_label(spec, state))


def delete_label(label: Label, place: Place, state: State) -> None:
    place.labels.remove(label)
    drop_label(state, place.tasks, label.id)


def change_label(label: Label, spec: Json, place: Place, state: State) -> None:
    label.name = spec.get("name") or label.name
    if "skeleton" not in (label.type, spec.get("type")):
        label.type = spec.get("type") or label.type
    # A colour that is left out is not kept: the server picks the default again.
    label.color = spec.get("color") or default_color(label.name)
    for attribute in spec.get("attributes", []):
        change_attribute(label, attribute, place, state)


def known_attribute(label: Label, spec: Json) -> Attribute | None:
    key = "id" if spec.get("id") is not None else "name"
    return next((attribute for attribute in label.attributes if getattr(attribute, key) == spec.get(key)), None)


def check_edits(label: Label, specs: list[Json], state: State) -> None:
    """What may not be edited: nothing on old servers; since 2.65 anything but the name, the default and more choices."""
    for spec in specs:
        known = known_attribute(label, spec)
        if known is None:
            if spec.get("id") is not None:
                raise ApiError(404, {"detail": f"Attribute with id #{spec['id']} does not exist"})
            continue
        if not state.version.since(2, 65) or spec.get("deleted"):
            continue
        for name in ("mutable", "input_type"):
            if name in spec and spec[name] != getattr(known, name):
                raise invalid(f'Attribute field "{name}" cannot be changed')
        values = spec.get("values", known.values)
        if known.input_type in ("radio", "select") and not set(known.values) <= set(values):
            raise invalid('Attribute field "values" can only be appended for radio and select attributes')
        if known.input_type == "number" and values != known.values:
            raise invalid('Attribute field "values" cannot be changed for number attributes')
        if spec.get("name", known.name) in [other.name for other in label.attributes if other is not known]:
            raise invalid(f'Attribute names are already used by this label: "{spec["name"]}"')


def change_attribute(label: Label, spec: Json, place: Place, state: State) -> None:
    known = known_attribute(label, spec)
    if known is None:
        label.attributes.append(make_attribute(spec, state))
    elif spec.get("deleted") and state.version.since(2, 65):
        label.attributes.remove(known)
        drop_attribute(place.tasks, known.id)
    elif not spec.get("deleted"):
        for name in ("name", "mutable", "input_type", "default_value", "values"):
            setattr(known, name, spec.get(name, getattr(known, name)))


# One by one


@route("GET", "/labels")
def list_labels(call: Call) -> Answer:
    query = call.request.query
    given = [name for name in ("job_id", "task_id", "project_id") if query.get(name)]
    if len(given) > 1:
        raise invalid("job_id, task_id and project_id parameters cannot be used together")
    places = [place_of(owner_asked(call, given[0]), call.state)] if given else places_seen(call)
    rows = [place.described(label) for place in places for label in place.labels]
    return page(call, rows, filters=("name", "type", "color", "parent"), order="id")


def owner_asked(call: Call, name: str) -> Project | Task:
    text, kind = call.request.query[name], name.removesuffix("_id")
    number, state = int(text) if text.isdecimal() else -1, call.state
    known: dict[str, Mapping[int, Project | Task | Job]]
    known = {"job": state.jobs, "task": state.tasks, "project": state.projects}
    found = known[kind].get(number)
    if found is None:
        raise not_found(call, kind.capitalize())
    if not sees(call.user, found):
        raise denied()
    return found.task if isinstance(found, Job) else found


def places_seen(call: Call) -> list[Place]:
    owners: list[Project | Task] = [*call.state.projects.values()]
    owners += [task for task in call.state.tasks.values() if task.project is None]
    return [
        place_of(owner, call.state)
        for owner in owners
        if sees(call.user, owner) and call.context.admits(owner.organization)
    ]


def find(call: Call) -> tuple[Label, Place]:
    owners: list[Project | Task] = [*call.state.projects.values(), *call.state.tasks.values()]
    for place in (place_of(owner, call.state) for owner in owners):
        every = [each for label in place.labels for each in (label, *label.sublabels)]
        found = next((label for label in every if label.id == call.ids["label"]), None)
        if found:
            if not sees(call.user, place.owner):
                raise denied()
            return found, place
    raise not_found(call, "Label")


def changeable(call: Call, verb: str) -> tuple[Label, Place]:
    label, place = find(call)
    if not owns(call.user, place.owner):
        raise denied()
    if label.parent:
        advice = "Please send a PATCH request with updated parent label data instead."
        raise invalid(f"Sublabels cannot be {verb} this way. {advice}")
    return label, place


@route("GET", "/labels/{label}")
def get_label(call: Call) -> Answer:
    label, place = find(call)
    return answer(place.described(label))


@route("PATCH", "/labels/{label}")
def patch_label(call: Call) -> Answer:
    label, place = changeable(call, "modified")
    spec = call.request.json()
    if spec.get("deleted"):
        advice = "Please use the DELETE method instead."
        text = f"Labels cannot be deleted by updating in this endpoint. {advice}"
        raise ApiError(400, {"non_field_errors": [text]})
    change_labels(place.owner, [{**spec, "id": label.id}], call.state)
    for task in place.tasks:
        for job in task.jobs:
            call.state.touch(task, job)
    return answer(place.described(label))


@route("DELETE", "/labels/{label}")
def remove_label(call: Call) -> Answer:
    label, place = changeable(call, "deleted")
    delete_label(label, place, call.state)
    return empty(204)
