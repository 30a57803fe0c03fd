"""The shape that several annotators say together, by kind of shape."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import (
    Bools,
    Ints,
    as_array,
    as_mask,
    choose,
    is_rotated,
    list_array,
    list_lengths,
    not_null,
    replace_values,
    set_columns,
    take_rows,
)
from ..flat_points import FlatPoints
from ..geometry import decode_rle, encode_rle, mask_box
from ..labels import LABELS
from ..similarity import POINT_KINDS, Floats
from .votes import vote

MEDIAN, MEDOID, WEIGHTED = "median", "medoid", "weighted"
GEOMETRIES = (MEDIAN, MEDOID, WEIGHTED)
_BOXES = ("box", "ellipse")
_MASKS = ("mask", "segmentation")
_VISIBLE = 2
_BOX = LABELS.field("bounding_box").type


class Members(NamedTuple):
    """Labels of which several are one, in groups.

    Attributes:
        rows: the row of each member, ascending within its group.
        groups: the group of each, ascending.
        weights: the weight of its annotator.
        medoids: of each group, the row of the member that is most like the others.
    """

    rows: Ints
    groups: Ints
    weights: Floats
    medoids: Ints

    def where(self, of_groups: Bools) -> Members:
        """Those of some groups, numbered anew."""
        at, numbers = of_groups[self.groups], np.cumsum(of_groups) - 1
        return Members(self.rows[at], numbers[self.groups[at]], self.weights[at], self.medoids[of_groups])

    def only(self, at: Bools) -> Members:
        """Some of them, in the same groups."""
        return Members(self.rows[at], self.groups[at], self.weights[at], self.medoids)


def merged_shapes(labels: pa.Table, members: Members, geometry: str) -> pa.Table:
    """The medoid of each group, with the shape that its members say together.

    ``"median"`` takes the median of each edge of upright boxes and ellipses, and of each coordinate of points; ``"weighted"``
    their mean by weight. Both take the pixels of masks that have half of the weight at least. All other shapes (polygons,
    polylines, turned boxes, points of which there are not equally many) are those of the medoid, as is every shape with
    ``"medoid"``. Where one member has the merged shape, its numbers are taken as they are, to the last bit.

    Args:
        labels: ``LABELS``.
        members: which of them are one.
        geometry: a member of ``GEOMETRIES``.
    """
    merged = take_rows(labels, members.medoids)
    several = np.bincount(members.groups, minlength=len(members.medoids)) > 1
    if geometry == MEDOID or not several.any():
        return merged
    kind = as_array(merged["kind"])
    by_weight = geometry == WEIGHTED
    turned = np.zeros(len(members.medoids), bool)
    turned[members.groups[is_rotated(labels["rotation"])[members.rows]]] = True
    boxes = several & ~turned & as_mask(pc.is_in(kind, pa.array(_BOXES)))
    if boxes.any():
        merged = _with(merged, boxes, bounding_box=_boxes(labels, members.where(boxes), by_weight))
    points = several & as_mask(pc.is_in(kind, pa.array(POINT_KINDS))) & _same_counts(labels, members)
    if points.any():
        some = members.where(points)
        column = _points(labels, some, by_weight)
        merged = _with(merged, points, points=column, visibility=_visibility(labels, some, column))
    masks = several & as_mask(pc.is_in(kind, pa.array(_MASKS)))
    if masks.any():
        merged = _with_masks(merged, masks, _masks(labels, members.where(masks)))
    return merged


def _with(merged: pa.Table, where: Bools, **columns: pa.Array) -> pa.Table:
    at = np.flatnonzero(where)
    return set_columns(merged, **{n: replace_values(as_array(merged[n]), at, new) for n, new in columns.items()})


def _boxes(labels: pa.Table, members: Members, by_weight: bool) -> pa.Array:
    column = as_array(labels["bounding_box"])
    xywh = column.take(pa.array(members.rows)).flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
    edges = np.hstack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]])
    middle = _middle(edges, members, by_weight)
    found = np.hstack([middle[:, :2], middle[:, 2:] - middle[:, :2]])
    same = np.flatnonzero((edges == middle[members.groups]).all(axis=1))[::-1]  # the first of a group is written last
    found[members.groups[same]] = xywh[same]
    return pa.FixedSizeListArray.from_arrays(pa.array(found.ravel()), 4).cast(_BOX)


def _middle(values: Floats, members: Members, by_weight: bool) -> Floats:
    """The median of the members of each group, or their mean by weight, in each column; members without a value (NaN) do not
    count, and the result is NaN if they are more than half.
    """
    count = len(members.medoids)
    known = ~np.isnan(values)
    weights = known * members.weights[:, None]
    weight = _sums(weights, members.groups, count)
    half = np.bincount(members.groups, members.weights, count)[:, None] / 2
    with np.errstate(invalid="ignore", divide="ignore"):  # where all are missing
        if by_weight:
            found = _sums(np.where(known, values, 0.0) * weights, members.groups, count) / weight
            starts = np.flatnonzero(np.diff(members.groups, prepend=-1))
            least, most = (reduce.reduceat(values, starts, axis=0) for reduce in (np.fmin, np.fmax))
            found = np.where(least == most, least, found)  # a mean of equal numbers may differ in the last bit
        else:
            found = _medians(
                np.where(known, values, np.inf), members, _sums(known, members.groups, count).astype(np.int64)
            )
    return np.where((weight > 0) & (weight >= half - 1e-9), found, np.nan)


def _medians(values: Floats, members: Members, numbers: Ints) -> Floats:
    """The median of the first ``numbers`` of the sorted values of each group."""
    sizes = np.bincount(members.groups, minlength=len(members.medoids))
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    table = np.full((len(sizes), int(sizes.max()), values.shape[1]), np.inf)
    table[members.groups, np.arange(len(members.groups)) - starts[members.groups]] = values
    table.sort(axis=1)
    places = (numbers - 1).clip(0) // 2, np.minimum(numbers // 2, table.shape[1] - 1)
    low, high = (np.take_along_axis(table, at[:, None], axis=1)[:, 0] for at in places)
    found: Floats = low + (high - low) / 2
    return found


def _sums(values: np.ndarray, groups: Ints, count: int) -> Floats:
    found = np.zeros((count, values.shape[1]))
    np.add.at(found, groups, values)
    return found


def _same_counts(labels: pa.Table, members: Members) -> Bools:
    """The groups whose members all have equally many points, in one part."""
    flat = FlatPoints.of(labels["points"])
    counts = np.where(flat.parts == 1, flat.counts(), -1)[members.rows]
    expected = np.where(flat.parts == 1, flat.counts(), -2)[members.medoids]
    differ = np.zeros(len(members.medoids), bool)
    differ[members.groups[counts != expected[members.groups]]] = True
    return ~differ


def _points(labels: pa.Table, members: Members, by_weight: bool) -> pa.Array:
    """Point by point. The groups may have different numbers of points, so those of one number are merged at once."""
    flat = FlatPoints.of(as_array(labels["points"]).take(pa.array(members.rows)))
    counts = flat.counts()
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    of_group = counts[np.unique(members.groups, return_index=True)[1]]
    merged = np.zeros((int(of_group.sum()), 2))
    group_starts = np.concatenate([[0], np.cumsum(of_group)[:-1]])
    for size in np.unique(of_group).tolist():
        chosen = of_group == size
        some = np.flatnonzero(chosen[members.groups])
        values = flat.xy[starts[some][:, None] + np.arange(size)].reshape(len(some), 2 * size)
        found = _middle(values, members.where(chosen), by_weight)
        at = group_starts[chosen][:, None] + np.arange(size)
        merged[at.ravel()] = found.reshape(-1, 2)
    merged[np.isnan(merged).any(axis=1)] = np.nan
    ones = np.ones(len(of_group), np.int64)
    return FlatPoints(merged, of_group, ones).to_array()


def _visibility(labels: pa.Table, members: Members, points: pa.Array) -> pa.Array:
    """What most of those say of each point who have it, or the medoid of it if as many say something else; 0 if there is none."""
    sizes = FlatPoints.of(points).counts()
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    found = np.where(np.isnan(FlatPoints.of(points).xy[:, 0]), 0, _visible(labels, members.medoids, sizes))
    of_member = sizes[members.groups]
    first_of_member = np.concatenate([[0], np.cumsum(of_member)[:-1]])
    place = np.arange(int(of_member.sum())) + np.repeat(starts[members.groups] - first_of_member, of_member)
    given = FlatPoints.of(as_array(labels["points"]).take(pa.array(members.rows)))
    at = np.flatnonzero(~np.isnan(given.xy[:, 0]) & (found[place] > 0))
    if at.size:
        said = _visible(labels, members.rows, of_member)[at]
        voted, groups = np.unique(place[at], return_inverse=True)
        found[voted] = vote(groups, said, np.ones(len(at)), len(voted), found[voted]).value
    no_values = ~not_null(as_array(labels["visibility"]).take(pa.array(members.medoids)))
    column = list_array(sizes, pa.array(found, pa.int8()))
    return choose(no_values, pa.nulls(len(sizes), column.type), column)


def _visible(labels: pa.Table, rows: Ints, sizes: Ints) -> Ints:
    """The visibility of the points of some labels, end to end: visible, where a label does not say."""
    column = as_array(labels["visibility"]).take(pa.array(rows))
    says = list_lengths(column) == sizes
    found = np.full(int(sizes.sum()), _VISIBLE)
    found[np.repeat(says, sizes)] = column.filter(pa.array(says)).flatten().to_numpy(zero_copy_only=False)
    return found


def _masks(labels: pa.Table, members: Members) -> dict[int, dict[str, object]]:
    """Of groups, the mask with the pixels that have half of the weight at least; those whose masks are all equal, or of other
    sizes, are left out.
    """
    column = as_array(labels["mask"])
    ends = np.flatnonzero(np.diff(members.groups, append=-1)) + 1
    found = {}
    start = 0
    for group, end in enumerate(ends.tolist()):
        rles = column.take(pa.array(members.rows[start:end])).to_pylist()
        weights, start = members.weights[start:end], end
        medoid = column[int(members.medoids[group])].as_py()
        if all(rle == medoid for rle in rles) or any(rle["size"] != medoid["size"] for rle in rles):
            continue
        pixels = np.zeros(tuple(medoid["size"]))
        for rle, weight in zip(rles, weights.tolist(), strict=True):
            pixels += weight * decode_rle(rle)
        covered = pixels * 2 >= weights.sum() - 1e-9
        mask = dict(encode_rle(covered))
        if covered.any() and mask != medoid:
            found[group] = mask
    return found


def _with_masks(merged: pa.Table, where: Bools, masks: dict[int, dict[str, object]]) -> pa.Table:
    """``masks`` are of the groups that ``where`` has. A box goes around the new mask."""
    changed = np.zeros(merged.num_rows, bool)
    changed[np.flatnonzero(where)[list(masks)]] = True
    boxes = merged["bounding_box"].filter(pa.array(changed)).to_pylist()
    around = [None if box is None else mask_box(mask) for box, mask in zip(boxes, masks.values(), strict=True)]
    mask_column = pa.array(list(masks.values()), LABELS.field("mask").type)
    return _with(merged, changed, mask=mask_column, bounding_box=pa.array(around, _BOX))
