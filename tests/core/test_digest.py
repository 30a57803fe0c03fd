"""A digest says whether two tables say the same, and nothing of how they lie in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annobridge.backend.values import Download
from annobridge.bridge.download import digest_of
from annobridge.core.digest import digest
from annobridge.core.labels import ATTRIBUTE, MASK, POINT, REMOTE, conform
from annobridge.testing import strategies as some

NOISE = b"\x07\xff\x33\x41" * 64


def noisy(array: pa.Array) -> pa.Array:
    """The same values, with other bytes below every null."""
    buffers, kind = array.buffers()[: 2 if pa.types.is_primitive(array.type) else 1], array.type
    if pa.types.is_struct(kind):
        children = [noisy(_holes(array.field(i), array.is_valid())) for i in range(kind.num_fields)]
        return pa.StructArray.from_arrays(children, fields=list(kind), mask=array.is_null())
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        values = array.fill_null(7).to_numpy(zero_copy_only=False)
        return pa.Array.from_buffers(kind, len(array), [buffers[0], pa.py_buffer(values.tobytes())])
    return array


def _holes(array: pa.Array, valid: pa.Array) -> pa.Array:
    """A child with values of its own where its parent is null."""
    other = pa.array(["noise"] * len(array), pa.string()) if pa.types.is_string(array.type) else None
    return array if other is None else pa.compute.if_else(valid, array, other)


CASES: list[Any] = [
    pa.array([1.5, None, float("nan"), 0.0]),
    pa.array([1, None, 3], pa.int32()),
    pa.array([True, None, False]),
    pa.array(["a", None, "", "bc"]),
    pa.array([[1.0, 2.0, 3.0, 4.0], None], pa.list_(pa.float64(), 4)),
    pa.array([[[[0.1, 0.2]]], None, [], [[[0.5, 0.5], [1.0, 1.0]], []]], pa.list_(pa.list_(POINT))),
    pa.array([{"size": [4, 5], "counts": b"xyz"}, None], MASK),
    pa.array([[{"name": "a", "type": "str", "value": '"x"'}], None, []], pa.list_(ATTRIBUTE)),
]


@pytest.mark.parametrize("array", CASES, ids=lambda a: str(a.type))
def test_chunks_offsets_and_noise_do_not_matter(array):
    want = digest(pa.table({"x": array}))
    shifted = pa.concat_arrays([array, array]).slice(len(array))
    taken = pa.concat_arrays([array.slice(1), array]).take(pa.array(np.arange(len(array) - 1, 2 * len(array) - 1)))
    chunked = pa.chunked_array([array.slice(0, 1), array.slice(1)])
    for other in (shifted, taken, chunked, noisy(array)):
        assert digest(pa.table({"x": other})) == want


def test_noise_below_a_null_box_does_not_matter():
    kind = pa.list_(pa.float64(), 4)
    a, b = (
        pa.FixedSizeListArray.from_arrays(
            pa.array([1.0, 2.0, 3.0, 4.0, *[noise] * 4]), type=kind, mask=pa.array([False, True])
        )
        for noise in (5.0, 6.0)
    )
    assert a.equals(b)
    assert digest(pa.table({"x": a})) == digest(pa.table({"x": b}))


@pytest.mark.parametrize("array", CASES, ids=lambda a: str(a.type))
def test_every_change_matters(array):
    want = digest(pa.table({"x": array}))
    others = [array.take(pa.array([None, *range(1, len(array))], pa.int64())), array.slice(1), array[::-1]]
    assert all(digest(pa.table({"x": other})) != want for other in others)


def test_names_matter_and_columns_of_nulls_do_not():
    a = pa.table({"x": [1]})
    assert digest(a) != digest(pa.table({"y": [1]}))
    assert digest(a) == digest(a.append_column("z", pa.array([None], pa.string())))


@pytest.mark.parametrize(
    ("a", "b"), [(["ab", "c"], ["a", "bc"]), ([[1], [2, 3]], [[1, 2], [3]]), ([None, 1], [1, None])]
)
def test_where_values_end_matters(a, b):
    assert digest(pa.table({"x": pa.array(a)})) != digest(pa.table({"x": pa.array(b)}))


def test_one_nan_is_as_another_and_zero_has_no_sign():
    odd = np.array([0x7FF8000000000001], np.uint64).view(np.float64)[0]
    a, b = (pa.table({"x": pa.array(v, pa.float64())}) for v in ([float("nan"), 0.0], [odd, -0.0]))
    assert digest(a) == digest(b)


def test_a_download_has_one_digest_whatever_lies_below_its_nulls():
    """As a tool's answer that was filtered or joined may have it, on one of two downloads."""
    plain = conform(pa.table({"sample_id": ["s0", "s0"], "kind": ["box", "mask"], "remote_id": ["a", "b"]}), REMOTE)
    place = REMOTE.get_field_index("mask")
    size = pa.array([[1, 2], [4, 5]], MASK[0].type)
    found = []
    for first in (b"noise", b"other"):
        counts = pa.array([first, b"xyz"])
        masks = pa.StructArray.from_arrays([size, counts], fields=list(MASK), mask=pa.array([True, False]))
        found.append(digest_of(Download(plain.set_column(place, REMOTE.field(place), masks), pa.array(["s0"]))))
    assert found[0] == found[1]


@given(rows=some.label_rows(most=8), seed=st.integers(0, 99))
def test_what_a_tool_holds_has_one_digest_in_any_order(rows, seed):
    rows = [{**row, "remote_id": str(n)} for n, row in enumerate(rows)]
    names = [n for n in REMOTE.names if any(n in row for row in rows)]
    table = conform(pa.table({n: pa.array([r.get(n) for r in rows], REMOTE.field(n).type) for n in names}), REMOTE) \
        if rows else REMOTE.empty_table()  # fmt: skip
    order = np.random.default_rng(seed).permutation(len(rows))
    samples = pa.array(["s0", "s1"], pa.string())
    assert digest_of(Download(table, samples)) == digest_of(Download(table.take(pa.array(order)), samples[::-1]))
