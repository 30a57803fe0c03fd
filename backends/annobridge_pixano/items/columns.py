"""The columns of a task as attributes of Python classes, in the ``schema.py`` that the import takes."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from dataclasses import replace

from annobridge.formats.pixano_library.codec.layout import Column, Layout, unused_name

_TABLES = frozenset({"item", "source", "image", "objects", "conversations", "bboxes", "masks", "keypoints", "messages"})
# Attributes of Pixano's classes and their base classes.
_BASE = frozenset({
    "id", "created_at", "updated_at", "dataset", "table_name", "serialize", "deserialize", "resolve_ref", "none",
    "copy", "dict", "json", "schema", "construct", "validate", "register",
    "to_arrow_schema", "field_names", "safe_get_fields",
})  # fmt: skip
_ENTITY_ATTRIBUTES = _BASE | {
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
_ITEM_ATTRIBUTES = _BASE | _TABLES | {"split", "sample_id", "to_schemas_data", "from_schemas_data"}
_TYPES = {"str": "str", "json": "str", "int": "int", "float": "float", "bool": "bool", "list": "list[str]"}


def with_python_names(layout: Layout) -> Layout:
    """The layout with names that attributes of Pixano's classes can have."""
    attributes, records = (
        _python_names(layout.attributes, _ENTITY_ATTRIBUTES),
        _python_names(layout.records, _ITEM_ATTRIBUTES),
    )
    return replace(layout, attributes=attributes, records=records)


def _python_names(columns: Mapping[str, Column], reserved: frozenset[str]) -> dict[str, Column]:
    taken, renamed = set(reserved), {}
    for original, column in columns.items():
        name = re.sub(r"[^A-Za-z0-9_]", "_", column.name)
        if not name[:1].isalpha() or name.startswith("model_") or keyword.iskeyword(name) or name in reserved:
            name = f"attr_{name}"
        name = unused_name(name, lambda n: n.casefold() in taken)
        taken.add(name.casefold())
        renamed[original] = replace(column, name=name)
    return renamed


def schema_module(layout: Layout) -> str:
    """The source of ``schema.py``: the class ``Sample``, with the attributes of items and of their objects."""
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
