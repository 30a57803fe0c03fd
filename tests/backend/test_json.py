"""JSON of servers: what is sent and read is what Python's own module sends and reads, whatever the values are."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annobridge.backend._json import TooDense, encode, parse

NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text() | st.just("null"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def refuse(value: Any) -> Any:
    raise TypeError(f"{type(value).__name__} is no JSON")


def same(found: Any, expected: Any) -> bool:
    """Equal, and of equal types: 1 is not 1.0."""
    return json.dumps(found) == json.dumps(expected)


@given(JSON)
def test_what_is_sent_is_read_as_it_was(value: Any) -> None:
    sent = encode(value, refuse)
    assert same(json.loads(sent), value)
    assert same(parse(sent), value)


@given(JSON)
def test_every_way_to_write_it_is_read(value: Any) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False), "\ufeff" + json.dumps(value, indent=1)):
        assert same(parse(text.encode("utf-8", "surrogatepass")), value)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_lacks_are_not_sent(bad: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode({"points": [1.5, bad]}, refuse)


@dataclass
class Shape:
    size: int


@pytest.mark.parametrize("bad", [b"x", {1}, date(2026, 1, 1), Shape(1)])
def test_what_is_no_json_is_not_sent(bad: Any) -> None:
    with pytest.raises(TypeError, match=f"{type(bad).__name__} is no JSON"):
        encode([bad], refuse)


def test_numbers_as_names_of_members_become_texts() -> None:
    assert json.loads(encode({1: 2}, refuse)) == {"1": 2}


@pytest.mark.parametrize(("text", "value"), [(b"NaN", math.nan), (b"[1e400]", [math.inf]), (b'"\\ud800"', "\ud800")])
def test_what_other_servers_call_json_is_read(text: bytes, value: Any) -> None:
    assert same(parse(text), value)


@pytest.mark.parametrize("text", [b"<html>", b"[1,]", b"[1] 2", b'"\xff"', b"[" * 100_000, b"{}{}"])
def test_what_is_no_json_is_not_read(text: bytes) -> None:
    with pytest.raises(ValueError):
        parse(text)


def test_nothing_is_none() -> None:
    assert parse(b"") is None
    assert parse(b" \n") is None


def test_a_text_of_empty_lists_is_not_read() -> None:
    with pytest.raises(TooDense):
        parse(b"[" + b"[]," * 1_000_000 + b"[]]")
