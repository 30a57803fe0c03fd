"""Tracks: labels of one object over frames <-> CVAT's keyframes."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import interpolate
from .vocabulary import Entry

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """One label on one frame, as CVAT sees it. ``parts`` are flat points in pixels; ``seen`` is the visibility of each."""

    entry: Entry
    type: str
    frame: int
    parts: list[list[float]]
    rotation: float
    seen: list[int] | None
    attributes: list[Json]
    builtin: Json
    track: int | None
    keyframe: bool | None

    def elements(self, part: Sequence[float]) -> Iterator[Json]:
        """The points of a skeleton. A missing one is sent as outside, at the corner of the image."""
        pairs = list(zip(part[::2], part[1::2], strict=True))
        seen = self.seen if self.seen is not None else [2] * len(pairs)
        for number, (x, y), visible in zip(self.entry.points, pairs, seen, strict=True):
            there = x == x and y == y
            yield {
                "type": "points",
                "frame": self.frame,  # any other would poison the task
                "label_id": number,
                "points": [x, y] if there else [0.0, 0.0],
                "occluded": visible == 1,
                "outside": not there or visible == 0,
                "attributes": [],
            }


def encode(shapes: Sequence[Shape], size: int) -> Json:
    """One track. ``shapes`` are in the order of their frames, one on each; ``size`` is the number of frames of the task."""
    first = shapes[0]
    mutable = {number for a in first.entry.definitions if a.mutable for number in [first.entry.attributes[a.name]]}
    keys = _keys(shapes)
    keyframes, elements = [], [[] for _ in first.entry.points]  # type: ignore[var-annotated]
    for n, (shape, is_key) in enumerate(zip(shapes, keys, strict=True)):
        if is_key:
            keyframes.append(_keyframe(shape, mutable))
            for track, point in zip(elements, _points_of(shape), strict=True):
                track.append(point)
        after = shape.frame + 1
        if after < size and (n + 1 == len(shapes) or shapes[n + 1].frame > after):  # a gap, or the end
            keyframes.append({**_keyframe(shape, mutable), "frame": after, "outside": True})
            for track, point in zip(elements, _points_of(shape), strict=True):
                track.append({**point, "frame": after, "outside": True})
    return {
        "frame": first.frame,
        "label_id": first.entry.number,
        "group": first.builtin["group"],
        "source": first.builtin["source"],
        "attributes": [a for a in first.attributes if a["spec_id"] not in mutable],
        "shapes": keyframes,
        "elements": [
            {
                "frame": first.frame,
                "label_id": number,
                "group": 0,
                "source": "manual",
                "attributes": [],
                "shapes": found,
            }
            for number, found in zip(first.entry.points, elements, strict=True)
        ],
    }


def _keys(shapes: Sequence[Shape]) -> Iterable[bool]:
    """Which are sent: all of them; or, where labels say which are keyframes, those and what cannot be found between them."""
    flagged = np.array([s.keyframe is True for s in shapes])
    if not flagged.any() or shapes[0].type == "skeleton":  # whose points move by themselves
        return [True] * len(shapes)
    held = [(s.attributes, {k: v for k, v in s.builtin.items() if k in ("occluded", "z_order")}) for s in shapes]
    for n in range(1, len(shapes)):
        flagged[n] |= held[n] != held[n - 1]
    frames, parts = [s.frame for s in shapes], [s.parts[0] for s in shapes]
    found: Iterable[bool] = interpolate.keys(
        shapes[0].type, frames, parts, [s.rotation for s in shapes], flagged
    ).tolist()
    return found


def _keyframe(shape: Shape, mutable: set[int]) -> Json:
    return {
        "type": shape.type,
        "frame": shape.frame,
        "outside": False,
        "occluded": shape.builtin["occluded"],
        "z_order": shape.builtin["z_order"],
        "rotation": shape.rotation,
        "points": [] if shape.type == "skeleton" else shape.parts[0],
        "attributes": [a for a in shape.attributes if a["spec_id"] in mutable],
    }


def _points_of(shape: Shape) -> list[Json]:
    """A skeleton's points as keyframes of their own tracks."""
    if shape.type != "skeleton":
        return []
    kept = ("type", "frame", "points", "occluded", "outside", "attributes")
    return [{**{k: e[k] for k in kept}, "z_order": 0} for e in shape.elements(shape.parts[0])]


@dataclass(frozen=True, slots=True)
class Visible:
    """A track on one frame on which it is seen."""

    frame: int
    points: list[float]
    rotation: float
    keyframe: bool
    shape: Json  # the keyframe at or before it
    attributes: list[Json]  # the mutable ones, carried on from keyframe to keyframe
    elements: list[Json]


def decode(track: Json, last: int, removed: Container[int]) -> Iterator[Visible]:
    """Every frame on which a track is seen, up to the ``last`` one of its task (or job).

    CVAT interpolates as if keyframes on ``removed`` frames were not there.
    """
    keyframes = _ordered(track, removed)
    if not keyframes:
        return
    kind = keyframes[0]["type"]
    if kind == "skeleton":
        yield from _skeletons(track, keyframes, last, removed)
        return
    carried = list(_carried(keyframes))
    found = _seen(kind, keyframes, last)
    rows = zip(
        found.frames.tolist(),
        found.points,
        found.rotation.tolist(),
        found.at.tolist(),
        found.keyframe.tolist(),
        strict=True,
    )
    for frame, points, rotation, at, is_key in rows:
        yield Visible(frame, list(points), rotation, is_key, keyframes[at], carried[at], [])


def _seen(kind: str, keyframes: Sequence[Json], last: int) -> interpolate.Seen:
    return interpolate.seen(
        kind, [s["frame"] for s in keyframes], [s["points"] for s in keyframes],
        [s.get("rotation") or 0.0 for s in keyframes], [bool(s["outside"]) for s in keyframes], last,
    )  # fmt: skip


def _carried(keyframes: Sequence[Json]) -> Iterator[list[Json]]:
    """The mutable attributes at each keyframe: what one does not say, it has from the one before."""
    held: dict[int, Json] = {}
    for shape in keyframes:
        held = {**held, **{a["spec_id"]: a for a in shape["attributes"]}}
        yield list(held.values())


def _ordered(track: Json, removed: Container[int]) -> list[Json]:
    return sorted((s for s in track["shapes"] if s["frame"] not in removed), key=lambda s: s["frame"])


def _skeletons(track: Json, keyframes: Sequence[Json], last: int, removed: Container[int]) -> Iterator[Visible]:
    """A skeleton is seen where it is not outside itself and one of its points is seen."""
    by_frame: dict[int, dict[int, Json]] = {}
    keys: set[int] = {s["frame"] for s in keyframes}
    for element in track["elements"]:
        ordered = _ordered(element, removed)
        keys |= {s["frame"] for s in ordered}
        found = _seen("points", ordered, last) if ordered else None
        for frame, points, at in (
            zip(found.frames.tolist(), found.points, found.at.tolist(), strict=True) if found else ()
        ):
            point = {**ordered[at], "label_id": element["label_id"], "points": list(points), "outside": False}
            by_frame.setdefault(frame, {})[element["label_id"]] = point
    carried = list(_carried(keyframes))
    starts = [s["frame"] for s in keyframes]
    for frame in sorted(by_frame):
        at = int(np.searchsorted(starts, frame, side="right")) - 1
        if at >= 0 and not keyframes[at]["outside"]:
            elements = list(by_frame[frame].values())
            yield Visible(frame, [], 0.0, frame in keys, keyframes[at], carried[at], elements)
