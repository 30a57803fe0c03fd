"""Labels as people write them: FiftyOne's names in, rows of ``LABELS`` out."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from annobridge.core import geometry, rows
from annobridge.core.labels import LABELS
from annobridge.exceptions import InvalidLabels
from annobridge.testing import strategies


def stored(*labels):
    """The rows as the table gives them back, less what is null."""
    place = {"label_id": "l", "sample_id": "s", "field": "f", "rev": 1}
    table = pa.Table.from_pylist([place | label.row() for label in labels], schema=LABELS)
    return [{k: v for k, v in row.items() if v is not None and k not in place} for row in table.to_pylist()]


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        ("007", "str", '"007"'),
        ("true", "str", '"true"'),
        ("1e5", "str", '"1e5"'),
        (True, "bool", "true"),
        (7, "int", "7"),
        (7.0, "float", "7.0"),
        (0.1 + 0.2, "float", "0.30000000000000004"),
        (["a", 1], "json", '["a", 1]'),
        ({"a": None}, "json", '{"a": null}'),
        (np.float64(0.5), "float", "0.5"),
        (np.float32(0.5), "float", "0.5"),
        (np.int64(5), "int", "5"),
        (np.bool_(True), "bool", "true"),
        (np.str_("x"), "str", '"x"'),
        (np.array([1, 2]), "json", "[1, 2]"),
    ],
)
def test_attributes_keep_their_type(value, kind, text):
    assert rows.attribute("a", value) == {"name": "a", "type": kind, "value": text}


def test_attributes_are_sorted_and_none_is_absent():
    assert [a["name"] for a in rows.attributes({"b": 1, "a": False, "c": None})] == ["a", "b"]


def test_keywords_are_columns_or_attributes():
    label = rows.Detection(
        "car", (0, 0, 0.5, 1), confidence=0.5, index=3, tags=["t"], rotation=5.0, label_id="x", colour="red"
    )
    assert label.label_id == "x"
    assert label.row() == {
        "kind": "box",
        "label": "car",
        "bounding_box": [0.0, 0.0, 0.5, 1.0],
        "confidence": 0.5,
        "index": 3,
        "tags": ["t"],
        "rotation": 5.0,
        "label_id": "x",
        "attributes": [{"name": "colour", "type": "str", "value": '"red"'}],
    }


def test_attributes_may_have_any_name():
    label = rows.Classification("x", attributes={"label": "y", "über": 1}, two=2)
    assert [(a["name"], json.loads(a["value"])) for a in label.row()["attributes"]] == [
        ("label", "y"),
        ("two", 2),
        ("über", 1),
    ]


def test_constructors_do_not_change_their_arguments():
    given = {"a": 1}
    rows.Classification("x", attributes=given, b=2)
    assert given == {"a": 1}


def test_detection_with_a_mask_is_an_instance():
    pixels = np.zeros((4, 8), bool)
    pixels[1:3, 2:6] = True
    full = rows.Detection("car", mask=pixels).row()
    cropped = rows.Detection("car", [0.25, 0.25, 0.5, 0.5], mask=np.ones((2, 4)), image_size=(8, 4)).row()
    assert full == cropped == rows.Detection("car", mask=geometry.encode_rle(pixels)).row()
    assert full["kind"] == "mask"
    assert full["bounding_box"] == [0.25, 0.25, 0.5, 0.5]


def test_polylines_and_polygons():
    line = rows.Polyline("lane", [[(0, 0), (1, 1)]]).row()
    assert (line["kind"], line["closed"], line["filled"]) == ("polyline", False, False)
    polygon = rows.Polyline("road", np.zeros((2, 3, 2)), filled=True).row()
    assert (polygon["kind"], polygon["closed"], polygon["points"]) == ("polygon", True, [[[0.0, 0.0]] * 3] * 2)


def test_keypoints_know_the_missing_ones():
    row = rows.Keypoint("pose", [(0.5, 0.5), (math.nan, math.nan)], confidence=[0.5, 0.25]).row()
    assert row["visibility"] == [2, 0]
    assert row["attributes"] == [{"name": "point_confidence", "type": "json", "value": "[0.5, 0.25]"}]
    assert "confidence" not in row
    assert rows.Keypoint("pose", [(0, 0)], visibility=[1], confidence=0.5).row()["visibility"] == [1]


def test_a_segmentation_is_a_mask_for_each_class():
    labels = rows.Segmentation(np.array([[0, 1], [2, 1]]), {1: "road"}, annotated=True)
    assert [label.row()["label"] for label in labels] == ["road", "2"]
    np.testing.assert_array_equal(geometry.decode_rle(labels[0].row()["mask"]), [[0, 1], [0, 1]])
    assert rows.Segmentation(np.zeros((2, 2))) == []


def test_scalars_and_messages_are_json():
    assert [rows.Scalar(v).row()["value"] for v in (True, 1, 1.5, "007", np.float32(0.5))] == [
        "true",
        "1",
        "1.5",
        '"007"',
        "0.5",
    ]
    message = rows.Message("answer", "yes", number=2, user="ann").row()
    assert (message["label"], message["value"], message["index"]) == ("answer", '"yes"', 2)
    assert [a["name"] for a in message["attributes"]] == ["conversation", "user"]


@given(strategies.labels())
def test_rows_fit_the_table(label):
    row = {k: v for k, v in label.row().items() if not isinstance(v, float) or not math.isnan(v)}
    (back,) = stored(label)
    assert str(back) == str({name: back[name] for name in back})
    assert set(back) == set(row)
    assert str(back["attributes"]) == str(row["attributes"])


BOX = [0, 0, 1, 1]
LOOP = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: rows.Detection("car", ["a", 0, 0, 1]), ["'bounding_box' is ['a', 0, 0, 1]", "give [x, y, width, hei"]),
        (lambda: rows.Detection("car", [0, 0, 1]), ["'bounding_box' is [0, 0, 1]", "four numbers"]),
        (lambda: rows.Detection("car", 5), ["'bounding_box' is 5"]),
        (lambda: rows.Ellipse("car", "abcd"), ["'bounding_box' is 'abcd'"]),
        (lambda: rows.Detection("car", BOX, tags=["t"], colour={1}), ["The attribute 'colour' is {1}; give a text"]),
        (lambda: rows.Detection("car", BOX, owner=object()), ["The attribute 'owner' is <object object"]),
        (lambda: rows.Detection("car", BOX, loop=LOOP), ["The attribute 'loop' is [[...]]"]),
        (lambda: rows.Detection("car", BOX, attributes=["a"]), ["'attributes' is ['a']; give a dictionary"]),
        (lambda: rows.Detection("car", BOX, attributes={1: 2}), ["'attributes' is {1: 2}; give a dictionary"]),
        (lambda: rows.Polyline("lane", [(0, 0), (1, 1)]), ["'points' is [(0, 0), (1, 1)]; give lists of (x, y)"]),
        (lambda: rows.Polyline("lane", None), ["'points' is None"]),
        (lambda: rows.Cuboid("van", [("a", 0)]), ["'points' is [[('a', 0)]]"]),
        (lambda: rows.Keypoint("pose", [(0, 0)], visibility=["x"]), ["'visibility' is ['x']; give 0, 1 or 2"]),
        (lambda: rows.Keypoint("pose", [(0, 0)], confidence=["x"]), ["'confidence' is ['x']; give a number"]),
        (lambda: rows.Detection("car", mask={"size": ["a", 1], "counts": b"1"}), ["'mask' is {'size'", "give an arr"]),
        (lambda: rows.Detection("car", BOX, np.ones((2, 2)), image_size="x"), ["image_size as (width, height)"]),
        (lambda: rows.Segmentation([["a"]]), ["'mask' is [['a']]; give an array of height × width numbers"]),
        (lambda: rows.Segmentation([[1], [1, 2]]), ["'mask' is [[1], [1, 2]]"]),
        (lambda: rows.Segmentation([[1]], ["road"]), ["'mask_targets' is ['road']; give a dictionary"]),
        (lambda: rows.Scalar({1}), ["'value' is {1}; give a text"]),
        (lambda: rows.Message("question", {1}), ["'content' is {1}; give a text"]),
    ],
)
def test_what_no_label_can_hold_is_told_with_its_name_and_the_cure(make, words):
    with pytest.raises(InvalidLabels) as caught:
        make()
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_long_value_is_cut_in_the_message():
    with pytest.raises(InvalidLabels) as caught:
        rows.Detection("car", BOX, everything=set(range(10_000)))
    assert len(str(caught.value)) < 300


def test_samples_sort_keywords_into_fields_and_columns():
    car = rows.Detection("car", [0, 0, 1, 1])
    sample = rows.Sample(
        "a.jpg", tags=("x",), objects=[car], weather=rows.Classification("sunny"), place="Paris", ids=[1]
    )
    assert set(sample.fields) == {"objects", "weather"}
    assert sample.columns == {"place": "Paris", "ids": [1]}
    assert sample.tags == ["x"]
    sample["place"] = car
    sample["objects"] = None
    assert set(sample.fields) == {"place", "weather"}
    assert sample.columns == {"objects": None, "ids": [1]}
