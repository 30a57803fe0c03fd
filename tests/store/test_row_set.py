"""Sets of rows are unions, however their rows are added."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from annobridge.store.row_set import RowSet

ADDRESSES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 70)), max_size=30)


def addresses(rows: list[tuple[int, int]]) -> np.ndarray:
    return np.array([(fragment << 32) + offset for fragment, offset in rows], np.uint64)


@given(parts=st.lists(ADDRESSES, max_size=6))
def test_it_has_what_was_added_once_and_in_order(parts) -> None:
    rows = RowSet()
    for part in parts:
        rows.add(addresses(part))
    found = [(fragment, offset) for fragment, offsets in rows for offset in offsets.tolist()]
    assert found == sorted({row for part in parts for row in part})
    assert bool(rows) == bool(found)
