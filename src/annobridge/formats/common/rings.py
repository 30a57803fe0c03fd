"""Rings: the outlines of masks, and holes bridged into the ring around them for formats that have one ring per label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ring = npt.NDArray[np.float64]  # (points, 2)


def without_holes(parts: Sequence[Ring]) -> list[Ring]:
    """Outer rings, each with the rings inside it bridged into it where the two are nearest.

    >>> square = np.array([[0, 0], [9, 0], [9, 9], [0, 9]], float)
    >>> [ring.shape for ring in without_holes([square, square / 3 + 2])]
    [(10, 2)]
    """
    rings = []
    for outer, holes in with_holes(parts):
        for hole in holes:
            outer = _bridged(outer, hole)
        rings.append(outer)
    return rings


def with_holes(parts: Sequence[Ring]) -> list[tuple[Ring, list[Ring]]]:
    """Outer rings, each with the rings that are holes in it."""
    if len(parts) == 1:
        return [(parts[0], [])]
    inside = np.array(
        [[i != j and _contains(parts[j], parts[i][0]) for j in range(len(parts))] for i in range(len(parts))]
    )
    depth = inside.sum(axis=1)
    rings = {i: (parts[i], list[Ring]()) for i in range(len(parts)) if depth[i] % 2 == 0}
    for i in np.flatnonzero(depth % 2).tolist():
        owner = next((j for j in np.flatnonzero(inside[i]).tolist() if depth[j] == depth[i] - 1), None)
        if owner in rings:
            rings[owner][1].append(parts[i])
    return list(rings.values())


def outlines(mask: npt.NDArray[np.bool_]) -> list[Ring]:
    """The outlines of a mask along the edges of its pixels, holes too: painted again, they give the same mask.

    >>> [ring.tolist() for ring in outlines(np.ones((1, 2), bool))]
    [[[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]]]
    """
    padded = np.pad(mask, 1).astype(np.int8)
    down, across = np.diff(padded, axis=0)[:, 1:-1], np.diff(padded, axis=1)[1:-1]
    # Edges run with the mask on their right, as seen: along the upper border to the right, and so on round.
    edges: dict[tuple[int, int], list[tuple[int, int]]] = {}  # where they start, as (y, x) → their steps
    for where, shift, step in (
        (down > 0, (0, 0), (0, 1)), (down < 0, (0, 1), (0, -1)), (across < 0, (0, 0), (1, 0)), (across > 0, (1, 0), (-1, 0)),
    ):  # fmt: skip
        for y, x in np.argwhere(where).tolist():
            edges.setdefault((y + shift[0], x + shift[1]), []).append(step)
    crossings = {at for at, steps in edges.items() if len(steps) > 1}
    rings = []
    while edges:
        at = next(iter(edges))
        step, before, corners = edges[at][0], (0, 0), list[tuple[int, int]]()
        while at in edges and step in edges[at]:
            if step != before:
                corners.append((at[1], at[0]))
            edges[at].remove(step)
            if not edges[at]:
                del edges[at]
            at, before = (at[0] + step[0], at[1] + step[1]), step
            # Where two pixels meet in a corner only, turn right: they are two shapes there.
            step = (step[1], -step[0]) if at in crossings else edges[at][0] if at in edges else step
        rings.append(np.array(corners, float))
    return rings


def _contains(ring: Ring, point: Ring) -> bool:
    """Whether a point is inside a ring, by the even-odd rule."""
    (x1, y1), (x2, y2) = ring.T, np.roll(ring, -1, axis=0).T
    with np.errstate(all="ignore"):
        crossed = ((y1 > point[1]) != (y2 > point[1])) & (point[0] < (x2 - x1) * (point[1] - y1) / (y2 - y1) + x1)
    return bool(crossed.sum() % 2)


def _bridged(outer: Ring, hole: Ring) -> Ring:
    """One ring that goes from the outer ring to the hole, round it, and back."""
    if _area(outer) * _area(hole) > 0:
        hole = hole[::-1]
    distance = ((outer[:, None] - hole[None]) ** 2).sum(axis=-1)
    i, j = np.unravel_index(distance.argmin(), distance.shape)
    return np.concatenate([outer[: i + 1], hole[j:], hole[: j + 1], outer[i:]])


def _area(ring: Ring) -> float:
    x, y = ring.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1))
