"""The types of scalar fields. A schema does not give them, so where a tool stores texts only, ``upload`` learns them from the
values that are sent and keeps them in the receipt, for ``download`` to decode with.
"""

from __future__ import annotations

import json
from collections.abc import Collection

import pyarrow.compute as pc

from ..values import Task


def value_types(task: Task) -> dict[str, set[type]]:
    """The Python types of the values (``bool``, ``int``, ``float``, ``str``, …) of each scalar field of the schema; an empty set
    for a field without values in this task.
    """
    found: dict[str, set[type]] = {}
    for spec in task.schema.fields.values():
        if spec.type == "scalar":
            texts = pc.unique(task.labels.filter(pc.equal(task.labels["field"], spec.name))["value"].drop_null())
            found[spec.name] = {type(json.loads(text)) for text in texts.to_pylist()} - {type(None)}
    return found


def attribute_type(types: Collection[type]) -> str:
    """The attribute type for values of these types: ``"text"`` where there are none, or they are of several.

    The result is what ``annobridge.core.attr_text.from_plain`` takes.

    >>> attribute_type({int}), attribute_type({int, float}), attribute_type({bool, int}), attribute_type(())
    ('int', 'number', 'text', 'text')
    """
    found = set(types)
    if found == {int, float}:
        return "number"
    return {bool: "checkbox", int: "int", float: "float"}.get(found.pop(), "text") if len(found) == 1 else "text"
