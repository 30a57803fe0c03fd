"""Matching: which geometries at DataGym are which labels of the baseline.

In this order: by the server's id of the value, which people cannot edit; by the shown label id, which a copy has too; by position,
which is the same class and coordinates, then the same coordinates in another class, then the largest overlap.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from . import shapes
from .encode import EncodedLabel
from .parse import Geometry

MIN_IOU = 0.5
BY_LABEL_ID = "label:"  # begins the remote id of a label whose values' ids are not known


@dataclass(slots=True, eq=False)
class LabelMatch:
    """A label of the baseline with the geometries that it is now.

    Attributes:
        geometries: by the number of the label's part that each of them is.
        by_position: whether it is known by its position only. DataGym makes a new value when the class is changed, and loses the
            attributes with it.
    """

    label: EncodedLabel
    remote_id: str
    geometries: dict[int, Geometry] = field(default_factory=dict)
    by_position: bool = False


def match_geometries(geometries: Iterable[Geometry], baseline: Iterable[LabelMatch]) -> list[Geometry]:
    """Give the labels of one image their geometries, and return the geometries that are of none of them: the new ones."""
    matches = [m for m in baseline if m.label.parts]
    remaining = _match_value_ids(geometries, matches)
    remaining, copies = _match_label_ids(remaining, matches)
    return _match_positions(remaining, copies, matches)


def _match_value_ids(geometries: Iterable[Geometry], matches: Sequence[LabelMatch]) -> list[Geometry]:
    value_ids = {m: m.remote_id.split("+") for m in matches}
    owner = {value_id: m for m in matches for value_id in value_ids[m]}
    claimed: dict[LabelMatch, list[Geometry]] = defaultdict(list)
    remaining = []
    for g in geometries:
        if g.value_id in owner:
            claimed[owner[g.value_id]].append(g)
        else:
            remaining.append(g)
    for m, of_label in claimed.items():
        if len(value_ids[m]) == len(m.label.parts):
            m.geometries |= {value_ids[m].index(g.value_id or ""): g for g in of_label}
        else:  # the remote id still names parts that an earlier load found deleted
            remaining += _assign_nearest(of_label, m)
    return remaining


def _match_label_ids(
    geometries: Sequence[Geometry], matches: Sequence[LabelMatch]
) -> tuple[list[Geometry], list[Geometry]]:
    """The geometries that show the id of no label of the image, and the copies, which show that of another one."""
    owner = {m.label.label_id: m for m in matches}
    claimed: dict[str, list[Geometry]] = defaultdict(list)
    remaining = []
    for g in geometries:
        if g.label_id in owner:
            claimed[g.label_id].append(g)
        else:
            remaining.append(g)
    copies = []
    for label_id, of_label in claimed.items():
        copies += of_label if owner[label_id].geometries else _assign_nearest(of_label, owner[label_id])
    return remaining, copies


def _assign_nearest(geometries: Sequence[Geometry], match: LabelMatch) -> list[Geometry]:
    """Give each part the geometry that is where it was sent to, or else the one that overlaps most. The others are returned."""
    remaining = list(geometries)
    label = match.label
    for n, part in enumerate(label.parts):
        unmoved = next((g for g in remaining if _is_unmoved(g, part)), None)
        if unmoved is not None:
            match.geometries[n] = unmoved
            remaining.remove(unmoved)
    for n, part in enumerate(label.parts):
        if n not in match.geometries and remaining:
            number = label.point_numbers[n] if label.point_numbers is not None else None
            best = max(
                remaining,
                key=lambda g: (number is not None and g.point_number == number, _iou(g, part, label.entry.type)),
            )
            match.geometries[n] = best
            remaining.remove(best)
    return remaining


def _match_positions(
    geometries: Sequence[Geometry], copies: Sequence[Geometry], matches: Sequence[LabelMatch]
) -> list[Geometry]:
    """Match what is left by position. ``copies`` are new, unless they are exactly where an earlier load found them."""
    everything = [*geometries, *copies]
    for m in matches:
        _claim_unmoved(m, everything, same_class=True)
    remaining = [g for g in everything if g not in copies]
    copies = [g for g in everything if g in copies]
    for m in matches:
        _claim_unmoved(m, remaining, same_class=False)
    unmatched = [m for m in matches if not m.geometries and len(m.label.parts) == 1]
    pairs = [
        (_iou(g, m.label.parts[0], m.label.entry.type), i, j)
        for i, m in enumerate(unmatched)
        for j, g in enumerate(remaining)
        if g.type == m.label.entry.type and g.type != "point"
    ]
    taken: set[int] = set()
    for iou, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if iou >= MIN_IOU and not unmatched[i].geometries and j not in taken:
            unmatched[i].geometries[0], unmatched[i].by_position = remaining[j], True
            taken.add(j)
    return [*(g for j, g in enumerate(remaining) if j not in taken), *copies]


def _claim_unmoved(match: LabelMatch, remaining: list[Geometry], *, same_class: bool) -> None:
    """Give a label without geometries those that are exactly where all of its parts were, and take them out of ``remaining``."""
    if match.geometries:
        return
    entry = match.label.entry
    claimed: list[Geometry] = []
    for part in match.label.parts:
        candidates = (
            g
            for g in remaining
            if g not in claimed and g.type == entry.type and (g.path == entry.path or not same_class)
        )
        unmoved = next((g for g in candidates if _is_unmoved(g, part)), None)
        if unmoved is None:
            return
        claimed.append(unmoved)
    for n, g in enumerate(claimed):
        match.geometries[n] = g
        remaining.remove(g)
    match.by_position = True


def _is_unmoved(geometry: Geometry, part: list[float]) -> bool:
    return len(geometry.parts) == 1 and shapes.is_unmoved(geometry.parts[0], part, exact=geometry.exact)


def _iou(geometry: Geometry, part: list[float], type_: str) -> float:
    if len(geometry.parts) != 1 or geometry.type != type_:
        return 0.0
    return shapes.iou(shapes.bounding_box(geometry.parts[0], type_), shapes.bounding_box(part, type_))
