"""Fields that hold one label per sample (in fields of video frames: per frame)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import Bools, as_array, as_mask

COLUMNS = ("sample_id", "field", "frame_number")


def occupied(new: pa.Table, where: Bools, existing: pa.Table) -> Bools:
    """Which of the new labels would be the second one of their sample or frame: there is one in ``existing``, or another new one
    comes before it. New labels are the rows of ``new`` at which ``where`` is true.
    """
    result = np.zeros(len(where), bool)
    at = np.flatnonzero(where)
    if len(at):
        key = _key(new.select(COLUMNS).take(pa.array(at)))
        first = np.zeros(len(at), bool)
        first[np.unique(key.dictionary_encode().indices.to_numpy(), return_index=True)[1]] = True
        result[at] = ~first | as_mask(pc.is_in(key, value_set=_key(existing)))
    return result


def _key(rows: pa.Table) -> pa.Array:
    columns = (as_array(rows[name].cast(pa.string())) for name in COLUMNS)
    return pc.binary_join_element_wise(*columns, "\n", null_handling="replace")
