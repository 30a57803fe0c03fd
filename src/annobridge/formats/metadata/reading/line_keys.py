"""The keys of a line that are neither image nor labels, and which key of a label holds its class."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from ..keys import CATEGORIES, LABEL
from .json_lines import Line, fail

CLASS_KEYS = ("category", "categories", "label", "labels")
_OPTIONAL_KEYS = ("split", "view", "record")
_COLUMN = re.compile(r"[^_.][^.]*")
_RESERVED = frozenset({"media_type", "filepath", "frames", "fps"})


def pop_record_keys(line: Line, where: str, id_keys: Iterable[str]) -> dict[str, Any]:
    """Take the id (``sample_id``, from one of ``id_keys``), the split, the view and the record out of a line."""
    found = {name: line.pop(name) for name in _OPTIONAL_KEYS if name in line}
    found["sample_id"] = None
    for key in id_keys:
        if key in line:
            found["sample_id"] = line.pop(key)
    for name, value in found.items():
        if value is not None and (not isinstance(value, str) or not value):
            fail(where, f"has the {name.replace('sample_', '')} {value!r}; give a text.")
    return found


def check_metadata(line: Line, where: str) -> Line:
    """The rest of a line, whose keys become columns of the samples. Raises ``InvalidSource`` for keys that cannot be columns."""
    tags = line.get("tags")
    if tags is not None and not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
        fail(where, f"has 'tags' = {str(tags)[:60]!r}; give a list of texts.")
    for name in line:
        if name in _RESERVED:
            fail(where, f"has the key {name!r}, which is a column of annobridge's own; rename the key.")
        if not _COLUMN.fullmatch(name):
            fail(
                where,
                f"has the key {name!r}, which cannot be a column; rename it, without '.' and without '_' in front.",
            )
    return line


def pop_classes(line: Line, where: str) -> list[dict[str, Any]]:
    """Take the classes of the image out of a line, as labels of the field ``categories``; repeated ones count once."""
    given = line.pop(CATEGORIES, None)
    if given is None:
        return []
    if not isinstance(given, list):
        fail(where, f"has {CATEGORIES!r} = {str(given)[:60]!r}; give a list of classes, or null.")
    distinct = dict.fromkeys(str(value) if isinstance(value, list | dict) else value for value in given)
    return [{"kind": "classification", "extra": {CATEGORIES: value}} for value in distinct]


def pop_class(line: Line) -> list[dict[str, Any]]:
    """Take the class of the image out of a line, as a label of the field ``label``."""
    if type(line.get(LABEL)) not in (str, int):
        return []
    value = line.pop(LABEL)
    return [{"kind": "classification", "extra": {LABEL: value}}] if value not in ("", -1) else []  # -1: not told


class Counts(Counter[str]):
    """Counts of what lines have. Those of several parts of a file are added up."""

    def merge(self, others: Counts) -> None:
        """Add other counts."""
        self.update(others)


class ClassKeys:
    """Which key of the labels holds their class, in each field.

    Args:
        option: the key that the user named, if any.

    Attributes:
        by_field: the keys that were found.
    """

    def __init__(self, option: str | None) -> None:
        self._option = option
        self._checked: set[tuple[str, ...]] = set()  # fields with sets of keys
        self.by_field = {CATEGORIES: CATEGORIES, LABEL: LABEL}

    def __getstate__(self) -> dict[str, Any]:
        """All but what was checked, which is not checked again."""
        return {**self.__dict__, "_checked": set()}

    def check(self, field: str, names: Iterable[str], where: str) -> None:
        """Look for the class among the keys of a label. Raises ``InvalidSource`` for two, or another than before."""
        if (key := (field, *names)) in self._checked:
            return
        self._checked.add(key)
        found = [n for n in names if (n == self._option if self._option else n in CLASS_KEYS)]
        if len(found) > 1:
            fail(
                where,
                f"has {' and '.join(map(repr, found))} in {field!r}; say which is the class with class_key={found[0]!r}.",
            )
        if found and self.by_field.setdefault(field, found[0]) != found[0]:
            fail(
                where,
                f"has the class of {field!r} in {found[0]!r}, and lines before it in {self.by_field[field]!r}; use one key.",
            )
