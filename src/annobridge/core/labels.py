"""The one table shape that crosses every boundary: ``LABELS``, one row per label.

Stores, backends and the merge all speak it, so images, videos, one field or twelve are the same problem.
Positions are float64 and relative to the image as it is shown, its EXIF orientation applied (0..1, origin top left); nothing here
rounds them. Width and height of samples, pixel coordinates and masks refer to that image too, never to the pixels as stored.

``LABELS``, column by column; null where a label does not have it, unless it says "required":

    label_id       string, required        the dataset's id of the label
    sample_id      string, required        the image or video that it is on
    field          string, required        the label field, a key of the schema; of a video's frames, it begins with "frames."
    frame_number   int32                   the frame, from 1; labels of videos only
    index          int32                   the track's number; of a message, its place in the conversation
    keyframe       bool                    in a track: whether a person set this frame, or it was interpolated
    kind           string, required        what the label is, a member of KINDS; see below
    label          string                  the class; of a message, its role: "question", "answer" or "system"
    confidence     float64                 0..1
    value          string                  of scalars and messages, as JSON text: '7', '"seven"', 'true'
    bounding_box   list of 4 float64       [x, y, width, height], x and y of the top left corner; of the box before it is turned
    rotation       float64                 degrees, clockwise as seen, about the centre of the box; null or 0 is upright
    points         list of lists of [x, y] the parts of a shape; a missing point of keypoints or a skeleton is [NaN, NaN]
    closed         bool                    whether the last point of each part is joined to the first
    filled         bool                    whether the shape has an inside: true for polygons, false for polylines
    visibility     list of int8            of each point of keypoints or a skeleton: 0 missing, 1 hidden, 2 visible
    mask           struct size, counts     COCO's compressed RLE of the whole shown image: size [height, width], counts bytes
    attributes     list of structs         name, type and value, all strings, sorted by name; see below
    tags           list of strings         words for the label
    run            string                  the key of the run that last changed the label; the bridge fills it
    tool           string                  the backend by which it was changed; the bridge fills it
    annotator      string                  the person who last changed it, where the tool says so
    time           timestamp, us, UTC      when it was last changed: as the tool says, or when it was loaded
    rev            int64, required         grows by one with every write of the label here

``REMOTE`` is what a backend returns, in ``Receipt.baseline`` and ``Download.labels``: the same columns, and one more.
``label_id`` and ``rev`` may be null there (in a baseline, ``label_id`` is the one that was sent; in a download, neither is
looked at), and so may ``field``, where the tool does not know it.

    remote_id      string, required        the tool's id of the label, stable, unlike any other on the same sample

The kinds, and the columns that each needs:

    classification label                   a class of the whole image
    box            label, bounding_box     rotation where the box is turned
    mask           label, mask             one object; bounding_box is the box around it
    polygon        label, points           parts of 3 points at least; closed and filled are true; a part in a part is a hole
    polyline       label, points           parts of 2 points at least; closed is true or false, filled is false
    keypoints      label, points           one part; visibility of each point
    skeleton       label, points           one part, in the order of the schema's skeleton; visibility of each point
    ellipse        label, bounding_box     fills the box; rotation where it is turned
    cuboid         label, points           one part of 8 points: the pairs (upper, lower) of four upright edges, going round
    segmentation   label, mask             all pixels of one class on the image
    scalar         value                   one value of the whole image
    message        label, value, index     the attribute "conversation" names the conversation

An attribute is a struct of ``name``, ``type`` and ``value``. ``value`` is JSON text, and ``type`` says which: ``bool``
(``true``), ``int`` (``7``), ``float`` (``0.5``), ``str`` (``"007"``, with the quotes), or ``json`` (lists and dictionaries).
``rows.attribute(name, value)`` makes one of a Python value, and ``rows.attributes(values)`` the whole sorted list of a dictionary.

A table of rows is made so; what a row leaves out is null:

>>> from annobridge.core.rows import attributes
>>> row = {"sample_id": "s1", "field": "objects", "kind": "box", "label": "car", "remote_id": "17"}
>>> row |= {"bounding_box": [0.1, 0.2, 0.3, 0.4], "attributes": attributes({"colour": "red", "parked": True})}
>>> table = pa.Table.from_pylist([row], schema=REMOTE)
>>> [a["value"] for a in table["attributes"][0].as_py()]
['"red"', 'true']

``SAMPLES``, what a backend knows of the images and videos:

    sample_id      string, required        the dataset's id of the image or video
    media_type     string                  "image" or "video"
    filepath       string                  a path or URI; read the file through ``task.media``, wherever it is
    width, height  int32                   pixels, as it is shown
    frames         int32                   of a video: how many
    fps            float64                 of a video: frames per second
    tags           list of strings         words for the sample

``COMMENTS``, what people wrote beside the labels in the tool, in ``Download.comments``:

    sample_id      string, required        the image or video that it is on
    frame_number   int32                   the frame, from 1; of videos only
    box            list of 4 float64       [x, y, width, height], the place that it is about; null: none in particular
    remote_id      string                  the tool's id of the label that it is about, where that is known
    author         string                  who wrote it
    time           timestamp, us, UTC      when it was written
    text           string, required        what it says
    state          string, required        of its thread: "open" or "resolved"
    thread         string, required        the tool's id of the thread, that of an issue
    url            string                  the page where it is

``REFUSALS``, changes of the tool that a reviewer has refused, for ``AnnotationBackend.send_back``:

    change_id      string, required        the id of the change, unlike any other in the run
    sample_id      string, required        the image or video that it is on
    frame_number   int32                   the frame, from 1; of videos only
    remote_id      string                  the tool's id of the label; null where it is not known, as of new labels
    box            list of 4 float64       [x, y, width, height] around the label; null for a label of the whole image
    message        string, required        a sentence for the annotator: what was refused, why, and by whom
    annotator      string                  who made the change, where the tool says so

``REVIEWED``, what the tool says about the progress of each sample, in ``Download.reviewed``:

    sample_id      string, required        the image or video
    reviewed       bool, required          whether a person has finished it, in the sense of the tool
    state          string                  its state in the words of the tool, as "acceptance, completed"
    by             string                  who has, or had, to do it, where the tool says so
    time           timestamp, us, UTC      when something of it, or of its part of the task, was changed last

``FOUND_MEDIA``, the images and videos of a task in the tool, in ``FoundTask.media``:

    name           string, required        the name of the file in the tool, with the folders that it has there
    media_type     string, required        "image" or "video"
    width, height  int32                   pixels, as it is shown
    frames         int32                   of a video: how many
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
        pa.field("media_type", pa.string()),
        pa.field("filepath", pa.string()),
        pa.field("width", pa.int32()),
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
        pa.field("frame_number", pa.int32()),
        pa.field("index", pa.int32()),
        pa.field("keyframe", pa.bool_()),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("label", pa.string()),
        pa.field("confidence", pa.float64()),
        pa.field("value", pa.string()),
        pa.field("bounding_box", pa.list_(pa.float64(), 4)),
        pa.field("rotation", pa.float64()),
        pa.field("points", pa.list_(pa.list_(POINT))),
        pa.field("closed", pa.bool_()),
        pa.field("filled", pa.bool_()),
        pa.field("visibility", pa.list_(pa.int8())),
        pa.field("mask", MASK),
        pa.field("attributes", pa.list_(ATTRIBUTE)),
        pa.field("tags", pa.list_(pa.string())),
        pa.field("run", pa.string()),
        pa.field("tool", pa.string()),
        pa.field("annotator", pa.string()),
        pa.field("time", TIME),
        pa.field("rev", pa.int64(), nullable=False),
    ]
)

# What a backend returns: LABELS, where the columns that only the dataset knows may be null, and the tool's own id.
REMOTE = pa.schema(
    [f.with_nullable(True) if f.name in ("label_id", "field", "rev") else f for f in LABELS]
    + [pa.field("remote_id", pa.string(), nullable=False)]
)

TOOL_KEY = ("sample_id", "remote_id")  # identifies a label of a task in the tool

# What the dataset has now, with the store's address and id of each row, and the version that last wrote it.
OURS = pa.schema(
    [
        *LABELS,
        pa.field("_rowaddr", pa.uint64()),
        pa.field("_rowid", pa.uint64()),
        pa.field("_row_last_updated_at_version", pa.uint64()),
    ]
)

# What was sent, as the tool returned it before anybody worked on it. ``rev`` is the revision of the label in the dataset that
# equals it; -1 if none does.
BASELINE = pa.schema(
    [
        *LABELS,
        pa.field("remote_id", pa.string(), nullable=False),
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("load", pa.int32(), nullable=False),  # 0: as sent; n: as it was after the n-th load
        pa.field("gone", pa.bool_(), nullable=False),  # it was deleted in the tool, and by that load
        pa.field("unsent", pa.list_(ATTRIBUTE)),  # attributes outside the schema; null in runs of versions before 0.2
    ]
)

COMMENTS = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("frame_number", pa.int32()),
        pa.field("box", pa.list_(pa.float64(), 4)),
        pa.field("remote_id", pa.string()),
        pa.field("author", pa.string()),
        pa.field("time", TIME),
        pa.field("text", pa.string(), nullable=False),
        pa.field("state", pa.string(), nullable=False),
        pa.field("thread", pa.string(), nullable=False),
        pa.field("url", pa.string()),
    ]
)
COMMENT_STATES = ("open", "resolved")

REFUSALS = pa.schema(
    [
        pa.field("change_id", pa.string(), nullable=False),
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("frame_number", pa.int32()),
        pa.field("remote_id", pa.string()),
        pa.field("box", pa.list_(pa.float64(), 4)),
        pa.field("message", pa.string(), nullable=False),
        pa.field("annotator", pa.string()),
    ]
)

REVIEWED = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("reviewed", pa.bool_(), nullable=False),
        pa.field("state", pa.string()),
        pa.field("by", pa.string()),
        pa.field("time", TIME),
    ]
)

FOUND_MEDIA = pa.schema(
    [
        pa.field("name", pa.string(), nullable=False),
        pa.field("media_type", pa.string(), nullable=False),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("frames", pa.int32()),
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

ATTRIBUTE_PREFIX = "attributes."  # of the names of components that are attributes

# Not merged: the tool's values are taken with a new label; for a label that was sent, they are ignored without a finding.
NOT_MERGED = ("confidence", "tags")
# Columns that a load never edits. If one of them was changed in the dataset, a deletion in the tool is a conflict.
LOCAL_COLUMNS = ("sample_id", "field", *NOT_MERGED)


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
            column = table[field.name]
            columns.append(column if column.type == field.type else column.cast(field.type))
        else:
            columns.append(pa.nulls(table.num_rows, field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def empty(schema: pa.Schema) -> pa.Table:
    """A table without rows."""
    return schema.empty_table()
