"""What a file cannot hold is no change: a file of labels that has no attributes did not delete them.

An answer from a file has neither the tool's ids, nor all that a label is. Its labels get the ids of the labels that they are, and
from these what the file says nothing about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import attributes, similarity
from ..arrays import (
    Bools,
    as_array,
    as_mask,
    index_of,
    is_rotated,
    list_array,
    replace_values,
    row_keys,
    set_columns,
    take_rows,
)
from ..flat_points import FlatPoints
from ..labels import KIND_TYPES, REMOTE
from ..schema import LabelSchema
from ..similarity import Floats
from .assignment import BY_ID, BY_PLACE, Assignment, assign
from .covered import uncover
from .file_fit import Expected, object_keys
from .file_ids import FILE_ID, new_ids
from .file_tracks import without_short_tracks
from .file_values import merged_values
from .seen import PARTS, Seen
from .track_numbers import numbers_as_sent

_ALIKE = 0.9  # similarity from which a shape that was written roughly counts as unchanged
_ATTRIBUTE = "attribute "  # how the counts of attributes begin that the schema does not have
# Attributes that formats write for every label, whether or not somebody has set them.
_OF_FORMATS = {
    "occluded",
    "truncated",
    "difficult",
    "iscrowd",
    "z_order",
    "group",
    "source",
    "outside",
    "keyframe",
    "area",
}
_KEPT = "kept "  # how the counts of labels begin that stay as they are, before their type
_LISTED = 20
_FITTED = ("segmentation", "skeleton", "keypoints")  # kinds that labels of other kinds of the file become


@dataclass
class Completed:
    """The labels of an answer (``REMOTE``), and how they were found."""

    labels: pa.Table
    counts: Counter[str] = field(default_factory=Counter)
    ambiguous: list[tuple[str, str]] = field(default_factory=list)  # class and sample


def sentences(counts: Counter[str], ambiguous: list[str]) -> Iterable[str]:
    """How the labels were matched, a sentence each; ``ambiguous`` has labels in words."""
    found = [f"{counts[how]:,} by {how}" for how in ("id", "place and class") if counts[how]]
    yield (
        f"Labels in the file: {', '.join(found) or 'none'} matched with those that were sent, {counts['new']:,} new; "
        f"{counts['absent']:,} that were sent are not in it."
    )
    for name in sorted(name for name in counts if name.startswith(_KEPT)):
        yield (
            f"{counts[name]:,} {name.removeprefix(_KEPT)} that were sent stay as they are, as the file does not hold such labels; "
            "where people deleted them, delete them here too."
        )
    if counts["held"]:
        yield (
            f"{counts['held']:,} labels that were sent are not among those that could be read; they stay as they are, as they may "
            "be among the others."
        )
    if counts["rough"]:
        yield (
            f"The shapes of {counts['rough']:,} labels were changed, but the file holds them only roughly; they stay as they are."
        )
    if counts["unheld"]:
        yield (
            f"{counts['unheld']:,} labels of the file are new, or were changed beyond recognition, but it holds labels of their "
            "classes only roughly; they are left out."
        )
    if names := sorted(name.removeprefix(_ATTRIBUTE) for name in counts if name.startswith(_ATTRIBUTE)):
        yield f"Attributes that the schema does not have were left out: {', '.join(names)}."
    if counts["pieces"]:
        yield f"{counts['pieces']:,} labels are parts of labels that were sent, which the file holds only part by part."
    if ambiguous:
        rest = len(ambiguous) - _LISTED
        more = f", and {rest:,} more" if rest > 0 else ""
        yield (
            f"{len(ambiguous):,} labels fit several that were sent about equally, and the best assignment was taken: "
            f"{', '.join(ambiguous[:_LISTED])}{more}."
        )


def complete(
    base: pa.Table,
    theirs: pa.Table,
    seen: Seen,
    schema: LabelSchema,
    base_sizes: Floats,
    sizes: Floats,
    prefix: str = FILE_ID,
) -> Completed:
    """The labels of a file as a tool would have returned them.

    Args:
        base: what was sent, of the samples that are in the file (``REMOTE``).
        theirs: the labels of the file on these samples, with columns of ``REMOTE``.
        seen: what all labels of the file have.
        schema: of the run; attributes that it does not have are left out.
        base_sizes: width and height of the image of each row of ``base``; NaN where they are not known.
        sizes: the same for ``theirs``.
        prefix: how the ids of new labels begin.
    """
    classed = base if seen.only_class is None else set_columns(base, label=seen.only_class)  # as it is in the file
    found = assign(classed, theirs, (base_sizes, sizes))
    cannot = _cannot_hold(base, seen, _matched(base, found))
    _assign_rough(classed, theirs, found, cannot, (base_sizes, sizes))
    if not seen.overlaps:
        theirs, hidden = uncover(base, theirs, found)
        cannot |= hidden
    unheld = _unheld(base, theirs, found, cannot, seen, Expected(schema))
    pieces = unheld | _pieces(classed, theirs, found, cannot) | _around_points(theirs, found, schema)
    theirs, sizes = theirs.filter(pa.array(~pieces)).combine_chunks(), sizes[~pieces]
    found = Assignment(found.rows[~pieces], found.how[~pieces], found.is_ambiguous[~pieces])

    theirs = set_columns(theirs, index=numbers_as_sent(base, theirs, found.rows))
    known = found.rows >= 0
    rough = known.copy()
    rough[known] = cannot[found.rows[known]]
    sent = take_rows(base, found.rows).combine_chunks()
    labels = merged_values(without_short_tracks(theirs, sent), sent, known, rough, seen, schema, sizes)
    labels = set_columns(
        labels,
        remote_id=replace_values(
            as_array(sent["remote_id"]), np.flatnonzero(~known), new_ids(theirs.filter(pa.array(~known)), prefix)
        ),
        field=pc.coalesce(as_array(sent["field"]), as_array(theirs["field"])),
    )
    missing = ~_matched(base, found)
    held = missing & ~cannot & bool(seen.unread)
    counts = _counts(found, base["kind"].filter(pa.array(missing & cannot)), theirs, schema) + Counter({
        "absent": int((missing & ~cannot & ~held).sum()), "held": int(held.sum()),
        "pieces": int((pieces & ~unheld).sum()), "unheld": int(unheld.sum()),
        "rough": _count_different(sent, theirs, rough),
    })  # fmt: skip
    unsure = theirs.filter(pa.array(found.is_ambiguous))
    names = list(zip(unsure["label"].to_pylist(), unsure["sample_id"].to_pylist(), strict=True))
    unchanged = base.filter(pa.array(missing & (cannot | held)))
    return Completed(pa.concat_tables([labels.cast(REMOTE), unchanged.cast(REMOTE)]).combine_chunks(), counts, names)


def _counts(found: Assignment, kept: pa.ChunkedArray, theirs: pa.Table, schema: LabelSchema) -> Counter[str]:
    """How the labels of the file were found, the kinds of labels that are ``kept``, and attributes that the schema lacks."""
    counts = Counter({
        "id": int((found.how == BY_ID).sum()), "place and class": int((found.how == BY_PLACE).sum()),
        "new": int((found.rows < 0).sum()),
    })  # fmt: skip
    known = {name for spec in schema.fields.values() for name in spec.all_attributes()} | _OF_FORMATS
    counts.update(f"{_ATTRIBUTE}{name}" for name in attributes.names(theirs["attributes"]) - known)
    for row in pc.value_counts(kept).to_pylist():
        counts[f"{_KEPT}{KIND_TYPES.get(row['values'], row['values'])}"] += row["counts"]
    return counts


def _matched(base: pa.Table, found: Assignment) -> Bools:
    matched = np.zeros(base.num_rows, bool)
    matched[found.rows[found.rows >= 0]] = True
    return matched


def _cannot_hold(base: pa.Table, seen: Seen, matched: Bools) -> Bools:
    """Labels that are in the file as something else, or not at all. ``matched``: they are there as labels of their kind."""
    cannot = np.zeros(base.num_rows, bool)
    several = as_mask(pc.greater(pc.list_value_length(base["points"]), 1))
    turned = is_rotated(base["rotation"])
    for kind in pc.unique(base["kind"]).to_pylist():
        of_kind = as_mask(pc.equal(base["kind"], kind))
        if not seen.holds(kind) and not (kind in _FITTED and kind in seen.found):
            cannot |= of_kind
        if (kind, "rotation") not in seen.columns:
            cannot |= of_kind & turned
        if (kind, PARTS) not in seen.columns:
            cannot |= of_kind & several
        if not seen.holes:
            cannot |= of_kind & several & ~matched
    return cannot


def _assign_rough(
    base: pa.Table, theirs: pa.Table, found: Assignment, cannot: Bools, sizes: tuple[Floats, Floats]
) -> None:
    """Assign also labels that are in the file as another kind, by the boxes around them."""
    for is_turned in (True, False):  # the box around a turned box, or the box before it was turned
        left, rest = np.flatnonzero(cannot & ~_matched(base, found)), np.flatnonzero(found.rows < 0)
        if not left.size or not rest.size:
            return
        sides = [set_columns(t.take(pa.array(at)), kind="box") for t, at in ((base, left), (theirs, rest))]
        more = assign(sides[0], sides[1], (sizes[0][left], sizes[1][rest]) if is_turned else None)
        at = np.flatnonzero(more.rows >= 0)
        found.rows[rest[at]], found.how[rest[at]] = left[more.rows[at]], BY_PLACE


def _unheld(
    base: pa.Table, theirs: pa.Table, found: Assignment, cannot: Bools, seen: Seen, expected: Expected
) -> Bools:
    """New labels that are not what a person made: of classes that the format writes as other kinds only, of the background, and
    of classes whose labels it joins, where one of them was sent.
    """
    new = found.rows < 0
    kinds = seen.kinds | {"segmentation"} if "mask" in seen.kinds else seen.kinds
    rough = expected.of_kinds_outside(theirs, kinds)
    if not seen.overlaps:  # a format of pixels, in which shapes that it holds can be masks as well, as turned boxes
        is_mask = as_mask(pc.equal(theirs["kind"], "mask"))
        rough |= expected.of_nothing(theirs) | (is_mask & expected.of_kinds_outside(theirs, frozenset({"mask"})))
    rough &= ~expected.where(theirs) & (seen.only_class is None)
    left = base.filter(pa.array(cannot & ~_matched(base, found)))
    keys = [row_keys(side, ("sample_id", "frame_number", "kind", "label")) for side in (theirs, left)]
    is_joined = ~as_mask(pc.is_in(theirs["kind"], value_set=pa.array(sorted(kinds), pa.string())))
    return new & (rough | (is_joined & as_mask(pc.is_in(keys[0], value_set=keys[1]))))


def _pieces(base: pa.Table, theirs: pa.Table, found: Assignment, cannot: Bools) -> Bools:
    """Labels of the file that are single parts of labels of several parts."""
    pieces = np.zeros(theirs.num_rows, bool)
    several = cannot & as_mask(pc.greater(pc.list_value_length(base["points"]), 1))
    whole, rest = base.filter(pa.array(several)), np.flatnonzero(found.rows < 0)
    if whole.num_rows and rest.size:
        counts = FlatPoints.of(whole["points"]).parts
        rings = as_array(whole["points"]).flatten()
        rows = whole.take(pa.array(np.repeat(np.arange(len(counts)), counts)))
        parts = set_columns(rows, points=list_array(np.ones(len(rings), np.int64), rings), kind="box", label_id=None)
        pieces[rest] = assign(parts, set_columns(theirs.take(pa.array(rest)), kind="box", label_id=None)).rows >= 0
    return pieces


def _around_points(theirs: pa.Table, found: Assignment, schema: LabelSchema) -> Bools:
    """New boxes that belong to the points of one object, which many formats write with a box around them."""
    derived = np.zeros(theirs.num_rows, bool)
    boxes = np.flatnonzero((found.rows < 0) & as_mask(pc.equal(theirs["kind"], "box")))
    points = np.flatnonzero(as_mask(pc.is_in(theirs["kind"], value_set=pa.array(["keypoints", "skeleton"]))))
    if not boxes.size or not points.size:
        return derived
    keys = object_keys(theirs)
    partner = index_of(keys.take(pa.array(boxes)), keys.take(pa.array(points)).drop_null())
    points = points[as_mask(keys.take(pa.array(points)).is_valid())]
    partner = pc.if_else(keys.take(pa.array(boxes)).is_valid(), partner, None)
    boxes, points = boxes[as_mask(partner.is_valid())], points[partner.drop_null().to_numpy()]
    extents = [similarity.extents(set_columns(theirs.take(pa.array(at)), kind="box")) for at in (boxes, points)]
    takes_boxes = any(spec.kind == "box" for spec in schema.fields.values())
    derived[boxes] = ~np.full(len(boxes), takes_boxes) | (similarity.overlaps(*extents) >= _ALIKE)
    return derived


def _count_different(sent: pa.Table, theirs: pa.Table, rough: Bools) -> int:
    """Of how many labels that the file holds roughly the shape was changed."""
    at = pa.array(np.flatnonzero(rough))
    alike = similarity.overlaps(*(similarity.extents(set_columns(t.take(at), kind="box")) for t in (sent, theirs)))
    is_shape = as_mask(sent["bounding_box"].take(at).is_valid()) | as_mask(sent["points"].take(at).is_valid())
    turned = is_rotated(sent["rotation"].take(at))  # the box around it depends on its angle
    return int((is_shape & ~turned & (alike < _ALIKE)).sum())
