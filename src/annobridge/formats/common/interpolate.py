"""Interpolation of tracks: the shape on every frame as the CVAT server computes it, and which keyframes to send.

CVAT's API has only the keyframes of a track; the server computes the other shapes when it shows or exports them. Coordinates
are pixels and rotations degrees. Between two keyframes

* rectangles, ellipses, cuboids, skeletons and single points are interpolated linearly, rotations along the shorter way;
* the points of polygons and polylines are paired along the outlines, and pairs that are too close to each other are merged;
* masks and sets of several points stay as they are until the next keyframe.

The arrays of points that are returned are views, some of them of the arguments: do not write to them.
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
_TOLERANCE = 1e-6  # pixels and degrees


@dataclass(frozen=True, slots=True)
class VisibleFrames:
    """The frames on which a track is visible, in order.

    Attributes:
        frames: their numbers, shape (n,).
        points: ``x, y, x, y, …`` in pixels, for each.
        rotation: degrees, shape (n,).
        at: the index, among the keyframes as they were given, of the one on or before each frame, shape (n,). Attributes,
            ``occluded`` and ``z_order`` are those of this keyframe.
        keyframe: whether the frame is this keyframe itself, shape (n,).
    """

    frames: Ints
    points: list[Floats]
    rotation: Floats
    at: Ints
    keyframe: Bools


class _Track(NamedTuple):
    """Shapes of one type, in the order of their frames."""

    kind: str
    frames: Ints  # (k,)
    points: list[Floats]
    rotation: Floats  # (k,)


def visible_frames(
    kind: str,
    frames: Sequence[int],
    points: Points,
    rotation: Sequence[float] | Floats,
    outside: Sequence[bool] | Bools,
    last: int,
) -> VisibleFrames:
    """Every frame from the first keyframe to ``last`` (inclusive) on which the track is visible.

    Args:
        kind: CVAT's type of the shapes.
        frames: the frame of each keyframe, in any order. If several are on one frame, the last of them counts.
        points: ``x, y, x, y, …`` of each keyframe, in pixels.
        rotation: degrees, of each keyframe.
        outside: whether the track is hidden from this keyframe up to the next one that is not outside.
        last: the last frame.

    Returns:
        The shapes; those on keyframes are exactly the given ones.

    >>> found = visible_frames("rectangle", [0, 2], [[0, 0, 4, 4], [2, 0, 6, 4]], [0, 0], [False, False], last=3)
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
    between, angles = _interpolated(keyframes, at, visible)
    return VisibleFrames(visible, between, angles, order[at], visible == times[at])


def needed_keyframes(
    kind: str, frames: Sequence[int] | Ints, points: Points, rotation: Sequence[float] | Floats, flagged: Bools
) -> Bools:
    """Which shapes of a track that has one on every frame have to be keyframes, so that ``visible_frames`` gives all the others.

    Args:
        kind: CVAT's type of the shapes.
        frames: the frame of each shape, rising. The track is outside on frames that are left out.
        points: ``x, y, x, y, …`` of each shape, in pixels.
        rotation: degrees, of each shape.
        flagged: the shapes that are keyframes in any case.

    Returns:
        A boolean for each shape: the flagged ones, the first and the last of each stretch without a gap, and as many more as
        it takes to be within 1e-6 pixels and degrees everywhere.
    """
    shapes = [np.asarray(one, np.float64) for one in points]
    dense = _Track(kind, np.asarray(frames, np.int64), shapes, np.asarray(rotation, np.float64))
    is_key = flagged.copy()
    is_key[:1] = is_key[-1:] = True
    gaps = np.flatnonzero(np.diff(dense.frames) > 1)
    is_key[gaps] = is_key[gaps + 1] = True
    is_linear = bool(_interpolation(dense)[0][:-1].all())
    if is_linear:
        is_key[1:-1] |= _bends(dense)
    elif kind not in _CURVES:
        is_key[1:] |= _changes(dense)
    # Interpolate between the keyframes so far; in each stretch, add those that are off the most, until none is off.
    while True:
        at = np.cumsum(is_key) - 1
        kept = [shapes[i] for i in np.flatnonzero(is_key).tolist()]
        keyframes = _Track(kind, dense.frames[is_key], kept, dense.rotation[is_key])
        error = _errors(dense, *_interpolated(keyframes, at, dense.frames))
        if not is_linear:  # another keyframe on a curve does not bring the rest nearer: add all that are off
            error[error > _TOLERANCE] = np.inf
        worst = np.zeros(len(kept))
        np.maximum.at(worst, at, error)
        more = (error > _TOLERANCE) & (error == worst[at])
        if not more.any():
            return is_key
        is_key |= more


def _bends(track: _Track) -> Bools:
    """Which of the inner frames are so far off the line between their two neighbours that they must be keyframes, shape (n - 2,).

    Between keyframes all shapes are on one line; three that are each within a distance of it bend by four times that at most.
    """
    if len(track.points) < 3:
        return np.zeros(0, bool)
    bend = np.abs(np.diff(np.array(track.points), 2, axis=0)).max(axis=1, initial=0.0)
    turn = np.abs(np.diff(_turn(track.rotation[:-1], track.rotation[1:])))
    return np.asarray(np.maximum(bend, turn) > 4 * _TOLERANCE, bool)


def _changes(track: _Track) -> Bools:
    """Which shapes differ from the one before, shape (n - 1,)."""
    moved = np.array([not np.array_equal(a, b) for a, b in pairwise(track.points)], bool)
    return np.asarray(moved | (np.diff(track.rotation) != 0), bool)


def _errors(track: _Track, points: list[Floats], rotation: Floats) -> Floats:
    """The largest difference in a coordinate or the rotation between other shapes and those of a track, shape (n,)."""
    size = _sizes(track.points)
    same = np.flatnonzero(size == _sizes(points))
    error = np.full(size.size, np.inf)
    error[same] = np.abs(rotation - track.rotation)[same]
    if same.size:
        difference = np.concatenate([points[i] for i in same.tolist()])
        difference = np.abs(difference - np.concatenate([track.points[i] for i in same.tolist()]))
        np.maximum.at(error, np.repeat(same, size[same]), difference)
    return error


def _sizes(points: list[Floats]) -> Ints:
    return np.array([one.size for one in points], np.int64)


def _interpolation(track: _Track) -> tuple[Bools, Bools]:
    """From which shapes to the next the points are interpolated linearly, and from which along outlines, shape (k,) each.

    Otherwise the shape stays; also where the server would fail, as the numbers of coordinates fit neither the type nor each
    other.
    """
    size = _sizes(track.points)
    after = np.append(size[1:], -1)[: size.size]  # nothing follows the last
    linear = (size == after) & (track.kind in _LINEAR or (track.kind == "points") & (size == 2))
    pairs = (size % 2 == 0) & (after % 2 == 0) & (np.minimum(size, after) > 0)
    return linear, pairs & (track.kind in _CURVES)


def _interpolated(track: _Track, at: Ints, frames: Ints) -> tuple[list[Floats], Floats]:
    """Points and rotation on each of the frames. ``at`` is the index of the keyframe on or before each, shape (n,)."""
    points, rotation = [track.points[k] for k in at.tolist()], track.rotation[at]
    linear, curved = _interpolation(track)
    is_between = frames > track.frames[at]
    on_line, on_curve = np.flatnonzero(is_between & linear[at]), np.flatnonzero(is_between & curved[at])
    if on_line.size:
        start, fraction = at[on_line], _fraction(track, at[on_line], frames[on_line])
        rotation[on_line] = _rotated(track.rotation[start], track.rotation[start + 1], fraction)
        for i, xy in zip(on_line.tolist(), _on_lines(track.points, linear, start, fraction), strict=True):
            points[i] = xy
    # Curves are computed for all frames between two keyframes at once.
    for stretch in np.split(on_curve, np.flatnonzero(np.diff(at[on_curve])) + 1) if on_curve.size else []:
        k = int(at[stretch[0]])
        fraction = _fraction(track, at[stretch], frames[stretch])
        curve = _on_curves(track.points[k], track.points[k + 1], fraction, closed=track.kind == "polygon")
        for i, xy in zip(stretch.tolist(), curve, strict=True):
            points[i] = xy
    return points, rotation


def _fraction(track: _Track, at: Ints, frames: Ints) -> Floats:
    """The position of each frame between its two keyframes, 0 to 1."""
    return np.asarray((frames - track.frames[at]) / (track.frames[at + 1] - track.frames[at]), np.float64)


def _turn(start: Floats, end: Floats) -> Floats:
    """The shorter way from one rotation to another, in degrees, above -180 and below 180."""
    turn = np.asarray((end - start + 180) % 360 - 180, np.float64)
    turn[np.abs(turn) >= 180] = 1.0  # between opposite rotations the server (2.15 to 2.73) turns by one degree
    return turn


def _rotated(start: Floats, end: Floats, fraction: Floats) -> Floats:
    return np.asarray((start + _turn(start, end) * fraction + 360) % 360, np.float64)


def _on_lines(shapes: list[Floats], linear: Bools, start: Ints, fraction: Floats) -> Iterator[Floats]:
    """The points between the shape at each ``start`` and the next one, which has as many points, at each fraction."""
    size = _sizes(shapes)
    table = np.zeros((len(shapes), int(size[linear].max())))
    for row, xy in zip(table, shapes, strict=True):
        row[: xy.size] = xy[: row.size]  # a longer shape is not interpolated linearly
    between = table[start]
    between += (table[start + 1] - between) * fraction[:, None]
    return (row[:n] for row, n in zip(between, size[start].tolist(), strict=True))


def _on_curves(left: Floats, right: Floats, fraction: Floats, *, closed: bool) -> list[Floats]:
    """The points between two polylines, or polygons if ``closed``, at each fraction."""
    a, b = left.reshape(-1, 2), right.reshape(-1, 2)
    if closed:  # repeat the first point, so that the side back to it is one like the others
        a, b = np.vstack([a, a[:1]]), np.vstack([b, b[:1]])
    i, j = _pairs(_relative_lengths(a), _relative_lengths(b))
    between = a[i] + (b[j] - a[i]) * fraction[:, None, None]  # (fractions, pairs, 2)
    keep = np.ones(between.shape[:2], bool)
    for first, last, distance in _groups(a, b, i, j):
        _thin(between, keep, first, last, distance)
    end = -1 if closed else None
    if keep.all():
        return list(between[:, :end].reshape(fraction.size, -1))
    return [xy[kept][:end].ravel() for xy, kept in zip(between, keep, strict=True)]


def _lengths(path: Floats) -> Floats:
    """The length of a path up to each of its points, from 0."""
    return np.concatenate([[0.0], np.cumsum(_distance(path[1:], path[:-1]))])


def _relative_lengths(path: Floats) -> Floats:
    """The same from 0 to 1; all 0 for a path without length."""
    lengths = _lengths(path)
    return lengths / lengths[-1] if lengths[-1] > 0 else lengths


def _distance(a: Floats, b: Floats) -> Floats:
    gap = a - b
    return np.asarray(np.sqrt(gap[..., 0] * gap[..., 0] + gap[..., 1] * gap[..., 1]), np.float64)


def _pairs(left: Floats, right: Floats) -> tuple[Ints, Ints]:
    """Pairs of points, in order: each left one with the nearest right one, and each remaining right one with its nearest left."""
    nearest = _nearest(left, right)
    rest = np.setdiff1d(np.arange(right.size), nearest)
    i = np.concatenate([np.arange(left.size), _nearest(right[rest], left)])
    j = np.concatenate([nearest, rest])
    order = np.lexsort((j, i))
    return i[order], j[order]


def _nearest(values: Floats, rising: Floats) -> Ints:
    """The index of the nearest number in ``rising`` for each value; the first of equally near ones."""
    above = np.minimum(np.searchsorted(rising, values), rising.size - 1)
    below = np.maximum(above - 1, 0)
    best = np.where(values - rising[below] <= np.abs(rising[above] - values), below, above)
    return np.searchsorted(rising, rising[best]).astype(np.int64)


def _groups(a: Floats, b: Floats, i: Ints, j: Ints) -> Iterator[tuple[int, int, float]]:
    """Groups of neighbouring pairs that share a point: the first pair, the last, and the least distance between two kept ones.

    The distance is half the mean distance of the points on the side that has several. The pairs of a left point with several
    partners are a group; left points with one partner each form a group if it is the same one.
    """
    single = np.bincount(i)[i] == 1
    shared = (i[1:] == i[:-1]) | (single[1:] & single[:-1] & (j[1:] == j[:-1]))
    edges = np.flatnonzero(np.concatenate([[True], ~shared, [True]]))
    for first, last in zip(edges[:-1].tolist(), (edges[1:] - 1).tolist(), strict=True):
        if first < last:
            path = b[j[first] : j[last] + 1] if i[first] == i[last] else a[i[first] : i[last] + 1]
            yield first, last, float(_lengths(path)[-1]) / (2 * len(path))


def _thin(between: Floats, keep: Bools, first: int, last: int, distance: float) -> None:
    """Drop, on each frame, the pairs of a group that are nearer than ``distance`` to the last kept one; the ends stay.

    If only the two ends are left, and they are too near as well, a point half-way between them replaces both. Changes
    ``between`` and ``keep``.
    """
    previous, has_inner = between[:, first].copy(), np.zeros(len(between), bool)
    for pair in range(first + 1, last):
        is_far = _distance(between[:, pair], previous) >= distance
        keep[:, pair] = is_far
        previous[is_far] = between[is_far, pair]
        has_inner |= is_far
    is_merged = ~has_inner & (_distance(between[:, last], between[:, first]) < distance)
    between[is_merged, first] = (between[is_merged, first] + between[is_merged, last]) / 2
    keep[is_merged, last] = False
