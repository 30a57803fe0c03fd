from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from annobridge.core import codes

texts = st.sampled_from(["", "a", "b", "a\nb", None])
tables = st.lists(st.tuples(texts, texts, st.sampled_from([0, 1, None])), max_size=12)


def table(rows):
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    kinds = (pa.string(), pa.string(), pa.int64())
    return pa.table([pa.array(c, k) for c, k in zip(columns, kinds, strict=True)], names=["sample", "remote", "frame"])


@given(tables, tables)
def test_rows_of_all_tables_have_one_code_if_and_only_if_their_values_are_equal(left, right):
    found = np.concatenate(codes.row_codes([table(left), table(right)], ["sample", "remote", "frame"])).tolist()
    values = left + right
    assert len(set(found)) == len(set(values)) == len(set(zip(found, values, strict=True)))


def test_codes_of_many_columns_do_not_overflow():
    count = 2_000
    rows = pa.table({f"c{n}": pa.array(np.random.default_rng(n).permutation(count)) for n in range(8)})
    found = codes.row_codes([rows, rows], rows.column_names)
    assert len(set(found[0].tolist())) == count
    assert (found[0] == found[1]).all()


@given(st.lists(st.integers(0, 5)), st.lists(st.integers(0, 5)))
def test_the_first_row_with_a_code(wanted, within):
    found = codes.first_with(np.array(wanted, np.int64), np.array(within, np.int64)).tolist()
    assert found == [within.index(code) if code in within else -1 for code in wanted]


@given(st.lists(st.integers(-2, 5)))
def test_repeated_codes_are_those_that_occur_more_than_once(given_codes):
    expected = sorted({code for code in given_codes if given_codes.count(code) > 1})
    assert codes.repeated_codes(np.array(given_codes, np.int64)).tolist() == expected
