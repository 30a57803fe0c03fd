"""One shape of labelme's JSON as a label."""

from __future__ import annotations

import binascii
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from .. import media
from ..common.boxed_masks import Bools, paste
from ..common.corners import CORNERS

Size = tuple[int, int]  # width and height
Points = list[list[float]]
Shape = tuple[str, str | None, dict[str, Any], dict[str, Any]]  # kind, class, attributes, columns
_KEYS = frozenset({"label", "points", "group_id", "shape_type", "flags", "description", "mask", "attributes"})
_OWN = frozenset(
    {"score", "track_id", "visibility", "closed"}
)  # read into columns where they are what is expected there
_ERRORS = (OSError, ValueError, SyntaxError, EOFError, MemoryError, Image.DecompressionBombError)
_NOTHING: tuple[Any, ...] = (None, "", [], {})


def shape_of(given: Any, size: Size | None) -> Shape | str:
    """Kind, class, attributes and columns of an entry of ``shapes``; a sentence about what is wrong."""
    if not isinstance(given, dict):
        return "it is no shape"
    label = given.get("label")
    if not isinstance(label, str):
        return "its label is no text"
    points = _points(given.get("points"))
    if isinstance(points, str):
        return points
    type_ = given.get("shape_type") or "polygon"
    read = _READERS.get(type_) if isinstance(type_, str) else None
    if read is None:
        return f"its shape_type {type_!r} is not known"
    found = read(_Entry(points, given, size))
    if isinstance(found, str):
        return found
    kind, columns = found
    attributes = _attributes(given)
    score, track = attributes.get("score"), attributes.get("track_id")
    if isinstance(score, int | float) and not isinstance(score, bool) and 0 <= score <= 1:
        columns["confidence"] = float(attributes.pop("score"))
    if isinstance(track, int) and not isinstance(track, bool) and 0 <= track < 2**31:
        columns["index"] = attributes.pop("track_id")
    return kind, label if label.strip() else None, attributes, columns


def _points(given: Any) -> Points | str:
    if not isinstance(given, list) or not given:
        return "it has no points"
    for point in given:
        if not isinstance(point, list) or len(point) != 2:
            return "a point is not two numbers"
        for value in point:
            if not isinstance(value, int | float) or isinstance(value, bool):
                return "a point is not two numbers"
            if not math.isfinite(value):
                return "a coordinate is not a finite number"
    return [[float(x), float(y)] for x, y in given]


def _attributes(given: dict[str, Any]) -> dict[str, Any]:
    """Flags, description, group and all keys that are not labelme's own."""
    found = {key: value for key, value in given.items() if key not in _KEYS and value not in _NOTHING}
    for key in ("visibility", "closed"):
        found.pop(key, None)
    if isinstance(more := given.get("attributes"), dict):
        found |= {key: value for key, value in more.items() if value is not None}
    if isinstance(flags := given.get("flags"), dict):
        found |= {key: value for key, value in flags.items() if isinstance(value, bool)}
    if isinstance(text := given.get("description"), str) and text:
        found["description"] = text
    group = given.get("group_id")
    if isinstance(group, int) and not isinstance(group, bool):
        found["group"] = group
    return {key: value for key, value in found.items() if key}


@dataclass(frozen=True, slots=True)
class _Entry:
    """A shape whose points are numbers, and the size of its image."""

    points: Points
    keys: dict[str, Any]
    size: Size | None


Found = tuple[str, dict[str, Any]] | str


def _rectangle(entry: _Entry) -> Found:
    if len(entry.points) == 4:
        return CORNERS, {"points": [entry.points]}
    if len(entry.points) != 2:
        return "it is a rectangle without two or four corners"
    (x1, y1), (x2, y2) = entry.points
    return "box", {"bounding_box": [min(x1, x2), min(y1, y2), abs(x2 - x1), abs(y2 - y1)]}


def _turned(entry: _Entry) -> Found:
    return (
        (CORNERS, {"points": [entry.points]})
        if len(entry.points) == 4
        else "it is a turned rectangle without four corners"
    )


def _polygon(entry: _Entry) -> Found:
    if len(entry.points) < 3:
        return "it is a polygon of fewer than 3 points"
    return "polygon", {"points": [entry.points], "closed": True, "filled": True}


def _line(entry: _Entry) -> Found:
    if len(entry.points) < 2:
        return "it is a line of fewer than 2 points"
    return "polyline", {"points": [entry.points], "closed": entry.keys.get("closed") is True, "filled": False}


def _keypoints(entry: _Entry) -> Found:
    """Points that are there. ``visibility``, which only our own files have, has the missing ones too."""
    seen = entry.keys.get("visibility")
    if (
        isinstance(seen, list)
        and all(value in (0, 1, 2) for value in seen)
        and len(entry.points) == len(seen) - seen.count(0)
    ):
        there = iter(entry.points)
        return "keypoints", {"points": [[next(there) if v else [math.nan] * 2 for v in seen]], "visibility": seen}
    return "keypoints", {"points": [entry.points], "visibility": [2] * len(entry.points)}


def _circle(entry: _Entry) -> Found:
    if len(entry.points) != 2:
        return "it is a circle without a centre and a point on it"
    (x, y), rim = entry.points
    radius = math.hypot(rim[0] - x, rim[1] - y)
    return "ellipse", {"bounding_box": [x - radius, y - radius, 2 * radius, 2 * radius]}


def _mask(entry: _Entry) -> Found:
    size = entry.size
    if size is None:
        return "it is a mask, and the size of its image is missing"
    if len(entry.points) != 2 or not isinstance(entry.keys.get("mask"), str):
        return "it is a mask without two corners and pixels in base64"
    left, top = (math.floor(min(p[n] for p in entry.points) + 0.5) for n in (0, 1))
    wanted = [abs(entry.points[1][n] - entry.points[0][n]) + 1 for n in (0, 1)]  # both corners are inside
    try:
        with media.open_image(io.BytesIO(binascii.a2b_base64(entry.keys["mask"]))) as image:
            if any(abs(has - need) > 1.5 for has, need in zip(image.size, wanted, strict=True)):
                return "its mask is not of the size that its corners say"
            if image.size[0] > size[0] + 1 or image.size[1] > size[1] + 1:
                return "its mask is larger than its image"
            media.decode_pixels(image)
            pixels = np.asarray(image.convert("RGB") if image.mode == "P" else image)
    except _ERRORS as error:
        return f"its mask cannot be decoded ({type(error).__name__})"
    inside: Bools = np.asarray(pixels if pixels.ndim == 2 else pixels[..., :3].any(axis=2), bool)
    if left >= size[0] or top >= size[1] or left + inside.shape[1] <= 0 or top + inside.shape[0] <= 0:
        return "it is outside its image"
    return "mask", {"mask": paste(inside, left, top, size)}


_READERS: dict[str, Callable[[_Entry], Found]] = {
    "rectangle": _rectangle,
    "oriented_rectangle": _turned,
    "rotation": _turned,  # X-AnyLabeling's name
    "polygon": _polygon,
    "linestrip": _line,
    "line": _line,
    "point": _keypoints,
    "points": _keypoints,
    "circle": _circle,
    "mask": _mask,
}
