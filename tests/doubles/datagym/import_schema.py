"""The JSON Schema that the server enforces on imports, gaps included."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Fault = tuple[str, str]  # pointer, message
_DIGITS = re.compile(r"[0-9]+")
_LABEL = {
    "geometry",
    "rectangle",
    "polygon",
    "line",
    "point",
    "image_segmentation",
    "classifications",
    "nested_geometries",
}
_FEWEST = {"rectangle": 1, "polygon": 3, "line": 2, "point": 1}
_MOST = {"rectangle": 1, "point": 1}


def faults(items: list[Any]) -> list[Fault]:
    """All faults of a body that is an array, each with its JSON pointer."""
    found = [] if items else [("#", "expected minimum item count: 1, found: 0")]
    for n, item in enumerate(items):
        found += _item(item, f"#/{n}")
    return found


def message(found: list[Fault]) -> str:
    """The text of ``errorMessages`` for some faults."""
    by_place: dict[str, list[str]] = {}
    for place, text in found:
        by_place.setdefault(place, []).append(text)
    lines = [f"Schema validation failed with {len(by_place)} error(s)", ""]
    for place, texts in by_place.items():
        lines += [place, *(["Either: "] if len(texts) > 1 else []), *texts, ""]
    return "\n".join(lines) + "\n"


def _item(item: Any, at: str) -> Iterator[Fault]:
    if not isinstance(item, dict):
        yield at, f"expected type: JSONObject, found: {_name(item)}"
        return
    if "internal_media_ID" in item and not isinstance(item["internal_media_ID"], str):
        yield f"{at}/internal_media_ID", f"expected type: String, found: {_name(item['internal_media_ID'])}"
    if "keepData" in item and not isinstance(item["keepData"], bool):
        yield f"{at}/keepData", f"expected type: Boolean, found: {_name(item['keepData'])}"
    yield from _classifications(item, "global_classifications", at)
    if "labels" not in item:
        return
    if not isinstance(item["labels"], dict):
        yield f"{at}/labels", f"expected type: JSONObject, found: {_name(item['labels'])}"
        return
    for key, labels in item["labels"].items():
        yield from _labels(labels, f"{at}/labels/{key}")


def _labels(labels: Any, at: str) -> Iterator[Fault]:
    if not isinstance(labels, list):
        yield at, f"expected type: JSONArray, found: {_name(labels)}"
        return
    for n, label in enumerate(labels):
        here = f"{at}/{n}"
        if not isinstance(label, dict):
            yield here, f"expected type: JSONObject, found: {_name(label)}"
            continue
        for key in set(label) - _LABEL:
            yield here, f"extraneous key [{key}] is not permitted"
        yield from _geometries(label, here)
        if "image_segmentation" in label and not isinstance(label["image_segmentation"], list):
            yield f"{here}/image_segmentation", f"expected type: JSONArray, found: {_name(label['image_segmentation'])}"
        yield from _classifications(label, "classifications", here)
        nested = label.get("nested_geometries")
        for key, inner in nested.items() if isinstance(nested, dict) else ():  # anything else is fine
            yield from _nested(inner, f"{here}/nested_geometries/{key}")


def _nested(labels: Any, at: str) -> Iterator[Fault]:
    if not isinstance(labels, list):
        yield at, f"expected type: JSONArray, found: {_name(labels)}"
        return
    for n, label in enumerate(labels):
        if not isinstance(label, dict):
            yield f"{at}/{n}", f"expected type: JSONObject, found: {_name(label)}"
            continue
        if "additionalProperties" in label:  # it stands among the properties there
            yield f"{at}/{n}/additionalProperties", "false schema always fails"
        yield from _geometries(label, f"{at}/{n}")
        yield from _classifications(label, "classifications", f"{at}/{n}")


def _geometries(label: dict[str, Any], at: str) -> Iterator[Fault]:
    for kind in ("rectangle", "polygon", "line", "point", "geometry"):
        if kind not in label:
            continue
        points, here = label[kind], f"{at}/{kind}"
        if not isinstance(points, list):
            yield here, f"expected type: JSONArray, found: {_name(points)}"
            continue
        if len(points) < _FEWEST.get(kind, 0):
            yield here, f"expected minimum item count: {_FEWEST[kind]}, found: {len(points)}"
        if len(points) > _MOST.get(kind, len(points)):
            yield here, f"expected maximum item count: {_MOST[kind]}, found: {len(points)}"
        for n, point in enumerate(points):
            names = ("x", "y", "w", "h") if kind == "rectangle" or (kind == "geometry" and "w" in point) else ("x", "y")
            yield from _point(point, names, f"{here}/{n}")


def _point(point: Any, names: tuple[str, ...], at: str) -> Iterator[Fault]:
    if not isinstance(point, dict):
        if names == ("x", "y", "w", "h"):
            return  # without a type, the keys of what is no object are not looked at
        yield at, f"expected type: JSONObject, found: {_name(point)}"
        return
    if len(names) == 2 and len(point) > 2:
        yield at, f"maximum size: [2], found: [{len(point)}]"
    for name in names:
        if name not in point:
            yield at, f"required key [{name}] not found"
        else:
            yield from ((f"{at}/{name}", text) for text in _not_a_number(point[name]))


def _not_a_number(value: Any) -> Iterator[str]:
    """Why a value is neither a number of at least 0 nor a text of digits."""
    if isinstance(value, str):
        if not _DIGITS.fullmatch(value):
            yield f"string [{value}] does not match pattern ^[0-9]+$"
            yield "expected type: Number, found: String"
    elif isinstance(value, bool) or not isinstance(value, int | float):
        yield f"expected type: Number, found: {_name(value)}"
        yield f"expected type: String, found: {_name(value)}"
    elif value < 0:
        yield f"{value} is not greater or equal to 0"
        yield f"expected type: String, found: {_name(value)}"


def _classifications(holder: dict[str, Any], name: str, at: str) -> Iterator[Fault]:
    if name not in holder:
        return
    found = holder[name]
    if not isinstance(found, dict):
        yield f"{at}/{name}", f"expected type: JSONObject, found: {_name(found)}"
        return
    for key, values in found.items():
        yield from _classification(values, f"{at}/{name}/{key}")


def _classification(values: Any, at: str) -> Iterator[Fault]:
    if not isinstance(values, list):
        yield at, f"expected type: JSONArray, found: {_name(values)}"
        return
    for n, value in enumerate(values):
        if isinstance(value, str) or (n == 0 and value is None):
            continue
        if n == 1 and isinstance(value, dict):
            for key, inner in value.items():
                yield from _classification(inner, f"{at}/1/{key}")
        else:
            if n == 0:
                yield f"{at}/{n}", f"expected: null, found: {_name(value)}"
            yield f"{at}/{n}", f"expected type: String, found: {_name(value)}"


def _name(value: Any) -> str:
    names = {dict: "JSONObject", list: "JSONArray", str: "String", bool: "Boolean", int: "Integer", type(None): "Null"}
    return names.get(type(value), "BigDecimal")
