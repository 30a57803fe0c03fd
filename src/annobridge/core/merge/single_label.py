"""Places: in a field of one label per sample, a sample (of a video: a frame) has room for one label."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import Bools, as_array, as_mask

COLUMNS = ("sample_id", "field", "frame_number")


def occupied(coming: pa.Table, where: Bools, there: pa.Table) -> Bools:
    """Which of the labels that come (the rows of ``coming`` at which ``where`` holds) find their place taken: by one
    that is there, or by another that comes.
    """
    over = np.zeros(len(where), bool)
    at = np.flatnonzero(where)
    if len(at):
        key = _key(coming.select(COLUMNS).take(pa.array(at)))
        first = np.zeros(len(at), bool)
        first[np.unique(key.dictionary_encode().indices.to_numpy(), return_index=True)[1]] = True
        over[at] = ~first | as_mask(pc.is_in(key, value_set=_key(there)))
    return over


def _key(rows: pa.Table) -> pa.Array:
    columns = (as_array(rows[name].cast(pa.string())) for name in COLUMNS)
    return pc.binary_join_element_wise(*columns, "\n", null_handling="replace")
