"""Assignment: which label of the baseline is each label of an answer that has no ids of the tool, as a file of labels?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import similarity
from ..arrays import Bools, Ints, as_array, as_mask, not_null, set_columns
from ..best_pairs import best_pairs, in_groups
from ..codes import first_with, row_codes
from ..compare import equal_rows
from ..similarity import Floats
from .track_numbers import numbers_as_sent

NEW, BY_ID, BY_PLACE = 0, 1, 2  # how a label was found

SAME_CLASS, OTHER_CLASS = 0.5, 0.75  # the overlap from which labels can be one, if it kept its class or not
_CLASS = 0.25  # what another class takes away from the similarity of a pair
_DETAIL = 0.001  # what equal attributes add, or an equal track, which decides between labels of one shape
_CLOSE = 0.05  # two candidates whose scores differ by less are about as good
_NO_SHAPE = ("classification", "segmentation", "scalar", "message")  # compared by class, or not at all


class Assignment(NamedTuple):
    """For each label of the answer: the row of the baseline that it is, or -1; how it was found; and whether another row would
    have fitted about as well.
    """

    rows: Ints
    how: Ints
    is_ambiguous: Bools


class _Pairs(NamedTuple):
    """Labels that could be one: rows of the baseline, rows of the answer, and how well they fit."""

    base: Ints
    theirs: Ints
    overlap: Floats
    is_same_class: Bools

    def take(self, at: Ints | Bools) -> _Pairs:
        return _Pairs(self.base[at], self.theirs[at], self.overlap[at], self.is_same_class[at])


def assign(base: pa.Table, theirs: pa.Table, sizes: tuple[Floats, Floats] | None = None) -> Assignment:
    """Find the labels of an answer in the baseline.

    A label with a ``label_id`` is the one with that id on the same sample. Others are compared with those of the same sample,
    frame and kind. Two labels can be one if they overlap by half and have the same class, or by three quarters. Where a label fits
    several, the assignment is the one whose similarities have the largest sum. Of those that are left, labels of the same class in
    the same track are one.

    Args:
        base: what was sent (``REMOTE``).
        theirs: the answer, with columns of ``REMOTE``.
        sizes: width and height of the image of each row of both, for turned boxes.
    """
    rows = _by_id(base, theirs)
    how = np.where(rows >= 0, BY_ID, NEW)
    ambiguous = np.zeros(theirs.num_rows, bool)
    free = np.ones(base.num_rows, bool)
    free[rows[rows >= 0]] = False
    extents = [similarity.extents(side, size) for side, size in zip((base, theirs), sizes or (None, None), strict=True)]
    pairs = _candidates(base, theirs, extents, np.flatnonzero(free), np.flatnonzero(rows < 0))
    if len(pairs.base):
        chosen, ambiguous_theirs = _best(base, theirs, extents, pairs)
        rows[chosen.theirs], how[chosen.theirs] = chosen.base, BY_PLACE
        ambiguous[ambiguous_theirs] = True
    _by_track(base, theirs, rows, how)
    return Assignment(rows, how, ambiguous)


def _by_track(base: pa.Table, theirs: pa.Table, rows: Ints, how: Ints) -> None:
    """Assign also labels that moved far in their track, which is known by its other labels."""
    rest = np.flatnonzero((rows < 0) & not_null(theirs["index"]))
    free = not_null(base["index"])
    free[rows[rows >= 0]] = False
    left = np.flatnonzero(free)
    if not rest.size or not left.size or not (rows >= 0).any():
        return
    numbered = set_columns(theirs, index=numbers_as_sent(base, theirs, rows))
    sides = [t.take(pa.array(at)) for t, at in ((base, left), (numbered, rest))]
    ours, told = row_codes(sides, ("sample_id", "frame_number", "kind", "label", "index"))
    _, at, their_at = np.intersect1d(ours, told, return_indices=True)
    rows[rest[their_at]], how[rest[their_at]] = left[at], BY_PLACE


def _by_id(base: pa.Table, theirs: pa.Table) -> Ints:
    rows = np.full(theirs.num_rows, -1, np.int64)
    at = np.flatnonzero(not_null(theirs["label_id"]))
    if at.size:
        codes, base_codes = row_codes([theirs, base], ["sample_id", "label_id"])
        rows[at] = first_with(codes[at], base_codes)
        first = np.zeros(theirs.num_rows, bool)
        first[np.unique(rows, return_index=True)[1]] = True
        rows[~first] = -1  # a copy that a person made of a label
    return rows


def _candidates(base: pa.Table, theirs: pa.Table, extents: list[Floats], base_rows: Ints, their_rows: Ints) -> _Pairs:
    """All pairs that could be one label."""
    groups = row_codes([base, theirs], ("sample_id", "frame_number", "kind"))
    classes = row_codes([base, theirs], ("label",))
    shapeless = [as_mask(pc.is_in(side["kind"], pa.array(_NO_SHAPE))) for side in (base, theirs)]
    found = []
    for i, j in in_groups(groups[0], groups[1], base_rows, their_rows):
        overlap = np.where(shapeless[0][i], 1.0, similarity.overlaps(extents[0][i], extents[1][j]))
        same_class = classes[0][i] == classes[1][j]
        fits = (overlap >= np.where(same_class, SAME_CLASS, OTHER_CLASS)) & (same_class | ~shapeless[0][i])
        found.append(_Pairs(i, j, overlap, same_class).take(fits))
    return _Pairs(*map(np.concatenate, zip(*found, strict=True))) if found else _Pairs(*(np.zeros(0, int),) * 4)


def _best(base: pa.Table, theirs: pa.Table, extents: list[Floats], pairs: _Pairs) -> tuple[_Pairs, Ints]:
    """The pairs of the best assignment, and the labels of the answer of which another pair is about as good."""
    chosen, unsure = best_pairs(
        pairs.base, pairs.theirs, lambda rivals: _scores(base, theirs, extents, pairs.take(rivals)), _CLOSE
    )
    return pairs.take(chosen), pairs.theirs[unsure]


def _scores(base: pa.Table, theirs: pa.Table, extents: list[Floats], pairs: _Pairs) -> Floats:
    """How well pairs that compete fit."""
    scores = pairs.overlap - _CLASS * ~pairs.is_same_class
    sides = list(zip((base, theirs), (pairs.base, pairs.theirs), strict=True))
    for name in ("attributes", "index"):
        same = equal_rows(*(as_array(table[name]).take(pa.array(rows)) for table, rows in sides))
        scores += _DETAIL * same
    has_shape = as_mask(pc.is_in(base["kind"], pa.array(similarity.REFINED))) & np.isfinite(extents[0][:, 0])
    shaped = np.flatnonzero(has_shape[pairs.base] & np.isfinite(extents[1][pairs.theirs, 0]))
    if shaped.size:
        a, b = (extents[n][rows[shaped]] for n, (_, rows) in enumerate(sides))
        windows = np.hstack([np.fmin(a[:, :2], b[:, :2]), np.fmax(a[:, 2:], b[:, 2:])])
        rows_a, rows_b = (similarity.shapes_of(table, rows[shaped]) for table, rows in sides)
        finer = [similarity.refined(*pair) for pair in zip(rows_a, rows_b, windows, strict=True)]
        scores[shaped] += np.nan_to_num(np.array(finer) - pairs.overlap[shaped], nan=0.0)
    result: Floats = scores
    return result
