"""Regions: the shape of one result of Label Studio as columns of ``SHAPES``, in shares of the image."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from ...core.geometry import encode_rle
from .brush_rle import BrushError, decode

Value = Mapping[str, Any]
Size = tuple[int, int]  # width and height of the image that was labelled
Columns = tuple[str, dict[str, Any]]  # kind and columns
Read = Callable[[Value, Size | None], Columns | str]


def shape_name(type_: str | None, value: Value) -> str | None:
    """Which shape a result has, as "rectangle"; ``None`` for answers that are no shape. Without a type, the keys say it."""
    if type_ is not None:
        name = type_.removesuffix("labels")
        return name if name in _READERS else None
    for name in _READERS:
        if f"{name}labels" in value:
            return name
    if "rle" in value:
        return "brush"
    if "radiusX" in value:
        return "ellipse"
    return None


def is_of_region(value: Value) -> bool:
    """Whether an answer is about a region, whose place it repeats."""
    return any(key in value for key in ("x", "points", "vertices", "rle"))


def classes(type_: str | None, shape: str, value: Value) -> list[str]:
    """The classes of a shape."""
    for key in (type_ or "", f"{shape}labels", "labels"):
        found = value.get(key)
        if isinstance(found, list):
            return [name for name in found if isinstance(name, str) and name.strip()]
    return []


def read(shape: str, value: Value, size: Size | None) -> Columns | str:
    """Kind and columns of a shape; a sentence about what is wrong with it."""
    return _READERS[shape](value, size)


def _numbers(value: Value, *keys: str) -> list[float] | str:
    found = [value.get(key) for key in keys]
    for key, number in zip(keys, found, strict=True):
        if not isinstance(number, int | float) or isinstance(number, bool):
            return f"its {key} is no number"
        if not math.isfinite(number):
            return f"its {key} is not a finite number"
    return [float(number) for number in found if number is not None]


def _rotation(value: Value) -> float:
    degrees = value.get("rotation")
    is_number = isinstance(degrees, int | float) and not isinstance(degrees, bool) and math.isfinite(degrees)
    return float(degrees) if is_number and degrees is not None else 0.0


def _rectangle(value: Value, size: Size | None) -> Columns | str:
    """A rectangle is turned about its upper left corner, which is ``x`` and ``y``."""
    numbers = _numbers(value, "x", "y", "width", "height")
    if isinstance(numbers, str):
        return numbers
    x, y, width, height = (number / 100 for number in numbers)
    degrees = _rotation(value)
    if not degrees % 360:
        return "box", {"bounding_box": [x, y, width, height]}
    if size is None:
        return "it is turned, and original_width and original_height are missing"
    angle = math.radians(degrees)
    across, down = width * size[0] / 2, height * size[1] / 2
    centre_x = x + (across * math.cos(angle) - down * math.sin(angle)) / size[0]
    centre_y = y + (across * math.sin(angle) + down * math.cos(angle)) / size[1]
    box = [centre_x - width / 2, centre_y - height / 2, width, height]
    return "box", {"bounding_box": box, "rotation": degrees}


def _ellipse(value: Value, size: Size | None) -> Columns | str:  # noqa: ARG001 - a signature that all readers have
    numbers = _numbers(value, "x", "y", "radiusX", "radiusY")
    if isinstance(numbers, str):
        return numbers
    x, y, across, down = (number / 100 for number in numbers)
    columns: dict[str, Any] = {"bounding_box": [x - across, y - down, 2 * across, 2 * down]}
    if (degrees := _rotation(value)) % 360:
        columns["rotation"] = degrees
    return "ellipse", columns


def _polygon(value: Value, size: Size | None) -> Columns | str:  # noqa: ARG001
    given = value.get("points")
    if not isinstance(given, list) or not all(isinstance(point, list) and len(point) == 2 for point in given):
        return "its points are no list of two numbers each"
    return _line([{"x": point[0], "y": point[1]} for point in given], value.get("closed") is not False)


def _vector(value: Value, size: Size | None) -> Columns | str:  # noqa: ARG001
    given = value.get("vertices")
    if not isinstance(given, list) or not all(isinstance(point, dict) for point in given):
        return "its vertices are no list"
    return _line(given, value.get("closed") is True)


def _line(points: list[dict[str, Any]], closed: bool) -> Columns | str:
    ring = []
    for point in points:
        numbers = _numbers(point, "x", "y")
        if isinstance(numbers, str):
            return numbers
        ring.append([number / 100 for number in numbers])
    if len(ring) < (3 if closed else 2):
        return f"it is a {'polygon' if closed else 'line'} of {len(ring)} points"
    return "polygon" if closed else "polyline", {"points": [ring], "closed": closed, "filled": closed}


def _keypoint(value: Value, size: Size | None) -> Columns | str:  # noqa: ARG001
    numbers = _numbers(value, "x", "y")
    if isinstance(numbers, str):
        return numbers
    return "keypoints", {"points": [[[number / 100 for number in numbers]]], "visibility": [2]}


def _brush(value: Value, size: Size | None) -> Columns | str:
    if not isinstance(value.get("rle"), list):
        return "its mask is not in RLE"
    if size is None:
        return "it is a mask, and original_width and original_height are missing"
    try:
        return "mask", {"mask": encode_rle(decode(value["rle"], *size))}
    except BrushError as error:
        return f"its RLE is damaged: {error}"


_READERS: dict[str, Read] = {
    "rectangle": _rectangle,
    "polygon": _polygon,
    "keypoint": _keypoint,
    "ellipse": _ellipse,
    "brush": _brush,
    "vector": _vector,
}
