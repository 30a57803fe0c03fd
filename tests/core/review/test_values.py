"""The texts of components, and what decisions are bound to."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annobridge.core.labels import LABELS
from annobridge.core.review.values import as_side, bound_to, texts
from annobridge.core.rows import attributes

NAN = float("nan")
BOX = {"kind": "box", "label": "car", "bounding_box": [0.1, 0.2, 0.3, 0.4], "index": 3, "confidence": 0.5}
BOX |= {"attributes": attributes({"colour": "red", "seats": 4}), "annotator": "alice"}


def side(*rows: dict[str, object] | None) -> pa.StructArray:
    filled = [{"label_id": "l", "sample_id": "s", "field": "f", "kind": "box", "rev": 1} | (row or {}) for row in rows]
    return as_side(pa.Table.from_pylist(filled, LABELS), np.array([row is not None for row in rows]))


@pytest.mark.parametrize(
    ("component", "value"),
    [("label", "car"), ("index", 3), ("attributes.colour", "red"), ("attributes.seats", 4),
     ("spatial", {"kind": "box", "bounding_box": [0.1, 0.2, 0.3, 0.4]}),
     ("existence", {"kind": "box", "label": "car", "bounding_box": [0.1, 0.2, 0.3, 0.4], "index": 3, "confidence": 0.5,
                    "attributes": {"colour": "red", "seats": 4}})],
)  # fmt: skip
def test_the_text_of_a_component(component: str, value: object) -> None:
    found = texts(side(BOX, None), pa.array([component, component]))
    assert json.loads(found[0].as_py()) == value
    assert found[1].as_py() is None


def test_each_row_has_its_own_component() -> None:
    assert texts(side(BOX, BOX, BOX), pa.array(["label", "attributes.none", "index"])).to_pylist() == [
        '"car"',
        None,
        "3",
    ]


def test_the_value_of_a_scalar_is_its_label() -> None:
    assert texts(side({"kind": "scalar", "value": "7"}), pa.array(["label"])).to_pylist() == ["7"]


def test_a_message_is_its_role_and_its_text() -> None:
    message = {"kind": "message", "label": "question", "value": '"Where?"'}
    assert texts(side(message), pa.array(["label"])).to_pylist() == ['["question","Where?"]']


def test_missing_points_are_null_and_masks_are_text() -> None:
    points = {"kind": "keypoints", "points": [[[NAN, NAN], [0.5, 0.5]]], "visibility": [0, 2]}
    mask = {"kind": "mask", "mask": {"size": [2, 2], "counts": b"22"}}
    found = texts(side(points, mask), pa.array(["spatial", "spatial"])).to_pylist()
    assert json.loads(found[0])["points"] == [[[None, None], [0.5, 0.5]]]
    assert json.loads(found[1])["mask"] == {"size": [2, 2], "counts": "22"}


def test_who_and_when_are_no_part_of_what_is_looked_at() -> None:
    a, b = (texts(side(BOX | {"annotator": name}), pa.array(["existence"])) for name in ("alice", "bob"))
    assert a.equals(b)


@given(st.lists(st.tuples(*[st.one_of(st.none(), st.text(max_size=3))] * 4), min_size=2, max_size=2))
def test_rows_are_bound_to_the_same_exactly_if_they_are_equal(rows: list[tuple[str | None, ...]]) -> None:
    columns = [pa.array([row[n] for row in rows], pa.string()) for n in range(4)]
    first, second = bound_to(*columns).to_pylist()
    assert (first == second) == (rows[0] == rows[1])
