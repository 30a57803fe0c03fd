"""The parts of a label schema. In FiftyOne's dictionaries, of which ``parse`` makes them, a field is described so:

{"objects": {"type": "detections", "classes": ["car", {"classes": ["bus"], "attributes": {...}}],
             "attributes": {"occluded": {"type": "checkbox", "default": False, "read_only": True}}}}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeGuard

from ..json_values import repeated, same
from ..labels import LABEL_TYPES

ATTRIBUTE_TYPES = ("text", "int", "float", "number", "checkbox", "select", "radio", "list")
FRAMES = "frames."  # the prefix of the fields of a video's frames
NO_CLASSES = {"scalar", "messages"}


def is_field_name(name: object) -> TypeGuard[str]:
    """Whether a label field can have this name: an identifier, or ``frames.`` and an identifier for frames of videos."""
    return isinstance(name, str) and name.removeprefix(FRAMES).isidentifier()


@dataclass(frozen=True, slots=True)
class Flags:
    """What annotators may change in one field."""

    allow_additions: bool = True
    allow_deletions: bool = True
    allow_label_edits: bool = True
    allow_index_edits: bool = True
    allow_spatial_edits: bool = True


FLAGS = tuple(Flags.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute that annotators see. ``type`` is one of ``ATTRIBUTE_TYPES``; ``values`` are its choices, if any.

    With ``values``, a ``list`` is a checklist: any number of the choices, each once at most.
    """

    name: str
    type: str
    values: tuple[Any, ...] = ()
    default: Any = None
    mutable: bool = False
    read_only: bool = False

    @property
    def expects(self) -> str:
        """What it accepts, as the end of a sentence."""
        choices = ", ".join(map(repr, self.values))
        if not self.values:
            return f"of the type {self.type}"
        return f"a list of {choices}, each once at most" if self.type == "list" else f"one of {choices}"

    def accepts(self, value: Any) -> bool:
        """Whether a JSON value has the type of this attribute, and is one of its choices (or a list of some of them).

        Values are compared as in JSON: 1.0 is the choice 1, and True is not.
        """
        if not self.values or not self._is_typed(value):
            return self._is_typed(value)
        if self.type == "list":
            return all(map(self._is_choice, value)) and not repeated(value)
        return self._is_choice(value)

    def _is_choice(self, value: Any) -> bool:
        return any(same(value, choice) for choice in self.values)

    def _is_typed(self, value: Any) -> bool:
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
    """The points of a skeleton: their names, in order, and which of them, by index from 0, a line connects."""

    labels: tuple[str, ...]
    edges: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class FieldSchema:
    """What is labelled in one field: its type, classes, attributes and restrictions.

    The classes of a ``scalar`` are its choices, JSON values; those of any other type are texts.
    """

    name: str
    type: str
    classes: tuple[Any, ...] = ()
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

    @property
    def value(self) -> Attribute:
        """The value of a scalar, as the attribute whose choices are the classes."""
        return Attribute("value", "select", self.classes)

    def attributes_of(self, label: str | None) -> tuple[Attribute, ...]:
        """The attributes that a label of this class has."""
        own = tuple(self.class_attributes.get(label or "", ()))
        return tuple(a for a in self.attributes if a.name not in {b.name for b in own}) + own

    def definitions(self) -> list[Attribute]:
        """Every different definition of an attribute: two classes may define attributes of the same name differently."""
        found: list[Attribute] = []
        for a in (a for group in (self.attributes, *self.class_attributes.values()) for a in group):
            if a not in found:
                found.append(a)
        return found

    def all_attributes(self) -> dict[str, Attribute]:
        """Every attribute by name. Of several definitions, that of the field is returned, or that of the first class."""
        groups = [self.attributes, *self.class_attributes.values()]
        return {a.name: a for group in reversed(groups) for a in group}

    def to_dict(self) -> dict[str, Any]:
        """The dictionary that parses to this field."""
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

    @classmethod
    def from_dict(cls, name: str, stored: Mapping[str, Any]) -> FieldSchema:
        """The field of a dictionary that ``to_dict`` made. It is not checked: old runs may have what is refused in new schemas."""
        items = stored.get("classes", ())
        groups = [item for item in items if isinstance(item, Mapping)]
        targets, skeleton = stored.get("mask_targets"), stored.get("skeleton")
        return cls(
            name,
            stored["type"],
            tuple(c for item in items for c in (item["classes"] if isinstance(item, Mapping) else [item])),
            _stored_attributes(stored.get("attributes", {})),
            {c: _stored_attributes(group["attributes"]) for group in groups for c in group["classes"]},
            None if targets is None else {int(pixel): label for pixel, label in targets.items()},
            None if skeleton is None else Skeleton(tuple(skeleton["labels"]), tuple(map(tuple, skeleton["edges"]))),
            bool(stored.get("existing_field")),
            Flags(**{flag: stored[flag] for flag in FLAGS if flag in stored}),
        )


def _stored_attributes(stored: Mapping[str, Any]) -> tuple[Attribute, ...]:
    return tuple(Attribute(name, **{**spec, "values": tuple(spec.get("values", ()))}) for name, spec in stored.items())


def _attributes_dict(attributes: Iterable[Attribute], in_video: bool) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for a in attributes:
        spec = {"type": a.type, "values": list(a.values), "default": a.default}
        flags = {"mutable": a.mutable, "read_only": a.read_only}
        # A default of False or 0 is kept; flags are left out where False is what parsing would give.
        out[a.name] = {k: v for k, v in spec.items() if v is not None and v != []} | {
            k: v for k, v in flags.items() if v or (in_video and k == "mutable")
        }
    return out
