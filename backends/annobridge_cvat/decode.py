"""Decode: the annotations of a CVAT task -> labels as the bridge takes them.

Ids: ``shape:7``, ``tag:7``, ``track:7:frame``. A label that went out in several parts has the ids of all, joined by ``+``; a
class of a semantic segmentation has one id in an image, however many masks people draw for it.
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
from .vocabulary import SHAPES, VALUE, Entry, Vocabulary

Json = dict[str, Any]
Bools = npt.NDArray[np.bool_]
_KINDS = {shape: kind for kind, shape in reversed(SHAPES.items())}  # of a type, the first kind
KEEPS = {"polygon", "polyline"}  # types of which several can be one label


@dataclass(slots=True)
class Found:
    """One label on one frame as the server has it. ``parts`` are flat points in pixels."""

    remote_id: str
    type: str
    frame: int
    number: int  # of the CVAT label
    parts: list[list[float]]
    rotation: float
    words: dict[int, str]  # attribute number -> string
    builtin: Json
    elements: list[Json]
    track: int | None = None
    keyframe: bool | None = None


def read(annotations: Mapping[str, Any], kept: Bools, removed: Container[int] = frozenset()) -> Iterator[Found]:
    """Every label on the ``kept`` frames; those that were ``removed`` do not count for tracks either."""
    for tag in annotations["tags"]:
        if _is_kept(tag["frame"], kept):
            yield Found(f"tag:{tag['id']}", "tag", tag["frame"], tag["label_id"], [], 0.0, _words(tag), tag, [])
    for shape in annotations["shapes"]:
        if _is_kept(shape["frame"], kept):
            yield Found(
                f"shape:{shape['id']}", shape["type"], shape["frame"], shape["label_id"], [shape["points"]],
                shape.get("rotation") or 0.0, _words(shape), shape, shape.get("elements") or [],
            )  # fmt: skip
    for track in annotations["tracks"]:
        for seen in tracks.decode(track, track.get("last", len(kept) - 1), removed):
            if _is_kept(seen.frame, kept):
                words = _words(track) | {a["spec_id"]: a["value"] for a in seen.attributes}
                builtin = {**seen.shape, "group": track.get("group"), "source": track.get("source")}
                yield Found(
                    f"track:{track['id']}:{seen.frame}", seen.shape["type"], seen.frame, track["label_id"], [seen.points],
                    seen.rotation, words, builtin, seen.elements, track["id"], seen.keyframe,
                )  # fmt: skip


def _is_kept(frame: int, kept: Bools) -> bool:
    return 0 <= frame < len(kept) and bool(kept[frame])


def _words(item: Mapping[str, Any]) -> dict[int, str]:
    return {a["spec_id"]: a["value"] for a in item["attributes"]}


@dataclass(frozen=True, slots=True)
class Was:
    """A label of several shapes as it was sent: its CVAT label, its frame, its attributes' strings, and what CVAT has itself."""

    number: int
    frame: int
    words: Mapping[int, str]
    builtin: Mapping[str, Any]


def joined(found: Iterable[Found], composites: Mapping[str, str], sent: Mapping[str, Was]) -> list[Found]:
    """``found`` with the parts of one label put together. ``composites``: the id of a part -> that of its label.

    A part that went to another image is a label of its own.
    """
    out: list[Found] = []
    groups: dict[str, list[Found]] = defaultdict(list)
    for one in found:
        whole = composites.get(one.remote_id)
        if whole is not None and one.type in KEEPS and one.frame == sent[whole].frame:
            groups[whole].append(one)
        else:
            out.append(one)
    for remote_id, parts in groups.items():
        order = remote_id.split("+")
        parts.sort(key=lambda p: order.index(p.remote_id))
        out.append(_united(remote_id, parts, sent[remote_id]))
    return out


def pooled(found: Iterable[Found], pools: Mapping[int, tuple[str, str]], sent: Mapping[str, Was]) -> list[Found]:
    """``found`` with all masks of a class in an image made one. ``pools``: a CVAT label -> field and class of a segmentation."""
    out: list[Found] = []
    groups: dict[str, list[Found]] = defaultdict(list)
    for one in found:
        if one.type == "mask" and one.number in pools:
            field, label = pools[one.number]
            groups[pool_id(field, one.frame, label)].append(one)
        else:
            out.append(one)
    for remote_id, parts in groups.items():
        parts.sort(key=lambda p: p.builtin["id"])
        out.append(_united(remote_id, parts, sent.get(remote_id)))
    return out


def _united(remote_id: str, parts: list[Found], was: Was | None) -> Found:
    """Several shapes as one label: what people changed in one of them holds for all."""
    first = replace(parts[0], remote_id=remote_id, parts=[ring for p in parts for ring in p.parts])
    if was is None:
        return first
    renamed = next((p for p in parts if p.number != was.number), None)
    if renamed is not None:
        return replace(first, number=renamed.number, words=renamed.words)
    words_ = {spec: _changed([p.words.get(spec, "") for p in parts], word) for spec, word in was.words.items()}
    builtin = dict(first.builtin)
    for key in ("occluded", "z_order"):
        builtin[key] = next((p.builtin[key] for p in parts if p.builtin.get(key) != was.builtin[key]), was.builtin[key])
    if not was.builtin["group"]:
        builtin["group"] = 0  # that of the parts is only ours
    return replace(first, words=words_, builtin=builtin)


def _changed(found: list[str], was: str) -> str:
    """What one part has now that it did not have; a part that says nothing (a new one) changes nothing, unless all do."""
    new = [word for word in found if word not in (was, "", "false")]
    return new[0] if new else was if was in found else found[0]


def pool_id(field: str, frame: int, label: str) -> str:
    """The id of a class of a segmentation in an image."""
    return f"{field}:{frame}:{label}"


class Decoder:
    """Turns what was found into rows of ``REMOTE``. ``names`` are the labels' names on the server as they are now."""

    def __init__(self, vocabulary: Vocabulary, frames: Frames, names: Mapping[int, str], scalars: Mapping[str, str]):
        self.vocabulary, self.frames, self.names, self.scalars = vocabulary, frames, names, scalars

    def table(self, found: Iterable[Found], index: Mapping[int, int], annotators: Mapping[int, str]) -> pa.Table:
        """The labels. ``index`` numbers the tracks as the dataset does; ``annotators`` says who has a frame."""
        by_kind: dict[str, list[Found]] = defaultdict(list)
        for one in found:
            by_kind[self._kind(one)].append(one)
        parts = [self._rows(kind, rows, index, annotators) for kind, rows in by_kind.items()]
        return pa.concat_tables(parts) if parts else REMOTE.empty_table()

    def _kind(self, one: Found) -> str:
        field = self._field(one)
        return self.vocabulary.kinds[field] if field else _KINDS.get(one.type, one.type)

    def _field(self, one: Found) -> str | None:
        entry = self.vocabulary.by_number.get(one.number)
        return entry.fields.get(one.type) if entry else None

    def _label(self, one: Found) -> str | None:
        entry = self.vocabulary.by_number.get(one.number)
        name = self.names.get(one.number)
        return entry.label if entry and name in (entry.name, None) else name

    def _rows(self, kind: str, rows: list[Found], index: Mapping[int, int], annotators: Mapping[int, str]) -> pa.Table:
        frames = np.array([r.frame for r in rows], np.int64)
        sizes, numbers = self.frames.sizes[frames], self.frames.numbers[frames]
        skeleton = kind == "skeleton"
        wire = [[self._joints(r)] for r in rows] if skeleton else [r.parts for r in rows]
        columns: dict[str, Any] = points.to_columns(kind, wire, sizes)
        if skeleton:
            columns["visibility"] = points.visibility([self._visibility(r) for r in rows])
        elif kind == "keypoints":
            columns["visibility"] = points.visibility([[2] * (len(r.parts[0]) // 2) for r in rows])
        elif kind in ("mask", "segmentation"):
            columns["bounding_box"] = points.mask_boxes(columns["mask"]) if kind == "mask" else None
        columns |= {
            "sample_id": self.frames.samples.take(pa.array(frames)),
            "field": [self._field(r) for r in rows],
            "frame_number": pa.array(numbers, pa.int32(), mask=numbers == 0),
            "index": [None if r.track is None else index[r.track] for r in rows],
            "keyframe": [r.keyframe for r in rows],
            "label": [None if kind == "scalar" else self._label(r) for r in rows],
            "value": [self._value(r) for r in rows] if kind == "scalar" else None,
            "rotation": [r.rotation for r in rows] if kind in ("box", "ellipse") else None,
            "attributes": [[] if kind == "scalar" else self._attributes(r) for r in rows],
            "annotator": [annotators.get(r.frame) for r in rows],
            "remote_id": [r.remote_id for r in rows],
        }
        made = {
            n: v if isinstance(v, pa.Array) else pa.array(v, REMOTE.field(n).type)
            for n, v in columns.items()
            if v is not None
        }
        return conform(pa.table(made), REMOTE, kind=kind)

    def _joints(self, one: Found) -> list[float]:
        """A skeleton's points, in the order of the schema (or of the server, for one that is not in it)."""
        found = {e["label_id"]: e for e in one.elements}
        entry = self.vocabulary.by_number.get(one.number)
        order = entry.points if entry else tuple(sorted(found))
        return [v for n in order for v in (found[n]["points"] if n in found and not found[n]["outside"] else _NOWHERE)]

    def _visibility(self, one: Found) -> list[int]:
        found = {e["label_id"]: e for e in one.elements}
        entry = self.vocabulary.by_number.get(one.number)
        order = entry.points if entry else tuple(sorted(found))
        return [0 if n not in found or found[n]["outside"] else 1 if found[n]["occluded"] else 2 for n in order]

    def _attributes(self, one: Found) -> list[Json] | None:
        """What a label that nobody here knows says of attributes, is nothing at all: not that there are none."""
        entry = self.vocabulary.by_number.get(one.number)
        if entry is None:
            return None
        texts = {a.name: values.decoder(a)(word) for a, word in words(entry, one.words, one.builtin)}
        return changed_attributes(None, texts)

    def _value(self, one: Found) -> str | None:
        entry = self.vocabulary.by_number.get(one.number)
        word = one.words.get(entry.attributes.get(VALUE, 0), "") if entry else ""
        if entry is None or entry.definitions[0].values:
            return values.decoder(entry.definitions[0])(word) if entry else None
        return values.decoder(Attribute(VALUE, self.scalars.get(entry.fields["tag"], "text")))(word)


_NOWHERE = (float("nan"), float("nan"))


def words(entry: Entry, given: Mapping[int, str], builtin: Mapping[str, Any]) -> Iterator[tuple[Attribute, str]]:
    """Each attribute of a label with the server's string for it, CVAT's own among them."""
    for a in entry.definitions:
        if (word := given.get(entry.attributes.get(a.name, 0))) is not None:
            yield a, word
    for a in entry.own:
        yield a, values.builtin_word(entry.builtin[a.name], builtin.get(entry.builtin[a.name]))
