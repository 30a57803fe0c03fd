"""The vocabulary: which CVAT label stands for which classes of which fields, and what their attributes are.

One CVAT label serves a class in all fields where it can be told from the shape; a second label, ``class (field)``, is made only
where two fields would have the same shape or other attributes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from annobridge.core.schema import Attribute, FieldSchema, LabelSchema
from annobridge.exceptions import Broken

from . import values

Json = dict[str, Any]
SHAPES = {  # kind of our rows -> type of CVAT's shapes
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
OF_TAGS = {"group", "source"}  # of what CVAT has itself, what tags have
VALUE = "value"  # the attribute of the tag that a scalar is
LONGEST_NAME = 64  # characters


@dataclass(frozen=True, slots=True)
class Entry:
    """One CVAT label. ``label`` is the class (``None`` for a scalar); ``fields`` has the field of each shape type.

    ``own`` are the attributes that CVAT has itself, ``builtin`` their keys on the wire. ``number``, ``attributes`` (name -> number)
    and ``points`` (number of each sublabel, in order) are the server's; ``unset`` has the words that stand for «not set» where
    the server takes no empty one, and ``remade`` the defaults of attributes that were deleted there and made again.
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

    def word(self, a: Attribute, text: str | None) -> str:
        """The server's string for an attribute's JSON text, or for none."""
        return self.unset[a.name] if text is None and a.name in self.unset else values.encode(a, text)

    def definition(self) -> Json:
        """The label as CVAT defines one."""
        kinds = set(self.fields)
        made: Json = {
            "name": self.name,
            "type": kinds.pop() if len(kinds) == 1 else "any",
            "attributes": [values.definition(a) for a in self.definitions],
        }
        if self.skeleton:
            made["sublabels"] = [{"name": name, "type": "points", "attributes": []} for name in self.skeleton]
            made["svg"] = "".join(_svg(self.skeleton, self.edges))
        return made


class Vocabulary:
    """The entries of a run, by the field and class of ours, and by the number of the server."""

    def __init__(self, entries: Iterable[Entry], kinds: Mapping[str, str]) -> None:
        self.entries = list(entries)
        self.kinds = dict(kinds)  # field -> kind of its rows
        self._own = {(f, e.label): e for e in self.entries for f in e.fields.values()}
        self.by_number = {e.number: e for e in self.entries}

    @classmethod
    def of(cls, schema: LabelSchema, builtin: Mapping[str, str]) -> Vocabulary:
        """The vocabulary of a schema; attributes that ``builtin`` names are CVAT's own, and not defined anew."""
        entries: list[Entry] = []
        for spec in schema.fields.values():
            for label in (None,) if spec.type == "scalar" else spec.classes:
                _admit(entries, _entry(spec, label, builtin))
        return cls(entries, {name: spec.kind for name, spec in schema.fields.items()})

    def of_row(self, field_name: str, label: str | None) -> Entry:
        """The entry of a label of ours."""
        return self._own[field_name, None if self.kinds[field_name] == "scalar" else label]

    def known(self, labels: Iterable[Json]) -> Vocabulary:
        """The vocabulary with the numbers that a label set of the server gives it. Raises ``Broken`` where it lacks one."""
        found = {label["name"]: label for label in labels}
        if missing := [e.name for e in self.entries if e.name not in found]:
            raise Broken(
                f"cvat: the label set of the task has no label {missing[0]!r}, which it was given; if somebody renamed or removed "
                "it, undo that in CVAT and resume the run, or abort it."
            )
        return Vocabulary([_numbered(e, found[e.name]) for e in self.entries], self.kinds)

    def to_dict(self) -> Json:
        """What a receipt keeps."""
        return {"kinds": self.kinds, "entries": [_entry_dict(e) for e in self.entries]}

    @classmethod
    def from_dict(cls, stored: Json) -> Vocabulary:
        """What ``to_dict`` gave."""
        return cls([_stored_entry(e) for e in stored["entries"]], stored["kinds"])


def _entry(spec: FieldSchema, label: str | None, builtin: Mapping[str, str]) -> Entry:
    shape = SHAPES[spec.kind]
    if label is None:
        kind = "select" if spec.classes else "text"
        return Entry(spec.name, None, {shape: spec.name}, (Attribute(VALUE, kind, spec.classes),))
    given = spec.attributes_of(label)
    has = {name for name, key in builtin.items() if shape != "tag" or key in OF_TAGS}
    own = tuple(a for a in given if a.name in has)
    rest = tuple(a for a in given if a.name not in has)
    made = Entry(label, label, {shape: spec.name}, rest, own, {a.name: builtin[a.name] for a in own})
    points = spec.skeleton
    return replace(made, skeleton=points.labels, edges=points.edges) if points else made


def _admit(entries: list[Entry], new: Entry) -> None:
    """Add an entry: to one of its name that it can share, or else under a name of its own."""
    ((shape, field_name),) = new.fields.items()
    for at, old in enumerate(entries):
        if old.name == new.name and _share(old, new):
            entries[at] = replace(
                old,
                fields={**old.fields, shape: field_name},
                definitions=_united(old.definitions, new.definitions),
                own=_united(old.own, new.own),
                builtin={**old.builtin, **new.builtin},
            )
            return
    names, wanted = {old.name for old in entries}, new.name
    for number in count(1):
        if wanted not in names:
            break
        wanted = f"{new.name} ({field_name})" if number == 1 else f"{new.name} ({field_name} {number})"
    entries.append(replace(new, name=wanted))


def _united(some: tuple[Attribute, ...], more: tuple[Attribute, ...]) -> tuple[Attribute, ...]:
    return tuple({a.name: a for a in (*some, *more)}.values())


def _share(old: Entry, new: Entry) -> bool:
    mine = {a.name: a for a in (*old.definitions, *old.own)}
    alike = all(mine.get(a.name, a) == a for a in (*new.definitions, *new.own))
    shapes = {*old.fields, *new.fields}
    is_own = "skeleton" in shapes or len(shapes) < len(old.fields) + len(new.fields)
    return old.label is not None and old.label == new.label and alike and not is_own


def _numbered(entry: Entry, label: Json) -> Entry:
    spots = {s["name"]: s["id"] for s in label.get("sublabels") or ()}
    return replace(
        entry,
        number=label["id"],
        attributes={a["name"]: a["id"] for a in label["attributes"]},
        points=tuple(spots[name] for name in entry.skeleton),
        unset={a["name"]: word for a in label["attributes"] if (word := values.instead_of_none(a)) is not None},
    )


def lacking(entry: Entry, labels: Mapping[str, Json]) -> Iterator[str]:
    """What the label set of an existing project lacks for an entry, and could be given."""
    label = labels.get(entry.name)
    if label is None:
        yield f"the label {entry.name!r}"
        return
    there = {a["name"] for a in label["attributes"]}
    yield from (f"the attribute {a.name!r} of {entry.name!r}" for a in entry.definitions if a.name not in there)


def unlike(entry: Entry, labels: Mapping[str, Json]) -> Iterator[str]:
    """What a label set has otherwise than an entry needs it."""
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
    spots = {s["name"] for s in label.get("sublabels") or ()}
    yield from (f"{entry.name!r} has no point {name!r}" for name in entry.skeleton if name not in spots)


def _svg(names: tuple[str, ...], edges: tuple[tuple[int, int], ...]) -> Iterator[str]:
    """The picture of a skeleton that CVAT draws from: its points on a staircase, and the lines between them."""
    places = [(20 + 60 * n / max(len(names) - 1, 1), 20 + 60 * (n % 3) / 2) for n in range(len(names))]
    for a, b in edges:
        (x1, y1), (x2, y2) = places[a], places[b]
        yield (
            f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" data-type="edge" '
            f'data-node-from="{a + 1}" data-node-to="{b + 1}"></line>'
        )
    for n, (name, (x, y)) in enumerate(zip(names, places, strict=True), 1):
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
