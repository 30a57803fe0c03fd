"""What annotators may change: every flag, for a field and a call, read-only attributes, and dest_field."""

from __future__ import annotations

from typing import Any

import pytest

FLAGS = ("allow_additions", "allow_deletions", "allow_label_edits", "allow_index_edits", "allow_spatial_edits")
REASONS = {
    "allow_additions": ("existence", "additions are not allowed"),
    "allow_deletions": ("existence", "deletions are not allowed"),
    "allow_label_edits": ("label", "label edits are not allowed"),
    "allow_index_edits": ("index", "index edits are not allowed"),
    "allow_spatial_edits": ("spatial", "spatial edits are not allowed"),
}
READ_ONLY = {
    "type": "detections",
    "classes": ["car", "person"],
    "attributes": {
        "color": {"type": "text", "read_only": True, "default": "grey"},
        "note": {"type": "text", "read_only": True},
        "occluded": {"type": "checkbox"},
    },
}


def work(hands: Any) -> None:
    """One change of each kind, in each of two fields."""
    hands.add("s3")
    hands.delete("car0")
    hands.set("car1", label="person")
    hands.set("man1", index=99)
    hands.set("car2", bounding_box=[0.0, 0.0, 0.5, 0.5])
    hands.add("s3", label="lane", field="lanes", kind="polyline")
    hands.delete("lane0")
    hands.set("lane1", index=99)
    hands.set("lane2", points=[[[0.0, 0.0], [1.0, 1.0]]])


CHANGES = {
    "allow_additions": {"objects", "lanes"},
    "allow_deletions": {"objects", "lanes"},
    "allow_label_edits": {"objects"},
    "allow_index_edits": {"objects", "lanes"},
    "allow_spatial_edits": {"objects", "lanes"},
}


def found(report: Any) -> list[tuple[str, str, str]]:
    return sorted((r["field"], r["component"], r["reason"]) for r in report.refused.to_pylist())


@pytest.mark.parametrize("flag", FLAGS)
def test_a_flag_of_the_call_holds_in_every_field(bridge, flag):
    bridge.annotate(**{flag: False})
    before = bridge.labels()
    work(bridge.hands)
    report = bridge.load()
    assert found(report) == sorted((field, *REASONS[flag]) for field in CHANGES[flag])
    assert report.total == 9 - len(CHANGES[flag])
    after = bridge.labels()
    assert (len(bridge.new(before)) == 0) == (flag == "allow_additions")
    assert ("car0" in after) == ("lane0" in after) == (flag == "allow_deletions")
    assert (after["car1"] == before["car1"]) == (flag == "allow_label_edits")
    assert (after["man1"] == before["man1"]) == (flag == "allow_index_edits")
    assert (after["car2"] == before["car2"]) == (flag == "allow_spatial_edits")
    again = bridge.again_is_nothing()
    assert found(again) == found(report)  # refused work is shown until it is undone in the tool


def test_a_flag_of_a_field_holds_in_that_field_only(bridge, schema):
    fields = {**schema, "objects": {**schema["objects"], **dict.fromkeys(FLAGS, False)}}
    bridge.annotate(schema=fields)
    before = bridge.labels("objects")
    work(bridge.hands)
    report = bridge.load()
    assert found(report) == sorted(("objects", *REASONS[f]) for f in FLAGS)
    assert bridge.labels("objects") == before
    assert report.counts["lanes"] == {"add": 1, "edit": 2, "delete": 1}
    bridge.again_is_nothing()


def test_a_field_overrules_the_call(bridge, schema):
    fields = {**schema, "objects": {**schema["objects"], **dict.fromkeys(FLAGS, True)}}
    bridge.annotate(schema=fields, **dict.fromkeys(FLAGS, False))
    work(bridge.hands)
    report = bridge.load()
    assert report.counts["objects"] == {"add": 1, "edit": 3, "delete": 1}
    assert "lanes" not in report.counts
    assert {r["field"] for r in report.refused.to_pylist()} == {"lanes"}


def test_all_flags_false_leave_the_labels_byte_equal_and_make_no_version(bridge):
    bridge.annotate(**dict.fromkeys(FLAGS, False))
    before = bridge.labels()
    files = {p: p.read_bytes() for p in bridge.path.rglob("*") if p.is_file()}
    work(bridge.hands)
    bridge.hands.set("sun0", label="rain")
    report = bridge.again_is_nothing()
    assert len(report.refused) == 10
    assert None not in report.refused["reason"].to_pylist()
    assert bridge.labels() == before
    assert {p: p.read_bytes() for p in bridge.path.rglob("*") if p.is_file()} == files


def test_what_is_refused_in_one_component_is_taken_in_another(bridge):
    bridge.annotate(allow_spatial_edits=False)
    bridge.hands.set("car0", label="person", bounding_box=[0.0, 0.0, 0.5, 0.5], attributes={"color": "blue"})
    report = bridge.load()
    assert report.edited == 1
    assert found(report) == [("objects", "spatial", "spatial edits are not allowed")]
    now = bridge.label("car0")
    assert (now["label"], now["bounding_box"]) == ("person", [0.1, 0.1, 0.3, 1 / 3])
    assert bridge.values("car0")["color"] == '"blue"'
    bridge.again_is_nothing()


def test_a_refusal_does_not_hide_a_later_change(bridge):
    bridge.annotate(allow_spatial_edits=False)
    bridge.hands.set("car0", bounding_box=[0.0, 0.0, 0.5, 0.5])
    bridge.load()
    bridge.hands.set("car0", label="person")
    assert bridge.load().edited == 1
    bridge.hands.set("car0", bounding_box=[0.1, 0.1, 0.3, 1 / 3])  # taken back in the tool
    assert len(bridge.again_is_nothing().refused) == 0


def test_a_refused_edit_is_no_conflict(bridge):
    bridge.annotate(allow_spatial_edits=False)
    bridge.ds.set_labels([{"label_id": "car0", "bounding_box": [0.5, 0.5, 0.5, 0.5]}])
    bridge.ds.delete_labels(["car1"])
    for which in ("car0", "car1"):
        bridge.hands.set(which, bounding_box=[0.0, 0.0, 0.5, 0.5])
    report = bridge.again_is_nothing(conflicts="fail")
    assert len(report.refused) == 2
    assert "car1" not in bridge.labels()


def test_a_label_moved_to_another_image_is_not_lost_when_deletions_are_refused(bridge):
    bridge.annotate(allow_deletions=False)
    before = bridge.labels()
    bridge.hands.set("car0", sample_id="s2")
    report = bridge.load()
    assert (report.added, report.deleted) == (1, 0)
    assert bridge.label("car0") == before["car0"]
    bridge.again_is_nothing()


@pytest.mark.parametrize("flag", FLAGS)
def test_the_flags_hold_for_dest_field(bridge, flag):
    bridge.annotate(**{flag: False})
    before = bridge.labels()
    work(bridge.hands)
    dest = {"objects": "checked", "lanes": "checked_lanes"}
    report = bridge.load(dest_field=dest)
    assert found(report) == sorted((field, *REASONS[flag]) for field in CHANGES[flag])
    assert {i: r for i, r in bridge.labels().items() if not r["field"].startswith("checked")} == before
    there = list(bridge.labels("checked").values())
    assert len(there) == 8 + (flag != "allow_additions") - (flag != "allow_deletions")
    label = [r["label"] for r in there if r["sample_id"] == "s1"]
    assert sorted(label) == (["car", "person"] if flag == "allow_label_edits" else ["person", "person"])
    assert (99 in [r["index"] for r in there]) == (flag != "allow_index_edits")
    assert ([0.0, 0.0, 0.5, 0.5] in [r["bounding_box"] for r in there]) == (flag != "allow_spatial_edits")
    bridge.again_is_nothing(dest_field=dest)


# Read-only attributes


def test_a_read_only_attribute_of_a_known_label_keeps_its_value(bridge):
    bridge.annotate(schema={"objects": READ_ONLY})
    bridge.hands.set("car0", attributes={"color": "pink", "note": None, "occluded": True})
    report = bridge.load()
    assert bridge.values("car0") == {"color": '"red"', "note": '"keep"', "occluded": "true"}
    assert found(report) == [("objects", f"attributes.{n}", "the attribute is read-only") for n in ("color", "note")]
    values = {r["component"]: (r["base"], r["theirs"]) for r in report.refused.to_pylist()}
    assert values == {"attributes.color": ('"red"', '"pink"'), "attributes.note": ('"keep"', None)}
    assert found(bridge.again_is_nothing()) == found(report)


def test_a_read_only_attribute_of_a_new_label_has_its_default(bridge):
    bridge.annotate(schema={"objects": READ_ONLY})
    before = bridge.labels()
    bridge.hands.add("s0", attributes={"color": "pink", "note": "mine", "occluded": True})
    report = bridge.load()
    (new,) = bridge.new(before)
    assert bridge.values(new["label_id"]) == {"color": '"grey"', "occluded": "true"}
    assert found(report) == [("objects", f"attributes.{n}", "the attribute is read-only") for n in ("color", "note")]
    assert len(bridge.again_is_nothing().refused) == 2


def test_a_new_label_with_the_default_is_not_refused(bridge):
    bridge.annotate(schema={"objects": READ_ONLY})
    bridge.hands.add("s0", attributes={"color": "grey"})
    report = bridge.load()
    assert report.added == 1
    assert len(report.refused) == 0


def test_read_only_holds_for_dest_field(bridge):
    bridge.annotate(schema={"objects": READ_ONLY})
    bridge.hands.set("car0", attributes={"color": "pink"})
    bridge.hands.add("s0", attributes={"color": "pink"})
    report = bridge.load(dest_field="checked")
    colors = [a["value"] for r in bridge.labels("checked").values() for a in r["attributes"] if a["name"] == "color"]
    assert sorted(colors) == ['"grey"', *['"red"'] * 4]
    assert len(report.refused) == 2
    bridge.again_is_nothing(dest_field="checked")


def test_read_only_of_some_classes_holds_for_labels_of_these_classes(bridge):
    plate = {"type": "text", "read_only": True, "default": "?"}
    group = {"classes": ["car"], "attributes": {"plate": plate}}
    bridge.annotate(schema={"objects": {"type": "detections", "classes": ["person", group],
                                        "attributes": {"plate": {"type": "text"}}}})  # fmt: skip
    before = bridge.labels()
    bridge.hands.set("car0", attributes={"plate": "A"})
    bridge.hands.set("man0", attributes={"plate": "B"})
    bridge.hands.add("s0", label="car", attributes={"plate": "C"})
    bridge.hands.add("s0", label="person", attributes={"plate": "D"})
    report = bridge.load()
    assert len(report.refused) == 2
    assert "plate" not in bridge.values("car0")
    assert bridge.values("man0")["plate"] == '"B"'
    assert {r["label"]: bridge.values(r["label_id"])["plate"] for r in bridge.new(before)} == {
        "car": '"?"',
        "person": '"D"',
    }
    bridge.again_is_nothing()


@pytest.mark.parametrize("mode", ["ignore", "keep"])
def test_read_only_is_not_got_round_by_an_edit_of_the_class(bridge, mode):
    group = {"classes": ["car"], "attributes": {"plate": {"type": "text", "read_only": True}}}
    bridge.ds.set_labels([{"label_id": "car0", "attributes": [{"name": "plate", "type": "str", "value": '"A"'}]}])
    bridge.annotate(schema={"objects": {"type": "detections", "classes": ["person", group], "attributes": False}})
    bridge.hands.set("car0", label="person", attributes={"plate": "B"})
    report = bridge.load(unexpected=mode)
    assert report.unexpected["reason"].to_pylist() == ["attribute not in the schema of this class"]
    assert (bridge.label("car0")["label"], bridge.values("car0")) == ("person", {"plate": '"A"'})


def test_all_refused_with_read_only_attributes_writes_nothing(bridge):
    bridge.annotate(schema={"objects": READ_ONLY}, **dict.fromkeys(FLAGS, False))
    before = bridge.labels()
    bridge.hands.set(
        "car0", label="person", bounding_box=[0.0, 0.0, 1.0, 1.0], index=3, attributes={"color": "x", "note": "y"}
    )
    report = bridge.again_is_nothing()
    assert len(report.refused) == 5
    assert bridge.labels() == before


# Restrictions and the unexpected


@pytest.mark.parametrize("mode", ["keep", {"polygons": "shapes"}, lambda rows: ["shapes"] * len(rows)])
def test_no_addition_by_way_of_a_strange_type(bridge, mode):
    bridge.annotate(allow_additions=False)
    before = bridge.labels()
    bridge.hands.add("s0", field="objects", kind="polygon")
    bridge.hands.add("s0", field=None, kind="polygon")
    report = bridge.load(unexpected=mode)
    assert report.total == 0
    assert bridge.labels() == before
    assert [r["reason"] for r in report.refused.to_pylist()] == ["additions are not allowed"] * 2


def test_no_addition_by_way_of_a_strange_type_when_another_field_allows_them(bridge, schema):
    bridge.annotate(schema={**schema, "objects": {**schema["objects"], "allow_additions": False}})
    bridge.hands.add("s0", field="objects", kind="polygon")
    report = bridge.load(unexpected="keep")
    assert report.total == 0
    assert [r["reason"] for r in report.refused.to_pylist()] == ["additions are not allowed"]


@pytest.mark.parametrize("mode", ["keep", {"detections": "others"}])
def test_no_addition_by_way_of_a_strange_class(bridge, mode):
    bridge.annotate(allow_additions=False)
    bridge.hands.add("s0", label="tank")
    report = bridge.load(unexpected=mode)
    assert report.total == 0
    assert [r["reason"] for r in report.refused.to_pylist()] == ["additions are not allowed"]


def test_no_label_edit_by_way_of_a_strange_class(bridge):
    bridge.annotate(allow_label_edits=False)
    bridge.hands.set("car0", label="tank")
    report = bridge.load(unexpected="keep")
    assert report.total == 0
    assert [r["reason"] for r in report.refused.to_pylist()] == ["label edits are not allowed"]
