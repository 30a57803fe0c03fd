"""What a file cannot hold is no change: a file of labels that has no attributes did not delete them.

An answer from a file has neither the tool's ids, nor all that a label is. Its labels get the ids of the labels that they are, and
from these what the file says nothing about.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import attr_text, attributes, similarity
from ..arrays import (
    Bools,
    Ints,
    as_array,
    as_mask,
    choose,
    index_of,
    is_rotated,
    list_array,
    list_lengths,
    map_distinct,
    replace_values,
    set_columns,
)
from ..compare import equal_rows
from ..flat_points import FlatPoints
from ..labels import KIND_TYPES, REMOTE
from ..rows import VALUE_TYPES
from ..schema import Attribute, LabelSchema
from ..similarity import Floats
from ..turned_boxes import corners
from .assignment import BY_ID, BY_PLACE, Assignment, assign
from .diff import take_or_null
from .precision import keep_unchanged

FILE_ID = "file-"  # how the ids of labels begin that came from a file
_SHAPE = ("bounding_box", "rotation", "points", "closed", "filled", "mask")
_SPOKEN = ("rotation", "index", "closed")  # columns about which files of some kinds of labels are silent
_UNHELD = (
    "confidence",
    "keyframe",
    "value",
    "visibility",
    "tags",
    "annotator",
    "time",
)  # of matched labels, where the file has none
_PARTS, _HIDDEN = "parts", "hidden"  # in ``Seen.columns``: shapes of several parts, points that are hidden
_HIDDEN_POINT, _VISIBLE_POINT = pa.scalar(1, pa.int8()), 2  # in ``visibility``
_ALIKE = 0.9  # similarity from which a shape that was written roughly counts as unchanged
_DIGITS = (0, 1, 2)  # after the point, of pixels; what has more is taken as exact to two
_RELATIVE = 1.1e-6  # the same for positions that are shares of the image, which are written with six
_DEGREES = 0.01
_NOISE = 1e-4  # of a digit, by which conversions blur it
_NOTHING = ("false", "0", "0.0", '""', "null", "[]")  # values (JSON text) that formats write where there is none
_KEPT = "kept "  # how the counts of labels begin that stay as they are, before their type
_GROUP = "group"  # the attribute of labels that are one object
_LISTED = 20


@dataclass
class Seen:
    """What the labels of one file have, all taken together: about anything else, the file is silent.

    Attributes:
        kinds: those that the format writes as they are.
        holes: whether it writes holes.
        found: the kinds of labels that are in the file.
        columns: (kind, column) for columns that any label of the kind has; or (kind, "parts"), (kind, "hidden").
        attributes: (kind, name) for attributes that any label of the kind has.
    """

    kinds: frozenset[str]
    holes: bool
    found: set[str] = field(default_factory=set)
    columns: set[tuple[str, str]] = field(default_factory=set)
    attributes: set[tuple[str, str]] = field(default_factory=set)

    def add(self, labels: pa.Table) -> None:
        """Look at labels of the file."""
        for kind in pc.unique(labels["kind"]).to_pylist():
            rows = labels.filter(pc.equal(labels["kind"], kind))
            self.found.add(kind)
            self.columns |= {(kind, "index")} if rows["index"].null_count < len(rows) else set()
            self.columns |= (
                {(kind, _HIDDEN)} if _HIDDEN_POINT in pc.unique(pc.list_flatten(rows["visibility"])) else set()
            )
            self.columns |= {(kind, "rotation")} if is_rotated(rows["rotation"]).any() else set()
            self.columns |= {(kind, "closed")} if pc.any(rows["closed"], min_count=0).as_py() else set()
            if pc.any(pc.greater(pc.list_value_length(rows["points"]), 1), min_count=0).as_py():
                self.columns.add((kind, _PARTS))
            self.attributes |= {(kind, name) for name in attributes.names(rows["attributes"])}

    def holds(self, kind: str) -> bool:
        """Whether labels of a kind would be in the file. In a file without labels, all that the format writes would be."""
        return kind in self.kinds and (kind in self.found or not self.found)


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
    if counts["rough"]:
        yield (
            f"The shapes of {counts['rough']:,} labels were changed, but the file holds them only roughly; they stay as they are."
        )
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
    base: pa.Table, theirs: pa.Table, seen: Seen, schema: LabelSchema, base_sizes: Floats, sizes: Floats
) -> Completed:
    """The labels of a file as a tool would have returned them.

    Args:
        base: what was sent, of the samples that are in the file (``REMOTE``).
        theirs: the labels of the file on these samples, with columns of ``REMOTE``.
        seen: what all labels of the file have.
        schema: of the run; attributes that it does not have are left out.
        base_sizes: width and height of the image of each row of ``base``; NaN where they are not known.
        sizes: the same for ``theirs``.
    """
    found = assign(base, theirs, (base_sizes, sizes))
    cannot = _cannot_hold(base, seen, _matched(base, found))
    _assign_rough(base, theirs, found, cannot, (base_sizes, sizes))
    pieces = _pieces(base, theirs, found, cannot) | _around_points(theirs, found, schema)
    theirs, sizes = theirs.filter(pa.array(~pieces)).combine_chunks(), sizes[~pieces]
    found = Assignment(*(side[~pieces] for side in found))

    known = found.rows >= 0
    rough = known.copy()
    rough[known] = cannot[found.rows[known]]
    sent = take_or_null(base, found.rows).combine_chunks()
    labels = _completed(theirs, sent, known, rough, seen, schema, sizes)
    labels = set_columns(
        labels,
        remote_id=pc.coalesce(as_array(sent["remote_id"]), _new_ids(theirs, known)),
        field=pc.coalesce(as_array(sent["field"]), as_array(theirs["field"])),
    )
    missing = ~_matched(base, found)
    kept = base.filter(pa.array(missing & cannot))
    counts = Counter({
        "id": int((found.how == BY_ID).sum()), "place and class": int((found.how == BY_PLACE).sum()),
        "new": int((~known).sum()), "absent": int((missing & ~cannot).sum()), "pieces": int(pieces.sum()),
        "rough": _count_different(sent, theirs, rough),
    })  # fmt: skip
    counts.update(f"{_KEPT}{KIND_TYPES.get(kind, kind)}" for kind in kept["kind"].to_pylist())
    unsure = theirs.filter(pa.array(found.is_ambiguous))
    names = list(zip(unsure["label"].to_pylist(), unsure["sample_id"].to_pylist(), strict=True))
    return Completed(pa.concat_tables([labels.cast(REMOTE), kept.cast(REMOTE)]).combine_chunks(), counts, names)


def file_labels(base: pa.Table) -> Bools:
    """Which labels of a baseline came from a file, so that the tool has no ids for them that are known."""
    return as_mask(pc.starts_with(base["remote_id"], FILE_ID))


def with_ids_of_tool(base: pa.Table, theirs: pa.Table) -> pa.Table:
    """The baseline, where labels that came from a file have the tool's ids instead, if the tool has them by now."""
    lacks = file_labels(base) & ~as_mask(pc.is_in(base["remote_id"], value_set=as_array(theirs["remote_id"])))
    at = np.flatnonzero(lacks)
    if not at.size:
        return base
    unknown = theirs.filter(pc.invert(pc.is_in(theirs["remote_id"], value_set=as_array(base["remote_id"]))))
    rows = assign(base.take(pa.array(at)), set_columns(unknown, label_id=None)).rows
    is_found = rows >= 0
    taken = np.full(base.num_rows, -1)
    taken[at[rows[is_found]]] = np.flatnonzero(is_found)
    ids = as_array(unknown["remote_id"]).take(pa.array(np.maximum(taken, 0), mask=taken < 0))
    return set_columns(base, remote_id=pc.coalesce(ids, as_array(base["remote_id"])))


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
        if not seen.holds(kind):
            cannot |= of_kind
        if (kind, "rotation") not in seen.columns:
            cannot |= of_kind & turned
        if (kind, _PARTS) not in seen.columns:
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
        more = assign(*sides, (sizes[0][left], sizes[1][rest]) if is_turned else None)
        at = np.flatnonzero(more.rows >= 0)
        found.rows[rest[at]], found.how[rest[at]] = left[more.rows[at]], BY_PLACE


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
    group = attributes.values(theirs["attributes"], _GROUP)
    columns = [as_array(theirs[name]).cast(pa.string()) for name in ("sample_id", "frame_number", "label")]
    keys = pc.binary_join_element_wise(*(pc.fill_null(c, "") for c in columns), group, "\0")  # null without a group
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


def _completed(
    theirs: pa.Table, sent: pa.Table, known: Bools, rough: Bools, seen: Seen, schema: LabelSchema, sizes: Floats
) -> pa.Table:
    columns = {}
    for name in _SPOKEN:
        spoken = [kind for kind, column in seen.columns if column == name]
        silent = ~as_mask(pc.is_in(theirs["kind"], value_set=pa.array(spoken, pa.string())))
        columns[name] = choose(known & silent, as_array(sent[name]), as_array(theirs[name]))
    for name in _UNHELD:
        columns[name] = choose(known & ~as_mask(theirs[name].is_valid()), as_array(sent[name]), as_array(theirs[name]))
    for name in ("kind", *_SHAPE):
        columns[name] = choose(rough, as_array(sent[name]), as_array(columns.get(name, theirs[name])))
    columns["visibility"] = _visibility(as_array(columns["visibility"]), sent, theirs["kind"], known, seen)
    labels = set_columns(theirs, **columns)
    labels = set_columns(labels, attributes=_attributes(theirs, sent, labels["kind"], seen, schema))
    exact = known & ~rough
    pixels = _precision(theirs, sizes)
    with np.errstate(divide="ignore", invalid="ignore"):
        tolerance = np.maximum(np.nan_to_num(pixels / sizes, nan=0.0, posinf=0.0), _RELATIVE)
    return _with_sent_boxes(keep_unchanged(labels, sent, sent, exact, tolerance, _DEGREES), sent, exact, sizes, pixels)


def _visibility(there: pa.Array, sent: pa.Table, kinds: pa.ChunkedArray, known: Bools, seen: Seen) -> pa.Array:
    """The visibility of points, where those that were sent as hidden stay so if the file has no hidden points."""
    spoken = [kind for kind, column in seen.columns if column == _HIDDEN]
    silent = known & ~as_mask(pc.is_in(kinds, value_set=pa.array(spoken, pa.string())))
    before = as_array(sent["visibility"])
    at = np.flatnonzero(silent & (list_lengths(there) == list_lengths(before)) & (list_lengths(there) > 0))
    if not at.size:
        return there
    rows = there.take(pa.array(at))
    told, old = (side.flatten().to_numpy() for side in (rows, before.take(pa.array(at))))
    hidden = _HIDDEN_POINT.as_py()
    new = list_array(list_lengths(rows), pa.array(np.where((told == _VISIBLE_POINT) & (old == hidden), hidden, told)))
    return replace_values(there, at, new.cast(there.type))


def _precision(theirs: pa.Table, sizes: Floats) -> float:
    """By how many pixels positions may differ from what was sent, as they were rounded: half a unit of their last digit."""
    boxes = as_array(theirs["bounding_box"])
    at = np.flatnonzero(as_mask(boxes.is_valid()))
    xywh = boxes.take(pa.array(at)).flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
    points = FlatPoints.of(theirs["points"])
    found = [xywh[:, :2] * sizes[at], (xywh[:, :2] + xywh[:, 2:]) * sizes[at], points.xy * sizes[points.rows()]]
    numbers = np.concatenate([part.ravel() for part in found])
    numbers = numbers[np.isfinite(numbers)]
    for digits in _DIGITS:
        scaled = numbers * 10**digits
        if (np.abs(scaled - np.round(scaled)) <= _NOISE).all():
            break
    return (0.5 + _NOISE) * 10.0**-digits


def _with_sent_boxes(labels: pa.Table, sent: pa.Table, known: Bools, sizes: Floats, pixels: float) -> pa.Table:
    """The boxes as they were sent: of masks that are equal; and of turned boxes whose corners are, whichever side is the first."""
    has_mask = known & as_mask(sent["mask"].is_valid()) & as_mask(labels["mask"].is_valid())
    at = np.flatnonzero(has_mask)
    same = np.zeros(labels.num_rows, bool)
    same[at] = equal_rows(*(as_array(side["mask"]).take(pa.array(at)) for side in (labels, sent)))
    turned = known & (is_rotated(sent["rotation"]) | is_rotated(labels["rotation"])) & np.isfinite(sizes).all(axis=1)
    turned &= as_mask(sent["bounding_box"].is_valid()) & as_mask(labels["bounding_box"].is_valid())
    if (at := np.flatnonzero(turned)).size:
        quads = [_corners(side.take(pa.array(at)), sizes[at]) for side in (labels, sent)]
        off = [np.abs(quads[0] - np.roll(quads[1], shift, axis=1)).max(axis=(1, 2)) for shift in range(4)]
        same[at] = np.minimum.reduce(off) <= 4 * pixels
    columns = {
        name: choose(same, as_array(sent[name]), as_array(labels[name])) for name in ("bounding_box", "rotation")
    }
    return set_columns(labels, **columns)


def _corners(rows: pa.Table, sizes: Floats) -> Floats:
    boxes = as_array(rows["bounding_box"]).flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
    return corners(boxes, rows["rotation"].fill_null(0.0).to_numpy(), sizes) * sizes[:, None]


def _attributes(theirs: pa.Table, sent: pa.Table, kinds: pa.ChunkedArray, seen: Seen, schema: LabelSchema) -> pa.Array:
    """Of the attributes of the schema, those that the file speaks of are as it has them; all others are as they were sent.

    A label that was sent without an attribute, and has its default or nothing in the file, has none: many formats write these.
    """
    definitions = {(spec.kind, name): a for spec in schema.fields.values() for name, a in spec.all_attributes().items()}
    rows, flat = attributes.flattened(as_array(theirs["attributes"]).cast(attributes.LIST))
    sent_rows, sent_flat = attributes.flattened(as_array(sent["attributes"]).cast(attributes.LIST))
    kinds_there = as_array(theirs["kind"])
    defined = pa.array([_key(*key) for key in definitions], pa.string())
    spoken = pa.array([_key(*key) for key in seen.attributes], pa.string())
    keep = as_mask(pc.is_in(_keys(as_array(kinds), rows, flat), value_set=defined))
    rows, flat = rows[keep], flat.filter(pa.array(keep))
    said = as_mask(pc.is_in(_keys(kinds_there, sent_rows, sent_flat), value_set=spoken))
    said &= as_mask(pc.is_in(_keys(as_array(kinds), sent_rows, sent_flat), value_set=defined))

    before = index_of(_places(rows, flat), _places(sent_rows, sent_flat))
    flat = _typed(_keys(as_array(kinds), rows, flat), flat, sent_flat.take(before), definitions)
    known = as_mask(sent["label_id"].is_valid())
    nothing = (
        as_mask(before.is_null()) & known[rows] & _is_nothing(_keys(as_array(kinds), rows, flat), flat, definitions)
    )
    both = pa.concat_arrays([flat.filter(pa.array(~nothing)), sent_flat.filter(pa.array(~said)).cast(flat.type)])
    return attributes.build(np.concatenate([rows[~nothing], sent_rows[~said]]), both, theirs.num_rows)


def _key(kind: str, name: str) -> str:
    return f"{kind}\0{name}"


def _keys(kinds: pa.Array, rows: Ints, flat: pa.StructArray) -> pa.Array:
    """The kind of the label, and the name, of each attribute."""
    return pc.binary_join_element_wise(kinds.take(pa.array(rows)), flat.field("name"), "\0")


def _places(rows: Ints, flat: pa.StructArray) -> pa.Array:
    return pc.binary_join_element_wise(pa.array(rows).cast(pa.string()), flat.field("name"), "\0")


def _typed(
    keys: pa.Array, flat: pa.StructArray, before: pa.StructArray, definitions: dict[tuple[str, str], Attribute]
) -> pa.StructArray:
    """Attributes with the value that was sent (``before``) where the file means the same; and texts as values of the type that the
    schema has, for formats that know texts only.
    """
    if not len(flat):
        return flat
    types = {_key(*key): a.type for key, a in definitions.items()}
    value, old = flat.field("value"), pc.struct_field(before, "value")

    def parse(text: str) -> str:
        kind, name, value, old = text.split("\0")
        told = json.loads(value)
        found = attr_text.from_plain(types[_key(kind, name)], told) if isinstance(told, str) else value
        return old if old and _means(found, value, old) else found

    values = map_distinct(pc.binary_join_element_wise(keys, value, pc.fill_null(old, ""), "\0"), parse, pa.string())
    kinds = map_distinct(values, lambda text: VALUE_TYPES.get(type(json.loads(text)), "json"), pa.string())
    kinds = pc.if_else(pc.equal(values, value), flat.field("type"), kinds)
    kinds = pc.if_else(pc.fill_null(pc.equal(values, old), False), pc.struct_field(before, "type"), kinds)
    return pa.StructArray.from_arrays([flat.field("name"), kinds, values], names=["name", "type", "value"])


def _means(found: str, value: str, old: str) -> bool:
    """Whether a value of the file is the one that was sent, in another type."""
    numbers = [json.loads(text) for text in (found, old)]
    if all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers):
        return bool(numbers[0] == numbers[1])
    return attr_text.to_plain(value) == attr_text.to_plain(old) or found == old


def _is_nothing(keys: pa.Array, flat: pa.StructArray, definitions: dict[tuple[str, str], Attribute]) -> Bools:
    """Which values are the default of their attribute, or stand for none."""
    defaults = {_key(*key): json.dumps(a.default) for key, a in definitions.items() if a.default is not None}

    def check(text: str) -> bool:
        kind, name, value = text.split("\0")
        return value in _NOTHING or value == defaults.get(_key(kind, name))

    return as_mask(map_distinct(pc.binary_join_element_wise(keys, flat.field("value"), "\0"), check, pa.bool_()))


def _new_ids(theirs: pa.Table, known: Bools) -> pa.Array:
    """Ids of labels that were not sent: the same for the same labels, and different for two that are equal."""
    names: list[str | None] = [None] * theirs.num_rows
    seen: Counter[str] = Counter()
    at = np.flatnonzero(~known)
    columns = ("sample_id", "frame_number", "index", "kind", "label", "bounding_box", "points", "mask", "value")
    for row, values in zip(at.tolist(), theirs.select(columns).take(pa.array(at)).to_pylist(), strict=True):
        digest = hashlib.sha256(repr(tuple(values.values())).encode()).hexdigest()[:16]
        seen[digest] += 1
        names[row] = f"{FILE_ID}{digest}" + (f"-{seen[digest]}" if seen[digest] > 1 else "")
    return pa.array(names, pa.string())
