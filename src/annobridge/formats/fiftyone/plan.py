"""Which fields a FiftyOne dataset gets for the labels here: there, all labels of a field are of one class of documents."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from ...core.infer import COLUMNS, FieldStats, describe
from ...core.labels import KIND_TYPES
from ...exceptions import Unsupported
from .decode import LISTS

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
_ILLEGAL = re.compile(r"[.$\x00\s]")
_PLAIN = {
    '"': "StringField",
    "t": "BooleanField",
    "f": "BooleanField",
}  # by how a JSON text begins; the rest are numbers
TYPES = {"bool": "BooleanField", "int": "IntField", "float": "FloatField", "str": "StringField"}


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """A field there: its name and the class of its value; the values of the pixels, and the types of attributes."""

    name: str
    is_frame: bool
    outer: str
    pixels: Mapping[str, int] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def many(self) -> str | None:
        """The name of the list in the value, if it holds a list of labels."""
        return LISTS.get(self.outer)

    @property
    def inner(self) -> str:
        """The class of a label by itself."""
        return self.outer.removesuffix("s") if self.many else self.outer


class Names:
    """Names that FiftyOne allows, each given once."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def give(self, wanted: str) -> str:
        """The name itself if it is free and legal, or one like it."""
        name = legal(wanted)
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name


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


def slots(
    stats: Mapping[str, FieldStats], scalars: Mapping[str, set[str]], names: Names, frame_names: Names
) -> dict[tuple[str, str], Slot]:
    """The field there for each field and kind here. Raises ``Unsupported`` for kinds that FiftyOne does not have."""
    found: dict[tuple[str, str], Slot] = {}
    for name, about in sorted(stats.items()):
        if strange := sorted(about.kinds - set(_CLASS)):
            raise Unsupported(
                "",
                [
                    f"The field {name!r} holds {KIND_TYPES[strange[0]]}, for which FiftyOne has no label; "
                    "choose the fields to write with fields=[…]."
                ],
            )
        is_frame, given = name.startswith("frames."), name.removeprefix("frames.")
        for number, outer in enumerate(sorted({_CLASS[kind] for kind in about.kinds})):
            kinds = {kind for kind in about.kinds if _CLASS[kind] == outer}
            wanted = given if number == 0 else f"{given}_{outer.lower()}"
            slot = Slot(
                (frame_names if is_frame else names).give(wanted),
                is_frame,
                _outer(outer, about, is_frame, scalars.get(name, set())),
                _pixels(about.classes) if outer == "Segmentation" else {},
                {n: TYPES[_wider(types)] for n, types in sorted(about.attributes.items()) if _wider(types) in TYPES},
            )
            found |= {(name, kind): slot for kind in kinds}
    return found


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
