"""Check a schema against what a backend declares, before anything is sent; all problems at once, with the alternatives."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.schema import Attribute, FieldSchema, LabelSchema
from .base import Capabilities


def problems(schema: LabelSchema, can: Capabilities, backend: str) -> list[str]:
    """What the backend cannot represent, a sentence each."""
    return [p for spec in schema.fields.values() for p in _of_field(spec, can, backend)]


def _of_field(spec: FieldSchema, can: Capabilities, backend: str) -> Iterator[str]:
    if spec.type not in can.label_types:
        yield f"{spec.name}: {backend} cannot label {spec.type}; it can: {_listed(can.label_types)}."
        return
    if spec.in_video and "video" not in can.media_types:
        yield f"{spec.name}: {backend} cannot label videos; label images, or use a backend that can (annobridge backends)."
    if spec.class_attributes and not can.class_attributes:
        names = _listed(spec.class_attributes)
        yield f"{spec.name}: {backend} has no attributes for some classes only ({names}); give them to the whole field."
    attributes = spec.all_attributes()
    if attributes and can.attributed_types is not None and spec.type not in can.attributed_types:
        yield (
            f"{spec.name}: in {backend}, {spec.type} have no attributes ({_listed(attributes)}); pass attributes=False, "
            f"or use one of {_listed(can.attributed_types)}."
        )
        return
    for a in spec.definitions():
        yield from _of_attribute(spec, a, can, backend)


def _of_attribute(spec: FieldSchema, a: Attribute, can: Capabilities, backend: str) -> Iterator[str]:
    where = f"{spec.name}.attributes.{a.name}"
    if a.type not in can.attribute_types:
        yield f"{where}: {backend} has no attribute of type {a.type}; it has: {_listed(can.attribute_types)}."
    elif a.type in can.values_required and not a.values:
        yield f"{where}: {backend} needs the values of a {a.type} attribute; list them under 'values'."


def _listed(names: object) -> str:
    return ", ".join(sorted(names)) or "none"  # type: ignore[call-overload]
