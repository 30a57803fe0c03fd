"""Shapes that are too small, moved by much, or over the border."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annobridge.checks import Evidence
from annobridge.checks.shapes import iou_floor, over_border, small_boxes

SAMPLES = [{"sample_id": "s", "width": 100, "height": 50}, {"sample_id": "unknown"}]


def shape(box: list[float], **columns: Any) -> dict[str, Any]:
    return {"change_id": "c", "sample_id": "s", "field": "objects", "label_id": "l", "shape": "box", "label": "car",
            "kind": "add", "component": "existence", "theirs_box": box, **columns}  # fmt: skip


def test_a_box_below_the_least_size_is_told() -> None:
    evidence = Evidence.of(changes=[shape([0.1, 0.1, 0.5, 0.04])], samples=SAMPLES)
    (found,) = small_boxes(evidence)
    assert found.sentence == "1 label 'car' of 'objects' would be less than 3 pixels wide or high (the least: 2)."
    assert found.change_ids.to_pylist() == ["c"]
    assert not list(small_boxes(evidence, pixels=2))


@pytest.mark.parametrize(
    "columns",
    [
        {"shape": "keypoints"},
        {"sample_id": "unknown"},
        {"sample_id": "of no sample"},
        {"component": "label", "kind": "edit"},
        {"theirs_box": None, "kind": "delete"},
    ],
)
def test_what_has_no_size_in_pixels_is_left_out(columns: dict[str, Any]) -> None:
    assert not list(small_boxes(Evidence.of(changes=[shape([0, 0, 0.001, 0.001]) | columns], samples=SAMPLES)))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(10, 5000), st.integers(10, 5000))
def test_whole_pixels_are_not_less_than_themselves(wide: int, high: int, least: int, width: int, height: int) -> None:
    samples = [{"sample_id": "s", "width": width, "height": height}]
    evidence = Evidence.of(changes=[shape([0, 0, wide / width, high / height])], samples=samples)
    assert bool(list(small_boxes(evidence, pixels=least))) == (min(wide, high) < least)


def edit(n: int, iou: float | None, label: str = "car") -> dict[str, Any]:
    return shape([0, 0, 1, 1], change_id=f"e{n}", kind="edit", component="spatial", iou=iou, label=label)


def test_moves_below_the_floor_are_told_by_class() -> None:
    evidence = Evidence.of(changes=[edit(1, 0.4), edit(2, 0.125), edit(3, 0.5), edit(4, None), edit(5, 0.0, "bus")])
    car, bus = iou_floor(evidence)
    assert car.sentence == (
        "2 labels 'car' of 'objects' would be moved or resized by much: before and after overlap by less than 50 % "
        "(IoU; the least: 12 %)."
    )
    assert (car.change_ids.to_pylist(), car.level) == (["e1", "e2"], "warning")
    assert bus.sentence.startswith("1 label 'bus' of 'objects'")
    assert [f.change_ids.to_pylist() for f in iou_floor(evidence, at_least=2)] == [["e1", "e2"]]
    assert not list(iou_floor(evidence, limit=0.0))


def after(**columns: Any) -> dict[str, Any]:
    return {"label_id": "l", "sample_id": "s", "field": "objects", "kind": "box", "label": "car", "rev": 0, **columns}


def test_a_turned_box_over_the_border_is_told_in_pixels() -> None:
    box = [0.0, 0.2, 0.4, 0.2]  # 40 × 10 pixels; turned by 90°, it reaches from -5 to 35 pixels
    turned = after(bounding_box=box, rotation=90.0)
    evidence = Evidence.of(changes=[shape(box)], after=[turned], samples=SAMPLES)
    (found,) = over_border(evidence)
    assert found.sentence == (
        "1 label 'car' of 'objects' would lie over the border of their image, by up to 5 pixels; 1 may be."
    )
    assert (found.change_ids.to_pylist(), found.level) == (["c"], "warning")
    assert not list(over_border(evidence, pixels=5))
    assert not list(over_border(Evidence.of(changes=[shape(box)], after=[turned | {"rotation": 0.0}], samples=SAMPLES)))


def test_a_cuboid_is_measured_by_its_points() -> None:
    points = [[[0.5, 0.5]] * 7 + [[1.03, 0.5]]]
    cuboid = after(kind="cuboid", points=points)
    changes = [shape([0.5, 0.5, 0.53, 0.0], shape="cuboid")]
    (found,) = over_border(Evidence.of(changes=changes, after=[cuboid], samples=SAMPLES))
    assert "by up to 3 pixels" in found.sentence
    inside = cuboid | {"points": [[[0.5, 0.5]] * 7 + [[1.0, 1.0]]]}
    assert not list(over_border(Evidence.of(changes=changes, after=[inside], samples=SAMPLES), pixels=0))


def test_labels_that_are_not_changed_and_images_of_unknown_size_are_not_told() -> None:
    turned = after(bounding_box=[0.0, 0.2, 0.4, 0.2], rotation=90.0)
    assert not list(over_border(Evidence.of(changes=[], after=[turned], samples=SAMPLES)))
    unknown = Evidence.of(
        changes=[shape([0, 0, 1, 1], sample_id="unknown")], after=[turned | {"sample_id": "unknown"}], samples=SAMPLES
    )
    assert not list(over_border(unknown))


@given(st.floats(0, 360), st.floats(0.2, 0.8), st.floats(0.2, 0.8))
def test_the_law_of_the_border(degrees: float, x: float, y: float) -> None:
    """A square of 10 × 10 pixels that is turned reaches ``5·(|cos| + |sin|)`` pixels from its centre."""
    samples = [{"sample_id": "s", "width": 20, "height": 20}]
    box = [x - 0.25, y - 0.25, 0.5, 0.5]
    evidence = Evidence.of(changes=[shape(box)], after=[after(bounding_box=box, rotation=degrees)], samples=samples)
    reach = 5 * (abs(math.cos(math.radians(degrees))) + abs(math.sin(math.radians(degrees))))
    over = reach - 20 * min(x, y, 1 - x, 1 - y)
    for limit in (over - 0.01, over + 0.01):
        assert bool(list(over_border(evidence, pixels=limit))) == (limit < over)
