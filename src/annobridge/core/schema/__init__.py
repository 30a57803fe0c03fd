"""Label schemas: what is labelled in each field of a run, parsed from FiftyOne's dictionaries."""

from .label_schema import LabelSchema
from .model import (
    ATTRIBUTE_TYPES,
    FLAGS,
    FRAMES,
    NO_CLASSES,
    Attribute,
    FieldSchema,
    Flags,
    Skeleton,
    is_field_name,
)

__all__ = [
    "ATTRIBUTE_TYPES",
    "FLAGS",
    "FRAMES",
    "NO_CLASSES",
    "Attribute",
    "FieldSchema",
    "Flags",
    "LabelSchema",
    "Skeleton",
    "is_field_name",
]
