"""Rows that are held more than once: as a person would find them, one by one."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from annobridge.core.checks.repeats import repeated

row = st.tuples(
    st.sampled_from(["a", "b", None]), st.sampled_from(["x", "x\ny", ""]), st.sampled_from([0.0, float("nan"), 1.0])
)
rows = st.lists(row, max_size=9)


def table(given_rows: list[tuple[str | None, str, float]]) -> pa.Table:
    columns = list(zip(*given_rows, strict=True)) or [(), (), ()]
    kinds = {"sample": pa.string(), "remote": pa.string(), "number": pa.float64()}
    arrays = [pa.array(c, k) for c, k in zip(columns, kinds.values(), strict=True)]
    return pa.Table.from_arrays(arrays, list(kinds))


@given(rows)
def test_a_row_is_repeated_if_an_equal_one_comes_before_it(given_rows):
    texts = [repr(r) for r in given_rows]
    expected = [text in texts[:n] for n, text in enumerate(texts)]
    labels = table(given_rows)
    assert repeated(labels, ["sample", "remote"], labels.column_names).tolist() == expected


@given(rows)
def test_a_key_is_repeated_whatever_else_is_in_the_row(given_rows):
    keys = [r[:2] for r in given_rows]
    expected = [key in keys[:n] for n, key in enumerate(keys)]
    assert repeated(table(given_rows), ["sample", "remote"], []).tolist() == expected
