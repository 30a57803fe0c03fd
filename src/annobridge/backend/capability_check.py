"""Compares a label schema with the capabilities that a backend declares."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.schema import Attribute, FieldSchema, LabelSchema
from .base import Capabilities


def problems(schema: LabelSchema, capabilities: Capabilities, backend: str) -> list[str]:
    """A sentence, with alternatives, for each part of the schema that the backend cannot represent."""
    return [p for spec in schema.fields.values() for p in _of_field(spec, capabilities, backend)]


def _of_field(spec: FieldSchema, capabilities: Capabilities, backend: str) -> Iterator[str]:
    if spec.type not in capabilities.label_types:
        yield f"{spec.name}: {backend} cannot label {spec.type}; it can: {_listed(capabilities.label_types)}."
        return
    if spec.in_video and "video" not in capabilities.media_types:
        yield f"{spec.name}: {backend} cannot label videos; label images, or use a backend that can (annobridge backends)."
    if spec.class_attributes and not capabilities.class_attributes:
        names = _listed(spec.class_attributes)
        yield f"{spec.name}: {backend} has no attributes for some classes only ({names}); give them to the whole field."
    attributes = spec.all_attributes()
    if attributes and capabilities.attributed_types is not None and spec.type not in capabilities.attributed_types:
        yield (
            f"{spec.name}: in {backend}, {spec.type} have no attributes ({_listed(attributes)}); pass attributes=False, "
            f"or use one of {_listed(capabilities.attributed_types)}."
        )
        return
    for attribute in spec.definitions():
        yield from _of_attribute(spec, attribute, capabilities, backend)


def _of_attribute(spec: FieldSchema, attribute: Attribute, capabilities: Capabilities, backend: str) -> Iterator[str]:
    where = f"{spec.name}.attributes.{attribute.name}"
    if attribute.type not in capabilities.attribute_types:
        yield f"{where}: {backend} has no attribute of type {attribute.type}; it has: {_listed(capabilities.attribute_types)}."
    elif attribute.type in capabilities.values_required and not attribute.values:
        yield f"{where}: {backend} needs the values of a {attribute.type} attribute; list them under 'values'."


def _listed(names: object) -> str:
    return ", ".join(sorted(names)) or "none"  # type: ignore[call-overload]
