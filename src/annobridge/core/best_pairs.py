"""Pairs of rows of two sides: all of a group, and of those that could be one, the best assignment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np

from .arrays import Ints
from .similarity import Floats

_PAIRS = 1_000_000  # at a time


def in_groups(left: Ints, right: Ints, left_rows: Ints, right_rows: Ints) -> Iterator[tuple[Ints, Ints]]:
    """All pairs of rows of two sides that are of the same group, some at a time.

    Args:
        left: the group of each row of the left side.
        right: the group of each row of the right side.
        left_rows: the rows of the left side to pair.
        right_rows: those of the right side.
    """
    left_rows = left_rows[np.argsort(left[left_rows], kind="stable")]
    keys = left[left_rows]
    start = np.searchsorted(keys, right[right_rows], "left")
    count = np.searchsorted(keys, right[right_rows], "right") - start
    total = int(count.sum())
    ends = np.searchsorted(np.cumsum(count), np.arange(_PAIRS, total, _PAIRS))
    for block in np.split(np.arange(len(right_rows)), ends):
        sizes = count[block]
        j = np.repeat(right_rows[block], sizes)
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        yield left_rows[np.repeat(start[block], sizes) + within], j


def best_pairs(left: Ints, right: Ints, scores: Callable[[Ints], Floats], close: float = 0.0) -> tuple[Ints, Ints]:
    """Of pairs that could be one, those of the assignment whose scores have the largest sum.

    Args:
        left: the row of the left side of each pair.
        right: the row of the right side.
        scores: the scores of some of the pairs, by their numbers: of those that compete, so that it may be costly. Above -1.
        close: two pairs whose scores differ by less are about as good.

    Returns:
        The numbers of the pairs that are taken; and those of them of which another pair is about as good.
    """
    from scipy.sparse import coo_array  # loaded when it is used: scipy takes half a second
    from scipy.sparse.csgraph import connected_components

    if not len(left):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    start = int(left.max()) + 1
    nodes = start + int(right.max()) + 1
    edges = coo_array((np.ones(len(left), np.int8), (left, right + start)), shape=(nodes, nodes))
    component = connected_components(edges, directed=False)[1][left]
    competes = np.bincount(component)[component] > 1
    rest = np.flatnonzero(competes)
    rest = rest[np.argsort(component[rest], kind="stable")]
    values = scores(rest)
    chosen, unsure = [np.flatnonzero(~competes)], [np.zeros(0, np.int64)]
    ends = [*(np.flatnonzero(np.diff(component[rest])) + 1).tolist(), len(rest)]
    for begin, end in pairwise([0, *ends] if len(rest) else []):
        some = rest[begin:end]
        picked, doubtful = _solve(left[some], right[some], values[begin:end], close)
        chosen.append(some[picked])
        unsure.append(some[doubtful])
    return np.concatenate(chosen), np.concatenate(unsure)


def _solve(left: Ints, right: Ints, scores: Floats, close: float) -> tuple[Ints, Ints]:
    """Of pairs that compete: those that are taken, and those of them of which another pair is about as good."""
    from scipy.optimize import linear_sum_assignment

    i = np.unique(left, return_inverse=True)[1]
    j = np.unique(right, return_inverse=True)[1]
    gain = np.zeros((int(i.max()) + 1, int(j.max()) + 1))
    gain[i, j] = scores + 1.0  # any pair is better than none
    row, column = linear_sum_assignment(gain, maximize=True)
    partner = np.full(len(gain), -1)
    partner[row] = column
    taken = np.flatnonzero(partner[i] == j)
    rival = gain.copy()
    rival[i[taken], j[taken]] = 0.0
    best_other = np.maximum(rival.max(axis=1)[i[taken]], rival.max(axis=0)[j[taken]])
    return taken, taken[best_other > gain[i[taken], j[taken]] - close]
