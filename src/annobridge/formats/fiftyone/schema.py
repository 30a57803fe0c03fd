"""``metadata.json``: what a FiftyOne dataset says of itself, its fields above all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from . import values
from .decode import LISTS, OURS
from .plan import Slot

VERSION = "1.0.0"  # of FiftyOne, whose documents these are; later ones bring them up to date themselves
_FIELDS = "fiftyone.core.fields."
_LABELS = "fiftyone.core.labels."
_MEDIA = {
    "image": ("ImageMetadata", ("width:IntField", "height:IntField")),
    "video": (
        "VideoMetadata",
        ("frame_width:IntField", "frame_height:IntField", "frame_rate:FloatField", "total_frame_count:IntField"),
    ),
}
_SPACE = {
    "Classification": ["logits:VectorField"],
    "Detection": ["bounding_box:ListField:FloatField", "mask:ArrayField", "mask_path:StringField"],
    "Polyline": ["points:PolylinePointsField", "closed:BooleanField", "filled:BooleanField"],
    "Keypoint": ["points:KeypointsField"],
    "Segmentation": ["mask:ArrayField", "mask_path:StringField"],
    "Regression": ["value:FloatField"],
    "TemporalDetection": ["support:FrameSupportField"],
}
_INDEXED = ("Detection", "Polyline", "Keypoint")


def dataset(media_type: str, columns: Mapping[str, pa.Field], slots: Iterable[Slot], ours: bool) -> dict[str, Any]:
    """The document of a dataset. ``columns`` are fields of samples by name; ``ours``: some samples have an id of ours."""
    slots, now = list(slots), values.date(datetime.now(UTC))
    samples = [_field(t) for t in _SAMPLE]
    samples += [_field(f"{OURS}:StringField")] * ours
    samples += [_typed(name, str(type_of(column.type))) for name, column in columns.items()]
    samples += [_label_field(slot) for slot in slots if not slot.is_frame]
    frames = [_field(t) for t in _FRAME] + [_label_field(slot) for slot in slots if slot.is_frame]
    targets = {_place(s): {str(n): name for name, n in s.pixels.items()} for s in slots if s.pixels}
    return {
        "_id": values.object_id("dataset"),
        "name": "annobridge",
        "slug": "annobridge",
        "version": VERSION,
        "created_at": now,
        "last_modified_at": now,
        "last_loaded_at": now,
        "media_type": media_type,
        "group_media_types": {},
        "tags": [],
        "info": {},
        "app_config": {},
        "classes": {},
        "default_classes": [],
        "mask_targets": targets,
        "default_mask_targets": {},
        "skeletons": {},
        "sample_fields": [*samples, _metadata(media_type)],
        "frame_fields": frames if media_type == "video" else [],
        "saved_views": [],
        "workspaces": [],
        "annotation_runs": {},
        "brain_methods": {},
        "evaluations": {},
        "runs": {},
    }


def type_of(kind: pa.DataType) -> str | None:
    """The type of field for a column, ``None`` if there is none."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        inner = type_of(kind.value_type)
        return f"ListField:{inner}" if inner and ":" not in inner else None
    return next((name for test, name in _TYPES if test(kind)), None)


_TYPES = (
    (pa.types.is_boolean, "BooleanField"),
    (pa.types.is_integer, "IntField"),
    (pa.types.is_floating, "FloatField"),
    (lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind), "StringField"),
    (pa.types.is_timestamp, "DateTimeField"),
    (pa.types.is_date, "DateField"),
)
_BOTH = ("id:ObjectIdField", "_dataset_id:ObjectIdField", "created_at:DateTimeField", "last_modified_at:DateTimeField")
_SAMPLE = (*_BOTH, "filepath:StringField", "tags:ListField:StringField", "_media_type:StringField", "_rand:FloatField")
_FRAME = (*_BOTH, "frame_number:FrameNumberField", "_sample_id:ObjectIdField")


def _metadata(media_type: str) -> dict[str, Any]:
    name, texts = _MEDIA[media_type]
    return _document("metadata", f"fiftyone.core.metadata.{name}", [_field(t) for t in texts])


def _field(text: str) -> dict[str, Any]:
    """A field from ``name:type`` or ``name:type:type of what is in it``."""
    name, _, kind = text.partition(":")
    return _typed(name, kind)


def _typed(name: str, type_: str) -> dict[str, Any]:
    kind, *inner = type_.split(":")
    return {
        "name": name,
        "ftype": _FIELDS + kind,
        "embedded_doc_type": None,
        "subfield": _FIELDS + inner[0] if inner else None,
        "fields": [],
        "db_field": {"id": "_id"}.get(name, name),
        "description": None,
        "info": None,
        "read_only": name in ("created_at", "last_modified_at"),
    }


def _document(name: str, kind: str, fields: list[dict[str, Any]]) -> dict[str, Any]:
    return {**_typed(name, "EmbeddedDocumentField"), "embedded_doc_type": kind, "fields": fields}


def _label_field(slot: Slot) -> dict[str, Any]:
    if slot.outer.endswith("Field"):
        return _typed(slot.name, slot.outer)
    texts = ["id:ObjectIdField", "tags:ListField:StringField", *_SPACE[slot.inner]]
    texts += ["label:StringField"] * (slot.inner not in ("Segmentation", "Regression"))
    if slot.inner != "Segmentation":
        texts.append("confidence:ListField:FloatField" if slot.inner == "Keypoint" else "confidence:FloatField")
    texts += ["index:IntField"] * (slot.inner in _INDEXED)
    known = {t.split(":")[0] for t in texts}
    fields = [_field(t) for t in texts]
    fields += [_typed(name, kind) for name, kind in slot.attributes.items() if name not in known]
    if slot.many is None:
        return _document(slot.name, _LABELS + slot.outer, fields)
    inner = {
        **_field(f"{LISTS[slot.outer]}:ListField:EmbeddedDocumentField"),
        "embedded_doc_type": _LABELS + slot.inner,
        "fields": fields,
    }
    return _document(slot.name, _LABELS + slot.outer, [inner])


def _place(slot: Slot) -> str:
    return f"frames.{slot.name}" if slot.is_frame else slot.name
