"""Encode: labels of ours -> the items of DataGym's JSON import."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annobridge.core import attr_text
from annobridge.core import attributes as lists
from annobridge.core.arrays import Ints, as_array

from . import shapes
from .shapes import Parts
from .values import CHECKLIST, Question, Words
from .vocabulary import GLOBAL, SHAPES, Entry, Vocabulary

Json = dict[str, Any]


@dataclass(slots=True)
class Piece:
    """A label as DataGym has it: its row and its image, the class, its parts, the words of each question, and, of keypoints,
    which of the points each part is. ``holder`` is the id of the label that a nested one lies in.
    """

    row: int
    sample: int
    label_id: str
    entry: Entry
    parts: Parts
    words: dict[str, Words]
    places: list[int] | None = None
    holder: str | None = None


@dataclass(frozen=True, slots=True)
class Pictures:
    """The images of a task, in order: samples, DataGym's ids, and width and height in pixels, shape (n, 2)."""

    samples: list[str]
    media: list[str]
    sizes: Ints


def pieces(labels: pa.Table, vocabulary: Vocabulary, pictures: Pictures, holder_attr: str) -> list[Piece]:
    """Each label of a task, in the order of the rows. What the vocabulary does not have came from DataGym, as it is."""
    at = pc.index_in(as_array(labels["sample_id"]), value_set=pa.array(pictures.samples, pa.string()))
    sample = at.fill_null(-1).to_numpy()
    parts = _parts(labels, pictures.sizes[sample] if len(pictures.samples) else np.zeros((0, 2), np.int64))
    texts = {name: lists.values(labels["attributes"], name).to_pylist() for name in lists.names(labels["attributes"])}
    keys = _holders(labels, vocabulary, texts.get(holder_attr))
    cache: dict[tuple[str, str | None], Words] = {}
    columns = (as_array(labels[c]).to_pylist() for c in ("label_id", "field", "label", "value", "closed"))
    found, kinds = [], as_array(labels["kind"]).to_pylist()
    for row, (label_id, field, label, value, closed) in enumerate(zip(*columns, strict=True)):
        below = keys.get(row)
        entry = _entry(vocabulary, field, label, bool(closed), kinds[row], below and below[1])
        told: dict[str, Words] = {}
        for q in entry.questions:
            text = _text(q, label, value) if q.attribute is None else texts.get(q.attribute.name, _NONE)[row]
            if (entry.key + q.key, text) not in cache:
                cache[entry.key + q.key, text] = _words(q, text)
            told[q.key] = cache[entry.key + q.key, text]
        made = Piece(row, int(sample[row]), label_id, entry, parts[row], told, holder=below and below[0])
        if entry.type == "point":
            made.places = shapes.present(made.parts)
            made.parts = [made.parts[n] for n in made.places]
        found.append(made)
    return found


def _entry(vocabulary: Vocabulary, field: str, label: str | None, closed: bool, kind: str, below: str | None) -> Entry:
    try:
        return vocabulary.of_label(field, label, closed, below)
    except (KeyError, StopIteration):
        if kind in GLOBAL:
            return Entry(field, field, CHECKLIST, field, None)
        return Entry(label or field, label or field, SHAPES.get(kind, "image_segmentation"), field, label or "")


def _words(question: Question, text: str | None) -> Words:
    try:
        return question.encode(text)
    except KeyError:
        return (attr_text.to_plain(text or "null"),)


class _Nothing:
    def __getitem__(self, _: int) -> None:
        return None


_NONE = _Nothing()


def _text(question: Question, label: str | None, value: str | None) -> str | None:
    """The answer to the question that a global classification itself is."""
    if label is None:
        return value
    return json.dumps([label]) if question.type == CHECKLIST else json.dumps(label)


def _parts(labels: pa.Table, sizes: Ints) -> list[Parts]:
    kinds = as_array(labels["kind"]).to_pylist()
    parts: list[Parts] = [[] for _ in kinds]
    for kind in set(kinds):
        at = np.flatnonzero([k == kind for k in kinds])
        rows = labels.take(pa.array(at)).combine_chunks()
        for row, of in zip(at.tolist(), shapes.to_pixels(kind, rows, sizes[at]), strict=True):
            parts[row] = of
    return parts


def _holders(labels: pa.Table, vocabulary: Vocabulary, given: list[str | None] | None) -> dict[int, tuple[str, str]]:
    """Of each nested label, the id of the label that it lies in, and that label's class at DataGym."""
    nested = {e.field for e in vocabulary.entries if e.below is not None}
    if not nested:
        return {}
    fields, names = as_array(labels["field"]).to_pylist(), as_array(labels["label"]).to_pylist()
    closed = as_array(labels["closed"]).to_pylist()
    row_of = {i: n for n, i in enumerate(as_array(labels["label_id"]).to_pylist())}
    out = {}
    for row, field in enumerate(fields):
        holder = json.loads((given[row] if given else None) or "null") if field in nested else None
        if isinstance(holder, str) and holder in row_of:
            outer = row_of[holder]
            out[row] = (holder, vocabulary.of_label(fields[outer], names[outer], bool(closed[outer])).key)
    return out


# --- the wire -----------------------------------------------------------------------------------------------------------


def items(found: Sequence[Piece], pictures: Pictures, *, keep: bool) -> Iterator[list[Json]]:
    """The items of each image that has labels, in order: one, and more where several attributes hang on one classification,
    of which one item can set only one. ``keep`` is whether the labels that the image has there stay.
    """
    by_sample: dict[int, list[Piece]] = defaultdict(list)
    for piece in found:
        by_sample[piece.sample].append(piece)
    for sample in sorted(by_sample):
        yield _of_image(by_sample[sample], pictures.media[sample], keep)


def _of_image(found: Sequence[Piece], media: str, keep: bool) -> list[Json]:
    rooms: dict[str, list[Piece]] = defaultdict(list)
    for piece in found:
        if piece.holder is not None:
            rooms[piece.holder].append(piece)
    layers = _layers([p for p in found if p.entry.label is None])
    labels: dict[str, list[Json]] = {}
    for piece in found:
        if piece.entry.label is not None and piece.holder is None:
            labels.setdefault(piece.entry.key, []).extend(_values(piece, rooms))
    first = {"internal_media_ID": media, "keepData": keep, "global_classifications": layers[0], "labels": labels}
    return [first, *({"internal_media_ID": media, "keepData": True, "global_classifications": g} for g in layers[1:])]


def _layers(found: Sequence[Piece]) -> list[dict[str, Any]]:
    """The global classifications, as often as the one with the most attributes needs."""
    said: dict[str, dict[str, Words]] = {}
    entries: dict[str, Entry] = {}
    for piece in found:
        entries[piece.entry.key] = piece.entry
        of = said.setdefault(piece.entry.key, {})
        for key, new in piece.words.items():
            of[key] = tuple(sorted({*of.get(key, ()), *new}))
    layers: list[dict[str, Any]] = [{}]
    for key, entry in entries.items():
        chains = list(_chains(entry, entry.questions[0]))
        told = [c for c in chains if any(said[key][q.key] for q in c[1:])] or [chains[0][:1]]
        layers += [{} for _ in range(len(told) - len(layers))]
        for layer, chain in zip(layers, told, strict=False):
            layer[key] = _array(chain, said[key])
    return layers


def _chains(entry: Entry, question: Question) -> Iterator[list[Question]]:
    """The ways from a question to each that has none below."""
    below = entry.asked(question.key)
    for q in below:
        for chain in _chains(entry, q):
            yield [question, *chain]
    if not below:
        yield [question]


def _array(chain: Sequence[Question], said: Mapping[str, Words]) -> list[Any]:
    """A classification: its words, and in the second place what is asked below."""
    question, *rest = chain
    found = said[question.key]
    more = [{rest[0].key: _array(rest, said)}] if any(said[q.key] for q in rest) else []
    return [*(found[:1] or (None,)), *more, *found[1:]]


def _values(piece: Piece, rooms: Mapping[str, list[Piece]]) -> Iterator[Json]:
    """A geometry for each part; nested ones go with the first."""
    entry = piece.entry
    asked = {q.key: _array(next(_chains(entry, q)), piece.words) for q in entry.asked()}
    for number, part in enumerate(piece.parts):
        own = {entry.tag: [piece.label_id]} if entry.tag else {}
        if entry.place and piece.places is not None:
            own[entry.place] = [str(piece.places[number])]
        made: Json = {entry.type: _points(entry.type, part), "classifications": own | asked}
        if number == 0 and piece.label_id in rooms:
            inner: dict[str, list[Json]] = {}
            for one_ in rooms[piece.label_id]:
                inner.setdefault(one_.entry.key, []).extend(_values(one_, {}))
            made["nested_geometries"] = inner
        yield made


def _points(type_: str, part: Sequence[float]) -> list[Json]:
    if type_ == "rectangle":
        return [dict(zip(("x", "y", "w", "h"), part, strict=True))]
    return [{"x": x, "y": y} for x, y in zip(part[::2], part[1::2], strict=True)]


def batches(of_images: Iterable[list[Json]], largest: int) -> Iterator[list[Json]]:
    """Items that are sent together; those of one image stay together."""
    batch: list[Json] = []
    images = 0
    for found in of_images:
        batch += found
        images += 1
        if images == largest:
            yield batch
            batch, images = [], 0
    if batch:
        yield batch
