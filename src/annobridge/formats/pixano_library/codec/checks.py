"""Labels and images that Pixano cannot hold or show, found before anything is written: sentences with the cure."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ....core import attributes
from ....core.arrays import Bools, as_array, as_mask, equal, is_rotated, list_lengths
from ....core.checks.problems import rows_problem
from ...media import ImageHeader
from . import encode, messages
from .layout import SPATIAL
from .tables import TEMPLATES

TOLERANCE = 1e-6  # coordinates that are less than this outside of the image are rounding errors, and clipped
_TURNED_BY_PAGE = ("JPEG", "MPO", "WEBP")


def is_shown_unturned(header: ImageHeader | None) -> bool:
    """Whether Pixano's page ignores the orientation of an image, so that labels would be displaced there.

    It turns JPEG and WebP files as their EXIF data say, and shows other files as they are stored.
    """
    return header is not None and header.orientation > 1 and header.format not in _TURNED_BY_PAGE


def label_problems(labels: pa.Table) -> Iterator[str]:
    """Labels that Pixano cannot hold, whatever the layout."""
    labels = labels.combine_chunks()
    for where, what in _geometry_problems(labels):
        yield from rows_problem(labels, where, what)
    yield from _class_problems(labels)
    yield from _value_problems(labels)


def template_problems(labels: pa.Table, template: str) -> Iterator[str]:
    """Keypoints whose number is not that of their template."""
    points = list_lengths(keypoint_states(labels))
    if template in TEMPLATES and (points != TEMPLATES[template]).any():
        yield (
            f"Pixano's template {template!r} has {TEMPLATES[template]} points, and some keypoints here have others; "
            "leave the option `template` out (they are kept, not drawn), or label keypoints of that many points."
        )


def keypoint_states(labels: pa.Table) -> pa.Array:
    """The states of the labels that are keypoints."""
    return encode.keypoints(labels.filter(pc.equal(labels["kind"], "keypoints")).combine_chunks())[1]


def _geometry_problems(labels: pa.Table) -> Iterator[tuple[Bools, str]]:
    kind = as_array(labels["kind"])
    is_kind = {k: equal(kind, k) for k in ("message", *SPATIAL)}
    is_mask = is_kind["mask"] | is_kind["segmentation"]
    yield (
        is_rotated(labels["rotation"]),
        "are rotated, and Pixano's boxes are upright; send them as polygons, or leave the rotation out.",
    )
    boxes = encode.boxes(labels, clip=False)
    yield is_kind["box"] & as_mask(pc.is_null(boxes)), "are boxes without a bounding_box; correct them."
    yield (
        (is_kind["box"] | is_mask) & _outside(boxes),
        "have a box that is not within the image; all of x, y, width and height must lie in 0 … 1: clip them.",
    )
    yield is_mask & as_mask(pc.is_null(labels["mask"])), "have no mask; add it, or send them as detections."
    yield from _path_problems(labels, is_kind["polygon"] | is_kind["polyline"], is_kind["keypoints"])
    yield (
        is_kind["message"] & ~as_mask(pc.is_in(labels["label"], pa.array(messages.ROLES))),
        f"are messages of another role than {', '.join(messages.ROLES)}; give them one of these.",
    )


def _path_problems(labels: pa.Table, is_path: Bools, is_keypoints: Bools) -> Iterator[tuple[Bools, str]]:
    coords, parts = encode.paths(labels, clip=False)
    has_points = is_path | is_keypoints
    yield has_points & (list_lengths(coords) == 0), "have no points; add some, or delete them."
    yield (
        has_points & _outside(coords, may_be_nan=is_keypoints),
        "have points outside of the image; all coordinates must lie in 0 … 1: clip them.",
    )
    least = np.where(as_mask(encode.closed(labels)), 3, 2)
    rows = np.repeat(np.arange(len(labels)), list_lengths(parts))
    too_short = rows[parts.flatten().to_numpy(zero_copy_only=False) < least[rows]]
    yield (
        is_path & np.isin(np.arange(len(labels)), too_short),
        "have a part of too few points (a ring needs 3, a line 2); complete or delete it.",
    )


def _outside(lists: pa.Array, may_be_nan: Bools | None = None) -> Bools:
    """Where a list has a number outside of 0 … 1; NaN, which marks missing keypoints, is one unless ``may_be_nan``."""
    numbers = lists.flatten().to_numpy(zero_copy_only=False)
    rows = np.repeat(np.arange(len(lists)), list_lengths(lists))
    outside = ~((numbers >= -TOLERANCE) & (numbers <= 1 + TOLERANCE))
    if may_be_nan is not None:
        outside &= ~(np.isnan(numbers) & may_be_nan[rows])
    return np.isin(np.arange(len(lists)), rows[outside])


def _class_problems(labels: pa.Table) -> Iterator[str]:
    groups = labels.filter(pc.equal(labels["kind"], "classification")).group_by(["sample_id", "field", "label"])
    counts = groups.aggregate([([], "count_all")]).to_pylist()
    if repeated := sorted({row["label"] or "" for row in counts if row["count_all"] > 1}):
        yield f"Some samples have the class {repeated[0]!r} twice in one field; Pixano keeps one: delete the others."


def _value_problems(labels: pa.Table) -> Iterator[str]:
    rows = labels.filter(pc.equal(labels["kind"], "message")).combine_chunks()
    if any(not isinstance(json.loads(text), str) for text in pc.unique(rows["value"].drop_null()).to_pylist()):
        yield "Some messages are not text; write their content as one text."
    types = {json.loads(t) for t in pc.unique(attributes.values(rows["attributes"], "question_type")).to_pylist() if t}
    if unknown := sorted(map(str, types - set(messages.QUESTION_TYPES))):
        yield f"The question_type {unknown[0]!r} is none of Pixano's; use one of {', '.join(messages.QUESTION_TYPES)}."
    columns = [attributes.values(labels["attributes"], name) for name in attributes.names(labels["attributes"])]
    if any(map(_has_nonfinite, [*columns, as_array(labels["value"])])):
        yield "Some values are NaN or infinite, which Pixano turns into nothing; leave them out."


def _has_nonfinite(texts: pa.Array) -> bool:
    return bool(as_mask(pc.is_in(texts, pa.array(["NaN", "Infinity", "-Infinity"]))).any())
