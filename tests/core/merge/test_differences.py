"""Differences of two tables of labels: what counts as a change, and what does not."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from annobridge.core import ids
from annobridge.core.labels import LABELS
from annobridge.core.merge.differences import changes_of, differences
from annobridge.core.merge.output import REPLACED, WRITES
from annobridge.core.merge.proposed import PROPOSED
from annobridge.core.rows import attributes

ROW = {"label_id": "a", "sample_id": "s", "field": "f", "kind": "box", "label": "car", "rev": 1}
ROW |= {"bounding_box": [0.1, 0.1, 0.2, 0.2], "attributes": attributes({"a": 1}), "tags": [], "confidence": 0.5}
SIZES = pa.table({"sample_id": ["s"], "width": pa.array([100], pa.int32()), "height": pa.array([100], pa.int32())})


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), LABELS)


@pytest.mark.parametrize(
    ("changed", "component", "before", "after"),
    [
        ({"label": "bus"}, "label", '"car"', '"bus"'),
        ({"value": "1"}, "label", '"car"', '["car",1]'),
        ({"index": 7}, "index", None, "7"),
        ({"attributes": attributes({"a": "1"})}, "attributes.a", "1", '"1"'),
        ({"attributes": attributes({})}, "attributes.a", "1", None),
        ({"tags": ["x"]}, "tags", "[]", '["x"]'),
        ({"tags": None}, "tags", "[]", None),
        ({"confidence": None}, "confidence", "0.5", None),
        ({"field": "g"}, "field", '"f"', '"g"'),
        ({"sample_id": "t"}, "sample_id", '"s"', '"t"'),
    ],
)
def test_an_edit(changed, component, before, after):
    found = differences(table(ROW), table(ROW | changed))
    assert found.writes.select(["action", "components"]).to_pylist() == [{"action": "edit", "components": [component]}]
    assert (found.writes.schema, found.replaced.schema, found.proposed.schema) == (WRITES, REPLACED, PROPOSED)
    assert found.replaced.select(LABELS.names).to_pylist() == table(ROW).to_pylist()
    assert found.writes.select(LABELS.names).to_pylist() == table(ROW | changed).to_pylist()
    (change,) = changes_of(found.proposed, SIZES, found.replaced, found.writes).to_pylist()
    assert (change["component"], change["kind"], change["base"], change["theirs"]) == (component, "edit", before, after)


@pytest.mark.parametrize("changed", [{"rev": 9}, {"annotator": "ada"}, {"run": "r", "tool": "t"}])
def test_by_whom_is_no_edit(changed):
    assert differences(table(ROW), table(ROW | changed)).writes.num_rows == 0


def test_what_comes_and_goes_and_stays():
    other = ROW | {"label_id": "b"}
    found = differences(table(ROW, other), table(other, ROW | {"label_id": "c", "label": "bus"}))
    assert found.writes.select(["label_id", "action", "components"]).to_pylist() == [
        {"label_id": "c", "action": "add", "components": None}
    ]
    rows = found.replaced.select(["label_id", "action", "label"]).to_pylist()
    assert rows == [{"label_id": "a", "action": "delete", "label": "car"}]
    changes = changes_of(found.proposed, SIZES, found.replaced, found.writes)
    assert [(c["label_id"], c["group"], c["class_from"], c["class_to"]) for c in changes.to_pylist()] == [
        ("a", "deletion", "car", None),
        ("c", "addition", None, "bus"),
    ]


def test_how_far_a_shape_moved():
    found = differences(table(ROW), table(ROW | {"bounding_box": [0.2, 0.1, 0.2, 0.2]}))
    (change,) = changes_of(found.proposed, SIZES, found.replaced, found.writes).to_pylist()
    assert (change["group"], change["iou"], change["shift"]) == ("large move", pytest.approx(1 / 3), pytest.approx(10))
    assert change["base_box"] == pytest.approx([0.1, 0.1, 0.2, 0.2])
    assert change["ours_box"] is change["ours"] is change["why"] is change["choices"] is None


def test_missing_points_are_equal():
    row = ROW | {"kind": "keypoints", "points": [[[float("nan"), float("nan")], [0.5, 0.5]]], "visibility": [0, 2]}
    assert differences(table(row), table(row)).writes.num_rows == 0
    assert differences(table(row), table(row | {"visibility": [0, 1]})).writes["components"].to_pylist() == [
        ["spatial"]
    ]


def test_nothing_and_nothing():
    assert [rows.num_rows for rows in differences(LABELS.empty_table(), LABELS.empty_table())] == [0, 0, 0]


def test_buckets_are_those_of_the_text_wherever_it_lies():
    texts = pa.array(["", "a", "b", "ab", "é", *map(str, range(1000))])
    found = ids.buckets(texts, 7)
    assert set(found.tolist()) == set(range(7))
    assert ids.buckets(texts.slice(3), 7).tolist() == found[3:].tolist()
    assert ids.buckets(pa.concat_arrays([texts.slice(900), texts]), 7).tolist() == [*found[900:], *found]
    assert max(abs((found == n).sum() - 1005 / 7) for n in range(7)) < 60
    assert ids.buckets(pa.array([], pa.string()), 7).tolist() == []
