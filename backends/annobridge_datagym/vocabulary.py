"""The vocabulary: which DataGym class stands for which class of which field, and what is asked of it.

A class of shapes is a class of DataGym's at the root of the label configuration, or below another if its field is nested in that
one's; a classification or scalar is a global classification. A polyline has two classes: a line, and a polygon where it is closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from annobridge.core.schema import Attribute, FieldSchema, LabelSchema

from . import names, values
from .config import DatagymConfig
from .values import Question

Json = dict[str, Any]
SHAPES = {"box": "rectangle", "polygon": "polygon", "mask": "polygon", "polyline": "line", "keypoints": "point"}
GLOBAL = {"classification", "scalar"}
TAG, PLACE = "ab_id", "ab_point"  # the label's id; which of its points a point is
COLOURS = ("#22AA33", "#DD4433", "#3366DD", "#EE9911", "#AA33CC", "#11AAAA", "#886644", "#DD3388", "#99AA11", "#556677")


@dataclass(frozen=True, slots=True)
class Entry:
    """One class of DataGym's. ``label`` is the class of ours; ``None`` of a global classification, whose ``questions`` begin with
    the one that is itself. ``below`` is the key of the class that it is nested in; ``tag`` and ``place`` are the keys of the
    attributes that are not ours.
    """

    key: str
    shown: str
    type: str
    field: str
    label: str | None
    questions: tuple[Question, ...] = ()
    below: str | None = None
    tag: str | None = None
    place: str | None = None
    closed: bool = False

    @property
    def path(self) -> tuple[str, ...]:
        """The keys from the root to it."""
        return (self.key,) if self.below is None else (self.below, self.key)

    def asked(self, below: str | None = None) -> list[Question]:
        """The questions that hang on another, or on the class itself."""
        return [q for q in self.questions if q.below == below]


class Vocabulary:
    """The entries of a run, by the field and class of ours and by DataGym's keys."""

    def __init__(self, entries: Iterable[Entry], kinds: Mapping[str, str], scalars: Mapping[str, str]) -> None:
        self.entries = list(entries)
        self.kinds = dict(kinds)  # field -> kind of its rows
        self.scalars = dict(scalars)  # field -> attribute type of its values
        self.by_path = {e.path: e for e in self.entries}
        self._own: dict[tuple[str, str | None, bool], list[Entry]] = {}
        for entry in self.entries:
            self._own.setdefault((entry.field, entry.label, entry.closed), []).append(entry)

    @classmethod
    def of(cls, schema: LabelSchema, config: DatagymConfig, scalars: Mapping[str, str] | None = None) -> Vocabulary:
        """The vocabulary of a schema."""
        roots: set[str] = set()
        seen: set[str] = set()
        entries: list[Entry] = []
        for spec in schema.fields.values():
            if spec.name not in config.nested_fields:
                entries += _of_field(spec, config, roots, seen)
        for name, outer in config.nested_fields.items():
            for parent in [e for e in entries if e.field == outer and e.below is None]:
                entries += _nested(schema.fields[name], parent, config)
        return cls(entries, {name: spec.kind for name, spec in schema.fields.items()}, scalars or {})

    def of_label(self, field: str, label: str | None, closed: bool, below: str | None = None) -> Entry:
        """The entry of a label of ours. Raises ``KeyError`` where there is none."""
        is_line = self.kinds[field] == "polyline"
        found = self._own[field, None if self.kinds[field] in GLOBAL else label, closed and is_line]
        return next(e for e in found if e.below == below) if below is not None else found[0]

    def fitted(self, there: Sequence[Json]) -> Vocabulary:
        """Without what a label configuration lacks and only some labels need: the class of closed lines, and the attribute that
        says which of its points a keypoint is. With none, it is all there.
        """
        if not there:
            return self
        have = {e["entryKey"].lower(): e for e in there}
        entries = [
            e if e.place is None or _has_place(e, have) else replace(e, place=None)
            for e in self.entries
            if not e.closed or e.key in have
        ]
        return Vocabulary(entries, self.kinds, self.scalars)

    def definition(self) -> list[Json]:
        """The label configuration."""
        return [_defined(e, self.entries, number) for number, e in enumerate(self.entries) if e.below is None]

    def to_dict(self) -> Json:
        """What a receipt keeps."""
        return {"kinds": self.kinds, "scalars": self.scalars, "entries": [asdict(e) for e in self.entries]}

    @classmethod
    def from_dict(cls, stored: Json) -> Vocabulary:
        """What ``to_dict`` gave."""
        return cls([_entry(e) for e in stored["entries"]], stored["kinds"], stored["scalars"])


def _has_place(entry: Entry, have: Mapping[str, Json]) -> bool:
    """Whether a configuration has an entry's attribute for the number of a point, or not even the entry."""
    found: Json | None = have.get(entry.path[0])
    if found is not None and entry.below is not None:
        found = next((c for c in found.get("children") or () if c["entryKey"] == entry.key), None)
    return found is None or any(c["entryKey"] == entry.place for c in found.get("children") or ())


def _of_field(spec: FieldSchema, config: DatagymConfig, roots: set[str], seen: set[str]) -> Iterator[Entry]:
    """``roots`` are the keys, and ``seen`` the names that people read, of classes that are there already."""
    field = config.shown_as.get(spec.name, spec.name)
    if spec.kind in GLOBAL:
        key = names.key(field, roots, "field")
        roots.add(key)
        own = _itself(spec, key, names.shown(field, key))
        asked = _questions(spec.attributes, {key}, config, key)
        yield Entry(key, own.shown, own.type, spec.name, None, (own, *asked))
        return
    for label in spec.classes:
        for closed in (False, True) if spec.kind == "polyline" else (False,):
            name = config.shown_as.get(label, label) + " closed" * closed
            key, shown = names.key(name, ()), names.shown(name, names.key(name, ()))
            if key in roots:  # another field has it: say which this is
                key = names.key(f"{name} {field}", roots)
            if shown in seen:
                shown = names.shown(f"{name} ({field})", key, seen)
            roots.add(key)
            seen.add(shown)
            yield _shape(spec, label, key, key, shown, config, closed=closed)


def _nested(spec: FieldSchema, parent: Entry, config: DatagymConfig) -> Iterator[Entry]:
    taken = {parent.key, TAG, PLACE, *(q.key for q in parent.questions)}
    for label in spec.classes:
        name = config.shown_as.get(label, label)
        key = names.key(name[: names.LONGEST_KEY - 8], taken)
        taken.add(key)
        made = _shape(spec, label, key, parent.key, names.shown(name, key), config, below=parent.key, taken=taken)
        taken |= {q.key for q in made.questions} | {made.tag or "", made.place or ""}
        yield made


def _shape(
    spec: FieldSchema, label: str, key: str, root: str, shown: str, config: DatagymConfig, *, closed: bool = False,
    below: str | None = None, taken: set[str] | None = None,
) -> Entry:  # fmt: skip
    """A class of shapes. Keys are unique in all of the tree below a root, so those of a nested one bear its name."""
    given = tuple(a for a in spec.attributes_of(label) if below is None or a.name != config.parent_attr)
    used = {root, TAG, PLACE} | (taken or set())
    mark = "" if below is None else f"_{key}"
    asked = _questions(given, used, config, None, prefix="" if below is None else f"{key} ")
    shape = "polygon" if closed else SHAPES[spec.kind]
    tag = TAG + mark if config.show_ids else None
    place = PLACE + mark if spec.kind == "keypoints" else None
    return Entry(key, shown, shape, spec.name, label, tuple(asked), below, tag, place, closed)


def _itself(spec: FieldSchema, key: str, shown: str) -> Question:
    """The global classification that a field of classes or values is."""
    if spec.type == "scalar" and not spec.classes:
        return Question(key, shown, values.FREETEXT)
    kind = values.CHECKLIST if spec.type == "classifications" else values.SELECT
    return Question(key, shown, kind, None, values.options(spec.classes))


def _questions(
    attributes: Iterable[Attribute], taken: set[str], config: DatagymConfig, root: str | None, prefix: str = ""
) -> list[Question]:
    """The attributes as questions. One that is asked below another hangs on it; the others hang on ``root``."""
    given, keys, shown = list(attributes), dict[str, str](), dict[str, str]()
    for a in given:
        name = config.shown_as.get(a.name, a.name)
        keys[a.name] = names.key(prefix + name, taken, "attribute")
        taken.add(keys[a.name])
        shown[a.name] = names.shown(name, keys[a.name], shown.values())
    below = {a.name: keys.get(config.nested_attributes.get(a.name, ""), root) for a in given}
    return [values.question(a, keys[a.name], shown[a.name], below[a.name]) for a in given]


def _defined(entry: Entry, entries: list[Entry], number: int) -> Json:
    inner = [_defined(e, entries, n) for n, e in enumerate(entries) if e.below == entry.key]
    if entry.label is None:
        return _asked(entry, entry.questions[0])
    made: Json = {
        "entryKey": entry.key,
        "entryValue": entry.shown,
        "type": entry.type,
        "color": COLOURS[number % len(COLOURS)],
    }
    own = [_text(entry.tag, "id do not edit")] if entry.tag else []
    own += [_text(entry.place, "which point do not edit")] if entry.place else []
    return made | {"children": [*own, *(_asked(entry, q) for q in entry.asked()), *inner]}


def _asked(entry: Entry, question: Question) -> Json:
    return question.definition() | {"children": [_asked(entry, q) for q in entry.asked(question.key)]}


def _text(key: str, shown: str) -> Json:
    return {
        "entryKey": key,
        "entryValue": shown,
        "type": values.FREETEXT,
        "maxLength": 64,
        "required": False,
        "children": [],
    }


def _entry(stored: Json) -> Entry:
    return Entry(**{**stored, "questions": tuple(_question(q) for q in stored["questions"])})


def _question(stored: Json) -> Question:
    a = stored["attribute"]
    return Question(**{**stored, "attribute": a and Attribute(**{**a, "values": tuple(a["values"])})})
