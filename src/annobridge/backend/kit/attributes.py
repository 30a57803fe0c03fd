"""The ``attributes`` of one label. For whole columns, see ``annobridge.core.attributes``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from ...core.rows import VALUE_TYPES

AttributeRow = dict[str, str]


def attribute_row(name: str, text: str) -> AttributeRow:
    """An attribute as ``LABELS`` stores it, of a value that is a JSON text already.

    >>> attribute_row("size", "1.50")
    {'name': 'size', 'type': 'float', 'value': '1.50'}
    """
    return {"name": name, "type": VALUE_TYPES.get(type(json.loads(text)), "json"), "value": text}


def changed_attributes(before: Iterable[AttributeRow] | None, texts: Mapping[str, str | None]) -> list[AttributeRow]:
    """The attributes of a label after some have changed.

    Args:
        before: the attributes until now, if any; those that ``texts`` does not name stay as they are.
        texts: the new JSON text by name; ``None`` removes the attribute.

    Returns:
        The attributes, sorted by name.
    """
    kept = [a for a in before or () if a["name"] not in texts]
    new = [attribute_row(name, text) for name, text in texts.items() if text is not None]
    return sorted([*kept, *new], key=lambda a: a["name"])
