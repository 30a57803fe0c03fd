"""Baseline: values that nobody changed in CVAT are returned exactly as they were sent.

CVAT stores pixels and strings, so coordinates come back with other last digits, and what it cannot store (no value, a missing
point, a closed polyline) would be lost. See ``annobridge.backend.kit.baseline`` for the rule. It is applied here to each
component of a label: the shape, the rotation, the keyframe flag, each attribute, the value.
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
from annobridge.core.arrays import as_array, as_mask, choose, list_lengths, not_null, set_columns
from annobridge.core.compare import close_rows
from annobridge.core.geometry import decode_rle
from annobridge.core.labels import REMOTE
from annobridge.core.schema import Attribute

from . import values
from .vocabulary import Entry, Vocabulary, rows_of

Bools = npt.NDArray[np.bool_]
Point = list[float]
TOLERANCE = 1e-7  # relative to the image; people move shapes by more
_SPATIAL = ("bounding_box", "rotation", "points", "closed", "filled", "visibility", "mask")


def keep_unchanged(labels: pa.Table, baseline: pa.Table, vocabulary: Vocabulary) -> pa.Table:
    """Decoded labels with everything that was not changed as it is in the baseline.

    Args:
        labels: the labels that the server has, as ``REMOTE``.
        baseline: the labels as they were sent.
        vocabulary: the vocabulary with the ids that the server uses now.
    """
    sent, known = sent_of(labels["remote_id"], baseline)
    new = _with_attributes(labels.filter(pa.array(~known)))
    if not known.any():
        return new
    now = labels.filter(pa.array(known)).combine_chunks()
    sent = sent.filter(pa.array(known)).select(REMOTE.names).combine_chunks()
    now = _restored(now, sent)
    spatial = _same_shape(now, sent)
    now = keep_sent(now, sent, spatial, *_SPATIAL)
    now = keep_sent(now, sent, _same_angle(now, sent), "rotation")
    now = keep_sent(now, sent, _same_key(sent, spatial), "keyframe")
    now = set_columns(now, attributes=_attributes(now, sent, vocabulary))
    now = keep_sent(now, sent, _same_value(now, sent, vocabulary), "value")
    return pa.concat_tables([new, now])


def _with_attributes(new: pa.Table) -> pa.Table:
    """New labels with an empty list where the attributes are null (not known)."""
    rows, flat = pc.list_parent_indices(as_array(new["attributes"])), pc.list_flatten(as_array(new["attributes"]))
    return set_columns(new, attributes=lists.build(rows.to_numpy(), flat, new.num_rows))


def _restored(now: pa.Table, sent: pa.Table) -> pa.Table:
    """The labels with what CVAT cannot store: missing keypoints at their places, ``closed``, and the visibility of keypoints."""
    same_kind = as_mask(pc.equal(now["kind"], sent["kind"]))
    is_path = same_kind & as_mask(pc.is_in(now["kind"], pa.array(["polygon", "polyline"])))
    now = keep_sent(now, sent, is_path, "closed", "filled")
    has_points = same_kind & as_mask(pc.is_in(now["kind"], pa.array(["keypoints", "skeleton"])))
    if not has_points.any():
        return now
    points, visibility = as_array(now["points"]).to_pylist(), as_array(now["visibility"]).to_pylist()
    for n in np.flatnonzero(has_points).tolist():
        restore = _restored_keypoints if now["kind"][n].as_py() == "keypoints" else _restored_skeleton
        points[n], visibility[n] = restore(
            points[n][0], visibility[n], sent["points"][n].as_py()[0], sent["visibility"][n].as_py()
        )
    columns = {"points": points, "visibility": visibility}
    return set_columns(now, **{name: pa.array(v, REMOTE.field(name).type) for name, v in columns.items()})


def _restored_keypoints(
    points: list[Point], visibility: list[int], sent: list[Point], sent_visibility: list[int] | None
) -> tuple[list[list[Point]], Any]:
    """Keypoints with the missing ones at their places, if nobody has added or removed a point."""
    is_missing = [x != x or y != y for x, y in sent]  # NaN
    if len(points) != len(sent) - sum(is_missing):
        return [points], visibility
    present = iter(points)
    restored = [point if missing else next(present) for point, missing in zip(sent, is_missing, strict=True)]
    return [restored], sent_visibility


def _restored_skeleton(
    points: list[Point], visibility: list[int], sent: list[Point], sent_visibility: list[int] | None
) -> tuple[list[list[Point]], Any]:
    """A skeleton with the coordinates of the points that were missing and still are."""
    if len(points) != len(sent):
        return [points], visibility
    before = sent_visibility if sent_visibility is not None else [0 if x != x or y != y else 2 for x, y in sent]
    restored = [
        old if not seen_now and not seen_before else new
        for new, old, seen_now, seen_before in zip(points, sent, visibility, before, strict=True)
    ]
    return [restored], sent_visibility if visibility == before else visibility


def _same_shape(now: pa.Table, sent: pa.Table) -> Bools:
    same = as_mask(pc.equal(now["kind"], sent["kind"]))
    is_box = as_mask(pc.is_in(now["kind"], pa.array(["box", "ellipse"])))
    same &= ~is_box | close_rows(now["bounding_box"], sent["bounding_box"], TOLERANCE)
    # A cuboid that was sent as a box has no points in the baseline.
    has_corners = not_null(sent["points"]) | ~as_mask(pc.equal(now["kind"], "cuboid"))
    same &= ~has_corners | close_rows(now["points"], sent["points"], TOLERANCE)
    same &= as_mask(pc.equal(_text(now["visibility"]), _text(sent["visibility"])))
    masked = np.flatnonzero(same & not_null(now["mask"]))
    for row, left, right in zip(
        masked, *(side["mask"].take(pa.array(masked)).to_pylist() for side in (now, sent)), strict=True
    ):
        same[row] = left == right or (right is not None and np.array_equal(decode_rle(left), decode_rle(right)))
    return same & (~is_box | _same_angle(now, sent))


def _text(column: pa.ChunkedArray) -> pa.Array:
    return pa.array(["" if v is None else str(v) for v in column.to_pylist()])


def _same_angle(now: pa.Table, sent: pa.Table) -> Bools:
    """Where the rotations are equal; whole turns do not count, and null is 0."""
    a, b = (pc.fill_null(as_array(side["rotation"]), 0.0).to_numpy() for side in (now, sent))
    off = np.abs(a - b) % 360
    found: Bools = np.minimum(off, 360 - off) < TOLERANCE * 360
    return found


def _same_key(sent: pa.Table, spatial: Bools) -> Bools:
    """Where ``keyframe`` is taken from the baseline. CVAT may need more keyframes than the labels flag: such a one stays false
    unless somebody moved it.
    """
    unnamed = ~not_null(sent["keyframe"])
    false = not_null(sent["keyframe"]) & ~as_mask(sent["keyframe"])
    return unnamed | (false & spatial)


def _attributes(now: pa.Table, sent: pa.Table, vocabulary: Vocabulary) -> pa.Array:
    """The attributes: each one is the baseline's where CVAT has the same string, or does not have the attribute any more."""
    size = now.num_rows
    same = _lost(now, vocabulary)  # by name: the rows that keep the baseline's value
    for entry in vocabulary.entries:
        rows = np.flatnonzero(rows_of(sent, entry))
        at = pa.array(rows)
        for a in (*entry.definitions, *entry.own) if rows.size else ():
            texts, sent_texts = (lists.values(side["attributes"].take(at), a.name) for side in (now, sent))
            before = _strings(a, sent_texts, entry)
            if entry.builtin.get(a.name) == "source":  # which is always sent, see ``encode``
                by_model = not_null(sent["confidence"].take(at))
                before = np.where(not_null(sent_texts), before, np.where(by_model, "auto", "manual"))
            same.setdefault(a.name, np.zeros(size, bool))[rows] |= _strings(a, texts) == before
    changes = {name: (where, lists.column(sent["attributes"], name)) for name, where in same.items()}
    column = lists.replace(now["attributes"], changes) if changes else as_array(now["attributes"])
    nothing = ~not_null(now["attributes"]) | (~not_null(sent["attributes"]) & (list_lengths(column) == 0))
    return choose(nothing, sent["attributes"].cast(column.type), column)


def _lost(now: pa.Table, vocabulary: Vocabulary) -> dict[str, Bools]:
    """Where the server has lost an attribute: it was removed, or it was made again and has its default. By name."""
    found: dict[str, Bools] = {}
    for entry in vocabulary.entries:
        for a in entry.definitions:
            if a.name in entry.attributes and a.name not in entry.remade:
                continue
            rows = rows_of(now, entry)
            if a.name in entry.remade:
                rows &= _strings(a, lists.values(now["attributes"], a.name)) == entry.remade[a.name]
            found[a.name] = found.get(a.name, np.zeros(now.num_rows, bool)) | rows
    return found


def _strings(a: Attribute, texts: pa.Array, entry: Entry | None = None) -> npt.NDArray[np.object_]:
    """CVAT's strings for JSON texts; with an ``entry``, as they are sent to its label."""
    encode = partial(values.encode, a) if entry is None else partial(entry.encode, a)
    strings: dict[str | None, str] = {t: encode(t) for t in pc.unique(texts).to_pylist()}  # null has a string, too
    return np.array([strings[t] for t in texts.to_pylist()], object)


def _same_value(now: pa.Table, sent: pa.Table, vocabulary: Vocabulary) -> Bools:
    """Where a scalar has the string that it was sent with (``2.0`` may have become ``2``), or whose attribute was lost."""
    out = np.zeros(now.num_rows, bool)
    for entry in vocabulary.entries:
        if entry.label is None:
            a, strings = entry.definitions[0], _strings(entry.definitions[0], as_array(now["value"]))
            same = (strings == _strings(a, as_array(sent["value"]), entry)) | (strings == entry.remade.get(a.name))
            out |= rows_of(sent, entry) & (same | (a.name not in entry.attributes))
    return out
