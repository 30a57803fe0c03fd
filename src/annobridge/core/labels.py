"""The one table shape that crosses every boundary: ``LABELS``, one row per label.

Stores, backends and the merge all speak it, so images, videos, one field or twelve are the same problem.
Positions are float64 and relative to the image as it is shown, its EXIF orientation applied (0..1, origin top left); nothing here
rounds them. Width and height of samples, pixel coordinates and masks refer to that image too, never to the pixels as stored.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

POINT = pa.list_(pa.float64(), 2)
ATTRIBUTE = pa.struct([("name", pa.string()), ("type", pa.string()), ("value", pa.string())])
MASK = pa.struct([("size", pa.list_(pa.int32(), 2)), ("counts", pa.binary())])
TIME = pa.timestamp("us", "UTC")

SAMPLES = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("media_type", pa.string()),  # image | video
        pa.field("filepath", pa.string()),  # path or URI
        pa.field("width", pa.int32()),  # of the image as it is shown
        pa.field("height", pa.int32()),
        pa.field("frames", pa.int32()),
        pa.field("fps", pa.float64()),
        pa.field("tags", pa.list_(pa.string())),
    ]
)

LABELS = pa.schema(
    [
        pa.field("label_id", pa.string(), nullable=False),
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("field", pa.string(), nullable=False),
        pa.field("frame_number", pa.int32()),  # from 1, videos only
        pa.field("index", pa.int32()),  # the track, or the place in a conversation
        pa.field("keyframe", pa.bool_()),
        pa.field("kind", pa.string(), nullable=False),  # a member of KINDS
        pa.field("label", pa.string()),  # the class; a message's role
        pa.field("confidence", pa.float64()),
        pa.field("value", pa.string()),  # scalars and messages, as JSON text
        pa.field("bounding_box", pa.list_(pa.float64(), 4)),  # x, y, width, height
        pa.field("rotation", pa.float64()),  # degrees, clockwise, about the centre of the box
        pa.field("points", pa.list_(pa.list_(POINT))),  # parts of points; a missing keypoint is NaN
        pa.field("closed", pa.bool_()),
        pa.field("filled", pa.bool_()),
        pa.field("visibility", pa.list_(pa.int8())),  # per keypoint: 0 missing, 1 hidden, 2 visible
        pa.field("mask", MASK),  # COCO compressed RLE over the whole shown image, size = [height, width]
        pa.field("attributes", pa.list_(ATTRIBUTE)),  # sorted by name; values are JSON text
        pa.field("tags", pa.list_(pa.string())),
        pa.field("run", pa.string()),  # provenance: the run, tool and person that last changed it
        pa.field("tool", pa.string()),
        pa.field("annotator", pa.string()),
        pa.field("time", TIME),
        pa.field("rev", pa.int64(), nullable=False),  # grows by one with every write; the token of compare-and-set
    ]
)

# What a backend returns: LABELS, less the certainty of whose label it is, plus the tool's own id.
# ``label_id`` may be null (new in the tool), and so may ``field`` (the tool does not know).
REMOTE = pa.schema(
    [f.with_nullable(True) if f.name in ("label_id", "field", "rev") else f for f in LABELS]
    + [pa.field("remote_id", pa.string(), nullable=False)]
)

# What the dataset has now, and what its store knows of each row: its address and id, and the version that last wrote it.
OURS = pa.schema(
    [
        *LABELS,
        pa.field("_rowaddr", pa.uint64()),
        pa.field("_rowid", pa.uint64()),
        pa.field("_row_last_updated_at_version", pa.uint64()),
    ]
)

# What was sent, as the tool gives it back untouched. ``rev`` is the revision here that it equals, or -1.
BASELINE = pa.schema(
    [
        *LABELS,
        pa.field("remote_id", pa.string(), nullable=False),
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("load", pa.int32(), nullable=False),  # 0 = sent; n = as the n-th load left it
        pa.field("gone", pa.bool_(), nullable=False),  # the tool deleted it, and so did that load
        pa.field("unsent", pa.list_(ATTRIBUTE)),  # attributes outside the schema, as they were here; null before 0.2
    ]
)

KINDS = (
    "classification",
    "box",
    "mask",
    "polygon",
    "polyline",
    "keypoints",
    "skeleton",
    "ellipse",
    "cuboid",
    "segmentation",
    "scalar",
    "message",
)

# Label type of the API -> the kind of its rows. ``classification`` and ``scalar`` hold one label per sample.
LABEL_TYPES: dict[str, str] = {
    "classification": "classification",
    "classifications": "classification",
    "detections": "box",
    "instances": "mask",
    "polygons": "polygon",
    "polylines": "polyline",
    "keypoints": "keypoints",
    "skeletons": "skeleton",
    "ellipses": "ellipse",
    "cuboids": "cuboid",
    "segmentation": "segmentation",
    "scalar": "scalar",
    "messages": "message",
}
SINGLE = frozenset({"classification", "scalar"})
SINGULARS = {
    "detection": "detections",
    "instance": "instances",
    "polygon": "polygons",
    "polyline": "polylines",
    "keypoint": "keypoints",
    "skeleton": "skeletons",
    "ellipse": "ellipses",
    "cuboid": "cuboids",
    "segmentations": "segmentation",
    "message": "messages",
}
KIND_TYPES = {kind: name for name, kind in LABEL_TYPES.items() if name != "classification"}

COMPONENTS = {
    "label": ("label", "value"),
    "spatial": ("kind", "frame_number", "bounding_box", "rotation", "points", "closed", "filled", "visibility", "mask"),
    "index": ("index", "keyframe"),
}

# Never merged: what a tool says of them is taken with a new label, and ignored, without a finding, for one that was sent.
UNSENT = ("confidence", "tags")
# No component either; but a label in which any of them was changed here is not deleted without a conflict.
LOCAL = ("sample_id", "field", *UNSENT)


def conform(table: pa.Table, schema: pa.Schema, **constants: Any) -> pa.Table:
    """``table`` with exactly the columns of ``schema``: missing ones filled with a constant, or null.

    Raises ``KeyError`` for a column that the schema does not have, and Arrow's errors for a value that does not fit.
    """
    unknown = [name for name in table.column_names if name not in schema.names and name not in constants]
    if unknown:
        raise KeyError(unknown[0])
    columns = []
    for field in schema:
        if field.name in constants:
            columns.append(pa.repeat(pa.scalar(constants[field.name], field.type), table.num_rows))
        elif field.name in table.column_names:
            columns.append(table[field.name].cast(field.type))
        else:
            columns.append(pa.nulls(table.num_rows, field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def empty(schema: pa.Schema) -> pa.Table:
    """A table of no rows."""
    return schema.empty_table()
