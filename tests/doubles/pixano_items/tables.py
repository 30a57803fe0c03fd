"""What the tables of a dataset hold, and which rows they take: types, shapes, and the rules of messages."""

from __future__ import annotations

import re
from typing import Any

Fields = dict[str, str]
_AT = {"item_ref": "item", "view_ref": "views"}
_ENTITY = {**_AT, "parent_ref": "entities"}
_ANNOTATION = {**_AT, "entity_ref": "entities", "source_ref": "source", "inference_metadata": "dict"}
BASES: dict[str, tuple[str, Fields]] = {
    "Item": ("item", {"split": "str"}),
    "Source": ("source", {"name": "str", "kind": "str", "metadata": "dict"}),
    "Image": (
        "views",
        {"item_ref": "item", "parent_ref": "views", "url": "str", "width": "int", "height": "int", "format": "str"},
    ),
    "Entity": ("entities", _ENTITY),
    "Conversation": ("entities", {**_ENTITY, "kind": "str"}),
    "BBox": (
        "annotations",
        {**_ANNOTATION, "coords": "list[float]", "format": "str", "is_normalized": "bool", "confidence": "float"},
    ),
    "CompressedRLE": ("annotations", {**_ANNOTATION, "size": "list[int]", "counts": "str"}),
    "KeyPoints": (
        "annotations",
        {**_ANNOTATION, "template_id": "str", "coords": "list[float]", "states": "list[str]"},
    ),
    "Message": (
        "annotations",
        {
            **_ANNOTATION, "content": "str", "number": "int", "user": "str", "type": "str", "question_type": "str",
            "choices": "list[str]", "timestamp": "str",
        },
    ),
}  # fmt: skip
GROUPS = {"item", "views", "entities", "annotations", "source"}


class Invalid(Exception):
    """A row that its table does not take."""


def row(base: str, fields: Fields, data: dict[str, Any]) -> dict[str, Any]:
    """The data of a row as it is stored: fields that the table has not are dropped, and none may be missing."""
    data = dict(data)
    if base == "Message":
        _normalise(data)
    out = {}
    for name, kind in fields.items():
        if name not in data:
            raise Invalid(f"1 validation error\n{name}\n  Field required [type=missing]")
        out[name] = _typed(name, kind, data[name])
    _check(base, out)
    return out


def _typed(name: str, kind: str, value: Any) -> Any:
    if kind in GROUPS:
        if not isinstance(value, dict) or not {"name", "id"} >= set(value) >= {"name"}:
            raise Invalid(f"1 validation error\n{name}\n  Input should be a valid dictionary")
        return {"name": value["name"], "id": value.get("id", "")}
    if kind.startswith("list["):
        if not isinstance(value, list):
            raise Invalid(f"1 validation error\n{name}\n  Input should be a valid list [type=list_type]")
        return [_typed(name, kind[5:-1], v) for v in value]
    types = {"str": str, "int": int, "float": (int, float), "bool": bool, "dict": dict}[kind]
    if not isinstance(value, types) or (kind != "bool" and isinstance(value, bool)):
        word = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "dict": "dictionary"}[kind]
        raise Invalid(f"1 validation error\n{name}\n  Input should be a valid {word}")
    return float(value) if kind == "float" else value


def _check(base: str, data: dict[str, Any]) -> None:
    if base == "BBox":
        coords, sure = data["coords"], data["confidence"]
        if len(coords) != 4 or min(coords) < 0:
            raise Invalid("Value error, Bounding box coordinates must be positive.")
        if data["is_normalized"] and max(coords) > 1:
            raise Invalid("Value error, Normalized bounding box coordinates must be in [0, 1] range.")
        if sure != -1 and not 0 <= sure <= 1:
            raise Invalid("Value error, Bounding box confidence must be in [0, 1] range or -1.")
        if data["format"] not in ("xyxy", "xywh"):
            raise Invalid("Value error, Bounding box format must be 'xyxy' or 'xywh'.")
    if base == "KeyPoints":
        if any(c < 0 for c in data["coords"]):
            raise Invalid("Value error, Coordinates must be positive")
        if len(data["states"]) * 2 != len(data["coords"]):
            raise Invalid("Value error, There must be the same number of states than points")
        if set(data["states"]) - {"visible", "invisible", "hidden"}:
            raise Invalid("Value error, States must be 'visible', 'invisible' or 'hidden'")


TYPES = ["OPEN", "SINGLE_CHOICE", "SINGLE_CHOICE_EXPLANATION", "MULTI_CHOICE", "MULTI_CHOICE_EXPLANATION"]


def _normalise(data: dict[str, Any]) -> None:
    """What a message becomes: the type of a question follows from its choices, and an answer to one is rewritten."""
    kind = data["type"] = str(data.get("type", "")).upper()
    asked = data["question_type"] = str(data.get("question_type", "OPEN")).upper()
    choices = data.setdefault("choices", [])
    if kind == "QUESTION":
        if asked not in TYPES:
            raise Invalid("Value error, Question type should be 'OPEN', 'SINGLE_CHOICE', …")
        data["question_type"] = "OPEN" if not choices else "MULTI_CHOICE" if asked == "OPEN" else asked
        return
    if kind not in ("SYSTEM", "ANSWER"):
        raise Invalid("Value error, Message type should be 'SYSTEM', 'QUESTION', or 'ANSWER'.")
    if choices:
        raise Invalid("Value error, specifying MCQ anwsers is only allowed for Message of type 'QUESTION'.")
    if kind == "ANSWER" and asked != "OPEN":
        found = re.match(r"\[\[([a-zA-Z0-9]+(\;[a-zA-Z0-9]+)*)\]\]\s*(.*)", str(data.get("content")))
        picked, why = (found[1], found[3]) if found else ("", "")
        if "_EXPLANATION" in asked and not why:
            raise Invalid("Value error, the question type expect an explanation in the answer.")
        data["content"] = f"[[{picked}]] {why}"
