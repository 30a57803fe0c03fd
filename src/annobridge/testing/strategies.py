"""Hypothesis strategies for labels of every kind, with values that are valid but unusual.

>>> from hypothesis import find
>>> find(labels("box"), lambda label: label.columns.get("confidence") is not None).kind
'box'
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from annobridge.core import rows
from annobridge.core.labels import KINDS, LABEL_TYPES, LABELS, SINGLE

CLASSES = ("car", "person", "Fußgänger", "traffic light")
IMAGE_SIZE = (8, 6)  # width, height: small, so that masks shrink to something that can be read
FIELDS = {f"a_{name}": name for name in LABEL_TYPES}  # one field of each label type
TRICKY = ("007", "true", "null", "1e5", "NaN", "", " ", "é", "日本", '"quoted"', "a\nb", "\\")

Draw = Callable[[st.SearchStrategy[Any]], Any]

share = st.floats(0, 1)
texts = st.sampled_from(TRICKY) | st.text(max_size=8)
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
values = st.booleans() | numbers | texts | st.lists(texts | numbers, max_size=3)
attributes = st.dictionaries(st.sampled_from(("occluded", "colour", "größe", "note", "Id")), values, max_size=3)
ARE = {"bool": st.booleans(), "int": st.integers(-(2**53), 2**53), "float": st.floats(-1e6, 1e6), "str": texts}


@st.composite
def boxes(draw: Draw) -> list[float]:
    """``[x, y, width, height]`` relative to the image and within it, at least 0.01 wide and high."""
    x, y = draw(st.floats(0, 0.9)), draw(st.floats(0, 0.9))
    return [x, y, draw(st.floats(0.01, 1 - x)), draw(st.floats(0.01, 1 - y))]


def points(fewest: int, most: int = 6) -> st.SearchStrategy[list[list[float]]]:
    """Lists of ``fewest`` to ``most`` points, relative ``[x, y]``: one part of a shape."""
    return st.lists(st.lists(share, min_size=2, max_size=2), min_size=fewest, max_size=most)


def joints() -> st.SearchStrategy[list[list[float]]]:
    """Points of keypoints or a skeleton, where missing ones are ``[NaN, NaN]``."""
    point = st.lists(share, min_size=2, max_size=2) | st.just([np.nan, np.nan])
    return st.lists(point, min_size=1, max_size=5)


@st.composite
def masks(draw: Draw, size: tuple[int, int] = IMAGE_SIZE) -> Any:
    """Boolean arrays of shape (height, width) with at least one pixel set; ``size`` is (width, height)."""
    pixels = np.zeros(size[0] * size[1], bool)
    pixels[draw(st.lists(st.integers(0, pixels.size - 1), min_size=1, max_size=12))] = True
    return pixels.reshape(size[1], size[0])


@st.composite
def labels(
    draw: Draw, kind: str | None = None, classes: Sequence[str] = CLASSES, size: tuple[int, int] = IMAGE_SIZE
) -> rows.Label:
    """Valid labels of a kind (one of ``KINDS``; ``None``: of any kind), without a sample or field."""
    made = kind or draw(st.sampled_from(KINDS))
    extra: dict[str, Any] = {"attributes": draw(attributes)}
    if draw(st.booleans()):
        extra |= {"confidence": draw(share), "tags": draw(st.lists(texts, max_size=2))}
    if made in ("box", "ellipse") and draw(st.booleans()):
        extra["rotation"] = draw(st.floats(-360, 360))
    return _make(draw, made, draw(st.sampled_from(tuple(classes))), size, extra)


def _make(draw: Draw, kind: str, name: str, size: tuple[int, int], extra: dict[str, Any]) -> rows.Label:
    match kind:
        case "classification":
            return rows.Classification(name, **extra)
        case "box":
            return rows.Detection(name, draw(boxes()), **extra)
        case "mask":
            return rows.Detection(name, mask=draw(masks(size)), **extra)
        case "polygon" | "polyline":
            filled = kind == "polygon"
            parts = draw(st.lists(points(3 if filled else 2), min_size=1, max_size=3))
            return rows.Polyline(name, parts, closed=draw(st.booleans()), filled=filled, **extra)
        case "segmentation":
            return rows.Segmentation(draw(masks(size)), {1: name}, **extra)[0]
        case "scalar":
            return rows.Scalar(draw(st.one_of(*ARE.values())), **extra)
        case "message":
            role = draw(st.sampled_from(("question", "answer", "system")))
            return rows.Message(role, draw(texts), number=draw(st.integers(0, 9)), **extra)
        case "ellipse":
            return rows.Ellipse(name, draw(boxes()), **extra)
        case "cuboid":
            return rows.Cuboid(name, draw(points(8, 8)), **extra)
        case "skeleton":
            return rows.Skeleton(name, draw(joints()), **extra)
        case _:
            return rows.Keypoint(name, draw(joints()), **extra)


@st.composite
def label_rows(
    draw: Draw,
    sample_ids: Sequence[str] = ("sample1", "sample2"),
    fields: Mapping[str, str] = FIELDS,
    classes: Sequence[str] = CLASSES,
    frames: int = 0,
    most: int = 8,
) -> list[dict[str, Any]]:
    """Lists of up to ``most`` rows with the columns of ``LABELS``.

    ``fields`` maps field names to label types. With ``frames`` > 0, the samples are videos of so many frames.
    """
    sample_and_field = st.tuples(st.sampled_from(tuple(sample_ids)), st.sampled_from(sorted(fields)))
    found: dict[Any, dict[str, Any]] = {}
    for number, (sample_id, field) in enumerate(draw(st.lists(sample_and_field, max_size=most))):
        label = draw(labels(LABEL_TYPES[fields[field]], classes))
        row = {"field": field, "rev": draw(st.integers(0, 3)), **label.row()}
        row |= {"label_id": f"{number:032x}", "sample_id": sample_id}
        if frames:
            row |= {"frame_number": draw(st.integers(1, frames)), "keyframe": draw(st.booleans())}
            row.setdefault("index", draw(st.integers(1, 3)))
        found.setdefault(_unique_key(row, fields[field]), row)
    return list(found.values())


def _unique_key(row: dict[str, Any], label_type: str) -> tuple[Any, ...]:
    """The key that is unique among the labels of a dataset, by label type: as the image for a classification."""
    image = (row["sample_id"], row["field"], row.get("frame_number"))
    if label_type in SINGLE:
        return image
    if label_type in ("segmentation", "classifications"):
        return (*image, row["label"])
    return (*image, row["label"], row["index"]) if label_type == "messages" else (*image, row["label_id"])


def tables(
    sample_ids: Sequence[str] = ("sample1", "sample2"), fields: Mapping[str, str] = FIELDS, **options: Any
) -> st.SearchStrategy[pa.Table]:
    """Arrow tables with the schema ``LABELS``; ``options`` are those of ``label_rows``."""
    return label_rows(sample_ids, fields, **options).map(lambda found: pa.Table.from_pylist(found, schema=LABELS))
