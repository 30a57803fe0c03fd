"""Conditions on labels for views: by attribute, and by the number of labels of a sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..core.rows import attribute
from ..store.tables import quote


@dataclass(frozen=True, slots=True)
class LabelCount:
    """The number of labels of a field on a sample that meet an SQL condition on columns of ``LABELS``; for ``sort_by``.

    >>> LabelCount("predictions", has_attribute("eval", "fp")).field
    'predictions'
    """

    field: str
    where: str = "true"


def has_attribute(name: str, value: Any) -> str:
    """The SQL condition that a label has an attribute with this value; for ``filter_labels``, ``match_labels``, ``LabelCount``.

    >>> print(has_attribute("eval", "fp"))
    array_has(attributes, named_struct('name', 'eval', 'type', 'str', 'value', '"fp"'))
    """
    parts = ", ".join(f"{quote(key)}, {quote(text)}" for key, text in attribute(name, value).items())
    return f"array_has(attributes, named_struct({parts}))"
