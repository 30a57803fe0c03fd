"""How alike the objects of several annotators are: intersection over union, or the similarity of points."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import similarity
from ..arrays import Bools, Ints, as_array, as_mask, is_rotated, replace_values, set_columns, take_rows
from ..best_pairs import in_groups
from ..codes import row_codes
from ..compare import equal_rows
from ..flat_points import FlatPoints
from ..labels import COMPONENTS
from ..similarity import Floats
from ..turned_boxes import corners
from .objects import Objects

OF_IMAGES = ("classification", "scalar", "message")  # kinds without a shape
_BY_CLASS = ("segmentation", "message")  # kinds of which an image has one label for each class, or text
_BOXES = ("box", "ellipse")


class Pairs(NamedTuple):
    """Objects of two annotators that could be one, and how alike they are: 0 to 1. ``left`` is the smaller number."""

    left: Ints
    right: Ints
    similarity: Floats

    def take(self, at: Ints | Bools) -> Pairs:
        """Some of them."""
        return Pairs(self.left[at], self.right[at], self.similarity[at])


def similar_pairs(
    labels: pa.Table, annotators: Ints, objects: Objects, least: float, several: Bools, sizes: Floats, own: bool = False
) -> Pairs:
    """The pairs of objects of different annotators that are alike, whatever their classes are.

    Boxes, polygons and masks are compared by the area that they share (the last two, and turned boxes, on a grid of 64 × 64),
    keypoints by the distances of the points, and lines by points on them. Tracks are compared by the sum over their frames, as a
    share of the frames that either of them has. Labels of a whole image are alike if they are on the same image.

    Args:
        labels: ``LABELS`` of all annotators.
        annotators: the annotator of each label, as a number.
        objects: what the labels belong to.
        least: pairs with a smaller similarity are left out.
        several: where an image may have several labels. Those without a shape are then alike only if their classes are equal.
        sizes: width and height of the image of each label, for turned boxes; NaN where they are not known.
        own: pairs of objects of one annotator instead: what somebody has drawn twice.
    """
    by_class = several & as_mask(pc.is_in(labels["kind"], pa.array(OF_IMAGES)))
    groups = _groups(labels, by_class | as_mask(pc.is_in(labels["kind"], pa.array(_BY_CLASS))))
    shapes = _Shapes(labels, sizes)
    is_track = objects.sizes > 1
    singles, tracks = [], []
    for i, j in _pairs(groups, annotators, own):
        found = Pairs(objects.of_label[i], objects.of_label[j], shapes.similarity(i, j))
        in_tracks = is_track[found.left] | is_track[found.right]
        singles.append(found.take(~in_tracks & (found.similarity >= least)))
        tracks.append(_summed(found.take(in_tracks), np.ones(int(in_tracks.sum()))))
    alone = _concatenated(singles)
    if not any(len(pairs.left) for pairs, _ in tracks):
        return alone
    summed, frames = _summed(_concatenated([p for p, _ in tracks]), np.concatenate([n for _, n in tracks]))
    union = objects.sizes[summed.left] + objects.sizes[summed.right] - frames
    summed = summed._replace(similarity=summed.similarity / union)
    return _concatenated([alone, summed.take(summed.similarity >= least)])


def known_pairs(labels: pa.Table, annotators: Ints, objects: Objects, sent: Ints) -> Pairs:
    """The pairs of objects of different annotators that are one label which was sent, by its id, wherever they are now. One that
    somebody made another kind of shape is not the same any more.

    Args:
        labels: ``REMOTE`` of all annotators.
        annotators: the annotator of each label, as a number.
        objects: what the labels belong to.
        sent: the number of the label that was sent which each is; -1 for others.
    """
    known = np.flatnonzero(sent >= 0)
    kinds = as_array(labels["kind"]).dictionary_encode().indices.to_numpy()
    found = []
    for i, j in in_groups(sent, sent, known, known):
        counts = (i < j) & (annotators[i] != annotators[j]) & (kinds[i] == kinds[j])
        found.append(Pairs(objects.of_label[i[counts]], objects.of_label[j[counts]], np.ones(int(counts.sum()))))
    pairs, _ = _summed(_concatenated(found), np.ones(sum(len(pairs.left) for pairs in found)))
    return pairs._replace(similarity=np.ones(len(pairs.left)))


def united(alike: Pairs, known: Pairs) -> tuple[Pairs, Bools]:
    """The pairs of both, each once, and which are among the second; those keep the similarity that they have among the first."""
    if not len(known.left):
        return alike, np.zeros(len(alike.left), bool)
    size = int(max(alike.right.max(initial=0), known.right.max())) + 1
    codes = [pairs.left * size + pairs.right for pairs in (alike, known)]
    new = ~np.isin(codes[1], codes[0])
    both = _concatenated([alike, known.take(new)._replace(similarity=np.zeros(int(new.sum())))])
    return both, np.concatenate([np.isin(codes[0], codes[1]), np.ones(int(new.sum()), bool)])


def _groups(labels: pa.Table, by_class: Bools) -> Ints:
    """The labels that can be alike have the same number."""
    groups = row_codes([labels], ("sample_id", "field", "frame_number", "kind"))[0]
    if not by_class.any():
        return groups
    classes = np.where(by_class, row_codes([labels], ("label", "value"))[0] + 1, 0)
    found: Ints = np.unique(np.stack([groups, classes]), axis=1, return_inverse=True)[1].ravel()
    return found


def _pairs(groups: Ints, annotators: Ints, own: bool) -> Iterator[tuple[Ints, Ints]]:
    """All pairs of labels of a group by different annotators, or by one, each once, some at a time."""
    rows = np.arange(len(groups))
    for i, j in in_groups(groups, groups, rows, rows):
        counts = (i < j) & ((annotators[i] == annotators[j]) == own)
        yield i[counts], j[counts]


def _summed(pairs: Pairs, numbers: Floats) -> tuple[Pairs, Floats]:
    """Each pair once, with the sum of its similarities, and of the numbers."""
    size = int(pairs.right.max(initial=0)) + 1
    codes, inverse = np.unique(pairs.left * size + pairs.right, return_inverse=True)
    total = np.bincount(inverse, pairs.similarity, len(codes)).astype(np.float64)
    counts = np.bincount(inverse, numbers, len(codes)).astype(np.float64)
    return Pairs(codes // size, codes % size, total), counts


def _concatenated(parts: list[Pairs]) -> Pairs:
    empty = Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return Pairs(*map(np.concatenate, zip(empty, *parts, strict=True)))


class _Shapes:
    """The shapes of labels, to compare pairs of them."""

    def __init__(self, labels: pa.Table, sizes: Floats) -> None:
        kind = as_array(labels["kind"])
        self._spatial = labels.select(COMPONENTS["spatial"])
        self._of_image = as_mask(pc.is_in(kind, pa.array(OF_IMAGES)))
        self._extents = similarity.extents(labels, sizes)
        turned = is_rotated(labels["rotation"])
        self._finer = turned | as_mask(pc.is_in(kind, pa.array([*similarity.REFINED, "segmentation"])))
        self._labels = labels.select(["kind", "points", "mask"])
        if self._finer.any():
            self._labels = _comparable(labels, sizes, bool(turned.any()))

    def similarity(self, i: Ints, j: Ints) -> Floats:
        """Of pairs of labels."""
        a, b = self._extents[i], self._extents[j]
        found = similarity.overlaps(a, b)
        # Equal shapes are alike, even those without an area, and points of which none is known.
        same = np.flatnonzero(((a == b) | (np.isnan(a) & np.isnan(b))).all(axis=1))
        same = same[self._equal(i[same], j[same])]
        at = np.flatnonzero((self._finer[i] | self._finer[j]) & (found > 0))
        if at.size:
            windows = np.hstack([np.fmin(a[at, :2], b[at, :2]), np.fmax(a[at, 2:], b[at, 2:])])
            rows = (similarity.shapes_of(self._labels, side[at]) for side in (i, j))
            finer = [similarity.refined(*pair) for pair in zip(*rows, windows, strict=True)]
            found[at] = np.nan_to_num(np.array(finer))
        found[same] = 1.0
        return np.where(self._of_image[i], 1.0, found)

    def _equal(self, i: Ints, j: Ints) -> Bools:
        sides = [take_rows(self._spatial, rows) for rows in (i, j)]
        found = np.ones(len(i), bool)
        for name in self._spatial.column_names:
            found &= equal_rows(*(as_array(side[name]) for side in sides))
        return found


def _comparable(labels: pa.Table, sizes: Floats, with_boxes: bool) -> pa.Table:
    """The labels in kinds that ``similarity.refined`` compares: segmentations as masks; boxes, if some are turned, as polygons."""
    kind = as_array(labels["kind"])
    found = labels.select(["kind", "points", "mask"])
    found = set_columns(found, kind=pc.if_else(pc.equal(kind, "segmentation"), "mask", kind))
    boxes = np.flatnonzero(as_mask(pc.is_in(kind, pa.array(_BOXES))) & as_mask(labels["bounding_box"].is_valid()))
    if not with_boxes or not boxes.size:
        return found
    at = pa.array(boxes)
    xywh = as_array(labels["bounding_box"]).take(at).flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
    degrees = pc.fill_null(as_array(labels["rotation"]).take(at), 0.0).to_numpy(zero_copy_only=False)
    known = np.where(np.isfinite(sizes[boxes]), sizes[boxes], 1.0)
    ones = np.ones(boxes.size, np.int64)
    points = FlatPoints(corners(xywh, degrees, known).reshape(-1, 2), 4 * ones, ones).to_array()
    return set_columns(
        found,
        kind=replace_values(as_array(found["kind"]), boxes, pa.repeat("polygon", boxes.size)),
        points=replace_values(as_array(found["points"]), boxes, points),
    )
