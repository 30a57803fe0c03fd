"""Row equality against the same question asked of Python objects, for every type and layout."""

import math
import time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annobridge.core.compare import equal_rows
from annobridge.core.labels import ATTRIBUTE, LABELS, MASK, POINT
from annobridge.testing import strategies

floats = st.sampled_from([0.0, -0.0, 1.5, math.nan, math.inf])
words = st.sampled_from(["", "a", "b", "é"])
optional = st.none()
point = optional | st.lists(optional | floats, min_size=2, max_size=2)
attribute = st.fixed_dictionaries({"name": optional | words, "type": words, "value": optional | words})
VALUES = {
    pa.float64(): floats,
    pa.int64(): st.sampled_from([0, 2**53, 2**53 + 1]),
    pa.int32(): st.integers(0, 2),
    pa.bool_(): st.booleans(),
    pa.string(): words,
    pa.binary(): words.map(str.encode),
    pa.null(): optional,
    pa.timestamp("us", "UTC"): st.integers(0, 2),
    pa.list_(pa.float64(), 4): st.lists(optional | floats, min_size=4, max_size=4),
    pa.list_(pa.list_(POINT)): st.lists(optional | st.lists(point, max_size=2), max_size=2),
    pa.list_(ATTRIBUTE): st.lists(optional | attribute, max_size=2),
    pa.large_list(pa.string()): st.lists(optional | words, max_size=2),
    MASK: st.fixed_dictionaries({"size": optional | st.just([1, 2]), "counts": optional | words.map(str.encode)}),
}


def same(a, b):
    if isinstance(a, dict) and isinstance(b, dict):
        return all(same(a[name], b[name]) for name in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (math.isnan(a) and math.isnan(b))
    return type(a) is type(b) and a == b


@st.composite
def arrays(draw, kind, size):
    """An array of ``size`` rows in one of Arrow's layouts: plain, sliced, taken with null indices, or in chunks."""
    rows = st.lists(optional | VALUES[kind], min_size=size, max_size=size)
    array = pa.array(draw(rows), kind)
    match draw(st.sampled_from(["plain", "sliced", "taken", "masked", "chunked"])):
        case "sliced":
            margin = pa.array([*draw(st.lists(VALUES[kind], min_size=1, max_size=2)), None], kind)
            return pa.concat_arrays([margin, array, margin])[len(margin) : len(margin) + size]
        case "taken":
            return array.take(
                pa.array(draw(st.lists(optional | st.integers(0, size - 1), min_size=size, max_size=size)), pa.int64())
            )
        case "masked" if pa.types.is_list(kind):  # nulls above lists that are not empty
            mask = pa.array(draw(st.lists(st.booleans(), min_size=size, max_size=size)))
            return pa.ListArray.from_arrays(array.offsets, array.values, mask=mask)
        case "chunked":
            cut = draw(st.integers(0, size))
            return pa.chunked_array([array[:cut], array[cut:]], kind)
    return array


@pytest.mark.parametrize("kind", VALUES, ids=str)
@given(data=st.data())
def test_as_python_would(kind, data):
    size = data.draw(st.integers(1, 6))
    a, b = data.draw(arrays(kind, size)), data.draw(arrays(kind, size))
    assert equal_rows(a, b).tolist() == [same(x, y) for x, y in zip(a.to_pylist(), b.to_pylist(), strict=True)]
    assert equal_rows(a, a).all()
    assert equal_rows(b, pa.array(b.to_pylist(), kind)).all()


@given(strategies.tables(frames=2), strategies.tables(frames=2))
def test_every_column_of_labels(a, b):
    size = min(len(a), len(b))
    a, b = a[:size], b[:size]
    for name in LABELS.names:
        expected = [same(x, y) for x, y in zip(a[name].to_pylist(), b[name].to_pylist(), strict=True)]
        assert equal_rows(a[name], b[name]).tolist() == expected
        assert equal_rows(a[name], a[name]).all()


@pytest.mark.parametrize("kind", VALUES, ids=str)
def test_nothing_at_all(kind):
    assert equal_rows(pa.array([], kind), pa.chunked_array([], kind)).tolist() == []


def test_refuses_what_cannot_be_compared():
    with pytest.raises(ValueError, match="compare equally many rows of one type"):
        equal_rows(pa.array([1]), pa.array([1.0]))
    with pytest.raises(ValueError, match="compare equally many rows of one type"):
        equal_rows(pa.array([1]), pa.array([1, 2]))


def test_a_million_rows_are_compared_in_a_moment():
    rows = 1_000_000
    boxes = np.random.default_rng(0).random(rows * 4)
    moved = boxes.copy()
    moved[::400] += 1
    a, b = (pa.FixedSizeListArray.from_arrays(pa.array(v), 4) for v in (boxes, moved))
    start = time.process_time()
    assert np.flatnonzero(~equal_rows(a, b)).tolist() == list(range(0, rows, 100))
    assert time.process_time() - start < 2  # 0.1 s on two slow cores; the margin is for a busy machine
