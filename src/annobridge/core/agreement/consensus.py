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
from ..labels import COMPONENTS
from ..merge.disputed import DISPUTED
from ..review.values import EXISTENCE
from ..similarity import Floats, sizes_of
from .attribute_votes import voted_attributes
from .clusters import clusters, doubles
from .given import Answered, Given, all_labels
from .known import Known, known_by_id, known_labels, sent_rows, track_numbers
from .objects import Objects, objects_of
from .shapes import GEOMETRIES, MEDIAN, WEIGHTED, Members, merged_shapes
from .similar import OF_IMAGES, Pairs, known_pairs, similar_pairs, united
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
            if not isinstance(name, str):
                raise InvalidOption(f"The annotator {name!r} of weights= is no name; give a text.")
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < np.inf:
                raise InvalidOption(f"The weight {weight!r} of {name!r} is not a number above 0; correct it.")
        if self.weights and WEIGHTED not in (self.geometry, self.classes):
            raise InvalidOption(
                'The weights count for nothing, as neither the classes nor the geometry are "weighted"; make one of them so.'
            )
        object.__setattr__(self, "weights", dict(self.weights))


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
        "places": "{:,} labels are in different places in different answers; that of most was taken, if there is one.",
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
    sent = sent_rows(labels, base)
    pairs, is_known = united(alike, known_pairs(labels, annotators, objects, sent))
    weights_of = answered.weights[annotators]
    codes = _Classes(*class_codes(labels, base))
    classes = codes.of_label[objects.first]
    same_class = classes[pairs.left] == classes[pairs.right]
    scores = pairs.similarity + SAME_CLASS * same_class + SAME_ID * is_known
    cluster = clusters(annotators[objects.first], pairs, scores)
    own = similar_pairs(labels, annotators, objects, TWICE, several, sizes, own=True)
    groups = _groups(labels, objects, cluster, pairs, weights_of)
    quorum = _Quorum.of(groups, as_array(labels["sample_id"]), answered, options.quorum)
    drawn = groups.members.only(groups.is_alike)
    of_shapes = weights[annotators][drawn.rows] if options.geometry == WEIGHTED else np.ones(len(drawn.rows))
    merged = merged_shapes(labels, drawn._replace(weights=of_shapes), options.geometry)

    by_id = known_by_id(sent, groups.members, base)
    votes = _votes(cluster, objects, weights_of, codes, groups, by_id)
    named = _with_classes(merged, codes, votes.value[groups.clusters])
    identity = known_labels(by_id, quorum.has, named, groups.first(labels), base, samples)
    votes = _votes(cluster, objects, weights_of, codes, groups, identity.rows)
    return _Outcome(
        labels, groups, merged, base, identity, codes, votes, answered, quorum, copied, doubles(cluster, own)
    ).agreed()


class _Groups(NamedTuple):
    """The labels that become one: those of a cluster, or of a frame of a cluster of tracks."""

    members: Members
    clusters: Ints  # of each group
    is_alike: Bools  # whether the shape of each member is like that of the medoid

    def first(self, labels: pa.Table) -> pa.Table:
        """The first member of each group."""
        return take_rows(labels, self.members.rows[np.flatnonzero(np.diff(self.members.groups, prepend=-1))])


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
    members = Members(order, number[order], weights[order], medoids)
    sides = np.sort(objects.of_label[np.stack([order, medoids[members.groups]])], axis=0)
    alike = inside.take(inside.similarity > 0)  # others are one by their id only
    size = len(cluster)
    is_alike = (sides[0] == sides[1]) | np.isin(sides[0] * size + sides[1], alike.left * size + alike.right)
    return _Groups(members, keys[0].astype(np.int64), is_alike)


class _Quorum(NamedTuple):
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
    def of(cls, groups: _Groups, sample_ids: pa.Array, answered: Answered, share: float) -> _Quorum:
        """From the groups, and the samples of the labels."""
        members = groups.members
        sample = index_of(sample_ids.take(pa.array(members.medoids)), answered.samples).to_numpy()
        seen = answered.of_sample[sample]
        needed = share * seen - _ROUNDING
        weight = np.bincount(members.groups, members.weights, len(seen)).astype(np.float64)
        return cls(answered.people[sample], seen, needed, weight, weight >= needed)


class _Classes(NamedTuple):
    """The classes, or values, as numbers.

    Attributes:
        of_label: of each label.
        of_base: of each label of the baseline.
        texts: what the numbers stand for.
    """

    of_label: Ints
    of_base: Ints
    texts: pa.Array


def _votes(cluster: Ints, objects: Objects, weights: Floats, codes: _Classes, groups: _Groups, rows: Ints) -> Votes:
    """The class of each cluster. ``rows`` are those of the baseline, whose classes win where as many have another one."""
    count = int(cluster.max(initial=-1)) + 1
    sent = np.full(count, -1)
    there = np.flatnonzero(rows >= 0)[::-1]  # the first label of a cluster is written last
    sent[groups.clusters[there]] = codes.of_base[rows[there]]
    return vote(cluster, codes.of_label[objects.first], weights[objects.first], count, sent)


def _with_classes(merged: pa.Table, codes: _Classes, found: Ints) -> pa.Table:
    """The labels with the classes, or values, that were voted for."""
    texts = codes.texts.take(pa.array(found))
    has_class = merged["label"].is_valid()
    is_value = pc.and_(pc.invert(has_class), merged["value"].is_valid())
    return set_columns(
        merged, label=pc.if_else(has_class, texts, None), value=pc.if_else(is_value, texts, merged["value"])
    )


class _Outcome:
    """What becomes of each label of a consensus. One that an earlier load has brought stays until nobody has it.
    One that all who have it have drawn twice is treated as one that fewer have.

    those who have it   in the baseline   its class, or place   what becomes of it
    ------------------  ----------------  --------------------  ----------------------------------------------
    the quorum          any               one wins              it is in the result
    the quorum          no                none wins             it is in the result, its existence is disputed
    the quorum          yes               none wins             it is in the result, its class or shape is disputed; with
                                                                ``copied``, also its existence
    fewer               yes               any                   it is not in the result, which is disputed; with ``copied``, as a
                                                                new one
    fewer               no                any                   it is in the result, which is disputed;
                                                                of a track that has the quorum, it is left out
    fewer               by a load         any                   it stays as that load has brought it
    """

    def __init__(
        self, labels: pa.Table, groups: _Groups, merged: pa.Table, base: pa.Table, known: Known, codes: _Classes,
        votes: Votes, answered: Answered, quorum: _Quorum, copied: Collection[str], is_double: Bools,
    ) -> None:  # fmt: skip
        self._labels, self._groups, self._merged, self._base = labels, groups, merged, base
        self._known, self._codes, self._votes, self._answered, self._quorum = known, codes, votes, answered, quorum
        members, of_group = groups.members, groups.clusters
        self._have = np.bincount(members.groups, minlength=len(of_group))
        is_known = known.rows >= 0
        is_copied = is_known & as_mask(
            pc.is_in(take_rows(base, known.rows)["field"], value_set=pa.array(list(copied), pa.string()))
        )
        few = ~quorum.has & ~known.is_accepted
        self._as_brought = ~quorum.has & known.is_accepted
        self._double = is_double[of_group] & quorum.has & ~known.is_accepted
        self._left_out = few & ~is_known & (votes.total[of_group] >= quorum.needed)
        self._few = few & ~self._left_out
        few |= self._double
        self._stays = ~(few & is_known & ~is_copied) & ~self._left_out
        tie = votes.is_tie[of_group] & quorum.has & ~few
        self._tie_of_existence, self._tie_of_class = tie & (~is_known | is_copied), tie & is_known
        alike = np.bincount(members.groups, members.weights * groups.is_alike, len(of_group))
        has_shape = ~as_mask(pc.is_in(merged["kind"], pa.array(OF_IMAGES)))
        self._elsewhere = has_shape & quorum.has & ~few & (alike < quorum.weight - _ROUNDING)
        loses = self._elsewhere & ((alike < quorum.needed) | (2 * alike <= quorum.weight + _ROUNDING))
        self._place_of_existence, self._place = loses & (~is_known | is_copied) & ~tie, loses & is_known

    def agreed(self) -> Agreed:
        """The consensus."""
        counts = Counter(
            alone=int((self._answered.people == 1).sum()),
            places=int(self._elsewhere.sum()),
            frames=int(self._left_out.sum()),
        )
        rows = take_rows(self._rows(), np.flatnonzero(self._stays))
        return Agreed(rows, self._answered.samples, self._disputed(), counts)

    def _rows(self) -> pa.Table:
        """All labels, with the class, attributes and identity that they get."""
        value = self._votes.value[self._groups.clusters]
        merged = _with_classes(self._merged, self._codes, value)
        kept = take_rows(self._base, self._known.rows)
        members = self._groups.members
        voters = self._codes.of_label[members.rows] == value[members.groups]
        sent = choose(self._known.rows >= 0, kept["attributes"], merged["attributes"])
        voted = voted_attributes(self._labels, members, voters, sent)
        if self._as_brought.any():
            names = [*COMPONENTS["spatial"], *COMPONENTS["label"]]
            merged = set_columns(merged, **{n: choose(self._as_brought, kept[n], merged[n]) for n in names})
            voted = choose(self._as_brought, kept["attributes"], voted)
        names_of_all = list_array(self._have, as_array(self._labels["annotator"]).take(pa.array(members.rows)))
        return set_columns(
            merged,
            label_id=kept["label_id"],
            field=pc.coalesce(as_array(kept["field"]), as_array(merged["field"])),
            remote_id=self._known.remote_ids,
            index=track_numbers(merged, self._groups.clusters, self._base, self._known.rows),
            attributes=voted,
            confidence=pa.array(np.minimum(1.0, self._votes.weight[self._groups.clusters] / self._quorum.seen)),
            annotator=pc.binary_join(names_of_all, ", "),
        )

    def _disputed(self) -> pa.Table:
        counts = [f"{have} of {people} annotators have it" for have, people in self._counts(self._few)]
        twice = [
            f"its {have} annotators, of {n}, have another one in its place" for have, n in self._counts(self._double)
        ]
        found = [self._of(EXISTENCE, self._few, counts), self._of(EXISTENCE, self._double, twice)]
        for component, where in ((EXISTENCE, self._tie_of_existence), ("label", self._tie_of_class)):
            found.append(self._of(component, where, [self._classes_given(n) for n in np.flatnonzero(where).tolist()]))
        for component, where in ((EXISTENCE, self._place_of_existence), ("spatial", self._place)):
            found.append(self._of(component, where, ["annotators have it in different places"] * int(where.sum())))
        return pa.concat_tables(found)

    def _counts(self, where: Bools) -> list[tuple[int, int]]:
        """How many have each label, and how many saw its image."""
        return list(zip(self._have[where].tolist(), self._quorum.people[where].tolist(), strict=True))

    def _classes_given(self, number: int) -> str:
        """Who gave which class, of one label. Row by row, as ties are few."""
        members = self._groups.members
        rows = members.rows[slice(*np.searchsorted(members.groups, [number, number + 1]))]
        names = self._labels["annotator"].take(pa.array(rows)).to_pylist()
        classes = self._codes.texts.take(pa.array(self._codes.of_label[rows])).to_pylist()
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
