"""Which control of a labelling configuration asks for which field and attribute."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ...core.attr_text import from_plain
from ...core.choice_text import choice_text, choices_text, plain
from ...core.schema import Attribute, FieldSchema, LabelSchema
from .label_config import IMAGE, Control, Controls, clean, text_of
from .results import field_name

_SHAPES = {
    "detections": "RectangleLabels", "ellipses": "EllipseLabels", "polygons": "PolygonLabels", "polylines": "VectorLabels",
    "keypoints": "KeyPointLabels", "instances": "BrushLabels", "segmentation": "BrushLabels",
}  # fmt: skip
SHAPED = frozenset(_SHAPES)
_TYPES = {"RectangleLabels": "detections", "EllipseLabels": "ellipses", "PolygonLabels": "polygons", "KeyPointLabels": "keypoints",
          "BrushLabels": "instances", "VectorLabels": "polylines"}  # of what is found  # fmt: skip
_ANSWERS = {  # the controls that can ask for an attribute or scalar of a type; the first is the one that is made
    "text": ("TextArea",), "int": ("Number", "Rating", "TextArea"), "float": ("Number", "TextArea"),
    "number": ("Number", "TextArea"),
    "checkbox": ("Choices",), "select": ("Choices",), "radio": ("Choices",), "list": ("TextArea",),
}  # fmt: skip
_SCALARS = ("Number", "TextArea", "Choices", "Rating")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A control that the schema needs: as it is made, the other tags that will do, and what it is for."""

    control: Control
    tags: tuple[str, ...]
    place: str


@dataclass(frozen=True)
class Layout:
    """A schema, the names of controls that are not called after what they ask for, and the types of scalar fields."""

    schema: LabelSchema
    names: Mapping[str, str]
    scalars: Mapping[str, str]

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Layout:
        """The layout in the state of a receipt."""
        return cls(LabelSchema.from_dict(state["schema"]), state["controls"], state["scalars"])

    def to_state(self) -> dict[str, Any]:
        """What ``from_state`` reads."""
        return {"schema": self.schema.to_dict(), "controls": dict(self.names), "scalars": dict(self.scalars)}

    def control(self, field: str, attribute: str | None = None) -> str:
        """The name of the control of a field, or of an attribute of its regions."""
        name = field if attribute is None else f"{field}.{attribute}"
        return self.names.get(name, name)

    @cached_property
    def fields(self) -> dict[str, FieldSchema]:
        """The field of each control that is not one of an attribute."""
        return {self.control(name): spec for name, spec in self.schema.fields.items()}

    @cached_property
    def attributes(self) -> dict[str, Attribute]:
        """The attribute of each control that asks for one."""
        return {
            self.control(spec.name, attribute.name): attribute
            for spec in self.schema.fields.values() if spec.type in SHAPED
            for attribute in spec.definitions()
        }  # fmt: skip

    def scalar(self, field: str) -> Attribute:
        """The value of a scalar field, as an attribute."""
        classes = self.schema.fields[field].classes
        return Attribute(field, "select" if classes else self.scalars.get(field, "text"), classes)

    def wanted(self) -> Iterator[Wanted]:
        """The controls that the schema needs."""
        for spec in self.schema.fields.values():
            name = self.control(spec.name)
            if spec.type in SHAPED:
                tag = _SHAPES[spec.type]
                tags = (tag, "PolygonLabels") if spec.type == "polylines" else (tag,)
                yield Wanted(Control(name, tag, tuple(spec.classes)), tags, spec.name)
                yield from self._of_attributes(spec)
            elif spec.type == "scalar":
                made = _control(name, self.scalar(spec.name))
                yield Wanted(made, ("Choices",) if spec.classes else _SCALARS, spec.name)
            else:
                made = Control(name, "Choices", tuple(spec.classes), several=spec.type == "classifications")
                yield Wanted(made, ("Choices",), spec.name)

    def _of_attributes(self, spec: FieldSchema) -> Iterator[Wanted]:
        everywhere = {a.name for a in spec.attributes}
        for attribute in spec.definitions():
            owners = tuple(c for c, own in spec.class_attributes.items() if attribute in own)
            made = _control(
                self.control(spec.name, attribute.name), attribute, of_region=True, when=self.control(spec.name),
                classes=() if attribute.name in everywhere else owners,
            )  # fmt: skip
            tags = ("Choices",) if attribute.values else _ANSWERS[attribute.type]
            yield Wanted(made, tags, f"{spec.name}.attributes.{attribute.name}")

    def problems(self) -> Iterator[str]:
        """What of the schema no configuration can hold."""
        wanted = list(self.wanted())
        for name, count in Counter(one.control.name for one in wanted).items():
            if count > 1:
                yield f"{count} fields or attributes need the control {name!r}; call them differently, or define them alike."
        for one in wanted:
            texts = [one.control.name, *one.control.values]
            if unusable := [text for text in texts if clean(text) != text or text != text.strip()]:
                yield f"{one.place}: Label Studio cannot hold {unusable[0]!r}; leave out control characters and spaces around it."
            if commas := [name for name in one.control.classes if "," in name]:
                yield f"{one.place}: in Label Studio, a class with attributes of its own has no comma, as {commas[0]!r}; rename it."

    def config(self) -> str:
        """The configuration of a new project."""
        taken = {one.control.name for one in self.wanted()}
        image = next(name for name in (IMAGE, f"{IMAGE}_", f"{IMAGE}__") if name not in taken)
        return text_of((one.control for one in self.wanted()), image).decode()

    def misfits(self, found: Controls, title: str) -> Iterator[str]:
        """What a project lacks for this schema, a sentence each."""
        if len(found.images) != 1:
            yield f"The project {title!r} shows {len(found.images)} images at once; give one that shows one image."
        counts = Counter(control.name for control in found.all)
        there = {control.name: control for control in found.all}
        for one in self.wanted():
            name = one.control.name
            where = f"{one.place}: in the project {title!r},"
            if name not in there:
                yield f"{where} there is no control {name!r}; add it there, or name another one with controls={{{one.place!r}: …}}."
                continue
            control = there[name]
            if counts[name] > 1:
                yield f"{where} {counts[name]} controls are called {name!r}; rename all but one of them."
            if control.tag not in one.tags or control.of_region != one.control.of_region:
                shown = f"{control.tag}{' of regions' * control.of_region}"
                wanted = f"{' or '.join(one.tags)}{' with perRegion' * one.control.of_region}"
                yield f"{where} the control {name!r} is {shown}, and has to be {wanted}."
            elif one.control.values and (lacking := [v for v in one.control.values if v not in control.values]):
                more = f" and {len(lacking) - 1} more" * (len(lacking) > 1)
                yield f"{where} the control {name!r} lacks {lacking[0]!r}{more}; add what is lacking there, or leave it out here."


def _control(name: str, attribute: Attribute, **more: Any) -> Control:
    tag = "Choices" if attribute.values else _ANSWERS[attribute.type][0]
    values = ("true", "false") if attribute.type == "checkbox" else tuple(map(plain, attribute.values))
    return Control(name, tag, values, several=attribute.type == "list", **more)


def typed(attribute: Attribute, value: Any) -> str:
    """The JSON text of an answer, in the type of its attribute where it can have that.

    >>> typed(Attribute("n", "float"), 2), typed(Attribute("l", "list"), "a"), typed(Attribute("t", "text"), "007")
    ('2.0', '["a"]', '"007"')
    """
    given = list(value) if isinstance(value, list) else [value]
    if attribute.values:
        texts = {plain(choice): json.dumps(choice) for choice in attribute.values}
        strings = [plain(entry) for entry in given]
        several = attribute.type == "list" or len(strings) > 1
        return choices_text(strings, texts) if several else choice_text(strings[0], texts)
    if attribute.type == "list":
        return json.dumps(given)
    return from_plain(attribute.type, "\n".join(map(plain, given)))


def found_fields(found: Controls) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """The fields that a configuration asks for, as a label schema, and the control of each field and attribute by name."""
    fields: dict[str, dict[str, Any]] = {}
    names: dict[str, str] = {}
    for control in (one for one in found.all if not one.of_region and (one.tag in _TYPES or one.tag in _SCALARS)):
        name = field_name(control.name)
        of_choices = "classifications" if control.several else "classification"
        type_ = of_choices if control.tag == "Choices" else _TYPES.get(control.tag, "scalar")
        spec: dict[str, Any] = {"type": type_, "attributes": {}}
        fields[name] = spec if type_ == "scalar" else spec | {"classes": list(control.values)}
        names[name] = control.name
        asking = (o for o in found.all if o.of_region and o.tag in _SCALARS and o.when in (None, control.name))
        for one in asking if type_ in SHAPED else ():
            attribute = one.name.removeprefix(f"{control.name}.")
            spec["attributes"][attribute] = _attribute_of(one)
            names[f"{name}.{attribute}"] = one.name
    return fields, names


def _attribute_of(control: Control) -> dict[str, Any]:
    if control.tag != "Choices":
        return {"type": {"Number": "number", "Rating": "int"}.get(control.tag, "list" if control.several else "text")}
    if set(control.values) == {"true", "false"}:
        return {"type": "checkbox"}
    return {"type": "list" if control.several else "select", "values": list(control.values)}


def scalar_types(schema: LabelSchema, names: Mapping[str, str], found: Controls) -> dict[str, str]:
    """The types of the values of scalar fields, by the controls that ask for them."""
    tags = {"number": "number", "rating": "int"}
    scalars = [name for name, spec in schema.fields.items() if spec.type == "scalar"]
    return {name: tags.get(found.tags.get(names.get(name, name), ""), "text") for name in scalars}
