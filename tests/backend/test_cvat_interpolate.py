"""Interpolation of tracks: results computed by hand, and the property that the chosen keyframes give the dense track."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.generated import examples

from annobridge.formats.common.interpolate import Bools, VisibleFrames, needed_keyframes, visible_frames

BOX = [0.0, 0.0, 4.0, 2.0]
LINEAR = {"rectangle": 4, "ellipse": 4, "cuboid": 16, "points": 2, "skeleton": 0}


def between(kind: str, left: Sequence[float], right: Sequence[float], distance: int) -> list[list[float]]:
    """The shapes strictly between two keyframes."""
    found = visible_frames(kind, [0, distance], [left, right], [0, 0], [False, False], distance)
    assert found.frames.tolist() == list(range(distance + 1))
    assert found.points[0].tolist() == left
    assert found.points[-1].tolist() == right
    return [p.tolist() for p in found.points[1:-1]]


def boxes(frames: Sequence[int], outside: Sequence[bool], last: int) -> VisibleFrames:
    return visible_frames("rectangle", frames, [[f, 0, f + 4, 2] for f in frames], [0] * len(frames), outside, last)


def turned(start: float, end: float) -> list[float]:
    return visible_frames("ellipse", [0, 4], [BOX, BOX], [start, end], [False, False], 4).rotation.tolist()


def sent(
    kind: str, frames: list[int], points: list[list[float]], rotation: list[float], chosen: Bools
) -> VisibleFrames:
    """A dense track after a journey: keyframes only, and an ``outside`` one after each stretch that ends early."""
    last = frames[-1]
    flat = [(f, p, r, False) for f, p, r, k in zip(frames, points, rotation, chosen, strict=True) if k]
    ends = [n for n, f in enumerate(frames) if f + 1 not in frames and f != last]
    flat += [(frames[n] + 1, points[n], rotation[n], True) for n in ends]
    return visible_frames(kind, *map(list, zip(*flat, strict=True)), last)


@pytest.mark.parametrize("kind", ["rectangle", "ellipse"])
def test_four_numbers_move_on_straight_lines(kind: str) -> None:
    assert between(kind, [0, 0, 10, 10], [8, 4, 10, 30], 4) == [[2, 1, 10, 15], [4, 2, 10, 20], [6, 3, 10, 25]]


def test_a_cuboid_moves_on_straight_lines() -> None:
    assert between("cuboid", [0.0] * 16, [2.0 * n for n in range(16)], 2) == [[float(n) for n in range(16)]]


def test_a_rectangle_may_turn_inside_out() -> None:
    assert between("rectangle", [0, 0, 10, 10], [10, 0, 0, 10], 2) == [[5, 0, 5, 10]]


def test_a_skeleton_has_no_points_of_its_own_but_its_frames() -> None:
    assert between("skeleton", [], [], 3) == [[], []]


def test_one_point_moves_and_several_stay() -> None:
    assert between("points", [0, 0], [4, 8], 4) == [[1, 2], [2, 4], [3, 6]]
    assert between("points", [0, 0, 1, 1], [4, 8, 5, 9], 2) == [[0, 0, 1, 1]]
    assert between("points", [0, 0], [4, 8, 5, 9], 2) == [[0, 0]]


def test_a_mask_stays_until_the_next() -> None:
    mask, other = [0.0, 2, 1, 3, 10, 20, 12, 21], [1.0, 0, 0, 0, 0]
    assert between("mask", mask, other, 3) == [mask, mask]


@pytest.mark.parametrize(
    ("start", "end", "rotation"),
    [
        (10, 50, [10, 20, 30, 40, 50]),
        (350, 10, [350, 355, 0, 5, 10]),
        (10, 350, [10, 5, 0, 355, 350]),
        (0, 360, [0, 0, 0, 0, 360]),
        (360, 359, [360, 359.75, 359.5, 359.25, 359]),
        (0, 179, [0, 44.75, 89.5, 134.25, 179]),
        (0, 180, [0, 0.25, 0.5, 0.75, 180]),  # so the server does: half a turn becomes one degree, then jumps
    ],
)
def test_rotation_takes_the_shorter_way_round(start: float, end: float, rotation: list[float]) -> None:
    assert turned(start, end) == rotation


def test_rotation_is_held_where_points_are() -> None:
    square = [0.0, 0, 4, 0, 4, 4]
    assert visible_frames("polygon", [0, 2], [square, square], [10, 50], [False] * 2, 2).rotation.tolist() == [
        10,
        10,
        50,
    ]


def test_lines_of_equal_length_move_point_by_point() -> None:
    assert between("polyline", [0, 0, 10, 0, 10, 10], [4, 0, 14, 0, 14, 20], 4)[0] == [1, 0, 11, 0, 11, 12.5]
    assert between("polygon", [0, 0, 4, 0, 4, 4, 0, 4], [2, 0, 6, 0, 6, 4, 2, 4], 2) == [[1, 0, 5, 0, 5, 4, 1, 4]]


def test_a_line_that_gains_a_point_shows_it_once_it_is_off_its_neighbour() -> None:
    frames = between("polyline", [0, 0, 10, 0], [0, 10, 5, 10, 10, 10], 8)  # halves of 5 px, so 5 / 4 px apart
    assert frames[0] == [0.3125, 1.25, 10, 1.25]  # 0.625 apart: joined in the middle
    assert frames[1] == [0, 2.5, 1.25, 2.5, 10, 2.5]
    assert frames[3] == [0, 5, 2.5, 5, 10, 5]


def test_a_line_that_loses_a_point_keeps_it_until_it_is_on_its_neighbour() -> None:
    frames = between("polyline", [0, 10, 5, 10, 10, 10], [0, 0, 10, 0], 8)
    assert frames[3] == [0, 5, 2.5, 5, 10, 5]
    assert frames[6] == [0.3125, 1.25, 10, 1.25]


def test_points_too_near_to_the_last_one_kept_are_left_out() -> None:
    right = [0, 0, 10, 0, 12, 0, 30, 0, 100, 0]  # the first four start from one point, and keep 30 / 8 px apart
    assert between("polyline", [0, 0, 100, 0], right, 2) == [[0, 0, 5, 0, 15, 0, 100, 0]]


def test_a_polygon_is_closed_when_its_points_are_paired() -> None:
    square = [0.0, 0, 4, 0, 4, 4, 0, 4]
    frames = between("polygon", square, [0.0, 0, 2, 0, 4, 0, 4, 4, 0, 4], 8)
    assert frames[0] == [0.125, 0, 4, 0, 4, 4, 0, 4]
    assert frames[3] == [0, 0, 1, 0, 4, 0, 4, 4, 0, 4]
    # the last side counts: its middle is a point of its own
    assert between("polygon", square, [*square, 0, 2], 2) == [[*square, 0, 3]]


def test_a_line_without_length_is_no_trouble() -> None:
    assert between("polyline", [1, 1, 1, 1], [1, 1, 1, 1], 2) == [[1, 1, 1, 1, 1, 1]]
    assert between("polyline", [0, 0], [4, 0], 2) == [[2, 0]]


@pytest.mark.parametrize(
    ("kind", "left", "right"),
    [
        ("rectangle", BOX, [0.0, 0, 4]),
        ("polygon", [], [0.0, 0, 4, 0, 4, 4]),
        ("polyline", [0.0, 0, 4], [0.0, 0, 4, 4]),
    ],
)
def test_numbers_that_do_not_fit_are_held(kind: str, left: list[float], right: list[float]) -> None:
    assert between(kind, left, right, 2) == [left]


def test_a_track_is_open_to_the_last_frame() -> None:
    found = boxes([2], [False], 5)
    assert found.frames.tolist() == [2, 3, 4, 5]
    assert [p.tolist() for p in found.points] == [[2, 0, 6, 2]] * 4
    assert found.keyframe.tolist() == [True, False, False, False]


def test_a_gap_hides_the_track() -> None:
    found = boxes([0, 2, 5, 6], [False, True, False, True], 9)
    assert found.frames.tolist() == [0, 1, 5]
    assert [p[0] for p in found.points] == [0, 1, 5]  # on its way to the keyframe that hides it
    assert found.at.tolist() == [0, 0, 2]
    assert found.keyframe.tolist() == [True, False, True]


def test_tracks_of_one_frame_and_of_none() -> None:
    assert boxes([3], [False], 3).frames.tolist() == [3]
    assert boxes([3, 4], [False, True], 9).frames.tolist() == [3]
    assert boxes([3], [True], 9).frames.tolist() == []
    assert boxes([3], [False], 2).frames.tolist() == []
    assert boxes([], [], 9).frames.tolist() == []


def test_a_keyframe_beyond_the_end_still_draws_the_track() -> None:
    found = boxes([0, 10], [False, False], 3)
    assert [p[0] for p in found.points] == [0, 1, 2, 3]
    assert not boxes([0, 10], [True, False], 3).points


def test_keyframes_come_in_any_order() -> None:
    found = boxes([4, 0, 2], [False, False, False], 5)
    assert found.frames.tolist() == [0, 1, 2, 3, 4, 5]
    assert found.at.tolist() == [1, 1, 2, 2, 0, 0]
    assert [p[0] for p in found.points] == [0, 1, 2, 3, 4, 4]


def test_the_last_of_two_keyframes_on_a_frame_counts() -> None:
    shapes = [BOX, [9.0, 9, 9, 9], [2.0, 0, 6, 2], BOX]
    found = visible_frames("rectangle", [0, 2, 2, 4], shapes, [0] * 4, [False] * 4, 4)
    assert [p[0] for p in found.points] == [0, 1, 2, 1, 0]
    assert found.at.tolist() == [0, 0, 2, 2, 3]
    assert boxes([0, 2, 2], [False, False, True], 4).frames.tolist() == [0, 1]
    assert boxes([0, 2, 2], [False, True, False], 4).frames.tolist() == [0, 1, 2, 3, 4]


tracks = st.integers(1, 6).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 30), min_size=n, max_size=n),
        st.lists(st.booleans(), min_size=n, max_size=n),
        st.integers(0, 35),
    )
)


@given(tracks)
def test_what_is_seen_is_the_last_keyframe_that_is_not_outside(track: tuple[list[int], list[bool], int]) -> None:
    frames, outside, last = track
    found = boxes(frames, outside, last)
    want = {}
    for frame in range(last + 1):
        before = [(f, place) for place, f in enumerate(frames) if f <= frame]
        if before and not outside[max(before)[1]]:
            want[frame] = max(before)[1]
    assert dict(zip(found.frames.tolist(), found.at.tolist(), strict=True)) == want
    assert found.keyframe.tolist() == [f in frames for f in want]


numbers = st.floats(-1e4, 1e4)


@st.composite
def sparse(draw: st.DrawFn, kind: str) -> VisibleFrames:
    """A track with gaps, made from keyframes."""
    frames = sorted(draw(st.sets(st.integers(0, 40), min_size=1, max_size=7)))
    size = LINEAR.get(kind)
    lists = [draw(st.lists(numbers, min_size=6, max_size=14).map(lambda p: p[: len(p) // 2 * 2])) for _ in frames]
    points = lists if size is None else [draw(st.lists(numbers, min_size=size, max_size=size)) for _ in frames]
    rotation = [draw(st.floats(0, 360)) for _ in frames]
    outside = [draw(st.integers(0, 3)) == 0 for _ in frames]
    return visible_frames(kind, frames, points, rotation, outside, draw(st.integers(0, 45)))


def check(kind: str, dense: VisibleFrames, flagged: Bools) -> Bools:
    frames, rotation = dense.frames.tolist(), dense.rotation.tolist()
    chosen = needed_keyframes(kind, frames, dense.points, rotation, flagged)
    assert (chosen >= flagged).all()
    if frames:
        back = sent(kind, frames, [p.tolist() for p in dense.points], rotation, chosen)
        assert back.frames.tolist() == frames
        for mine, theirs in zip(dense.points, back.points, strict=True):
            np.testing.assert_allclose(theirs, mine, rtol=0, atol=1e-6)
        np.testing.assert_allclose(back.rotation, rotation, rtol=0, atol=1e-6)
        assert (back.keyframe == chosen).all()
    return chosen


@pytest.mark.parametrize("kind", [*LINEAR, "polygon", "polyline", "mask"])
@given(data=st.data())
@examples(60)
def test_what_is_sent_as_keyframes_comes_back_whole(kind: str, data: st.DataObject) -> None:
    dense = data.draw(sparse(kind))
    wild = data.draw(st.lists(st.booleans(), min_size=dense.frames.size, max_size=dense.frames.size))
    check(kind, dense, np.array(wild, bool))
    chosen = check(kind, dense, dense.keyframe)
    if not (dense.rotation >= 360).any():  # 360 comes back as 0, so each needs to be a key
        stretch = np.cumsum(np.diff(dense.frames, prepend=-1) > 1)
        ends = np.diff(dense.frames, append=99) > 1  # those that are no keyframes lead to one that is not seen
        assert set(stretch[chosen & ~dense.keyframe]) <= set(stretch[ends & ~dense.keyframe])


@given(st.lists(st.tuples(numbers, numbers, st.floats(0, 360)), min_size=1, max_size=30))
def test_a_track_without_any_pattern_comes_back_too(rows: list[tuple[float, float, float]]) -> None:
    frames = np.arange(len(rows))
    points = [np.array([x, y, x + 5, y + 5]) for x, y, _ in rows]
    dense = VisibleFrames(frames, points, np.array([r for *_, r in rows]), frames, np.ones(len(rows), bool))
    check("rectangle", dense, np.zeros(len(rows), bool))


def chosen(
    kind: str, points: list[list[float]], rotation: Sequence[float] = (), frames: Sequence[int] = ()
) -> list[int]:
    n = len(points)
    turns, at = list(rotation) or [0.0] * n, list(frames) or list(range(n))
    return np.flatnonzero(needed_keyframes(kind, at, points, turns, np.zeros(n, bool))).tolist()


def test_keys_are_the_ends_and_the_bends() -> None:
    assert chosen("rectangle", [[x, 0, 9, 9] for x in (0, 1, 2, 3, 5, 7, 9)]) == [0, 3, 6]
    assert chosen("rectangle", [[x, 0, 9, 9] for x in (0, 1, 2, 3)], frames=[0, 1, 5, 6]) == [0, 1, 2, 3]
    assert chosen("rectangle", [BOX]) == [0]
    assert chosen("rectangle", []) == []
    assert chosen("points", [[x, 0] for x in (0, 1, 2, 2, 2)]) == [0, 2, 4]


def test_flagged_shapes_are_keys() -> None:
    flagged = np.array([False, False, True, False, False])
    assert needed_keyframes("ellipse", range(5), [BOX] * 5, [0] * 5, flagged).tolist() == [
        True,
        False,
        True,
        False,
        True,
    ]
    assert flagged.tolist() == [False, False, True, False, False]


def test_a_bend_too_faint_to_see_in_three_frames_is_found_in_many() -> None:
    frames = np.arange(2001)
    points = [np.array([x, 0.0, x + 4, 2]) for x in 1e-7 * (frames - 1000.0) ** 2]
    dense = VisibleFrames(frames, points, np.zeros(2001), frames, np.ones(2001, bool))
    found = check("rectangle", dense, np.zeros(2001, bool))
    assert 2000 / 6.4 < found.sum() < 2000 / 3  # over n frames a parabola is n² / 4 of its pace off its chord


def test_keys_of_rotation() -> None:
    assert chosen("rectangle", [BOX] * 5, [340.0, 350.0, 0.0, 10.0, 20.0]) == [0, 4]
    assert chosen("rectangle", [BOX] * 4, [0.0, 10.0, 10.0, 10.0]) == [0, 1, 3]
    assert 1 in chosen("rectangle", [BOX] * 3, [360.0, 360.0, 360.0])  # 0 would come back
    assert len(chosen("rectangle", [BOX] * 31, [10.0 * n for n in range(31)])) <= 5  # more than half a turn


def test_keys_of_what_is_held() -> None:
    a, b = [0.0, 2, 0, 0, 1], [1.0, 1, 0, 0, 1]
    assert chosen("mask", [a, a, a, b, b, a]) == [0, 3, 5]
    assert chosen("mask", [a, a, [*a, 1.0], a, a]) == [0, 2, 3, 4]
    assert chosen("points", [[0, 0, 1, 1]] * 3 + [[5, 5, 6, 6]] * 2) == [0, 3, 4]


def test_keys_of_curves() -> None:
    square, other = [0.0, 0, 4, 0, 4, 4, 0, 4], [1.0, 0, 9, 0, 4, 4]
    assert chosen("polygon", [square] * 4) == [0, 3]
    assert chosen("polygon", [square, square, other, other]) == [0, 1, 2, 3]
