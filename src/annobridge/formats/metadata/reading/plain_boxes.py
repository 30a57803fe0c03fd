"""Entities that are a box each, as nearly all are, are read at once. All else, and what may be wrong, is left to ``entities``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from . import boxes
from .chunk import ParallelLabels

_Number = Annotated[float, msgspec.Meta(gt=-1e300, lt=1e300)]
_Empty = Annotated[dict[str, Any], msgspec.Meta(max_length=0)]


class _Box(msgspec.Struct, gc=False):
    """An annotation that is a box without attributes."""

    kind: Literal["bbox"]
    coords: Any
    format: Literal["xywh", "xyxy"] | None = None
    is_normalized: bool | None = None
    confidence: _Number | None = None
    view: str | None = None
    attrs: _Empty | None = None


class _Entity(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An entity with one box."""

    annotations: Annotated[list[_Box], msgspec.Meta(min_length=1, max_length=1)]
    attrs: dict[str, Any] | None = None
    id: str | None = None


class PlainBoxes(NamedTuple):
    """The labels of a line, and the names of their attributes: those of one label, and others of another."""

    labels: ParallelLabels
    distinct_names: Collection[tuple[str, ...]]


def find_plain_boxes(entities: list[Any], samples: Mapping[str, int], defaults: Mapping[str, Any]) -> PlainBoxes | None:
    """The labels of the entities of a line; ``None`` unless each is one box, and nothing of it is wrong.

    Args:
        entities: the entities as the line has them.
        samples: the number of the sample in the chunk, by view.
        defaults: what boxes are that do not say it: ``format`` and ``is_normalized``.
    """
    if len(samples) != 1 or not entities:
        return None
    try:
        found = msgspec.convert(entities, list[_Entity])
    except (msgspec.ValidationError, OverflowError):
        return None
    ((view, sample),) = samples.items()
    annotations = [entity.annotations[0] for entity in found]
    views, forms = {box.view for box in annotations}, {(box.format, box.is_normalized) for box in annotations}
    unit = _unit(*forms.pop(), defaults) if len(forms) == 1 else None
    if unit is None or views - {view, None}:
        return None
    ids, confidences = [entity.id for entity in found], [box.confidence for box in annotations]
    own: dict[str, list[Any]] = {}
    if ids.count(None) < len(ids):
        own["label_id"] = ids
    if confidences.count(None) < len(confidences):
        own["confidence"] = [None if c is None or c < 0 else c for c in confidences]  # Pixano writes -1 for none
    names, columns = _transposed([entity.attrs or {} for entity in found])
    return PlainBoxes(ParallelLabels(sample, [box.coords for box in annotations], columns, unit, own), names)


def _unit(form: str | None, is_normalized: bool | None, defaults: Mapping[str, Any]) -> int | None:
    """What boxes say of their numbers, with what they do not say from the header; ``None`` if that is not enough."""
    return boxes.flags_of(
        defaults.get("format") if form is None else form,
        defaults.get("is_normalized") if is_normalized is None else is_normalized,
    )


def _transposed(rows: list[dict[str, Any]]) -> tuple[Collection[tuple[str, ...]], dict[str, Sequence[Any]]]:
    """The distinct sets of names that rows have; and their values by name, ``None`` where a row has none."""
    distinct = dict.fromkeys(map(tuple, rows))
    if len(distinct) == 1:
        return distinct, dict(zip(rows[0], zip(*[row.values() for row in rows], strict=True), strict=True))
    return distinct, {name: [row.get(name) for row in rows] for name in dict.fromkeys(chain.from_iterable(distinct))}
