"""Encode: rows of ``LABELS`` -> the annotations of a CVAT task (tags, shapes and tracks)."""

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
from annobridge.core.collector import paused

from . import points, tracks, values
from .decode import SentLabel
from .frames import Frames, Ints
from .vocabulary import SHAPE_TYPES, VALUE, Entry, Vocabulary

Json = dict[str, Any]
TAGS, SHAPES, TRACKS = "tags", "shapes", "tracks"


@dataclass(slots=True)
class Encoded:
    """The annotations of a task.

    Attributes:
        items: the objects to send, by kind (``TAGS``, ``SHAPES``, ``TRACKS``).
        rows: for each of the objects, the row of its label; for a track, a list of (frame, row).
    """

    items: dict[str, list[Json]] = field(default_factory=lambda: {TAGS: [], SHAPES: [], TRACKS: []})
    rows: dict[str, list[Any]] = field(default_factory=lambda: {TAGS: [], SHAPES: [], TRACKS: []})

    def add(self, kind: str, item: Json, row: Any) -> None:
        self.items[kind].append(item)
        self.rows[kind].append(row)


@paused()
def encode(labels: pa.Table, vocabulary: Vocabulary, frames: Frames) -> Encoded:
    """Encode the labels of a task; those on frames that are not in it are left out.

    Args:
        labels: the labels, as ``LABELS``.
        vocabulary: the vocabulary with the server's ids.
        frames: the frames of the CVAT task.
    """
    frame_of = frames.index_of(labels)
    rows = np.flatnonzero(frame_of >= 0)
    labels, frame_of = labels.take(pa.array(rows)).combine_chunks(), frame_of[rows]
    found = list(shapes(labels, vocabulary, frames, frame_of))
    last_group = max((shape.builtin["group"] for shape in found), default=0)
    out, new_groups, by_track = Encoded(), count(last_group + 1), defaultdict(list)
    for shape, row in zip(found, rows.tolist(), strict=True):
        if shape.track is not None:
            by_track[shape.entry.number, shape.type, shape.track].append((shape, row))
        elif shape.type == "tag":
            out.add(TAGS, tag_item(shape), row)
        else:
            for item in shape_items(shape, new_groups):
                out.add(SHAPES, item, row)
    for members in by_track.values():
        members.sort(key=lambda member: member[0].frame)
        track = tracks.encode([shape for shape, _ in members], len(frames))
        out.add(TRACKS, track, [(shape.frame, row) for shape, row in members])
    return out


def shapes(labels: pa.Table, vocabulary: Vocabulary, frames: Frames, frame_of: Ints) -> Iterator[tracks.Shape]:
    """Each label as a shape, in the order of the rows. ``frame_of`` is the frame of each row."""
    kinds, sizes = as_array(labels["kind"]).to_pylist(), frames.sizes[frame_of]
    parts: list[points.Parts] = [[]] * len(kinds)
    for kind in set(kinds):
        at = np.flatnonzero([k == kind for k in kinds])
        found = points.to_pixels(kind, labels.take(pa.array(at)).combine_chunks(), sizes[at])
        for row, pixels in zip(at.tolist(), found, strict=True):
            parts[row] = pixels
    texts = {name: lists.values(labels["attributes"], name).to_pylist() for name in lists.names(labels["attributes"])}
    columns = ("field", "label", "value", "rotation", "visibility", "index", "keyframe", "confidence")
    rows = zip(*(as_array(labels[c]).to_pylist() for c in columns), strict=True)
    for n, (field_name, label, value, rotation, visibility, index, keyframe, confidence) in enumerate(rows):
        entry = vocabulary.entry_of(field_name, label)
        given = {VALUE: value} if kinds[n] == "scalar" else {a: t[n] for a, t in texts.items() if t[n] is not None}
        yield tracks.Shape(
            entry, SHAPE_TYPES[kinds[n]], int(frame_of[n]), parts[n], (rotation or 0.0) % 360, visibility,
            _attributes(entry, given), _builtin(entry, given, confidence), index, keyframe,
        )  # fmt: skip


def _attributes(entry: Entry, given: dict[str, Any]) -> list[Json]:
    """The attributes to send, by their JSON texts. Those without a value are sent, too: the server would set its default."""
    return [
        {"spec_id": entry.attributes[a.name], "value": entry.encode(a, given.get(a.name))}
        for a in entry.definitions
        if a.name in entry.attributes
    ]


def sent_labels(labels: pa.Table, vocabulary: Vocabulary, frames: Frames) -> dict[str, SentLabel]:
    """The labels of a baseline that can be several shapes on the server, as they were sent, by remote id."""
    segmentations = [f for f, kind in vocabulary.kinds.items() if kind == "segmentation"]
    is_several = pc.or_(
        pc.match_substring(labels["remote_id"], "+"),
        pc.is_in(labels["field"], value_set=pa.array(segmentations, pa.string())),
    )
    labels = labels.filter(is_several).combine_chunks()
    found = shapes(labels, vocabulary, frames, frames.index_of(labels))
    return {
        remote_id: SentLabel(s.entry.number, s.frame, {a["spec_id"]: a["value"] for a in s.attributes}, s.builtin)
        for remote_id, s in zip(labels["remote_id"].to_pylist(), found, strict=True)
    }


def _builtin(entry: Entry, given: dict[str, Any], confidence: float | None) -> Json:
    """The properties that CVAT has for every shape. Labels with a confidence were made by a model: their source is ``auto``."""
    found: Json = {
        "occluded": False,
        "group": 0,
        "z_order": 0,
        "source": "auto" if confidence is not None else "manual",
    }
    for name, key in entry.builtin.items():
        if (text := given.get(name)) is not None:
            found[key] = values.builtin_value(key, text)
    return found


def tag_item(shape: tracks.Shape) -> Json:
    return {
        "frame": shape.frame,
        "label_id": shape.entry.number,
        "group": shape.builtin["group"],
        "source": shape.builtin["source"],
        "attributes": shape.attributes,
    }


def shape_items(shape: tracks.Shape, new_groups: Iterator[int]) -> Iterator[Json]:
    """One item, or one for each part; a CVAT group then shows people that the parts belong together."""
    builtin = shape.builtin
    if len(shape.parts) > 1 and shape.type != "skeleton" and not builtin["group"]:
        builtin = {**builtin, "group": next(new_groups)}
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
