"""Stories that once went wrong: each found by trying to break the merge, each with the right outcome."""

from __future__ import annotations

import pytest

import annobridge as ab

from .conftest import OBJECTS


def test_cleanup_keeps_work_on_a_sample_that_the_tool_did_not_answer_for(bridge):
    bridge.annotate()
    bridge.hands.add("s0")
    bridge.hands.drop_sample("s0", labels=False)
    bridge.hands.set("car1", label="person")
    report = bridge.load(cleanup=True)
    assert bridge.server.labels
    assert report.dropped.num_rows
    assert any("left on the server" in note for note in report.notes)


def test_a_copy_and_its_original_deleted_later_do_not_stop_the_next_load(bridge):
    bridge.annotate()
    bridge.hands.copy("car0", bounding_box=[0.3, 0.3, 0.1, 0.1])
    bridge.load()
    bridge.hands._write(lambda r: [] if r["sample_id"] == "s0" and r["label"] == "car" else [r])
    report = bridge.load()
    assert report.deleted == 2
    assert bridge.load().version is None


def test_a_load_into_another_field_with_refusals_only(bridge):
    bridge.annotate(schema={"objects": OBJECTS}, allow_additions=False)
    bridge.hands.add("s0")
    report = bridge.load(dest_field="others")
    assert report.refused.num_rows == 1
    assert report.added == bridge.ds.count_labels("objects")


def test_a_read_only_attribute_of_a_class_holds_on_the_second_load_too(bridge):
    colour = {"color": {"type": "select", "values": ["red", "blue"], "read_only": True}}
    classes = [{"classes": ["car"], "attributes": colour}, "person"]
    bridge.annotate(schema={"objects": {"type": "detections", "classes": classes, "attributes": False}})
    before = bridge.values("car0").get("color")
    bridge.hands.set("car0", label="person", attributes={"color": "blue"})
    for _ in range(2):
        bridge.load(unexpected="keep")
        assert bridge.values("car0").get("color") == before


def test_undoing_a_deletion_leaves_no_conflict_behind(bridge):
    bridge.annotate()
    bridge.hands.delete("car0")
    bridge.load()
    bridge.ds.undo_annotations("r")
    assert bridge.load(conflicts="fail").deleted == 1


def test_a_label_that_got_tags_here_is_not_deleted_without_a_word(bridge):
    bridge.annotate()
    bridge.ds.set_labels([{"label_id": "man0", "tags": ["vip"]}])
    bridge.hands.delete("man0")
    with pytest.raises(ab.Conflict, match="man0"):
        bridge.load(conflicts="fail")
    assert bridge.load(conflicts="ours").deleted == 0


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ({"foo": "odd"}, "names the type 'foo', which is not a label type"),
        (3, "unexpected=3 is not known"),
        ({"polygons": "a b"}, "'a b', which is not a field name"),
        ({"polygons": "objects"}, "sends polygons to 'objects', a field of detections"),
    ],
)
def test_an_answer_about_the_unexpected_that_means_nothing(bridge, mode, said):
    bridge.annotate(schema={"objects": OBJECTS})
    bridge.hands.add("s0", field=None, kind="polygon", label="car", bounding_box=None,
                     points=[[[0.1, 0.1], [0.2, 0.1], [0.2, 0.2]]], closed=True, filled=True)  # fmt: skip
    version = bridge.ds.stores.labels.version()
    with pytest.raises(ab.InvalidOption, match=said.replace("'", ".")):
        bridge.load(unexpected=mode)
    assert bridge.ds.stores.labels.version() == version


def test_the_address_is_kept_with_the_run_and_the_login_is_not():
    from annobridge.backend.memory import MemoryConfig

    assert MemoryConfig(url="http://ada:pw@host:1/x").stored() == {"url": "http://host:1/x"}


def test_columns_in_a_dictionary_are_labels(bridge):
    columns = {"sample_id": ["s0"], "label": ["car"], "bounding_box": [[0.1, 0.1, 0.2, 0.2]]}
    assert bridge.ds.add_labels("more", columns) == 1


def test_a_plan_adds_nothing_to_a_sample_that_was_deleted_meanwhile(bridge):
    bridge.annotate()
    bridge.hands.add("s0")
    plan = bridge.plan()
    bridge.ds.delete_samples("s0")
    with pytest.raises(ab.StalePlan, match="deleted since"):
        plan.apply()
    assert not bridge.ds.stores.labels.count("sample_id = 's0'")
