"""Masks <-> polygons along the edges of their pixels, which integers represent exactly.

Each region (pixels that touch by an edge) has one outer polygon. Polygons of DataGym have no holes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from annobridge.core.geometry import Mask, Rle, as_rle, decode_rle, polygon_mask

Vertex = tuple[int, int]


def from_rle(rle: Mapping[str, Any]) -> list[list[float]]:
    """The outer polygons of an RLE mask, clockwise, as flat x, y, … in pixels."""
    loops = _boundary_loops(np.pad(decode_rle(rle), 1))
    return [[float(v) for point in loop for v in point] for loop in loops if _signed_area(loop) > 0]


def to_mask(polygons: Sequence[Sequence[float]], size: Sequence[int]) -> Mask:
    """The boolean mask of the pixels inside at least one polygon. ``size`` is width and height."""
    mask = np.zeros((size[1], size[0]), bool)
    for polygon in polygons:
        mask |= pixels_inside(polygon, size)
    return mask


def pixels_inside(polygon: Sequence[float], size: Sequence[int]) -> Mask:
    """The boolean mask of the pixels inside a polygon, in pixels. ``size`` is width and height."""
    return polygon_mask([(np.asarray(polygon, np.float64).reshape(-1, 2) / size).tolist()], size)


def updated_rle(
    polygons: Sequence[tuple[Sequence[float], bool]], before: Mapping[str, Any], size: Sequence[int]
) -> Rle:
    """The RLE mask of polygons, each with whether it is as it was sent. Inside those, the mask is as it was, holes included."""
    old, mask = decode_rle(before), np.zeros((size[1], size[0]), bool)
    for polygon, unchanged in polygons:
        mask |= pixels_inside(polygon, size) & old if unchanged else pixels_inside(polygon, size)
    return as_rle(mask)


def _boundary_loops(mask: Mask) -> list[list[Vertex]]:
    """The edges between a mask and the rest as closed loops of corners, with the mask to their right.

    ``mask`` is padded by one pixel on each side; the corners are those of the mask without the padding.
    """
    successors: dict[Vertex, list[Vertex]] = defaultdict(list)
    horizontal = mask[1:, :].astype(np.int8) - mask[:-1, :]  # 1 where the mask begins below the edge, -1 where it ends
    vertical = mask[:, 1:].astype(np.int8) - mask[:, :-1]
    for y, x in np.argwhere(horizontal == 1).tolist():
        successors[x - 1, y].append((x, y))
    for y, x in np.argwhere(horizontal == -1).tolist():
        successors[x, y].append((x - 1, y))
    for y, x in np.argwhere(vertical == -1).tolist():
        successors[x, y - 1].append((x, y))
    for y, x in np.argwhere(vertical == 1).tolist():
        successors[x, y].append((x, y - 1))
    loops = []
    for start in sorted(successors):
        while successors[start]:
            loops.append(_follow_loop(successors, start))
    return loops


def _follow_loop(successors: dict[Vertex, list[Vertex]], start: Vertex) -> list[Vertex]:
    """The corners of a loop from ``start``, whose edges are taken out of ``successors``."""
    first = here = successors[start].pop()
    direction = (here[0] - start[0], here[1] - start[1])
    corners: list[Vertex] = []
    while True:
        # Pixels that touch by a corner only are two regions: turn right there, to stay on the boundary of this one.
        right = (here[0] - direction[1], here[1] + direction[0])
        candidates = successors[here]
        if here == start and (not candidates or right == first):
            break
        following = right if right in candidates else candidates[0]
        candidates.remove(following)
        new_direction = (following[0] - here[0], following[1] - here[1])
        if new_direction != direction:
            corners.append(here)
        here, direction = following, new_direction
    return [start, *corners] if direction != (first[0] - start[0], first[1] - start[1]) else corners


def _signed_area(loop: Sequence[Vertex]) -> int:
    """Twice the signed area: positive around a region, negative around a hole."""
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(loop, [*loop[1:], loop[0]], strict=True))
