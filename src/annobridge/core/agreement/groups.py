"""Groups of labels that become one, and how many have them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from ..arrays import Bools, Ints, index_of, take_rows
from ..similarity import Floats
from .given import Answered
from .objects import Objects
from .shapes import Members
from .similar import Pairs
from .votes import ROUNDING


class Groups(NamedTuple):
    """The labels that become one: those of a cluster, or of a frame of a cluster of tracks."""

    members: Members
    clusters: Ints  # of each group
    is_alike: Bools  # whether the shape of each member is like that of the medoid

    def first(self, labels: pa.Table) -> pa.Table:
        """The first member of each group."""
        return take_rows(labels, self.members.rows[np.flatnonzero(np.diff(self.members.groups, prepend=-1))])


def groups_of(labels: pa.Table, objects: Objects, cluster: Ints, pairs: Pairs, weights: Floats) -> Groups:
    frames = labels["frame_number"].fill_null(0).to_numpy()
    of_label = cluster[objects.of_label]
    keys, number = np.unique(np.stack([of_label, frames]), axis=1, return_inverse=True)
    number = number.ravel()
    inside = pairs.take(cluster[pairs.left] == cluster[pairs.right])
    support = np.bincount(inside.left, inside.similarity, len(cluster))
    support += np.bincount(inside.right, inside.similarity, len(cluster))
    order = np.argsort(number, kind="stable")
    best = np.lexsort((np.arange(len(number)), -support[objects.of_label].round(9), number))
    medoids = best[np.unique(number[best], return_index=True)[1]]
    members = Members(order, number[order], weights[order], medoids)
    sides = np.sort(objects.of_label[np.stack([order, medoids[members.groups]])], axis=0)
    alike = inside.take(inside.similarity > 0)  # others are one by their id only
    size = len(cluster)
    is_alike = (sides[0] == sides[1]) | np.isin(sides[0] * size + sides[1], alike.left * size + alike.right)
    return Groups(members, keys[0].astype(np.int64), is_alike)


class Quorum(NamedTuple):
    """How many have each group.

    Attributes:
        people: how many saw its image.
        seen: their weight.
        needed: the weight that makes a quorum.
        weight: that of those who have it.
        has: whether they are a quorum.
    """

    people: Ints
    seen: Floats
    needed: Floats
    weight: Floats
    has: Bools

    @classmethod
    def of(cls, groups: Groups, sample_ids: pa.Array, answered: Answered, share: float) -> Quorum:
        """From the groups, and the samples of the labels."""
        members = groups.members
        sample = index_of(sample_ids.take(pa.array(members.medoids)), answered.samples).to_numpy()
        seen = answered.of_sample[sample]
        needed = share * seen - ROUNDING
        weight = np.bincount(members.groups, members.weights, len(seen)).astype(np.float64)
        return cls(answered.people[sample], seen, needed, weight, weight >= needed)
