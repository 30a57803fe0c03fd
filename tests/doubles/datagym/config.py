"""Label configurations: what the server checks, keeps, and shows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from .errors import ApiError, generic, invalid
from .state import GEOMETRIES, Entry, Project, State, Task, new_id, now

Json = dict[str, Any]
TYPES = (*GEOMETRIES, "SELECT", "CHECKLIST", "FREETEXT")
_KEY = re.compile(r"[A-Za-z0-9_ -]{1,56}")
_SHOWN = re.compile(r"[A-Za-z0-9_ !@#$%^&*()?äöüÄÖÜß-]{1,56}")
_DIGIT = re.compile(r"[0-9]")
_KNOWN = {"id", "entryKey", "entryValue", "type", "color", "shortcut", "options", "maxLength", "required", "children"}
FORBIDDEN = {
    "geometry", "geometry_type", "class_name", "classification", "classifications", "global_classifications",
    "classification_type", "tag", "status", "label", "labeler", "label_classes", "reviewer", "image", "imageId",
    "external_image_ID", "internal_image_ID", "media", "mediaId", "external_media_ID", "internal_media_ID", "point", "line",
    "polygon", "rectangle", "checklist", "radio", "select", "Dummy_Project", "Dummy_Dataset_One", "Dummy_Dataset_Two",
    "Intersections",
}  # fmt: skip
DEPTH = 4


def read(body: Any, *, ids: bool = False) -> list[Entry]:
    """The entries of a body. Raises what the server answers to a bad one."""
    if not isinstance(body, list):
        raise ApiError(400, None)
    entries = [_entry(one, None, 1, ids) for one in body]
    _check_unique([e.key for e in entries])
    for entry in entries:
        _check_unique([e.key for e in entry.walk()])
    shortcuts = [e.shortcut for root in entries for e in root.walk() if e.shortcut]
    _check_unique(shortcuts)
    for root in entries:  # the check for doubles runs before this
        for entry in root.walk():
            entry.key = entry.key.lower()
    return entries


def _entry(one: Any, parent: Entry | None, level: int, ids: bool) -> Entry:
    if not isinstance(one, dict) or set(one) - _KNOWN:
        raise ApiError(400, None)
    key, shown, kind = one.get("entryKey"), one.get("entryValue"), one.get("type")
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise invalid("Entry Key", "ex_pattern" if isinstance(key, str) and len(key) <= 56 else "ex_size", 56, 1)
    if not isinstance(shown, str) or not _SHOWN.fullmatch(shown):
        raise invalid("Entry Value", "ex_pattern" if isinstance(shown, str) and len(shown) <= 56 else "ex_size", 56, 1)
    if not isinstance(kind, str) or kind.upper() not in TYPES:
        raise generic("entry_type_not_found", kind)
    if key in FORBIDDEN or key.startswith("lcentry"):
        raise generic("forbidden_keyword", key)
    if level > DEPTH:
        raise generic("config_depth")
    made = Entry(
        one.get("id") if ids and one.get("id") else new_id(), key, shown, kind.upper(), one.get("color"), one.get("shortcut"),
        dict(one.get("options") or {}), one.get("maxLength"), bool(one.get("required")), parent,
    )  # fmt: skip
    _check_kind(made, parent, level)
    made.children = [_entry(child, made, level + 1, ids) for child in one.get("children") or []]
    return made


def _check_kind(made: Entry, parent: Entry | None, level: int) -> None:
    if made.is_geometry:
        if level > 2 or (parent is not None and not parent.is_geometry):
            raise generic("geometry_definition_incorrect")
        if made.shortcut is not None and not _DIGIT.fullmatch(made.shortcut):
            raise invalid("Shortcut", "ex_pattern")
        made.required = False
    else:
        made.color = made.shortcut = None
        if made.type == "FREETEXT" and not (isinstance(made.max_length, int) and 1 <= made.max_length <= 255):
            raise generic("entry_classification_incorrect")


def _check_unique(names: Iterable[str | None]) -> None:
    seen: set[str | None] = set()
    for name in names:
        if name in seen:
            raise ApiError(412, "ex_alreadyexists", "Entry Key", "name", name)
        seen.add(name)


def replace_all(project: Project, entries: list[Entry]) -> None:
    """What v1's PUT and the internal import do."""
    if project.entries:
        raise generic("config_not_cleared")
    project.entries, project.changed = entries, now()


def clear(state: State, project: Project) -> None:
    """All label values go with the configuration."""
    project.entries, project.changed = [], now()
    for task in state.tasks_of(project):
        task.values = []
        task.json_upload = False
        _send_back(task)


def merge(state: State, project: Project, entries: list[Entry], change_status: bool) -> None:
    """What the internal PUT does: entries are kept by id; what is missing is deleted with its values."""
    before = {e.id: e for e in project.all_entries()}
    after = {e.id: e for root in entries for e in root.walk()}
    more = bool(set(after) - set(before)) or any(
        e.required and not before[i].required for i, e in after.items() if i in before
    )
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
    """The answer to set and get."""
    states = [t.state for t in state.tasks_of(project)]
    return {
        "id": project.config_id,
        "projectId": project.id,
        "numberOfCompletedTasks": states.count("COMPLETED"),
        "numberOfReviewedTasks": states.count("REVIEWED"),
        "entries": [entry_shown(e) for e in project.entries],
    }


def entry_shown(entry: Entry) -> Json:
    """An entry with all that the server keeps of it."""
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
        "options": dict(reversed(entry.options.items())),  # whose order is not kept
        "children": [entry_shown(child) for child in entry.children],
    }


def exported(entry: Entry) -> Json:
    """An entry as ``…/export`` gives it: no ids, and never required."""
    kept = ("entryKey", "entryValue", "type", "color", "shortcut", "maxLength", "options")
    return {n: entry_shown(entry)[n] for n in kept} | {"children": [exported(c) for c in entry.children]}
