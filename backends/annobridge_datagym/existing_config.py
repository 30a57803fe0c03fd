"""A label configuration that annobridge has not made: the label schema that it is, and the vocabulary of a schema that fits it.

A class, an attribute or a choice is found by its key at DataGym, or by what labelers read. Shapes that are nested in others, and
segmentations of images, are left out.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from annobridge.backend.kit import plain
from annobridge.core.schema import Attribute, FieldSchema, LabelSchema

from . import names
from .classifications import CHECKLIST, FREETEXT, SELECT, Classification
from .vocabulary import GEOMETRY_TYPES, GLOBAL_KINDS, ID_KEY, POINT_KEY, Entry, Vocabulary

Json = dict[str, Any]
_FIELDS = {"rectangle": "detections", "polygon": "polygons", "line": "polylines", "point": "keypoints"}
_GLOBALS = {SELECT: "classification", CHECKLIST: "classifications", FREETEXT: "scalar"}
_QUESTIONS = frozenset(_GLOBALS)
_BOOLEAN = {"true", "false"}


# --- the schema of a configuration --------------------------------------------------------------------------------------


def schema_of(entries: Sequence[Json]) -> Json:
    """The label schema that labels of a configuration fill, in the form of the argument of ``annotate``."""
    fields: Json = {}
    classes: dict[str, dict[str, Json]] = defaultdict(dict)
    for entry in sorted(entries, key=lambda e: str(e["entryKey"])):
        type_ = _type(entry)
        if type_ in _FIELDS:
            classes[_FIELDS[type_]][entry["entryKey"]] = _attributes(entry)
        elif type_ in _QUESTIONS:
            fields[_identifier(entry["entryKey"])] = _global_field(entry)
    for name, found in classes.items():
        alike = len({json.dumps(a, sort_keys=True) for a in found.values()}) == 1
        shared = next(iter(found.values())) if alike else {}
        listed = [key if alike or not own else {"classes": [key], "attributes": own} for key, own in found.items()]
        fields[name] = {"type": name, "classes": listed, **({"attributes": shared} if shared else {})}
    return fields


def _global_field(entry: Json) -> Json:
    kind = _GLOBALS[_type(entry)]
    spec: Json = {"type": kind}
    if kind != "scalar":
        spec["classes"] = sorted(entry.get("options") or {})
    if kind == "classification" and (own := _attributes(entry)):
        spec["attributes"] = own
    return spec


def _attributes(entry: Json) -> Json:
    found: Json = {}
    for child in sorted(_questions(entry), key=lambda c: str(c["entryKey"])):
        options = sorted(child.get("options") or {})
        match _type(child):
            case "select" if set(options) == _BOOLEAN:
                found[child["entryKey"]] = {"type": "checkbox"}
            case "select":
                found[child["entryKey"]] = {"type": "select", "values": options}
            case "checklist":
                found[child["entryKey"]] = {"type": "list", "values": options}
            case _:
                found[child["entryKey"]] = {"type": "text"}
    return found


def _questions(entry: Json) -> Iterator[Json]:
    """The classifications of an entry, and those nested in them, without those of our own."""
    for child in entry.get("children") or ():
        if _type(child) in _QUESTIONS and child["entryKey"] not in (ID_KEY, POINT_KEY):
            yield child
            yield from _questions(child)


def _type(entry: Json) -> str:
    return str(entry["type"]).lower()


def _identifier(key: str) -> str:
    name = re.sub(r"\W", "_", key)
    return name if name.isidentifier() else f"_{name}"


# --- the vocabulary of a schema -----------------------------------------------------------------------------------------


def vocabulary_of(schema: LabelSchema, entries: Sequence[Json]) -> tuple[Vocabulary, list[str]]:
    """The vocabulary of a schema with the keys of a configuration, and sentences about what the one has and the other lacks."""
    finder = _Finder(entries)
    for spec in schema.fields.values():
        if spec.kind in GLOBAL_KINDS:
            finder.add_global(spec)
        else:
            finder.add_shapes(spec)
    unused = sorted(str(e["entryKey"]) for e in entries if _is_adopted(e) and e["entryKey"] not in finder.used)
    if unused:
        finder.problems.append(
            f"The label schema lacks {', '.join(map(repr, unused))}, which the project has; add them."
        )
    kinds = {name: spec.kind for name, spec in schema.fields.items()}
    return Vocabulary(finder.entries, kinds, {}), finder.problems


def _is_adopted(entry: Json) -> bool:
    return _type(entry) in _FIELDS or _type(entry) in _QUESTIONS


@dataclass
class _Finder:
    """Finds the fields of a schema in a configuration, one after another."""

    existing: Sequence[Json]
    entries: list[Entry] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def add_global(self, spec: FieldSchema) -> None:
        """A field of labels of whole images."""
        roots = [e for e in self.existing if _type(e) in _QUESTIONS]
        entry = _named(roots, spec.name) or next((e for e in roots if _identifier(e["entryKey"]) == spec.name), None)
        if entry is None:
            self.problems.append(f"{spec.name}: the project has no classification of this name, for the whole image.")
            return
        key, shown, type_ = str(entry["entryKey"]), str(entry.get("entryValue") or ""), _type(entry)
        expected = {t for t, name in _GLOBALS.items() if name == spec.type} | (
            {SELECT} if spec.type == "scalar" else set()
        )
        if type_ not in expected:
            self.problems.append(f"{spec.name}: is a {type_} in the project, which is a field of {_GLOBALS[type_]}.")
            return
        options = self._options(spec.name, entry, spec.classes)
        if spec.type != "scalar" and (more := sorted(set(entry.get("options") or {}) - set(options))):
            self.problems.append(
                f"{spec.name}: the project has the classes {', '.join(more)}, which the schema lacks; add them."
            )
        own = Classification(key, shown, type_, None, options)
        attributes = self._attributes(spec.name, entry, spec.attributes, key)
        self.used.add(key)
        self.entries.append(Entry(key, shown, type_, spec.name, None, (own, *attributes)))

    def add_shapes(self, spec: FieldSchema) -> None:
        """A field of shapes."""
        type_ = GEOMETRY_TYPES.get(spec.kind)
        roots = [e for e in self.existing if _type(e) == type_ and e["entryKey"] not in self.used]
        for label in spec.classes:
            entry = _named(roots, label)
            if entry is None:
                self.problems.append(f"{spec.name}: the project has no {type_} class {label!r}.")
                continue
            self._add_class(spec, label, entry, closed=False)
            if spec.kind == "polyline":
                polygons = [e for e in self.existing if _type(e) == "polygon"]
                if (other := _named(polygons, f"{label} closed")) is not None:
                    self._add_class(spec, label, other, closed=True)

    def _add_class(self, spec: FieldSchema, label: str, entry: Json, *, closed: bool) -> None:
        key = str(entry["entryKey"])
        own = {c["entryKey"] for c in entry.get("children") or ()}
        attributes = self._attributes(f"{spec.name}.{label}", entry, spec.attributes_of(label), None)
        self.used.add(key)
        self.entries.append(
            Entry(
                key, str(entry.get("entryValue") or ""), _type(entry), spec.name, label, tuple(attributes), None,
                ID_KEY if ID_KEY in own else None, POINT_KEY if POINT_KEY in own else None, closed,
            )
        )  # fmt: skip

    def _attributes(
        self, where: str, entry: Json, wanted: Iterable[Attribute], root: str | None
    ) -> list[Classification]:
        children = list(_questions(entry))
        parents = {c["entryKey"]: parent for parent, c in _nested(entry, root)}
        found = []
        for attribute in wanted:
            child = _named(children, attribute.name)
            if child is None:
                self.problems.append(f"{where}: the project has no attribute {attribute.name!r} there.")
                continue
            key, type_ = str(child["entryKey"]), _type(child)
            if type_ != _expected(attribute):
                self.problems.append(
                    f"{where}: the attribute {attribute.name!r} is a {type_} in the project, and a {attribute.type} would be a "
                    f"{_expected(attribute)}."
                )
            values = (True, False) if attribute.type == "checkbox" else attribute.values
            options = self._options(f"{where}.{attribute.name}", child, values)
            found.append(
                Classification(key, str(child.get("entryValue") or ""), type_, attribute, options, parents[key])
            )
        return found

    def _options(self, where: str, entry: Json, values: Iterable[Any]) -> dict[str, str]:
        """The key of each value of the schema, with its JSON text."""
        found: dict[str, str] = {}
        there: Mapping[str, str] = entry.get("options") or {}
        missing = []
        for value in values:
            text = plain(value)
            key = next((k for k, shown in there.items() if text in (k, shown) or names.option_key(text, ()) == k), None)
            if key is None:
                missing.append(text)
            else:
                found[key] = json.dumps(value)
        if missing and _type(entry) != FREETEXT:
            self.problems.append(
                f"{where}: the project has no choice {', '.join(map(repr, missing))}; it has {', '.join(sorted(there))}."
            )
        return found


def _named(entries: Sequence[Json], name: str) -> Json | None:
    """The entry of a name: by its key, or by what labelers read."""
    keys = (name, name.lower(), names.key(name, ()))
    by_key = next((e for key in keys for e in entries if e["entryKey"] == key), None)
    return by_key or next((e for e in entries if e.get("entryValue") == name), None)


def _nested(entry: Json, parent: str | None) -> Iterator[tuple[str | None, Json]]:
    for child in entry.get("children") or ():
        if _type(child) in _QUESTIONS:
            yield parent, child
            yield from _nested(child, str(child["entryKey"]))


def _expected(attribute: Attribute) -> str:
    """The type of classification that an attribute needs."""
    if attribute.type == "checkbox":
        return SELECT
    if attribute.values:
        return CHECKLIST if attribute.type == "list" else SELECT
    return FREETEXT
