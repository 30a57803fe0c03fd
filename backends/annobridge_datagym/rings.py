"""Rings: a mask <-> polygons along the edges of its pixels, so that whole numbers say it exactly.

Each region (pixels that touch by an edge) has one outer ring. DataGym's polygons have no holes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from annobridge.core.geometry import Mask, Rle, as_rle, decode_rle, polygon_mask

Vertex = tuple[int, int]


def of_mask(rle: Mapping[str, Any]) -> list[list[float]]:
    """The outer rings of a mask, clockwise, as flat x, y, … in pixels."""
    loops = _loops(np.pad(decode_rle(rle), 1))
    return [[float(v) for point in loop for v in point] for loop in loops if _area(loop) > 0]


def has_holes(rle: Mapping[str, Any]) -> bool:
    """Whether a mask has a hole, which its rings do not say."""
    return any(_area(loop) < 0 for loop in _loops(np.pad(decode_rle(rle), 1)))


def to_mask(parts: Sequence[Sequence[float]], size: Sequence[int]) -> Mask:
    """The pixels inside of at least one ring."""
    found = np.zeros((size[1], size[0]), bool)
    for part in parts:
        found |= inside(part, size)
    return found


def inside(part: Sequence[float], size: Sequence[int]) -> Mask:
    """The pixels inside of a ring."""
    return polygon_mask([(np.asarray(part, np.float64).reshape(-1, 2) / size).tolist()], size)


def mended(parts: Sequence[tuple[Sequence[float], bool]], was: Mapping[str, Any], size: Sequence[int]) -> Rle:
    """The mask of rings of which some (``True``) are as they were: there, the mask is what it was, holes and all."""
    before, found = decode_rle(was), np.zeros((size[1], size[0]), bool)
    for part, same in parts:
        found |= inside(part, size) & before if same else inside(part, size)
    return as_rle(found)


def _loops(mask: Mask) -> list[list[Vertex]]:
    """The edges between mask and rest as closed loops of corners, the mask on the right hand. ``mask`` is padded by one."""
    onward: dict[Vertex, list[Vertex]] = defaultdict(list)
    level = mask[1:, :].astype(np.int8) - mask[:-1, :]  # edges that lie level: 1 where the mask begins below
    upright = mask[:, 1:].astype(np.int8) - mask[:, :-1]
    for y, x in np.argwhere(level == 1).tolist():
        onward[x - 1, y].append((x, y))
    for y, x in np.argwhere(level == -1).tolist():
        onward[x, y].append((x - 1, y))
    for y, x in np.argwhere(upright == -1).tolist():
        onward[x, y - 1].append((x, y))
    for y, x in np.argwhere(upright == 1).tolist():
        onward[x, y].append((x, y - 1))
    loops = []
    for start in sorted(onward):
        while onward[start]:
            loops.append(_walk(onward, start))
    return loops


def _walk(onward: dict[Vertex, list[Vertex]], start: Vertex) -> list[Vertex]:
    first = here = onward[start].pop()
    heading = (here[0] - start[0], here[1] - start[1])
    corners: list[Vertex] = []
    while True:
        # Where pixels touch by a corner only, they are two regions: turn right, around this one.
        right = (here[0] - heading[1], here[1] + heading[0])
        ways = onward[here]
        if here == start and (not ways or right == first):
            break
        after = right if right in ways else ways[0]
        ways.remove(after)
        turned = (after[0] - here[0], after[1] - here[1])
        if turned != heading:
            corners.append(here)
        here, heading = after, turned
    return [start, *corners] if heading != (first[0] - start[0], first[1] - start[1]) else corners


def _area(loop: Sequence[Vertex]) -> int:
    """Twice the signed area: above 0 around a region, below 0 around a hole."""
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(loop, [*loop[1:], loop[0]], strict=True))
