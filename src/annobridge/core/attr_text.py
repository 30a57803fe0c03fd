"""Attribute values (JSON text) as the plain strings of tools that have no types, and back.

>>> to_plain(json.dumps(True)), from_plain("checkbox", "TRUE"), from_plain("text", "007")
('true', 'true', '"007"')
"""

from __future__ import annotations

import json
import math


def to_plain(text: str) -> str:
    """The string for a JSON text: the content of a JSON string; anything else stays JSON."""
    value = json.loads(text)
    return value if isinstance(value, str) else text


def from_plain(kind: str, string: str) -> str:
    """The JSON text for a string, by the type of its attribute. A string that is not of that type becomes a JSON string, which
    the merge reports as unexpected.
    """
    match kind:
        case "checkbox":
            lower = string.strip().lower()
            return lower if lower in ("true", "false") else json.dumps(string)
        case "int" | "number":
            return _number(string)
        case "float":
            text = _number(string)
            return text if text.startswith('"') else json.dumps(float(text))
        case "list":
            return _list(string)
    return json.dumps(string)


def _number(string: str) -> str:
    try:
        value = json.loads(string)
    except ValueError:
        value = None
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return string.strip() if is_number else json.dumps(string)


def _list(string: str) -> str:
    try:
        value = json.loads(string)
    except ValueError:
        value = None
    return json.dumps(value) if isinstance(value, list) else json.dumps(string)
