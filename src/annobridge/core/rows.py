"""Samples and labels as people write them: FiftyOne's names, in and out of ``LABELS`` rows.

>>> Detection("car", [0.1, 0.2, 0.3, 0.4], confidence=0.9, occluded=True).kind
'box'
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import geometry

Json = None | bool | int | float | str | list[Any] | dict[str, Any]
VALUE_TYPES: dict[type, str] = {bool: "bool", int: "int", float: "float", str: "str"}


def attribute(name: str, value: Json) -> dict[str, str]:
    """One attribute as ``LABELS`` stores it: its type, and its value as JSON text (so "007" stays text)."""
    value = plain(value)
    return {"name": name, "type": VALUE_TYPES.get(type(value), "json"), "value": json.dumps(value)}


def plain(value: Any) -> Any:
    """A value without numpy: its scalars and arrays become Python's."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value


def attributes(values: Mapping[str, Json]) -> list[dict[str, str]]:
    """All attributes of a label, sorted by name; ``None`` means that there is none, and is left out."""
    return [attribute(name, values[name]) for name in sorted(values) if values[name] is not None]


@dataclass
class Label:
    """One label. Use the constructors below; ``row()`` gives what the ``labels`` table holds, less its place."""

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


_PLACE = ("label_id", "sample_id")
_COMMON = ("confidence", "index", "keyframe", "frame_number", "tags", "rotation")


def _label(kind: str, columns: dict[str, Any], extra: dict[str, Any]) -> Label:
    place = {name: extra.pop(name, None) for name in _PLACE}
    common = {name: extra.pop(name) for name in _COMMON if name in extra}
    given = dict(extra.pop("attributes", None) or {})
    return Label(kind, {**columns, **common, "attributes": attributes({**given, **extra})}, **place)


def Classification(label: str, **extra: Any) -> Label:  # noqa: N802
    """A class for a whole image. Keywords: ``confidence``, ``tags``, ``sample_id``, ``label_id``, or attributes."""
    return _label("classification", {"label": label}, extra)


def Detection(  # noqa: N802
    label: str, bounding_box: Sequence[float] | None = None, mask: Any = None, **extra: Any
) -> Label:
    """A box ``[x, y, width, height]``, relative to the image; or, with ``mask``, an instance.

    ``mask`` is a full-image boolean array or a COCO RLE ``{"size": [h, w], "counts": ...}``. A mask that covers just
    the box (FiftyOne's form) is pasted when ``image_size=(width, height)`` is given. Other keywords are attributes.
    """
    size = extra.pop("image_size", None)
    if mask is None:
        return _label("box", {"label": label, "bounding_box": _floats(bounding_box)}, extra)
    if size is not None:
        mask = geometry.paste(np.asarray(mask, bool), _floats(bounding_box) or [], size)
    rle = geometry.as_rle(mask)
    box = _floats(bounding_box) or geometry.mask_box(rle)
    return _label("mask", {"label": label, "bounding_box": box, "mask": rle}, extra)


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
        extra["point_confidence"] = [float(c) for c in extra.pop("confidence")]
    parts = _parts([points])
    seen = visibility if visibility is not None else [0 if np.isnan(p).any() else 2 for p in parts[0]]
    return _label("keypoints", {"label": label, "points": parts, "visibility": [int(v) for v in seen]}, extra)


def Segmentation(  # noqa: N802
    mask: Any, mask_targets: Mapping[int, str] | None = None, **extra: Any
) -> list[Label]:
    """A class map of the whole image: one label per class value present; 0 is background and has none."""
    pixels = np.asarray(mask)
    names = {int(v): (mask_targets or {}).get(int(v), str(int(v))) for v in np.unique(pixels) if v != 0}
    return [
        _label("segmentation", {"label": name, "mask": geometry.as_rle(pixels == value)}, dict(extra))
        for value, name in names.items()
    ]


def Scalar(value: bool | int | float | str, **extra: Any) -> Label:  # noqa: N802
    """A single value for the whole image."""
    return _label("scalar", {"value": json.dumps(plain(value))}, extra)


def Message(  # noqa: N802
    role: str, content: str, number: int = 0, conversation: str = "0", **extra: Any
) -> Label:
    """One message about an image. An answer shares its question's number; ``role`` is ``question``, ``answer`` or
    ``system``.

    ``question_type`` and ``choices`` (of a question) and ``user`` are keywords.
    """
    extra["conversation"] = conversation
    return _label("message", {"label": role, "value": json.dumps(content), "index": number}, extra)


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


def _floats(values: Sequence[float] | None) -> list[float] | None:
    return None if values is None else [float(v) for v in values]


def _parts(points: Sequence[Sequence[Sequence[float]]]) -> list[list[list[float]]]:
    return [[[float(x), float(y)] for x, y in part] for part in points]
