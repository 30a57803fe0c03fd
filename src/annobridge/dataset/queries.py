"""Queries on labels, for views: what the SQL of ``filter_labels`` and ``sort_by`` does not say by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..core.rows import attribute
from ..store.tables import quote


@dataclass(frozen=True, slots=True)
class LabelCount:
    """How many labels of a field a sample has, those that meet an SQL condition on the columns of ``LABELS``.

    >>> LabelCount("predictions", has_attribute("eval", "fp")).field
    'predictions'
    """

    field: str
    where: str = "true"


def has_attribute(name: str, value: Any) -> str:
    r"""The SQL condition that a label has an attribute of that value; for ``filter_labels``, ``match_labels``, ``LabelCount``.

    >>> has_attribute("eval", "fp")
    "array_has(attributes, named_struct('name', 'eval', 'type', 'str', 'value', '\"fp\"'))"
    """
    parts = ", ".join(f"{quote(key)}, {quote(text)}" for key, text in attribute(name, value).items())
    return f"array_has(attributes, named_struct({parts}))"
