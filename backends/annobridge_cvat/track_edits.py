"""Edits of a track: of single frames, on the server's track, which is keyframes.

CVAT interpolates between keyframes, so a keyframe on the frame of an edit would move the frames around it. All frames on which
the track is visible are therefore computed, the edits are made, and as many keyframes are set as it takes for the other frames to
stay exactly where they are. Keyframes that are there keep their ids.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from annobridge.formats.common import interpolate

from . import tracks
from .object_edits import Changes, strings_by_name, with_attributes
from .tracks import Shape
from .vocabulary import Vocabulary

Json = dict[str, Any]
WHOLE = ("group", "source")  # the builtin properties that a track has, and not its keyframes


@dataclass(frozen=True, slots=True)
class FrameEdit:
    """The shape that a track is to have on a frame, and what of it is to be changed."""

    wanted: Shape
    changes: Changes

    def of_the_whole(self) -> dict[str, Any]:
        """What it changes that holds for the whole track: the label of CVAT, immutable attributes, group and source."""
        fixed = {a.name for a in self.wanted.entry.definitions if not a.mutable}
        found: dict[str, Any] = {name: s for name, s in self.changes.attributes.items() if name in fixed}
        found |= {f"\n{key}": value for key, value in self.changes.builtin.items() if key in WHOLE}
        return {**found, "\nlabel": self.wanted.entry.number} if self.changes.label else found


@dataclass(slots=True)
class _Frame:
    """A track on a frame. ``elements`` are the visible points of a skeleton, by the ids of their labels."""

    points: list[float]
    rotation: float
    occluded: bool
    z_order: int
    attributes: dict[int, str]
    elements: dict[int, Json] = field(default_factory=dict)


def visible(track: Json, removed: Collection[int]) -> dict[int, tracks.TrackFrame]:
    """The track on each frame of its job on which it is visible. Frames that were removed from the task are left out."""
    shown = tracks.decode(track, track["last"], removed)
    return {s.frame: s for s in shown if s.frame >= track["first"] and s.frame not in removed}


def refused(edits: Mapping[int, FrameEdit], frames: Collection[int]) -> set[int]:
    """The frames whose edits change what holds for the whole track, where the edits of all its ``frames`` do not agree on it."""
    wishes = {frame: edit.of_the_whole() for frame, edit in edits.items()}
    first = next(iter(wishes.values()), {})
    if {*frames} <= {*wishes} and all(wish == first for wish in wishes.values()):
        return set()
    return {frame for frame, wish in wishes.items() if wish}


def edit_track(
    track: Json,
    edits: Mapping[int, FrameEdit],
    hidden: Collection[int],
    removed: Collection[int],
    vocabulary: Vocabulary,
) -> Json | None:
    """A track with some frames edited or added, and some ``hidden``.

    Args:
        track: the track of one job, with the keys ``first`` and ``last``: the frames of the job.
        edits: by frame; those that change the whole track are of all its frames (see ``refused``).
        hidden: frames on which it is not to be visible any more.
        removed: frames that were removed from the task.
        vocabulary: the vocabulary with the ids that the server uses now.

    Returns:
        The track with its id; ``None`` if it is visible nowhere then.

    Raises:
        Misfit: people have changed its class, and the new one lacks an attribute that is to be changed.
    """
    shown = visible(track, removed)
    kind = next((s["type"] for s in track["shapes"]), "")
    frames = {frame: _frame(s) for frame, s in shown.items() if frame not in hidden}
    whole = dict(track)
    for frame, edit in edits.items():
        whole = _whole(whole, edit, vocabulary)
        frames[frame] = _edited(frames.get(frame), edit, whole["label_id"], vocabulary)
    if not frames:
        return None
    frames = dict(sorted(frames.items()))
    flagged = {f for f, s in shown.items() if s.keyframe} | {*edits}
    keys = _keys(kind, frames, flagged & {*frames}, track["first"])
    ends = _ends(frames, track["last"], removed)
    touched = {*frames, *hidden, *ends}
    whole["shapes"] = _rebuilt(track["shapes"], touched, removed, {f: _keyframe(kind, frames[f]) for f in keys}, ends)
    if whole["label_id"] != track["label_id"]:  # keyframes that are not shown have attributes of the former label
        whole["shapes"] = [s if s["frame"] in {*keys, *ends} else {**s, "attributes": []} for s in whole["shapes"]]
    if kind == "skeleton":
        whole["elements"] = list(_elements(track, frames, keys, ends, touched, removed))
    whole["frame"] = min(s["frame"] for s in whole["shapes"])
    return whole


def _frame(shown: tracks.TrackFrame) -> _Frame:
    shape = shown.shape
    return _Frame(
        shown.points, shown.rotation, bool(shape.get("occluded")), shape.get("z_order") or 0,
        {a["spec_id"]: a["value"] for a in shown.attributes}, {e["label_id"]: e for e in shown.elements},
    )  # fmt: skip


def _whole(track: Json, edit: FrameEdit, vocabulary: Vocabulary) -> Json:
    """The track with what an edit changes of all of it."""
    changes, entry = edit.changes, edit.wanted.entry
    whole = {**track, **{key: value for key, value in changes.builtin.items() if key in WHOLE}}
    fixed = {a.name for a in entry.definitions if not a.mutable}
    strings = {name: s for name, s in changes.attributes.items() if name in fixed}
    if changes.label:
        attributes = [{"spec_id": entry.attributes[name], "value": s} for name, s in strings.items()]
        return {**whole, "label_id": entry.number, "attributes": attributes}
    whole["attributes"] = with_attributes(track["attributes"], strings, track["label_id"], vocabulary)
    return whole


def _edited(now: _Frame | None, edit: FrameEdit, label: int, vocabulary: Vocabulary) -> _Frame:
    wanted, changes = edit.wanted, edit.changes
    mutable = {a.name for a in wanted.entry.definitions if a.mutable}
    strings = {n: s for n, s in (changes.attributes if now else strings_by_name(wanted)).items() if n in mutable}
    held = {} if now is None or changes.label else now.attributes
    listed = with_attributes([{"spec_id": k, "value": v} for k, v in held.items()], strings, label, vocabulary)
    spatial = now is None or changes.spatial
    builtin = changes.builtin if now else wanted.builtin
    return _Frame(
        wanted.parts[0] if spatial or now is None else now.points,
        wanted.rotation if spatial or now is None else now.rotation,
        builtin.get("occluded", now.occluded if now else False),
        builtin.get("z_order", now.z_order if now else 0),
        {a["spec_id"]: a["value"] for a in listed},
        _points_of(wanted) if spatial or now is None else now.elements,
    )


def _points_of(wanted: Shape) -> dict[int, Json]:
    if wanted.type != "skeleton":
        return {}
    return {e["label_id"]: e for e in wanted.elements(wanted.parts[0]) if not e["outside"]}


def _keys(kind: str, frames: Mapping[int, _Frame], flagged: Collection[int], first: int) -> list[int]:
    """The frames that have to be keyframes, so that interpolation gives all the others."""
    numbers, values = list(frames), list(frames.values())
    if kind == "skeleton":  # its points are tracks of their own, and each moves on lines
        near = {f + step for f in flagged for step in (-1, 0, 1)}
        gaps = {f for f in numbers if f - 1 not in frames or f + 1 not in frames}
        return [f for f in numbers if f in near or f in gaps]
    is_flagged = np.array([f in flagged or f == first for f in numbers])
    for n in range(1, len(values)):
        a, b = values[n - 1], values[n]
        is_flagged[n] |= (a.attributes, a.occluded, a.z_order) != (b.attributes, b.occluded, b.z_order)
    needed = interpolate.needed_keyframes(
        kind, numbers, [v.points for v in values], [v.rotation for v in values], is_flagged
    )
    return [f for f, is_needed in zip(numbers, needed.tolist(), strict=True) if is_needed]


def _ends(frames: Mapping[int, _Frame], last: int, removed: Collection[int]) -> dict[int, int]:
    """Where the track has to be told to be outside, with the visible frame before: CVAT goes on showing it otherwise."""
    found = {}
    for frame in frames:
        after = next((f for f in range(frame + 1, last + 1) if f not in removed), None)
        if after is not None and after not in frames:
            found[after] = frame
    return found


def _keyframe(kind: str, frame: _Frame) -> Json:
    return {
        "type": kind,
        "outside": False,
        "occluded": frame.occluded,
        "z_order": frame.z_order,
        "rotation": frame.rotation,
        "points": [] if kind == "skeleton" else list(frame.points),
        "attributes": [{"spec_id": k, "value": v} for k, v in frame.attributes.items()],
    }


def _rebuilt(
    old: Collection[Json],
    touched: Collection[int],
    removed: Collection[int],
    keys: Mapping[int, Json],
    ends: Mapping[int, int],
) -> list[Json]:
    """Keyframes on ``keys`` and, outside, on ``ends``, with the ids of those that are there; others stay on frames that are not
    ``touched``.
    """
    by_frame = {s["frame"]: s for s in old if s["frame"] not in removed}
    made = {frame: {**by_frame.get(frame, {}), **shape, "frame": frame} for frame, shape in keys.items()}
    before = dict(sorted(made.items()))
    for after in ends:
        shape = next(s for f, s in reversed(before.items()) if f < after)
        new = {k: v for k, v in shape.items() if k != "id"} | {"frame": after, "outside": True}
        made[after] = {**by_frame.get(after, {}), **new}
    others = [s for s in old if s["frame"] in removed or s["frame"] not in touched]
    return sorted([*others, *made.values()], key=lambda s: s["frame"])


def _elements(
    track: Json, frames: Mapping[int, _Frame], keys: Collection[int], ends: Mapping[int, int], touched: Collection[int],
    removed: Collection[int],
) -> Iterator[Json]:  # fmt: skip
    """The tracks of a skeleton's points."""
    there = {e["label_id"]: e for e in track["elements"]}
    for number in dict.fromkeys([*there, *(n for frame in frames.values() for n in frame.elements)]):
        element = there.get(number) or {
            "label_id": number, "frame": track["frame"], "group": 0, "source": "manual", "attributes": [], "shapes": [],
        }  # fmt: skip
        at = {f: _point(frames[f].elements.get(number), element) for f in keys}
        shapes = _rebuilt(element["shapes"], touched, removed, at, ends)
        yield {**element, "shapes": shapes, "frame": min(s["frame"] for s in shapes)}


def _point(point: Json | None, element: Json) -> Json:
    """A keyframe of a point of a skeleton; of one that is not visible, outside."""
    last = next((s["points"] for s in reversed(element["shapes"]) if s["points"]), [0.0, 0.0])
    given = point or {"points": last, "occluded": False}
    return {
        "type": "points", "outside": point is None, "occluded": bool(given.get("occluded")), "z_order": 0, "rotation": 0.0,
        "points": list(given["points"]), "attributes": list(given.get("attributes") or ()),
    }  # fmt: skip
