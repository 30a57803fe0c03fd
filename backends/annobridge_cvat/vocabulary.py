"""The vocabulary of a run: which CVAT label stands for which class of which fields, and with which attributes.

One CVAT label serves for a class in all fields whose shapes are of different types, since the type then tells the field. A
second label, ``class (field)``, is made where two fields have the same type of shape, or unlike attributes of one name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.core.arrays import Bools, as_mask
from annobridge.core.schema import Attribute, FieldSchema, LabelSchema
from annobridge.exceptions import Broken

from . import values

Json = dict[str, Any]
SHAPE_TYPES = {  # kind of a label -> type of CVAT's shape
    "box": "rectangle",
    "mask": "mask",
    "segmentation": "mask",
    "polygon": "polygon",
    "polyline": "polyline",
    "keypoints": "points",
    "skeleton": "skeleton",
    "ellipse": "ellipse",
    "cuboid": "cuboid",
    "classification": "tag",
    "scalar": "tag",
}
TAG_BUILTINS = {"group", "source"}  # the builtin properties that tags have, too
VALUE = "value"  # a scalar is a tag with this attribute
MAX_NAME = 64  # characters


@dataclass(frozen=True, slots=True)
class Entry:
    """One CVAT label.

    Attributes:
        name: its name in CVAT.
        label: the class that it stands for; ``None`` for a scalar field.
        fields: the label field for each type of shape.
        definitions: the attributes that are defined in CVAT.
        own: the attributes that are builtin properties of CVAT's shapes.
        builtin: the key of each of those in CVAT's annotations, by the name of the attribute.
        skeleton: the names of a skeleton's points.
        edges: the lines between these points.
        number: the server's id of the label.
        attributes: the server's id of each attribute in ``definitions``, by name.
        points: the server's id of each point of the skeleton, in order.
        unset: the string that means "not set", of attributes for which the server takes no empty one.
        remade: the defaults, as strings, of attributes that were deleted on the server and made again.
    """

    name: str
    label: str | None
    fields: dict[str, str]
    definitions: tuple[Attribute, ...]
    own: tuple[Attribute, ...] = ()
    builtin: dict[str, str] = field(default_factory=dict)
    skeleton: tuple[str, ...] = ()
    edges: tuple[tuple[int, int], ...] = ()
    number: int = 0
    attributes: dict[str, int] = field(default_factory=dict)
    points: tuple[int, ...] = ()
    unset: dict[str, str] = field(default_factory=dict)
    remade: dict[str, str] = field(default_factory=dict)

    def encode(self, a: Attribute, text: str | None) -> str:
        """The server's string for a JSON text of an attribute, or for no value."""
        return self.unset[a.name] if text is None and a.name in self.unset else values.encode(a, text)

    def definition(self) -> Json:
        """The label as CVAT's API takes it in a label set."""
        types = set(self.fields)
        made: Json = {
            "name": self.name,
            "type": types.pop() if len(types) == 1 else "any",
            "attributes": [values.definition(a) for a in self.definitions],
        }
        if self.skeleton:
            made["sublabels"] = [{"name": name, "type": "points", "attributes": []} for name in self.skeleton]
            made["svg"] = "".join(_svg(self.skeleton, self.edges))
        return made


def rows_of(labels: pa.Table, entry: Entry) -> Bools:
    """Which rows are of an entry: of one of its fields, and of its class."""
    in_fields = pc.is_in(labels["field"], value_set=pa.array([*entry.fields.values()], pa.string()))
    return as_mask(in_fields if entry.label is None else pc.and_(in_fields, pc.equal(labels["label"], entry.label)))


class Vocabulary:
    """The entries of a run.

    ``kinds`` are the kinds of labels by field; ``by_number`` has the entries by the server's id.
    """

    def __init__(self, entries: Iterable[Entry], kinds: Mapping[str, str]) -> None:
        self.entries = list(entries)
        self.kinds = dict(kinds)
        self._by_class = {(f, e.label): e for e in self.entries for f in e.fields.values()}
        self.by_number = {e.number: e for e in self.entries}

    @classmethod
    def of(cls, schema: LabelSchema, builtin: Mapping[str, str]) -> Vocabulary:
        """The vocabulary of a schema, without ids. ``builtin`` has the attributes that are builtin properties of CVAT, by name."""
        entries: list[Entry] = []
        for spec in schema.fields.values():
            for label in (None,) if spec.type == "scalar" else spec.classes:
                _admit(entries, _entry(spec, label, builtin))
        return cls(entries, {name: spec.kind for name, spec in schema.fields.items()})

    def entry_of(self, field_name: str, label: str | None) -> Entry:
        """The entry for a field and a class."""
        return self._by_class[field_name, None if self.kinds[field_name] == "scalar" else label]

    def find(self, field_name: str | None, label: str | None) -> Entry | None:
        """The entry for a field and a class; ``None`` if there is none."""
        is_scalar = field_name is not None and self.kinds.get(field_name) == "scalar"
        return self._by_class.get((field_name or "", None if is_scalar else label))

    def with_ids(self, labels: Iterable[Json]) -> Vocabulary:
        """The vocabulary with the ids of a label set of the server. Raises ``Broken`` where a label is missing there."""
        found = {label["name"]: label for label in labels}
        if missing := [e.name for e in self.entries if e.name not in found]:
            raise Broken(
                f"cvat: the label set of the task has no label {missing[0]!r}, which it was given; if somebody renamed or removed "
                "it, undo that in CVAT and resume the run, or abort it."
            )
        return Vocabulary([_with_ids(e, found[e.name]) for e in self.entries], self.kinds)

    def to_dict(self) -> Json:
        """The JSON object that is kept in the receipt."""
        return {"kinds": self.kinds, "entries": [_entry_dict(e) for e in self.entries]}

    @classmethod
    def from_dict(cls, stored: Json) -> Vocabulary:
        """The vocabulary from ``to_dict``'s object."""
        return cls([_stored_entry(e) for e in stored["entries"]], stored["kinds"])


def _entry(spec: FieldSchema, label: str | None, builtin: Mapping[str, str]) -> Entry:
    shape = SHAPE_TYPES[spec.kind]
    if label is None:
        kind = "select" if spec.classes else "text"
        return Entry(spec.name, None, {shape: spec.name}, (Attribute(VALUE, kind, spec.classes),))
    given = spec.attributes_of(label)
    has = {name for name, key in builtin.items() if shape != "tag" or key in TAG_BUILTINS}
    own = tuple(a for a in given if a.name in has)
    rest = tuple(a for a in given if a.name not in has)
    made = Entry(label, label, {shape: spec.name}, rest, own, {a.name: builtin[a.name] for a in own})
    points = spec.skeleton
    return replace(made, skeleton=points.labels, edges=points.edges) if points else made


def _admit(entries: list[Entry], new: Entry) -> None:
    """Add an entry: merged with one of its name if they can be one CVAT label, or else under another name."""
    ((shape, field_name),) = new.fields.items()
    for at, old in enumerate(entries):
        if old.name == new.name and _can_merge(old, new):
            entries[at] = replace(
                old,
                fields={**old.fields, shape: field_name},
                definitions=_merged(old.definitions, new.definitions),
                own=_merged(old.own, new.own),
                builtin={**old.builtin, **new.builtin},
            )
            return
    names, wanted = {old.name for old in entries}, new.name
    for number in count(1):
        if wanted not in names:
            break
        wanted = f"{new.name} ({field_name})" if number == 1 else f"{new.name} ({field_name} {number})"
    entries.append(replace(new, name=wanted))


def _merged(some: tuple[Attribute, ...], more: tuple[Attribute, ...]) -> tuple[Attribute, ...]:
    return tuple({a.name: a for a in (*some, *more)}.values())


def _can_merge(old: Entry, new: Entry) -> bool:
    defined = {a.name: a for a in (*old.definitions, *old.own)}
    alike = all(defined.get(a.name, a) == a for a in (*new.definitions, *new.own))
    shapes = {*old.fields, *new.fields}
    overlap = len(shapes) < len(old.fields) + len(new.fields)
    return old.label is not None and old.label == new.label and alike and not overlap and "skeleton" not in shapes


def _with_ids(entry: Entry, label: Json) -> Entry:
    points = {s["name"]: s["id"] for s in label.get("sublabels") or ()}
    return replace(
        entry,
        number=label["id"],
        attributes={a["name"]: a["id"] for a in label["attributes"]},
        points=tuple(points[name] for name in entry.skeleton),
        unset={a["name"]: string for a in label["attributes"] if (string := values.unset_string(a)) is not None},
    )


def missing_in(entry: Entry, labels: Mapping[str, Json]) -> Iterator[str]:
    """What a label set does not have of an entry, and could be added to it."""
    label = labels.get(entry.name)
    if label is None:
        yield f"the label {entry.name!r}"
        return
    there = {a["name"] for a in label["attributes"]}
    yield from (f"the attribute {a.name!r} of {entry.name!r}" for a in entry.definitions if a.name not in there)


def conflicts_with(entry: Entry, labels: Mapping[str, Json]) -> Iterator[str]:
    """What a label set has in another form than an entry needs."""
    if (label := labels.get(entry.name)) is None:
        return
    if label["type"] not in ("any", entry.definition()["type"]):
        yield f"the label {entry.name!r} is for {label['type']}"
    there = {a["name"]: a for a in label["attributes"]}
    for wanted in entry.definition()["attributes"]:
        found = there.get(wanted["name"], wanted)
        if any(found[key] != wanted[key] for key in ("input_type", "mutable")):
            how = "mutable" if found["mutable"] else "not mutable"
            yield f"the attribute {wanted['name']!r} of {entry.name!r} is a {found['input_type']}, {how}"
        elif wanted["input_type"] in ("select", "radio") and not set(wanted["values"]) - {""} <= set(found["values"]):
            yield f"the attribute {wanted['name']!r} of {entry.name!r} has the choices {', '.join(found['values'])}"
    points = {s["name"] for s in label.get("sublabels") or ()}
    yield from (f"{entry.name!r} has no point {name!r}" for name in entry.skeleton if name not in points)


def _svg(names: tuple[str, ...], edges: tuple[tuple[int, int], ...]) -> Iterator[str]:
    """The elements of the SVG image that defines a skeleton's layout in CVAT: its points on a staircase, and its edges."""
    positions = [(20 + 60 * n / max(len(names) - 1, 1), 20 + 60 * (n % 3) / 2) for n in range(len(names))]
    for a, b in edges:
        (x1, y1), (x2, y2) = positions[a], positions[b]
        yield (
            f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" data-type="edge" '
            f'data-node-from="{a + 1}" data-node-to="{b + 1}"></line>'
        )
    for n, (name, (x, y)) in enumerate(zip(names, positions, strict=True), 1):
        yield (
            f'<circle r="0.75" cx="{x:g}" cy="{y:g}" data-type="element node" data-element-id="{n}" '
            f'data-node-id="{n}" data-label-name="{_escaped(name)}"></circle>'
        )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def _entry_dict(e: Entry) -> Json:
    names = ("name", "label", "fields", "builtin", "skeleton", "number", "attributes", "points", "unset")
    kept = {n: getattr(e, n) for n in names}
    return {**kept, "definitions": list(map(_attribute_dict, e.definitions)), "own": list(map(_attribute_dict, e.own))}


def _attribute_dict(a: Attribute) -> Json:
    return {n: getattr(a, n) for n in ("name", "type", "values", "default", "mutable")}


def _stored_entry(stored: Json) -> Entry:
    made = {
        n: tuple(Attribute(**{**a, "values": tuple(a["values"])}) for a in stored[n]) for n in ("definitions", "own")
    }
    return Entry(**{**stored, **made, **{n: tuple(stored[n]) for n in ("skeleton", "points")}})
