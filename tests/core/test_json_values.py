"""JSON values are equal when their values and their JSON types are."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annobridge.core.json_values import key, read, repeated, same

values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-3, 3) | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=1), inner, max_size=2),
    max_leaves=4,
)


@given(values)
def test_a_value_is_itself_after_json(value):
    assert same(read(json.dumps(value)), value)


@given(values, values)
def test_same_is_equality_of_keys(a, b):
    assert same(a, b) == same(b, a) == (key(a) == key(b))


@pytest.mark.parametrize(
    "pair", [(1, True), (0, False), ("1", 1), (None, False), ([1], [True]), ({"a": 0}, {"a": False})]
)
def test_types_keep_values_apart(pair):
    assert not same(*pair)


def test_numbers_are_one_type():
    assert same(1, 1.0)
    assert same([2, {"a": 0.0}], [2.0, {"a": 0}])
    assert repeated([1, "1", True, 1.0, "1"]) == [1, "1"]


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "red", "'a'", "", "{1: 2}", "[" * 100_000])
def test_what_is_no_json_is_not_read(text):
    with pytest.raises(ValueError):
        read(text)


@pytest.mark.parametrize("value", [math.nan, math.inf, object(), {1: 2}, b"x"])
def test_what_json_cannot_hold_has_no_key(value):
    with pytest.raises(TypeError, match="is not a JSON value"):
        key(value)
