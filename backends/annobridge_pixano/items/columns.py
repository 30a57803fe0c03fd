"""Columns of a task as attributes of Python classes, which this generation's ``schema.py`` declares."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from dataclasses import replace

from ..layout import Column, Layout, free

TABLES = frozenset({"item", "source", "image", "objects", "conversations", "bboxes", "masks", "keypoints", "messages"})
# What Pixano's classes, and those that they are made of, call their own.
_BASE = frozenset({
    "id", "created_at", "updated_at", "dataset", "table_name", "serialize", "deserialize", "resolve_ref", "none",
    "copy", "dict", "json", "schema", "construct", "validate", "register",
    "to_arrow_schema", "field_names", "safe_get_fields",
})  # fmt: skip
OF_ENTITY = _BASE | {
    "item",
    "view",
    "parent",
    "item_ref",
    "view_ref",
    "parent_ref",
    "category",
    "label_id",
    "label_field",
}
OF_ITEM = _BASE | TABLES | {"split", "sample_id", "to_schemas_data", "from_schemas_data"}
_TYPES = {"str": "str", "json": "str", "int": "int", "float": "float", "bool": "bool", "list": "list[str]"}


def pythonic(layout: Layout) -> Layout:
    """The layout, those columns renamed whose names no Python class can have."""
    attributes, records = _named(layout.attributes, OF_ENTITY), _named(layout.records, OF_ITEM)
    return replace(layout, attributes=attributes, records=records)


def _named(columns: Mapping[str, Column], reserved: frozenset[str]) -> dict[str, Column]:
    taken, out = set(reserved), {}
    for ours, column in columns.items():
        name = re.sub(r"[^A-Za-z0-9_]", "_", column.name)
        if not name[:1].isalpha() or name.startswith("model_") or keyword.iskeyword(name) or name in reserved:
            name = f"attr_{name}"
        name = free(name, lambda n: n.casefold() in taken)
        taken.add(name.casefold())
        out[ours] = replace(column, name=name)
    return out


def schema(layout: Layout) -> str:
    """The text of ``schema.py``: class ``Sample``, with the attributes of items and of their objects."""
    base = "DefaultVQADatasetItem" if layout.messages else "DefaultImageDatasetItem"
    lines = [
        '"""The attributes of a task of annobridge, for `pixano data import --schema schema.py:Sample`."""',
        "",
        f"from pixano.datasets.workspaces import {base}",
        "from pixano.features import Entity",
        "",
        "",
        "class Labelled(Entity):",
        *(f"    {name}: str" for name in ("category", "label_id", "label_field")),
        *(f"    {c.name}: {_TYPES[c.type]}" for c in layout.attributes.values()),
        "",
        "",
        f"class Sample({base}):",
        "    sample_id: str",
        *(f"    {c.name}: {_TYPES[c.type]}" for c in layout.records.values()),
        "    objects: list[Labelled]",
        "",
    ]
    return "\n".join(lines)
