"""Fields: the field of each label for which the tool names none."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ..labels import KIND_TYPES
from ..schema import FRAMES, LabelSchema


def with_fields(theirs: pa.Table, schema: LabelSchema) -> pa.Table:
    """``theirs`` with a field for each label: of those of its kind, the first that has its class, else the first; where the
    schema has none of its kind, one that is named after its type.
    """
    field, kind, label = (theirs[c].combine_chunks() for c in ("field", "kind", "label"))
    if not field.null_count:
        return theirs
    for has_class in (True, False):
        for spec in schema.fields.values():
            fits = pc.and_(field.is_null(), pc.equal(kind, spec.kind))
            if has_class:
                classes = () if spec.type == "scalar" else spec.classes
                fits = pc.and_(fits, pc.is_in(label, value_set=pa.array(classes, pa.string())))
            field = pc.if_else(fits, spec.name, field)
    return set_field(theirs, pc.coalesce(field, named_after_type(theirs)))


def named_after_type(labels: pa.Table) -> pa.Array:
    """For each label, the name of a field of its type, as ``detections`` or, for a label on a frame, ``frames.detections``."""
    kind, frame_number = labels["kind"].combine_chunks(), labels["frame_number"].combine_chunks()
    coded = kind.dictionary_encode()
    names = pa.array([KIND_TYPES.get(k, k) for k in coded.dictionary.to_pylist()], pa.string()).take(coded.indices)
    return pc.if_else(frame_number.is_valid(), pc.binary_join_element_wise(FRAMES, names, ""), names)


def set_field(labels: pa.Table, fields: pa.Array) -> pa.Table:
    """``labels`` with the fields in place of their own."""
    return labels.set_column(labels.column_names.index("field"), labels.schema.field("field"), fields)
