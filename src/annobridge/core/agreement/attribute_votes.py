"""The attributes that several annotators give to one object, by the vote of those who give it the class that it has."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import attributes
from ..arrays import Bools, Ints, as_array, not_null
from ..codes import ordered_codes
from .shapes import Members
from .votes import vote


class AttributeVotes(NamedTuple):
    """What each group says.

    Attributes:
        column: ``attributes``: of each the value that most have, or none, if most lack it.
        ties: how many attributes have another value that as many have.
    """

    column: pa.Array
    ties: Ints


def voted_attributes(
    labels: pa.Table, members: Members, voters: Bools, sent: pa.Array, is_sent: Bools
) -> AttributeVotes:
    """The attributes of each group. In a tie, the first value by the alphabet counts, and any value before none.

    Args:
        labels: ``LABELS``.
        members: the labels of each group.
        voters: which of the members count.
        sent: the attributes that win where as many have another value, of each group.
        is_sent: which groups have such.
    """
    count = len(members.medoids)
    names = sorted(attributes.names(as_array(labels["attributes"])) | attributes.names(sent))
    if not names:
        return AttributeVotes(sent, np.zeros(count, np.int64))
    members = Members(members.rows[voters], members.groups[voters], members.weights[voters], members.medoids)
    rows = as_array(labels["attributes"]).take(pa.array(members.rows))
    all_rows, parts, ties = [], [], np.zeros(count, np.int64)
    for name in names:
        sides = [attributes.column(side, name) for side in (rows, sent)]
        both = pa.concat_arrays(sides)
        codes = _codes(both)
        given, wanted = np.split(codes, [len(members.rows)])
        votes = vote(members.groups, given, members.weights, count, np.where(is_sent, wanted, -1))
        ties += votes.is_tie
        place = np.zeros(int(codes.max()) + 1, np.int64)
        place[codes[::-1]] = np.arange(len(codes))[::-1]
        chosen = both.take(pa.array(place[votes.value]))
        at = np.flatnonzero(not_null(chosen))
        all_rows.append(at)
        parts.append(chosen.take(pa.array(at)))
    return AttributeVotes(attributes.build(np.concatenate(all_rows), pa.concat_arrays(parts), count), ties)


def _codes(column: pa.StructArray) -> Ints:
    """A number for each attribute, by type and value, in the order of their texts; null comes last."""
    texts = pc.binary_join_element_wise(column.field("value"), column.field("type"), "\0")
    return ordered_codes(pc.if_else(column.is_valid(), texts, None))[0]
