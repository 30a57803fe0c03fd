"""Tracks over several jobs: cut at the borders of a job, with keyframes added there, and interpolated between keyframes."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from .curves import blended
from .errors import crash
from .versions import Version

Json = Any
LINEAR = ("rectangle", "cuboid", "ellipse", "skeleton")
LINES = ("polygon", "polyline")


def cut(track: Json, start: int, stop: int, version: Version) -> Json | None:
    """The part of a track that a job gets, or nothing."""
    if not is_inside(track, start, stop, version):
        return None
    part = _cut(track, start, stop, version)
    return part if part["shapes"] else None


def is_inside(track: Json, start: int, stop: int, version: Version) -> bool:
    newer = version.since(2, 16)
    if newer and track.get("elements"):
        return any(is_inside(element, start, stop, version) for element in track["elements"])
    before: Json = None
    for shape in track["shapes"]:
        begins_hidden = newer and shape["frame"] == start and shape["outside"]
        shown = before and not before["outside"] and min(shape["frame"], stop) >= max(before["frame"], start)
        if shown and not begins_hidden:
            return True
        before = shape
    if before is None:
        if newer:
            return False
        raise crash()
    return not before["outside"] and before["frame"] <= stop


def _cut(track: Json, start: int, stop: int, version: Version) -> Json:
    part = {**deepcopy(track), "shapes": visible(track["shapes"], start, stop)}
    if "elements" in track:
        part["elements"] = [_cut(element, start, stop, version) for element in track["elements"]]
    kept = part["shapes"]
    if len(kept) < len(track["shapes"]):
        add_borders(kept, track, start, stop, version)
    if kept:
        part["frame"] = kept[0]["frame"]
    return part


def visible(shapes: list[Json], start: int, stop: int) -> list[Json]:
    """Copies of the shapes in the range, without those at its beginning that are outside."""
    inside = [shape for shape in shapes if start <= shape["frame"] <= stop]
    first = next((at for at, shape in enumerate(inside) if not shape["outside"]), len(inside))
    return deepcopy(inside[first:])


def add_borders(kept: list[Json], track: Json, start: int, stop: int, version: Version) -> None:
    """An interpolated keyframe where the track enters the job, and one where it leaves."""
    whole = interpolated(deepcopy(track), stop + 1, version)
    scoped = [shape for shape in whole if start <= shape["frame"] <= stop]
    first = next((at for at, shape in enumerate(scoped) if not shape["outside"]), len(scoped))
    scoped = scoped[first:]
    if not scoped:
        return
    end = scoped[-1]
    if not scoped[0]["keyframe"]:
        kept.insert(0, scoped[0])
    ends_later = max(shape["frame"] for shape in track["shapes"]) >= stop
    is_new = not version.since(2, 16) or not kept or end["frame"] > kept[-1]["frame"]
    moves_on = ends_later and kept and end["points"] != kept[-1]["points"]
    if moves_on or (end["keyframe"] and end["outside"] and is_new):
        kept.append(end)
    elif stop + 1 < len(whole) and whole[stop + 1]["outside"]:
        kept.append(whole[stop + 1])
    kept[:] = [{name: value for name, value in shape.items() if name != "keyframe"} for shape in kept]


def interpolated(track: Json, end: int, version: Version) -> list[Json]:
    """A shape for each frame before `end` on which the track is visible, and its keyframes, each marked as such or not.

    The keyframes themselves are marked too, and take over attributes: traces of this show in answers.
    """
    found: list[Json] = []
    before: Json = None
    for shape in sorted(track["shapes"], key=lambda shape: shape["frame"]):
        if before and shape["frame"] == before["frame"]:
            if version.since(2, 16) and {**shape, "id": 0, "keyframe": 0} == {**before, "id": 0, "keyframe": 0}:
                continue
            raise crash()
        if before and not before["outside"]:
            found += between(before, shape)
        if before and shape["frame"] >= end:
            if shape["frame"] == end:
                shape["keyframe"] = True
            break
        if before:
            carry_attributes(before, shape)
        shape["keyframe"] = True
        found.append(shape)
        before = shape
    else:
        if before and not before["outside"]:
            found += [moved(before, frame, before["points"]) for frame in range(before["frame"] + 1, end)]
    return [shape for shape in found if track["frame"] <= shape["frame"] < end]


def carry_attributes(before: Json, shape: Json) -> None:
    own = {value["spec_id"] for value in shape["attributes"]}
    shape["attributes"] += [dict(value) for value in before["attributes"] if value["spec_id"] not in own]


def moved(shape: Json, frame: int, points: list[float]) -> Json:
    return {
        **shape,
        "frame": frame,
        "points": list(points),
        "attributes": [dict(value) for value in shape["attributes"]],
        "keyframe": False,
    }


def between(left: Json, right: Json) -> list[Json]:
    """The frames between two keyframes. Sets of several points stay as they were on the left."""
    kind, distance = left["type"], right["frame"] - left["frame"]
    if kind != right["type"] or kind == "mask":
        raise crash()
    is_single = kind == "points" and len(left["points"]) == len(right["points"]) == 2
    found = []
    for frame in range(left["frame"] + 1, right["frame"]):
        share = (frame - left["frame"]) / distance
        points = left["points"]
        if kind in LINES:
            points = blended(left["points"], right["points"], share, closed=kind == "polygon")
        elif kind in LINEAR or is_single:
            points = [a + (b - a) * share for a, b in zip(left["points"], right["points"], strict=True)]
        shape = moved(left, frame, points)
        if kind in LINEAR or is_single:
            shape["rotation"] = (left["rotation"] + turn(left["rotation"], right["rotation"]) * share + 360) % 360
        found.append(shape)
    return found


def turn(left: float, right: float) -> float:
    """The shorter way round; of exactly half a turn the server makes one degree."""
    angle = (right - left + 180) % 360 - 180
    return 1 if angle == -180 else angle
