"""Labels as results of Label Studio: the values of regions, and answers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ...core.geometry import decode_rle
from . import brush_rle
from .label_config import IMAGE, SHAPES
from .results import OWN

Region = dict[str, Any]
CONTROL = {  # the shape of each kind
    "box": "box", "polygon": "polygon", "polyline": "polygon", "cuboid": "polygon", "ellipse": "ellipse", "mask": "mask",
    "segmentation": "mask", "keypoints": "keypoint", "skeleton": "keypoint",
}  # fmt: skip
TYPES = {name: tag.lower() for name, tag in SHAPES.items()}
_POINT_SIZE = 0.5  # percent
_NO_PLACE = ("format", "rle")  # of a value, what answers about its region do not repeat


def size_of(width: int | None, height: int | None) -> dict[str, Any]:
    """What each region says about its image; nothing where the size is not known."""
    return {"original_width": width, "original_height": height, "image_rotation": 0} if width and height else {}


def values_of(
    row: Mapping[str, Any],
    size: Mapping[str, Any],
    id_: str,
    rings_of: Callable[[Mapping[str, Any]], Iterable[Any]],
    joined: bool = False,
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The value of each region of a label, and what is to be in ``meta`` so that the label can be read again.

    Args:
        row: the label, a row of ``LABELS``.
        size: of its image, as ``size_of`` has it.
        id_: the id of its first region.
        rings_of: the rings of points of a label that has an inside.
        joined: whether several rings are to be read as one label again.
    """
    kind = row["kind"]
    if kind == "box":
        yield _box(row, size), {}
    elif kind == "ellipse":
        x, y, width, height = (100 * value for value in row["bounding_box"])
        centre = {"x": x + width / 2, "y": y + height / 2, "rotation": row["rotation"] or 0.0}
        yield {**centre, "radiusX": width / 2, "radiusY": height / 2}, {}
    elif row["mask"] is not None:
        yield {"format": "rle", "rle": brush_rle.encode(decode_rle(row["mask"]))}, {}
    elif kind in ("keypoints", "skeleton"):
        yield from _points(row, id_)
    else:
        is_line = kind == "polyline"
        rings = list(row["points"] if is_line else rings_of(row))
        closed = {"closed": bool(row["closed"])} if is_line and (joined or row["closed"]) else {}
        for at, ring in enumerate(rings):
            part = {"part": {"of": id_, "number": at}} if joined and len(rings) > 1 else {}
            yield {"points": (100 * np.array(ring, float)).tolist(), "closed": not is_line}, closed | part


def as_vector(value: Mapping[str, Any], closed: bool) -> dict[str, Any]:
    """The value of a line as the control ``VectorLabels`` has it, which has lines that are open."""
    ids = [f"p{number}" for number in range(len(value["points"]))]
    corners = zip(ids, [None, *ids], value["points"], strict=False)
    vertices = [
        {"id": id_, "prevPointId": before, "x": x, "y": y, "isBezier": False} for id_, before, (x, y) in corners
    ]
    return {"vertices": vertices, "closed": closed}


def _points(row: Mapping[str, Any], id_: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    kind, points = row["kind"], row["points"][0]
    seen = row["visibility"] or [2] * len(points)
    seen = [0 if math.isnan(x) or math.isnan(y) else state for (x, y), state in zip(points, seen, strict=True)]
    is_one = kind == "keypoints" and seen == [2]
    for at, ((x, y), state) in enumerate(zip(points, seen, strict=True)):
        if state:
            own = {} if is_one else {"keypoints": {"of": id_, "number": at, "kind": kind, "visibility": seen}}
            yield {"x": 100 * x, "y": 100 * y, "width": _POINT_SIZE}, own


def _box(row: Mapping[str, Any], size: Mapping[str, Any]) -> dict[str, Any]:
    """A rectangle is turned about its upper left corner, and its ``x`` and ``y`` are where that is then."""
    x, y, width, height = row["bounding_box"]
    degrees = row["rotation"] or 0.0
    if degrees % 360 and size:
        across, down = width * size["original_width"] / 2, height * size["original_height"] / 2
        angle = math.radians(degrees)
        x += width / 2 - (across * math.cos(angle) - down * math.sin(angle)) / size["original_width"]
        y += height / 2 - (across * math.sin(angle) + down * math.cos(angle)) / size["original_height"]
    return {"x": 100 * x, "y": 100 * y, "width": 100 * width, "height": 100 * height, "rotation": degrees}


def answers_of(region: Region, answers: Mapping[str, tuple[str, Any]]) -> Iterator[Region]:
    """The results of answers about a region: type and value by control. They have its id, and repeat its place."""
    classes = region["type"]
    shape = {key: entry for key, entry in region["value"].items() if key not in (*_NO_PLACE, classes)}
    common = {key: region[key] for key in region if key not in ("score", "meta")}
    for name, (kind, value) in answers.items():
        yield {**common, "from_name": name, "type": kind, "value": {**shape, **answer(kind, value)}}


def answer(control: str, value: Any) -> dict[str, Any]:
    """The value of an answer: a number, or one text or choice, or several."""
    if control in ("number", "rating"):
        return {control: value}
    texts = [_text(entry) for entry in value] if isinstance(value, list) else [_text(value)]
    return {"choices" if control == "choices" else "text": texts}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def result(row: Mapping[str, Any], id_: str, control: str, type_: str, image: str = IMAGE) -> Region:
    """A result without its value."""
    found: Region = {"id": id_, "from_name": control, "to_name": image, "type": type_}
    if row["confidence"] is not None:
        found["score"] = row["confidence"]
    return found


def with_own(made: Region, own: Mapping[str, Any]) -> Region:
    """A result with what it has no place for in its ``meta``."""
    return {**made, "meta": {OWN: dict(own)}} if own else made


def region_id(row: Mapping[str, Any], number: int) -> str:
    """An id of a region. Label Studio cuts ids at ``#``, and makes ids of its own where there are none."""
    given = str(row["label_id"] or "")
    return given if given and "#" not in given else f"label-{number + 1}"
