"""Labels of FiftyOne, decoded. Their geometry goes into columns of ``LABELS``, and everything else becomes an attribute."""

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
from . import extended_json

ID_KEY = "annobridge_id"  # the field of a label or sample with its id in annobridge
CLASS_IDS_KEY = (
    "annobridge_ids"  # the field of a segmentation with an id for each class, as each is a label in annobridge
)
LIST_KEYS = {
    "Classifications": "classifications",
    "Detections": "detections",
    "Polylines": "polylines",
    "Keypoints": "keypoints",
    "TemporalDetections": "detections",
}
_NOT_ATTRIBUTES = {"_id", "_cls", "tags", "label", "attributes", ID_KEY, CLASS_IDS_KEY}
_LABEL_COLUMNS = {
    "index": int,
    "keyframe": bool,
    "rotation": int | float,
}  # of LABELS, by names that FiftyOne's users give them


class Unrepresentable(Exception):
    """A value that neither a label nor a column can hold; the text is the reason."""


@dataclass(frozen=True, slots=True)
class LabelContext:
    """What a label does not say itself.

    Attributes:
        size: ``[width, height]`` of its image in pixels, if it is known.
        targets: the classes of a segmentation by pixel value.
        folder: the folder that the paths of masks are relative to.
    """

    size: tuple[int, int] | None
    targets: Mapping[int, str]
    folder: Path


def is_label(value: Any) -> bool:
    """Whether a field of a sample or frame holds labels."""
    return isinstance(value, dict) and isinstance(value.get("_cls"), str) and value["_cls"] in LABEL_CLASSES


def labels_in(value: Mapping[str, Any]) -> list[Any]:
    """The labels in a list of labels; a label by itself otherwise. Raises ``InvalidLabels``."""
    name = LIST_KEYS.get(value["_cls"])
    found = value.get(name) if name else [value]
    if not isinstance(found, list | None):
        raise InvalidLabels("", [f"It has {repr(found)[:80]} where a list of labels is needed."])
    return found or []


def attributes_of_list(value: Mapping[str, Any]) -> list[str]:
    """The names of the attributes that a list of labels has beside its labels."""
    name = LIST_KEYS.get(value["_cls"])
    return [n for n, v in value.items() if name and n not in ("_cls", name) and v is not None]


def decode(document: Any, context: LabelContext) -> list[Label]:
    """The label that a document is, or the labels of a segmentation, one for each class.

    Raises ``InvalidLabels``, or ``Unrepresentable``.
    """
    kind = document.get("_cls") if isinstance(document, dict) else None
    if kind not in _DECODE:
        raise InvalidLabels("", [f"There is {_shown(document)} where a label is needed."])
    return _DECODE[kind](document, context)


def _shown(document: Any) -> str:
    return f"a {document.get('_cls')!r}" if isinstance(document, dict) else repr(document)[:80]


def _common(document: Mapping[str, Any], *geometry: str) -> dict[str, Any]:
    """The arguments that all constructors of labels take; other keys than those of the ``geometry`` become attributes."""
    attributes = _old_attributes(document.get("attributes") or {})
    found: dict[str, Any] = {
        "label_id": document.get(ID_KEY) or document.get("_id"),
        "tags": document.get("tags") or None,
    }
    if isinstance(document.get("confidence"), int | float):
        found["confidence"] = document["confidence"]
        geometry = (*geometry, "confidence")
    for name, value in document.items():
        if (
            name in _NOT_ATTRIBUTES
            or name in geometry
            or value is None
            or (name == "instance" and isinstance(value, dict))
        ):
            continue
        if name in _LABEL_COLUMNS and isinstance(value, _LABEL_COLUMNS[name]):
            found[name] = value
        else:
            attributes[name] = _attribute(name, value)
    if isinstance(instance := document.get("instance"), dict):
        attributes["instance"] = instance.get("_id")
    return {**found, "attributes": attributes}


def _old_attributes(given: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as FiftyOne once stored them: each in a document, which may have more than a value."""
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
        return extended_json.decode_array(data)
    except ValueError as error:
        raise InvalidLabels("", [f"The array {name!r} {error}."]) from None


def _classification(document: Mapping[str, Any], _: LabelContext) -> list[Label]:
    if document.get("label") is None:
        raise Unrepresentable("they have no class")
    return [rows.Classification(document["label"], **_common(document))]


def _detection(document: Mapping[str, Any], context: LabelContext) -> list[Label]:
    box, rest = document.get("bounding_box"), _common(document, "bounding_box", "mask", "mask_path")
    if not box:
        raise Unrepresentable("they have no box in the image")
    mask = _mask(document, context)
    if mask is None:
        return [rows.Detection(document.get("label"), box, **rest)]  # type: ignore[arg-type]
    size = _size(context)
    return [rows.Detection(document.get("label"), box, mask, image_size=size, **rest)]  # type: ignore[arg-type]


def _size(context: LabelContext) -> tuple[int, int]:
    if context.size is None:
        raise InvalidLabels("", ["It has a mask, but the size of its image is not known; compute_metadata() tells it."])
    return context.size


def _mask(document: Mapping[str, Any], context: LabelContext) -> np.ndarray | None:
    if document.get("mask") is not None:
        return _array("mask", document["mask"])
    if document.get("mask_path") is None:
        return None
    path = Path(on_disk(str(context.folder / str(document["mask_path"]))))
    try:
        with media.open_image(path) as image:
            media.decode_pixels(image)
            return np.asarray(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        what = "is not there" if not path.exists() else f"cannot be read: {error}"
        raise InvalidLabels("", [f"The mask {str(path)!r} {what}."]) from None


def _polyline(document: Mapping[str, Any], _: LabelContext) -> list[Label]:
    if not document.get("points"):
        raise Unrepresentable("they have no points in the image")
    rest = _common(document, "points", "closed", "filled")
    closed, filled = bool(document.get("closed")), bool(document.get("filled"))
    return [rows.Polyline(document.get("label"), document["points"], closed, filled, **rest)]  # type: ignore[arg-type]


def _keypoint(document: Mapping[str, Any], _: LabelContext) -> list[Label]:
    points, own = document.get("points") or [], document.get("confidence")
    rest = _common(document, "points", "confidence", "visibility")
    if not points:
        raise Unrepresentable("they have no points in the image")
    if isinstance(own, list):
        rest["attributes"]["point_confidence"] = _attribute("confidence", own)
    for name, many in (("confidence", own), ("visibility", document.get("visibility"))):
        if isinstance(many, list) and len(many) != len(points):
            raise InvalidLabels(
                "", [f"It has {len(points)} points, but {name!r} has {len(many)} values; give as many."]
            )
    return [rows.Keypoint(document.get("label"), points, document.get("visibility"), **rest)]  # type: ignore[arg-type]


def _segmentation(document: Mapping[str, Any], context: LabelContext) -> list[Label]:
    pixels, rest = _mask(document, context), _common(document, "mask", "mask_path")
    if pixels is None:
        raise Unrepresentable("they have no mask")
    if pixels.ndim != 2:
        raise Unrepresentable("their masks have colours, not numbers of classes")
    given, ours = rest.pop("label_id"), document.get(CLASS_IDS_KEY) or {}
    labels = rows.Segmentation(_resized(pixels, _size(context)), context.targets, **rest)
    for label in labels:
        name = label.columns["label"]
        label.label_id = ours.get(name) or (f"{given}:{name}" if given else None)
    return labels


def _resized(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A class map in the size of its image, resampled by the nearest pixel."""
    for axis, want in enumerate(reversed(size)):
        if (have := pixels.shape[axis]) != want:
            pixels = pixels.take((2 * np.arange(want) + 1) * have // (2 * want), axis)
    return pixels


def _regression(document: Mapping[str, Any], _: LabelContext) -> list[Label]:
    if document.get("value") is None:
        raise Unrepresentable("they have no value")
    return [rows.Scalar(document["value"], **_common(document, "value"))]


def _heatmap(_: Mapping[str, Any], __: LabelContext) -> list[Label]:
    raise Unrepresentable("a heatmap is not a label here")


_DECODE: dict[str, Callable[[Mapping[str, Any], LabelContext], list[Label]]] = {
    "Classification": _classification,
    "TemporalDetection": _classification,
    "Detection": _detection,
    "Polyline": _polyline,
    "Keypoint": _keypoint,
    "Segmentation": _segmentation,
    "Regression": _regression,
    "Heatmap": _heatmap,
}
LABEL_CLASSES = {*_DECODE, *LIST_KEYS}
