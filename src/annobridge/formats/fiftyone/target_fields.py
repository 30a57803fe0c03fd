"""Chooses the fields of a FiftyOne dataset for the label fields. In FiftyOne, all labels of a field are of one class."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from ...core.labels import KIND_TYPES
from ...core.schema.infer import COLUMNS, FieldStats, describe
from ...exceptions import Unsupported
from . import sample_columns
from .decode import CLASS_IDS_KEY, ID_KEY, LIST_KEYS

_CLASSES = {
    "classification": "Classifications",
    "box": "Detections",
    "mask": "Detections",
    "polygon": "Polylines",
    "polyline": "Polylines",
    "keypoints": "Keypoints",
    "skeleton": "Keypoints",
    "segmentation": "Segmentation",
    "scalar": "Regression",
}
Key = TypeVar("Key")
RESERVED = frozenset(  # keys of a label that attributes must not have
    {"id", "attributes", "tags", "label", "confidence", "index", "keyframe", "rotation", "bounding_box", "mask", "mask_path"}
    | {"points", "closed", "filled", "visibility", "label_id", ID_KEY, CLASS_IDS_KEY}
)  # fmt: skip
_FRAMES = "frames."
_ILLEGAL = re.compile(r"[.$\x00\s]")
_FIELD_TYPE_OF_JSON = {
    '"': "StringField",
    "t": "BooleanField",
    "f": "BooleanField",
}  # by how a JSON text begins; the rest are numbers
FIELD_TYPES = {"bool": "BooleanField", "int": "IntField", "float": "FloatField", "str": "StringField"}


@dataclass(frozen=True, slots=True, eq=False)
class TargetField:
    """A field of the FiftyOne dataset.

    Attributes:
        name: its name.
        is_frame: whether it is a field of frames, not of samples.
        outer: the class of its value.
        pixels: the pixel values of the classes of a segmentation.
        attributes: the field types of the attributes, by their names in FiftyOne.
        names: the names in FiftyOne of all attributes, by their names in the dataset.
    """

    name: str
    is_frame: bool
    outer: str
    pixels: Mapping[str, int] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def many(self) -> str | None:
        """The key of the list of labels in the value; ``None`` if the value is a single label."""
        return LIST_KEYS.get(self.outer)

    @property
    def inner(self) -> str:
        """The class of a label by itself."""
        return self.outer.removesuffix("s") if self.many else self.outer


def legal_names(wanted: Mapping[Key, str], taken: Iterable[str]) -> dict[Key, str]:
    """A distinct name that FiftyOne allows for each; names that are legal and free stay as they are.

    >>> legal_names({1: "_a", 2: "a", 3: "id"}, ["id"])
    {2: 'a', 1: 'a_', 3: 'id_'}
    """
    given = set(taken)
    found: dict[Key, str] = {}
    for key, name in wanted.items():
        if name not in given and legal_name(name) == name:
            found[key] = name
            given.add(name)
    for key in [k for k in wanted if k not in found]:
        name = legal_name(wanted[key])
        while name in given:
            name += "_"
        found[key] = name
        given.add(name)
    return found


def legal_name(name: str) -> str:
    """A name without what is an operator in MongoDB, or private in FiftyOne."""
    return _ILLEGAL.sub("_", name).lstrip("_") or "field"


def survey(batches: Iterable[pa.RecordBatch]) -> tuple[dict[str, FieldStats], dict[str, set[str]]]:
    """What the label fields hold, and the classes of the values of scalars by field."""
    scalars: dict[str, set[str]] = {}

    def seen() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = batch.filter(pc.equal(batch["kind"], "scalar"))
            begin = pc.utf8_slice_codeunits(rows["value"], 0, 1)
            for name, first in set(zip(rows["field"].to_pylist(), begin.to_pylist(), strict=True)):
                scalars.setdefault(name, set()).add(_FIELD_TYPE_OF_JSON.get(first, "Regression"))
            yield batch.select(COLUMNS)

    return describe(seen()), scalars


def choose(stats: Mapping[str, FieldStats], scalars: Mapping[str, set[str]]) -> dict[tuple[str, str], TargetField]:
    """The target of each label field and kind. Raises ``Unsupported`` for kinds that FiftyOne does not have."""
    for name, about in sorted(stats.items()):
        if unknown := sorted(about.kinds - set(_CLASSES)):
            raise Unsupported(
                "",
                [
                    f"The field {name!r} holds {KIND_TYPES[unknown[0]]}, for which FiftyOne has no label; "
                    "choose the fields to write with fields=[…]."
                ],
            )
    found: dict[tuple[str, str], TargetField] = {}
    for (name, outer), given in (_field_names(stats, False) | _field_names(stats, True)).items():
        target = _target_field(given, outer, stats[name], name.startswith(_FRAMES), scalars.get(name, set()))
        found |= {(name, kind): target for kind in stats[name].kinds if _CLASSES[kind] == outer}
    return found


def _field_names(stats: Mapping[str, FieldStats], is_frame: bool) -> dict[tuple[str, str], str]:
    """The names in FiftyOne of the fields of samples, or of frames, by label field and class."""
    first, more = dict[tuple[str, str], str](), dict[tuple[str, str], str]()
    for field_ in sorted(name for name in stats if name.startswith(_FRAMES) == is_frame):
        given = field_.removeprefix(_FRAMES)
        outer, *others = sorted({_CLASSES[kind] for kind in stats[field_].kinds})
        first[field_, outer] = given
        more |= {(field_, other): f"{given}_{other.lower()}" for other in others}
    return legal_names(
        first | more, {"frame_number", *sample_columns.RESERVED} if is_frame else sample_columns.RESERVED
    )


def _target_field(given: str, outer: str, about: FieldStats, is_frame: bool, scalars: set[str]) -> TargetField:
    taken = {*RESERVED, "value"} if outer == "Regression" else RESERVED
    names = legal_names({name: name for name in sorted(about.attributes)}, taken)
    types = {names[name]: _common_type(kinds) for name, kinds in sorted(about.attributes.items())}
    return TargetField(
        given,
        is_frame,
        _value_class(outer, about, is_frame, scalars),
        _pixel_values(about.classes) if outer == "Segmentation" else {},
        {name: FIELD_TYPES[kind] for name, kind in types.items() if kind in FIELD_TYPES},
        names,
    )


def _value_class(outer: str, about: FieldStats, is_frame: bool, scalars: set[str]) -> str:
    if outer == "Classifications" and about.kinds == {"classification"}:
        if "support" in about.attributes and not is_frame:
            return "TemporalDetections"
        return "Classification" if about.most <= 1 else outer
    if outer == "Regression":
        return scalars.pop() if len(scalars) == 1 else "StringField"
    return outer


def _common_type(types: set[str]) -> str:
    """The type of an attribute with values of these types."""
    return next(iter(types)) if len(types) == 1 else "float" if types == {"int", "float"} else "json"


def _pixel_values(classes: Iterable[str]) -> dict[str, int]:
    """A pixel value for each class. A class that is a number keeps it."""
    numbers = {name: int(name) for name in classes if re.fullmatch(r"[1-9]\d{0,4}", name)}
    free = (n for n in range(1, 1 << 16) if n not in numbers.values())
    return numbers | dict(zip(sorted(set(classes) - set(numbers)), free, strict=False))
