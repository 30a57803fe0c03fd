"""The attributes that several annotators give to one object, by the vote of those who give it the class that it has."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import attributes
from ..arrays import Bools, Ints, as_array, not_null
from .shapes import Members
from .votes import vote


def voted_attributes(labels: pa.Table, members: Members, voters: Bools, preferred: pa.Array) -> pa.Array:
    """The column ``attributes`` of each group: of each attribute the value that most of the voters have, or none, if most lack it.

    Args:
        labels: ``LABELS``.
        members: the labels of each group.
        voters: which of the members count.
        preferred: the attributes that win where as many have another value, of each group.
    """
    count = len(members.medoids)
    names = sorted(attributes.names(as_array(labels["attributes"])) | attributes.names(preferred))
    if not names:
        return preferred
    members = Members(members.rows[voters], members.groups[voters], members.weights[voters], members.medoids)
    rows = as_array(labels["attributes"]).take(pa.array(members.rows))
    all_rows, parts = [], []
    for name in names:
        sides = [attributes.column(side, name) for side in (rows, preferred)]
        both = pa.concat_arrays(sides)
        codes = _codes(both)
        given, wanted = np.split(codes, [len(members.rows)])
        value = vote(members.groups, given, members.weights, count, wanted).value
        place = np.zeros(int(codes.max()) + 1, np.int64)
        place[codes[::-1]] = np.arange(len(codes))[::-1]
        chosen = both.take(pa.array(place[value]))
        at = np.flatnonzero(not_null(chosen))
        all_rows.append(at)
        parts.append(chosen.take(pa.array(at)))
    return attributes.build(np.concatenate(all_rows), pa.concat_arrays(parts), count)


def _codes(column: pa.StructArray) -> Ints:
    """A number for each attribute, by type and value, in the order of their texts; null comes first."""
    texts = pc.if_else(
        column.is_valid(), pc.binary_join_element_wise(column.field("value"), column.field("type"), "\0"), ""
    )
    encoded = texts.dictionary_encode()
    rank = np.empty(len(encoded.dictionary), np.int64)
    rank[pc.array_sort_indices(encoded.dictionary).to_numpy()] = np.arange(len(rank))
    found: Ints = rank[encoded.indices.to_numpy()]
    return found
