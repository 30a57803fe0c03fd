"""Labels that a tool did not change. Most are, so they are left out before the merge looks at its labels one by one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import as_mask, take_rows
from ..labels import TOOL_KEY
from ..lookup import look_up
from .diff import same_components


class Changed(NamedTuple):
    """What is left of both sides."""

    base: pa.Table
    theirs: pa.Table


def without_unchanged(base: pa.Table, theirs: pa.Table) -> Changed:
    """The labels without those that both sides have, with equal values in the same field.

    Labels of tracks stay, as whether the value of an attribute is taken depends on the other labels of the track. So do all, if a
    tool gave two labels of a sample one id.

    Args:
        base: ``BASELINE``.
        theirs: ``REMOTE``, as the tool returned it.
    """
    found = look_up(theirs, base, TOOL_KEY)
    if not found.unique:
        return Changed(base, theirs)
    known = (found.at >= 0) & as_mask(theirs["index"].is_null())
    at, base_at = np.flatnonzero(known), found.at[known]
    same = same_components(base, theirs, base_at, at)
    in_field = theirs["field"].take(pa.array(at))
    same &= as_mask(pc.fill_null(pc.equal(in_field, base["field"].take(pa.array(base_at))), True))
    return Changed(_without(base, base_at[same]), _without(theirs, at[same]))


def _without(rows: pa.Table, left_out: np.ndarray) -> pa.Table:
    stays = np.ones(rows.num_rows, bool)
    stays[left_out] = False
    return take_rows(rows, np.flatnonzero(stays))
