"""The values of labels in a file: what it does not say is as it was sent, and what was only rounded is no change."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ..arrays import (
    Bools,
    as_array,
    choose,
    is_rotated,
    list_array,
    list_lengths,
    not_null,
    replace_values,
    set_columns,
)
from ..compare import equal_rows
from ..flat_points import FlatPoints
from ..schema import LabelSchema
from ..similarity import Floats
from ..turned_boxes import corners
from .file_attributes import merged_attributes
from .precision import keep_unchanged
from .seen import HIDDEN, HIDDEN_POINT, VISIBLE_POINT, Seen

_SHAPE = ("kind", "bounding_box", "rotation", "points", "closed", "filled", "mask")
_SPOKEN = ("rotation", "index", "closed")  # columns about which files of some kinds of labels are silent
_UNHELD = ("confidence", "keyframe", "value", "visibility", "tags", "annotator", "time")  # kept where the file has none
_DIGITS = (0, 1, 2)  # after the point, of pixels; what has more is taken as exact to two
_MOST = 0.8  # of the labels of a file have no more digits than it has
_RELATIVE = 1.1e-6  # the same for positions that are shares of the image, which are written with six
_DEGREES = 0.01
_CORNERS = 4  # times the precision, by which corners of turned boxes may be off
_NOISE = 1e-4  # of a digit, by which conversions blur it


def merged_values(
    theirs: pa.Table, sent: pa.Table, known: Bools, rough: Bools, seen: Seen, schema: LabelSchema, sizes: Floats
) -> pa.Table:
    """The labels of a file with all values that a label has.

    Args:
        theirs: the labels (with columns of ``REMOTE``).
        sent: aligned with ``theirs``: the label that was sent (``REMOTE``); null where there is none.
        known: which labels were sent.
        rough: of these, those whose shape the file cannot hold; it stays as it was sent.
        seen: what all labels of the file have.
        schema: of the run.
        sizes: width and height of the image of each label; NaN where they are not known.
    """
    columns = {}
    for name in _SPOKEN:
        columns[name] = choose(known & seen.silent(theirs["kind"], name), as_array(sent[name]), as_array(theirs[name]))
    for name in _UNHELD:
        columns[name] = choose(known & ~not_null(theirs[name]), as_array(sent[name]), as_array(theirs[name]))
    # A dataset without keyframes has none after a format that always says so.
    without = known & ~not_null(sent["keyframe"])
    columns["keyframe"] = choose(without, as_array(sent["keyframe"]), as_array(columns["keyframe"]))
    for name in _SHAPE:
        columns[name] = choose(rough, as_array(sent[name]), as_array(columns.get(name, theirs[name])))
    labels = _with_missing_points(set_columns(theirs, **columns), sent, known)
    silent = known & seen.silent(theirs["kind"], HIDDEN)
    labels = set_columns(
        labels,
        visibility=_with_hidden_points(as_array(labels["visibility"]), as_array(sent["visibility"]), silent),
        attributes=merged_attributes(theirs, sent, labels["kind"], seen, schema),
    )
    exact = known & ~rough
    pixels = _precision(theirs, sizes)
    with np.errstate(divide="ignore", invalid="ignore"):
        tolerance = np.maximum(np.nan_to_num(pixels[:, None] / sizes, nan=0.0, posinf=0.0), _RELATIVE)
    labels = keep_unchanged(labels, sent, sent, exact, tolerance, _DEGREES)
    same = _same_masks(labels, sent, exact) | _same_turned(labels, sent, exact, sizes, pixels)
    return set_columns(
        labels, **{n: choose(same, as_array(sent[n]), as_array(labels[n])) for n in ("bounding_box", "rotation")}
    )


def _with_hidden_points(there: pa.Array, sent: pa.Array, where: Bools) -> pa.Array:
    """The visibility of points, where those that were sent as hidden stay so: the file does not tell hidden from visible ones."""
    counts = list_lengths(there)
    at = np.flatnonzero(where & (counts == list_lengths(sent)) & (counts > 0))
    if not at.size:
        return there
    told, old = (side.take(pa.array(at)).flatten().to_numpy() for side in (there, sent))
    new = np.where((told == VISIBLE_POINT) & (old == HIDDEN_POINT), HIDDEN_POINT, told)
    return replace_values(there, at, list_array(counts[at], pa.array(new)).cast(there.type))


def _with_missing_points(labels: pa.Table, sent: pa.Table, known: Bools) -> pa.Table:
    """The labels with the missing points that were sent, of which the file has only the others, in their order."""
    there, before = (FlatPoints.of(side["points"]) for side in (labels, sent))
    missing: Bools = np.logical_or.reduce(np.isnan(before.xy), axis=1)
    size = labels.num_rows
    total, left_out = before.counts(), np.bincount(before.rows()[missing], minlength=size)
    one_part = (there.parts == 1) & (before.parts == 1)
    at = np.flatnonzero(known & one_part & (left_out > 0) & (there.counts() == total - left_out))
    if not at.size:
        return labels
    chosen, rows = np.isin(before.rows(), at), pa.array(at)
    xy, points = before.xy[chosen], there.xy[np.isin(there.rows(), at)]
    xy[~missing[chosen]] = points
    ones = np.ones(at.size, np.int64)
    columns = {"points": FlatPoints(xy, total[at], ones).to_array()}
    seen = as_array(labels["visibility"]).take(rows)
    if (list_lengths(seen) == total[at] - left_out[at]).all():
        shown = np.zeros(len(xy), np.int8)
        shown[~missing[chosen]] = seen.flatten().to_numpy()
        columns["visibility"] = list_array(total[at], pa.array(shown))
    for name, values in columns.items():
        column = as_array(labels[name])
        labels = set_columns(labels, **{name: replace_values(column, at, values.cast(column.type))})
    return labels


def _precision(theirs: pa.Table, sizes: Floats) -> Floats:
    """By how many pixels the positions of each label may differ from what was sent: half a unit of the last digit to which the file
    has them. A number with more digits than most of the file was not rounded.
    """
    boxes = as_array(theirs["bounding_box"])
    at = np.flatnonzero(not_null(boxes))
    xywh = boxes.take(pa.array(at)).flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
    points = FlatPoints.of(theirs["points"])
    rows = np.concatenate([at, at, points.rows()])
    numbers = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:], points.xy]) * sizes[rows]
    digits = np.full(len(sizes), _DIGITS[-1])
    for count in _DIGITS[-2::-1]:
        scaled = numbers * 10**count
        with np.errstate(invalid="ignore"):
            finer = (np.abs(scaled - np.round(scaled)) > _NOISE).any(axis=1)
        digits[np.bincount(rows[finer], minlength=len(sizes)) == 0] = count
    shown = digits[np.unique(rows)]
    common = int(np.quantile(shown, _MOST, method="inverted_cdf")) if shown.size else _DIGITS[-1]
    result: Floats = (0.5 + _NOISE) * 10.0 ** -np.maximum(digits, common)
    return result


def _same_masks(labels: pa.Table, sent: pa.Table, known: Bools) -> Bools:
    """Labels whose mask is the one that was sent, so that the box around it is, too."""
    same = known & not_null(sent["mask"]) & not_null(labels["mask"])
    at = np.flatnonzero(same)
    same[at] = equal_rows(*(as_array(side["mask"]).take(pa.array(at)) for side in (labels, sent)))
    return same


def _same_turned(labels: pa.Table, sent: pa.Table, known: Bools, sizes: Floats, pixels: Floats) -> Bools:
    """Turned boxes whose corners are those that were sent. Some formats write boxes that are turned by 90° as upright ones."""
    turned = [is_rotated(side["rotation"]) for side in (labels, sent)]
    same = known & (turned[0] | turned[1]) & np.isfinite(sizes).all(axis=1)
    same &= not_null(sent["bounding_box"]) & not_null(labels["bounding_box"])
    at = np.flatnonzero(same)
    if at.size:
        quads = [_corners(side.take(pa.array(at)), sizes[at]) for side in (labels, sent)]
        off = np.stack([np.abs(quads[0] - np.roll(quads[1], shift, axis=1)).max(axis=(1, 2)) for shift in range(4)])
        same[at] = np.where(turned[0][at], off[0], off.min(axis=0)) <= _CORNERS * pixels[at]
    return same


def _corners(rows: pa.Table, sizes: Floats) -> Floats:
    boxes = as_array(rows["bounding_box"]).flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
    return corners(boxes, rows["rotation"].fill_null(0.0).to_numpy(), sizes) * sizes[:, None]
