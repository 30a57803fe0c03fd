"""What Pixano cannot hold, found before anything is sent: sentences with the cure."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend import Task
from annobridge.core import attributes
from annobridge.core.arrays import is_rotated
from annobridge.core.labels import REMOTE, conform
from annobridge.core.schema import LabelSchema

from . import layout, messages, values, wire
from .arrays import Bools, bools, lengths, one
from .layout import SPATIAL, Layout
from .wire import TEMPLATES

TOLERANCE = 1e-6  # a rounding error outside of the image is pulled in, and put back afterwards


OF_THE_PAGE = {  # label type -> what people cannot do with it in Pixano's page
    **dict.fromkeys(
        ("polygons", "polylines"), "the points of an existing one cannot be moved; delete it and draw a new one."
    ),
    "keypoints": "new ones cannot be drawn; those of 4, 7 or 11 points are shown, and their points can be moved.",
    "classifications": "the classes of an image are edited as the text of a JSON list.",
}


def of_schema(schema: LabelSchema) -> Iterator[str]:
    """Problems of a schema beyond what ``Capabilities`` say."""
    yield from layout.conflicts(schema)
    for f in schema.fields.values():
        if f.type == "messages":
            for name in sorted(set(f.all_attributes()) - set(messages.NAMES)):
                yield (
                    f"{f.name}.attributes.{name}: messages in Pixano have only {', '.join(messages.NAMES)}; leave it "
                    "out, or keep it in a scalar field."
                )


def of_task(task: Task, columns: Layout) -> list[str]:
    """Problems of a task's values, given the columns that they go to."""
    spatial = task.labels.filter(pc.is_in(task.labels["kind"], pa.array(list(SPATIAL))))
    return [
        *of_labels(task.labels),
        *of_template(task.labels, columns.template),
        *values.misfits(conform(spatial, REMOTE, remote_id="").combine_chunks(), dict(columns.attributes)),
    ]


def of_labels(labels: pa.Table) -> Iterator[str]:
    """Problems of values."""
    labels = labels.combine_chunks()
    for where, what in _checks(labels):
        if n := int(where.sum()):
            ids = labels["label_id"].filter(pa.array(where)).slice(0, 3).to_pylist()
            yield f"{n} label{'s' * (n > 1)} ({', '.join(ids)}{' …' * (n > 3)}): {what}"
    yield from _values(labels)


def undrawn(labels: pa.Table, template: str) -> Iterator[str]:
    """Keypoints that Pixano's page does not draw."""
    drawn = pc.is_in(wire.templates(_keypoint_states(labels), template), pa.array(list(TEMPLATES)))
    if n := len(drawn) - drawn.true_count:
        sizes = ", ".join(f"{size} ({name!r})" for name, size in TEMPLATES.items())
        yield (
            f"{n} keypoint labels are kept, but Pixano's page lists them without drawing them: it has templates for keypoints "
            f"of {sizes} points only{'; the option `template` names another one' * (template != wire.AUTO)}."
        )


def _keypoint_states(labels: pa.Table) -> pa.Array:
    rows = labels.filter(pc.equal(labels["kind"], "keypoints")).combine_chunks()
    return wire.keypoints(rows)[1]


def of_template(labels: pa.Table, template: str) -> Iterator[str]:
    """Keypoints that are not as many as their template has."""
    points = lengths(_keypoint_states(labels))
    if template in TEMPLATES and (points != TEMPLATES[template]).any():
        yield (
            f"Pixano's template {template!r} has {TEMPLATES[template]} points, and some keypoints here have others; "
            "leave the option `template` out (they are kept, not drawn), or label keypoints of that many points."
        )


def _checks(labels: pa.Table) -> Iterator[tuple[Bools, str]]:
    kind = one(labels["kind"])
    is_kind = {k: bools(pc.equal(kind, k)) for k in ("box", "keypoints", "message", "scalar", *SPATIAL)}
    is_path = is_kind["polygon"] | is_kind["polyline"]
    is_mask = is_kind["mask"] | is_kind["segmentation"]
    yield (
        is_rotated(labels["rotation"]),
        "are rotated, and Pixano's boxes are upright; send them as polygons, or leave the rotation out.",
    )
    boxes = wire.boxes(labels, clip=False)
    yield (
        is_kind["box"] & bools(pc.is_null(boxes)),
        "are boxes without a bounding_box; correct them.",
    )
    yield (
        (is_kind["box"] | is_mask) & _outside(boxes, labels),
        "have a box that is not within the image; all of x, y, width and height must lie in 0 … 1: clip them.",
    )
    yield is_mask & bools(pc.is_null(labels["mask"])), "have no mask; add it, or send them as detections."
    yield from _paths(labels, is_path, is_kind["keypoints"])
    yield (
        is_kind["message"] & ~bools(pc.is_in(labels["label"], pa.array(messages.ROLES))),
        f"are messages of another role than {', '.join(messages.ROLES)}; give them one of these.",
    )


def _paths(labels: pa.Table, is_path: Bools, is_points: Bools) -> Iterator[tuple[Bools, str]]:
    coords, parts = wire.paths(labels, clip=False)
    yield (is_path | is_points) & (lengths(coords) == 0), "have no points; add some, or delete them."
    yield (
        (is_path | is_points) & _outside(coords, labels, is_points),
        "have points outside of the image; all coordinates must lie in 0 … 1: clip them.",
    )
    least = np.where(bools(wire.closed(labels)), 3, 2)
    rows = np.repeat(np.arange(len(labels)), lengths(parts))
    short = pc.list_flatten(parts).to_numpy(zero_copy_only=False) < least[rows]
    where = np.zeros(len(labels), bool)
    where[rows[short]] = True
    yield is_path & where, "have a part of too few points (a ring needs 3, a line 2); complete or delete it."


def _outside(nested: pa.Array, labels: pa.Table, may_miss: Bools | None = None) -> Bools:
    """Rows with a number that is not in 0 … 1; NaN is allowed where ``may_miss``."""
    flat = pc.list_flatten(nested).to_numpy(zero_copy_only=False)
    rows = np.repeat(np.arange(len(labels)), lengths(nested))
    wrong = ~((flat >= -TOLERANCE) & (flat <= 1 + TOLERANCE))
    if may_miss is not None:
        wrong &= ~(np.isnan(flat) & may_miss[rows])
    where = np.zeros(len(labels), bool)
    where[rows[wrong]] = True
    return where


def _values(labels: pa.Table) -> Iterator[str]:
    groups = labels.filter(pc.equal(labels["kind"], "classification")).group_by(["sample_id", "field", "label"])
    if repeated := sorted(
        {r["label"] or "" for r in groups.aggregate([([], "count_all")]).to_pylist() if r["count_all"] > 1}
    ):
        yield f"Some samples have the class {repeated[0]!r} twice in one field; Pixano keeps one: delete the others."
    asked = labels.filter(pc.equal(labels["kind"], "message")).combine_chunks()
    said = pc.unique(asked["value"].drop_null()).to_pylist()
    if any(not isinstance(json.loads(v), str) for v in said):
        yield "Some messages are not text; write their content as one text."
    given = {json.loads(t) for t in pc.unique(attributes.values(asked["attributes"], "question_type")).to_pylist() if t}
    if wrong := sorted(map(str, given - set(messages.TYPES))):
        yield f"The question_type {wrong[0]!r} is none of Pixano's; use one of {', '.join(messages.TYPES)}."
    numbers = {
        t for n in attributes.names(labels["attributes"]) for t in _bare(attributes.values(labels["attributes"], n))
    }
    if numbers | set(_bare(one(labels["value"]))):
        yield "Some values are NaN or infinite, which Pixano turns into nothing; leave them out."


def _bare(texts: pa.Array) -> list[str]:
    """The JSON texts that are no JSON: not a number, and infinities."""
    return list(pc.unique(texts.filter(pc.is_in(texts, pa.array(["NaN", "Infinity", "-Infinity"])))).to_pylist())
