"""What an answer cannot hold is no change: a file of labels that has no attributes did not delete them.

An answer from a file has neither the tool's ids, nor all that a label is. Its labels get the ids of the labels that they are, and
from these what the file says nothing about.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import attr_text, attributes, similarity
from ..arrays import Bools, as_array, as_mask, choose, is_rotated, map_distinct, set_columns
from ..labels import REMOTE
from ..rows import VALUE_TYPES
from ..schema import LabelSchema
from ..similarity import Floats
from .assignment import BY_ID, BY_PLACE, Assignment, assign
from .precision import keep_unchanged

FILE_ID = "file-"  # how the ids of labels begin that came from a file
_SHAPE = ("bounding_box", "rotation", "points", "closed", "filled", "mask")
_UNHELD = ("keyframe", "value", "tags", "annotator", "time")  # of matched labels, where the file has none
_ALIKE = 0.9  # similarity from which a shape that was written roughly counts as unchanged
_LISTED = 20


@dataclass(frozen=True, slots=True)
class Holds:
    """What answers of one format can say of a label."""

    kinds: frozenset[str]  # those that are written as they are
    columns: frozenset[str]  # of rotation, confidence, index and visibility
    attributes: frozenset[str] | None  # names; None: all
    parts: bool  # several parts of a polygon or polyline, and holes
    pixels: float  # by how much a number may differ, though nobody changed it


@dataclass
class Completed:
    """The labels of an answer (``REMOTE``), and how they were found."""

    labels: pa.Table
    counts: Counter[str] = field(default_factory=Counter)
    ambiguous: list[str] = field(default_factory=list)

    def notes(self) -> Iterable[str]:
        """How the labels were matched, a sentence each."""
        c = self.counts
        found = [f"{c[how]:,} by {how}" for how in ("id", "place and class") if c[how]]
        yield (
            f"Labels in the file: {', '.join(found) or 'none'} matched with those that were sent, {c['new']:,} new; "
            f"{c['absent']:,} that were sent are not in it."
        )
        if c["kept"]:
            yield f"{c['kept']:,} labels are of kinds that the format cannot hold; they stay as they are."
        if c["rough"]:
            yield (
                f"The shapes of {c['rough']:,} labels were changed, but the format holds them only roughly; they stay as they are."
            )
        if self.ambiguous:
            rest = len(self.ambiguous) - _LISTED
            more = f", and {rest:,} more" if rest > 0 else ""
            yield (
                f"{len(self.ambiguous):,} labels fit several that were sent about equally, and the best assignment was taken: "
                f"{', '.join(self.ambiguous[:_LISTED])}{more}."
            )


def complete(base: pa.Table, theirs: pa.Table, holds: Holds, schema: LabelSchema, sizes: Floats) -> Completed:
    """The labels of a file as a tool would have returned them.

    Args:
        base: what was sent, of the samples that are in the file (``REMOTE``).
        theirs: the labels of the file, with columns of ``REMOTE``.
        holds: what the format can say.
        schema: of the run; attributes that it does not have are left out.
        sizes: width and height of the image of each row of ``theirs``; NaN where they are not known.
    """
    found = assign(base, theirs)
    rough = _assign_rough(base, theirs, found, holds)
    known = found.rows >= 0
    sent = base.take(pa.array(np.maximum(found.rows, 0), mask=~known)).combine_chunks()
    differs = _differs_in_shape(sent, theirs, rough)
    labels = _completed(theirs, sent, known, rough, holds, schema, sizes)
    labels = set_columns(labels, remote_id=pc.coalesce(as_array(sent["remote_id"]), _new_ids(theirs, known)))
    labels = set_columns(labels, field=pc.coalesce(as_array(sent["field"]), as_array(theirs["field"])))
    matched = np.zeros(base.num_rows, bool)
    matched[found.rows[known]] = True
    kept = ~matched & _cannot_hold(base, holds)
    counts = Counter({
        "id": int((found.how == BY_ID).sum()), "place and class": int((found.how == BY_PLACE).sum()),
        "new": int((~known).sum()), "absent": int((~matched & ~kept).sum()), "kept": int(kept.sum()), "rough": differs,
    })  # fmt: skip
    labels = pa.concat_tables([labels.cast(REMOTE), base.filter(pa.array(kept)).cast(REMOTE)]).combine_chunks()
    return Completed(labels, counts, _named(theirs.filter(pa.array(found.is_ambiguous))))


def with_ids_of_files(base: pa.Table, theirs: pa.Table) -> pa.Table:
    """The baseline, where labels that came from a file have the tool's ids instead, if the tool has them by now."""
    ours = np.flatnonzero(as_mask(pc.starts_with(base["remote_id"], FILE_ID)))
    if not ours.size:
        return base
    unknown = theirs.filter(pc.invert(pc.is_in(theirs["remote_id"], as_array(base["remote_id"]))))
    rows = assign(base.take(pa.array(ours)), set_columns(unknown, label_id=None)).rows
    at = np.flatnonzero(rows >= 0)
    ids = base["remote_id"].to_pylist()
    for row, remote_id in zip(
        ours[rows[at]].tolist(), unknown["remote_id"].take(pa.array(at)).to_pylist(), strict=True
    ):
        ids[row] = remote_id
    return set_columns(base, remote_id=pa.array(ids, pa.string()))


def _cannot_hold(base: pa.Table, holds: Holds) -> Bools:
    """Labels that the format writes as something else, or not at all."""
    cannot = ~as_mask(pc.is_in(base["kind"], pa.array(sorted(holds.kinds), pa.string())))
    if not holds.parts:
        shaped = pc.is_in(base["kind"], pa.array(["polygon", "polyline"]))
        cannot |= as_mask(pc.and_(shaped, pc.greater(pc.list_value_length(base["points"]), 1)))
    if "rotation" not in holds.columns:
        cannot |= is_rotated(base["rotation"])
    return cannot


def _assign_rough(base: pa.Table, theirs: pa.Table, found: Assignment, holds: Holds) -> Bools:
    """Assign also labels that the format writes as another kind. Returns which labels of the answer are of roughly written ones."""
    cannot = _cannot_hold(base, holds)
    free = cannot.copy()
    free[found.rows[found.rows >= 0]] = False
    left, open_rows = np.flatnonzero(free), np.flatnonzero(found.rows < 0)
    if left.size and open_rows.size:
        sides = [set_columns(t.take(pa.array(at)), kind="box") for t, at in ((base, left), (theirs, open_rows))]
        more = assign(*sides)
        at = np.flatnonzero(more.rows >= 0)
        found.rows[open_rows[at]], found.how[open_rows[at]] = left[more.rows[at]], BY_PLACE
    return (found.rows >= 0) & cannot[np.maximum(found.rows, 0)] if base.num_rows else np.zeros(theirs.num_rows, bool)


def _differs_in_shape(sent: pa.Table, theirs: pa.Table, rough: Bools) -> int:
    """Of how many labels that the format holds roughly the shape was changed."""
    at = pa.array(np.flatnonzero(rough))
    alike = similarity.overlaps(*(similarity.extents(side.take(at)) for side in (sent, theirs)))
    return int((alike < _ALIKE).sum())


def _completed(
    theirs: pa.Table, sent: pa.Table, known: Bools, rough: Bools, holds: Holds, schema: LabelSchema, sizes: Floats
) -> pa.Table:
    silent = [name for name in ("rotation", "confidence", "index", "visibility") if name not in holds.columns]
    columns = {name: choose(known, as_array(sent[name]), as_array(theirs[name])) for name in silent}
    for name in _UNHELD:
        columns[name] = choose(known & ~as_mask(theirs[name].is_valid()), as_array(sent[name]), as_array(theirs[name]))
    for name in ("kind", *_SHAPE):
        columns[name] = choose(rough, as_array(sent[name]), as_array(columns.get(name, theirs[name])))
    columns["attributes"] = _attributes(theirs, sent, holds, schema)
    labels = set_columns(theirs, **columns)
    with np.errstate(divide="ignore", invalid="ignore"):
        tolerance = np.nan_to_num(holds.pixels / sizes, nan=0.0, posinf=0.0)
    return keep_unchanged(labels, sent, sent, known & ~rough, tolerance)


def _attributes(theirs: pa.Table, sent: pa.Table, holds: Holds, schema: LabelSchema) -> pa.Array:
    """Those that the format holds and the schema has, as the answer has them; others as they were sent."""
    defined = {name: a.type for spec in schema.fields.values() for name, a in spec.all_attributes().items()}
    said = [name for name in defined if holds.attributes is None or name in holds.attributes]
    rows, flat = _only(theirs["attributes"], said, True)
    sent_rows, sent_flat = _only(sent["attributes"], said, False)
    typed = _typed(flat, defined)
    both = pa.concat_arrays([typed.cast(sent_flat.type), sent_flat])
    return attributes.build(np.concatenate([rows, sent_rows]), both, theirs.num_rows)


def _only(column: pa.ChunkedArray, names: Collection[str], wanted: bool) -> tuple[np.ndarray, pa.StructArray]:
    rows, flat = attributes.flattened(as_array(column).cast(attributes.LIST))
    keep = as_mask(pc.is_in(flat.field("name"), pa.array(sorted(names), pa.string()))) == wanted
    return rows[keep], flat.filter(pa.array(keep))


def _typed(flat: pa.StructArray, types: dict[str, str]) -> pa.StructArray:
    """Texts as values of the type that the schema has, for formats that know texts only."""
    if not len(flat):
        return flat
    name, kind, value = (flat.field(n) for n in ("name", "type", "value"))
    key = pc.binary_join_element_wise(name, kind, value, "\0")

    def parse(text: str) -> str:
        name, kind, value = text.split("\0", 2)
        wanted = types[name]
        return attr_text.from_plain(wanted, json.loads(value)) if kind == "str" else value

    values = map_distinct(key, parse, pa.string())
    kinds = map_distinct(values, lambda text: VALUE_TYPES.get(type(json.loads(text)), "json"), pa.string())
    kinds = pc.if_else(pc.equal(values, value), kind, kinds)
    return pa.StructArray.from_arrays([name, kinds, values], names=["name", "type", "value"])


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


def _named(labels: pa.Table) -> list[str]:
    """Labels in words, as ``car on 'a.jpg'``."""
    rows = labels.select(["label", "sample_id"]).to_pylist()
    return [f"{row['label']} on {row['sample_id']!r}" for row in rows]
