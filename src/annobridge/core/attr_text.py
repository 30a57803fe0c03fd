"""Attribute values (JSON texts) as the plain strings that tools without types hold, and back.

>>> to_plain(json.dumps(True)), from_plain("checkbox", "TRUE"), from_plain("text", "007")
('true', 'true', '"007"')
"""

from __future__ import annotations

import json
import math


def to_plain(text: str) -> str:
    """The string for a JSON text: a text is itself, anything else is as JSON has it."""
    value = json.loads(text)
    return value if isinstance(value, str) else text


def from_plain(kind: str, string: str) -> str:
    """The JSON text for a string, by the attribute's type. What is not of that type stays a text, to be reported as such."""
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
