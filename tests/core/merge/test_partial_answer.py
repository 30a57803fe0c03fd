"""What a file cannot hold is no change, and what it holds is one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annobridge.core.geometry import encode_rle
from annobridge.core.labels import KINDS, REMOTE
from annobridge.core.merge.file_ids import file_labels, new_ids, with_ids_of_tool
from annobridge.core.merge.partial_answer import Completed, complete, sentences
from annobridge.core.merge.seen import Seen
from annobridge.core.rows import attributes
from annobridge.core.schema import LabelSchema

LOOSE = pa.schema([f.with_nullable(True) for f in REMOTE])
NAN = float("nan")
SCHEMA = LabelSchema.parse({
    "objects": {
        "type": "detections",
        "classes": ["car", "bus"],
        "attributes": {
            "color": {"type": "text"}, "parked": {"type": "checkbox"}, "wheels": {"type": "int"},
            "share": {"type": "float"}, "state": {"type": "select", "values": ["new", "old"], "default": "new"},
        },
    },
    "areas": {"type": "polygons", "classes": ["road"], "attributes": {"wheels": {"type": "text"}}},
})  # fmt: skip
BOX = {"kind": "box", "label": "car", "bounding_box": [0.1, 0.1, 0.3, 0.3]}
ROAD = {
    "kind": "polygon",
    "label": "road",
    "points": [[[0.1, 0.1], [0.5, 0.1], [0.5, 0.6]]],
    "closed": True,
    "filled": True,
}
HAND = {"kind": "keypoints", "label": "hand", "points": [[[0.1, 0.1], [0.5, 0.1]]], "visibility": [2, 1]}


def sent(*rows: dict[str, Any]) -> pa.Table:
    given_ = [
        {"sample_id": "s", "field": "objects", "label_id": f"l{n}", "remote_id": f"m{n}", "rev": 1, **_plain(row)}
        for n, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(given_, REMOTE)


def told(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist([{"sample_id": "s", **_plain(row)} for row in rows], LOOSE)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    given_ = row.get("attributes")
    return {**row, "attributes": attributes(given_)} if isinstance(given_, dict) else row


def completed(
    base: pa.Table, theirs: pa.Table, size: tuple[float, float] = (1000, 500), others: pa.Table | None = None,
    kinds: tuple[str, ...] = KINDS, holes: bool = True, default_confidence: float | None = None,
) -> Completed:  # fmt: skip
    """``others`` are labels of the file that are elsewhere."""
    seen = Seen(frozenset(kinds), holes, default_confidence)
    for rows in (theirs, others):
        if rows is not None:
            seen.add(rows)
    sizes = [np.tile(np.array(size, float), (side.num_rows, 1)) for side in (base, theirs)]
    return complete(base, theirs, seen, SCHEMA, *sizes)


def values(row: dict[str, Any]) -> dict[str, str]:
    return {a["name"]: a["value"] for a in row["attributes"] or []}


def one(found: Completed) -> dict[str, Any]:
    (row,) = found.labels.to_pylist()
    return {**row, "label_id": None, "rev": None}  # which the merge does not look at


# --- columns that a file lacks --------------------------------------------------------------------------------------

FULL = {**BOX, "confidence": 0.5, "index": 7, "keyframe": True, "tags": ["mine"], "annotator": "ada"}


def test_a_file_of_boxes_alone_changes_nothing_else():
    base = sent({**FULL, "attributes": {"color": "red", "parked": True, "note": "outside of the schema"}})
    assert one(completed(base, told(BOX))) == one(Completed(base))


def test_keyframes_are_taken_where_the_dataset_has_them():
    assert one(completed(sent(BOX), told({**BOX, "keyframe": True})))["keyframe"] is None
    assert one(completed(sent({**BOX, "keyframe": False}), told({**BOX, "keyframe": True})))["keyframe"] is True
    assert one(completed(sent(), told({**BOX, "keyframe": True})))["keyframe"] is True


@pytest.mark.parametrize(
    ("column", "value"), [("confidence", 0.9), ("index", 8), ("tags", ["x"]), ("annotator", "bob")]
)
def test_what_the_file_has_is_taken(column, value):
    assert one(completed(sent(FULL), told({**BOX, column: value})))[column] == value


def test_a_number_that_other_labels_of_the_kind_have_was_removed_from_this_one():
    """An index, a rotation: the file can say it, and does not."""
    other = told({**BOX, "index": 1, "rotation": 5.0})
    assert one(completed(sent({**BOX, "index": 7}), told(BOX), others=other))["index"] is None
    row = one(completed(sent({**BOX, "rotation": 10.0}), told(BOX), others=other))
    assert (row["rotation"], row["bounding_box"]) == (None, BOX["bounding_box"])
    of_polygons = told({**ROAD, "index": 1})
    assert one(completed(sent({**BOX, "index": 7}), told(BOX), others=of_polygons))["index"] == 7


def test_turned_boxes_stay_where_the_file_has_upright_ones():
    turned = {**BOX, "bounding_box": [0.3, 0.4, 0.4, 0.05], "rotation": 45.0}
    for there in ([0.3, 0.4, 0.4, 0.05], [0.341, 0.107, 0.318, 0.636]):  # before it was turned, around it
        found = completed(sent(turned), told({**BOX, "bounding_box": there, "label": "car"}))
        assert one(found) == one(Completed(sent(turned)))
        assert (found.counts["place and class"], found.counts["new"], found.counts["rough"]) == (1, 0, 0)


def test_the_class_of_a_label_that_is_held_roughly_is_taken():
    turned = {**BOX, "rotation": 2.0}
    row = one(completed(sent(turned), told({**BOX, "label": "bus"})))
    assert (row["label"], row["rotation"], row["remote_id"]) == ("bus", 2.0, "m0")


def test_a_quarter_turn_may_come_as_an_upright_box():
    turned = {**BOX, "bounding_box": [0.4, 0.4, 0.2, 0.1], "rotation": 90.0}
    upright = {**BOX, "bounding_box": [0.475, 0.25, 0.05, 0.4]}
    others = told({**BOX, "rotation": 5.0})
    assert one(completed(sent(turned), told(upright), others=others)) == one(Completed(sent(turned)))
    moved = {**BOX, "bounding_box": [0.475, 0.25, 0.05, 0.45]}
    assert one(completed(sent(turned), told(moved), others=others))["rotation"] is None
    opposite = {**BOX, "bounding_box": [0.4, 0.4, 0.2, 0.1], "rotation": 270.0}
    assert one(completed(sent(turned), told(opposite), others=others))["rotation"] == 270.0  # a front and a back


@pytest.mark.parametrize("there", [33.33, 33.3333])
def test_rotations_that_were_rounded_are_no_change(there):
    turned = {**BOX, "rotation": 100 / 3}
    assert one(completed(sent(turned), told({**BOX, "rotation": there}))) == one(Completed(sent(turned)))
    assert one(completed(sent(turned), told({**BOX, "rotation": there + 1})))["rotation"] == there + 1


def test_hidden_points_stay_hidden_where_the_file_has_visible_ones():
    visible = {**HAND, "visibility": [2, 2]}
    assert one(completed(sent(HAND), told(visible)))["visibility"] == [2, 1]
    assert one(completed(sent(HAND), told({**HAND, "visibility": None})))["visibility"] == [2, 1]
    assert one(completed(sent(HAND), told(visible), others=told(HAND)))["visibility"] == [2, 2]
    more = {**HAND, "points": [[[0.1, 0.1], [0.5, 0.1], [0.5, 0.2]]], "visibility": [2, 2, 2]}
    assert one(completed(sent({**HAND, "index": 1}), told({**more, "index": 1})))["visibility"] == [2, 2, 2]


def test_points_that_are_missing_stay_so_where_the_file_has_only_the_others():
    half = {**HAND, "points": [[[0.1, 0.1], [NAN, NAN], [0.5, 0.2]]], "visibility": [1, 0, 2]}
    there = {**HAND, "points": [[[0.1, 0.1], [0.5, 0.2]]], "visibility": [2, 2]}
    row = one(completed(sent(half), told(there)))
    assert repr(row) == repr(one(Completed(sent(half))))
    there["points"][0][1] = [0.5, 0.25]
    row = one(completed(sent(half), told(there)))
    assert repr(row["points"]) == repr([[[0.1, 0.1], [NAN, NAN], [0.5, 0.25]]])
    assert row["visibility"] == [1, 0, 2]
    placed = {**half, "points": [[[0.1, 0.1], [0.3, 0.3], [0.5, 0.2]]], "visibility": [2, 2, 2]}
    row = one(completed(sent(half), told(placed)))
    assert (row["points"], row["visibility"]) == (placed["points"], [1, 2, 2])


def test_closed_lines_stay_closed_where_no_line_is():
    line = {"kind": "polyline", "label": "lane", "points": [[[0.1, 0.1], [0.5, 0.1], [0.5, 0.6]]], "filled": False}
    closed = {**line, "closed": True}
    assert one(completed(sent(closed), told({**line, "closed": False})))["closed"] is True
    assert one(completed(sent(closed), told({**line, "closed": False}), others=told(closed)))["closed"] is False


def test_the_box_around_a_mask_is_as_it_was_sent():
    pixels = np.zeros((50, 100), bool)
    pixels[10:20, 30:50] = True
    mask = {"kind": "mask", "label": "dog", "mask": dict(encode_rle(pixels)), "bounding_box": [0.29, 0.19, 0.22, 0.23]}
    tight = {**mask, "bounding_box": [0.3, 0.2, 0.2, 0.2]}
    assert one(completed(sent(mask), told(tight)))["bounding_box"] == mask["bounding_box"]
    pixels[20, 30:50] = True
    grown = {**tight, "mask": dict(encode_rle(pixels)), "bounding_box": [0.3, 0.2, 0.2, 0.22]}
    assert one(completed(sent(mask), told(grown)))["bounding_box"] == grown["bounding_box"]


# --- numbers that were rounded --------------------------------------------------------------------------------------


def rounded(numbers: list[float], digits: int) -> list[float]:
    """What a file in pixels with some digits has: the edges are rounded."""
    left, top, width, height = numbers
    x, y = (
        np.round(np.array([left, left + width]) * 1000, digits),
        np.round(np.array([top, top + height]) * 500, digits),
    )
    return [x[0] / 1000, y[0] / 500, (x[1] - x[0]) / 1000, (y[1] - y[0]) / 500]


coordinates = st.floats(0.0, 0.4)
sizes = st.floats(0.1, 0.5)


@given(st.lists(st.tuples(coordinates, coordinates, sizes, sizes).map(list), min_size=1, max_size=4), st.integers(0, 4))
def test_boxes_that_were_rounded_keep_their_bits(boxes, digits):
    base = sent(*({**BOX, "bounding_box": box, "index": n} for n, box in enumerate(boxes)))
    theirs = told(*({**BOX, "bounding_box": rounded(box, digits), "index": n} for n, box in enumerate(boxes)))
    found = completed(base, theirs)
    by_id = {row["label_id"]: row for row in Completed(base).labels.to_pylist()}
    for row in found.labels.to_pylist():
        assert row["bounding_box"] == by_id[f"l{row['remote_id'][1:]}"]["bounding_box"]


@given(st.integers(0, 3), st.integers(1, 400), st.integers(0, 1))
def test_an_edge_that_was_moved_by_one_unit_is_moved(digits, left, side):
    """And the others are not."""
    unit = 10.0**-digits / 1000
    box = [left / 1000 + (0.3 * unit), 0.1 + 1e-7, 0.3, 0.3]
    moved = rounded(box, digits)
    moved = (
        [moved[0] + unit, moved[1], moved[2] - unit, moved[3]] if side == 0 else [*moved[:2], moved[2] + unit, moved[3]]
    )
    row = one(completed(sent({**BOX, "bounding_box": box}), told({**BOX, "bounding_box": moved})))
    found = row["bounding_box"]
    if digits < 3:  # of more digits, two are looked at
        assert found != box
        assert found[3] == box[3]
    assert found[1] == box[1]


def test_points_that_were_rounded_keep_their_bits():
    exact = {**ROAD, "points": [[[1 / 7, 1 / 3], [5 / 7, 1 / 3], [5 / 7, 2 / 3]]]}
    there = [[[round(x * 1000) / 1000, round(y * 500) / 500] for x, y in exact["points"][0]]]
    assert one(completed(sent(exact), told({**exact, "points": there})))["points"] == exact["points"]
    there[0][1][0] += 0.002
    moved = one(completed(sent(exact), told({**exact, "points": there})))["points"]
    assert [a == b for a, b in zip(moved[0], exact["points"][0], strict=True)] == [True, False, True]


def test_numbers_of_six_digits_on_images_of_unknown_size_are_no_change():
    exact = [1 / 7, 1 / 3, 1 / 9, 1 / 11]
    there = [round(n, 6) for n in exact]
    base = sent({**BOX, "bounding_box": exact})
    assert one(completed(base, told({**BOX, "bounding_box": there}), size=(NAN, NAN)))["bounding_box"] == exact


# --- kinds and parts ------------------------------------------------------------------------------------------------


def test_kinds_that_are_not_in_the_file_stay():
    found = completed(sent(BOX, {**ROAD, "field": "areas"}), told(BOX))
    assert found.labels["remote_id"].to_pylist() == ["m0", "m1"]
    assert found.counts["absent"] == 0
    assert "1 polygons that were sent stay as they are, as the file does not hold such labels; where people deleted them, " \
        "delete them here too." in sentences(found.counts, [])  # fmt: skip


def test_kinds_that_are_in_the_file_were_deleted():
    found = completed(sent(BOX, {**ROAD, "field": "areas"}), told(BOX), others=told(ROAD))
    assert found.labels["remote_id"].to_pylist() == ["m0"]
    assert found.counts["absent"] == 1


def test_in_a_file_without_labels_all_were_deleted_that_its_format_writes():
    found = completed(sent(BOX, {**ROAD, "field": "areas"}), told(), kinds=("box",))
    assert found.labels["remote_id"].to_pylist() == ["m1"]
    assert found.counts["absent"] == 1


def test_labels_that_are_there_as_another_kind_stay_as_they_are():
    around = {**BOX, "label": "road", "bounding_box": [0.1, 0.1, 0.4, 0.5]}
    found = completed(sent({**ROAD, "field": "areas"}), told(around))
    assert one(found) == one(Completed(sent({**ROAD, "field": "areas"})))
    shrunk = {**around, "bounding_box": [0.1, 0.1, 0.3, 0.5]}
    found = completed(sent({**ROAD, "field": "areas"}), told(shrunk))
    assert one(found)["points"] == ROAD["points"]
    assert (
        "The shapes of 1 labels were changed, but the file holds them only roughly; they stay as they are."
        in sentences(found.counts, [])
    )


TWO = {**ROAD, "points": [[[0.1, 0.1], [0.2, 0.1], [0.2, 0.2]], [[0.7, 0.7], [0.8, 0.7], [0.8, 0.8]]]}


def test_parts_that_are_labels_of_their_own_are_no_additions():
    parts = told(*({**ROAD, "points": [part]} for part in TWO["points"]))
    found = completed(sent({**TWO, "field": "areas"}), parts)
    assert one(found) == one(Completed(sent({**TWO, "field": "areas"})))
    assert (found.counts["pieces"], found.counts["new"], found.counts["absent"]) == (2, 0, 0)
    assert "2 labels are parts of labels that were sent, which the file holds only part by part." in sentences(
        found.counts, []
    )
    with_new = told(*({**ROAD, "points": [part]} for part in [*TWO["points"], [[0.4, 0.4], [0.5, 0.4], [0.5, 0.5]]]))
    assert completed(sent({**TWO, "field": "areas"}), with_new).counts["new"] == 1


def test_parts_of_formats_that_have_them_are_edited():
    moved = {**TWO, "points": [TWO["points"][0], [[0.7, 0.7], [0.85, 0.7], [0.8, 0.8]]]}
    assert one(completed(sent({**TWO, "field": "areas"}), told(moved)))["points"] == moved["points"]


def test_boxes_around_points_are_no_additions():
    """Formats of keypoints have a box for each object."""
    group = {"group": 1}
    around = {**BOX, "label": "hand", "bounding_box": [0.1, 0.1, 0.4, 0.001], "attributes": group}
    hand = {**HAND, "points": [[[0.1, 0.1], [0.5, 0.101]]]}
    theirs = told({**hand, "attributes": group}, around, {**around, "attributes": {"group": 2}})
    found = completed(sent({**hand, "field": "hands"}), theirs)
    assert (found.counts["pieces"], found.counts["new"]) == (1, 1)  # the other box is of another object
    wider = {**around, "bounding_box": [0.05, 0.05, 0.6, 0.3]}
    assert completed(sent({**hand, "field": "hands"}), told({**hand, "attributes": group}, wider)).counts["new"] == 1


# --- attributes -----------------------------------------------------------------------------------------------------

CAR = {"color": "red", "parked": True, "wheels": 4, "share": 0.5, "state": "old"}


def with_values(
    before: dict[str, Any], there: dict[str, Any] | None, others: dict[str, Any] | None = None
) -> dict[str, str]:
    base, theirs = sent({**BOX, "attributes": before}), told({**BOX, "attributes": there})
    return values(one(completed(base, theirs, others=told({**BOX, "attributes": others or {}}))))


def test_attributes_that_no_label_of_the_file_has_stay():
    assert with_values(CAR, {"color": "blue"}) == {
        "color": '"blue"', "parked": "true", "share": "0.5", "state": '"old"', "wheels": "4"
    }  # fmt: skip
    assert "color" not in with_values(CAR, {}, others={"color": "blue"})


def test_texts_have_the_types_of_the_schema():
    texts = {"color": "7", "parked": "False", "wheels": "6", "share": "0.25", "state": "new"}
    assert with_values(CAR, texts) == {
        "color": '"7"', "parked": "false", "share": "0.25", "state": '"new"', "wheels": "6"
    }  # fmt: skip
    assert with_values(CAR, {"wheels": "many"})["wheels"] == '"many"'  # and is unexpected


@pytest.mark.parametrize(
    ("before", "there"),
    [
        ({"wheels": 4}, {"wheels": "4"}),
        ({"share": 1.0}, {"share": 1}),
        ({"share": 0.5}, {"share": "0.50"}),
        ({"parked": True}, {"parked": "True"}),
        ({"color": "007"}, {"color": "007"}),
        ({"color": "7"}, {"color": 7}),
    ],
)
def test_the_same_value_in_another_type_is_no_change(before, there):
    base = sent({**BOX, "attributes": before})
    assert one(completed(base, told({**BOX, "attributes": there}))) == one(Completed(base))


def test_one_name_may_have_another_type_in_each_field():
    base = sent({**ROAD, "field": "areas", "attributes": {"wheels": "4"}})
    assert values(one(completed(base, told({**ROAD, "attributes": {"wheels": "5"}})))) == {"wheels": '"5"'}
    assert with_values({"wheels": 4}, {"wheels": "5"}) == {"wheels": "5"}


@pytest.mark.parametrize(
    "there", [{"parked": False}, {"wheels": 0}, {"color": ""}, {"state": "new"}, {"parked": "false"}]
)
def test_nothing_where_nothing_was_sent_is_no_change(there):
    assert with_values({}, there) == {}
    assert with_values({"parked": True, "wheels": 4, "color": "red", "state": "old"}, there) != {}  # but an edit here


def test_an_empty_text_is_no_value():
    assert with_values({"state": "old", "color": "red"}, {"state": "", "color": "blue"}) == {"color": '"blue"'}
    assert with_values({"color": ""}, {"color": ""}) == {"color": '""'}
    new = completed(sent(), told({**BOX, "attributes": {"state": "", "color": "blue"}}))
    assert values(one(new)) == {"color": '"blue"'}


def test_attributes_outside_the_schema_are_left_out():
    assert with_values({}, {"occluded": True, "z_order": 3, "color": "red"}) == {"color": '"red"'}


# --- ids ------------------------------------------------------------------------------------------------------------


@given(st.permutations(range(4)))
def test_new_labels_have_ids_that_only_depend_on_them(order):
    rows = [BOX, {**BOX, "label": "bus"}, {**ROAD, "frame_number": 3}, {"kind": "classification", "label": "sun"}]
    ids = new_ids(told(*rows)).to_pylist()
    assert len(set(ids)) == 4
    assert new_ids(told(*(rows[n] for n in order))).to_pylist() == [ids[n] for n in order]
    twice = new_ids(told(BOX, BOX)).to_pylist()
    assert twice == [ids[0], f"{ids[0]}-2"]
    parts = [
        {**ROAD, "points": p} for p in ([[[0.1, 0.1]] * 3, [[0.2, 0.2]] * 3], [[[0.1, 0.1]] * 3], [[[0.2, 0.2]] * 3])
    ]
    assert len(set(new_ids(told(*parts)).to_pylist())) == 3


def test_labels_of_a_file_get_the_ids_of_the_tool():
    base = sent(BOX, {**BOX, "bounding_box": [0.6, 0.6, 0.1, 0.1], "remote_id": "file-1"},
                {**BOX, "bounding_box": [0.8, 0.8, 0.1, 0.1], "remote_id": "file-2"})  # fmt: skip
    theirs = told({**BOX, "remote_id": "m0"}, {**BOX, "bounding_box": [0.61, 0.6, 0.1, 0.1], "remote_id": "m9"})
    found = with_ids_of_tool(base, theirs)
    assert found["remote_id"].to_pylist() == ["m0", "m9", "file-2"]
    assert file_labels(found).tolist() == [False, False, True]
    assert with_ids_of_tool(base, theirs.slice(0, 1))["remote_id"].equals(base["remote_id"])
    assert with_ids_of_tool(base.slice(0, 1), theirs).equals(base.slice(0, 1))


def test_sentences_about_nothing():
    found = completed(sent(), told())
    assert list(sentences(found.counts, [])) == [
        "Labels in the file: none matched with those that were sent, 0 new; 0 that were sent are not in it."
    ]


def test_ambiguous_labels_are_told_with_their_sample():
    base = sent(BOX, {**BOX, "bounding_box": [0.11, 0.1, 0.3, 0.3]})
    found = completed(base, told({**BOX, "bounding_box": [0.105, 0.1, 0.3, 0.3]}))
    assert found.ambiguous == [("car", "s")]
    text = "\n".join(sentences(found.counts, ["car on 'a.jpg'"] * 25))
    assert (
        "25 labels fit several that were sent about equally, and the best assignment was taken: car on 'a.jpg', "
        in text
    )
    assert text.endswith("car on 'a.jpg', and 5 more.")


def test_a_number_with_more_digits_than_the_file_was_not_rounded():
    """Of boxes at whole pixels, one was moved by a fraction of a pixel."""
    boxes = [[n / 1000, 0.1, 0.1, 0.1] for n in range(10)]
    base = sent(*({**BOX, "bounding_box": box, "index": n} for n, box in enumerate(boxes)))
    there = [[boxes[0][0] + 0.0003, *boxes[0][1:]], *boxes[1:]]
    found = completed(base, told(*({**BOX, "bounding_box": box, "index": n} for n, box in enumerate(there))))
    by_id = {row["remote_id"]: row["bounding_box"] for row in found.labels.to_pylist()}
    assert by_id["m0"][0] == there[0][0]
    assert [by_id[f"m{n}"] for n in range(1, 10)] == boxes[1:]


def test_one_label_of_another_precision_hides_no_rounding():
    """As on an image that was scaled."""
    boxes = [[(n + 0.4) / 1000, 0.1, 0.1, 0.1] for n in range(10)]
    base = sent(*({**BOX, "bounding_box": box, "index": n} for n, box in enumerate(boxes)))
    there = [[n / 1000, 0.1, 0.1, 0.1] for n in range(9)] + [[9.77777 / 1000, 0.1, 0.1, 0.1]]
    found = completed(base, told(*({**BOX, "bounding_box": box, "index": n} for n, box in enumerate(there))))
    by_id = {row["remote_id"]: row["bounding_box"] for row in found.labels.to_pylist()}
    assert [by_id[f"m{n}"][0] for n in range(9)] == [box[0] for box in boxes[:9]]
    assert by_id["m9"][0] == there[9][0]


@pytest.mark.parametrize(
    ("before", "told_of", "after"), [(None, 1.0, None), (None, 0.5, 0.5), (0.5, 1.0, 1.0), (1.0, 1.0, 1.0)]
)
def test_a_confidence_that_the_format_makes_up_is_no_change(
    before: float | None, told_of: float, after: float | None
) -> None:
    found = completed(sent({**BOX, "confidence": before}), told({**BOX, "confidence": told_of}), default_confidence=1.0)
    assert one(found)["confidence"] == after
