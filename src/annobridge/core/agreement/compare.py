"""How far several annotators agree, as counts of some samples; those of all parts of a dataset are added up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import attributes
from ..arrays import Bools, Ints, as_array, as_mask, index_of
from ..best_pairs import best_pairs
from ..similarity import Floats, sizes_of
from .classes import class_codes
from .clusters import clusters
from .consensus import SAME_CLASS
from .given import Answered, Given, all_labels
from .objects import Objects, objects_of
from .similar import Pairs, similar_pairs

_PAIR = [pa.field("left", pa.string()), pa.field("right", pa.string())]
# Objects of two annotators on the images that both saw. Those that are one are counted with both classes, the others with one. Of a
# pair without any, there is a row without classes, whose count is 0.
MATCHES = pa.schema(
    [
        *_PAIR, pa.field("left_class", pa.string()), pa.field("right_class", pa.string()), pa.field("count", pa.int64()),
        pa.field("iou", pa.float64()), pa.field("iou_squared", pa.float64()),  # sums
    ]
)  # fmt: skip
# Attributes of objects that are one, with one class; null where an annotator gave none.
VALUES = pa.schema(
    [
        *_PAIR, pa.field("attribute", pa.string()), pa.field("left_value", pa.string()), pa.field("right_value", pa.string()),
        pa.field("count", pa.int64()),
    ]
)  # fmt: skip
# What those who saw an image say about an object, or one of its attributes, in the order of their names, joined by BETWEEN: an
# empty text for whoever says nothing. In a class, "%" is "%25", and BETWEEN is "%1f".
UNITS = pa.schema([pa.field("component", pa.string()), pa.field("answers", pa.string()), pa.field("count", pa.int64())])
BETWEEN = "\x1f"
# 0: all agree about the image; 1: they have nothing in common. Null where one annotator saw it.
IMAGES = pa.schema(
    [
        pa.field("sample_id", pa.string()), pa.field("annotators", pa.int64()), pa.field("labels", pa.int64()),
        pa.field("disagreement", pa.float64()),
    ]
)  # fmt: skip
CLASS = "class"


@dataclass(frozen=True)
class Compared:
    """The counts: ``MATCHES``, ``VALUES``, ``UNITS`` and ``IMAGES``."""

    matches: pa.Table
    values: pa.Table
    units: pa.Table
    images: pa.Table

    @classmethod
    def of(cls, parts: Sequence[Compared]) -> Compared:
        """Those of several parts, added up."""
        added = [
            _added(pa.concat_tables([schema.empty_table(), *(getattr(part, name) for part in parts)]))
            for name, schema in (("matches", MATCHES), ("values", VALUES), ("units", UNITS))
        ]
        images = pa.concat_tables([IMAGES.empty_table(), *(part.images for part in parts)]).combine_chunks()
        return cls(added[0], added[1], added[2], images)


def compare(
    given: Sequence[Given], iou: float, single: Sequence[str], samples: pa.Table, reference: str | None = None
) -> Compared:
    """Compare the answers of several annotators, each with each other.

    Args:
        given: the answers, of different annotators.
        iou: how alike two shapes have to be to be one object; see ``similar_pairs``.
        single: the fields that hold one label per sample.
        samples: sample_id, width and height, which turned boxes need.
        reference: the annotator with whom the others are compared, on the right; by default, all pairs are.
    """
    given = sorted(given, key=lambda one: one.annotator)
    answered = Answered.of(given, np.ones(len(given)))
    labels, annotators = all_labels(given)
    objects = objects_of(labels, annotators)
    several = ~as_mask(pc.is_in(labels["field"], value_set=pa.array(single, pa.string())))
    pairs = similar_pairs(labels, annotators, objects, iou, several, sizes_of(samples, labels))
    comparison = _Comparison(answered, labels, annotators[objects.first], objects, pairs)
    return comparison.result(reference)


class _Comparison:
    def __init__(
        self,
        answered: Answered,
        labels: pa.Table,
        annotators: Ints,
        objects: Objects,
        pairs: Pairs,
    ) -> None:
        self._names, self._samples = answered.names, answered.samples
        self._labels, self._objects, self._annotators, self._pairs = labels, objects, annotators, pairs
        codes, self._texts = class_codes(labels)
        self._classes = codes[objects.first]
        same = self._classes[pairs.left] == self._classes[pairs.right]
        self._scores = pairs.similarity + SAME_CLASS * same
        self._sample = index_of(labels["sample_id"], answered.samples).to_numpy(zero_copy_only=False)[objects.first]
        self._saw = answered.saw
        self._disagreement = np.zeros(len(answered.samples))
        self._compared = np.zeros(len(answered.samples), np.int64)

    def result(self, reference: str | None) -> Compared:
        """The counts."""
        numbers = range(len(self._names))
        chosen = [
            (a, b) if reference is None or self._names[b] == reference else (b, a)
            for a, b in combinations(numbers, 2)
            if reference in (None, self._names[a], self._names[b])
        ]
        found = [self._pair(left, right) for left, right in chosen]
        with np.errstate(invalid="ignore"):
            disagreement = self._disagreement / self._compared
        images = pa.table(
            [
                self._samples, self._saw.sum(axis=0), np.bincount(self._sample, minlength=len(self._samples)),
                pa.array(disagreement, mask=self._compared == 0),
            ],
            schema=IMAGES,
        )  # fmt: skip
        matches, values = ([part[n] for part in found] for n in (0, 1))
        units = [UNITS.empty_table(), *self._units()]
        return Compared(
            _added(pa.concat_tables([MATCHES.empty_table(), *matches])), _added(pa.concat_tables([VALUES.empty_table(), *values])),
            _added(pa.concat_tables(units)), images,
        )  # fmt: skip

    def _pair(self, left: int, right: int) -> tuple[pa.Table, pa.Table]:
        first, second = min(left, right), max(left, right)
        both = self._saw[left] & self._saw[right]
        of_pair = np.flatnonzero(
            (self._annotators[self._pairs.left] == first) & (self._annotators[self._pairs.right] == second)
            | (self._annotators[self._pairs.left] == second) & (self._annotators[self._pairs.right] == first)
        )
        ends = np.stack([self._pairs.left[of_pair], self._pairs.right[of_pair]])
        swapped = self._annotators[ends[0]] != left
        ends[:, swapped] = ends[::-1, swapped]
        of_pair, ends = of_pair[both[self._sample[ends[0]]]], ends[:, both[self._sample[ends[0]]]]
        chosen, _ = best_pairs(ends[0], ends[1], lambda some: self._scores[of_pair[some]])
        i, j = ends[0][chosen], ends[1][chosen]
        alone = [self._alone(number, matched, both) for number, matched in ((left, i), (right, j))]
        self._note_images(i, j, alone, both)
        similarity = self._pairs.similarity[of_pair[chosen]]
        names = self._names[left], self._names[right]
        matches = self._matches(names, i, j, similarity, alone)
        if both.any() and not matches.num_rows:
            matches = pa.Table.from_pylist(
                [{"left": names[0], "right": names[1], "count": 0, "iou": 0.0, "iou_squared": 0.0}], MATCHES
            )
        return matches, self._values(names, i, j)

    def _alone(self, annotator: int, matched: Ints, both: Bools) -> Ints:
        """The objects of an annotator that nobody else has, on images that both saw."""
        where = (self._annotators == annotator) & both[self._sample]
        where[matched] = False
        return np.flatnonzero(where)

    def _note_images(self, i: Ints, j: Ints, alone: list[Ints], both: Bools) -> None:
        size = len(self._samples)
        same = np.bincount(self._sample[i[self._classes[i] == self._classes[j]]], minlength=size)
        total = 2 * np.bincount(self._sample[i], minlength=size)
        for objects in alone:
            total = total + np.bincount(self._sample[objects], minlength=size)
        self._disagreement[both] += 1 - np.where(total == 0, 1.0, 2 * same / np.maximum(total, 1))[both]
        self._compared += both

    def _matches(self, names: tuple[str, str], i: Ints, j: Ints, similarity: Floats, alone: list[Ints]) -> pa.Table:
        nothing = [np.full(len(objects), -1) for objects in alone]
        left = np.concatenate([self._classes[i], self._classes[alone[0]], nothing[1]])
        right = np.concatenate([self._classes[j], nothing[0], self._classes[alone[1]]])
        iou = np.concatenate([similarity, *(np.zeros(len(objects)) for objects in alone)])
        columns = [
            *(pa.repeat(name, len(left)) for name in names), *(self._text(codes) for codes in (left, right)),
            np.ones(len(left), np.int64), iou, iou**2,
        ]  # fmt: skip
        return _added(pa.table(columns, schema=MATCHES))

    def _text(self, classes: Ints) -> pa.Array:
        return self._texts.take(pa.array(np.maximum(classes, 0), mask=classes < 0))

    def _values(self, names: tuple[str, str], i: Ints, j: Ints) -> pa.Table:
        same = self._classes[i] == self._classes[j]
        sides = [self._attributes(objects[same]) for objects in (i, j)]
        found = [VALUES.empty_table()]
        for name in sorted(set.union(*(attributes.names(side) for side in sides))):
            left, right = (attributes.values(side, name) for side in sides)
            given = pc.or_(left.is_valid(), right.is_valid())
            columns = [
                *(pa.repeat(text, len(left)) for text in (*names, name)),
                left,
                right,
                np.ones(len(left), np.int64),
            ]
            found.append(pa.table(columns, schema=VALUES).filter(given))
        return _added(pa.concat_tables(found))

    def _attributes(self, objects: Ints) -> pa.Array:
        return as_array(self._labels["attributes"]).take(pa.array(self._objects.first[objects]))

    def _units(self) -> Iterator[pa.Table]:
        cluster = clusters(self._annotators, self._pairs, self._scores)
        count, people = int(cluster.max(initial=-1)) + 1, len(self._names)
        if not count:
            return
        sample = np.zeros(count, np.int64)
        sample[cluster] = self._sample
        saw = self._saw[:, sample].T
        place = cluster * people + self._annotators
        yield _units(CLASS, place, self._text(self._classes), saw)
        of_objects = self._attributes(np.arange(len(cluster)))
        for name in sorted(attributes.names(of_objects)):
            values = attributes.values(of_objects, name)
            given = np.flatnonzero(as_mask(values.is_valid()))
            has = np.zeros(count, bool)
            has[cluster[given]] = True
            mine = np.zeros(saw.size, bool)
            mine[place] = True  # whoever lacks the object says nothing about its attributes
            seen = (mine.reshape(saw.shape) & saw)[has]
            numbers = np.cumsum(has) - 1
            at = numbers[cluster[given]] * people + self._annotators[given]
            yield _units(name, at, values.take(pa.array(given)), seen)


def _units(component: str, place: Ints, texts: pa.Array, saw: Bools) -> pa.Table:
    """``UNITS``; ``place`` is where in a table of units and annotators each of the texts is."""
    number = np.full(saw.size, -1)
    number[place] = np.arange(len(place))
    escaped = pc.replace_substring(pc.replace_substring(texts, "%", "%25"), BETWEEN, "%1f")
    found = escaped.take(pa.array(np.maximum(number, 0), mask=number < 0))
    answers = pc.coalesce(found, pc.if_else(pa.array(saw.ravel()), "", None))
    columns = [answers.take(pa.array(np.arange(n, saw.size, saw.shape[1]))) for n in range(saw.shape[1])]
    joined = pc.binary_join_element_wise(*columns, BETWEEN, null_handling="skip")
    return pa.table([pa.repeat(component, len(saw)), joined, np.ones(len(saw), np.int64)], schema=UNITS)


def _added(rows: pa.Table) -> pa.Table:
    """Rows with different keys, whose numbers are added up."""
    numbers = [name for name in rows.column_names if name in ("count", "iou", "iou_squared")]
    keys = [name for name in rows.column_names if name not in numbers]
    sums = rows.group_by(keys, use_threads=False).aggregate([(name, "sum") for name in numbers])
    sums = sums.rename_columns([name.removesuffix("_sum") for name in sums.column_names]).select(rows.column_names)
    return sums.cast(rows.schema)
