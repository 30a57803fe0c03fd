"""Masks in CVAT's numbers and back: the pixels stay, and what is outside of the image is cut off."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from annobridge.core.geometry import Mask, decode_rle, encode_rle
from annobridge_cvat import masks

SIZES = arrays.array_shapes(min_dims=2, max_dims=2, max_side=7)
MASKS = arrays.arrays(bool, SIZES)


@given(MASKS)
def test_the_pixels_stay(mask: Mask) -> None:
    rle = encode_rle(mask)
    numbers = masks.encode(rle)
    assert (numbers == []) == (not mask.any())
    if numbers:
        assert masks.decode([numbers], mask.shape[::-1]) == rle


@given(MASKS, st.integers(-9, 9), st.integers(-9, 9), st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_what_is_outside_of_the_image_is_cut_off(mask: Mask, x: int, y: int, size: tuple[int, int]) -> None:
    numbers = masks.encode(encode_rle(mask)) or [0.0, 0.0, 0.0, 0.0, 0.0]
    moved = [*numbers[:-4], *(n + by for n, by in zip(numbers[-4:], (x, y, x, y), strict=True))]
    expected = np.zeros(size[::-1], bool)
    for row, column in np.argwhere(mask):
        if 0 <= row + y < size[1] and 0 <= column + x < size[0]:
            expected[row + y, column + x] = True
    assert masks.decode([moved], size) == encode_rle(expected)


@given(st.lists(arrays.arrays(bool, (5, 6)).filter(np.any), min_size=1, max_size=3))
def test_several_masks_are_their_union(found: list[Mask]) -> None:
    rle = masks.decode([masks.encode(encode_rle(mask)) for mask in found], (6, 5))
    assert np.array_equal(decode_rle(rle), np.logical_or.reduce(found))


@pytest.mark.parametrize(
    ("numbers", "pixels"),
    [
        ([1.0, 9.0, 0.0, 0.0, 1.0, 0.0], [[False, True]]),  # a run goes on beyond the end of the box
        ([0.0, 1.0, 0.0, 0.0, 1.0, 0.0], [[True, False]]),  # the runs end before it
        ([-3.0, 1.0, 0.0, 0.0, 1.0, 0.0], [[True, False]]),
        ([0.0, 5.0, 1.0, 0.0, 0.0, 0.0], [[False, False]]),  # a box without an area
        ([0.4, 1.6, 0.2, -0.3, 1.4, 0.1], [[True, True]]),  # the page rounds nothing
    ],
)
def test_numbers_that_do_not_fit_their_box(numbers: list[float], pixels: list[list[bool]]) -> None:
    assert np.array_equal(decode_rle(masks.decode([numbers], (2, 1))), pixels)
