"""Attribute values: our JSON texts <-> CVAT's strings, which are all it knows.

An empty string, and for a checkbox ``false``, stand for «not set»; where the label set of an existing project does not take an
empty string, its default does. What was sent so and is so still never gets here: the decoder keeps what the baseline has.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from annobridge.backend.kit import plain
from annobridge.core import attr_text
from annobridge.core.schema import Attribute

Spec = dict[str, Any]
WHOLE = ["-2147483648", "2147483647", "1"]  # least, most and step of a number without bounds
_INPUTS = {"select": "select", "radio": "radio", "checkbox": "checkbox", "int": "number"}
LONGEST, LONGEST_DEFAULT, LONGEST_NAME = 4096, 128, 64  # characters


def definition(a: Attribute) -> Spec:
    """The attribute as CVAT defines one. Choices begin with none at all: CVAT's page refuses every edit of a shape that has an
    attribute outside its choices.
    """
    kind = input_type(a)
    choices = [_word(v) for v in a.values]
    values = {"checkbox": ["false"], "number": WHOLE, "text": [""]}.get(kind, ["", *(c for c in choices if c)])
    return {"name": a.name, "mutable": a.mutable, "input_type": kind, "default_value": encode(a, None, a.default),
            "values": values}  # fmt: skip


def instead_of_none(spec: Spec) -> str | None:
    """The word for «not set» of an attribute that CVAT's page lets nobody leave empty: choices without an empty one, numbers
    without a zero, as which it reads an empty one. ``None``: the usual word does.
    """
    default, there = str(spec.get("default_value", "")), list(spec.get("values") or ())
    match spec.get("input_type"):
        case "select" | "radio":
            return None if "" in there or not there else default if default in there else str(there[0])
        case "number":
            if len(there) < 2 or _is_within("0", there):
                return None
            return default if _is_within(default, there) else str(there[0])
    return None


def _is_within(word: str, bounds: Sequence[str]) -> bool:
    try:
        return float(bounds[0]) <= float(word) <= float(bounds[1])
    except ValueError:
        return False


def input_type(a: Attribute) -> str:
    """How CVAT asks for the attribute. One of several choices is chosen, whatever its type; any number of them, which CVAT
    cannot ask for, are typed as a JSON list.
    """
    if a.values and a.type not in ("checkbox", "list"):
        return _INPUTS.get(a.type, "select") if a.type in ("select", "radio") else "select"
    return _INPUTS.get(a.type, "text")


def encode(a: Attribute, text: str | None, default: Any = None) -> str:
    """The wire's string for a JSON text, or for a default; of neither, what stands for «not set»."""
    value = default if text is None else json.loads(text)
    if value is None:
        return "false" if a.type == "checkbox" else ""
    return _word(value)


def decoder(a: Attribute) -> Callable[[str], str | None]:
    """The function from the wire's strings to JSON texts. What is not of the type stays text, and is reported as such."""
    choices = {_word(v): json.dumps(v) for v in a.values} if a.type != "list" else {}

    def decode(word: str) -> str | None:
        if word == "" and "" not in choices:
            return None
        return choices[word] if word in choices else attr_text.from_plain(a.type, word)

    return decode


def misfit(a: Attribute, text: str) -> str | None:
    """Why a value cannot be sent, or ``None``."""
    if not a.accepts(json.loads(text)):
        return f"is not {a.expects}"
    word = encode(a, text)
    if "\0" in word:
        return "holds a null character, which CVAT does not take"
    return f"has {len(word)} characters, and CVAT keeps {LONGEST}" if len(word) > LONGEST else None


def _word(value: Any) -> str:
    """``true`` and ``5`` as JSON has them, text as it is, less the space around it, which CVAT does not keep."""
    return plain(value).strip()


def builtin(key: str, text: str) -> bool | int | str:
    """The value of an attribute that CVAT has itself: ``occluded``, ``group``, ``z_order`` or ``source``."""
    value = json.loads(text)
    match key:
        case "occluded":
            return bool(value)
        case "source":
            return str(value)
        case _:
            return int(value)


def builtin_word(key: str, value: Any) -> str:
    """The same as an attribute's string; a group and a layer of 0 are none."""
    match key:
        case "occluded":
            return "true" if value else "false"
        case "source":
            return str(value or "")
        case _:
            return str(value) if value else ""
