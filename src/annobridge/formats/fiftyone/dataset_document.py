"""The document of a FiftyOne dataset (``metadata.json``), above all its fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from . import extended_json
from .decode import ID_KEY, LIST_KEYS
from .target_fields import TargetField

VERSION = "1.0.0"  # of FiftyOne, whose documents these are; later versions migrate them
_FIELDS = "fiftyone.core.fields."
_LABELS = "fiftyone.core.labels."
_METADATA_FIELDS = {
    "image": ("ImageMetadata", ("width:IntField", "height:IntField")),
    "video": (
        "VideoMetadata",
        ("frame_width:IntField", "frame_height:IntField", "frame_rate:FloatField", "total_frame_count:IntField"),
    ),
}
_LABEL_FIELDS = {
    "Classification": ["logits:VectorField"],
    "Detection": ["bounding_box:ListField:FloatField", "mask:ArrayField", "mask_path:StringField"],
    "Polyline": ["points:PolylinePointsField", "closed:BooleanField", "filled:BooleanField"],
    "Keypoint": ["points:KeypointsField"],
    "Segmentation": ["mask:ArrayField", "mask_path:StringField"],
    "Regression": ["value:FloatField"],
    "TemporalDetection": ["support:FrameSupportField"],
}
_WITH_INDEX = ("Detection", "Polyline", "Keypoint")


def build(
    media_type: str, columns: Mapping[str, pa.Field], targets: Iterable[TargetField], has_ids: bool
) -> dict[str, Any]:
    """The document of a dataset.

    Args:
        media_type: ``"image"`` or ``"video"``.
        columns: columns of samples by the names of their fields.
        targets: the label fields.
        has_ids: whether samples have a field with their id in annobridge.
    """
    targets, now = list(targets), extended_json.encode_date(datetime.now(UTC))
    samples = [_field(t) for t in _SAMPLE_FIELDS]
    samples += [_field(f"{ID_KEY}:StringField")] * has_ids
    samples += [_typed(name, str(type_of(column.type))) for name, column in columns.items()]
    samples += [_label_field(target) for target in targets if not target.is_frame]
    frames = [_field(t) for t in _FRAME_FIELDS] + [_label_field(target) for target in targets if target.is_frame]
    mask_targets = {_full_name(s): {str(n): name for name, n in s.pixels.items()} for s in targets if s.pixels}
    return {
        "_id": extended_json.object_id("dataset"),
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
        "mask_targets": mask_targets,
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
    """The field type for a column; ``None`` if FiftyOne has none."""
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
_COMMON_FIELDS = (
    "id:ObjectIdField",
    "_dataset_id:ObjectIdField",
    "created_at:DateTimeField",
    "last_modified_at:DateTimeField",
)
_SAMPLE_FIELDS = (
    *_COMMON_FIELDS,
    "filepath:StringField",
    "tags:ListField:StringField",
    "_media_type:StringField",
    "_rand:FloatField",
)
_FRAME_FIELDS = (*_COMMON_FIELDS, "frame_number:FrameNumberField", "_sample_id:ObjectIdField")


def _metadata(media_type: str) -> dict[str, Any]:
    name, texts = _METADATA_FIELDS[media_type]
    return _document("metadata", f"fiftyone.core.metadata.{name}", [_field(t) for t in texts])


def _field(text: str) -> dict[str, Any]:
    """A field from ``name:type``, or ``name:type:element type``."""
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


def _label_field(target: TargetField) -> dict[str, Any]:
    if target.outer.endswith("Field"):
        return _typed(target.name, target.outer)
    texts = ["id:ObjectIdField", "tags:ListField:StringField", *_LABEL_FIELDS[target.inner]]
    texts += ["label:StringField"] * (target.inner not in ("Segmentation", "Regression"))
    if target.inner != "Segmentation":
        texts.append("confidence:ListField:FloatField" if target.inner == "Keypoint" else "confidence:FloatField")
    texts += ["index:IntField"] * (target.inner in _WITH_INDEX)
    known = {t.split(":")[0] for t in texts}
    fields = [_field(t) for t in texts]
    fields += [_typed(name, kind) for name, kind in target.attributes.items() if name not in known]
    if target.many is None:
        return _document(target.name, _LABELS + target.outer, fields)
    inner = {
        **_field(f"{LIST_KEYS[target.outer]}:ListField:EmbeddedDocumentField"),
        "embedded_doc_type": _LABELS + target.inner,
        "fields": fields,
    }
    return _document(target.name, _LABELS + target.outer, [inner])


def _full_name(target: TargetField) -> str:
    return f"frames.{target.name}" if target.is_frame else target.name
