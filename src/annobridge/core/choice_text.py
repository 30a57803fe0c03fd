"""Choices as the plain strings that tools show: a text is itself, any other JSON value is as JSON writes it.

A string that is none of the choices becomes a JSON text all the same, of type string: the bridge then reports it as a value
outside the schema.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any


def plain(value: Any) -> str:
    """The string for a JSON value. ``annobridge.core.attr_text.to_plain`` is the same for a JSON text.

    >>> plain("red"), plain(5), plain(True)
    ('red', '5', 'true')
    """
    return value if isinstance(value, str) else json.dumps(value)


def choice_text(string: str, texts: Mapping[str, str]) -> str:
    """The JSON text that a string of the tool stands for.

    Args:
        string: what the tool has.
        texts: the JSON text of each choice, by the tool's string for it.

    >>> choice_text("5", {"5": "5"}), choice_text("6", {"5": "5"})
    ('5', '"6"')
    """
    return texts[string] if string in texts else json.dumps(string)


def choices_text(strings: Iterable[str], texts: Mapping[str, str]) -> str:
    """The JSON list for several chosen strings; otherwise as ``choice_text``.

    >>> choices_text(["5", "x"], {"5": "5"})
    '[5, "x"]'
    """
    return json.dumps([json.loads(choice_text(string, texts)) for string in strings])
