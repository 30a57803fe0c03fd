"""Shapes over the border of their image, and positions that the tool gives back inexactly."""

from __future__ import annotations

import pytest

import annobridge as ab

PIXEL = 1 / 64  # of the images here
A_HAIR = [0.8, 0.1, 0.20001, 0.2]
FAR = [0.8, 0.1, 0.3, 0.2]


@pytest.fixture
def sized(empty):
    """One image of 64 × 48 with a car."""
    box = ab.Detection("car", [0.1, 0.2, 1 / 3, 0.3], label_id="a")
    line = ab.Polyline("lane", [[(0.1, 0.1), (1 / 3, 0.5), (0.7, 0.9)]], label_id="l")
    empty.ds.add_samples([ab.Sample("a.jpg", sample_id="s0", width=64, height=48, objects=[box], lanes=[line])])
    empty.annotate(
        schema={
            "objects": {"type": "detections", "classes": ["car", "bus"]},
            "lanes": {"type": "polylines", "classes": ["lane"]},
        }
    )
    return empty


@pytest.mark.parametrize(
    ("box", "invalid", "taken"),
    [
        (A_HAIR, None, True),
        (A_HAIR, "clip", True),
        (A_HAIR, "refuse", False),
        ([0.8, 0.1, 0.2 + 0.9 * PIXEL, 0.2], None, True),
        ([0.8, 0.1, 0.2 + 1.1 * PIXEL, 0.2], None, False),
        (FAR, None, False),
        (FAR, "clip", True),
        (FAR, "refuse", False),
        ([-0.5, -0.5, 0.1, 0.1], "clip", False),  # nothing of it is in the image
    ],
)
def test_a_class_edit_is_never_lost_for_a_box_over_the_border(sized, box, invalid, taken):
    sized.hands.set("a", label="bus", bounding_box=box)
    report = sized.load(invalid=invalid)
    row = sized.label("a")
    assert row["label"] == "bus"
    assert (row["bounding_box"] != [0.1, 0.2, 1 / 3, 0.3]) == taken
    if taken:
        assert row["bounding_box"] == pytest.approx([0.8, 0.1, 0.2, 0.2])
        assert report.notes == ("1 labels that lie over the border of their image in the tool were cut back to it.",)
        assert report.refused.num_rows == 0
        sized.again_is_nothing(invalid=invalid)
    else:
        (refused,) = report.refused.to_pylist()
        assert (refused["label_id"], refused["component"]) == ("a", "spatial")
        assert "cannot be stored: it has the box" in refused["reason"]


def test_a_new_box_a_little_over_the_border_comes_in_cut(sized):
    before = sized.labels()
    sized.hands.add("s0", bounding_box=A_HAIR)
    assert sized.load().added == 1
    (new,) = sized.new(before)
    assert new["bounding_box"] == pytest.approx([0.8, 0.1, 0.2, 0.2])
    sized.again_is_nothing()


def test_points_over_the_border(sized):
    sized.hands.set("l", points=[[[0.1, 0.1], [1 / 3, 0.5], [1.005, 0.9]]])
    assert sized.load().edited == 1
    assert sized.label("l")["points"] == [[[0.1, 0.1], [1 / 3, 0.5], [1.0, 0.9]]]
    sized.hands.set("l", points=[[[0.1, 0.1], [1 / 3, 0.5], [1.5, 0.9]]])
    report = sized.load()
    assert (report.edited, report.refused.num_rows) == (0, 1)
    assert sized.load(invalid="clip").total == 0  # cut, it is what is here already


def test_an_unknown_word_is_refused(sized):
    with pytest.raises(
        ab.InvalidOption, match="invalid='cut' is not known; give one of 'clip', 'refuse', 'keep', or nothing"
    ):
        sized.load(invalid="cut")


def test_a_bad_attribute_does_not_cost_the_box(bridge, schema):
    bridge.annotate(schema={"objects": schema["objects"]})
    bridge.hands.set("car0", bounding_box=[0.5, 0.5, 0.1, 0.1])
    rows = bridge.hands.of("car0")["attributes"]
    bridge.hands.set("car0", attributes=[{**a, "type": "int"} if a["name"] == "color" else a for a in rows])
    bridge.load()
    assert bridge.label("car0")["bounding_box"] == [0.5, 0.5, 0.1, 0.1]


class Rounding:
    """The tool keeps three digits."""

    @staticmethod
    def work(bridge, change):
        import pyarrow as pa

        from annobridge.core.labels import REMOTE

        for store in (bridge.server.labels, bridge.server.sent):
            for task, table in store.items():
                rows = [
                    {**r, "bounding_box": [round(v, 3) for v in r["bounding_box"] or ()] or None}
                    for r in table.to_pylist()
                ]
                store[task] = pa.Table.from_pylist(rows, schema=REMOTE)
        baseline = bridge.ds.stores.database.table("annotation_baseline")
        rows = baseline.to_table().to_pylist()
        for row in rows:
            row["bounding_box"] = [round(v, 3) for v in row["bounding_box"] or ()] or None
        bridge.ds.stores.database.delete("annotation_baseline", "true")
        bridge.ds.stores.database.append(
            "annotation_baseline", pa.Table.from_pylist(rows, baseline.schema.remove_metadata())
        )
        change()


def test_a_tool_that_rounds_changes_only_what_people_changed(sized):
    Rounding.work(sized, lambda: None)
    assert sized.load().total == 0
    sized.hands.set("a", bounding_box=[0.25, 0.2, 0.333, 0.3])
    assert sized.load().edited == 1
    assert sized.label("a")["bounding_box"] == [0.25, 0.2, 1 / 3, 0.3]
    sized.again_is_nothing()
    sized.ds.undo_annotations("r")
    assert sized.label("a")["bounding_box"] == [0.1, 0.2, 1 / 3, 0.3]
