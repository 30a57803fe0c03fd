"""Consensus: one answer from those of several annotators, and what they did not agree about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...exceptions import InvalidOption
from ..arrays import Bools, Ints, as_array, as_mask, choose, index_of, list_array, set_columns, take_rows
from ..merge.disputed import DISPUTED
from ..review.values import EXISTENCE
from ..similarity import Floats, sizes_of
from .attribute_votes import voted_attributes
from .clusters import clusters, doubles
from .given import Answered, Given, all_labels
from .known import Known, known_labels, track_numbers
from .objects import Objects, objects_of
from .shapes import GEOMETRIES, MEDIAN, WEIGHTED, Members, merged_shapes
from .similar import Pairs, known_pairs, similar_pairs, united
from .votes import Votes, vote

VOTE = "vote"
CLASSES = (VOTE, WEIGHTED)
TWICE = 0.75  # how much two shapes of one annotator are alike that are one thing, drawn twice
SAME_CLASS, SAME_ID = 0.25, 2.0  # what an equal class, or an equal id, adds to the similarity of a pair
_ROUNDING = 1e-9  # shares that miss the quorum by less have it


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
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < np.inf:
                raise InvalidOption(f"The weight {weight!r} of {name!r} is not a number above 0; correct it.")
        if self.weights and WEIGHTED not in (self.geometry, self.classes):
            raise InvalidOption(
                'The weights count for nothing, as neither the classes nor the geometry are "weighted"; make one of them so.'
            )

    def __str__(self) -> str:
        """The options that are not as by default, as on the command line.

        >>> str(Consensus(0.6, weights={"alice": 2}))
        'quorum=0.6 weights.alice=2'
        """
        plain = Consensus()
        names = ("quorum", "iou", "geometry", "classes")
        chosen = [f"{name}={getattr(self, name)}" for name in names if getattr(self, name) != getattr(plain, name)]
        return " ".join([*chosen, *(f"weights.{name}={weight}" for name, weight in self.weights.items())]) or "default"


@dataclass
class Agreed:
    """The consensus on some samples.

    Attributes:
        labels: ``REMOTE``. ``confidence`` is the share of those who saw the image that have the object, with this class, and
            ``annotator`` has the names of all who have it.
        samples: the samples that somebody answered.
        disputed: ``DISPUTED``.
        counts: how many there were of each kind, for ``sentences``.
    """

    labels: pa.Table
    samples: pa.Array
    disputed: pa.Table
    counts: Counter[str]


def sentences(counts: Counter[str]) -> list[str]:
    """What a consensus did, a sentence each."""
    texts = {
        "alone": "{:,} samples were answered by one person only; their labels were taken as they are.",
        "frames": "{:,} frames of tracks are in fewer answers than the quorum, and were left out of their tracks.",
    }
    return [text.format(counts[name]) for name, text in texts.items() if counts[name]]


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
    known = known_pairs(labels, annotators, objects, base)
    pairs, is_known = united(alike, known)
    weights_of = answered.weights[annotators]
    classes = class_codes(labels)[0][objects.first]
    same_class = classes[pairs.left] == classes[pairs.right]
    scores = pairs.similarity + SAME_CLASS * same_class + SAME_ID * is_known
    cluster = clusters(annotators[objects.first], pairs, scores)
    own = similar_pairs(labels, annotators, objects, TWICE, several, sizes, own=True)
    groups = _groups(labels, objects, cluster, pairs, weights_of)
    by_weight = groups.members._replace(weights=weights[annotators][groups.members.rows])
    merged = merged_shapes(labels, by_weight if options.geometry == WEIGHTED else groups.members, options.geometry)
    identity = known_labels(labels, groups.members, merged, base, samples)
    votes = _votes(labels, weights_of, objects, cluster, groups, base, identity)
    return _Outcome(
        labels, groups, merged, base, identity, votes, answered, options, copied, doubles(cluster, own)
    ).agreed()


class _Groups(NamedTuple):
    """The labels that become one: those of a cluster, or of a frame of a cluster of tracks."""

    members: Members
    clusters: Ints  # of each group


def _groups(labels: pa.Table, objects: Objects, cluster: Ints, pairs: Pairs, weights: Floats) -> _Groups:
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
    return _Groups(Members(order, number[order], weights[order], medoids), keys[0].astype(np.int64))


class _ClassVotes(NamedTuple):
    """The class of each cluster.

    Attributes:
        texts: the classes, or values, that there are.
        of_label: the number of the class of each label.
        found: what each cluster says.
    """

    texts: pa.Array
    of_label: Ints
    found: Votes


def _votes(
    labels: pa.Table, weights: Floats, objects: Objects, cluster: Ints, groups: _Groups, base: pa.Table, known: Known
) -> _ClassVotes:
    of_label, of_base, texts = class_codes(labels, base)
    count = int(cluster.max(initial=-1)) + 1
    sent = np.full(count, -1)
    there = np.flatnonzero(known.rows >= 0)[::-1]  # the first label of a cluster is written last
    sent[groups.clusters[there]] = of_base[known.rows[there]]
    found = vote(cluster, of_label[objects.first], weights[objects.first], count, sent)
    return _ClassVotes(texts, of_label, found)


class _Outcome:
    """What becomes of each label of a consensus. One that an earlier load has brought stays until nobody has it.
    One that all who have it have drawn twice is treated as one that fewer have.

    those who have it   in the baseline   its class     what becomes of it
    ------------------  ----------------  ------------  ----------------------------------------------
    the quorum          any               one wins      it is in the result
    the quorum          no                a tie         it is in the result, its existence is disputed
    the quorum          yes               a tie         it is in the result, its class is disputed
    fewer               yes               any           it is not in the result, which is disputed; with ``copied``, as a new one
    fewer               no                any           it is in the result, which is disputed;
                                                        of a track that has the quorum, it is left out
    """

    def __init__(
        self, labels: pa.Table, groups: _Groups, merged: pa.Table, base: pa.Table, known: Known, votes: _ClassVotes,
        answered: Answered, options: Consensus, copied: Collection[str], is_double: Bools,
    ) -> None:  # fmt: skip
        self._labels, self._groups, self._merged, self._base = labels, groups, merged, base
        self._known, self._votes, self._answered = known, votes, answered
        members, of_group = groups.members, groups.clusters
        sample = index_of(merged["sample_id"], answered.samples).to_numpy()
        self._seen, self._people = answered.of_sample[sample], answered.people[sample]
        self._have = np.bincount(members.groups, minlength=len(of_group))
        needed = options.quorum * self._seen - _ROUNDING
        few = (np.bincount(members.groups, members.weights, len(of_group)) < needed) & ~known.is_accepted
        self._double = is_double[of_group] & ~few & ~known.is_accepted
        is_known = known.rows >= 0
        of_accepted = votes.found.total[of_group] >= needed
        self._left_out = few & ~is_known & of_accepted
        self._few = few & ~self._left_out
        few |= self._double
        tie = votes.found.is_tie[of_group] & ~few
        self._tie_of_new, self._tie_of_known = tie & ~is_known, tie & is_known
        is_copied = as_mask(
            pc.is_in(take_rows(base, known.rows)["field"], value_set=pa.array(list(copied), pa.string()))
        )
        self._stays = ~(few & is_known & ~is_copied) & ~self._left_out

    def agreed(self) -> Agreed:
        """The consensus."""
        counts = Counter(alone=int((self._answered.people == 1).sum()), frames=int(self._left_out.sum()))
        rows = take_rows(self._rows(), np.flatnonzero(self._stays))
        return Agreed(rows, self._answered.samples, self._disputed(), counts)

    def _rows(self) -> pa.Table:
        """All labels, with the class, attributes and identity that they get."""
        merged, found, of_group = self._merged, self._votes.found, self._groups.clusters
        kept = take_rows(self._base, self._known.rows)
        texts = self._votes.texts.take(pa.array(found.value[of_group]))
        has_class = merged["label"].is_valid()
        is_value = pc.and_(pc.invert(has_class), merged["value"].is_valid())
        members = self._groups.members
        voters = self._votes.of_label[members.rows] == found.value[of_group][members.groups]
        sent = choose(self._known.rows >= 0, kept["attributes"], merged["attributes"])
        names = list_array(self._have, as_array(self._labels["annotator"]).take(pa.array(members.rows)))
        return set_columns(
            merged,
            label_id=kept["label_id"],
            field=pc.coalesce(as_array(kept["field"]), as_array(merged["field"])),
            remote_id=self._known.remote_ids,
            label=pc.if_else(has_class, texts, None),
            value=pc.if_else(is_value, texts, merged["value"]),
            index=track_numbers(merged, of_group, self._base, self._known.rows),
            attributes=voted_attributes(self._labels, members, voters, sent),
            confidence=pa.array(np.minimum(1.0, found.weight[of_group] / self._seen)),
            annotator=pc.binary_join(names, ", "),
        )

    def _disputed(self) -> pa.Table:
        counts = [f"{have} of {people} annotators have it" for have, people in self._counts(self._few)]
        twice = [
            f"its {have} annotators, of {n}, have another one in its place" for have, n in self._counts(self._double)
        ]
        found = [self._of(EXISTENCE, self._few, counts), self._of(EXISTENCE, self._double, twice)]
        for component, where in ((EXISTENCE, self._tie_of_new), ("label", self._tie_of_known)):
            found.append(self._of(component, where, [self._classes_given(n) for n in np.flatnonzero(where).tolist()]))
        return pa.concat_tables(found)

    def _counts(self, where: Bools) -> list[tuple[int, int]]:
        """How many have each label, and how many saw its image."""
        return list(zip(self._have[where].tolist(), self._people[where].tolist(), strict=True))

    def _classes_given(self, number: int) -> str:
        """Who gave which class, of one label. Row by row, as ties are few."""
        members = self._groups.members
        rows = members.rows[slice(*np.searchsorted(members.groups, [number, number + 1]))]
        names = self._labels["annotator"].take(pa.array(rows)).to_pylist()
        classes = self._votes.texts.take(pa.array(self._votes.of_label[rows])).to_pylist()
        return (
            f"annotators differ about the class: {', '.join(f'{c} ({n})' for c, n in zip(classes, names, strict=True))}"
        )

    def _of(self, component: str, where: Bools, reasons: list[str]) -> pa.Table:
        at = pa.array(np.flatnonzero(where))
        columns = {
            "sample_id": self._merged["sample_id"].take(at),
            "remote_id": self._known.remote_ids.take(at),
            "component": pa.repeat(component, len(at)),
            "reason": pa.array(reasons, pa.string()),
        }
        return pa.table(columns, DISPUTED)


def class_codes(*tables: pa.Table) -> tuple[Any, ...]:
    """The number of the class, or of the value, of each label of some tables, in the order of the texts; and the texts."""
    columns = [pc.coalesce(as_array(table["label"]), as_array(table["value"]), "") for table in tables]
    encoded = pa.concat_arrays(columns).dictionary_encode()
    order = pc.array_sort_indices(encoded.dictionary)
    rank = np.empty(len(order), np.int64)
    rank[order.to_numpy()] = np.arange(len(order))
    codes = rank[encoded.indices.to_numpy()]
    return (*np.split(codes, np.cumsum([len(column) for column in columns])[:-1]), encoded.dictionary.take(order))
