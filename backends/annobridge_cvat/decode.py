"""Decode: the annotations of a CVAT task -> rows of ``REMOTE``.

Remote ids are ``shape:7``, ``tag:7`` and ``track:7:frame``. A label that was sent as several shapes has the ids of all of them,
joined by ``+``. A class of a semantic segmentation has one id per image, however many masks people draw for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from annobridge.backend.kit import changed_attributes
from annobridge.core.labels import REMOTE, conform
from annobridge.core.schema import Attribute

from . import points, tracks, values
from .frames import Frames
from .jobs import Work
from .vocabulary import SHAPE_TYPES, VALUE, Entry, Vocabulary

Json = dict[str, Any]
Bools = npt.NDArray[np.bool_]
_KINDS = {shape: kind for kind, shape in reversed(SHAPE_TYPES.items())}  # the first kind of each type
MULTIPART = {"polygon", "polyline"}  # types of which several shapes can be one label


@dataclass(slots=True)
class FoundLabel:
    """One label on one frame, as the server has it.

    ``number`` is the id of its CVAT label, ``parts`` are x, y, x, y, … in pixels, and ``strings`` the values of attributes by
    their ids. ``builtin`` is the object with the properties that CVAT has for every shape (``occluded``, ``group``, …);
    ``elements`` are the points of a skeleton. ``track`` is the id of the track.
    """

    remote_id: str
    type: str
    frame: int
    number: int
    parts: list[list[float]]
    rotation: float
    strings: dict[int, str]
    builtin: Json
    elements: list[Json]
    track: int | None = None
    keyframe: bool | None = None


def read_labels(
    annotations: Mapping[str, Any], kept: Bools, removed: Container[int] = frozenset()
) -> Iterator[FoundLabel]:
    """Every label on the ``kept`` frames. Keyframes on ``removed`` frames do not count for tracks either."""
    for tag in annotations["tags"]:
        if _is_kept(tag["frame"], kept):
            yield FoundLabel(f"tag:{tag['id']}", "tag", tag["frame"], tag["label_id"], [], 0.0, _strings(tag), tag, [])
    for shape in annotations["shapes"]:
        if _is_kept(shape["frame"], kept):
            yield FoundLabel(
                f"shape:{shape['id']}", shape["type"], shape["frame"], shape["label_id"], [shape["points"]],
                shape.get("rotation") or 0.0, _strings(shape), shape, shape.get("elements") or [],
            )  # fmt: skip
    for track in annotations["tracks"]:
        for shown in tracks.decode(track, track.get("last", len(kept) - 1), removed):
            if _is_kept(shown.frame, kept) and shown.frame >= track.get("first", 0):
                strings = _strings(track) | {a["spec_id"]: a["value"] for a in shown.attributes}
                builtin = {**shown.shape, "group": track.get("group"), "source": track.get("source")}
                yield FoundLabel(
                    f"track:{track['id']}:{shown.frame}", shown.shape["type"], shown.frame, track["label_id"], [shown.points],
                    shown.rotation, strings, builtin, shown.elements, track["id"], shown.keyframe,
                )  # fmt: skip


def _is_kept(frame: int, kept: Bools) -> bool:
    return 0 <= frame < len(kept) and bool(kept[frame])


def _strings(item: Mapping[str, Any]) -> dict[int, str]:
    return {a["spec_id"]: a["value"] for a in item["attributes"]}


@dataclass(frozen=True, slots=True)
class SentLabel:
    """A label that can be several shapes, as it was sent. The attributes are as those of ``FoundLabel``."""

    number: int
    frame: int
    strings: Mapping[int, str]
    builtin: Mapping[str, Any]


def join_shapes(
    found: Iterable[FoundLabel], label_of: Mapping[str, str], sent: Mapping[str, SentLabel]
) -> list[FoundLabel]:
    """``found`` with the shapes of one label joined. A shape that was moved to another image becomes a label of its own.

    Args:
        found: what is on the server.
        label_of: the remote id of the label by that of the shape, for labels of several shapes.
        sent: these labels as they were sent, by remote id.
    """
    out: list[FoundLabel] = []
    groups: dict[str, list[FoundLabel]] = defaultdict(list)
    for shape in found:
        label = label_of.get(shape.remote_id)
        if label is not None and shape.type in MULTIPART and shape.frame == sent[label].frame:
            groups[label].append(shape)
        else:
            out.append(shape)
    for remote_id, parts in groups.items():
        order = remote_id.split("+")
        parts.sort(key=lambda p: order.index(p.remote_id))
        out.append(_merged(remote_id, parts, sent[remote_id]))
    return out


def join_masks(
    found: Iterable[FoundLabel], segmentations: Mapping[int, tuple[str, str]], sent: Mapping[str, SentLabel]
) -> list[FoundLabel]:
    """``found`` with all masks of one class of a segmentation in one image joined.

    Args:
        found: what is on the server.
        segmentations: field and class of each CVAT label that stands for a class of a segmentation.
        sent: the labels of segmentations as they were sent, by remote id.
    """
    out: list[FoundLabel] = []
    groups: dict[str, list[FoundLabel]] = defaultdict(list)
    for shape in found:
        if shape.type == "mask" and shape.number in segmentations:
            field, label = segmentations[shape.number]
            groups[segmentation_id(field, shape.frame, label)].append(shape)
        else:
            out.append(shape)
    for remote_id, parts in groups.items():
        parts.sort(key=lambda p: p.builtin["id"])
        out.append(_merged(remote_id, parts, sent.get(remote_id)))
    return out


def _merged(remote_id: str, parts: list[FoundLabel], sent: SentLabel | None) -> FoundLabel:
    """Several shapes as one label. What people have changed in one of them is changed in the label."""
    first = replace(parts[0], remote_id=remote_id, parts=[ring for p in parts for ring in p.parts])
    if sent is None:
        return first
    renamed = next((p for p in parts if p.number != sent.number), None)
    if renamed is not None:
        return replace(first, number=renamed.number, strings=renamed.strings)
    strings = {
        spec: _merged_string([p.strings.get(spec, "") for p in parts], before) for spec, before in sent.strings.items()
    }
    builtin = dict(first.builtin)
    for key in ("occluded", "z_order"):
        changed = (p.builtin[key] for p in parts if p.builtin.get(key) != sent.builtin[key])
        builtin[key] = next(changed, sent.builtin[key])
    if not sent.builtin["group"]:
        builtin["group"] = 0  # the encoder gave the parts a group of their own
    return replace(first, strings=strings, builtin=builtin)


def _merged_string(found: list[str], sent: str) -> str:
    """The first changed value. An empty one, as a new part has it, counts only if no part has the value that was sent."""
    changed = [string for string in found if string not in (sent, "", "false")]
    return changed[0] if changed else sent if sent in found else found[0]


def segmentation_id(field: str, frame: int, label: str) -> str:
    """The remote id of a class of a segmentation in an image."""
    return f"{field}:{frame}:{label}"


class Decoder:
    """Turns found labels into rows of ``REMOTE``.

    Args:
        vocabulary: the vocabulary with the ids that the server uses now.
        frames: the frames of the task.
        names: the names of all CVAT labels, by id.
        scalars: the attribute type of each scalar field.
    """

    def __init__(self, vocabulary: Vocabulary, frames: Frames, names: Mapping[int, str], scalars: Mapping[str, str]):
        self.vocabulary, self.frames, self.names, self.scalars = vocabulary, frames, names, scalars

    def table(self, found: Iterable[FoundLabel], index: Mapping[int, int], work: Mapping[int, Work]) -> pa.Table:
        """The rows. ``index`` has the index of each track, ``work`` who works on each frame."""
        by_kind: dict[str, list[FoundLabel]] = defaultdict(list)
        for label in found:
            by_kind[self._kind(label)].append(label)
        parts = [self._rows(kind, rows, index, work) for kind, rows in by_kind.items()]
        return pa.concat_tables(parts) if parts else REMOTE.empty_table()

    def _kind(self, label: FoundLabel) -> str:
        field = self._field(label)
        return self.vocabulary.kinds[field] if field else _KINDS.get(label.type, label.type)

    def _field(self, label: FoundLabel) -> str | None:
        entry = self.vocabulary.by_number.get(label.number)
        return entry.fields.get(label.type) if entry else None

    def _class(self, label: FoundLabel) -> str | None:
        entry = self.vocabulary.by_number.get(label.number)
        name = self.names.get(label.number)
        return entry.label if entry and name in (entry.name, None) else name

    def _rows(self, kind: str, rows: list[FoundLabel], index: Mapping[int, int], work: Mapping[int, Work]) -> pa.Table:
        frames = np.array([r.frame for r in rows], np.int64)
        sizes, numbers = self.frames.sizes[frames], self.frames.numbers[frames]
        is_skeleton = kind == "skeleton"
        pixels = [[self._skeleton_points(r)] for r in rows] if is_skeleton else [r.parts for r in rows]
        columns: dict[str, Any] = points.to_columns(kind, pixels, sizes)
        if is_skeleton:
            columns["visibility"] = points.visibility_column([self._visibility(r) for r in rows])
        elif kind == "keypoints":
            columns["visibility"] = points.visibility_column([[2] * (len(r.parts[0]) // 2) for r in rows])
        elif kind in ("mask", "segmentation"):
            columns["bounding_box"] = points.mask_boxes(columns["mask"]) if kind == "mask" else None
        columns |= {
            "sample_id": self.frames.samples.take(pa.array(frames)),
            "field": [self._field(r) for r in rows],
            "frame_number": pa.array(numbers, pa.int32(), mask=numbers == 0),
            "index": [None if r.track is None else index[r.track] for r in rows],
            "keyframe": [r.keyframe for r in rows],
            "label": [None if kind == "scalar" else self._class(r) for r in rows],
            "value": [self._value(r) for r in rows] if kind == "scalar" else None,
            "rotation": [r.rotation for r in rows] if kind in ("box", "ellipse") else None,
            "attributes": [[] if kind == "scalar" else self._attributes(r) for r in rows],
            "annotator": [work.get(r.frame, _NOBODY).annotator for r in rows],
            "time": [work.get(r.frame, _NOBODY).time for r in rows],
            "remote_id": [r.remote_id for r in rows],
        }
        arrays = {
            name: v if isinstance(v, pa.Array) else pa.array(v, REMOTE.field(name).type)
            for name, v in columns.items()
            if v is not None
        }
        return conform(pa.table(arrays), REMOTE, kind=kind)

    def _elements(self, label: FoundLabel) -> list[Json | None]:
        """The points of a skeleton in the order of the schema, ``None`` for one that is missing or outside of the image; in the
        order of the server for a skeleton that is not in the schema.
        """
        found = {e["label_id"]: e for e in label.elements}
        entry = self.vocabulary.by_number.get(label.number)
        order = entry.points if entry else tuple(sorted(found))
        return [found[n] if n in found and not found[n]["outside"] else None for n in order]

    def _skeleton_points(self, label: FoundLabel) -> list[float]:
        return [v for element in self._elements(label) for v in (element["points"] if element else _MISSING)]

    def _visibility(self, label: FoundLabel) -> list[int]:
        return [(1 if element["occluded"] else 2) if element else 0 for element in self._elements(label)]

    def _attributes(self, label: FoundLabel) -> list[Json] | None:
        """The attributes; ``None``, not known, for a label that is not in the vocabulary."""
        entry = self.vocabulary.by_number.get(label.number)
        if entry is None:
            return None
        strings = attribute_strings(entry, label.strings, label.builtin)
        return changed_attributes(None, {a.name: values.decoder(a)(string) for a, string in strings})

    def _value(self, label: FoundLabel) -> str | None:
        entry = self.vocabulary.by_number.get(label.number)
        if entry is None:
            return None
        a = entry.definitions[0]
        if not a.values:
            a = Attribute(VALUE, self.scalars.get(entry.fields["tag"], "text"))
        return values.decoder(a)(label.strings.get(entry.attributes.get(VALUE, 0), ""))


_MISSING = (float("nan"), float("nan"))  # a point
_NOBODY = Work(None, None)


def attribute_strings(
    entry: Entry, given: Mapping[int, str], builtin: Mapping[str, Any]
) -> Iterator[tuple[Attribute, str]]:
    """Each attribute of a label with the server's string for it, also those that are CVAT's builtin properties."""
    for a in entry.definitions:
        if (string := given.get(entry.attributes.get(a.name, 0))) is not None:
            yield a, string
    for a in entry.own:
        yield a, values.builtin_string(entry.builtin[a.name], builtin.get(entry.builtin[a.name]))
