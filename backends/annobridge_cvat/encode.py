"""Encode: labels of ours -> the annotations that a CVAT task is given."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annobridge.core import attributes as lists
from annobridge.core.arrays import as_array

from . import points, tracks, values
from .decode import Was
from .frames import Frames, Ints
from .vocabulary import SHAPES, VALUE, Entry, Vocabulary

Json = dict[str, Any]
TAGS, SHAPES_, TRACKS = "tags", "shapes", "tracks"


@dataclass(slots=True)
class Sent:
    """What is sent, and of which rows of the labels each object is: one of a tag or shape, those of its frames of a track."""

    items: dict[str, list[Json]] = field(default_factory=lambda: {TAGS: [], SHAPES_: [], TRACKS: []})
    rows: dict[str, list[Any]] = field(default_factory=lambda: {TAGS: [], SHAPES_: [], TRACKS: []})

    def add(self, kind: str, item: Json, row: Any) -> None:
        """One more object."""
        self.items[kind].append(item)
        self.rows[kind].append(row)


def encode(labels: pa.Table, vocabulary: Vocabulary, frames: Frames) -> Sent:
    """The annotations of a task. Labels on frames that are not in it are not sent."""
    place = frames.place(labels)
    at = np.flatnonzero(place >= 0)
    labels, place = labels.take(pa.array(at)).combine_chunks(), place[at]
    rows = list(_rows(labels, vocabulary, frames, place))
    taken = max((row.builtin["group"] for row in rows), default=0)
    sent, groups, followed = Sent(), count(taken + 1), defaultdict(list)
    for shape, row in zip(rows, at.tolist(), strict=True):
        if shape.track is not None:
            followed[shape.entry.number, shape.type, shape.track].append((shape, row))
        elif shape.type == "tag":
            sent.add(TAGS, _tag(shape), row)
        else:
            for item in _shapes(shape, groups):
                sent.add(SHAPES_, item, row)
    for members in followed.values():
        members.sort(key=lambda member: member[0].frame)
        sent.add(TRACKS, tracks.encode([s for s, _ in members], len(frames)), [(s.frame, row) for s, row in members])
    return sent


def _rows(labels: pa.Table, vocabulary: Vocabulary, frames: Frames, place: Ints) -> Iterator[tracks.Shape]:
    """Each label as CVAT sees it, in the order of the rows."""
    kind, sizes = as_array(labels["kind"]).to_pylist(), frames.sizes[place]
    parts: list[points.Parts] = [[]] * len(kind)
    for name in set(kind):
        at = np.flatnonzero([k == name for k in kind])
        found = points.to_wire(name, labels.take(pa.array(at)).combine_chunks(), sizes[at])
        for row, wire in zip(at.tolist(), found, strict=True):
            parts[row] = wire
    texts = {name: lists.values(labels["attributes"], name).to_pylist() for name in lists.names(labels["attributes"])}
    columns = ("field", "label", "value", "rotation", "visibility", "index", "keyframe", "confidence")
    rows = zip(*(as_array(labels[c]).to_pylist() for c in columns), strict=True)
    for n, (name, label, value, rotation, seen, index, keyframe, confidence) in enumerate(rows):
        entry = vocabulary.of_row(name, label)
        given = {VALUE: value} if kind[n] == "scalar" else {a: t[n] for a, t in texts.items() if t[n] is not None}
        shape = tracks.Shape(
            entry, SHAPES[kind[n]], int(place[n]), parts[n], (rotation or 0.0) % 360, seen,
            _words(entry, given), _builtin(entry, given, confidence), index, keyframe,
        )  # fmt: skip
        yield shape


def _words(entry: Entry, given: dict[str, Any]) -> list[Json]:
    """Every attribute is sent, set or not: what is left out, the server would give its default."""
    return [
        {"spec_id": entry.attributes[a.name], "value": entry.word(a, given.get(a.name))}
        for a in entry.definitions
        if a.name in entry.attributes
    ]


def sent_as(labels: pa.Table, vocabulary: Vocabulary, frames: Frames) -> dict[str, Was]:
    """How labels of several shapes were sent, by their remote ids."""
    several = [f for f, kind in vocabulary.kinds.items() if kind == "segmentation"]
    is_one = pc.or_(
        pc.match_substring(labels["remote_id"], "+"),
        pc.is_in(labels["field"], value_set=pa.array(several, pa.string())),
    )
    labels = labels.filter(is_one).combine_chunks()
    ids = labels["remote_id"].to_pylist()
    rows = _rows(labels.select(labels.column_names), vocabulary, frames, frames.place(labels))
    return {
        i: Was(r.entry.number, r.frame, {a["spec_id"]: a["value"] for a in r.attributes}, r.builtin)
        for i, r in zip(ids, rows, strict=True)
    }


def _builtin(entry: Entry, given: dict[str, Any], confidence: float | None) -> Json:
    """What CVAT keeps beside the attributes; labels with a confidence were made by a machine."""
    found: Json = {
        "occluded": False,
        "group": 0,
        "z_order": 0,
        "source": "auto" if confidence is not None else "manual",
    }
    for name, key in entry.builtin.items():
        if (text := given.get(name)) is not None:
            found[key] = values.builtin(key, text)
    return found


def _tag(shape: tracks.Shape) -> Json:
    return {
        "frame": shape.frame,
        "label_id": shape.entry.number,
        "group": shape.builtin["group"],
        "source": shape.builtin["source"],
        "attributes": shape.attributes,
    }


def _shapes(shape: tracks.Shape, groups: Iterator[int]) -> Iterator[Json]:
    """One shape, or one for each part, which a group holds together."""
    builtin = shape.builtin
    if len(shape.parts) > 1 and shape.type != "skeleton" and not builtin["group"]:
        builtin = {**builtin, "group": next(groups)}
    for part in shape.parts:
        item: Json = {
            "type": shape.type,
            "frame": shape.frame,
            "label_id": shape.entry.number,
            "outside": False,
            "rotation": shape.rotation,
            "points": part,
            "attributes": shape.attributes,
            "elements": [],
            **builtin,
        }
        if shape.type == "skeleton":
            item |= {"points": [], "elements": list(shape.elements(part))}
        yield item
