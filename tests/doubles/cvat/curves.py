"""Polygons and polylines between two keyframes: their points are paired by their position along the outline."""

from __future__ import annotations

from itertools import pairwise
from math import dist

Point = tuple[float, float]
Pairs = list[list[int]]  # for each point of the left line, its points on the right


def blended(left: list[float], right: list[float], share: float, *, closed: bool) -> list[float]:
    """The line `share` of the way from left to right."""
    first, second = points_of(left, closed), points_of(right, closed)
    pairs = paired(offsets(first), offsets(second))
    middle = [step(first[at], second[other], share) for at, others in enumerate(pairs) for other in others]
    found = thinned(middle, pairs, first, second)
    return [number for point in (found[:-1] if closed else found) for number in point]


def points_of(flat: list[float], closed: bool) -> list[Point]:
    points = list(zip(flat[::2], flat[1::2], strict=True))
    return [*points, points[0]] if closed else points


def step(a: Point, b: Point, share: float) -> Point:
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share


def length(points: list[Point]) -> float:
    return sum(dist(a, b) for a, b in pairwise(points))


def offsets(points: list[Point]) -> list[float]:
    """How far along the line each point is, from 0 to 1."""
    whole = length(points)
    return [length(points[: at + 1]) / whole for at in range(len(points))]


def nearest(value: float, others: list[float]) -> int:
    return min(range(len(others)), key=lambda at: abs(value - others[at]))


def paired(left: list[float], right: list[float]) -> Pairs:
    """Each left point has the nearest right one; right points that are left over join the nearest left one."""
    pairs = [[nearest(value, right)] for value in left]
    taken = {pair[0] for pair in pairs}
    for at, value in enumerate(right):
        if at not in taken:
            pairs[nearest(value, left)].append(at)
    return [sorted(pair) for pair in pairs]


def thinned(middle: list[Point], pairs: Pairs, left: list[Point], right: list[Point]) -> list[Point]:
    """Where several points came from one, those that lie closer together than half a mean segment are put together."""
    begins = [sum(len(pair) for pair in pairs[:at]) for at in range(len(pairs))]
    found: list[Point] = []
    at = 0
    while at < len(pairs):
        if len(pairs[at]) > 1:
            span = right[pairs[at][0] : pairs[at][-1] + 1]
            found += loosened(middle[begins[at] : begins[at] + len(pairs[at])], length(span), len(span))
            at += 1
            continue
        end = at
        while end + 1 < len(pairs) and pairs[end + 1] == pairs[at]:
            end += 1
        if end == at:
            found.append(middle[begins[at]])
        else:
            found += loosened(middle[begins[at] : begins[end] + 1], length(left[at : end + 1]), end - at + 1)
        at = end + 1
    return found


def loosened(points: list[Point], base: float, count: int) -> list[Point]:
    least = base / (2 * count)
    kept = [points[0]]
    for point in points[1:-1]:
        if dist(kept[-1], point) >= least:
            kept.append(point)
    kept.append(points[-1])
    if len(kept) == 2 and dist(*kept) < least:
        return [step(kept[0], kept[1], 0.5)]
    return kept
