"""Votes: the value that most of a group have, by the weights of those who have it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..arrays import Bools, Ints
from ..similarity import Floats

ROUNDING = 1e-9  # weights that differ by less are equal


class Votes(NamedTuple):
    """What each group says.

    Attributes:
        value: the value with the most weight; the smallest of those that have as much.
        weight: its weight.
        total: the weight of all.
        is_tie: whether another value has as much.
    """

    value: Ints
    weight: Floats
    total: Floats
    is_tie: Bools


def vote(groups: Ints, values: Ints, weights: Floats, count: int, preferred: Ints | None = None) -> Votes:
    """The votes of each of ``count`` groups, all of which have a member.

    Args:
        groups: the group of each member.
        values: what it says, as a number from 0.
        weights: the weight of each member.
        count: the number of groups.
        preferred: of each group, the value that wins if no other has more; -1 for none. It resolves a tie.

    >>> found = vote(np.array([0, 0, 0, 1, 1]), np.array([5, 3, 5, 2, 1]), np.ones(5), 2)
    >>> found.value.tolist(), found.weight.tolist(), found.is_tie.tolist()
    ([5, 1], [2.0, 1.0], [False, True])
    """
    size = int(values.max(initial=0)) + 1
    codes, inverse = np.unique(groups * size + values, return_inverse=True)
    sums = np.bincount(inverse, weights, len(codes))
    group, value = codes // size, codes % size
    most = np.zeros(count)
    np.maximum.at(most, group, sums)
    is_best = sums >= most[group] - ROUNDING
    if preferred is not None:
        wanted = is_best & (value == preferred[group])
        has_wanted = np.zeros(count, bool)
        has_wanted[group[wanted]] = True
        is_best &= wanted | ~has_wanted[group]
    best = np.flatnonzero(is_best)
    chosen = np.full(count, -1)
    chosen[group[best][::-1]] = value[best][::-1]  # the smallest, as the codes are ascending
    ties = np.bincount(group[best], minlength=count) > 1
    total = np.bincount(groups, weights, count).astype(np.float64)
    return Votes(chosen, most, total, ties)
