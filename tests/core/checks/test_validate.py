"""Every mistake in a label is found and named with its cure; clipping touches only what leaves the image."""

import math
import struct

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annobridge.core import geometry
from annobridge.core.checks import shape_checks, validate
from annobridge.core.checks.validate import clip, problems
from annobridge.core.labels import LABELS
from annobridge.testing import strategies


def table(*rows, schema=LABELS):
    place = {"sample_id": "s", "field": "objects", "rev": 1}
    return pa.Table.from_pylist([{"label_id": f"l{i}"} | place | row for i, row in enumerate(rows)], schema=schema)


def box(*values, **extra):
    return {"kind": "box", "label": "car", "bounding_box": list(values)} | extra


def shape(kind, *parts, **extra):
    return {"kind": kind, "label": "car", "points": list(parts)} | extra


def attributes(*triples):
    return box(0, 0, 1, 1, attributes=[dict(zip(("name", "type", "value"), t, strict=True)) for t in triples])


SQUARE = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]
MASK = geometry.encode_rle(np.eye(3, dtype=bool))


@given(strategies.tables(frames=2) | strategies.tables())
def test_valid_labels_have_no_problems(labels):
    assert problems(labels) == []
    assert clip(labels) is labels


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (box(math.nan, 0, 1, 1), "the box [nan, 0.0, 1.0, 1.0], which is not all numbers"),
        (box(0, -math.inf, 1, math.inf), "not all numbers"),
        (box(0, 0, None, 1), "not all numbers"),
        (box(0.5, 0.5, 0, 0.1), "no area"),
        (box(0.5, 0.5, 0.2, -0.1), "no area"),
        (box(-0.1, 0, 0.5, 0.5), "not inside the image; clip it, or pass invalid='clip'"),
        (box(0, 0, 0.5, 1.1), "not inside the image"),
        (box(1e308, 0, 1e308, 0.5), "not inside the image"),
        (box(2, 2, 0.1, 0.1, rotation=45.0), "not inside the image"),
        (box(0, 0, 1, 1, rotation=math.nan), "the rotation nan, give degrees, or none"),
        (box(0, 0, 1, 1, confidence=1.01), "the confidence 1.01, give a number from 0 to 1"),
        (box(0, 0, 1, 1, confidence=math.nan), "the confidence nan"),
        (box(0, 0, 1, 1, frame_number=0), "the frame_number 0, give a number from 1 on"),
        ({"kind": "boxx"}, "has the kind 'boxx'; did you mean 'box'?"),
        ({"kind": None}, "has the kind None; "),
        ({"kind": "box"}, "is a box without 'bounding_box'; give it, or leave the label out"),
        ({"kind": "ellipse"}, "without 'bounding_box'"),
        ({"kind": "mask"}, "without 'mask'"),
        ({"kind": "segmentation"}, "without 'mask'"),
        ({"kind": "classification"}, "without 'label'"),
        ({"kind": "scalar"}, "without 'value'"),
        ({"kind": "message"}, "without 'value'"),
        ({"kind": "cuboid"}, "without 'points' or 'bounding_box'"),
        (shape("polygon"), "is a polygon without 'points'"),
        (shape("polygon", SQUARE, SQUARE[:2]), "has a part of 2 points, and a polygon needs at least 3"),
        (shape("polyline", SQUARE[:1]), "a polyline needs at least 2"),
        (shape("skeleton", []), "has a part of 0 points"),
        (shape("polyline", SQUARE, None), "has a part of 0 points"),
        (shape("polyline", [*SQUARE, None]), "has a point that is null"),
        (shape("polygon", [*SQUARE, [math.nan, 0.5]]), "the point [nan, 0.5], which is not a number"),
        (shape("keypoints", [[math.inf, 0.5]]), "the point [inf, 0.5], which is not a number"),
        (shape("keypoints", [[0.5, None]]), "has a point that is null"),
        (shape("keypoints", [[0.5, 0.5], [-math.inf, 0]]), "the point [-inf, 0.0]"),
        (shape("cuboid", [[math.nan, 0]]), "not a number"),
        (shape("keypoints", [[math.nan, math.nan], [0.5, 1.1]]), "the point [0.5, 1.1], which is not inside the image"),
        (shape("keypoints", SQUARE, visibility=[2, 2]), "a 'visibility' that is not as long as its points"),
        ({"kind": "mask", "mask": {"size": [0, 3], "counts": b"3"}}, "a mask of size [0, 3] without pixels"),
        ({"kind": "mask", "mask": {"size": None, "counts": b"3"}}, "a mask of size None"),
        ({"kind": "mask", "mask": {"size": [3, 3], "counts": b""}}, "without pixels"),
        ({"kind": "mask", "mask": {"size": [3, 3], "counts": b"8"}}, "a mask that counts 8 pixels where 3×3 = 9"),
        ({"kind": "scalar", "value": "yes"}, "has the value = yes, which is not JSON"),
        ({"kind": "scalar", "value": "NaN"}, "has the value = NaN, which is not JSON"),
        (box(0, 0, 1, 1, attributes=[None]), "an attribute that is null"),
        (attributes(("a", "str", None)), "an attribute that is null"),
        (attributes(("a", "text", '"x"')), "the attribute 'a' of type 'text'; "),
        (attributes(("a", "int", "1"), ("a", "int", "2")), "the attribute 'a' more than once"),
        (attributes(("a", "str", "red")), "the attribute 'a' = red, which is not JSON of the type str"),
        (attributes(("a", "int", "007")), "not JSON of the type int"),
        (attributes(("a", "int", "true")), "not JSON of the type int"),
        (attributes(("a", "float", "NaN")), "not JSON of the type float"),
        (attributes(("a", "bool", "True")), "not JSON of the type bool"),
        (attributes(("a", "json", "")), "not JSON of the type json"),
        (attributes(("a", "str", '"a\nb"')), "not JSON of the type str"),
    ],
)
def test_each_mistake_is_a_sentence(row, words):
    found = problems(table(box(0, 0, 1, 1), row))
    assert len(found) == 1
    assert found[0].startswith("Label 'l1' of sample 's' ")
    assert words in found[0]


@pytest.mark.parametrize(
    "row",
    [
        box(0.1, 0.2, 0.9, 0.8 + 1e-9),
        box(-1e-9, 0, 0.5, 0.5),
        box(-0.1, 0.2, 0.6, 0.2, rotation=90.0),  # turned, it fits
        shape("polyline", SQUARE, bounding_box=[0.1, 0.5, 0.8, 0.0]),
        shape("cuboid", [[-0.2, 0.5], [1.3, 0.5]]),
        shape("keypoints", [[math.nan, math.nan]], visibility=[0]),
        {"kind": "scalar", "value": "null"},
        {"kind": "mask", "mask": MASK},
        attributes(("a", "float", "1"), ("b", "json", '{"x": [1, null]}'), ("c", "str", '"\\u00e9 é"')),
        attributes(("b", "int", "-3"), ("a", "str", '""')),
        {"kind": "classification", "label": "x", "label_id": None},
    ],
)
def test_what_is_legal_stays_so(row):
    assert problems(table(row)) == []


def test_rows_without_ids_are_counted():
    labels = pa.table({"kind": ["box", "box"], "bounding_box": [[0.0, 0, 1, 1], [0.0, 0, 0, 1]]})
    assert problems(labels)[0].startswith("Row 1 has the box [0.0, 0.0, 0.0, 1.0]")


def test_ids_are_given_once():
    good = box(0, 0, 1, 1)
    found = problems(table(good, good | {"label_id": "x"}, good | {"label_id": "l0"}, good | {"label_id": "x"}))
    assert [text.split(" in row ")[1] for text in found] == [
        "2 has the id of row 0; give every label an id of its own.",
        "3 has the id of row 1; give every label an id of its own.",
    ]


def test_all_mistakes_of_all_rows_in_order_and_summed_up():
    labels = table(*[box(0, 0, 0, 1, confidence=2.0)] * 30, shape("polygon", SQUARE[:1]))
    found = problems(labels)
    assert len(found) == 21
    assert found[-1] == "and 41 more"
    assert [text.split()[1] for text in found[:4]] == ["'l0'", "'l0'", "'l1'", "'l1'"]
    assert len(problems(labels, limit=100)) == 61
    assert problems(labels, limit=0) == ["and 61 more"]


def test_many_masks_are_only_looked_at(monkeypatch):
    labels = table({"kind": "mask", "mask": {"size": [3, 3], "counts": b"8"}}, {"kind": "mask", "mask": MASK})
    assert len(problems(labels)) == 1
    monkeypatch.setattr(shape_checks, "FEW_MASKS", 1)
    assert problems(labels) == []


def test_chunks_and_slices():
    good, bad = table(box(0, 0, 1, 1), shape("polygon", SQUARE)), table(box(0, 0, 2, 1), shape("polygon", [[2, 2]] * 3))
    labels = pa.concat_tables([good[1:], bad, good[:1], bad[1:]]).drop(["label_id"])
    assert [text.split(" has ")[0] for text in problems(labels)] == [f"Row {i} of sample 's'" for i in (1, 2, 4)]
    assert problems(clip(labels)) == []
    assert problems(labels[:1]) == problems(labels[:0]) == []
    assert clip(labels[:0]).equals(labels[:0])


def test_clip_cuts_boxes_and_points_back():
    labels = table(
        box(-0.25, 0.5, 0.5, 0.75),
        shape("polygon", [[-1, 0.5], [0.5, 2], [0.25, 0.25]], [[0.5, 0.5]] * 3),
        shape("keypoints", [[math.nan, math.nan], [1.5, 0.5]]),
        box(0.1, 0.2, 0.9000000000001, 0.1),
        shape("cuboid", [[-1, 2]]),
        box(-0.1, 0, 0.5, 0.5, rotation=10.0),
    )
    clipped = clip(labels)
    assert clipped.schema == labels.schema
    assert problems(clipped) == []
    assert clipped["bounding_box"][0].as_py() == [0, 0.5, 0.25, 0.5]
    assert clipped["points"][1].as_py() == [[[0, 0.5], [0.5, 1], [0.25, 0.25]], [[0.5, 0.5]] * 3]
    assert str(clipped["points"][2].as_py()) == "[[[nan, nan], [1.0, 0.5]]]"
    assert clipped[3:].equals(labels[3:])
    assert clipped.drop(["bounding_box", "points"]).equals(labels.drop(["bounding_box", "points"]))


def test_clip_drops_nothing_and_heals_only_places():
    labels = table(
        box(1.5, 0, 0.5, 0.5), box(math.nan, 0, 9, 9), shape("polyline", [[math.inf, 2], None], None, [[5, None]])
    )
    clipped = clip(labels)
    assert len(clipped) == 3
    assert "[1.0, 0.0, 0.0, 0.5], which has no area" in problems(clipped)[0]
    assert str(clipped["bounding_box"][1].as_py()) == "[nan, 0.0, 9.0, 9.0]"
    assert clipped["points"][2].as_py() == [[[math.inf, 1.0], None], None, [[1.0, None]]]


@given(st.lists(st.lists(st.floats(-2, 2), min_size=4, max_size=4), min_size=1, max_size=6))
def test_clipped_boxes_are_inside_and_others_keep_their_bits(boxes):
    labels = table(*[box(*b) for b in boxes])
    bad = {int(text.split("'")[1][1:]) for text in problems(labels, 100) if "not inside" in text or "no area" in text}
    clipped = clip(labels)
    assert not [text for text in problems(clipped, 100) if "not inside" in text]
    for row, (before, after) in enumerate(zip(boxes, clipped["bounding_box"].to_pylist(), strict=True)):
        if row not in bad:
            assert struct.pack("4d", *before) == struct.pack("4d", *after)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (box(0, 0, 1, 1, frame_number=3), "has the frame_number 3, and 'objects' is not a field of video frames; name the "
         "field 'frames.objects', or leave the number out."),
        (box(0, 0, 1, 1, field="frames.objects"), "is in the field 'frames.objects' without a frame_number; give it"),
        (box(0, 0, 1, 1, field="bad field"), "is in the field 'bad field', which is not a field name; use letters, digits"),
        (box(0, 0, 1, 1, field="a.b"), "is in the field 'a.b', which is not a field name"),
        (box(0, 0, 1, 1, label_id=""), "has the label_id ''; give it a text, or none to have one made."),
        (box(0, 0, 1, 1, label_id=" \t"), "has the label_id ' \\t'; give it a text"),
        (box(0, 0, 1, 1, label=""), "has the class ''; give it a name, or none."),
        (box(0, 0, 1, 1, label="  "), "has the class '  '; give it a name, or none."),
    ],
)  # fmt: skip
def test_new_labels_say_where_they_belong(row, words):
    rows = table(box(0, 0, 1, 1), row)
    (found,) = problems(rows, checks=validate.NEW_LABEL_CHECKS)
    assert words in found
    assert problems(rows) == []  # a label that is stored already is left in peace


@given(strategies.tables())
def test_valid_labels_may_come_in(labels):
    assert problems(labels, checks=validate.NEW_LABEL_CHECKS) == []


def test_labels_of_frames_may_come_in():
    rows = table(*(box(0, 0, 1, 1, field="frames.objects", frame_number=n) for n in (1, 2)))
    assert problems(rows, checks=validate.NEW_LABEL_CHECKS) == []


def test_the_name_of_a_field_is_told_once():
    rows = table(*(box(0, 0, 1, 1, field=name) for name in ("a b", "c", "a b", "d e")))
    assert [words.split()[1] for words in problems(rows, checks=validate.NEW_LABEL_CHECKS)] == ["'l0'", "'l3'"]
