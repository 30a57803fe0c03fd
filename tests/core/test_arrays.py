"""Masks and rows of Arrow arrays, against the same in Python."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annobridge.core.arrays import as_mask, is_rotated, take_rows

FLAGS = st.lists(st.sampled_from([True, False, None]), max_size=40)


@given(FLAGS, FLAGS, st.integers(0, 20), st.integers(0, 40))
def test_the_mask_of_any_part(first: list[bool | None], second: list[bool | None], start: int, size: int) -> None:
    values = pa.chunked_array([pa.array(first, pa.bool_()), pa.array(second, pa.bool_())])
    for part in (values.slice(start, size), values.chunk(0).slice(start, size)):
        mask = as_mask(part)
        assert (mask.dtype, mask.tolist()) == (np.dtype(bool), [bool(value) for value in part.to_pylist()])


@given(st.lists(st.one_of(st.none(), st.floats(width=32)), max_size=20), st.integers(0, 5))
def test_what_is_rotated(degrees: list[float | None], start: int) -> None:
    given_degrees = pa.array(degrees, pa.float64()).slice(start)
    turned = [value is not None and not (np.isfinite(value) and value % 360 == 0) for value in degrees[start:]]
    assert is_rotated(given_degrees).tolist() == turned


@pytest.mark.parametrize("numbers", [[0, 1, 2], [2, 1, 0], [1], [], [0, -1, 2], [0, 1, 1]])
def test_the_rows_that_are_taken(numbers: list[int]) -> None:
    columns = {"a": pa.chunked_array([["x", "y"], [None]], pa.string()), "b": pa.nulls(3, pa.list_(pa.int8()))}
    rows = pa.table(columns)
    taken = take_rows(rows, np.array(numbers, np.int64))
    every = [*rows.to_pylist(), {"a": None, "b": None}]
    assert (taken.schema, taken.to_pylist()) == (rows.schema, [every[n] for n in numbers])
    assert all(column.num_chunks <= 1 for column in taken.columns)
