"""The columns of Pixano's tables on disk, less those that a dataset adds."""

from __future__ import annotations

import pyarrow as pa

from ..arrays import FLOATS, INTS, STRINGS

_TEXT = pa.string()
BASE = dict.fromkeys(
    ("id", "record_id", "entity_id", "source_type", "source_name", "source_metadata", "view_id"), _TEXT
)
FRAME = {
    **BASE,
    **dict.fromkeys(("tracklet_id", "entity_dynamic_state_id", "frame_id"), _TEXT),
    "frame_index": pa.int64(),
}
SHAPES: dict[str, dict[str, pa.DataType]] = {
    "bboxes": {**FRAME, "coords": FLOATS, "format": _TEXT, "is_normalized": pa.bool_(), "confidence": pa.float64()},
    "masks": {**FRAME, "size": INTS, "counts": pa.binary()},
    "multi_paths": {**FRAME, "coords": FLOATS, "num_points": INTS, "is_closed": pa.bool_()},
    "keypoints": {**FRAME, "template_id": _TEXT, "coords": FLOATS, "states": STRINGS},
}
IMAGES = {
    **dict.fromkeys(("id", "record_id", "logical_name", "uri"), _TEXT),
    "raw_bytes": pa.large_binary(), "preview": pa.binary(), "preview_format": _TEXT,
    "width": pa.int64(), "height": pa.int64(), "format": _TEXT,
}  # fmt: skip
RECORDS = {"id": _TEXT, "split": _TEXT, "created_at": pa.timestamp("us"), "updated_at": pa.timestamp("us"),
            "status": _TEXT, "comment": _TEXT, "sample_id": _TEXT}  # fmt: skip
ENTITIES = dict.fromkeys(("id", "record_id", "parent_id", "category", "label_id", "label_field"), _TEXT)
MESSAGES = {
    "id": _TEXT, "record_id": _TEXT, "entity_ids": STRINGS,
    **dict.fromkeys(("source_type", "source_name", "source_metadata", "view_id", "conversation_id"), _TEXT),
    "number": pa.int64(), "user": _TEXT, "type": _TEXT, "content": _TEXT, "choices": STRINGS, "question_type": _TEXT,
}  # fmt: skip
