"""The columns of Pixano's tables: those that are read over REST, and all of those on disk.

Attributes that a dataset adds to its records, entities and annotations are not in here; see ``layout``.
"""

from __future__ import annotations

import pyarrow as pa

FLOATS = pa.list_(pa.float64())
INTS = pa.list_(pa.int64())
STRINGS = pa.list_(pa.string())
_TEXT = pa.string()

# --- over REST: the columns that matter for labels ------------------------------------------------------------------

_ANNOTATION = [("id", _TEXT), ("record_id", _TEXT), ("entity_id", _TEXT)]
ANNOTATIONS = {
    "bboxes": pa.schema(
        [
            *_ANNOTATION,
            ("coords", FLOATS),
            ("format", _TEXT),
            ("is_normalized", pa.bool_()),
            ("confidence", pa.float64()),
        ]
    ),
    "masks": pa.schema([*_ANNOTATION, ("size", INTS), ("counts", _TEXT)]),
    "multi-paths": pa.schema([*_ANNOTATION, ("coords", FLOATS), ("num_points", INTS), ("is_closed", pa.bool_())]),
    "keypoints": pa.schema([*_ANNOTATION, ("coords", FLOATS), ("states", STRINGS)]),
}
MESSAGES = pa.schema(
    [
        ("id", _TEXT),
        ("record_id", _TEXT),
        ("conversation_id", _TEXT),
        ("number", pa.int64()),
        ("type", _TEXT),
        ("content", _TEXT),
        ("question_type", _TEXT),
        ("choices", STRINGS),
        ("user", _TEXT),
    ]
)
KEYPOINT_STATES = ("invisible", "hidden", "visible")
TEMPLATES = {"face": 4, "person": 7, "cow": 11}  # keypoint templates that Pixano draws, and their number of points
AUTO = "auto"  # the template with the same number of points
NOT_DRAWN = "annobridge"  # the template of keypoints that Pixano keeps, and does not draw

# --- on disk: all columns, by name ----------------------------------------------------------------------------------

_BASE_NAMES = ("id", "record_id", "entity_id", "source_type", "source_name", "source_metadata", "view_id")
DISK_BASE = dict.fromkeys(_BASE_NAMES, _TEXT)
DISK_FRAME = {
    **DISK_BASE,
    **dict.fromkeys(("tracklet_id", "entity_dynamic_state_id", "frame_id"), _TEXT),
    "frame_index": pa.int64(),
}
DISK_ANNOTATIONS: dict[str, dict[str, pa.DataType]] = {
    "bboxes": {
        **DISK_FRAME,
        "coords": FLOATS,
        "format": _TEXT,
        "is_normalized": pa.bool_(),
        "confidence": pa.float64(),
    },
    "masks": {**DISK_FRAME, "size": INTS, "counts": pa.binary()},
    "multi_paths": {**DISK_FRAME, "coords": FLOATS, "num_points": INTS, "is_closed": pa.bool_()},
    "keypoints": {**DISK_FRAME, "template_id": _TEXT, "coords": FLOATS, "states": STRINGS},
}
DISK_IMAGES = {
    **dict.fromkeys(("id", "record_id", "logical_name", "uri"), _TEXT),
    "raw_bytes": pa.large_binary(), "preview": pa.binary(), "preview_format": _TEXT,
    "width": pa.int64(), "height": pa.int64(), "format": _TEXT,
}  # fmt: skip
DISK_RECORDS = {"id": _TEXT, "split": _TEXT, "created_at": pa.timestamp("us"), "updated_at": pa.timestamp("us"),
                "status": _TEXT, "comment": _TEXT, "sample_id": _TEXT}  # fmt: skip
DISK_ENTITIES = dict.fromkeys(("id", "record_id", "parent_id", "category", "label_id", "label_field"), _TEXT)
DISK_MESSAGES = {
    "id": _TEXT, "record_id": _TEXT, "entity_ids": STRINGS,
    **dict.fromkeys(("source_type", "source_name", "source_metadata", "view_id", "conversation_id"), _TEXT),
    "number": pa.int64(), "user": _TEXT, "type": _TEXT, "content": _TEXT, "choices": STRINGS, "question_type": _TEXT,
}  # fmt: skip
