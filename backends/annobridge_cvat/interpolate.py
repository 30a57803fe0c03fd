"""Tracks between their keyframes: the shape on every frame, as the CVAT server makes it, and the keyframes to send.

On the wire a track is its keyframes only; CVAT makes the other shapes when it shows or exports them. Coordinates are
pixels and rotations degrees. Between two keyframes

* rectangles, ellipses, cuboids, skeletons and single points move on straight lines and turn the shorter way round;
* polygons and polylines of any lengths are paired along their outlines, and close pairs are joined again;
* masks and sets of several points stay as they are until the next keyframe.

The points that are returned are views, some of one array, some of what was given: do not write to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Points = Sequence[Sequence[float] | Floats]

_LINEAR = ("rectangle", "ellipse", "cuboid", "skeleton")
_CURVES = ("polygon", "polyline")
_CLOSE = 1e-6  # pixels and degrees: what counts as the same place


@dataclass(frozen=True, slots=True)
class Seen:
    """The frames on which a track is seen, in order.

    ``frames`` are their numbers, ``(n,)``; ``points`` the wire's flat ``x, y, …`` on each, in pixels; ``rotation`` is
    in degrees, ``(n,)``. ``at`` is the place, in the order given, of the keyframe at or before each frame: attributes,
    ``occluded`` and ``z_order`` are held from there. ``keyframe`` says whether the frame is that keyframe itself.
    """

    frames: Ints
    points: list[Floats]
    rotation: Floats
    at: Ints
    keyframe: Bools


class _Track(NamedTuple):
    """Shapes of one kind, on frames in order."""

    kind: str
    frames: Ints  # (k,)
    points: list[Floats]
    rotation: Floats  # (k,)


def seen(
    kind: str,
    frames: Sequence[int],
    points: Points,
    rotation: Sequence[float] | Floats,
    outside: Sequence[bool] | Bools,
    last: int,
) -> Seen:
    """Every frame from the first keyframe to ``last`` (inclusive) on which the track is visible.

    The arguments have an entry per keyframe, in any order; of several on one frame, the last given one counts. An
    ``outside`` keyframe hides the track up to the next that is not. Shapes at keyframes are exactly those given.

    >>> found = seen("rectangle", [0, 2], [[0, 0, 4, 4], [2, 0, 6, 4]], [0, 0], [False, False], last=3)
    >>> found.frames.tolist(), found.points[1].tolist(), found.at.tolist()
    ([0, 1, 2, 3], [1.0, 0.0, 5.0, 4.0], [0, 0, 1, 1])
    """
    given = np.asarray(frames, np.int64)
    times, from_end = np.unique(given[::-1], return_index=True)
    order = given.size - 1 - from_end
    until = np.append(times[1:], last + 1) if times.size else times  # where each keyframe gives way to the next
    shown = np.where(np.asarray(outside, bool)[order], 0, np.minimum(until, last + 1) - times)
    count = np.maximum(shown, 0)
    at = np.repeat(np.arange(order.size), count)
    visible = np.arange(at.size) - np.repeat(np.cumsum(count) - count, count) + times[at]
    shapes = [np.asarray(points[i], np.float64) for i in order.tolist()]
    keyframes = _Track(kind, times, shapes, np.asarray(rotation, np.float64)[order])
    course, angles = _course(keyframes, at, visible)
    return Seen(visible, course, angles, order[at], visible == times[at])


def keys(
    kind: str, frames: Sequence[int] | Ints, points: Points, rotation: Sequence[float] | Floats, flagged: Bools
) -> Bools:
    """Which shapes of a dense track to send as keyframes, ``(n,)``, so that ``seen`` gives back all others.

    ``frames`` rise; a track that leaves a frame out is outside there, which is up to the sender. Keys are the
    ``flagged`` ones, the first and the last frame of each stretch without a gap, and as many more as it takes to be
    within 1e-6 pixels and degrees everywhere.
    """
    shapes = [np.asarray(one, np.float64) for one in points]
    dense = _Track(kind, np.asarray(frames, np.int64), shapes, np.asarray(rotation, np.float64))
    found = flagged.copy()
    found[:1] = found[-1:] = True
    gaps = np.flatnonzero(np.diff(dense.frames) > 1)
    found[gaps] = found[gaps + 1] = True
    straight = bool(_ways(dense)[0][:-1].all())
    if straight:
        found[1:-1] |= _bends(dense)
    elif kind not in _CURVES:
        found[1:] |= _changes(dense)
    while True:
        at = np.cumsum(found) - 1
        kept = [shapes[i] for i in np.flatnonzero(found).tolist()]
        off = _off(dense, *_course(_Track(kind, dense.frames[found], kept, dense.rotation[found]), at, dense.frames))
        if not straight:  # splitting where a curve is off the most would not bring the rest nearer
            off[off > _CLOSE] = np.inf
        worst = np.zeros(len(kept))
        np.maximum.at(worst, at, off)
        more = (off > _CLOSE) & (off == worst[at])
        if not more.any():
            return found
        found |= more


def _bends(track: _Track) -> Bools:
    """Which of the inner frames lie so far off the line of their two neighbours that they must be keys, ``(n - 2,)``.

    Between keys all lie on one line, so three of them, each within a distance of it, bend by four times that at most.
    """
    if len(track.points) < 3:
        return np.zeros(0, bool)
    bend = np.abs(np.diff(np.array(track.points), 2, axis=0)).max(axis=1, initial=0.0)
    turn = np.abs(np.diff(_turn(track.rotation[:-1], track.rotation[1:])))
    return np.asarray(np.maximum(bend, turn) > 4 * _CLOSE, bool)


def _changes(track: _Track) -> Bools:
    """Which shapes differ from the one before, ``(n - 1,)``."""
    moved = np.array([not np.array_equal(a, b) for a, b in pairwise(track.points)], bool)
    return np.asarray(moved | (np.diff(track.rotation) != 0), bool)


def _off(track: _Track, points: list[Floats], rotation: Floats) -> Floats:
    """How far other shapes are from those of a track: the largest difference of a number, ``(n,)``."""
    size = _sizes(track.points)
    same = np.flatnonzero(size == _sizes(points))
    off = np.full(size.size, np.inf)
    off[same] = np.abs(rotation - track.rotation)[same]
    if same.size:
        apart = np.concatenate([points[i] for i in same.tolist()])
        apart = np.abs(apart - np.concatenate([track.points[i] for i in same.tolist()]))
        np.maximum.at(off, np.repeat(same, size[same]), apart)
    return off


def _sizes(points: list[Floats]) -> Ints:
    return np.array([one.size for one in points], np.int64)


def _ways(track: _Track) -> tuple[Bools, Bools]:
    """From which shapes the way to the next is a line for each point, and from which it follows a curve, ``(k,)`` each.

    Elsewhere the shape is held; also where the server would fail, on numbers that do not fit the kind or each other.
    """
    size = _sizes(track.points)
    after = np.append(size[1:], -1)[: size.size]  # nothing follows the last
    lines = (size == after) & (track.kind in _LINEAR or (track.kind == "points") & (size == 2))
    pairs = (size % 2 == 0) & (after % 2 == 0) & (np.minimum(size, after) > 0)
    return lines, pairs & (track.kind in _CURVES)


def _course(track: _Track, at: Ints, frames: Ints) -> tuple[list[Floats], Floats]:
    """Points and rotation on each of the frames; ``at`` is the keyframe of the track at or before each, ``(n,)``."""
    points, rotation = [track.points[k] for k in at.tolist()], track.rotation[at]
    lines, curves = _ways(track)
    moving = frames > track.frames[at]
    on_line, on_curve = np.flatnonzero(moving & lines[at]), np.flatnonzero(moving & curves[at])
    if on_line.size:
        start, part = at[on_line], _part(track, at[on_line], frames[on_line])
        rotation[on_line] = _rotated(track.rotation[start], track.rotation[start + 1], part)
        for i, xy in zip(on_line.tolist(), _straight(track.points, lines, start, part), strict=True):
            points[i] = xy
    for here in np.split(on_curve, np.flatnonzero(np.diff(at[on_curve])) + 1) if on_curve.size else []:
        k = int(at[here[0]])
        part = _part(track, at[here], frames[here])
        curve = _curved(track.points[k], track.points[k + 1], part, closed=track.kind == "polygon")
        for i, xy in zip(here.tolist(), curve, strict=True):
            points[i] = xy
    return points, rotation


def _part(track: _Track, at: Ints, frames: Ints) -> Floats:
    """How much of the time between two keyframes has gone by on each frame, 0…1."""
    return np.asarray((frames - track.frames[at]) / (track.frames[at + 1] - track.frames[at]), np.float64)


def _turn(start: Floats, end: Floats) -> Floats:
    """The shorter turn from one rotation to another, in degrees, above -180 and below 180."""
    turn = np.asarray((end - start + 180) % 360 - 180, np.float64)
    turn[np.abs(turn) >= 180] = 1.0  # between opposite ones the server turns by one degree (2.15 to 2.73), so do we
    return turn


def _rotated(start: Floats, end: Floats, part: Floats) -> Floats:
    return np.asarray((start + _turn(start, end) * part + 360) % 360, np.float64)


def _straight(shapes: list[Floats], lines: Bools, start: Ints, part: Floats) -> Iterator[Floats]:
    """The points between the shape at ``start`` and the next, both of one size, for each part of the way."""
    size = _sizes(shapes)
    table = np.zeros((len(shapes), int(size[lines].max())))
    for row, xy in zip(table, shapes, strict=True):
        row[: xy.size] = xy[: row.size]  # what is longer has no line to the next
    way = table[start]
    way += (table[start + 1] - way) * part[:, None]
    return (row[:n] for row, n in zip(way, size[start].tolist(), strict=True))


def _curved(left: Floats, right: Floats, part: Floats, *, closed: bool) -> list[Floats]:
    """The points between two polylines, or polygons if ``closed``, for each part of the way."""
    a, b = left.reshape(-1, 2), right.reshape(-1, 2)
    if closed:  # the way back to the first point is a side like the others
        a, b = np.vstack([a, a[:1]]), np.vstack([b, b[:1]])
    i, j = _paired(_along(a), _along(b))
    course = a[i] + (b[j] - a[i]) * part[:, None, None]
    keep = np.ones(course.shape[:2], bool)
    for first, last, apart in _bunches(a, b, i, j):
        _thin(course, keep, first, last, apart)
    end = -1 if closed else None
    if keep.all():
        return list(course[:, :end].reshape(part.size, -1))
    return [xy[kept][:end].ravel() for xy, kept in zip(course, keep, strict=True)]


def _walked(path: Floats) -> Floats:
    """How long a path is up to each of its points, from 0."""
    return np.concatenate([[0.0], np.cumsum(_distance(path[1:], path[:-1]))])


def _along(path: Floats) -> Floats:
    """Where the points of a path lie on it, from 0 to 1; all at 0 if it has no length."""
    walked = _walked(path)
    return walked / walked[-1] if walked[-1] > 0 else walked


def _distance(a: Floats, b: Floats) -> Floats:
    gap = a - b
    return np.asarray(np.sqrt(gap[..., 0] * gap[..., 0] + gap[..., 1] * gap[..., 1]), np.float64)


def _paired(left: Floats, right: Floats) -> tuple[Ints, Ints]:
    """Pairs of points: each on the left with the nearest on the right, then each right one left over; in order."""
    near = _nearest(left, right)
    rest = np.setdiff1d(np.arange(right.size), near)
    i = np.concatenate([np.arange(left.size), _nearest(right[rest], left)])
    j = np.concatenate([near, rest])
    order = np.lexsort((j, i))
    return i[order], j[order]


def _nearest(values: Floats, rising: Floats) -> Ints:
    """The place of the nearest in ``rising`` for each value; of equally near ones the first."""
    above = np.minimum(np.searchsorted(rising, values), rising.size - 1)
    below = np.maximum(above - 1, 0)
    best = np.where(values - rising[below] <= np.abs(rising[above] - values), below, above)
    return np.searchsorted(rising, rising[best]).astype(np.int64)


def _bunches(a: Floats, b: Floats, i: Ints, j: Ints) -> Iterator[tuple[int, int, float]]:
    """Neighbouring pairs that share a point: the first, the last, and how far apart pairs stay that are both kept.

    That is half the mean step on the side that has more points. A point with several partners bunches by itself; only
    those with one each bunch over the partner that they share.
    """
    lone = np.bincount(i)[i] == 1
    shared = (i[1:] == i[:-1]) | (lone[1:] & lone[:-1] & (j[1:] == j[:-1]))
    edges = np.flatnonzero(np.concatenate([[True], ~shared, [True]]))
    for first, last in zip(edges[:-1].tolist(), (edges[1:] - 1).tolist(), strict=True):
        if first < last:
            path = b[j[first] : j[last] + 1] if i[first] == i[last] else a[i[first] : i[last] + 1]
            yield first, last, float(_walked(path)[-1]) / (2 * len(path))


def _thin(course: Floats, keep: Bools, first: int, last: int, apart: float) -> None:
    """Drop, on each frame, the pairs of a bunch that are too near to the one kept before; the ends stay.

    If only the ends are left and are too near as well, the one in the middle of them takes their place.
    """
    before, some = course[:, first].copy(), np.zeros(len(course), bool)
    for pair in range(first + 1, last):
        far = _distance(course[:, pair], before) >= apart
        keep[:, pair] = far
        before[far] = course[far, pair]
        some |= far
    one = ~some & (_distance(course[:, last], course[:, first]) < apart)
    course[one, first] = (course[one, first] + course[one, last]) / 2
    keep[one, last] = False
