"""Example samples with labels of each label type, chosen for values that backends often get wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..core.rows import (
    Classification,
    Cuboid,
    Detection,
    Ellipse,
    Keypoint,
    Label,
    Message,
    Polyline,
    Sample,
    Scalar,
    Segmentation,
    Skeleton,
)
from ..core.schema import ATTRIBUTE_TYPES

WIDTH, HEIGHT = 64, 48
CLASSES = ["car", "person", "traffic light", "0 été"]
NAMES = ["a.png", "two words.png", "100%25.png", "été 🦄.png", "-dash'.png", "sub/a.png"]

# Two values of each attribute type: text stays text, whatever it looks like.
ATTRIBUTE_VALUES: dict[str, tuple[Any, Any]] = {
    "text": ("007", "true"),
    "int": (0, -3),
    "float": (0.1, 2.0),
    "number": (0.25, 1e-3),
    "checkbox": (False, True),
    "select": ("red", "light blue"),
    "radio": ("left", "right"),
    "list": (["a", "b"], ["a, b"]),
}
_CHOICES = {"select": ["red", "light blue"], "radio": ["left", "right"]}


def images(folder: Path) -> list[Path]:
    """Write six images, with names that servers may not handle, two of which end in the same name; returns their paths."""
    paths = []
    for number, name in enumerate(NAMES):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT), (40 * number, 90, 120)).save(path)
        paths.append(path)
    return paths


def _mask(number: int) -> np.ndarray:
    pixels = np.zeros((HEIGHT, WIDTH), bool)
    pixels[5 : 20 + number, 7 : 30 + number] = True
    pixels[30:34, 40:45] = True  # a second region, apart
    return pixels


def _box(number: int) -> list[float]:
    return [1 / 3, 0.1 + number / 100, 0.123456789012345, 1 / 7]


def _segmentation(number: int, **extra: Any) -> list[Label]:
    pixels = _mask(number).astype(np.uint8)
    pixels[40:, :10] = 2
    return Segmentation(pixels, {1: "car", 2: "person"}, **extra)


_TRIANGLE = [(0.1, 0.2), (1 / 3, 0.2), (0.5, 2 / 3)]
_CORNERS = [(0.1, 0.1), (0.1, 0.4), (0.3, 0.1), (0.3, 0.4), (1 / 3, 0.05), (1 / 3, 0.35), (0.13, 0.05), (0.13, 0.35)]
_MAKERS: dict[str, Callable[..., list[Label]]] = {
    "classification": lambda n, **kw: [Classification(CLASSES[n % 4], **kw)],
    "classifications": lambda n, **kw: [Classification(c, **kw) for c in CLASSES[: n % 3]],
    "detections": lambda n, **kw: [Detection(CLASSES[i % 4], _box(i), confidence=0.5, **kw) for i in range(n % 4)],
    "instances": lambda n, **kw: [Detection(CLASSES[n % 4], mask=_mask(n), **kw)],
    "polygons": lambda n, **kw: [Polyline("car", [_TRIANGLE, [(0, 0), (1, 0), (1, 1)]], filled=True, **kw)] * (n % 2),
    "polylines": lambda n, **kw: [Polyline("car", [_TRIANGLE], closed=bool(n % 2), **kw)],
    "keypoints": lambda _, **kw: [Keypoint("person", [*_TRIANGLE, (math.nan, math.nan)], **kw)],
    "skeletons": lambda n, **kw: [
        Skeleton("person", [(0.1, 0.2), (math.nan, math.nan), (0.5, 2 / 3)], [2, 0, 1 + n % 2], **kw)
    ],
    "ellipses": lambda n, **kw: [Ellipse("car", _box(n), rotation=33.3 * n, **kw)],
    "cuboids": lambda _, **kw: [Cuboid("car", _CORNERS, **kw)],
    "segmentation": _segmentation,
    "scalar": lambda n, **kw: [Scalar(n, **kw)],
    "messages": lambda n, **kw: [
        Message("question", "How many cars?", n, question_type="OPEN", **kw), Message("answer", "two – or 3", n, **kw)
    ],
}  # fmt: skip


def labels(label_type: str, number: int, **attributes: Any) -> list[Label]:
    """The labels of the image with a number (0 to 5), as new objects."""
    made = _MAKERS[label_type](number, **attributes)
    return [Label(one.kind, dict(one.columns)) for one in made]


def types() -> list[str]:
    """The label types for which there are examples: all."""
    return list(_MAKERS)


# Laws that are about no type in particular use the first of these that a backend declares.
BY_PREFERENCE = (
    "detections", "classifications", "classification", "instances", "polygons", "polylines", "ellipses", "keypoints",
    "skeletons", "cuboids", "segmentation", "scalar", "messages",
)  # fmt: skip


def samples(folder: Path, label_type: str, attributes: dict[str, Any] | None = None) -> list[Sample]:
    """The six images with labels of one type in the field ``field``."""
    out = []
    for number, path in enumerate(images(folder)):
        found = labels(label_type, number, **(attributes or {}))
        sample = Sample(path, sample_id=f"s{number}")
        if found:
            sample["field"] = found
        out.append(sample)
    return out


def change(label_type: str, which: int) -> dict[str, Any]:
    """Columns for ``Tool.edit`` or ``set_labels`` that change the class of a label, or its value if its type has no classes.

    ``which`` (0 or 1) chooses one of two changes, to values that no example has.
    """
    if label_type == "scalar":
        return {"value": ("41", "42")[which]}
    if label_type == "messages":
        return {"value": ('"none"', '"three"')[which]}
    return {"label": CLASSES[2 + which]}


def crowded(folder: Path, label_type: str, count: int) -> list[Sample]:
    """Samples with ``count`` labels of a type in all: boxes on six images, other types on as many images as it takes."""
    if label_type != "detections":
        return _many(folder, label_type, count)
    boxes: dict[str, list[Label]] = {f"s{n}": [] for n in range(len(NAMES))}
    for n in range(count):
        across, down = divmod(n // len(NAMES), 10)
        boxes[f"s{n % len(NAMES)}"].append(Detection("car", [across / 10, down / 10, 0.0625, 0.0625]))
    return [Sample(path, sample_id=s, field=boxes[s]) for s, path in zip(boxes, images(folder), strict=True)]


def _many(folder: Path, label_type: str, count: int) -> list[Sample]:
    first = images(folder)[0]
    out, left, number = [], count, 0
    while left:
        path = folder / f"{number}.png"
        path.write_bytes(first.read_bytes())
        found = labels(label_type, 1)[:left]
        out.append(Sample(path, sample_id=f"s{number}", field=found))
        left, number = left - len(found), number + 1
    return out


def plainly_named(folder: Path, label_type: str) -> list[Sample]:
    """Four images, ``image-0.png`` to ``image-3.png``, with labels of a type."""
    out = []
    for number in range(4):
        path = folder / f"image-{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT), (40 * number, 90, 120)).save(path)
        out.append(Sample(path, sample_id=f"s{number}", field=labels(label_type, number)))
    return out


def of_one_class(folder: Path, label_type: str, owner: str, attributes: dict[str, Any]) -> list[Sample]:
    """The six images, where only labels of the class ``owner`` have attributes."""
    found = samples(folder, label_type, attributes)
    for label in (label for sample in found for group in sample.fields.values() for label in group):
        if label.columns["label"] != owner:
            label.columns["attributes"] = []
    return found


def turned(folder: Path) -> list[Sample]:
    """Two images with rotated boxes."""
    angles = [[30.0, 90.0], [-45.0, 200.5]]
    return [
        Sample(path, sample_id=f"s{n}", field=[Detection(c, [0.25, 0.25, 0.5, 0.25], rotation=a) for c, a in found])
        for n, (path, found) in enumerate(zip(images(folder), [zip(CLASSES, pair) for pair in angles]))  # noqa: B905
    ]


def number_of(image: bytes) -> int:
    """Which of the six images an encoded image is (0 to 5), by its colour; -1 if none."""
    red = Image.open(BytesIO(image)).convert("RGB").resize((1, 1)).getpixel((0, 0))[0]  # type: ignore[index]
    number = round(red / 40)
    return number if number < len(NAMES) and abs(red - 40 * number) < 10 else -1


def distance(a: Mapping[str, Any], b: Mapping[str, Any]) -> float:
    """The largest difference between coordinates of two labels, relative to the image; 0 for labels without boxes and points."""
    ours, theirs = _numbers(a), _numbers(b)
    return float(np.nanmax(np.abs(ours - theirs), initial=0)) if ours.shape == theirs.shape else math.inf


def _numbers(label: Mapping[str, Any]) -> np.ndarray:
    points = [number for part in label["points"] or () for point in part for number in point]
    return np.array([*(label["bounding_box"] or ()), *points], float)


def nearest(label: Mapping[str, Any], others: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """Of the labels with the same sample, class and value, the one with the smallest ``distance``; ``None`` if there are none."""
    key = ("sample_id", "label", "value")
    alike = [o for o in others if all(o[name] == label[name] for name in key)]
    return min(alike, key=lambda o: distance(label, o), default=None)


def schema(label_type: str, attribute_types: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The label schema of the examples of a type, with an attribute ``my_<type>`` for each attribute type."""
    spec: dict[str, Any] = {"type": label_type, "attributes": {}}
    if label_type not in ("scalar", "messages"):
        spec["classes"] = CLASSES
    if label_type == "skeletons":
        spec["skeleton"] = {"labels": ["head", "hand", "foot"], "edges": [[0, 1], [1, 2]]}
    spec["attributes"] = {f"my_{name}": attribute(name) for name in sorted(attribute_types & set(ATTRIBUTE_TYPES))}
    return {"field": spec}


def attribute(name: str, **flags: Any) -> dict[str, Any]:
    """The schema of an attribute; ``flags`` as ``read_only=True`` are added."""
    return {"type": name, **({"values": _CHOICES[name]} if name in _CHOICES else {}), **flags}


def attributes(attribute_types: frozenset[str], which: int) -> dict[str, Any]:
    """Values of the attributes of ``schema``; ``which`` (0 or 1) chooses one of two for each type."""
    return {f"my_{name}": ATTRIBUTE_VALUES[name][which] for name in sorted(attribute_types)}
