"""Which fields a FiftyOne dataset gets for the labels here: there, all labels of a field are of one class of documents."""

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
from . import columns
from .decode import ALL_OURS, LISTS, OURS

_CLASS = {
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
OWN = frozenset(  # what a label has beside its attributes, there or here
    {"id", "attributes", "tags", "label", "confidence", "index", "keyframe", "rotation", "bounding_box", "mask", "mask_path"}
    | {"points", "closed", "filled", "visibility", "label_id", OURS, ALL_OURS}
)  # fmt: skip
_FRAMES = "frames."
_ILLEGAL = re.compile(r"[.$\x00\s]")
_PLAIN = {
    '"': "StringField",
    "t": "BooleanField",
    "f": "BooleanField",
}  # by how a JSON text begins; the rest are numbers
TYPES = {"bool": "BooleanField", "int": "IntField", "float": "FloatField", "str": "StringField"}


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """A field there: its name and the class of its value; the values of the pixels, the types and names of attributes."""

    name: str
    is_frame: bool
    outer: str
    pixels: Mapping[str, int] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)  # by the names there
    names: Mapping[str, str] = field(default_factory=dict)  # of all attributes, by those here

    @property
    def many(self) -> str | None:
        """The name of the list in the value, if it holds a list of labels."""
        return LISTS.get(self.outer)

    @property
    def inner(self) -> str:
        """The class of a label by itself."""
        return self.outer.removesuffix("s") if self.many else self.outer


def fitting(wanted: Mapping[Key, str], taken: Iterable[str]) -> dict[Key, str]:
    """A name that FiftyOne allows for each, no two the same; those that are legal and free stay as they are.

    >>> fitting({1: "_a", 2: "a", 3: "id"}, ["id"])
    {2: 'a', 1: 'a_', 3: 'id_'}
    """
    given = set(taken)
    found: dict[Key, str] = {}
    for key, name in wanted.items():
        if name not in given and legal(name) == name:
            found[key] = name
            given.add(name)
    for key in [k for k in wanted if k not in found]:
        name = legal(wanted[key])
        while name in given:
            name += "_"
        found[key] = name
        given.add(name)
    return found


def legal(name: str) -> str:
    """A name without what MongoDB reads as an operator, and FiftyOne as its own."""
    return _ILLEGAL.sub("_", name).lstrip("_") or "field"


def look(batches: Iterable[pa.RecordBatch]) -> tuple[dict[str, FieldStats], dict[str, set[str]]]:
    """What the fields hold, and of which types the scalars of each are."""
    scalars: dict[str, set[str]] = {}

    def seen() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = batch.filter(pc.equal(batch["kind"], "scalar"))
            begin = pc.utf8_slice_codeunits(rows["value"], 0, 1)
            for name, first in set(zip(rows["field"].to_pylist(), begin.to_pylist(), strict=True)):
                scalars.setdefault(name, set()).add(_PLAIN.get(first, "Regression"))
            yield batch.select(COLUMNS)

    return describe(seen()), scalars


def slots(stats: Mapping[str, FieldStats], scalars: Mapping[str, set[str]]) -> dict[tuple[str, str], Slot]:
    """The field there for each field and kind here. Raises ``Unsupported`` for kinds that FiftyOne does not have."""
    for name, about in sorted(stats.items()):
        if strange := sorted(about.kinds - set(_CLASS)):
            raise Unsupported(
                "",
                [
                    f"The field {name!r} holds {KIND_TYPES[strange[0]]}, for which FiftyOne has no label; "
                    "choose the fields to write with fields=[…]."
                ],
            )
    found: dict[tuple[str, str], Slot] = {}
    for (name, outer), given in (_named(stats, False) | _named(stats, True)).items():
        slot = _slot(given, outer, stats[name], name.startswith(_FRAMES), scalars.get(name, set()))
        found |= {(name, kind): slot for kind in stats[name].kinds if _CLASS[kind] == outer}
    return found


def _named(stats: Mapping[str, FieldStats], is_frame: bool) -> dict[tuple[str, str], str]:
    """The names there of the fields of samples, or of frames, by field and class: all labels of one there have one class."""
    first, more = dict[tuple[str, str], str](), dict[tuple[str, str], str]()
    for field_ in sorted(name for name in stats if name.startswith(_FRAMES) == is_frame):
        given = field_.removeprefix(_FRAMES)
        outer, *others = sorted({_CLASS[kind] for kind in stats[field_].kinds})
        first[field_, outer] = given
        more |= {(field_, other): f"{given}_{other.lower()}" for other in others}
    return fitting(first | more, {"frame_number", *columns.OWN} if is_frame else columns.OWN)


def _slot(given: str, outer: str, about: FieldStats, is_frame: bool, scalars: set[str]) -> Slot:
    taken = {*OWN, "value"} if outer == "Regression" else OWN
    names = fitting({name: name for name in sorted(about.attributes)}, taken)
    types = {names[name]: _wider(kinds) for name, kinds in sorted(about.attributes.items())}
    return Slot(
        given,
        is_frame,
        _outer(outer, about, is_frame, scalars),
        _pixels(about.classes) if outer == "Segmentation" else {},
        {name: TYPES[kind] for name, kind in types.items() if kind in TYPES},
        names,
    )


def _outer(outer: str, about: FieldStats, is_frame: bool, scalars: set[str]) -> str:
    if outer == "Classifications" and about.kinds == {"classification"}:
        if "support" in about.attributes and not is_frame:
            return "TemporalDetections"
        return "Classification" if about.most <= 1 else outer
    if outer == "Regression":
        return scalars.pop() if len(scalars) == 1 else "StringField"
    return outer


def _wider(types: set[str]) -> str:
    """The type of an attribute that has values of these."""
    return next(iter(types)) if len(types) == 1 else "float" if types == {"int", "float"} else "json"


def _pixels(classes: Iterable[str]) -> dict[str, int]:
    """A number for each class; one that is called by a number keeps it."""
    numbers = {name: int(name) for name in classes if re.fullmatch(r"[1-9]\d{0,4}", name)}
    free = (n for n in range(1, 1 << 16) if n not in numbers.values())
    return numbers | dict(zip(sorted(set(classes) - set(numbers)), free, strict=False))
