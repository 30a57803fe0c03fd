"""The check of labels that are added where there is an equal one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import Bools, Ints, as_mask, index_of
from ..core.codes import row_codes
from ..core.similarity import REFINED, extents, overlaps, refined
from . import groups
from .base import Evidence, Finding, Floats

_TURN = 10.0  # degrees, by which two turned boxes of equal extent may differ to be duplicates
_PLACE = ("sample_id", "frame_number", "field", "kind", "label")  # only labels that are equal in these are compared
_CHUNK = 1_000_000  # pairs that are compared at once


def duplicates(evidence: Evidence, *, limit: float = 0.9) -> Iterator[Finding]:
    """Added labels would lie on another label of their field, kind and class, on the same image or frame.

    Args:
        evidence: what the load would do.
        limit: the overlap from which on two shapes count as one (intersection over union, above 0 and up to 1).
    """
    after, added = evidence.after, evidence.added()
    of_change = index_of(after["label_id"], added["label_id"])
    doubled, on = pairs(after, as_mask(of_change.is_valid()), limit, evidence.sizes(after["sample_id"]))
    found = added.take(of_change.take(pa.array(doubled)))
    found = found.append_column("other", after["label_id"].take(pa.array(on)))
    for key, part in groups.by(found, "field", "label"):
        first, other = part["label_id"][0].as_py(), part["other"][0].as_py()
        yield Finding(
            f"{groups.labels(part.num_rows, *key)} would be added where there is another one, with an overlap of at least "
            f"{groups.percent(limit)} (the first: {first!r} on {other!r}).",
            part["change_id"],
        )


def pairs(labels: pa.Table, wanted: Bools, limit: float, sizes: Floats) -> tuple[Ints, Ints]:
    """The rows at which ``wanted`` is true that overlap another row by ``limit`` or more, and one such row for each.

    Args:
        labels: ``LABELS``.
        wanted: a mask of rows.
        limit: above 0.
        sizes: width and height of the image of each row, in pixels; NaN if they are not known.
    """
    limit, sides = max(limit, 0.01), extents(labels, sizes)
    has_area = np.isfinite(sides).all(axis=1) & (sides[:, 2:] > sides[:, :2]).all(axis=1)
    rows = np.flatnonzero(has_area)
    sides, place = sides[rows], row_codes([labels.take(pa.array(rows))], _PLACE)[0]
    # Overlapping by ``limit`` means that the left sides differ by at most a share of the width. So all partners of a row are in one
    # range of the rows sorted by place and left side; both are in one number, as the sides are clipped to [-1, 2].
    _, place = np.unique(place, return_inverse=True)
    at = 4.0 * place + np.clip(sides[:, 0], -1, 2)
    order = np.argsort(at, kind="stable")
    reach = np.minimum((sides[:, 2] - sides[:, 0]) * (1 / limit - 1), 3) + 1e-6
    ask = np.flatnonzero(wanted[rows])
    start = np.searchsorted(at[order], at[ask] - reach[ask], "left")
    stop = np.searchsorted(at[order], at[ask] + reach[ask], "right")
    found: dict[int, int] = {}
    for part in np.array_split(np.arange(len(ask)), int((stop - start).sum()) // _CHUNK + 1):
        counts = stop[part] - start[part]
        a = np.repeat(ask[part], counts)
        b = order[np.arange(len(a)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(start[part], counts)]
        same = (a != b) & (place[a] == place[b])
        a, b = a[same], b[same]
        near = overlaps(sides[a], sides[b]) >= limit
        a, b = a[near], b[near]
        windows = np.hstack([np.minimum(sides[a, :2], sides[b, :2]), np.maximum(sides[a, 2:], sides[b, 2:])])
        _confirm(labels, rows[a], rows[b], limit, windows, found)
    doubled = np.array(sorted(found), np.int64)
    return doubled, np.array([found[row] for row in doubled.tolist()], np.int64)


def _confirm(labels: pa.Table, a: Ints, b: Ints, limit: float, windows: Floats, found: dict[int, int]) -> None:
    """Add the pairs that are alike in more than their extents: those of points and areas, and of turned boxes."""
    turns = pc.fill_null(labels["rotation"], 0.0).to_numpy()
    turn = np.abs((turns[a] - turns[b] + 90) % 180 - 90)
    kinds = labels["kind"].take(pa.array(a)).to_pylist()
    for row, other, kind, degrees, window in zip(a.tolist(), b.tolist(), kinds, turn, windows, strict=True):
        if row in found or degrees > _TURN:
            continue
        if kind in REFINED:
            shape, shape_below = labels.take(pa.array([row, other])).to_pylist()
            if not refined(shape, shape_below, window) >= limit:  # NaN of points that cannot be compared
                continue
        found[row] = other
