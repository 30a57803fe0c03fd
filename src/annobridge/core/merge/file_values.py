"""The values of labels in a file: what it does not say is as it was sent, and what was only rounded is no change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from ..arrays import (
    Bools,
    as_array,
    choose,
    equal,
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
        sent: for each row of ``theirs``, the label that was sent (``REMOTE``); nulls for a new label.
        known: which labels were sent.
        rough: of these, those whose shape the file cannot hold; it stays as it was sent.
        seen: what all labels of the file have.
        schema: of the run.
        sizes: width and height of the image of each label; NaN where they are not known.
    """
    columns = {}
    for name in _SPOKEN:
        columns[name] = choose(known & seen.silent(theirs["kind"], name), as_array(sent[name]), as_array(theirs[name]))
    upright = known & ~is_rotated(columns["rotation"]) & ~is_rotated(sent["rotation"])  # 0 and null are the same
    columns["rotation"] = choose(upright, as_array(sent["rotation"]), columns["rotation"])
    lacking = _lacks_missing_points(theirs, sent, known)
    columns["points"] = _with_missing_points(as_array(theirs["points"]), as_array(sent["points"]), lacking)
    for name in _UNHELD:
        columns[name] = choose(known & ~not_null(theirs[name]), as_array(sent[name]), as_array(theirs[name]))
    # A dataset without keyframes has none after a format that always says so.
    without = known & ~not_null(sent["keyframe"])
    columns["keyframe"] = choose(without, as_array(sent["keyframe"]), as_array(columns["keyframe"]))
    if seen.default_confidence is not None:
        is_default = as_array(columns["confidence"]).to_numpy(zero_copy_only=False) == seen.default_confidence
        made = is_default & ~not_null(sent["confidence"])
        columns["confidence"] = choose(known & made, as_array(sent["confidence"]), columns["confidence"])
    columns["visibility"] = choose(lacking, as_array(sent["visibility"]), columns["visibility"])
    if seen.only_class is not None:
        columns["label"] = choose(known, as_array(sent["label"]), as_array(theirs["label"]))
    for name in _SHAPE:
        columns[name] = choose(rough, as_array(sent[name]), as_array(columns.get(name, theirs[name])))
    silent = known & seen.silent(theirs["kind"], HIDDEN)
    columns["visibility"] = _with_hidden_points(columns["visibility"], as_array(sent["visibility"]), silent)
    labels = set_columns(theirs, **columns)
    labels = set_columns(labels, attributes=merged_attributes(theirs, sent, labels["kind"], seen, schema))
    exact = known & ~rough
    pixels = _precision(theirs, sizes)
    with np.errstate(divide="ignore", invalid="ignore"):
        tolerance = np.maximum(np.nan_to_num(pixels[:, None] / sizes, nan=0.0, posinf=0.0), _RELATIVE)
    labels = keep_unchanged(labels, sent, sent, exact, tolerance, _DEGREES)
    same = _same_masks(labels, sent, exact) | _same_turned(labels, sent, exact, sizes, pixels)
    return set_columns(
        labels, **{n: choose(same, as_array(sent[n]), as_array(labels[n])) for n in ("bounding_box", "rotation")}
    )


def _lacks_missing_points(theirs: pa.Table, sent: pa.Table, known: Bools) -> Bools:
    """Keypoints of which the file has just the points that were not sent as missing (NaN)."""
    old, new = (FlatPoints.of(side["points"]) for side in (sent, theirs))
    there = np.bincount(old.rows()[np.isfinite(old.xy).all(axis=1)], minlength=len(known))
    lacks: Bools = known & equal(theirs["kind"], "keypoints") & (there == new.counts()) & (there < old.counts())
    return lacks


def _with_missing_points(there: pa.Array, sent: pa.Array, where: Bools) -> pa.Array:
    """The points, with those that were sent as missing at their places."""
    at = np.flatnonzero(where)
    if not at.size:
        return there
    old, new = (FlatPoints.of(side.take(pa.array(at))) for side in (sent, there))
    xy = old.xy.copy()
    xy[np.isfinite(xy).all(axis=1)] = new.xy
    return replace_values(there, at, replace(old, xy=xy).to_array().cast(there.type))


def _with_hidden_points(there: pa.Array, sent: pa.Array, where: Bools) -> pa.Array:
    """The visibility of points, where those that were sent as hidden stay so: the file does not tell hidden from visible ones."""
    counts = list_lengths(there)
    at = np.flatnonzero(where & (counts == list_lengths(sent)) & (counts > 0))
    if not at.size:
        return there
    told, old = (side.take(pa.array(at)).flatten().to_numpy() for side in (there, sent))
    new = np.where((told == VISIBLE_POINT) & (old == HIDDEN_POINT), HIDDEN_POINT, told)
    return replace_values(there, at, list_array(counts[at], pa.array(new)).cast(there.type))


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
