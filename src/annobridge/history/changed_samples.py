"""The samples that two versions of a dataset both have, with another value in some column."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pyarrow as pa

from ..core import ids
from ..core.arrays import Bools, as_array, index_of, not_null
from ..core.compare import equal_rows
from ..spill.groups import Groups
from ..store.stores import Stores

_GROUP = 20_000  # samples that are compared at a time, about


def changed_samples(before: Stores, after: Stores) -> pa.Array:
    """The ids of the samples whose path, tags, sizes or columns of users differ. A column that is not there counts as null."""
    if _versions(before) == _versions(after):
        return pa.array([], pa.string())
    count = 1 + max(before.samples.count(), after.samples.count()) // _GROUP
    found = []
    with ExitStack() as files:
        old, new = (files.enter_context(_grouped(side, count)) for side in (before, after))
        for group in range(count):
            found.append(_changed(old.get(group), new.get(group)))
    return pa.concat_arrays(found)


def _versions(side: Stores) -> list[int]:
    """The versions of the tables that the samples are in."""
    names = {"samples", *side.snapshots.tables} - {"labels"}
    return [int(side.database.table(name).version) for name in sorted(names)]


def _grouped(side: Stores, count: int) -> Groups:
    """The samples of a side, by a number that follows from their ids."""
    schema = pa.schema([_plain(field) for field in side.samples.schema()])
    groups = Groups(schema)
    try:
        for batch in side.samples.scan():
            groups.add(batch.cast(schema), ids.buckets(as_array(batch["sample_id"]), count))
    except BaseException:
        groups.close()
        raise
    return groups


def _plain(field: pa.Field) -> pa.Field:
    """A field without a dictionary, which files of groups have no room for more than one of."""
    return field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field


def _changed(before: pa.Table, after: pa.Table) -> pa.Array:
    index = index_of(after["sample_id"], before["sample_id"])
    new, old = after.filter(index.is_valid()), before.take(index.drop_null())
    differ: Bools = np.zeros(new.num_rows, bool)
    for name in dict.fromkeys([*old.column_names, *new.column_names]):
        sides = [side[name] for side in (old, new) if name in side.column_names]
        if len(sides) == 2 and sides[0].type == sides[1].type:
            differ |= ~equal_rows(*sides)
        else:
            for values in sides:
                differ |= not_null(values)
    return as_array(new["sample_id"]).filter(pa.array(differ))
