"""Refusals as sentences for annotators, from rows of the changes of a plan."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .labels import ATTRIBUTE_PREFIX

_LONGEST = 80  # characters of a value


def what_was_refused(change: Mapping[str, Any]) -> str:
    """A change as the rest of a sentence that begins with "Refused:", as ``"class car → bus"``.

    Args:
        change: the columns ``kind``, ``component``, ``shape``, ``label``, ``class_from``, ``class_to``, ``base``, ``theirs`` (JSON
            texts), and ``shift`` (pixels) of a change; those that are not there count as null.

    >>> what_was_refused({"kind": "edit", "component": "label", "class_from": "car", "class_to": "bus"})
    'class car → bus'
    >>> what_was_refused({"kind": "edit", "component": "attributes.color", "base": '"red"', "theirs": None, "label": "car"})
    'color of the car: red → no value'
    """
    component, label = change["component"], change.get("label")
    noun = _noun(change)
    match component:
        case "existence":
            # Of a conflict, the second word is what was done here.
            return f"{'new' if _kind(change) == 'add' else 'deletion of the'} {noun}"
        case "label":
            before, after = change.get("class_from"), change.get("class_to")
            if before != after:
                return f"class {before or 'unknown'} → {after or 'none'}"
            # Without a class it is a scalar; with the same one as before, a message.
            return f"value {_sides(change)}" if label is None else f"new words of the {noun}"
        case "spatial":
            shift = change.get("shift")
            return f"new place or outline of the {noun}" + (
                f", moved by {shift:.0f} pixels" if shift and shift >= 1 else ""
            )
        case "index":
            return f"track or position of the {noun}: {_sides(change)}"
    name = str(component).removeprefix(ATTRIBUTE_PREFIX)
    return f"{name} of the {label or noun}: {_sides(change)}"


def message(change: Mapping[str, Any], note: str | None = None, by: str | None = None) -> str:
    """The sentence for the annotator: what was refused, the reviewer's note, and who refused it.

    >>> change = {"kind": "edit", "component": "label", "class_from": "car", "class_to": "bus"}
    >>> message(change, "Look at the plate", "alice")
    'Refused: class car → bus. “Look at the plate” (alice)'
    >>> message(change)
    'Refused: class car → bus.'
    """
    said = " ".join((note or "").split())
    parts = [f"Refused: {what_was_refused(change)}.", f"“{said}”" if said else "", f"({by})" if by else ""]
    return " ".join(filter(None, parts))


def _kind(change: Mapping[str, Any]) -> str:
    """What the tool did: "add", "edit" or "delete"."""
    return str(change["kind"]).partition("/")[0]


def _noun(change: Mapping[str, Any]) -> str:
    """What the label is called: its class, with its shape."""
    label, shape = change.get("label"), change.get("shape")
    return f"{label} ({shape})" if label and shape else str(label or shape or "label")


def _sides(change: Mapping[str, Any]) -> str:
    return f"{_shown(change.get('base'))} → {_shown(change.get('theirs'))}"


def _shown(text: str | None) -> str:
    """A value for people, from its JSON text."""
    if text is None:
        return "no value"
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if value is None:
        return "no value"
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
