"""Clusters: the objects of several annotators that are one, at most one of each annotator."""

from __future__ import annotations

import numpy as np

from ..arrays import Bools, Ints
from ..similarity import Floats
from .similar import Pairs

_DECIMALS = 9  # scores that differ less are equal


def clusters(annotators: Ints, pairs: Pairs, scores: Floats) -> Ints:
    """The cluster of each object, numbered in the order of their first objects.

    The object that fits best to those of all other annotators is the centre of a cluster, with the best of each other annotator
    that it is paired with; then the same again with the rest. An object that somebody drew twice so stays alone, and no cluster is
    a chain. Of objects that fit equally, the first counts, so the result depends on the order of the objects, and not on that of
    the pairs.

    Args:
        annotators: the annotator of each object, as a number.
        pairs: objects that could be one.
        scores: how well the objects of each pair fit.

    >>> pairs = Pairs(np.array([0, 0, 1, 2]), np.array([1, 3, 3, 3]), np.array([0.9, 0.9, 0.9, 0.8]))
    >>> clusters(np.array([0, 1, 1, 2]), pairs, pairs.similarity).tolist()
    [0, 0, 1, 0]
    """
    size = len(annotators)
    centre_of = np.arange(size)
    near, far = np.concatenate([pairs.left, pairs.right]), np.concatenate([pairs.right, pairs.left])
    score = np.concatenate([scores, scores]).round(_DECIMALS)
    order = np.lexsort((far, -score, annotators[far], near))
    near, far, score = near[order], far[order], score[order]
    while len(near):
        best = _changes(near) | _changes(annotators[far])  # the best of each annotator, for each object
        fit = np.bincount(near[best], score[best], size).round(_DECIMALS)
        rank = np.empty(size, np.int64)
        rank[np.lexsort((np.arange(size), -fit))] = np.arange(size)
        # What fits best of all that are two pairs away at most is a centre: no other one can claim its members.
        centres = _least_near(_least_near(rank, near, far), near, far) == rank
        centres[np.bincount(near, minlength=size) == 0] = False
        chosen = best & centres[near]
        centre_of[far[chosen]] = near[chosen]
        taken = centres
        taken[far[chosen]] = True
        rest = ~taken[near] & ~taken[far]
        near, far, score = near[rest], far[rest], score[rest]
    _, first, number = np.unique(centre_of, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    ordered: Ints = rank[number]
    return ordered


def doubles(clusters: Ints, own: Pairs) -> Bools:
    """Which clusters are other ones once more: all who have an object in it have one in a larger cluster as well, which is so much
    like it that they drew one thing twice.

    Args:
        clusters: the cluster of each object.
        own: pairs of objects of one annotator that are very much alike.

    >>> twice = Pairs(np.array([0, 1]), np.array([3, 4]), np.array([0.9, 0.9]))
    >>> doubles(np.array([0, 0, 0, 1, 1]), twice).tolist()
    [False, True]
    """
    count = int(clusters.max(initial=-1)) + 1
    sizes = np.bincount(clusters, minlength=count)
    object_, other = np.concatenate([own.left, own.right]), np.concatenate([own.right, own.left])
    smaller = sizes[clusters[object_]] < sizes[clusters[other]]
    object_, other = object_[smaller], other[smaller]
    found = np.zeros(count, bool)
    keys = np.unique(np.stack([clusters[object_], clusters[other], object_]), axis=1)[:2]
    pairs, members = np.unique(keys, axis=1, return_counts=True)
    found[pairs[0][members == sizes[pairs[0]]]] = True
    return found


def _least_near(values: Ints, near: Ints, far: Ints) -> Ints:
    """The least value of each object and of those that it is paired with."""
    found = values.copy()
    np.minimum.at(found, near, values[far])
    return found


def _changes(values: Ints) -> Bools:
    """Where another value begins."""
    return np.concatenate([[True], values[1:] != values[:-1]]) if len(values) else np.zeros(0, bool)
