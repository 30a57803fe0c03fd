"""The shape of an answer: what fits passes, and of what does not, the first difference is named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annobridge.backend.expect import mismatch

TASK = {"id": int, "name": str, "owner?": {"id": int}, "size": int | None}


def one(**changes: Any) -> dict[str, Any]:
    return {"id": 1, "name": "a", "size": None, **changes}


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (one(), TASK),
        (one(owner={"id": 2}, more=[1]), TASK),
        ([], [TASK]),
        ([one(), one(size=3)], [TASK]),
        (3, float),
        (None, Any),
        (None, None),
        (True, bool | str),
        ({"a": 1, "b?": 2}, {...: int}),
        ({"a?": 1}, {"a?": int}),
        (None, ({"id": int}, None)),
        ({"id": 1}, ({"id": int}, None)),
    ],
)
def test_what_fits(value: Any, shape: Any) -> None:
    assert mismatch(value, shape) is None


@pytest.mark.parametrize(
    ("value", "shape", "words"),
    [
        (None, TASK, "it is null, and should be an object"),
        ([], TASK, "it is a list without anything in it, and should be an object"),
        ({}, TASK, "'id' is missing"),
        (17, [TASK], "it is 17, and should be a list"),
        ({"results": [one(), one(id="7")]}, {"results": [TASK]}, "'results[1].id' is '7', and should be an integer"),
        (one(owner={}), TASK, "'owner.id' is missing"),
        (one(owner=None), TASK, "'owner' is null, and should be an object"),
        (one(size="x"), TASK, "'size' is 'x', and should be an integer or null"),
        (True, int, "it is true, and should be an integer"),
        (1, bool, "it is 1, and should be true or false"),
        (one(id="s" * 1000), TASK, "'id' is a long string, and should be an integer"),
        ({"a": 1, "b": "x"}, {...: int}, "'b' is 'x', and should be an integer"),
        ({"id": "x"}, ({"id": int}, None), "'id' is 'x', and should be an integer"),
        ([1, 2.5, "3"], [float], "'[2]' is '3', and should be a number"),
        ([1, True], [float], "'[1]' is true, and should be a number"),
        ([one(), None], [TASK], "'[1]' is null, and should be an object"),
    ],
)
def test_the_first_difference_is_named(value: Any, shape: Any, words: str) -> None:
    assert mismatch(value, shape) == words


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(JSON)
def test_every_value_is_judged_by_every_shape(value: Any) -> None:
    """Never with an exception; and the shape of the value itself fits it."""
    for shape in (TASK, [TASK], [[float]], int | None, {"a?": Any}):
        mismatch(value, shape)
    assert mismatch(value, shape_of(value)) is None


def shape_of(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shape_of(inner) for key, inner in value.items() if not key.endswith("?")}
    return [Any] if isinstance(value, list) else type(value)
