"""Labels that are added where there is an equal one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annobridge.checks import Evidence
from annobridge.checks import duplicates as module
from annobridge.checks.duplicates import duplicates, pairs
from annobridge.core.labels import LABELS
from annobridge.core.rows import Keypoint, Polyline

BOX = [0.1, 0.1, 0.4, 0.4]
ALMOST = [0.1, 0.11, 0.4, 0.39]  # IoU 0.975


def label(label_id: str, **columns: Any) -> dict[str, Any]:
    row = {"label_id": label_id, "sample_id": "s", "field": "objects", "kind": "box", "label": "car", "rev": 0}
    return row | {"bounding_box": BOX} | columns


def added(label_id: str, **columns: Any) -> dict[str, Any]:
    return {"change_id": f"add {label_id}", "label_id": label_id, "field": "objects", "label": "car", "kind": "add",
            "component": "existence", **columns}  # fmt: skip


def test_an_addition_on_another_label_is_told() -> None:
    evidence = Evidence.of(changes=[added("new")], after=[label("old"), label("new", bounding_box=ALMOST)])
    (found,) = duplicates(evidence)
    assert found.sentence == (
        "1 label 'car' of 'objects' would be added where there is another one, with an overlap of at least 90 % "
        "(the first: 'new' on 'old')."
    )
    assert (found.change_ids.to_pylist(), found.level) == (["add new"], "error")
    assert not list(duplicates(evidence, limit=0.98))


def test_two_additions_on_one_another_are_both_told() -> None:
    (found,) = duplicates(Evidence.of(changes=[added("a"), added("b")], after=[label("a"), label("b")]))
    assert found.change_ids.to_pylist() == ["add a", "add b"]


@pytest.mark.parametrize(
    "other",
    [
        {"label": "bus"}, {"field": "other"}, {"sample_id": "t"}, {"frame_number": 2}, {"rotation": 90.0},
        {"bounding_box": [0.1, 0.5, 0.4, 0.4]}, {"bounding_box": None}, {"bounding_box": [0.1, 0.1, 0.0, 0.0]},
    ],
)  # fmt: skip
def test_what_is_elsewhere_or_of_another_class_is_no_duplicate(other: dict[str, Any]) -> None:
    rows = [label("old", **other), label("new")]
    assert not list(duplicates(Evidence.of(changes=[added("new")], after=rows)))


def test_labels_that_were_there_before_are_not_told() -> None:
    assert not list(duplicates(Evidence.of(changes=[added("other")], after=[label("a"), label("b")])))
    assert not list(duplicates(Evidence.of()))


def test_polygons_are_compared_by_their_areas() -> None:
    square = [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9)]
    triangle = [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9)]
    for first, second, told in ((square, square, True), (square, triangle, False)):
        rows = [
            {**label(name, bounding_box=None), **Polyline("car", [points], closed=True, filled=True).row()}
            for name, points in (("old", first), ("new", second))
        ]
        assert bool(list(duplicates(Evidence.of(changes=[added("new")], after=rows)))) == told


def test_keypoints_are_compared_point_by_point() -> None:
    points = [(0.2, 0.2), (0.4, 0.4), (0.6, 0.2)]
    for second, told in ((points, True), (points[::-1], False), (points[:2], False)):
        rows = [
            {**label(name, bounding_box=None), **Keypoint("car", of).row()}
            for name, of in (("old", points), ("new", second))
        ]
        assert bool(list(duplicates(Evidence.of(changes=[added("new")], after=rows)))) == told


@pytest.mark.parametrize("limit", [0.1, 0.3, 0.5, 0.9])
def test_a_box_at_the_far_end_of_a_larger_one_is_found(limit: float) -> None:
    share = limit + 0.001
    inside = [0.1 + 0.4 * (1 - share), 0.1, 0.4 * share, 0.4]
    for asked in ("large", "small"):
        rows = [label("large"), label("small", bounding_box=inside)]
        evidence = Evidence.of(changes=[added(asked)], after=rows)
        assert len(list(duplicates(evidence, limit=limit))) == 1
        assert not list(duplicates(evidence, limit=limit + 0.002))


def iou(a: list[float], b: list[float]) -> float:
    shared = [max(0.0, min(a[n] + a[n + 2], b[n] + b[n + 2]) - max(a[n], b[n])) for n in (0, 1)]
    union = a[2] * a[3] + b[2] * b[3] - shared[0] * shared[1]
    return shared[0] * shared[1] / union


sides = st.sampled_from([0.1, 0.11, 0.125, 0.2, 0.4, 0.45])
rows = st.lists(st.tuples(sides, sides, sides, sides, st.sampled_from("ab"), st.booleans()), max_size=12)
limits = st.sampled_from([0.101, 0.33, 0.503, 0.77, 0.93])  # no two of these boxes overlap by exactly one of them


@given(rows, limits, st.sampled_from([1, 1_000_000]))
def test_the_law_of_duplicates(found: list[tuple[Any, ...]], limit: float, chunk: int) -> None:
    """Exactly those rows are told that a comparison of every pair finds, in however many pieces they are compared."""
    table = pa.Table.from_pylist(
        [label(str(n), bounding_box=list(row[:4]), label=row[4]) for n, row in enumerate(found)], LABELS
    )
    wanted = np.array([row[5] for row in found], bool)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK", chunk)
        doubled, on = pairs(table, wanted, limit, np.full((len(found), 2), np.nan))
    near = {
        a: {
            b for b, other in enumerate(found)
            if a != b and row[4] == other[4] and iou(row[:4], other[:4]) >= limit
        }
        for a, row in enumerate(found) if row[5]
    }  # fmt: skip
    assert doubled.tolist() == [a for a in sorted(near) if near[a]]
    assert all(b in near[a] for a, b in zip(doubled.tolist(), on.tolist(), strict=True))
