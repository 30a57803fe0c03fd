"""Which of the labels that were sent is each label of a consensus, and so the ids that it gets."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import Bools, Ints, as_array, as_mask, not_null, take_rows
from ..labels import TOOL_KEY
from ..lookup import look_up
from ..merge.assignment import assign
from ..similarity import sizes_of
from .shapes import Members

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


def known_labels(labels: pa.Table, members: Members, merged: pa.Table, base: pa.Table, samples: pa.Table) -> Known:
    """Find the labels of a consensus in the baseline: by the ids that its members have there, or else by place and class.

    Args:
        labels: ``REMOTE`` of all annotators.
        members: those of each label of the consensus.
        merged: the labels of the consensus, with their shapes.
        base: ``REMOTE``.
        samples: sample_id, width and height.
    """
    rows = _by_id(labels, members, base)
    free = np.ones(base.num_rows, bool)
    free[rows[rows >= 0]] = False
    rest, left = np.flatnonzero(rows < 0), np.flatnonzero(free)
    if rest.size and left.size:
        sides = [take_rows(base, left), merged.take(pa.array(rest))]
        unnamed = [side.set_column(0, side.schema.field(0), pa.nulls(side.num_rows, pa.string())) for side in sides]
        found = assign(unnamed[0], unnamed[1], (sizes_of(samples, sides[0]), sizes_of(samples, sides[1]))).rows
        rows[rest[found >= 0]] = left[found[found >= 0]]
    new = pc.binary_join_element_wise(_NEW, as_array(merged["annotator"]), as_array(merged["remote_id"]), "/")
    sent = as_array(take_rows(base, rows)["remote_id"])
    return Known(rows, pc.coalesce(sent, new), as_mask(pc.starts_with(sent, f"{_NEW}/")))


def _by_id(labels: pa.Table, members: Members, base: pa.Table) -> Ints:
    """The row of the baseline that most members of each group have the id of. A row that several groups have is that of the one
    in which most have it.
    """
    found = np.full(len(members.medoids), -1)
    row = look_up(labels, base, TOOL_KEY).at[members.rows] if base.num_rows else np.full(len(members.rows), -1)
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
    """The number of the track of each label: that of the baseline, or else the next one that is free on its sample.

    Args:
        merged: the labels of the consensus.
        clusters: the cluster of each, so that the labels of one track have one number.
        base: ``REMOTE``.
        rows: the row of the baseline that each label is; -1 for new ones.
    """
    own = as_array(merged["index"])
    if not own.is_valid().true_count:
        return own
    sent = as_array(take_rows(base, rows)["index"])
    numbers, samples = pc.coalesce(sent, own).to_pylist(), merged["sample_id"].to_pylist()
    of_cluster = {c: n for c, n in zip(clusters.tolist(), sent.to_pylist(), strict=True) if n is not None}
    taken: dict[str, int] = {}
    for table in (base, merged):
        top = table.select(["sample_id", "index"]).group_by("sample_id").aggregate([("index", "max")])
        for sample, number in zip(top["sample_id"].to_pylist(), top["index_max"].to_pylist(), strict=True):
            taken[sample] = max(taken.get(sample, 0), number or 0)
    free = Counter(taken)
    for at in np.flatnonzero(not_null(own)).tolist():
        cluster = int(clusters[at])
        if cluster not in of_cluster:
            free[samples[at]] += 1
            of_cluster[cluster] = free[samples[at]]
        numbers[at] = of_cluster[cluster]
    return pa.array(numbers, own.type)
