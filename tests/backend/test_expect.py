"""The shape of an answer: what fits passes, and of what does not, the first difference is named."""

from __future__ import annotations

from types import UnionType
from typing import Any, get_args

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


def test_a_shape_may_contain_itself() -> None:
    tree: dict[str, Any] = {"id": int}
    tree["children"] = [tree]
    leaf = {"id": 1, "children": []}
    assert mismatch([leaf, {"id": 2, "children": [leaf, leaf]}], [tree]) is None
    wrong = {"id": 2, "children": [leaf, {"id": "x", "children": []}]}
    assert mismatch(wrong, tree) == "'children[1].id' is 'x', and should be an integer"


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


SHAPES = st.recursive(
    st.sampled_from([Any, None, int, float, str, bool, int | None, float | str, list, dict]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=1),
        st.dictionaries(st.sampled_from(["a", "b", "a?", "c?"]), inner, max_size=3),
        st.dictionaries(st.just(...), inner, min_size=1, max_size=1),
        st.tuples(inner, inner),
    ),
    max_leaves=5,
)
VALUES = st.recursive(
    st.sampled_from([None, True, 0, 1.5, "x"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "a?", "c"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.lists(VALUES, max_size=4), SHAPES)
def test_values_that_are_judged_together_are_judged_as_each_alone(values: list[Any], shape: Any) -> None:
    """A list fits exactly where each of its values does, and so does each of its members."""
    assert (mismatch(values, [shape]) is None) == all(judged_alone(value, shape) for value in values)


def judged_alone(value: Any, shape: Any) -> bool:
    """Whether a value has a shape, as the module's docstring defines it, without a fast path."""
    if shape is Any:
        return True
    if shape is None:
        return value is None
    if isinstance(shape, tuple):
        return any(judged_alone(value, one) for one in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(judged_alone(one, shape[0]) for one in value)
    if isinstance(shape, dict):
        return isinstance(value, dict) and (
            all(judged_alone(one, shape[...]) for one in value.values())
            if ... in shape
            else all(
                judged_alone(value[key], inner) if (key := name if name in value else name.removesuffix("?")) in value
                else name.endswith("?")
                for name, inner in shape.items()
            )
        )  # fmt: skip
    if isinstance(shape, UnionType):
        return any(judged_alone(value, one) for one in get_args(shape))
    if isinstance(value, bool):
        return shape is bool
    return isinstance(value, (int, float) if shape is float else shape)


def shape_of(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shape_of(inner) for key, inner in value.items() if not key.endswith("?")}
    return [Any] if isinstance(value, list) else type(value)
