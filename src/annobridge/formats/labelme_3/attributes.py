"""LabelMe's text of attributes: ``name=value, name=value``."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

_INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})")
_FLOAT = re.compile(r"-?(0|[1-9]\d*)\.\d+([eE][-+]?\d+)?|-?[1-9](\.\d+)?[eE][-+]?\d+")
_NOT_XML = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")
_COMMA, _ESCAPED = re.compile(r"(?<!\\),"), re.compile(r'\\([",])')  # as CVAT writes these in a value
_MARKS = re.compile(r'([",])')
_WORDS = {"true": True, "false": False}
_DECODER = json.JSONDecoder()
_MOST = 1 << 20  # characters of a text that is read


def parse(text: str) -> dict[str, Any]:
    r"""The attributes of a text. A word without a value is true; after a text, it is the rest of that text, as only CVAT
    escapes commas and quotes. Values that look like JSON strings, lists and objects are read as such: so
    this module writes what is not plain.

    >>> parse("color=red, blue, n=2.0"), parse("parked, n=2.0, wet")
    ({'color': 'red, blue', 'n': 2.0}, {'parked': True, 'n': 2.0, 'wet': True})
    >>> parse('a="x, y", b=[1, 2], c=007')
    {'a': 'x, y', 'b': [1, 2], 'c': '007'}
    >>> parse(r'a=the \"x\"\, y, b=1')
    {'a': 'the "x", y', 'b': 1}
    """
    found: dict[str, Any] = {}
    last, raw = "", ""  # the last plain value, which a word may go on with
    at, text = 0, text[:_MOST]
    while at < len(text):
        if text[at] in ", \t\r\n":
            at += 1
            continue
        name, at = _name(text, at)
        if at >= len(text) or text[at] != "=":
            if last and isinstance(found[last], str):
                raw = f"{raw}, {name}"
                found[last] = _typed(raw)
            elif name:
                found[name] = True
            continue
        quoted = _json(text, at + 1)
        if quoted is not None:
            value, at = quoted
            last = ""
            found[name] = value
        else:
            comma = _COMMA.search(text, at)
            end = comma.start() if comma else len(text)
            raw, last = _ESCAPED.sub(r"\1", text[at + 1 : end].strip()), name
            found[name], at = _typed(raw), end
    return {name: value for name, value in found.items() if name}


def text_of(values: Mapping[str, Any]) -> str:
    r"""The text of attributes, which ``parse`` reads as the same values. Commas and quotes are escaped as CVAT does.

    >>> text_of({"color": "red", "n": 2.0, "id": "007", "list": "a, b", "ok": True})
    'color=red, n=2.0, id=007, list=a\\, b, ok=true'
    """
    return ", ".join(f"{_plain_name(name)}={_plain(value)}" for name, value in values.items())


def _name(text: str, at: int) -> tuple[str, int]:
    if text[at] == '"' and (quoted := _json(text, at, "=,")) is not None and isinstance(quoted[0], str):
        return quoted
    end = min((place for mark in "=," if (place := text.find(mark, at)) >= 0), default=len(text))
    return text[at:end].strip(), end


def _json(text: str, at: int, after: str = ",") -> tuple[Any, int] | None:
    """The JSON value that begins at a place and where it ends; ``None`` if there is none, or it is not all of the value."""
    if text[at : at + 1] not in ('"', "[", "{"):
        return None
    try:
        value, end = _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None
    rest = text[end:].lstrip()
    return (value, len(text) - len(rest)) if not rest or rest[0] in after else None


def _typed(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text


def _plain(value: Any) -> str:
    if not isinstance(value, str):
        return _dumped(value)
    escaped = _MARKS.sub(r"\\\1", value)
    is_plain = value == value.strip() and not _ESCAPED.search(value) and not value.endswith("\\")
    is_plain = is_plain and _json(escaped, 0) is None and _typed(value) == value
    return escaped if is_plain and is_xml(value) else _dumped(value)


def _plain_name(name: str) -> str:
    is_plain = not any(mark in name for mark in '=,"') and name == name.strip()
    return name if is_plain and is_xml(name) else _dumped(name)


def _dumped(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if is_xml(text) else json.dumps(value)


def is_xml(text: str) -> bool:
    """Whether XML can hold a text as it is."""
    return _NOT_XML.search(text) is None
