"""The vocabulary of a run: which entry of DataGym's label configuration stands for which class of which field.

A class of shapes becomes a geometry entry at the root of the label configuration, or inside another one if its field is nested in
that one's. A field of classifications or scalars becomes a global classification. A class of polylines becomes two entries: a line,
and a polygon for the closed ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from annobridge.core.schema import Attribute, FieldSchema, LabelSchema

from . import classifications, names
from .classifications import CHECKLIST, FREETEXT, SELECT, Classification
from .config import DatagymConfig

Json = dict[str, Any]
GEOMETRY_TYPES = {
    "box": "rectangle",
    "polygon": "polygon",
    "mask": "polygon",
    "polyline": "line",
    "keypoints": "point",
}  # by kind
GLOBAL_KINDS = {"classification", "scalar"}
ID_KEY, POINT_KEY = (
    "ab_id",
    "ab_point",
)  # attributes of our own: the label's id, and which of its label's points a point is
COLORS = ("#22AA33", "#DD4433", "#3366DD", "#EE9911", "#AA33CC", "#11AAAA", "#886644", "#DD3388", "#99AA11", "#556677")


@dataclass(frozen=True, slots=True)
class Entry:
    """One geometry or global classification of the label configuration.

    ``field`` and ``label`` are the field and class that it stands for; ``label`` is ``None`` for a global classification, whose
    own classification is the first of ``classifications``. ``parent`` is the key of the entry that it is nested in. ``id_key`` and
    ``point_key`` are the keys of its attributes for the label's id and the point's number, if it has them.
    """

    key: str
    display_name: str
    type: str
    field: str
    label: str | None
    classifications: tuple[Classification, ...] = ()
    parent: str | None = None
    id_key: str | None = None
    point_key: str | None = None
    closed: bool = False

    @property
    def path(self) -> tuple[str, ...]:
        """The keys from the root to this entry."""
        return (self.key,) if self.parent is None else (self.parent, self.key)

    def children_of(self, classification: str | None = None) -> list[Classification]:
        """The classifications directly inside another one, or directly inside the entry."""
        return [c for c in self.classifications if c.parent == classification]


class Vocabulary:
    """The entries of a run, found by field and class and by DataGym's keys.

    Attributes:
        kinds: the kind of the rows of each field.
        scalar_types: the attribute type of the values of scalar fields, where it is known.
        by_path: the entries by their ``path``.
    """

    def __init__(self, entries: Iterable[Entry], kinds: Mapping[str, str], scalar_types: Mapping[str, str]) -> None:
        self.entries = list(entries)
        self.kinds = dict(kinds)
        self.scalar_types = dict(scalar_types)
        self.by_path = {entry.path: entry for entry in self.entries}
        self._by_label: dict[tuple[str, str | None, bool], list[Entry]] = {}
        for entry in self.entries:
            self._by_label.setdefault((entry.field, entry.label, entry.closed), []).append(entry)

    @classmethod
    def from_schema(
        cls, schema: LabelSchema, config: DatagymConfig, scalar_types: Mapping[str, str] | None = None
    ) -> Vocabulary:
        """The vocabulary of a schema."""
        used_keys: set[str] = set()
        used_names: set[str] = set()
        entries: list[Entry] = []
        for spec in schema.fields.values():
            if spec.name not in config.nested_fields:
                entries += _field_entries(spec, config, used_keys, used_names)
        for name, outer in config.nested_fields.items():
            for parent in [e for e in entries if e.field == outer and e.parent is None]:
                entries += _nested_entries(schema.fields[name], parent, config)
        return cls(entries, {name: spec.kind for name, spec in schema.fields.items()}, scalar_types or {})

    def entry_of(self, field: str, label: str | None, closed: bool, parent: str | None = None) -> Entry:
        """The entry of a label. Raises ``KeyError`` or ``StopIteration`` where there is none."""
        kind = self.kinds[field]
        found = self._by_label[field, None if kind in GLOBAL_KINDS else label, closed and kind == "polyline"]
        return next(e for e in found if e.parent == parent) if parent is not None else found[0]

    def adapted_to(self, existing: Sequence[Json]) -> Vocabulary:
        """Without those entries and attributes that an existing label configuration lacks and that only some labels need.

        These are the polygons of closed lines, and the attribute that says which of its label's points a point is. An empty
        configuration will be filled with all of them, so nothing is left out then.
        """
        if not existing:
            return self
        roots = {e["entryKey"].lower(): e for e in existing}
        entries = [
            e if e.point_key is None or _has_point_key(e, roots) else replace(e, point_key=None)
            for e in self.entries
            if not e.closed or e.key in roots
        ]
        return Vocabulary(entries, self.kinds, self.scalar_types)

    def configuration(self) -> list[Json]:
        """The label configuration, in the form that DataGym imports."""
        return [_entry_configuration(e, self.entries, n) for n, e in enumerate(self.entries) if e.parent is None]

    def to_dict(self) -> Json:
        """What a receipt stores."""
        entries = [
            {
                "key": e.key, "shown": e.display_name, "type": e.type, "field": e.field, "label": e.label,
                "questions": [
                    {
                        "key": c.key, "shown": c.display_name, "type": c.type,
                        "attribute": c.attribute and asdict(c.attribute), "options": dict(c.options), "below": c.parent,
                    }
                    for c in e.classifications
                ],
                "below": e.parent, "tag": e.id_key, "place": e.point_key, "closed": e.closed,
            }
            for e in self.entries
        ]  # fmt: skip
        return {"kinds": self.kinds, "scalars": self.scalar_types, "entries": entries}

    @classmethod
    def from_dict(cls, stored: Json) -> Vocabulary:
        """The vocabulary that ``to_dict`` stored."""
        return cls([_stored_entry(e) for e in stored["entries"]], stored["kinds"], stored["scalars"])


def _stored_entry(stored: Json) -> Entry:
    return Entry(
        stored["key"], stored["shown"], stored["type"], stored["field"], stored["label"],
        tuple(_stored_classification(c) for c in stored["questions"]),
        stored["below"], stored["tag"], stored["place"], stored["closed"],
    )  # fmt: skip


def _stored_classification(stored: Json) -> Classification:
    attribute = stored["attribute"]
    return Classification(
        stored["key"], stored["shown"], stored["type"],
        attribute and Attribute(**{**attribute, "values": tuple(attribute["values"])}),
        stored["options"], stored["below"],
    )  # fmt: skip


def _has_point_key(entry: Entry, roots: Mapping[str, Json]) -> bool:
    """Whether a configuration has an entry's attribute for the number of a point, or not even the entry."""
    found: Json | None = roots.get(entry.path[0])
    if found is not None and entry.parent is not None:
        found = next((c for c in found.get("children") or () if c["entryKey"] == entry.key), None)
    return found is None or any(c["entryKey"] == entry.point_key for c in found.get("children") or ())


# --- from a schema ------------------------------------------------------------------------------------------------------


def _field_entries(
    spec: FieldSchema, config: DatagymConfig, used_keys: set[str], used_names: set[str]
) -> Iterator[Entry]:
    """The entries of a field that is not nested. Adds to the keys and display names that are used at the root."""
    field_name = config.shown_as.get(spec.name, spec.name)
    if spec.kind in GLOBAL_KINDS:
        key = names.key(field_name, used_keys, "field")
        used_keys.add(key)
        display_name = names.display_name(field_name, key)
        if spec.type == "scalar" and not spec.classes:
            own = Classification(key, display_name, FREETEXT)
        else:
            type_ = CHECKLIST if spec.type == "classifications" else SELECT
            own = Classification(key, display_name, type_, None, classifications.options_of(spec.classes))
        attributes = _attribute_classifications(spec.attributes, {key}, config, key)
        yield Entry(key, display_name, own.type, spec.name, None, (own, *attributes))
        return
    for label in spec.classes:
        for closed in (False, True) if spec.kind == "polyline" else (False,):
            name = config.shown_as.get(label, label) + " closed" * closed
            key = names.key(name, ())
            display_name = names.display_name(name, key)
            if key in used_keys:  # by a class of another field: add the name of this one
                key = names.key(f"{name} {field_name}", used_keys)
            if display_name in used_names:
                display_name = names.display_name(f"{name} ({field_name})", key, used_names)
            used_keys.add(key)
            used_names.add(display_name)
            yield _geometry_entry(spec, label, key, display_name, config, closed=closed)


def _nested_entries(spec: FieldSchema, parent: Entry, config: DatagymConfig) -> Iterator[Entry]:
    """The entries of a field whose shapes are nested in those of ``parent``."""
    used_keys = {parent.key, ID_KEY, POINT_KEY, *(c.key for c in parent.classifications)}
    for label in spec.classes:
        name = config.shown_as.get(label, label)
        key = names.key(name[: names.LONGEST_KEY - 8], used_keys)  # leaves room for «ab_id_» before it
        used_keys.add(key)
        display_name = names.display_name(name, key)
        entry = _geometry_entry(spec, label, key, display_name, config, parent=parent.key, used_keys=used_keys)
        used_keys |= {c.key for c in entry.classifications} | {entry.id_key or "", entry.point_key or ""}
        yield entry


def _geometry_entry(
    spec: FieldSchema, label: str, key: str, display_name: str, config: DatagymConfig, *, closed: bool = False,
    parent: str | None = None, used_keys: Iterable[str] = (),
) -> Entry:  # fmt: skip
    """The entry of a class of shapes.

    DataGym wants keys to be unique in the whole tree below a root, so the keys of a nested entry's attributes contain its own.
    """
    attributes = tuple(a for a in spec.attributes_of(label) if parent is None or a.name != config.parent_attr)
    prefix, suffix = ("", "") if parent is None else (f"{key} ", f"_{key}")
    used = {key, ID_KEY, POINT_KEY, *used_keys}
    return Entry(
        key,
        display_name,
        "polygon" if closed else GEOMETRY_TYPES[spec.kind],
        spec.name,
        label,
        tuple(_attribute_classifications(attributes, used, config, None, prefix)),
        parent,
        ID_KEY + suffix if config.show_ids else None,
        POINT_KEY + suffix if spec.kind == "keypoints" else None,
        closed,
    )


def _attribute_classifications(
    attributes: Iterable[Attribute], used_keys: set[str], config: DatagymConfig, root: str | None, prefix: str = ""
) -> list[Classification]:
    """The classifications of attributes: nested in one another as ``nested_attributes`` says, the others in ``root``."""
    given, keys, display_names = list(attributes), dict[str, str](), dict[str, str]()
    for a in given:
        name = config.shown_as.get(a.name, a.name)
        keys[a.name] = names.key(prefix + name, used_keys, "attribute")
        used_keys.add(keys[a.name])
        display_names[a.name] = names.display_name(name, keys[a.name], display_names.values())
    parents = {a.name: keys.get(config.nested_attributes.get(a.name, ""), root) for a in given}
    return [classifications.for_attribute(a, keys[a.name], display_names[a.name], parents[a.name]) for a in given]


# --- the label configuration --------------------------------------------------------------------------------------------


def _entry_configuration(entry: Entry, entries: list[Entry], number: int) -> Json:
    if entry.label is None:
        return _classification_configuration(entry, entry.classifications[0])
    own = [_text_attribute(entry.id_key, "id do not edit")] if entry.id_key else []
    own += [_text_attribute(entry.point_key, "which point do not edit")] if entry.point_key else []
    attributes = [_classification_configuration(entry, c) for c in entry.children_of()]
    nested = [_entry_configuration(e, entries, n) for n, e in enumerate(entries) if e.parent == entry.key]
    return {
        "entryKey": entry.key,
        "entryValue": entry.display_name,
        "type": entry.type,
        "color": COLORS[number % len(COLORS)],
        "children": [*own, *attributes, *nested],
    }


def _classification_configuration(entry: Entry, classification: Classification) -> Json:
    children = [_classification_configuration(entry, c) for c in entry.children_of(classification.key)]
    return classification.configuration() | {"children": children}


def _text_attribute(key: str, display_name: str) -> Json:
    return {
        "entryKey": key,
        "entryValue": display_name,
        "type": FREETEXT,
        "maxLength": 64,
        "required": False,
        "children": [],
    }
