from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from annobridge.core.hashes import row_hashes, text_hashes

texts = st.text(max_size=3) | st.text("ab\0", min_size=5, max_size=20) | st.none()


@given(st.lists(texts, max_size=20), st.data())
def test_equal_texts_have_one_hash_wherever_they_stand(given_texts, data):
    found = text_hashes(pa.array(given_texts, pa.string())).tolist()
    order = data.draw(st.permutations(range(len(given_texts))))
    elsewhere = pa.array(["before", *(given_texts[at] for at in order), "after"], pa.string()).slice(1, len(order))
    assert text_hashes(elsewhere).tolist() == [found[at] for at in order]


@given(st.lists(st.text("ab\0", max_size=16), unique=True, max_size=30))
def test_texts_of_up_to_16_bytes_that_differ_have_different_hashes(given_texts):
    assert len(set(text_hashes(pa.array(given_texts, pa.string())).tolist())) == len(given_texts)


def test_texts_of_one_length_have_the_hashes_that_they_have_among_others():
    ids = [f"{n:036d}" for n in range(1000)]
    assert text_hashes(pa.array(ids)).tolist() == text_hashes(pa.array([*ids, "x"])).tolist()[:-1]


def test_the_columns_of_a_row_are_not_mixed_up():
    rows = pa.table({"a": ["1", "2", ""], "b": ["2", "1", "12"]})
    assert len(set(row_hashes(rows, ["a", "b"]).tolist())) == 3
