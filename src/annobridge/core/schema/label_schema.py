"""The label schema of a run: its fields by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .infer import FieldStats
from .model import FieldSchema
from .parse import parse


@dataclass(frozen=True, slots=True)
class LabelSchema:
    """The fields of one run. ``LabelSchema.parse`` makes it from FiftyOne's dictionaries.

    >>> LabelSchema.parse({"objects": {"type": "detections", "classes": ["car"]}}).fields["objects"].kind
    'box'
    """

    fields: Mapping[str, FieldSchema]

    @classmethod
    def parse(
        cls,
        label_schema: Mapping[str, Any] | Sequence[str] | str,
        defaults: Mapping[str, Any] | None = None,
        existing: Mapping[str, FieldStats] | None = None,
    ) -> LabelSchema:
        """Parse a schema.

        Args:
            label_schema: FiftyOne's dictionary, or the names of fields that have labels.
            defaults: values for keys that a field does not have (``type``, ``classes``, ``attributes``, ``mask_targets``,
                ``allow_…``): the arguments of ``annotate``.
            existing: the fields of the dataset, from which missing keys are inferred.

        Raises:
            InvalidSchema: with all problems.
        """
        return cls(parse(label_schema, defaults or {}, existing or {}))

    def to_dict(self) -> dict[str, Any]:
        """The dictionary that a run stores; parsing it gives this schema."""
        return {name: f.to_dict() for name, f in self.fields.items()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> LabelSchema:
        """The schema of a dictionary that ``to_dict`` made."""
        return cls({name: FieldSchema.from_dict(name, spec) for name, spec in stored.items()})
