"""Answers: what results of Label Studio say that is no shape, of a region or of the whole image."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_WORDS = {"true": True, "false": False}
_SEPARATOR = "/"  # between the levels of a taxonomy


def kind_of(type_: str | None, value: Mapping[str, Any]) -> str | None:
    """Which answer a result has, as "choices"; ``None`` for types that no label can hold."""
    if type_ is not None:
        return type_ if type_ in _KEYS else None
    return next((name for name, key in _KEYS.items() if key in value), None)


def attribute(kind: str, value: Mapping[str, Any]) -> Any:
    """The answer as the value of an attribute; ``None`` if it has none. The choices true and false are booleans."""
    given = value.get(_KEYS[kind])
    if kind in ("number", "rating"):
        return given if isinstance(given, int | float) and not isinstance(given, bool) else None
    texts = names(kind, value)
    if len(texts) != 1:
        return texts or None
    return _WORDS.get(texts[0], texts[0]) if kind == "choices" else texts[0]


def names(kind: str, value: Mapping[str, Any]) -> list[str]:
    """The texts of an answer. Those of a taxonomy are its levels with ``/`` between them."""
    given = value.get(_KEYS[kind])
    if kind == "taxonomy" and isinstance(given, list):
        return [_SEPARATOR.join(map(str, path)) for path in given if isinstance(path, list) and path]
    if isinstance(given, str):
        return [given]
    return [text for text in given if isinstance(text, str)] if isinstance(given, list) else []


def scalar(kind: str, value: Mapping[str, Any]) -> str | None:
    """The answer as JSON text of one value of the image; ``None`` if it is none."""
    found = attribute(kind, value)
    return None if found is None else json.dumps(found, ensure_ascii=False)


_KEYS = {
    "choices": "choices", "textarea": "text", "number": "number", "rating": "rating", "taxonomy": "taxonomy",
    "datetime": "datetime",
}  # fmt: skip
