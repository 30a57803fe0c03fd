"""What the dialects share: the keys of a line that are neither image nor labels, and the class among the keys of a label."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ..keys import CATEGORIES
from .chunk import CLASS_KEYS
from .json_lines import Line, fail

_RECORD_KEYS = ("split", "view", "record")
_COLUMN = re.compile(r"[^_.][^.]*")
_RESERVED = frozenset({"media_type", "filepath", "frames", "fps"})


def pop_record_keys(line: Line, where: str, id_keys: Iterable[str]) -> dict[str, Any]:
    """Take the id and the split out of a line."""
    found = {name: line.pop(name) for name in _RECORD_KEYS if name in line}
    found["sample_id"] = None
    for key in id_keys:
        if key in line:
            found["sample_id"] = line.pop(key)
    for name, value in found.items():
        if value is not None and (not isinstance(value, str) or not value):
            fail(where, f"has the {name.replace('sample_', '')} {value!r}; give a text.")
    return found


def check_metadata(line: Line, where: str) -> Line:
    """What remains of a line, as columns of the samples."""
    tags = line.get("tags")
    if tags is not None and not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
        fail(where, f"has 'tags' = {str(tags)[:60]!r}; give a list of texts.")
    for name in line:
        if _COLUMN.fullmatch(name) and name not in _RESERVED:
            continue
        if name in _RESERVED:
            fail(where, f"has the key {name!r}, which is a column of annobridge's own; rename the key.")
        fail(where, f"has the key {name!r}, which cannot be a column; rename it, without '.' and without '_' in front.")
    return line


def pop_classes(line: Line, where: str) -> list[dict[str, Any]]:
    """Take the image-level classes out of a line, as labels of the field ``categories``."""
    given = line.pop(CATEGORIES, None)
    if given is None:
        return []
    if not isinstance(given, list):
        fail(where, f"has {CATEGORIES!r} = {str(given)[:60]!r}; give a list of classes, or null.")
    return [{"kind": "classification", "extra": {CATEGORIES: value}} for value in dict.fromkeys(map(_hashable, given))]


def _hashable(value: Any) -> Any:
    return str(value) if isinstance(value, list | dict) else value


class ClassKeys:
    """Which key of the labels holds their class, in each field."""

    def __init__(self, told: str | None) -> None:
        self._told = told
        self._seen: set[tuple[str, ...]] = set()  # keys that were found right, after those of their field
        self.of = {CATEGORIES: CATEGORIES}

    def see(self, field: str, names: Iterable[str], where: str) -> None:
        """Look at the keys of some labels of a field. Raises ``InvalidSource`` if it could be two."""
        if (key := (field, *names)) in self._seen:
            return
        self._seen.add(key)
        found = [n for n in names if n == self._told] if self._told else [n for n in names if n in CLASS_KEYS]
        if len(found) > 1:
            fail(
                where,
                f"has {' and '.join(map(repr, found))} in {field!r}; say which is the class with class_key={found[0]!r}.",
            )
        if found and self.of.setdefault(field, found[0]) != found[0]:
            fail(
                where,
                f"has the class of {field!r} in {found[0]!r}, and lines before it in {self.of[field]!r}; use one key.",
            )
