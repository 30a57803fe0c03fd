"""Label configurations: what the server validates, stores and shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from . import collation
from .errors import broken, exists, generic, invalid, not_found, unreadable
from .state import GEOMETRIES, Entry, Project, State, Task, new_id, now

Json = dict[str, Any]
TYPES = (*GEOMETRIES, "SELECT", "CHECKLIST", "FREETEXT")
_KEY = re.compile(r"[A-Za-z0-9_ -]*")
_SHOWN = re.compile(r"[a-zA-Z0-9_ !@#$%^&*()?\-àâçéèêëîïôûùüÿñæœäöüß]*")
_DIGIT = re.compile(r"[0-9]")
_TEXTS = ("id", "entryKey", "entryValue", "type", "color", "shortcut", "lcEntryParentId")
_KNOWN = {*_TEXTS, "options", "maxLength", "required", "children", "parentEntry"}
_LONGEST = 255  # characters of a column in the database
FORBIDDEN = (
    "geometry", "geometry_type", "class_name", "classification", "classifications", "global_classifications",
    "classification_type", "tag", "status", "label", "labeler", "label_classes", "reviewer", "image", "imageId",
    "external_image_ID", "internal_image_ID", "media", "mediaId", "external_media_ID", "internal_media_ID", "lcentrypoint",
    "lcentryline", "lcentrypolygon", "lcentryrectangle", "point", "line", "polygon", "rectangle", "lcentrychecklist",
    "lcentryfreetext,", "lcentryradio", "lcentryselect", "checklist", "freetext,", "radio", "select", "lcentrypointvalue",
    "lcentrylinevalue", "lcentrypolygonvalue", "lcentryrectanglevalue", "lcentrychecklistvalue", "lcentrytextvalue,",
    "lcentryradiovalue", "lcentryselectvalue", "Dummy_Project", "Dummy_Dataset_One", "Dummy_Dataset_Two", "Intersections",
)  # fmt: skip
DEPTH = 4


def read(body: Any, known: Mapping[str, Entry] | None = None) -> list[Entry]:
    """Parse the entries of a body; ``known`` are the existing ones, by id. Raises the error that the server answers."""
    if not isinstance(body, list):
        raise unreadable()
    given = [_parsed(one) for one in body]
    if faults := [fault for one in given for fault in _faults(one)]:
        raise invalid(*faults)
    _check_unique(given, known or {})
    return [_entry(one, None, 1, known or {}) for one in given]


def _parsed(one: Any) -> Json:
    """An entry with the types that the server reads: numbers are accepted for texts, and texts for numbers."""
    if not isinstance(one, dict) or set(one) - _KNOWN:
        raise unreadable()
    made: Json = {name: _text(one.get(name)) for name in _TEXTS}
    options, children, length = one.get("options", {}), one.get("children", []), one.get("maxLength")
    if not isinstance(options, dict | None) or not isinstance(children, list | None):
        raise unreadable()
    try:
        made["maxLength"] = None if length is None else int(length)
    except (TypeError, ValueError):
        raise unreadable() from None
    made["options"] = options and {k: _text(v) for k, v in options.items()}
    made["children"] = children if children is None else [_parsed(child) for child in children]
    return made | {"required": bool(one.get("required"))}


def _text(value: Any) -> str | None:
    if isinstance(value, dict | list):
        raise unreadable()
    return value if isinstance(value, str | None) else json.dumps(value)


def _faults(one: Json) -> Iterator[tuple[str, str]]:
    """The faults that bean validation finds in an entry and its children."""
    for name, value, pattern in (("Entry Key", one["entryKey"], _KEY), ("Entry Value", one["entryValue"], _SHOWN)):
        if value is None:
            yield from ((name, "ex_notnull"), (name, "ex_notempty"))
            continue
        if value == "":
            yield name, "ex_notempty"
        if not 1 <= len(value) <= 56:
            yield name, "ex_size"
        if not pattern.fullmatch(value):
            yield name, "ex_pattern"
    if one["type"] is None:
        yield "Type", "ex_notnull"
    if not one["type"]:
        yield "Type", "ex_notempty"
    if one["shortcut"] is not None and not _DIGIT.fullmatch(one["shortcut"]):
        yield "Shortcut", "ex_pattern"
    if one["maxLength"] is not None and not 1 <= one["maxLength"] <= 255:
        yield "Max Length", "ex_min" if one["maxLength"] < 1 else "ex_max"
    for child in one["children"] or ():
        yield from _faults(child)


def _check_unique(given: list[Json], known: Mapping[str, Entry]) -> None:
    """Check keys before they become lower case, ids, shortcuts and reserved words."""
    seen: set[str] = set()
    for root in given:
        _add(seen, root["entryKey"], "Label entry", "entryKey:")
    shortcuts: set[str] = set()
    ids: set[str] = set()
    for root in given:
        keys: set[str] = set()
        for one in _walk(root):
            if one["entryKey"] in FORBIDDEN:
                raise generic("forbidden_keyword", one["entryKey"])
            _add(keys, one["entryKey"], "Label entry", "entryKey:")
            if one["id"] is not None:
                if one["id"] not in known:
                    raise not_found("Entry", one["id"])
                _add(ids, one["id"], "Label entry", "id:")
            if one["shortcut"] is not None:
                _add(shortcuts, one["shortcut"], "Shortcut", "value:")


def _walk(one: Json) -> Iterator[Json]:
    yield one
    if one["children"] is None:
        raise broken()
    for child in one["children"]:
        if child["children"] is not None:
            yield from _walk(child)


def _add(seen: set[str], name: str, what: str, by: str) -> None:
    if name in seen:
        raise exists(what, by, name)
    seen.add(name)


def _entry(one: Json, parent: Entry | None, level: int, known: Mapping[str, Entry]) -> Entry:
    kind = one["type"].upper()
    shape = kind in GEOMETRIES and kind != "IMAGE_SEGMENTATION"  # which this check does not know
    if shape and (
        level > 2 or (parent is not None and not (parent.is_geometry and parent.type != "IMAGE_SEGMENTATION"))
    ):
        raise generic("geometry_definition_incorrect", one["type"].lower())
    if kind not in TYPES:
        raise generic("entry_type_not_found", "entry type")
    if level > DEPTH:
        raise generic("config_depth")
    before = known.get(one["id"])
    number = one["id"] if before is not None and before.type == kind else new_id()
    made = Entry(number, one["entryKey"].lower(), one["entryValue"], kind, parent=parent)
    if kind in GEOMETRIES:
        made.color, made.shortcut = one["color"], one["shortcut"]
        if len(made.color or "") > _LONGEST:
            raise broken()
    else:
        made.required = one["required"]
    if kind in ("SELECT", "CHECKLIST"):
        made.options = _options(one["options"])
    if kind == "FREETEXT":
        made.max_length = one["maxLength"]
        if made.max_length is None:
            raise generic("entry_classification_incorrect", "FREETEXT")
    made.children = [_entry(child, made, level + 1, known) for child in one["children"] or ()]
    return made


def _options(given: Mapping[str, str | None] | None) -> dict[str, str | None] | None:
    """Check options, whose keys the database compares, and whose lengths it limits."""
    if given is None:
        return None
    if len(set(map(collation.key, given))) < len(given):
        raise broken()
    if any(len(text or "") > _LONGEST for pair in given.items() for text in pair):
        raise broken()
    return dict(given)


def replace_all(project: Project, entries: list[Entry]) -> None:
    """Replace all entries, as v1's PUT and the internal import do."""
    if project.entries:
        raise generic("config_not_cleared", project.config_id)
    project.entries, project.changed = entries, now()


def clear(state: State, project: Project) -> None:
    """Clear the configuration, which deletes all label values."""
    project.entries, project.changed = [], now()
    for task in state.tasks_of(project):
        task.values = []  # ``json_upload`` stays
        _send_back(task)


def merge(state: State, project: Project, body: Any, change_status: bool) -> None:
    """Merge as the internal PUT does: entries are kept by id; missing ones are deleted with their values."""
    entries = read(body, {e.id: e for e in project.all_entries()})
    told = {one.get("id") for one in body}
    before = {e.id: e for e in project.all_entries()}
    after = {e.id: e for root in entries for e in root.walk()}
    more = bool(set(after) - set(before)) or any(
        e.required and not before[i].required for i, e in after.items() if i in before
    )
    given = {e.key for e in entries}  # one that is given another type becomes a second one of its key
    entries = [*entries, *(e for e in project.entries if e.id not in after and e.key in given and e.id in told)]
    after |= {e.id: e for root in entries for e in root.walk()}
    project.entries, project.changed = entries, now()
    for task in state.tasks_of(project):
        task.values = [v for v in task.values if v.entry.id in after]
        for value in task.all_values():
            value.children = [v for v in value.children if v.entry.id in after]
            value.entry = after[value.entry.id]
        if more and change_status:
            _send_back(task)


def _send_back(task: Task) -> None:
    if task.state in ("COMPLETED", "REVIEWED"):
        task.state = "WAITING_CHANGED"


def shown(state: State, project: Project) -> Json:
    """The answer to setting and reading a configuration."""
    states = [t.state for t in state.tasks.values() if t.project is project]  # of deleted images too
    return {
        "id": project.config_id,
        "projectId": project.id,
        "numberOfCompletedTasks": states.count("COMPLETED"),
        "numberOfReviewedTasks": states.count("REVIEWED"),
        "entries": [entry_shown(e) for e in project.entries],
    }


def entry_shown(entry: Entry) -> Json:
    """An entry with all that the server stores of it."""
    return {
        "id": entry.id,
        "lcEntryParentId": entry.parent.id if entry.parent else None,
        "entryKey": entry.key,
        "entryValue": entry.shown,
        "type": entry.type,
        "color": entry.color,
        "shortcut": entry.shortcut,
        "timestamp": entry.timestamp,
        "maxLength": entry.max_length,
        "required": entry.required,
        "options": entry.options and dict(reversed(entry.options.items())),  # whose order is not kept
        "children": [entry_shown(child) for child in entry.children],
    }


def exported(entry: Entry) -> Json:
    """An entry as ``…/export`` gives it: no ids, never required, and only what its type has."""
    seen = entry_shown(entry)
    made = {n: seen[n] for n in ("entryKey", "entryValue", "type")}
    made |= {n: seen[n] for n in ("color", "shortcut", "maxLength") if seen[n] is not None}
    if entry.type in ("SELECT", "CHECKLIST"):
        made["options"] = seen["options"]
    return made | {"children": [exported(c) for c in entry.children]}
