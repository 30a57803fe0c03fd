from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annobridge.core import lookup
from annobridge.core.lookup import TextIndex, look_up

texts = st.sampled_from(["", "a", "b", "a\nb", "long enough, but for the end a", "long enough, but for the end b"])
tables = st.lists(st.tuples(texts, texts), max_size=12)


def table(rows):
    columns = zip(*rows, strict=True) if rows else [(), ()]
    return pa.table([pa.array(column, pa.string()) for column in columns], names=["sample", "remote"])


@pytest.fixture(params=["hashes", "one hash for all"])
def hashes(request, monkeypatch):
    if request.param != "hashes":  # whatever the hashes are, the result is right
        monkeypatch.setattr(lookup, "row_hashes", lambda rows, _: np.zeros(rows.num_rows, np.uint64))
    return request.param


def test_each_row_is_found_at_the_first_one_that_equals_it(hashes):
    @given(tables, tables)
    def holds(rows, within):
        found = look_up(table(rows), table(within), ["sample", "remote"])
        assert found.at.tolist() == [within.index(row) if row in within else -1 for row in rows]
        if found.unique:
            assert len(set(rows)) == len(rows)
            assert len(set(within)) == len(within)
        elif hashes == "hashes":
            assert len(set(rows)) < len(rows) or len(set(within)) < len(within)

    holds()


def test_the_same_rows_in_the_same_order():
    rows = [("s", str(n)) for n in range(5)]
    assert look_up(table(rows), table(rows), ["sample", "remote"]) == (pytest.approx(range(5)), True)
    twice = look_up(table([*rows, rows[0]]), table([*rows, rows[0]]), ["sample", "remote"])
    assert (twice.at.tolist(), twice.unique) == ([0, 1, 2, 3, 4, 0], False)


one_hash = st.sampled_from([f"{n} and sixteen bytes" for n in range(3)])


@given(st.lists(texts | one_hash), st.lists(texts | one_hash | st.none()))
def test_a_text_is_found_where_it_is_first(among, wanted):
    found = TextIndex(pa.array(among, pa.string())).find(pa.array(wanted, pa.string())).tolist()
    assert found == [among.index(text) if text in among else -1 for text in wanted]
