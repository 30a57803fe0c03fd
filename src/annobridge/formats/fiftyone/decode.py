"""A label of FiftyOne as labels here. Its geometry has a place in ``LABELS``; whatever else it has becomes an attribute."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...core import rows
from ...core.rows import Label
from ...exceptions import InvalidLabels
from .. import media
from ..names import on_disk
from . import values

OURS = "annobridge_id"  # where a label or sample has the id that it had here
ALL_OURS = "annobridge_ids"  # of a segmentation, whose classes are labels of their own here: by class
LISTS = {
    "Classifications": "classifications",
    "Detections": "detections",
    "Polylines": "polylines",
    "Keypoints": "keypoints",
    "TemporalDetections": "detections",
}
_COMMON = {"_id", "_cls", "tags", "label", "attributes", OURS, ALL_OURS}
_COLUMNS = {
    "index": int,
    "keyframe": bool,
    "rotation": int | float,
}  # of LABELS, by names that FiftyOne's users give them


class Homeless(Exception):
    """A label has no place in ``LABELS``, for this reason."""


@dataclass(frozen=True, slots=True)
class Around:
    """What a label does not say itself: the size of its image, the classes of its field, where masks in files lie."""

    size: tuple[int, int] | None
    targets: Mapping[int, str]
    folder: Path


def is_label(value: Any) -> bool:
    """Whether a field of a sample or frame holds labels."""
    return isinstance(value, dict) and isinstance(value.get("_cls"), str) and value["_cls"] in KNOWN


def members(value: Mapping[str, Any]) -> list[Any]:
    """The labels in a list of labels; a label by itself otherwise. Raises ``InvalidLabels``."""
    name = LISTS.get(value["_cls"])
    found = value.get(name) if name else [value]
    if not isinstance(found, list | None):
        raise InvalidLabels("", [f"It has {repr(found)[:80]} where a list of labels is needed."])
    return found or []


def beside(value: Mapping[str, Any]) -> list[str]:
    """What a list of labels has itself, beside its labels."""
    name = LISTS.get(value["_cls"])
    return [n for n, v in value.items() if name and n not in ("_cls", name) and v is not None]


def decode(document: Any, around: Around) -> list[Label]:
    """The labels that one of FiftyOne's is. Raises ``InvalidLabels``, or ``Homeless``."""
    kind = document.get("_cls") if isinstance(document, dict) else None
    if kind not in _DECODE:
        raise InvalidLabels("", [f"There is {_shown(document)} where a label is needed."])
    return _DECODE[kind](document, around)


def _shown(document: Any) -> str:
    return f"a {document.get('_cls')!r}" if isinstance(document, dict) else repr(document)[:80]


def _rest(document: Mapping[str, Any], *geometry: str) -> dict[str, Any]:
    """All that a label has beside its class and geometry, as the constructors of labels take it."""
    attributes = _old_attributes(document.get("attributes") or {})
    found: dict[str, Any] = {
        "label_id": document.get(OURS) or document.get("_id"),
        "tags": document.get("tags") or None,
    }
    if isinstance(document.get("confidence"), int | float):
        found["confidence"] = document["confidence"]
        geometry = (*geometry, "confidence")
    for name, value in document.items():
        if name in _COMMON or name in geometry or value is None or (name == "instance" and isinstance(value, dict)):
            continue
        if name in _COLUMNS and isinstance(value, _COLUMNS[name]):
            found[name] = value
        else:
            attributes[name] = _attribute(name, value)
    if isinstance(instance := document.get("instance"), dict):
        attributes["instance"] = instance.get("_id")
    return {**found, "attributes": attributes}


def _old_attributes(given: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes in documents of their own, which may have more than a value."""
    found = {}
    for name, content in given.items():
        for part, value in (content if isinstance(content, dict) else {"value": content}).items():
            if part != "_cls":
                found[name if part == "value" else f"{name}_{part}"] = _attribute(name, value)
    return found


def _attribute(name: str, value: Any) -> Any:
    if isinstance(value, bytes):
        value = _array(name, value).tolist()
    if isinstance(value, list):
        return [_attribute(name, v) for v in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return None if isinstance(value, float) and math.isnan(value) else value


def _array(name: str, data: Any) -> np.ndarray:
    if not isinstance(data, bytes):
        raise InvalidLabels("", [f"{name!r} is {repr(data)[:80]}, where a binary array is needed."])
    try:
        return values.array(data)
    except ValueError as error:
        raise InvalidLabels("", [f"The array {name!r} {error}."]) from None


def _classification(document: Mapping[str, Any], _: Around) -> list[Label]:
    if document.get("label") is None:
        raise Homeless("they have no class")
    return [rows.Classification(document["label"], **_rest(document))]


def _detection(document: Mapping[str, Any], around: Around) -> list[Label]:
    box, rest = document.get("bounding_box"), _rest(document, "bounding_box", "mask", "mask_path")
    if not box:
        raise Homeless("they have no box in the image")
    mask = _mask(document, around)
    if mask is None:
        return [rows.Detection(document.get("label"), box, **rest)]  # type: ignore[arg-type]
    size = _size(around)
    return [rows.Detection(document.get("label"), box, mask, image_size=size, **rest)]  # type: ignore[arg-type]


def _size(around: Around) -> tuple[int, int]:
    if around.size is None:
        raise InvalidLabels("", ["It has a mask, but the size of its image is not known; compute_metadata() tells it."])
    return around.size


def _mask(document: Mapping[str, Any], around: Around) -> np.ndarray | None:
    if document.get("mask") is not None:
        return _array("mask", document["mask"])
    if document.get("mask_path") is None:
        return None
    path = Path(on_disk(str(around.folder / str(document["mask_path"]))))
    try:
        with media.open_image(path) as image:
            media.decode_pixels(image)
            return np.asarray(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        what = "is not there" if not path.exists() else f"cannot be read: {error}"
        raise InvalidLabels("", [f"The mask {str(path)!r} {what}."]) from None


def _polyline(document: Mapping[str, Any], _: Around) -> list[Label]:
    if not document.get("points"):
        raise Homeless("they have no points in the image")
    rest = _rest(document, "points", "closed", "filled")
    closed, filled = bool(document.get("closed")), bool(document.get("filled"))
    return [rows.Polyline(document.get("label"), document["points"], closed, filled, **rest)]  # type: ignore[arg-type]


def _keypoint(document: Mapping[str, Any], _: Around) -> list[Label]:
    points, own = document.get("points") or [], document.get("confidence")
    rest = _rest(document, "points", "confidence", "visibility")
    if not points:
        raise Homeless("they have no points in the image")
    if isinstance(own, list):
        rest["attributes"]["point_confidence"] = _attribute("confidence", own)
    for name, many in (("confidence", own), ("visibility", document.get("visibility"))):
        if isinstance(many, list) and len(many) != len(points):
            raise InvalidLabels(
                "", [f"It has {len(points)} points, but {name!r} has {len(many)} values; give as many."]
            )
    return [rows.Keypoint(document.get("label"), points, document.get("visibility"), **rest)]  # type: ignore[arg-type]


def _segmentation(document: Mapping[str, Any], around: Around) -> list[Label]:
    pixels, rest = _mask(document, around), _rest(document, "mask", "mask_path")
    if pixels is None:
        raise Homeless("they have no mask")
    if pixels.ndim != 2:
        raise Homeless("their masks have colours, not numbers of classes")
    given, ours = rest.pop("label_id"), document.get(ALL_OURS) or {}
    labels = rows.Segmentation(_fitted(pixels, _size(around)), around.targets, **rest)
    for label in labels:
        name = label.columns["label"]
        label.label_id = ours.get(name) or (f"{given}:{name}" if given else None)
    return labels


def _fitted(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A class map in the size of its image, by the nearest pixel."""
    for axis, want in enumerate(reversed(size)):
        if (have := pixels.shape[axis]) != want:
            pixels = pixels.take((2 * np.arange(want) + 1) * have // (2 * want), axis)
    return pixels


def _regression(document: Mapping[str, Any], _: Around) -> list[Label]:
    if document.get("value") is None:
        raise Homeless("they have no value")
    return [rows.Scalar(document["value"], **_rest(document, "value"))]


def _nowhere(_: Mapping[str, Any], __: Around) -> list[Label]:
    raise Homeless("a heatmap is not a label here")


_DECODE: dict[str, Callable[[Mapping[str, Any], Around], list[Label]]] = {
    "Classification": _classification,
    "TemporalDetection": _classification,
    "Detection": _detection,
    "Polyline": _polyline,
    "Keypoint": _keypoint,
    "Segmentation": _segmentation,
    "Regression": _regression,
    "Heatmap": _nowhere,
}
KNOWN = {*_DECODE, *LISTS}
