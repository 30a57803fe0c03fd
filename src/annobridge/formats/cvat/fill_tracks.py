"""Fill in the frames of a track between its shapes, as CVAT interpolates them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from ...exceptions import InvalidSource
from ..common import interpolate
from ..common.xml import Element
from .meta import Task

_MOST = 2**31 - 2
_INTEGER = re.compile(r"\d{1,10}")
_CORNERS = tuple(f"{axis}{corner}{face}" for face in (1, 2) for corner in ("tl", "bl", "tr", "br") for axis in "xy")
_NUMBERS = {  # tag → CVAT's type of shape, and the attributes with its numbers
    "box": ("rectangle", ("xtl", "ytl", "xbr", "ybr")),
    "ellipse": ("ellipse", ("cx", "cy", "rx", "ry")),
    "cuboid": ("cuboid", _CORNERS),
    "polygon": ("polygon", ()),
    "polyline": ("polyline", ()),
    "points": ("points", ()),
    "skeleton": ("skeleton", ()),
    "mask": ("mask", ()),
}


def is_outside(shape: Element) -> bool:
    """Whether a shape of a track is not visible; a skeleton is not if none of its points is."""
    if shape.get("outside") == "1":
        return True
    points = [child for child in shape if child.tag == "points"] if shape.tag == "skeleton" else []
    return bool(points) and all(point.get("outside") == "1" for point in points)


class Fill:
    """Fills in shapes, at most so many."""

    def __init__(self, most: int) -> None:
        self._most = self._left = most

    def filled(self, shapes: Sequence[Element], task: Task, place: str) -> Iterator[Element]:
        """The shapes of a track and those between them. The last one holds up to the last frame of the task, if that is known.

        Shapes that are no numbers stay as they are, and are reported by the reader.
        """
        keyed = sorted(
            ((frame, shape) for shape in shapes if (frame := _frame(shape)) is not None), key=lambda pair: pair[0]
        )
        yield from (shape for shape in shapes if _frame(shape) is None)
        for at, (frame, shape) in enumerate(keyed):
            yield shape
            is_last = at + 1 == len(keyed)
            after = (frame if task.last is None else task.last) + 1 if is_last else keyed[at + 1][0]
            if is_outside(shape) or after - frame <= task.step:
                continue
            self._left -= (after - frame - 1) // task.step
            if self._left < 0:
                raise InvalidSource(
                    f"{place} has tracks with more than max_interpolated={self._most:,} frames to fill in; raise that limit."
                )
            yield from _between(shape, None if is_last else keyed[at + 1][1], frame, after, task.step)


def _frame(shape: Element) -> int | None:
    text = (shape.get("frame") or "").strip()
    return int(text) if _INTEGER.fullmatch(text) and int(text) <= _MOST else None


def _between(shape: Element, following: Element | None, frame: int, after: int, step: int) -> Iterator[Element]:
    """The shapes on the frames after ``frame`` and before ``after``."""
    kind = _NUMBERS.get(str(shape.tag), ("", ()))[0]
    start = _numbers(shape)
    end = _numbers(following) if following is not None and following.tag == shape.tag else None
    if end is None or not start:
        end = start
    turns = [_number(shape.get("rotation")), _number(following.get("rotation") if following is not None else None)]
    if following is None:
        turns[1] = turns[0]
    found = interpolate.visible_frames(kind, [frame, after], [start, end], turns, [False, True], after)
    rows = zip(found.frames.tolist(), found.points, found.rotation.tolist(), strict=True)
    for number, points, rotation in rows:
        if number > frame and (number - frame) % step == 0:
            yield _moved(shape, number, points.tolist(), rotation)


def _numbers(shape: Element) -> list[float]:
    """The numbers of a shape that are interpolated; none for one that stays as it is, or has something else than numbers."""
    tag = str(shape.tag)
    names = _NUMBERS.get(tag, ("", ()))[1]
    if tag == "skeleton":
        children = {child.get("label"): child for child in shape if child.tag == "points"}
        texts = [children[name].get("points") or "" for name in sorted(children, key=str)]
    else:
        texts = [shape.get(name) or "" for name in names] or [shape.get("points") or ""]
    found = [_number(text) for chain in texts for pair in chain.split(";") for text in pair.split(",")]
    return found if np.isfinite(found).all() else []


def _number(text: str | None) -> float:
    try:
        return float(text) if text else 0.0 if text is None else np.nan
    except ValueError:
        return np.nan


def _moved(shape: Element, frame: int, points: list[float], rotation: float) -> Element:
    """A copy of a shape on another frame, no keyframe."""
    made: Element = shape.__copy__()
    made.set("frame", str(frame))
    made.set("keyframe", "0")
    if shape.get("rotation") is not None or rotation:
        made.set("rotation", repr(rotation))
    if not points:
        return made
    if names := _NUMBERS[str(shape.tag)][1]:
        for name, value in zip(names, points, strict=True):
            made.set(name, repr(value))
    elif shape.tag == "skeleton":
        children = {child.get("label"): child for child in made if child.tag == "points"}
        for at, name in enumerate(sorted(children, key=str)):
            children[name].set("points", f"{points[2 * at]!r},{points[2 * at + 1]!r}")
    else:
        pairs = zip(points[::2], points[1::2], strict=True)
        made.set("points", ";".join(f"{x!r},{y!r}" for x, y in pairs))
    return made
