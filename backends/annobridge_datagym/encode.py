"""Encoding: rows of labels -> the items of DataGym's JSON import."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annobridge.core import attr_text, attributes
from annobridge.core.arrays import Ints, as_array

from . import shapes
from .classifications import CHECKLIST, Answer, Classification
from .shapes import Parts
from .vocabulary import GEOMETRY_TYPES, GLOBAL_KINDS, Entry, Vocabulary

Json = dict[str, Any]


@dataclass(slots=True)
class EncodedLabel:
    """A label as DataGym has it.

    Attributes:
        row: its row in the table of labels.
        image: the index of its image in the task.
        label_id: the dataset's id of it.
        entry: the entry of the label configuration that it is of.
        parts: its geometries, in pixels; each is a shape of its own at DataGym.
        answers: the answers to the entry's classifications, by their keys.
        point_numbers: of keypoints, which of the label's points each part is.
        parent_id: of a nested label, the id of the label that it is nested in.
    """

    row: int
    image: int
    label_id: str
    entry: Entry
    parts: Parts
    answers: dict[str, Answer]
    point_numbers: list[int] | None = None
    parent_id: str | None = None


@dataclass(frozen=True, slots=True)
class TaskImages:
    """The images of a task, in order: sample ids, DataGym's media ids, and width and height in pixels, shape (n, 2)."""

    samples: list[str]
    media_ids: list[str]
    sizes: Ints


def encode_labels(labels: pa.Table, vocabulary: Vocabulary, images: TaskImages, parent_attr: str) -> list[EncodedLabel]:
    """Each label of a task, in the order of the rows.

    A baseline may have labels that the vocabulary lacks, which people made at DataGym; those get an entry of their own.
    """
    image_of = pc.index_in(as_array(labels["sample_id"]), value_set=pa.array(images.samples, pa.string()))
    image_index = image_of.fill_null(-1).to_numpy()
    parts = _parts(labels, images.sizes[image_index] if len(images.samples) else np.zeros((0, 2), np.int64))
    texts = {
        name: attributes.values(labels["attributes"], name).to_pylist()
        for name in attributes.names(labels["attributes"])
    }
    parents = _parents(labels, vocabulary, texts.get(parent_attr))
    answer_of: dict[tuple[str, str | None], Answer] = {}
    columns = (as_array(labels[c]).to_pylist() for c in ("label_id", "field", "label", "value", "closed", "kind"))
    found = []
    for row, (label_id, field, label, value, closed, kind) in enumerate(zip(*columns, strict=True)):
        parent_id, parent_key = parents.get(row, (None, None))
        entry = _entry(vocabulary, field, label, bool(closed), kind, parent_key)
        answers: dict[str, Answer] = {}
        for classification in entry.classifications:
            if classification.attribute is None:
                text = _global_text(classification, label, value)
            else:
                column = texts.get(classification.attribute.name)
                text = column[row] if column is not None else None
            cached = (entry.key + classification.key, text)
            if cached not in answer_of:
                answer_of[cached] = _answer(classification, text)
            answers[classification.key] = answer_of[cached]
        encoded = EncodedLabel(row, int(image_index[row]), label_id, entry, parts[row], answers, parent_id=parent_id)
        if entry.type == "point":
            encoded.point_numbers = shapes.known_points(encoded.parts)
            encoded.parts = [encoded.parts[n] for n in encoded.point_numbers]
        found.append(encoded)
    return found


def _entry(vocabulary: Vocabulary, field: str, label: str | None, closed: bool, kind: str, parent: str | None) -> Entry:
    try:
        return vocabulary.entry_of(field, label, closed, parent)
    except (KeyError, StopIteration):
        if kind in GLOBAL_KINDS:
            return Entry(field, field, CHECKLIST, field, None)
        return Entry(label or field, label or field, GEOMETRY_TYPES.get(kind, "image_segmentation"), field, label or "")


def _answer(classification: Classification, text: str | None) -> Answer:
    try:
        return classification.encode(text)
    except KeyError:  # a value that somebody added to the options at DataGym
        return (attr_text.to_plain(text or "null"),)


def _global_text(classification: Classification, label: str | None, value: str | None) -> str | None:
    """The JSON text that a global classification has as its own answer: the value of a scalar, or the class."""
    if label is None:
        return value
    return json.dumps([label]) if classification.type == CHECKLIST else json.dumps(label)


def _parts(labels: pa.Table, sizes: Ints) -> list[Parts]:
    """The parts of each label; ``sizes`` are those of each label's image, shape (n, 2)."""
    kinds = as_array(labels["kind"]).to_pylist()
    parts: list[Parts] = [[] for _ in kinds]
    for kind in set(kinds):
        indices = np.flatnonzero([k == kind for k in kinds])
        rows = labels.take(pa.array(indices)).combine_chunks()
        for row, of in zip(indices.tolist(), shapes.to_pixels(kind, rows, sizes[indices]), strict=True):
            parts[row] = of
    return parts


def _parents(labels: pa.Table, vocabulary: Vocabulary, texts: list[str | None] | None) -> dict[int, tuple[str, str]]:
    """By row of each nested label: the id of the label that it is nested in, and the key of that label's entry.

    ``texts`` are the JSON texts of the attribute that has the id.
    """
    nested = {e.field for e in vocabulary.entries if e.parent is not None}
    if not nested:
        return {}
    fields, classes = as_array(labels["field"]).to_pylist(), as_array(labels["label"]).to_pylist()
    closed = as_array(labels["closed"]).to_pylist()
    row_of = {label_id: row for row, label_id in enumerate(as_array(labels["label_id"]).to_pylist())}
    parents = {}
    for row, field in enumerate(fields):
        parent_id = json.loads((texts[row] if texts else None) or "null") if field in nested else None
        if isinstance(parent_id, str) and parent_id in row_of:
            outer = row_of[parent_id]
            parents[row] = (parent_id, vocabulary.entry_of(fields[outer], classes[outer], bool(closed[outer])).key)
    return parents


# --- the items of an import ---------------------------------------------------------------------------------------------


def import_items(labels: Sequence[EncodedLabel], images: TaskImages, *, keep: bool) -> Iterator[list[Json]]:
    """The items of each image that has labels, in the order of the images.

    An image has one item, or more where several attributes are nested in one global classification, because an item can set only
    one of them. ``keep`` says whether the labels that the image has at DataGym stay.
    """
    by_image: dict[int, list[EncodedLabel]] = defaultdict(list)
    for label in labels:
        by_image[label.image].append(label)
    for image in sorted(by_image):
        yield _image_items(by_image[image], images.media_ids[image], keep)


def _image_items(labels: Sequence[EncodedLabel], media_id: str, keep: bool) -> list[Json]:
    nested: dict[str, list[EncodedLabel]] = defaultdict(list)
    for label in labels:
        if label.parent_id is not None:
            nested[label.parent_id].append(label)
    geometries: dict[str, list[Json]] = {}
    for label in labels:
        if label.entry.label is not None and label.parent_id is None:
            geometries.setdefault(label.entry.key, []).extend(_geometries(label, nested))
    first, *others = _global_classifications([label for label in labels if label.entry.label is None])
    return [
        {"internal_media_ID": media_id, "keepData": keep, "global_classifications": first, "labels": geometries},
        *({"internal_media_ID": media_id, "keepData": True, "global_classifications": other} for other in others),
    ]


def _global_classifications(labels: Sequence[EncodedLabel]) -> list[Json]:
    """The global classifications of an image, one dictionary for each item that is needed to set all of their attributes."""
    answers: dict[str, dict[str, Answer]] = {}
    entries: dict[str, Entry] = {}
    for label in labels:
        entries[label.entry.key] = label.entry
        of_entry = answers.setdefault(label.entry.key, {})
        for key, answer in label.answers.items():  # the labels of a checklist are united
            of_entry[key] = tuple(sorted({*of_entry.get(key, ()), *answer}))
    items: list[Json] = [{}]
    for key, entry in entries.items():
        chains = list(_chains(entry, entry.classifications[0]))
        needed = [c for c in chains if any(answers[key][one.key] for one in c[1:])] or [chains[0][:1]]
        items += [{} for _ in range(len(needed) - len(items))]
        for item, chain in zip(items, needed, strict=False):
            item[key] = _classification_array(chain, answers[key])
    return items


def _chains(entry: Entry, classification: Classification) -> Iterator[list[Classification]]:
    """The chains of nested classifications from one of them down to each that has none inside."""
    children = entry.children_of(classification.key)
    for child in children:
        for chain in _chains(entry, child):
            yield [classification, *chain]
    if not children:
        yield [classification]


def _classification_array(chain: Sequence[Classification], answers: Mapping[str, Answer]) -> list[Any]:
    """A classification as the import wants it: an array of its answer, with the nested classification in second place."""
    classification, *rest = chain
    answer = answers[classification.key]
    nested = [{rest[0].key: _classification_array(rest, answers)}] if any(answers[c.key] for c in rest) else []
    return [*(answer[:1] or (None,)), *nested, *answer[1:]]


def _geometries(label: EncodedLabel, nested: Mapping[str, list[EncodedLabel]]) -> Iterator[Json]:
    """A geometry for each part of a label; the labels nested in it go with the first. ``nested`` are those by parent id."""
    entry = label.entry
    attributes_ = {c.key: _classification_array(next(_chains(entry, c)), label.answers) for c in entry.children_of()}
    for number, part in enumerate(label.parts):
        own = {entry.id_key: [label.label_id]} if entry.id_key else {}
        if entry.point_key and label.point_numbers is not None:
            own[entry.point_key] = [str(label.point_numbers[number])]
        geometry: Json = {entry.type: _points(entry.type, part), "classifications": own | attributes_}
        if number == 0 and label.label_id in nested:
            inner: dict[str, list[Json]] = {}
            for child in nested[label.label_id]:
                inner.setdefault(child.entry.key, []).extend(_geometries(child, {}))
            geometry["nested_geometries"] = inner
        yield geometry


def _points(type_: str, part: Sequence[float]) -> list[Json]:
    if type_ == "rectangle":
        return [dict(zip(("x", "y", "w", "h"), part, strict=True))]
    return [{"x": x, "y": y} for x, y in zip(part[::2], part[1::2], strict=True)]


def batches(items_by_image: Iterable[list[Json]], size: int) -> Iterator[list[Json]]:
    """The items of up to ``size`` images at a time; those of one image stay together."""
    batch: list[Json] = []
    images = 0
    for items in items_by_image:
        batch += items
        images += 1
        if images == size:
            yield batch
            batch, images = [], 0
    if batch:
        yield batch
