"""Untouched: what comes back as it was sent keeps the very bits that the baseline has.

CVAT holds pixels and strings, so a round trip of ours differs in the last digit, and what CVAT cannot hold at all (no value, a
missing point, a part that is closed) would be lost. Each component is taken from the baseline unless people changed it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend.kit import keep_sent, sent_of
from annobridge.core import attributes as lists
from annobridge.core.arrays import any_of, as_array, as_mask, choose, list_lengths, not_null, set_columns
from annobridge.core.compare import close_rows
from annobridge.core.geometry import decode_rle
from annobridge.core.labels import REMOTE
from annobridge.core.schema import Attribute

from . import values
from .vocabulary import Entry, Vocabulary

Bools = npt.NDArray[np.bool_]
Point = list[float]
CLOSE = 1e-7  # of the image; people move things by more
_SPATIAL = ("bounding_box", "rotation", "points", "closed", "filled", "visibility", "mask")


def keep(labels: pa.Table, baseline: pa.Table, vocabulary: Vocabulary) -> pa.Table:
    """``labels`` with everything that was not changed as the baseline has it."""
    sent, known = sent_of(labels["remote_id"], baseline)
    new = _answering(labels.filter(pa.array(~known)))
    if not known.any():
        return new
    there = labels.filter(pa.array(known)).combine_chunks()
    was = sent.filter(pa.array(known)).select(REMOTE.names).combine_chunks()
    there = _restored(there, was)
    spatial = _same_shape(there, was)
    there = keep_sent(there, was, spatial, *_SPATIAL)
    there = keep_sent(there, was, _same_angle(there, was), "rotation")
    there = keep_sent(there, was, _same_key(was, spatial), "keyframe")
    there = set_columns(there, attributes=_attributes(there, was, vocabulary))
    there = keep_sent(there, was, _same_value(there, was, vocabulary), "value")
    return pa.concat_tables([new, there])


def _answering(new: pa.Table) -> pa.Table:
    """New labels of which the attributes are not known have none."""
    rows, flat = pc.list_parent_indices(as_array(new["attributes"])), pc.list_flatten(as_array(new["attributes"]))
    return set_columns(new, attributes=lists.build(rows.to_numpy(), flat, new.num_rows))


def _restored(there: pa.Table, was: pa.Table) -> pa.Table:
    """``there`` with what CVAT cannot hold: missing keypoints in their places, open and closed, how points are seen."""
    same_kind = as_mask(pc.equal(there["kind"], was["kind"]))
    is_path = same_kind & as_mask(pc.is_in(there["kind"], pa.array(["polygon", "polyline"])))
    there = keep_sent(there, was, is_path, "closed", "filled")
    rows = {
        n: row for n, row in enumerate(pc.is_in(there["kind"], pa.array(["keypoints", "skeleton"])).to_pylist()) if row
    }
    rows = {n: True for n in rows if same_kind[n]}
    full, seen = as_array(there["points"]).to_pylist(), as_array(there["visibility"]).to_pylist()
    for n in rows:
        then, kept = was["points"][n].as_py()[0], was["visibility"][n].as_py()
        restore = _with_holes if there["kind"][n].as_py() == "keypoints" else _with_hidden
        full[n], seen[n] = restore(full[n][0], seen[n], then, kept)
    if not rows:
        return there
    columns = {"points": full, "visibility": seen}
    return set_columns(there, **{name: pa.array(v, REMOTE.field(name).type) for name, v in columns.items()})


def _with_holes(
    now: list[Point], seen: list[int], then: list[Point], kept: list[int] | None
) -> tuple[list[list[Point]], Any]:
    """Keypoints with those that are missing in their places, as long as nobody added or removed a point."""
    holes = [x != x or y != y for x, y in then]
    if len(now) != len(holes) - sum(holes):
        return [now], seen
    left = iter(now)
    return [[p if hole else next(left) for p, hole in zip(then, holes, strict=True)]], kept


def _with_hidden(
    now: list[Point], seen: list[int], then: list[Point], kept: list[int] | None
) -> tuple[list[list[Point]], Any]:
    """A skeleton with the places of the points that are not seen on either side."""
    if len(now) != len(then):
        return [now], seen
    before = kept if kept is not None else [0 if x != x or y != y else 2 for x, y in then]
    points = [old if not a and not b else new for new, old, a, b in zip(now, then, seen, before, strict=True)]
    return [points], kept if seen == before else seen


def _same_shape(there: pa.Table, was: pa.Table) -> Bools:
    same = as_mask(pc.equal(there["kind"], was["kind"]))
    is_box = as_mask(pc.is_in(there["kind"], pa.array(["box", "ellipse"])))
    same &= ~is_box | close_rows(there["bounding_box"], was["bounding_box"], CLOSE)
    has_corners = not_null(was["points"]) | ~as_mask(
        pc.equal(there["kind"], "cuboid")
    )  # one that was only a box has none
    same &= ~has_corners | close_rows(there["points"], was["points"], CLOSE)
    same &= as_mask(pc.equal(_text(there["visibility"]), _text(was["visibility"])))
    for row in np.flatnonzero(same & not_null(there["mask"])):
        left, right = there["mask"][int(row)].as_py(), was["mask"][int(row)].as_py()
        same[row] = left == right or (right is not None and np.array_equal(decode_rle(left), decode_rle(right)))
    return same & (~is_box | _same_angle(there, was))


def _text(column: pa.ChunkedArray) -> pa.Array:
    return pa.array(["" if v is None else str(v) for v in column.to_pylist()])


def _same_angle(there: pa.Table, was: pa.Table) -> Bools:
    """A whole turn is none, and none is 0."""
    a, b = (pc.fill_null(as_array(side["rotation"]), 0.0).to_numpy() for side in (there, was))
    off = np.abs(a - b) % 360
    found: Bools = np.minimum(off, 360 - off) < CLOSE * 360
    return found


def _same_key(was: pa.Table, spatial: Bools) -> Bools:
    """A keyframe that had to be sent between those that the labels name is none of theirs, unless somebody moved it."""
    unnamed = ~not_null(was["keyframe"])
    false = not_null(was["keyframe"]) & ~as_mask(was["keyframe"])
    return unnamed | (false & spatial)


def _attributes(there: pa.Table, was: pa.Table, vocabulary: Vocabulary) -> pa.Array:
    """Attribute by attribute: the baseline's where it is sent as what has come, or where nothing was said of it. Fields and
    classes have each their own.
    """
    size = there.num_rows
    same = _unanswered(there, vocabulary)
    for entry in vocabulary.entries:
        for field in entry.fields.values():
            rows = np.flatnonzero(_are(was, field, entry.label))
            at = pa.array(rows)
            for a in (*entry.definitions, *entry.own) if rows.size else ():
                now, then = (lists.values(side["attributes"].take(at), a.name) for side in (there, was))
                before = _words(a, then, entry)
                if entry.builtin.get(a.name) == "source":  # of which CVAT is always told something
                    machine = not_null(was["confidence"].take(at))
                    before = np.where(not_null(then), before, np.where(machine, "auto", "manual"))
                same.setdefault(a.name, np.zeros(size, bool))[rows] |= _words(a, now) == before
    changes = {name: (where, lists.column(was["attributes"], name)) for name, where in same.items()}
    column = lists.replace(there["attributes"], changes) if changes else as_array(there["attributes"])
    nothing = ~not_null(there["attributes"]) | (~not_null(was["attributes"]) & (list_lengths(column) == 0))
    return choose(nothing, was["attributes"].cast(column.type), column)


def _unanswered(there: pa.Table, vocabulary: Vocabulary) -> dict[str, Bools]:
    """Where nobody has said anything of an attribute: the server has it no more, or made it again and put its default there."""
    found: dict[str, Bools] = {}
    for entry in vocabulary.entries:
        for a in entry.definitions:
            if a.name in entry.attributes and a.name not in entry.remade:
                continue
            here = any_of((_are(there, field, entry.label) for field in entry.fields.values()), there.num_rows)
            if a.name in entry.remade:
                here &= _words(a, lists.values(there["attributes"], a.name)) == entry.remade[a.name]
            found[a.name] = found.get(a.name, np.zeros(there.num_rows, bool)) | here
    return found


def _are(labels: pa.Table, field: str, label: str | None) -> Bools:
    """Which labels are of a field and a class."""
    here = pc.equal(labels["field"], field)
    return as_mask(here if label is None else pc.and_(here, pc.equal(labels["label"], label)))


def _words(a: Attribute, texts: pa.Array, entry: Entry | None = None) -> npt.NDArray[np.object_]:
    """The server's strings for JSON texts; with an ``entry``, as they are sent."""
    encode = partial(values.encode, a) if entry is None else partial(entry.word, a)
    strings: dict[str | None, str] = {t: encode(t) for t in pc.unique(texts).to_pylist()}  # null has a string, too
    return np.array([strings[t] for t in texts.to_pylist()], object)


def _same_value(there: pa.Table, was: pa.Table, vocabulary: Vocabulary) -> Bools:
    """A scalar that is sent as what has come is what it was: 2.0 is not 2; so is one of which nothing was said."""
    out = np.zeros(there.num_rows, bool)
    for entry in vocabulary.entries:
        for field in entry.fields.values() if entry.label is None else ():
            a, rows = entry.definitions[0], as_mask(pc.equal(was["field"], field))
            now = _words(a, as_array(there["value"]))
            same = (now == _words(a, as_array(was["value"]), entry)) | (now == entry.remade.get(a.name))
            out |= rows & (same | (a.name not in entry.attributes))
    return out
