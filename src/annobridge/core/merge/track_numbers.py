"""Numbers of tracks: a file may number the tracks anew, so that they are known by the labels that are in them."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pyarrow as pa

from ..arrays import Ints, as_array, not_null
from ..labels import REMOTE

_SAME = 0.5  # of the labels that are known: if as many have the number that was sent, the file has the numbers of the dataset
_FEW = 3  # labels that tell nothing about how the file numbers its tracks


def numbers_as_sent(base: pa.Table, theirs: pa.Table, rows: Ints) -> pa.Array:
    """The column ``index`` of an answer, in the numbers that were sent.

    Tracks are numbered by video, and across images. If most labels have other numbers than they were sent with, a track of the file
    is the one in which most of its labels were sent; others are new, and get numbers that are free.

    Args:
        base: what was sent (``REMOTE``).
        theirs: the answer, with columns of ``REMOTE``.
        rows: for each label of the answer, the row of ``base`` that it is, or -1.
    """
    told = as_array(theirs["index"])
    if told.null_count == len(told):
        return told
    group = _groups(theirs)
    there = told.fill_null(-1).to_numpy().astype(np.int64)
    sent = np.full(len(there), -1, np.int64)
    known = rows >= 0
    sent[known] = as_array(base["index"]).fill_null(-1).to_numpy()[rows[known]]
    numbers = there.copy()
    taken = _numbers_of(base)
    for name in np.unique(group).tolist():
        at = np.flatnonzero((group == name) & (there >= 0))
        both = at[sent[at] >= 0]
        if both.size >= _FEW and (there[both] == sent[both]).mean() < _SAME:
            tracks = _same_tracks(there[both], sent[both])
            free = max([*taken[name], *sent[both].tolist()]) + 1
            for number in np.unique(there[at]).tolist():
                if number not in tracks:
                    tracks[number], free = free, free + 1
            numbers[at] = [tracks[number] for number in there[at].tolist()]
    return pa.array(numbers, REMOTE.field("index").type, mask=~not_null(told))


def _groups(labels: pa.Table) -> np.ndarray:
    """The video of each label; empty for labels on images."""
    samples = as_array(labels["sample_id"]).to_numpy(zero_copy_only=False)
    return np.where(not_null(labels["frame_number"]), samples, "")


def _numbers_of(labels: pa.Table) -> dict[str, set[int]]:
    found: dict[str, set[int]] = defaultdict(lambda: {0})
    pairs = (
        pa.table({"group": _groups(labels), "index": as_array(labels["index"])})
        .group_by(["group", "index"])
        .aggregate([])
    )
    for row in pairs.to_pylist():
        if row["index"] is not None:
            found[row["group"]].add(row["index"])
    return found


def _same_tracks(there: Ints, sent: Ints) -> dict[int, int]:
    """Numbers of the file → numbers that were sent, one to one, those with the most labels in common first."""
    pairs, counts = np.unique(np.stack([there, sent], axis=1), axis=0, return_counts=True)
    found: dict[int, int] = {}
    taken: set[int] = set()
    for n in np.argsort(-counts, kind="stable").tolist():
        a, b = pairs[n].tolist()
        if a not in found and b not in taken:
            found[a] = b
            taken.add(b)
    return found
