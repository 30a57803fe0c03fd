"""Attribute values: JSON texts <-> strings, the only type that CVAT has for them.

An empty string, and for a checkbox ``false``, mean "not set"; where the label set of an existing project does not allow an empty
string, its default does (``unset_string``). The loss is harmless: a value that nobody changed is taken from the baseline.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from annobridge.backend.kit import plain
from annobridge.core import attr_text
from annobridge.core.schema import Attribute

Spec = dict[str, Any]
UNBOUNDED = ["-2147483648", "2147483647", "1"]  # minimum, maximum and step of a number
_INPUTS = {"select": "select", "radio": "radio", "checkbox": "checkbox", "int": "number"}
MAX_VALUE, MAX_DEFAULT, MAX_NAME = 4096, 128, 64  # characters


def definition(a: Attribute) -> Spec:
    """The attribute as CVAT defines one. Its choices begin with the empty string: CVAT's page refuses every edit of a shape that
    has an attribute outside of its choices.
    """
    kind = input_type(a)
    choices = [_string(v) for v in a.values]
    values = {"checkbox": ["false"], "number": UNBOUNDED, "text": [""]}.get(kind, ["", *(c for c in choices if c)])
    return {"name": a.name, "mutable": a.mutable, "input_type": kind, "default_value": encode(a, None, a.default),
            "values": values}  # fmt: skip


def unset_string(spec: Spec) -> str | None:
    """The string that means "not set" for an attribute that CVAT's page lets nobody leave empty: one with choices, none of them
    empty, or a number whose range has no zero (CVAT reads an empty number as 0). ``None`` where the empty string will do.
    """
    default, choices = str(spec.get("default_value", "")), list(spec.get("values") or ())
    match spec.get("input_type"):
        case "select" | "radio":
            return None if "" in choices or not choices else default if default in choices else str(choices[0])
        case "number":
            if len(choices) < 2 or _is_within("0", choices):  # they are the minimum and the maximum
                return None
            return default if _is_within(default, choices) else str(choices[0])
    return None


def _is_within(number: str, bounds: Sequence[str]) -> bool:
    try:
        return float(bounds[0]) <= float(number) <= float(bounds[1])
    except ValueError:
        return False


def input_type(a: Attribute) -> str:
    """CVAT's input for the attribute. An attribute with choices is a ``select`` or ``radio`` whatever its type; a checklist, which
    CVAT does not have, is a text that holds a JSON list.
    """
    if a.values and a.type not in ("checkbox", "list"):
        return _INPUTS.get(a.type, "select") if a.type in ("select", "radio") else "select"
    return _INPUTS.get(a.type, "text")


def encode(a: Attribute, text: str | None, default: Any = None) -> str:
    """The string for a JSON text; without one, for a default (a JSON value); without either, the one that means "not set"."""
    value = default if text is None else json.loads(text)
    if value is None:
        return "false" if a.type == "checkbox" else ""
    return _string(value)


def decoder(a: Attribute) -> Callable[[str], str | None]:
    """The function that decodes CVAT's strings to JSON texts; ``None`` is "not set". A string that is not of the attribute's type
    becomes a JSON string, which the bridge reports.
    """
    choices = {_string(v): json.dumps(v) for v in a.values} if a.type != "list" else {}

    def decode(string: str) -> str | None:
        if string == "" and "" not in choices:
            return None
        return choices[string] if string in choices else attr_text.from_plain(a.type, string)

    return decode


def misfit(a: Attribute, text: str) -> str | None:
    """Why a value (a JSON text) cannot be sent, or ``None``."""
    if not a.accepts(json.loads(text)):
        return f"is not {a.expects}"
    string = encode(a, text)
    if "\0" in string:
        return "holds a null character, which CVAT does not take"
    return f"has {len(string)} characters, and CVAT keeps {MAX_VALUE}" if len(string) > MAX_VALUE else None


def _string(value: Any) -> str:
    """A JSON value as a plain string, without the white space around it, which CVAT does not keep."""
    return plain(value).strip()


def builtin_value(key: str, text: str) -> bool | int | str:
    """The value, from a JSON text, of one of CVAT's builtin properties: ``occluded``, ``group``, ``z_order`` or ``source``."""
    value = json.loads(text)
    match key:
        case "occluded":
            return bool(value)
        case "source":
            return str(value)
        case _:
            return int(value)


def builtin_string(key: str, value: Any) -> str:
    """A builtin property as the string of an attribute. A group or a layer of 0 means that there is none."""
    match key:
        case "occluded":
            return "true" if value else "false"
        case "source":
            return str(value or "")
        case _:
            return str(value) if value else ""
