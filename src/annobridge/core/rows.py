"""Samples and labels as Python objects with FiftyOne's names, which become rows of ``LABELS``.

>>> Detection("car", [0.1, 0.2, 0.3, 0.4], confidence=0.9, occluded=True).kind
'box'
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from ..exceptions import InvalidLabels, SchemaError
from . import geometry

N = TypeVar("N", int, float)
Json = None | bool | int | float | str | list[Any] | dict[str, Any]
VALUE_TYPES: dict[type, str] = {bool: "bool", int: "int", float: "float", str: "str"}
_BOX = "[x, y, width, height], four numbers relative to the image"
_PLAIN = "a text, a number, True or False, or lists and dictionaries of these"
_SHOWN = 80  # characters of a value


def attribute(name: str, value: Json) -> dict[str, str]:
    """One attribute as ``LABELS`` stores it: its type, and its value as JSON text, so that the text "007" stays a text."""
    value = plain(value)
    return {
        "name": name,
        "type": VALUE_TYPES.get(type(value), "json"),
        "value": _json(f"The attribute {name!r}", value),
    }


def plain(value: Any) -> Any:
    """A numpy scalar or array as Python values; any other value as it is."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value


def attributes(values: Mapping[str, Json]) -> list[dict[str, str]]:
    """All attributes of a label, sorted by name; those that are ``None`` are left out."""
    return [attribute(name, values[name]) for name in sorted(values) if values[name] is not None]


@dataclass
class Label:
    """One label. Use the constructors below; ``row()`` gives its row, without the field."""

    kind: str
    columns: dict[str, Any] = field(default_factory=dict)
    label_id: str | None = None
    sample_id: str | None = None

    def row(self) -> dict[str, Any]:
        """The ``LABELS`` columns that this label sets."""
        row = {"kind": self.kind, **self.columns}
        if self.label_id is not None:
            row["label_id"] = self.label_id
        if self.sample_id is not None:
            row["sample_id"] = self.sample_id
        return {name: value for name, value in row.items() if value is not None}


_IDS = ("label_id", "sample_id")
_COMMON = ("confidence", "index", "keyframe", "frame_number", "tags", "rotation")


def _label(kind: str, columns: dict[str, Any], extra: dict[str, Any]) -> Label:
    given_ids = {name: extra.pop(name, None) for name in _IDS}
    common = {name: extra.pop(name) for name in _COMMON if name in extra}
    given = extra.pop("attributes", None) or {}
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise _wrong("'attributes'", given, "a dictionary of names to values")
    return Label(kind, {**columns, **common, "attributes": attributes({**given, **extra})}, **given_ids)


def Classification(label: str, **extra: Any) -> Label:  # noqa: N802
    """A class for a whole image. Keywords: ``confidence``, ``tags``, ``sample_id``, ``label_id``, or attributes."""
    return _label("classification", {"label": label}, extra)


def Detection(  # noqa: N802
    label: str, bounding_box: Sequence[float] | None = None, mask: Any = None, **extra: Any
) -> Label:
    """A box ``[x, y, width, height]``, relative to the image; or, with ``mask``, an instance.

    ``mask`` is a boolean array of the whole image as it is shown, or a COCO RLE ``{"size": [h, w], "counts": ...}``. A mask that
    covers just the box (FiftyOne's form) is pasted when ``image_size=(width, height)`` is given. Other keywords are attributes.
    """
    size = extra.pop("image_size", None)
    box = _box(bounding_box)
    if mask is None:
        return _label("box", {"label": label, "bounding_box": box}, extra)
    rle = _rle(mask, box, size)
    return _label("mask", {"label": label, "bounding_box": box or geometry.mask_box(rle), "mask": rle}, extra)


def Polyline(  # noqa: N802
    label: str, points: Sequence[Sequence[Sequence[float]]], closed: bool = False, filled: bool = False, **extra: Any
) -> Label:
    """One shape of one or more parts, each a list of relative ``(x, y)``; ``filled`` makes it a polygon."""
    columns = {"label": label, "points": _parts(points), "closed": closed or filled, "filled": filled}
    return _label("polygon" if filled else "polyline", columns, extra)


def Keypoint(  # noqa: N802
    label: str, points: Sequence[Sequence[float]], visibility: Sequence[int] | None = None, **extra: Any
) -> Label:
    """A set of relative points; ``(nan, nan)`` is a missing one. ``visibility``: 0 missing, 1 hidden, 2 visible.

    ``confidence`` may be one number, or one for each point (kept as an attribute).
    """
    if isinstance(extra.get("confidence"), (list, tuple, np.ndarray)):
        extra["point_confidence"] = _numbers("'confidence'", extra.pop("confidence"), float, "a number for each point")
    parts = _parts([points])
    seen = visibility if visibility is not None else [0 if np.isnan(p).any() else 2 for p in parts[0]]
    visible = _numbers("'visibility'", seen, int, "0, 1 or 2 for each point")
    return _label("keypoints", {"label": label, "points": parts, "visibility": visible}, extra)


def Skeleton(  # noqa: N802
    label: str, points: Sequence[Sequence[float]], visibility: Sequence[int] | None = None, **extra: Any
) -> Label:
    """Keypoints with names, which the ``skeleton`` of the schema gives in order. Arguments as of ``Keypoint``."""
    made = Keypoint(label, points, visibility, **extra)
    return Label("skeleton", made.columns, made.label_id, made.sample_id)


def Ellipse(label: str, bounding_box: Sequence[float], **extra: Any) -> Label:  # noqa: N802
    """An ellipse that fills the box ``[x, y, width, height]``; ``rotation`` turns both, in degrees, clockwise."""
    return _label("ellipse", {"label": label, "bounding_box": _box(bounding_box)}, extra)


def Cuboid(label: str, points: Sequence[Sequence[float]], **extra: Any) -> Label:  # noqa: N802
    """A box in perspective: its eight relative corners: the pairs (upper, lower) of its four upright edges, in circular order."""
    return _label("cuboid", {"label": label, "points": _parts([points])}, extra)


def Segmentation(  # noqa: N802
    mask: Any, mask_targets: Mapping[int, str] | None = None, **extra: Any
) -> list[Label]:
    """A map of class values for the whole image: one label for each value that occurs. 0 is the background, without a label."""
    if not isinstance(targets := mask_targets or {}, Mapping):
        raise _wrong("'mask_targets'", targets, "a dictionary from pixel value to class, as {1: 'road'}")
    pixels = _pixels(mask)
    names = {int(v): targets.get(int(v), str(int(v))) for v in np.unique(pixels) if v != 0}
    return [
        _label("segmentation", {"label": name, "mask": geometry.as_rle(pixels == value)}, dict(extra))
        for value, name in names.items()
    ]


def Scalar(value: bool | int | float | str, **extra: Any) -> Label:  # noqa: N802
    """A single value for the whole image."""
    return _label("scalar", {"value": _json("'value'", plain(value))}, extra)


def Message(  # noqa: N802
    role: str, content: str, number: int = 0, conversation: str = "0", **extra: Any
) -> Label:
    """One message about an image. An answer shares its question's number; ``role`` is ``question``, ``answer`` or
    ``system``.

    ``question_type`` and ``choices`` (of a question) and ``user`` are keywords.
    """
    extra["conversation"] = conversation
    return _label("message", {"label": role, "value": _json("'content'", content), "index": number}, extra)


@dataclass
class Sample:
    """An image and its labels. Keywords that are labels (or lists of them) are label fields; others are columns.

    >>> Sample("a.jpg", objects=[Detection("car", [0, 0, 0.5, 0.5])], place="Paris").fields.keys()
    dict_keys(['objects'])
    """

    filepath: str
    sample_id: str | None = None
    tags: Sequence[str] = ()
    fields: dict[str, list[Label]] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=dict)

    def __init__(self, filepath: Any, sample_id: str | None = None, tags: Sequence[str] = (), **values: Any) -> None:
        if isinstance(tags, str) or not isinstance(tags, Iterable) or not all(isinstance(t, str) for t in tags):
            raise SchemaError(f"The tags of a sample are {tags!r}; give a list of texts, as ['train'].")
        self.filepath, self.sample_id, self.tags = str(filepath), sample_id, list(tags)
        self.fields, self.columns = {}, {}
        for name, value in values.items():
            self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        """Set a label field (a label or a list of labels) or a column."""
        labels = [value] if isinstance(value, Label) else value
        if isinstance(labels, (list, tuple)) and labels and all(isinstance(v, Label) for v in labels):
            self.columns.pop(name, None)
            self.fields[name] = list(labels)
        else:
            self.fields.pop(name, None)
            self.columns[name] = value


def _wrong(what: str, value: Any, advice: str) -> InvalidLabels:
    """The error for a value that no label can have."""
    shown = " ".join(repr(value).split())
    return InvalidLabels("", [f"{what} is {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '…'}; give {advice}."])


def _json(name: str, value: Any) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        raise _wrong(name, value, _PLAIN) from None


def _numbers(name: str, values: Any, kind: Callable[[Any], N], advice: str) -> list[N]:
    try:
        return [kind(v) for v in values]
    except (TypeError, ValueError, OverflowError):
        raise _wrong(name, values, advice) from None


def _box(values: Sequence[float] | None) -> list[float] | None:
    if values is None:
        return None
    box = _numbers("'bounding_box'", values, float, _BOX)
    if len(box) != 4:
        raise _wrong("'bounding_box'", values, _BOX)
    return box


def _parts(points: Sequence[Sequence[Sequence[float]]]) -> list[list[list[float]]]:
    try:
        return [[[float(x), float(y)] for x, y in part] for part in points]
    except (TypeError, ValueError, OverflowError):
        raise _wrong("'points'", points, "lists of (x, y), two numbers relative to the image") from None


def _rle(mask: Any, box: Sequence[float] | None, size: Any) -> geometry.Rle:
    try:
        return geometry.as_rle(mask if size is None else geometry.paste(np.asarray(mask, bool), box or [], size))
    except InvalidLabels:
        raise
    except (TypeError, ValueError, OverflowError):
        advice = "an array of height × width pixels, or {'size': [height, width], 'counts': …}"
        raise _wrong(
            "'mask'", mask, advice if size is None else f"{advice}, and image_size as (width, height)"
        ) from None


def _pixels(mask: Any) -> np.ndarray:
    """The class map as a two-dimensional array of numbers."""
    try:
        pixels = np.asarray(mask)
    except ValueError:  # rows of several lengths
        pixels = np.empty(0, object)
    if pixels.dtype.kind not in "biuf" or pixels.ndim != 2:
        raise _wrong("'mask'", mask, "an array of height × width numbers")
    return pixels
