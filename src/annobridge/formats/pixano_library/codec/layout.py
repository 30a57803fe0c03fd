"""Which column of a Pixano dataset holds which part of the labels.

spatial labels     an entity (class and attributes) and its annotation (geometry)
classification(s)  a record attribute: a text, or a list of texts
scalar             a record attribute, of the type of the values
messages           conversations
sample columns     record attributes that are shown in Pixano, and never read back

A layout is stored as JSON: in receipts, and beside exported datasets. Its keys must not change.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

SPATIAL = {  # kind of label -> kind of annotation in Pixano
    "box": "bbox",
    "mask": "mask",
    "segmentation": "mask",
    "polygon": "multi_path",
    "polyline": "multi_path",
    "keypoints": "keypoints",
}
ENTITY_COLUMNS = ("id", "record_id", "parent_id", "category", "label_id", "label_field")
RECORD_COLUMNS = ("id", "split", "created_at", "updated_at", "status", "comment", "sample_id", "sample_file")
SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,199}")  # ids that Pixano can address in a URL
_SAFE_NAME = re.compile(r"[^\W_][\w -]*")
_INT64_END = 1 << 63


@dataclass(frozen=True, slots=True)
class Column:
    """An attribute in Pixano.

    Attributes:
        name: its name in Pixano.
        type: ``str``, ``int``, ``float``, ``bool``, ``list`` (of texts), or ``json`` (JSON in a text).
        kinds: the kinds of labels that have it.
        classes: the classes that have it; ``None`` for all.
        choices: the JSON texts of those choices that are not texts themselves; Pixano shows them as texts.
    """

    name: str
    type: str
    kinds: tuple[str, ...] = ()
    classes: tuple[str, ...] | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a dataset, by the names that they have outside of Pixano.

    Attributes:
        attributes: columns of entities, by attribute name.
        records: columns of records that hold labels, by field.
        shown: columns of records that hold columns of the samples, by name.
        messages: whether there are conversations.
        mask_kind: the kind of label for masks that are drawn in Pixano.
        template: the template of keypoints; ``auto`` for the one with the same number of points.
        samples: record id -> sample id, where they differ.
        category: the column of entities that is the class; ``None`` if the dataset has none.
        has_ids: whether entities have the columns ``label_id`` and ``label_field``, as datasets that annobridge made.
    """

    attributes: Mapping[str, Column] = field(default_factory=dict)
    records: Mapping[str, Column] = field(default_factory=dict)
    shown: Mapping[str, Column] = field(default_factory=dict)
    messages: bool = False
    mask_kind: str = "mask"
    template: str = "auto"
    samples: Mapping[str, str] = field(default_factory=dict)
    category: str | None = "category"
    has_ids: bool = True

    def to_dict(self) -> dict[str, Any]:
        """The layout as a JSON object."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Layout:
        """The layout from what ``to_dict`` returned."""
        tables = ("attributes", "records", "shown")  # receipts of 0.1 have no ``shown``
        columns = {key: {n: _column(c) for n, c in stored.get(key, {}).items()} for key in tables}
        return cls(**{**stored, **columns})


def column_type(type_: pa.DataType) -> str:
    """The ``Column.type`` for an Arrow type; ``json`` for one that Pixano does not have."""
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return "str"
    if pa.types.is_boolean(type_):
        return "bool"
    if pa.types.is_integer(type_) and type_ != pa.uint64():
        return "int"
    if pa.types.is_floating(type_):
        return "float"
    return "list" if pa.types.is_list(type_) and pa.types.is_string(type_.value_type) else "json"


def scalar_type(texts: Iterable[str]) -> str:
    """The narrowest ``Column.type`` that holds all of these JSON texts; ``str`` for none."""
    return narrowest_type(type(v).__name__ if _is_plain(v) else "json" for v in map(json.loads, texts))


def narrowest_type(types: Iterable[str]) -> str:
    """The ``Column.type`` that holds the values of all these types; ``str`` for none."""
    found = set(types)
    if found == {"int", "float"}:
        return "float"
    return found.pop() if len(found) == 1 else "json" if found else "str"


def _is_plain(value: Any) -> bool:
    """Whether a value fits a text, boolean, float or 64 bit integer column."""
    return isinstance(value, bool | float | str) or (isinstance(value, int) and -_INT64_END <= value < _INT64_END)


def legal_names(columns: Mapping[str, Column], reserved: Iterable[str]) -> dict[str, Column]:
    """The columns with names that Pixano accepts, and that differ in more than case from each other and from ``reserved``."""
    taken = {r.casefold() for r in reserved}
    out = {}
    for name, c in columns.items():
        legal = name
        if not _SAFE_NAME.fullmatch(name) or name.startswith("model_") or name.casefold() in taken:
            legal = "attr_" + re.sub(r"\W", "_", name)
        legal = unused_name(legal, lambda n: n.casefold() in taken)
        taken.add(legal.casefold())
        out[name] = Column(legal, c.type, c.kinds, c.classes, c.choices)
    return out


def unused_name(name: str, is_taken: Callable[[str], bool]) -> str:
    """The name, with underscores appended until it is not taken."""
    while is_taken(name):
        name += "_"
    return name


def _column(stored: Mapping[str, Any]) -> Column:
    classes = stored["classes"]
    return Column(
        stored["name"],
        stored["type"],
        tuple(stored["kinds"]),
        None if classes is None else tuple(classes),
        tuple(stored["choices"]),
    )
