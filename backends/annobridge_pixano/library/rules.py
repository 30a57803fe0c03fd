"""How the columns of a dataset's tables are read: what is a class, an attribute, a label of the image, a column of samples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.core.labels import SAMPLES
from annobridge.exceptions import InvalidOption

from ..layout import OF_RECORD, SPATIAL, Column, Layout, column_type
from .place import Place
from .sidecar import Sidecar
from .tables import SHAPES

_ENTITY = frozenset({"id", "record_id"})
_OURS = frozenset({"sample_id", "label_id", "label_field"})  # attributes by which we know our own again
_ANNOTATION = frozenset(name for columns_ in SHAPES.values() for name in columns_)
_TAKEN = frozenset([*SAMPLES.names, "record", "view", "frame_index", "timestamp"])  # by what a sample is
_SHOWN = ("split", "status", "comment")  # columns of records that samples get


@dataclass(frozen=True)
class Rules:
    """What each column becomes. Names on the left are ours, ``Column.name`` is that in Pixano.

    ``states`` are attributes of an entity in one frame, ``extras`` those of annotations, by table. ``classes`` is the entity
    attribute that is the class. ``fields`` has the fields of new labels by kind, where they are not ``default_field``.
    ``unset`` are the numbers and yes/no that no label of a field has: pairs of field and column.
    """

    layout: Layout
    samples: Mapping[str, Column]
    states: Mapping[str, Column]
    extras: Mapping[str, Mapping[str, Column]]
    classes: str | None
    default_field: str
    fields: Mapping[str, str]
    ours: bool = False  # made by annobridge
    unset: frozenset[tuple[str, str]] = frozenset()
    notes: list[str] = field(default_factory=list)


def of(
    place: Place, sidecar: Sidecar | None, label_field: str, class_attribute: str, chosen: Iterable[str] | None
) -> Rules:
    """The rules of a dataset. Raises ``InvalidOption`` for attributes that it does not have."""
    entity, record = place.schema("entities"), place.schema("records")
    notes: list[str] = []
    ours = set(record.names) | set(entity.names) >= _OURS
    classes = _classes(place, class_attribute, notes)
    states = _attributes(place.schema("entity_dynamic_states"), _ANNOTATION)
    extras = {t: _attributes(place.schema(t), _ANNOTATION) for t in ("bboxes", "masks", "multi_paths", "keypoints")}
    if "keypoints" in place.tables:
        extras["keypoints"]["template_id"] = Column("template_id", "str")
    if sidecar is not None:
        if chosen is not None:
            raise InvalidOption(
                f"record_labels cannot be chosen for {place.folder}, which annobridge exported and knows the labels of; "
                "leave the option out."
            )
        layout, shown, fields = sidecar.layout, dict(sidecar.columns), sidecar.fields
    else:
        whole = _whole(record, ours)
        labels = _of_records(whole, ours, chosen, place, notes)
        layout = Layout(
            attributes=_attributes(entity, _ENTITY | {classes} | (_OURS if ours else set())) | states,
            records=labels,
            messages=place.count("messages") > 0,
        )
        shown, fields = _columns([f for f in whole if f.name not in labels]), {}
    shown |= {name: Column(name, "str") for name in _SHOWN if name in record.names}
    unset = _unset(place, layout) if ours and sidecar is None else frozenset()
    fields = {"message": "messages", **fields}
    return Rules(layout, shown, states, extras, classes, label_field, fields, ours, unset, notes)


def _classes(place: Place, name: str, notes: list[str]) -> str | None:
    names = [f.name for f in place.schema("entities") if column_type(f.type) == "str" and f.name not in _ENTITY | _OURS]
    if name in names:
        return name
    others = sorted(set(names) - {"parent_id"})
    if name != "category":
        raise InvalidOption(
            f"class_attribute={name!r}: the entities of {place.folder} have the text attributes "
            f"{', '.join(others) or 'none'}; give one of these."
        )
    if place.count("entities"):
        cure = f"give one of {', '.join(others)} as class_attribute" if others else "they have no other text attribute"
        notes.append(f"The entities have no attribute 'category', so the labels have no class; {cure}.")
    return None


def _unset(place: Place, layout: Layout) -> frozenset[tuple[str, str]]:
    """The columns of entities that hold nothing but 0 or no in a field: its labels have no such attribute."""
    names = [c.name for c in layout.attributes.values() if c.type in ("int", "float", "bool")]
    found: dict[str, set[str]] = defaultdict(set)  # by field, those that hold something
    for batch in place.scan("entities", ["label_field", *names]):
        for label_field in pc.unique(batch["label_field"]).to_pylist():
            rows = batch.filter(pc.equal(batch["label_field"], label_field))
            found[label_field] |= {n for n in names if pc.any(pc.not_equal(rows[n].cast(pa.float64()), 0.0)).as_py()}
    return frozenset((f, n) for f, held in found.items() for n in names if n not in held)


def _attributes(schema: pa.Schema, less: Iterable[str | None]) -> dict[str, Column]:
    """All columns but some, as attributes that any label can have."""
    hidden = set(less)
    return {f.name: Column(f.name, column_type(f.type), tuple(SPATIAL)) for f in schema if f.name not in hidden}


def _whole(schema: pa.Schema, ours: bool) -> list[pa.Field]:
    """The attributes of records."""
    hidden = set(OF_RECORD) - (set() if ours else _OURS)
    return [f for f in schema if f.name not in hidden]


def _of_records(
    whole: list[pa.Field], ours: bool, chosen: Iterable[str] | None, place: Place, notes: list[str]
) -> dict[str, Column]:
    """Record attributes that are labels of the image: those chosen; or all, in a dataset that annobridge sent."""
    found = {f.name: column_type(f.type) for f in whole}
    names = list(found) if chosen is None and ours else list(chosen or ())
    if unknown := [n for n in names if n not in found]:
        raise InvalidOption(
            f"record_labels={unknown[0]!r}: the records of {place.folder} have the attributes "
            f"{', '.join(found) or 'none'}; give one of these."
        )
    if names and chosen is None:
        notes.append(
            f"The record attributes {', '.join(names)} are label fields, as annobridge sent them: texts are classes, and "
            "numbers scalars; record_labels=[…] names those that are, the others become columns of the samples."
        )
    kinds = {n: "classification" if found[n] in ("str", "list") else "scalar" for n in names}
    return {n: Column(n, found[n], (kinds[n],)) for n in names}


def _columns(whole: list[pa.Field]) -> dict[str, Column]:
    """Record attributes that are columns of samples, under other names where ours have them."""
    out = {}
    for f in whole:
        tags = f.name == "tags" and column_type(f.type) == "list"
        name = f"record_{f.name}" if f.name in _TAKEN and not tags else f.name
        out[name] = Column(f.name, column_type(f.type))
    return out
