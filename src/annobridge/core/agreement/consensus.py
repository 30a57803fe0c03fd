"""Consensus: one answer from those of several annotators, and what they did not agree about."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...exceptions import InvalidOption
from ..arrays import as_array, as_mask
from ..similarity import sizes_of
from .agreed import Agreed, Outcome
from .classes import Classes, class_codes, class_votes, with_classes
from .clusters import clusters, doubles
from .given import Answered, Given, all_labels
from .groups import Quorum, groups_of
from .known import known_by_id, known_labels, sent_rows
from .objects import objects_of
from .shapes import GEOMETRIES, MEDIAN, WEIGHTED, merged_shapes
from .similar import known_pairs, similar_pairs, united

VOTE = "vote"
CLASSES = (VOTE, WEIGHTED)
TWICE = 0.75  # how much two shapes of one annotator are alike that are one thing, drawn twice
SAME_CLASS, SAME_ID = 0.25, 2.0  # what an equal class, or an equal id, adds to the similarity of a pair


@dataclass(frozen=True)
class Consensus:
    """How the answers of several annotators become one.

    Attributes:
        quorum: the share of those who saw an image that an object needs, above 0 and up to 1. What some have, and fewer than
            that, is left for a decision.
        iou: how alike two shapes have to be to be one object, above 0 and up to 1: the intersection over union; of points, their
            similarity.
        geometry: the shape: ``"median"`` of each edge or coordinate, the ``"medoid"`` (that of the annotator who is closest to
            the others), or ``"weighted"``, the mean by weight.
        classes: whether each annotator counts once (``"vote"``), or by weight (``"weighted"``), for the quorum, the class and
            the attributes.
        weights: annotator → weight, above 0; 1 for others. They count where something is ``"weighted"``. ``Quality.weights`` has
            such.

    Raises:
        InvalidOption: a value is not one of these.

    >>> Consensus(quorum=0)
    Traceback (most recent call last):
    annobridge.exceptions.InvalidOption: quorum=0 is not a share of the annotators; give a number above 0 and up to 1.
    """

    quorum: float = 0.5
    iou: float = 0.5
    geometry: str = MEDIAN
    classes: str = VOTE
    weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, what in (("quorum", "a share of the annotators"), ("iou", "an intersection over union")):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
                raise InvalidOption(f"{name}={value!r} is not {what}; give a number above 0 and up to 1.")
        for name, known in (("geometry", GEOMETRIES), ("classes", CLASSES)):
            if getattr(self, name) not in known:
                listed = ", ".join(map(repr, known))
                raise InvalidOption(f"{name}={getattr(self, name)!r} is not known; give one of {listed}.")
        if not isinstance(self.weights, Mapping):
            raise InvalidOption(f"weights={self.weights!r} is no dictionary of annotator to weight; give one.")
        for name, weight in self.weights.items():
            if not isinstance(name, str):
                raise InvalidOption(f"The annotator {name!r} of weights= is no name; give a text.")
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < np.inf:
                raise InvalidOption(f"The weight {weight!r} of {name!r} is not a number above 0; correct it.")
        if self.weights and WEIGHTED not in (self.geometry, self.classes):
            raise InvalidOption(
                'The weights count for nothing, as neither the classes nor the geometry are "weighted"; make one of them so.'
            )
        object.__setattr__(self, "weights", dict(self.weights))


def agree(
    given: Sequence[Given], base: pa.Table, single: Sequence[str], options: Consensus, samples: pa.Table,
    copied: Collection[str] = (),
) -> Agreed:  # fmt: skip
    """The consensus of several annotators.

    The order of ``given`` changes nothing. Where all have the same label, it is in the result bit by bit.

    Args:
        given: the answers, of different annotators.
        base: ``REMOTE``, the labels that the result is compared with. A label of the result is one of them where it has its id in
            an answer, or else where it is alike.
        single: the fields that hold one label per sample.
        options: how.
        samples: sample_id, width and height of the samples, which turned boxes need.
        copied: fields whose labels go to another one, so that those of the baseline that miss the quorum are there to be
            accepted.
    """
    given = sorted(given, key=lambda one: one.annotator)
    weights = np.array([options.weights.get(one.annotator, 1.0) for one in given])
    answered = Answered.of(given, weights if options.classes == WEIGHTED else np.ones(len(given)))
    labels, annotators = all_labels(given)
    objects = objects_of(labels, annotators)
    several = ~as_mask(pc.is_in(labels["field"], value_set=pa.array(single, pa.string())))
    sizes = sizes_of(samples, labels)
    alike = similar_pairs(labels, annotators, objects, options.iou, several, sizes)
    sent = sent_rows(labels, base)
    pairs, is_known = united(alike, known_pairs(labels, annotators, objects, sent))
    weights_of = answered.weights[annotators]
    codes = Classes(*class_codes(labels, base))
    classes = codes.of_label[objects.first]
    same_class = classes[pairs.left] == classes[pairs.right]
    scores = pairs.similarity + SAME_CLASS * same_class + SAME_ID * is_known
    cluster = clusters(annotators[objects.first], pairs, scores)
    own = similar_pairs(labels, annotators, objects, TWICE, several, sizes, own=True)
    groups = groups_of(labels, objects, cluster, pairs, weights_of)
    quorum = Quorum.of(groups, as_array(labels["sample_id"]), answered, options.quorum)
    drawn = groups.members.only(groups.is_alike)
    of_shapes = weights[annotators][drawn.rows] if options.geometry == WEIGHTED else np.ones(len(drawn.rows))
    merged = merged_shapes(labels, drawn._replace(weights=of_shapes), options.geometry)

    by_id = known_by_id(sent, groups.members, base)
    votes = class_votes(cluster, objects, weights_of, codes, groups, by_id)
    named = with_classes(merged, codes, votes.value[groups.clusters])
    identity = known_labels(by_id, quorum.has, named, groups.first(labels), base, samples)
    votes = class_votes(cluster, objects, weights_of, codes, groups, identity.rows)
    return Outcome(
        labels, groups, merged, base, identity, codes, votes, answered, quorum, copied, doubles(cluster, own)
    ).agreed()
