"""How the labels of a task lie in a Pixano dataset: which of its columns hold what. It is kept in the receipt, as JSON.

spatial labels     an entity (class and attributes) with its annotation
classification(s)  a record attribute: one text, or a list of texts
scalar             a record attribute, typed by the values
messages           conversations
columns of samples record attributes that are shown, and never read
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.core.labels import SAMPLES
from annobridge.core.schema import Attribute, FieldSchema, LabelSchema

from .arrays import lengths, one

SPATIAL = {
    "box": "bbox",
    "mask": "mask",
    "segmentation": "mask",
    "polygon": "multi_path",
    "polyline": "multi_path",
    "keypoints": "keypoints",
}
TYPES = {
    "text": "str",
    "select": "str",
    "radio": "str",
    "int": "int",
    "float": "float",
    "number": "float",
    "checkbox": "bool",
    "list": "list",
}
OF_ENTITY = ("id", "record_id", "parent_id", "category", "label_id", "label_field")
OF_RECORD = ("id", "split", "created_at", "updated_at", "status", "comment", "sample_id")
SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,199}")
_SAFE_NAME = re.compile(r"[^\W_][\w -]*")
_LARGEST = 1 << 63


@dataclass(frozen=True, slots=True)
class Column:
    """An attribute of Pixano's: its name and type there, and the labels that have it.

    ``choices`` are the JSON texts of choices that are not texts (the tool shows them as texts).
    """

    name: str
    type: str  # str int float bool list; json: JSON in a str
    kinds: tuple[str, ...] = ()
    classes: tuple[str, ...] | None = None
    choices: tuple[str, ...] = ()

    def spec(self) -> Any:
        """Its declaration in ``dataset.yaml``."""
        if self.type == "list":
            return {"type": "str", "collection": True}
        return "str" if self.type == "json" else self.type


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a task. ``attributes``, ``records`` and ``shown`` go by the names that we have for them."""

    attributes: Mapping[str, Column] = field(default_factory=dict)
    records: Mapping[str, Column] = field(default_factory=dict)
    shown: Mapping[str, Column] = field(default_factory=dict)  # the dataset's own columns of samples
    messages: bool = False
    mask_kind: str = "mask"  # of masks drawn in the tool
    template: str = "auto"  # of keypoints
    samples: Mapping[str, str] = field(default_factory=dict)  # record id -> sample id, where they differ

    @classmethod
    def of(cls, schema: LabelSchema, samples: pa.Table, labels: pa.Table, template: str = "auto") -> Layout:
        """The layout of a task; the same task has the same layout."""
        types = {f.type for f in schema.fields.values()}
        records = named(_records(schema, labels), OF_RECORD)
        return cls(
            attributes=named(_attributes(schema), OF_ENTITY),
            records=records,
            shown=named(_shown(samples), [*OF_RECORD, *(c.name for c in records.values())]),
            messages="messages" in types,
            mask_kind="segmentation" if "segmentation" in types and "instances" not in types else "mask",
            template=template,
            samples=record_ids(samples["sample_id"].to_pylist()),
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON of it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Layout:
        """What ``to_dict`` wrote."""
        tables = ("attributes", "records", "shown")  # receipts of 0.1 have no ``shown``
        columns = {key: {n: _column(c) for n, c in stored.get(key, {}).items()} for key in tables}
        return cls(**{**stored, **columns})

    def dataset(self, name: str, description: str, *, overwrite: bool) -> dict[str, Any]:
        """The text of ``dataset.yaml`` (JSON is YAML)."""
        entity = {"category": "str", "label_id": "str", "label_field": "str"}
        record = {"sample_id": "str"} | {c.name: c.spec() for c in self.shown.values()}
        return {
            "dataset": {
                "name": name,
                "description": description,
                "workspace": "image_vqa" if self.messages else "image",
            },
            "format": "pixano_jsonl",
            "mode": "overwrite" if overwrite else "create",
            "media": {"mode": "embed"},
            "ids": {"policy": "explicit", "namespace": "annobridge"},
            "schema": {
                "views": {"image": "image"},
                "record": {"attrs": record | {c.name: c.spec() for c in self.records.values()}},
                "entity": {"attrs": entity | {c.name: c.spec() for c in self.attributes.values()}},
                "annotations": ["bbox", "mask", "keypoint", "multi_path", *(["message"] if self.messages else [])],
            },
        }


def column_type(type_: pa.DataType) -> str:
    """The type of ``Column`` that holds an Arrow type: its own, or JSON text."""
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return "str"
    if pa.types.is_boolean(type_):
        return "bool"
    if pa.types.is_integer(type_) and type_ != pa.uint64():
        return "int"
    if pa.types.is_floating(type_):
        return "float"
    return "list" if pa.types.is_list(type_) and pa.types.is_string(type_.value_type) else "json"


def record_ids(samples: Iterable[str]) -> dict[str, str]:
    """Record id -> sample id, of the samples whose own id Pixano cannot address."""
    ids = list(samples)
    taken, out = set(ids), {}
    for i, sample in enumerate(ids):
        if not SAFE_ID.fullmatch(sample):
            out[free(f"sample.{i}", taken.__contains__)] = sample
    return out


def free(name: str, taken: Callable[[str], bool]) -> str:
    """The name, or a longer one that is not taken."""
    while taken(name):
        name += "_"
    return name


def conflicts(schema: LabelSchema) -> Iterator[str]:
    """Sentences about attributes that have one name and two types: all labels share one row of columns."""
    seen: dict[str, tuple[str, str]] = {}
    for owner, attribute in _pairs(schema):
        kind, first = seen.setdefault(attribute.name, (TYPES[attribute.type], owner.name))
        if kind != TYPES[attribute.type]:
            yield (
                f"{owner.name}.attributes.{attribute.name}: is a {attribute.type} here and another type in {first}, "
                "and Pixano has one column for both; give it the same type in both fields, or another name."
            )


def _pairs(schema: LabelSchema) -> Iterator[tuple[FieldSchema, Attribute]]:
    for owner in schema.fields.values():
        if owner.kind in SPATIAL:
            for group in (owner.attributes, *owner.class_attributes.values()):
                yield from ((owner, a) for a in group)


def _attributes(schema: LabelSchema) -> dict[str, Column]:
    out: dict[str, Column] = {}
    for owner, a in _pairs(schema):
        classes = None
        if a not in owner.attributes:
            classes = tuple(c for c, own in owner.class_attributes.items() if any(x.name == a.name for x in own))
        choices = (
            tuple(json.dumps(v) for v in a.values if not isinstance(v, str)) if TYPES[a.type] in ("str", "list") else ()
        )
        old = out.get(a.name, Column(a.name, TYPES[a.type], (), classes, ()))
        both = None if classes is None or old.classes is None else _union(old.classes, classes)
        out[a.name] = Column(a.name, old.type, _union(old.kinds, (owner.kind,)), both, _union(old.choices, choices))
    return out


def _union(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(a + b))


def _records(schema: LabelSchema, labels: pa.Table) -> dict[str, Column]:
    out = {}
    for name, f in schema.fields.items():
        if f.type == "scalar":
            values = pc.unique(labels.filter(pc.equal(labels["field"], name))["value"].drop_null()).to_pylist()
            values += map(json.dumps, f.classes)
            out[name] = Column(name, scalar_type(values), ("scalar",))
        elif f.kind == "classification":
            out[name] = Column(name, "str" if f.type == "classification" else "list", ("classification",))
    return out


def _shown(samples: pa.Table) -> dict[str, Column]:
    """The columns of samples that are sent as they are, and their tags if there are any; the split has its own place."""
    out = {
        f.name: Column(f.name, column_type(f.type))
        for f in samples.schema
        if f.name not in SAMPLES.names and not is_split(f)
    }
    if "tags" in samples.column_names and lengths(one(samples["tags"])).any():
        out["tags"] = Column("tags", "list")
    return out


def is_split(column: pa.Field) -> bool:
    """Whether a column of samples says which split each is of."""
    return column.name == "split" and column_type(column.type) == "str"


def scalar_type(values: Iterable[str]) -> str:
    """The narrowest type that holds all of these JSON texts."""
    found = {type(v).__name__ if _holds(v) else "json" for v in map(json.loads, values)}
    if found <= {"int", "float"} and found:
        return "int" if found == {"int"} else "float"
    return found.pop() if len(found) == 1 else "json" if found else "str"


def _holds(value: Any) -> bool:
    return isinstance(value, bool | float | str) or (isinstance(value, int) and -_LARGEST <= value < _LARGEST)


def named(columns: Mapping[str, Column], reserved: Iterable[str]) -> dict[str, Column]:
    """The columns, those renamed whose names Pixano cannot have."""
    taken = {r.casefold() for r in reserved}
    out = {}
    for name, c in columns.items():
        wire = name
        if not _SAFE_NAME.fullmatch(name) or name.startswith("model_") or name.casefold() in taken:
            wire = "attr_" + re.sub(r"\W", "_", name)
        wire = free(wire, lambda n: n.casefold() in taken)
        taken.add(wire.casefold())
        out[name] = Column(wire, c.type, c.kinds, c.classes, c.choices)
    return out


def _column(stored: Mapping[str, Any]) -> Column:
    classes = stored["classes"]
    return Column(
        stored["name"],
        stored["type"],
        tuple(stored["kinds"]),
        None if classes is None else tuple(classes),
        tuple(stored["choices"]),
    )
