"""Parse FiftyOne's dictionaries into ``FieldSchema`` objects, and collect every mistake with its path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...exceptions import InvalidSchema
from ..did_you_mean import did_you_mean
from ..json_values import repeated
from ..labels import LABEL_TYPES, SINGULARS
from ..rows import plain
from .infer import FieldStats
from .model import ATTRIBUTE_TYPES, FLAGS, FRAMES, NO_CLASSES, Attribute, FieldSchema, Flags, Skeleton, is_field_name

_ALIASES = {"str": "text", "string": "text", "integer": "int", "bool": "checkbox", "boolean": "checkbox"} | {
    "occluded": "checkbox",  # FiftyOne's names for CVAT's two built-in attributes
    "group_id": "int",
}
_TYPE_OF_VALUES = {"str": "text", "int": "int", "float": "float", "bool": "checkbox", "json": "list"}


def parse(label_schema: Any, defaults: Mapping[str, Any], existing: Mapping[str, FieldStats]) -> dict[str, FieldSchema]:
    """The fields of a label schema. Raises ``InvalidSchema`` with all problems."""
    problems: list[str] = []
    specs = _specs(label_schema, problems)
    fields = {}
    for name, spec in specs.items():
        if parsed := _FieldParser(name, {**defaults, **spec}, existing, problems).parse():
            fields[name] = parsed
    if not specs and not problems:
        problems.append(
            "The label schema names no field; give at least one, as {'field': {'type': …, 'classes': […]}}."
        )
    if problems:
        raise InvalidSchema(f"The label schema has {_count(problems, 'mistake')}:", problems)
    return fields


def infers_values(label_schema: Any, defaults: Mapping[str, Any]) -> dict[str, bool]:
    """The fields that a label schema names, and whether ``parse`` takes classes or attributes of each from its labels.

    >>> infers_values({"a": {"classes": ["car"], "attributes": False}, "b": None}, {})
    {'a': False, 'b': True}
    """
    found = {}
    for name, spec in _specs(label_schema, []).items():
        given = {**defaults, **spec}
        attributes = given.get("attributes", True)
        found[name] = not given.get("classes") or not (isinstance(attributes, Mapping) or attributes in (False, None))
    return found


def _count(items: Sequence[Any], noun: str) -> str:
    return f"{len(items)} {noun}{'s' if len(items) != 1 else ''}"


def _specs(schema: Any, problems: list[str]) -> dict[str, Mapping[str, Any]]:
    if isinstance(schema, str):
        return {schema: {}}
    if isinstance(schema, Mapping):
        invalid = [n for n, s in schema.items() if not isinstance(s, Mapping | None)]
        problems += [
            f"{n}: is of the type {type(schema[n]).__name__}; describe the field with a dictionary." for n in invalid
        ]
        return {str(n): s or {} for n, s in schema.items() if n not in invalid}
    if isinstance(schema, Sequence):
        return {str(n): {} for n in schema}
    problems.append(
        f"The label schema is of the type {type(schema).__name__}; give a dictionary or a list of field names."
    )
    return {}


class _FieldParser:
    """Parses one field, and adds its mistakes to ``problems``."""

    keys = ("type", "classes", "attributes", "mask_targets", "skeleton", "existing_field", *FLAGS)

    def __init__(
        self, name: str, spec: Mapping[str, Any], known: Mapping[str, FieldStats], problems: list[str]
    ) -> None:
        self.name, self.spec, self.problems = name, spec, problems
        self.stats = known.get(name)
        self.known = known

    def wrong(self, path: str, sentence: str) -> None:
        self.problems.append(f"{self.name}{path}: {sentence}")

    def parse(self) -> FieldSchema | None:
        before = len(self.problems)
        if not is_field_name(self.name):
            self.wrong("", "is not a field name; use letters, digits and _ (a video's frame field: frames.NAME).")
        for key in self.spec:
            if key not in self.keys:
                self.wrong(f".{key}", f"is not a key of a field; {did_you_mean(str(key), self.keys)}")
        kind = self.label_type()
        flags = {f: self.flag(f) for f in FLAGS}
        classes, class_attributes = self.classes(kind)
        attributes = self.attributes(self.spec.get("attributes", True), "")
        targets = self.mask_targets()
        skeleton = self.skeleton(kind)
        if kind == "segmentation" and targets and not classes:
            classes = tuple(dict.fromkeys(targets.values()))
        if len(self.problems) > before or kind is None:
            return None
        return FieldSchema(
            self.name,
            kind,
            classes,
            attributes,
            class_attributes,
            targets,
            skeleton,
            self.stats is not None,
            Flags(**flags),
        )

    def flag(self, name: str) -> bool:
        value = self.spec.get(name, True)
        if not isinstance(value, bool):
            self.wrong(f".{name}", f"is {value!r}; give True or False.")
        return bool(value)

    def label_type(self) -> str | None:
        given = self.spec.get("type")
        if given is None:
            return self.inferred_type()
        name = SINGULARS.get(given, given) if isinstance(given, str) else given
        if not isinstance(name, str) or name not in LABEL_TYPES:
            self.wrong(".type", f"{given!r} is not a label type; {did_you_mean(str(given), LABEL_TYPES)}")
            return None
        if self.stats and self.stats.kinds and LABEL_TYPES[name] not in self.stats.kinds:
            has = " and ".join(sorted(self.stats.types()))
            self.wrong(".type", f"is {name!r}, but the field holds {has}; use that type, or another field name.")
        elif self.stats and name == "classification" and "classifications" in self.stats.types():
            self.wrong(".type", "is 'classification', but the field holds several on a sample; use 'classifications'.")
        return name

    def inferred_type(self) -> str | None:
        if self.stats is None:
            hint = f" (fields here: {', '.join(sorted(self.known))})" if self.known else ""
            self.wrong(
                "", f"the dataset has no such field{hint}; correct the name, or give a 'type' to make a new one."
            )
            return None
        types = sorted(self.stats.types())
        if len(types) != 1:
            self.wrong(
                ".type", f"is missing, and the field holds {' and '.join(types) or 'nothing'}; say which to send."
            )
            return None
        return types[0]

    def classes(self, kind: str | None) -> tuple[tuple[Any, ...], dict[str, tuple[Attribute, ...]]]:
        given = self.spec.get("classes")
        if given is None or (isinstance(given, list | tuple) and not given):
            return self.default_classes(kind), {}
        if isinstance(given, str) or not isinstance(given, Sequence):
            self.wrong(".classes", f"is {given!r}; give a list of class names.")
            return (), {}
        if kind == "scalar":
            return self.values(given, ".classes") or (), {}
        names: list[str] = []
        extra: dict[str, tuple[Attribute, ...]] = {}
        for i, item in enumerate(given):
            if isinstance(item, str):
                names.append(item)
            elif isinstance(item, Mapping) and isinstance(item.get("classes"), list | tuple):
                group = [name for name in item["classes"] if isinstance(name, str)]
                attributes = self.class_group(item, f".classes[{i}]")
                names += group
                extra |= dict.fromkeys(group, attributes)
            else:
                self.wrong(f".classes[{i}]", f"is {item!r}; give a name, or {{'classes': […], 'attributes': {{…}}}}.")
        for name, times in Counter(names).items():
            if not name.strip():
                self.wrong(".classes", f"holds {name!r}; a class needs a name.")
            elif times > 1:
                self.wrong(".classes", f"names {name!r} more than once; name each class once.")
        return tuple(names), extra

    def class_group(self, item: Mapping[str, Any], path: str) -> tuple[Attribute, ...]:
        """The attributes of a group of classes."""
        for key in item:
            if key not in ("classes", "attributes"):
                self.wrong(
                    f"{path}.{key}",
                    f"is not a key of a class group; {did_you_mean(str(key), ('classes', 'attributes'))}",
                )
        for name in item["classes"]:
            if not isinstance(name, str):
                self.wrong(f"{path}.classes", f"holds {name!r}; a class is a text.")
        return self.attributes(item.get("attributes", False), path)

    def default_classes(self, kind: str | None) -> tuple[str, ...]:
        if kind in NO_CLASSES or kind is None:
            return ()
        if self.stats is not None and self.stats.classes:
            return tuple(sorted(self.stats.classes))
        if not (kind == "segmentation" and self.spec.get("mask_targets")):
            self.wrong(".classes", "is missing, and there is no label to take the classes from; give a list of names.")
        return ()

    def attributes(self, given: Any, path: str) -> tuple[Attribute, ...]:
        if given is True:
            return self.inferred_attributes() if not path else ()
        if given in (False, None):
            return ()
        if isinstance(given, str):
            given = [given]
        if isinstance(given, Mapping):
            parsed = [self.attribute(n, s, f"{path}.attributes.{n}") for n, s in given.items()]
            return tuple(a for a in parsed if a is not None)
        if isinstance(given, Sequence):
            for name in given:
                if not isinstance(name, str):
                    self.wrong(f"{path}.attributes", f"holds {name!r}; give names, or a dictionary of attributes.")
            names = list(dict.fromkeys(n for n in given if isinstance(n, str)))
            self.require_attributes(names, f"{path}.attributes")
            return tuple(map(self.inferred_attribute, names))
        self.wrong(f"{path}.attributes", f"is {given!r}; give True, False, a list of names, or a dictionary.")
        return ()

    def require_attributes(self, names: Sequence[str], path: str) -> None:
        """An attribute can be given by its name alone only if labels of the field have it: its type is inferred from them."""
        known = self.stats.attributes if self.stats else ()
        for name in names:
            if name not in known:
                why = (
                    f"which no label of the field has; {did_you_mean(name, known)}"
                    if self.stats
                    else "and the field is new."
                )
                cure = f"Describe a new attribute with a dictionary, as {{{name!r}: {{'type': 'text'}}}}."
                self.wrong(path, f"names {name!r}, {why} {cure}")

    def inferred_attributes(self) -> tuple[Attribute, ...]:
        return tuple(self.inferred_attribute(n) for n in sorted(self.stats.attributes)) if self.stats else ()

    def inferred_attribute(self, name: str) -> Attribute:
        types = self.stats.attributes.get(name, {"str"}) if self.stats else {"str"}
        if types <= {"int", "float"} and len(types) > 1:
            kind = "number"
        else:
            kind = _TYPE_OF_VALUES.get(next(iter(types)), "text") if len(types) == 1 else "text"
        return Attribute(name, kind, mutable=self.name.startswith(FRAMES))

    def attribute(self, name: Any, spec: Any, path: str) -> Attribute | None:
        if not isinstance(name, str) or not name.strip():
            self.wrong(path, "needs a name.")
            return None
        if not isinstance(spec, Mapping):
            self.wrong(path, f"is {spec!r}; describe the attribute with a dictionary, as {{'type': 'text'}}.")
            return None
        for key in spec:
            if key not in Attribute.__dataclass_fields__ or key == "name":
                self.wrong(
                    f"{path}.{key}", f"is not a key of an attribute; {did_you_mean(str(key), Attribute.__slots__[1:])}"
                )
        given = spec.get("type")
        kind = _ALIASES.get(given, given) if isinstance(given, str) else given
        if kind not in ATTRIBUTE_TYPES:
            what = "is missing" if given is None else f"{given!r} is not an attribute type"
            self.wrong(f"{path}.type", f"{what}; {did_you_mean(str(given), ATTRIBUTE_TYPES)}")
            return None
        values = self.values(spec.get("values") or (), f"{path}.values")
        if values is None:
            return None
        # An attribute may change between the frames of a video unless the schema says that it is not mutable.
        given_flags = {"mutable": self.name.startswith(FRAMES), "read_only": False}
        flags = {key: spec.get(key, default) for key, default in given_flags.items()}
        for key, flag in flags.items():
            if not isinstance(flag, bool):
                self.wrong(f"{path}.{key}", f"is {flag!r}; give True or False.")
        default = plain(spec.get("default"))
        default = list(default) if isinstance(default, tuple) else default
        return self.checked(Attribute(name, str(kind), values, default, **flags), path)

    def values(self, given: Any, path: str) -> tuple[Any, ...] | None:
        """The choices of an attribute or a scalar: JSON values, each once."""
        if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
            self.wrong(path, f"is {given!r}; give a list of choices.")
            return None
        values = tuple(map(plain, given))
        try:
            duplicates = repeated(values)
        except TypeError as error:
            self.wrong(path, f"holds {error}; give texts, numbers, True or False.")
            return None
        for value in duplicates:
            self.wrong(path, f"names {value!r} more than once; name each choice once.")
        return None if duplicates else values

    def checked(self, a: Attribute, path: str) -> Attribute | None:
        """The attribute, or ``None`` if its choices or default do not fit its type."""
        if a.type in ("select", "radio") and not a.values:
            self.wrong(f"{path}.values", f"is missing; a {a.type} needs its choices.")
            return None
        if a.type == "checkbox":
            a = replace(a, values=())
        if a.default is not None and not a.accepts(a.default):
            self.wrong(f"{path}.default", f"is {a.default!r}; give {'' if a.values else 'a value '}{a.expects}.")
            return None
        return a

    def mask_targets(self) -> dict[int, str] | None:
        given = self.spec.get("mask_targets")
        if given is None:
            return None
        try:
            return {int(k): str(v) for k, v in given.items()}
        except (AttributeError, TypeError, ValueError):
            self.wrong(".mask_targets", f"is {given!r}; give a dictionary from pixel value to class, as {{1: 'road'}}.")
            return None

    def skeleton(self, kind: str | None) -> Skeleton | None:
        """The points of a skeleton field, FiftyOne's ``{"labels": […], "edges": [[0, 1], …]}``."""
        given = self.spec.get("skeleton")
        if given is None:
            return None
        if kind != "skeletons":
            self.wrong(".skeleton", f"is for fields of skeletons, and this one has {kind}; leave it out.")
            return None
        if not isinstance(given, Mapping) or not given.get("labels"):
            self.wrong(
                ".skeleton", f"is {given!r}; name its points, as {{'labels': ['head', 'foot'], 'edges': [[0, 1]]}}."
            )
            return None
        labels = tuple(map(str, given["labels"]))
        if len(set(labels)) < len(labels):
            self.wrong(".skeleton.labels", "names a point more than once; give each its own name.")
        edges = given.get("edges") or ()
        for edge in edges:
            if not (isinstance(edge, Sequence) and len(edge) == 2 and all(e in range(len(labels)) for e in edge)):
                self.wrong(".skeleton.edges", f"holds {edge!r}; give pairs of places, from 0 to {len(labels) - 1}.")
                return None
        return Skeleton(labels, tuple((int(a), int(b)) for a, b in edges))
