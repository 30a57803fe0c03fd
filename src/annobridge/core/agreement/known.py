"""Which of the labels that were sent is each label of a consensus, and so the ids that it gets."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import Bools, Ints, as_array, as_mask, not_null, replace_values, take_rows
from ..codes import row_codes
from ..labels import TOOL_KEY
from ..lookup import look_up
from ..merge.assignment import assign
from ..similarity import sizes_of
from .shapes import Members
from .votes import vote

_NEW = "consensus"  # how the ids of labels begin that were not sent; a load has brought those of a baseline


class Known(NamedTuple):
    """The identity of each label of a consensus.

    Attributes:
        rows: the row of the baseline that it is; -1 for a new one.
        remote_ids: its id of the tool.
        is_accepted: whether an earlier load has brought it.
    """

    rows: Ints
    remote_ids: pa.Array
    is_accepted: Bools


def known_labels(
    by_id: Ints, has_quorum: Bools, merged: pa.Table, first: pa.Table, base: pa.Table, samples: pa.Table
) -> Known:
    """Find the labels of a consensus in the baseline: by the ids that their members have there, or else by place and class, first
    those that have the quorum.

    Args:
        by_id: the rows of the baseline that are known by ids; -1 for others.
        has_quorum: which labels have it.
        merged: the labels of the consensus, with their shapes and classes.
        first: the first member of each, which names it if it is new.
        base: ``REMOTE``.
        samples: sample_id, width and height.
    """
    rows = by_id.copy()
    for some in (has_quorum, ~has_quorum):
        free = np.ones(base.num_rows, bool)
        free[rows[rows >= 0]] = False
        rest, left = np.flatnonzero((rows < 0) & some), np.flatnonzero(free)
        if rest.size and left.size:
            sides = [take_rows(base, left), merged.take(pa.array(rest))]
            unnamed = [side.set_column(0, side.schema.field(0), pa.nulls(side.num_rows, pa.string())) for side in sides]
            found = assign(unnamed[0], unnamed[1], (sizes_of(samples, sides[0]), sizes_of(samples, sides[1]))).rows
            rows[rest[found >= 0]] = left[found[found >= 0]]
    new = pc.binary_join_element_wise(_NEW, as_array(first["annotator"]), as_array(first["remote_id"]), "/")
    sent = as_array(take_rows(base, rows)["remote_id"])
    return Known(rows, pc.coalesce(sent, new), as_mask(pc.starts_with(sent, f"{_NEW}/")))


def sent_rows(labels: pa.Table, base: pa.Table) -> Ints:
    """The row of the baseline that has the id of each label; -1 where none has it. Both are ``REMOTE``."""
    found: Ints = look_up(labels, base, TOOL_KEY).at if base.num_rows else np.full(labels.num_rows, -1)
    return found


def known_by_id(sent: Ints, members: Members, base: pa.Table) -> Ints:
    """The row of the baseline that most members of each group have the id of. A row that several groups have is that of the one
    in which most have it. ``sent`` are the ``sent_rows`` of the labels.
    """
    found = np.full(len(members.medoids), -1)
    row = sent[members.rows]
    at = np.flatnonzero(row >= 0)
    if not at.size:
        return found
    codes, inverse = np.unique(members.groups[at] * base.num_rows + row[at], return_inverse=True)
    weight = np.bincount(inverse, members.weights[at])
    group, of_base = codes // base.num_rows, codes % base.num_rows
    best = np.lexsort((group, -weight))  # the first of each group, and of each row, that is not taken
    taken = np.zeros(base.num_rows, bool)
    if len(np.unique(group)) == len(group) and len(np.unique(of_base)) == len(group):
        found[group] = of_base
        return found
    for n in best.tolist():
        if found[group[n]] < 0 and not taken[of_base[n]]:
            found[group[n]], taken[of_base[n]] = of_base[n], True
    return found


def track_numbers(merged: pa.Table, clusters: Ints, base: pa.Table, rows: Ints) -> pa.Array:
    """The ``index`` of each label: that of the baseline, or else its own one, or the next of its sample that no other track has.

    Args:
        merged: the labels of the consensus.
        clusters: the cluster of each, so that the labels of one track have one number.
        base: ``REMOTE``.
        rows: the row of the baseline that each label is; -1 for new ones.
    """
    sent = as_array(take_rows(base, rows)["index"])
    found = pc.coalesce(sent, as_array(merged["index"]))
    at = np.flatnonzero(not_null(found) & not_null(merged["frame_number"]))
    if not at.size:
        return found
    merged, clusters = take_rows(merged, at), clusters[at]
    places, of_base = row_codes([merged, base], ("sample_id", "field", "kind"))
    reserved = _numbers_of(of_base, as_array(base["index"]))
    last = Counter({place: max(numbers) for place, numbers in reserved.items()})
    for place, numbers in _numbers_of(places, as_array(merged["index"])).items():
        last[place] = max(last[place], *numbers)
    tracks, first = np.unique(clusters, return_index=True)
    wanted, frames = _most(clusters, as_array(sent.take(pa.array(at))))
    own, _ = _most(clusters, as_array(merged["index"]))
    chosen = np.zeros(len(tracks), np.int64)
    taken = set()
    for track in np.lexsort((tracks, -frames)).tolist():  # what was sent first, that of most frames first
        place = int(places[first[track]])
        number = int(wanted[track])
        if number < 0 or (place, number) in taken:
            number = int(own[track])
            if number in reserved.get(place, ()) or (place, number) in taken:
                last[place] += 1
                number = last[place]
        taken.add((place, number))
        chosen[track] = number
    return replace_values(found, at, pa.array(chosen[np.searchsorted(tracks, clusters)], found.type))


def _numbers_of(places: Ints, numbers: pa.Array) -> dict[int, set[int]]:
    """The numbers that there are at each place."""
    has = not_null(numbers)
    pairs = np.unique(np.stack([places[has], numbers.drop_null().to_numpy()]), axis=1)
    found: dict[int, set[int]] = {}
    for place, number in pairs.T.tolist():
        found.setdefault(place, set()).add(number)
    return found


def _most(clusters: Ints, numbers: pa.Array) -> tuple[Ints, Ints]:
    """The number that most labels of each cluster have, in the order of the clusters, and how many; -1 and 0 where none has one."""
    tracks, of_track = np.unique(clusters, return_inverse=True)
    found, count = np.full(len(tracks), -1), np.zeros(len(tracks), np.int64)
    has = not_null(numbers)
    if has.any():
        some, groups = np.unique(of_track[has], return_inverse=True)
        votes = vote(groups, numbers.drop_null().to_numpy().astype(np.int64), np.ones(len(groups)), len(some))
        found[some], count[some] = votes.value, votes.weight
    return found, count
