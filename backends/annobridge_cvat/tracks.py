"""Tracks: the labels of one object on many frames <-> CVAT's tracks, which are keyframes."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from annobridge.formats.common import interpolate

from .vocabulary import Entry

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """One label on one frame in CVAT's terms. ``parts`` are x, y, x, y, … in pixels, ``attributes`` and ``builtin`` are as they are
    sent; ``track`` is the ``index`` of the label.
    """

    entry: Entry
    type: str
    frame: int
    parts: list[list[float]]
    rotation: float
    visibility: list[int] | None
    attributes: list[Json]
    builtin: Json
    track: int | None
    keyframe: bool | None

    def elements(self, part: Sequence[float]) -> Iterator[Json]:
        """The points of a skeleton as CVAT's elements. A missing one is sent as outside, at the corner of the image."""
        pairs = list(zip(part[::2], part[1::2], strict=True))
        visibility = self.visibility if self.visibility is not None else [2] * len(pairs)
        for number, (x, y), visible in zip(self.entry.points, pairs, visibility, strict=True):
            is_present = x == x and y == y  # a missing point is NaN
            yield {
                "type": "points",
                "frame": self.frame,  # with any other, the server cannot read the task any more
                "label_id": number,
                "points": [x, y] if is_present else [0.0, 0.0],
                "occluded": visible == 1,
                "outside": not is_present or visible == 0,
                "attributes": [],
            }


def encode(shapes: Sequence[Shape], size: int) -> Json:
    """Encode one track.

    Args:
        shapes: its labels in the order of their frames, at most one on each.
        size: the number of frames of the task.
    """
    first = shapes[0]
    mutable = {number for a in first.entry.definitions if a.mutable for number in [first.entry.attributes[a.name]]}
    keyframes: list[Json] = []
    point_keyframes: list[list[Json]] = [[] for _ in first.entry.points]  # of each point of a skeleton
    for n, (shape, is_keyframe) in enumerate(zip(shapes, _keyframes(shapes), strict=True)):
        if is_keyframe:
            keyframes.append(_keyframe(shape, mutable))
            for track, point in zip(point_keyframes, _points_of(shape), strict=True):
                track.append(point)
        after = shape.frame + 1
        # Before a gap, and after its end, a track has to be told to be outside; otherwise CVAT goes on showing it.
        if after < size and (n + 1 == len(shapes) or shapes[n + 1].frame > after):
            keyframes.append({**_keyframe(shape, mutable), "frame": after, "outside": True})
            for track, point in zip(point_keyframes, _points_of(shape), strict=True):
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
                "shapes": own,
            }
            for number, own in zip(first.entry.points, point_keyframes, strict=True)
        ],
    }


def _keyframes(shapes: Sequence[Shape]) -> Iterable[bool]:
    """Which shapes to send as keyframes: all; or, where labels are flagged as keyframes, those and as many others as CVAT needs to
    interpolate the rest exactly.
    """
    flagged = np.array([s.keyframe is True for s in shapes])
    if not flagged.any() or shapes[0].type == "skeleton":  # the points of a skeleton are tracks of their own
        return [True] * len(shapes)
    held = [(s.attributes, {k: v for k, v in s.builtin.items() if k in ("occluded", "z_order")}) for s in shapes]
    for n in range(1, len(shapes)):
        flagged[n] |= held[n] != held[n - 1]
    frames, parts = [s.frame for s in shapes], [s.parts[0] for s in shapes]
    found: Iterable[bool] = interpolate.needed_keyframes(
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
    """The points of a skeleton as keyframes; each point is a track inside of the skeleton's."""
    if shape.type != "skeleton":
        return []
    kept = ("type", "frame", "points", "occluded", "outside", "attributes")
    return [{**{k: e[k] for k in kept}, "z_order": 0} for e in shape.elements(shape.parts[0])]


@dataclass(frozen=True, slots=True)
class TrackFrame:
    """A track on one frame on which it is visible."""

    frame: int
    points: list[float]
    rotation: float
    keyframe: bool
    shape: Json  # the keyframe on this frame or before it
    attributes: list[Json]  # the mutable ones, with values from earlier keyframes where this one has none
    elements: list[Json]


def decode(track: Json, last: int, removed: Container[int]) -> Iterator[TrackFrame]:
    """Every frame on which a track is visible, up to the ``last`` frame of its task or job.

    CVAT ignores keyframes on ``removed`` frames when it interpolates.
    """
    keyframes = _ordered(track, removed)
    if not keyframes:
        return
    kind = keyframes[0]["type"]
    if kind == "skeleton":
        yield from _skeletons(track, keyframes, last, removed)
        return
    carried = list(_carried(keyframes))
    found = _visible_frames(kind, keyframes, last)
    rows = zip(
        found.frames.tolist(),
        found.points,
        found.rotation.tolist(),
        found.at.tolist(),
        found.keyframe.tolist(),
        strict=True,
    )
    for frame, points, rotation, at, is_key in rows:
        yield TrackFrame(frame, list(points), rotation, is_key, keyframes[at], carried[at], [])


def _visible_frames(kind: str, keyframes: Sequence[Json], last: int) -> interpolate.VisibleFrames:
    return interpolate.visible_frames(
        kind, [s["frame"] for s in keyframes], [s["points"] for s in keyframes],
        [s.get("rotation") or 0.0 for s in keyframes], [bool(s["outside"]) for s in keyframes], last,
    )  # fmt: skip


def _carried(keyframes: Sequence[Json]) -> Iterator[list[Json]]:
    """The mutable attributes at each keyframe; one that a keyframe does not have is as it was before."""
    held: dict[int, Json] = {}
    for shape in keyframes:
        held = {**held, **{a["spec_id"]: a for a in shape["attributes"]}}
        yield list(held.values())


def _ordered(track: Json, removed: Container[int]) -> list[Json]:
    return sorted((s for s in track["shapes"] if s["frame"] not in removed), key=lambda s: s["frame"])


def _skeletons(track: Json, keyframes: Sequence[Json], last: int, removed: Container[int]) -> Iterator[TrackFrame]:
    """The frames of a skeleton: those where it is not outside itself, and one of its points is visible."""
    by_frame: dict[int, dict[int, Json]] = {}
    keys: set[int] = {s["frame"] for s in keyframes}
    for element in track["elements"]:
        ordered = _ordered(element, removed)
        keys |= {s["frame"] for s in ordered}
        if not ordered:
            continue
        found = _visible_frames("points", ordered, last)
        for frame, points, at in zip(found.frames.tolist(), found.points, found.at.tolist(), strict=True):
            point = {**ordered[at], "label_id": element["label_id"], "points": list(points), "outside": False}
            by_frame.setdefault(frame, {})[element["label_id"]] = point
    carried = list(_carried(keyframes))
    starts = [s["frame"] for s in keyframes]
    for frame in sorted(by_frame):
        at = int(np.searchsorted(starts, frame, side="right")) - 1
        if at >= 0 and not keyframes[at]["outside"]:
            elements = list(by_frame[frame].values())
            yield TrackFrame(frame, [], 0.0, frame in keys, keyframes[at], carried[at], elements)
