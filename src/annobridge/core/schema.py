"""The label schema: FiftyOne's dictionaries, parsed into values, with every mistake found at once.

{"objects": {"type": "detections", "classes": ["car", {"classes": ["bus"], "attributes": {...}}],
             "attributes": {"occluded": {"type": "checkbox", "default": False, "read_only": True}}}}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .infer import FieldStats
from .labels import LABEL_TYPES

ATTRIBUTE_TYPES = ("text", "int", "float", "number", "checkbox", "select", "radio", "list")
FRAMES = "frames."  # the prefix of the fields of a video's frames
NO_CLASSES = {"scalar", "messages"}


@dataclass(frozen=True, slots=True)
class Flags:
    """What the annotators may change, in one field."""

    allow_additions: bool = True
    allow_deletions: bool = True
    allow_label_edits: bool = True
    allow_index_edits: bool = True
    allow_spatial_edits: bool = True


FLAGS = tuple(Flags.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute that annotators see. ``type`` is one of ``ATTRIBUTE_TYPES``; ``values`` are its choices, if any."""

    name: str
    type: str
    values: tuple[Any, ...] = ()
    default: Any = None
    mutable: bool = False
    read_only: bool = False

    def accepts(self, value: Any) -> bool:
        """Whether a value is of this attribute's type, and one of its choices."""
        if self.values and not all(v in self.values for v in (value if isinstance(value, list) else [value])):
            return False
        match self.type:
            case "checkbox":
                return isinstance(value, bool)
            case "int":
                return isinstance(value, int) and not isinstance(value, bool)
            case "float" | "number":
                return isinstance(value, int | float) and not isinstance(value, bool)
            case "list":
                return isinstance(value, list)
            case "text":
                return isinstance(value, str)
        return True


@dataclass(frozen=True, slots=True)
class Skeleton:
    """The points of a skeleton: their names, in order, and which of them (by place, from 0) a line connects."""

    labels: tuple[str, ...]
    edges: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class FieldSchema:
    """What is labelled in one field: its type, classes, attributes and restrictions."""

    name: str
    type: str
    classes: tuple[str, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    class_attributes: Mapping[str, tuple[Attribute, ...]] = field(default_factory=dict)
    mask_targets: Mapping[int, str] | None = None
    skeleton: Skeleton | None = None
    existing: bool = False
    flags: Flags = Flags()

    @property
    def kind(self) -> str:
        """The kind of its rows in ``LABELS``."""
        return LABEL_TYPES[self.type]

    @property
    def in_video(self) -> bool:
        """Whether it is a field of a video's frames."""
        return self.name.startswith(FRAMES)

    def attributes_of(self, label: str | None) -> tuple[Attribute, ...]:
        """The attributes that a label of this class has."""
        own = tuple(self.class_attributes.get(label or "", ()))
        return tuple(a for a in self.attributes if a.name not in {b.name for b in own}) + own

    def all_attributes(self) -> dict[str, Attribute]:
        """Every attribute by name, whatever the class."""
        groups = [self.attributes, *self.class_attributes.values()]
        return {a.name: a for group in reversed(groups) for a in group}

    def to_dict(self) -> dict[str, Any]:
        """The dictionary that parses to this."""
        out: dict[str, Any] = {"type": self.type, "existing_field": self.existing}
        if self.type not in NO_CLASSES or self.classes:
            special = self.class_attributes
            out["classes"] = [
                {"classes": [c], "attributes": _attributes_dict(special[c], self.in_video)} if c in special else c
                for c in self.classes
            ]
        out["attributes"] = _attributes_dict(self.attributes, self.in_video)
        if self.mask_targets is not None:
            out["mask_targets"] = {str(k): v for k, v in self.mask_targets.items()}
        if self.skeleton is not None:
            out["skeleton"] = {"labels": list(self.skeleton.labels), "edges": [list(e) for e in self.skeleton.edges]}
        return out | asdict(self.flags)


def _attributes_dict(attributes: Iterable[Attribute], in_video: bool) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for a in attributes:
        spec = {"type": a.type, "values": list(a.values), "default": a.default}
        flags = {"mutable": a.mutable, "read_only": a.read_only}
        # A default of False or 0 says something; a flag that is False does not, where it is the rule.
        out[a.name] = {k: v for k, v in spec.items() if v is not None and v != []} | {
            k: v for k, v in flags.items() if v or (in_video and k == "mutable")
        }
    return out


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
        """Parse a schema. ``defaults`` holds the arguments of the call (``type, classes, attributes, mask_targets,
        allow_*``), used where a field says nothing; ``existing`` describes the fields of the dataset, for inference.

        Raises ``InvalidSchema`` with all problems.
        """
        from .parse import parse  # the parser builds the values of this module

        return cls(parse(label_schema, defaults or {}, existing or {}))

    def to_dict(self) -> dict[str, Any]:
        """The dictionary that parses to this schema; it is what a run stores."""
        return {name: f.to_dict() for name, f in self.fields.items()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> LabelSchema:
        """A schema that ``to_dict`` wrote."""
        parsed = cls.parse(stored)
        return cls(
            {name: replace(f, existing=bool(stored[name].get("existing_field"))) for name, f in parsed.fields.items()}
        )
