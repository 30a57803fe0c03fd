"""Masks: COCO's coding against a slow one written from its definition, boxes, pasting and polygons."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annobridge.core import geometry
from annobridge.exceptions import InvalidLabels


def slow_counts(mask):
    """Run lengths down the columns, zeros first: by the definition, a pixel at a time."""
    counts, last, length = [], False, 0
    for column in range(mask.shape[1]):
        for row in range(mask.shape[0]):
            if bool(mask[row, column]) != last:
                counts.append(length)
                last, length = not last, 0
            length += 1
    return [*counts, length]


def slow_text(counts):
    """cocoapi's ``rleToString``, line by line."""
    text = ""
    for i, count in enumerate(counts):
        rest = count - counts[i - 2] if i > 2 else count
        more = True
        while more:
            digit = rest & 31
            rest >>= 5
            more = rest != (-1 if digit & 16 else 0)
            text += chr((digit | 32 if more else digit) + 48)
    return text.encode()


@st.composite
def images(draw):
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    seed, share, block = draw(st.integers(0, 2**32 - 1)), draw(st.floats(0, 1)), draw(st.integers(1, 9))
    pixels = np.random.default_rng(seed).random((height, width)) < share
    return np.kron(pixels, np.ones((block, block), bool))


@given(images())
def test_encode_is_cocos(mask):
    rle = geometry.encode_rle(mask)
    assert rle == {"size": list(mask.shape), "counts": slow_text(slow_counts(mask))}
    assert geometry.check_rle(rle) is None
    np.testing.assert_array_equal(geometry.decode_rle(rle), mask)
    np.testing.assert_array_equal(geometry.runs(rle), slow_counts(mask))


@given(st.lists(st.integers(0, 2**33), min_size=1, max_size=30))
def test_text_of_any_counts(counts):
    assert geometry.compress(counts) == slow_text(counts)
    assert geometry.decompress(geometry.compress(counts)).tolist() == counts


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ([6], b"6"),  # 6 -> '0' + 6
        ([0, 6], b"06"),
        ([16], b"`0"),  # 16 has the sign bit, so a second digit says that it is positive
        ([31], b"o0"),
        ([32], b"P1"),
        ([1, 2, 3, 4], b"1232"),  # 4 is written as 4 - 2
        ([5, 5, 5, 1], b"555L"),  # 1 - 5 = -4: 28 + 48
        ([1000], b"Xo0"),
    ],
)
def test_known_texts(counts, text):
    assert slow_text(counts) == text
    assert geometry.compress(counts) == text
    assert geometry.decompress(text).tolist() == counts


def test_columns_come_first():
    assert geometry.encode_rle([[0, 1], [0, 1]]) == {"size": [2, 2], "counts": b"22"}
    assert geometry.encode_rle([[1, 1], [0, 0]]) == {"size": [2, 2], "counts": b"01100"}


def test_as_rle_takes_what_people_have():
    mask = np.array([[0, 2, 0], [1, 0, 0]], np.uint8)
    rle = geometry.encode_rle(mask)
    assert geometry.as_rle(mask) == rle
    assert geometry.as_rle(mask.tolist()) == rle
    for counts in (rle["counts"], rle["counts"].decode(), slow_counts(mask), np.array(slow_counts(mask))):
        assert geometry.as_rle({"size": (2, 3), "counts": counts}) == rle
        np.testing.assert_array_equal(geometry.decode_rle({"size": (2, 3), "counts": counts}), mask != 0)


@pytest.mark.parametrize("mask", [{"size": [1, 2]}, [1, 2], np.zeros((0, 4)), np.zeros((2, 2, 3))])
def test_as_rle_says_what_is_wrong(mask):
    with pytest.raises(InvalidLabels, match="give"):
        geometry.as_rle(mask)


@pytest.mark.parametrize(
    ("rle", "image_size", "sentence"),
    [
        ({"size": [2, 2], "counts": b"23"}, None, "counts 5 pixels where 2×2 = 4 are needed"),
        ({"size": [2, 2], "counts": b""}, None, "counts 0 pixels"),
        ({"size": [0, 2], "counts": b"0"}, None, "has the size 0×2"),
        ({"size": [2, 2], "counts": b"NJ"}, None, "negative count"),
        ({"size": [2, 2], "counts": b"\x01"}, None, "not COCO's"),
        ({"size": [2, 2], "counts": b"o"}, None, "not COCO's"),
        ({"size": [2, 2], "counts": b"oooooooo0"}, None, "not COCO's"),
        ({"size": [2, 2], "counts": "é"}, None, "counts 15 pixels"),
        ({"size": [2, 2], "counts": [1, 2, 3]}, None, "counts 6 pixels"),
        ({"size": [2, 3], "counts": b"6"}, (2, 3), "covers 3×2 pixels, but the image has 2×3"),
        ({"size": [2, 3], "counts": b"6"}, (3, 2), None),
    ],
)
def test_check_rle(rle, image_size, sentence):
    found = geometry.check_rle(rle, image_size)
    assert (found is None) if sentence is None else (sentence in found)
    if sentence and image_size is None:
        with pytest.raises(InvalidLabels):
            geometry.decode_rle(rle)


@given(images())
def test_mask_box(mask):
    height, width = mask.shape
    rows, columns = np.nonzero(mask)
    box = geometry.mask_box(geometry.encode_rle(mask))
    if not rows.size:
        assert box == [0, 0, 0, 0]
    else:
        size = (np.ptp(columns) + 1) / width, (np.ptp(rows) + 1) / height
        assert box == [columns.min() / width, rows.min() / height, *size]


def test_mask_box_skips_empty_runs():
    assert geometry.mask_box({"size": [2, 3], "counts": [1, 0, 2, 1, 2]}) == [1 / 3, 0.5, 1 / 3, 0.5]


@given(images(), st.integers(0, 30), st.integers(0, 30), st.integers(0, 9))
def test_paste_puts_pixels_where_they_were(mask, left, top, margin):
    height, width = mask.shape
    size = (left + width + margin, top + height + margin)
    box = [left / size[0], top / size[1], width / size[0], height / size[1]]
    full = np.zeros(size[::-1], bool)
    full[top : top + height, left : left + width] = mask
    np.testing.assert_array_equal(geometry.paste(mask, box, size), full)


def test_paste_resizes_and_cuts():
    full = geometry.paste([[1, 0], [0, 1]], [0, 0, 1, 1], (4, 4))
    np.testing.assert_array_equal(full, np.kron(np.eye(2, dtype=bool), np.ones((2, 2), bool)))
    np.testing.assert_array_equal(
        geometry.paste([[1, 1], [1, 1]], [-0.25, 0.75, 0.5, 0.5], (4, 4)).nonzero(), ([3], [0])
    )
    assert not geometry.paste([[1]], [2.0, 2.0, 0.25, 0.25], (4, 4)).any()
    with pytest.raises(InvalidLabels, match="box"):
        geometry.paste([[1]], [], (4, 4))


def test_polygon_with_a_hole():
    outer, hole = [[0, 0], [1, 0], [1, 1], [0, 1]], [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]
    expected = np.ones((4, 8), bool)
    expected[1:3, 2:6] = False
    np.testing.assert_array_equal(geometry.polygon_mask([outer, hole], (8, 4)), expected)


@given(st.lists(st.tuples(st.floats(-0.5, 1.5), st.floats(-0.5, 1.5)), min_size=3, max_size=8))
def test_polygon_is_even_odd_at_pixel_centres(ring):
    width, height = 9, 7
    expected = np.zeros((height, width), bool)
    for row in range(height):
        for column in range(width):
            for (x0, y0), (x1, y1) in zip(ring, ring[1:] + ring[:1], strict=True):
                y0, y1 = y0 * height - 0.5, y1 * height - 0.5
                if min(y0, y1) <= row < max(y0, y1):
                    x0, x1 = x0 * width - 0.5, x1 * width - 0.5
                    expected[row, column] ^= x0 + (row - y0) * ((x1 - x0) / (y1 - y0)) <= column
    np.testing.assert_array_equal(geometry.polygon_mask([ring], (width, height)), expected)


def test_polygon_refuses_what_is_not_a_number():
    with pytest.raises(InvalidLabels, match="not a number"):
        geometry.polygon_mask([[[0, 0], [np.nan, 1], [1, 1]]], (4, 4))
