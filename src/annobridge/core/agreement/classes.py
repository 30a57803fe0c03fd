"""The classes of labels, or values, as numbers; and the votes about them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import Ints, as_array, set_columns
from ..codes import ordered_codes
from ..similarity import Floats
from .groups import Groups
from .objects import Objects
from .votes import Votes, vote


class Classes(NamedTuple):
    """The classes, or values, as numbers.

    Attributes:
        of_label: of each label.
        of_base: of each label of the baseline.
        texts: the classes and values, in the order of their numbers.
    """

    of_label: Ints
    of_base: Ints
    texts: pa.Array


def class_votes(cluster: Ints, objects: Objects, weights: Floats, codes: Classes, groups: Groups, rows: Ints) -> Votes:
    """The class of each cluster. ``rows`` are those of the baseline, whose classes win where as many have another one."""
    count = int(cluster.max(initial=-1)) + 1
    sent = np.full(count, -1)
    there = np.flatnonzero(rows >= 0)[::-1]  # the first label of a cluster is written last
    sent[groups.clusters[there]] = codes.of_base[rows[there]]
    return vote(cluster, codes.of_label[objects.first], weights[objects.first], count, sent)


def with_classes(merged: pa.Table, codes: Classes, found: Ints) -> pa.Table:
    """The labels with the classes, or values, that were voted for."""
    texts = codes.texts.take(pa.array(found))
    has_class = merged["label"].is_valid()
    is_value = pc.and_(pc.invert(has_class), merged["value"].is_valid())
    return set_columns(
        merged, label=pc.if_else(has_class, texts, None), value=pc.if_else(is_value, texts, merged["value"])
    )


def class_codes(*tables: pa.Table) -> tuple[Any, ...]:
    """The number of the class, or of the value, of each label of some tables, in the order of the texts; and the texts."""
    columns = [pc.coalesce(as_array(table["label"]), as_array(table["value"]), "") for table in tables]
    codes, texts = ordered_codes(pa.concat_arrays(columns))
    return (*np.split(codes, np.cumsum([len(column) for column in columns])[:-1]), texts)
