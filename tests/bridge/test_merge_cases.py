"""The cases of FiftyOne's merge, and its defects D1–D20, each with the right outcome."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.generated import examples

import annobridge as ab
from annobridge.core.labels import LABEL_TYPES
from annobridge.testing import strategies as some

RED = {"color": "red", "occluded": False}


def reasons(table: pa.Table) -> set[tuple[str, str, str]]:
    return {(r["label_id"], r["component"], r["reason"]) for r in table.to_pylist()}


def components(table: pa.Table) -> set[tuple[str, str]]:
    return {(r["label_id"], r["component"]) for r in table.to_pylist()}


# Nobody did anything


def test_nothing_done_is_an_empty_plan_and_no_version(sent):
    plan = sent.plan()
    assert plan.total == 0
    assert all(len(t) == 0 for t in (plan.refused, plan.conflicts, plan.unexpected, plan.dropped))
    sent.again_is_nothing()


def test_the_view_it_is_called_on_does_not_matter(sent):
    sent.hands.set("car3", label="person")
    report = sent.ds.limit(1).load_annotations("r")
    assert report.edited == 1
    assert sent.label("car3")["label"] == "person"


# Edited here, there, and on both sides


def test_a_local_edit_that_nobody_touched_there_stays(sent):
    sent.ds.set_labels([{"label_id": "car0", "label": "person", "bounding_box": [0.0, 0.0, 0.5, 0.5]}])
    sent.again_is_nothing()
    assert sent.label("car0")["label"] == "person"


def test_an_edit_there_arrives_with_its_provenance_and_nothing_else_moves(sent):
    before = sent.labels()
    sent.hands.set("car0", label="person", annotator="ann")
    report = sent.load()
    after = sent.labels()
    changed = {i for i in before if before[i] != after[i]}
    assert changed == {"car0"}
    new = after["car0"]
    assert (new["label"], new["run"], new["tool"], new["annotator"], new["rev"]) == ("person", "r", "memory", "ann", 2)
    kept = ("confidence", "tags", "attributes", "bounding_box", "field", "sample_id")
    assert all(new[c] == before["car0"][c] for c in kept)
    assert report.writes().to_pylist()[0]["components"] == ["label"]
    sent.again_is_nothing()


def test_different_components_changed_on_both_sides_are_both_kept(sent):
    sent.ds.set_labels([{"label_id": "car0", "label": "person"}])
    sent.hands.set("car0", bounding_box=[0.0, 0.0, 0.25, 0.25], attributes={"color": "blue"})
    report = sent.load(conflicts="fail")
    new = sent.label("car0")
    assert new["label"] == "person"
    assert new["bounding_box"] == [0.0, 0.0, 0.25, 0.25]
    assert sent.values("car0") == {"color": '"blue"', "occluded": "false", "note": '"keep"'}
    assert len(report.conflicts) == 0
    sent.again_is_nothing()


def test_different_attributes_changed_on_both_sides_are_both_kept(sent):
    old = sent.label("car0")["attributes"]
    sent.ds.set_labels([{"label_id": "car0", "attributes": [
        {**a, "value": "true"} if a["name"] == "occluded" else a for a in old]}])  # fmt: skip
    sent.hands.set("car0", attributes={"color": "blue"})
    assert len(sent.load(conflicts="fail").conflicts) == 0
    assert sent.values("car0") == {"color": '"blue"', "occluded": "true", "note": '"keep"'}


@pytest.mark.parametrize("policy", ["theirs", "ours", "fail"])
def test_the_same_component_changed_on_both_sides_is_a_conflict(sent, policy):
    sent.ds.set_labels([{"label_id": "car0", "bounding_box": [0.0, 0.0, 0.5, 0.5]}])
    sent.hands.set("car0", bounding_box=[0.5, 0.5, 0.5, 0.5], label="person")
    assert components(sent.plan(conflicts=policy).conflicts) == {("car0", "spatial")}
    if policy == "fail":
        before = sent.versions()
        with pytest.raises(ab.Conflict, match=r"1 changes were made both here and in the tool: car0 \(spatial\)"):
            sent.load(conflicts="fail")
        assert sent.versions() == before
        return
    report = sent.load(conflicts=policy)
    assert components(report.conflicts) == {("car0", "spatial")}
    new = sent.label("car0")
    assert new["label"] == "person"  # not in conflict, so taken whatever the policy
    assert new["bounding_box"] == ([0.5, 0.5, 0.5, 0.5] if policy == "theirs" else [0.0, 0.0, 0.5, 0.5])
    again = sent.again_is_nothing(conflicts=policy)
    assert len(again.conflicts) == (0 if policy == "theirs" else 1)  # what was lost is listed again


def test_a_conflict_shows_all_three_values(sent):
    sent.ds.set_labels([{"label_id": "sun0", "label": "fog"}])
    sent.hands.set("sun0", label="rain")
    found = sent.plan().conflicts.to_pylist()
    assert [(c["base"], c["ours"], c["theirs"]) for c in found] == [("sun", "fog", "rain")]


def test_a_conflict_of_shapes_shows_them_shortened(sent):
    sent.ds.set_labels([{"label_id": "car0", "bounding_box": [0.0, 0.0, 0.5, 0.5], "rotation": 30.0}])
    sent.hands.set("car0", bounding_box=[0.5, 0.5, 0.5, 0.5])
    sent.ds.set_labels([{"label_id": "lane0", "closed": False}])
    sent.hands.set("lane0", points=[[[0.0, 0.0], [0.25, 0.25]], [[0.5, 0.5], [1.0, 1 / 3]]])
    found = {c["label_id"]: (c["base"], c["ours"], c["theirs"]) for c in sent.plan().conflicts.to_pylist()}
    assert found == {
        "car0": (
            "box 0.1, 0.1, 0.3, 0.3333",
            "box 0, 0, 0.5, 0.5, turned by 30",
            "box 0.5, 0.5, 0.5, 0.5",
        ),
        "lane0": (
            "closed, 4 points (0, 0) (1, 0.3333) (0.5, 0.5) …",
            "4 points (0, 0) (1, 0.3333) (0.5, 0.5) …",
            "closed, 4 points (0, 0) (0.25, 0.25) (0.5, 0.5) …",
        ),
    }


def test_a_refused_mask_and_frame_are_shown(empty, disc):
    empty.ds.add_samples([{"filepath": "v.mp4", "sample_id": "v", "media_type": "video"}])
    mask = ab.Detection("x", mask=disc).columns["mask"]
    empty.ds.add_labels(
        "frames.f", [{"sample_id": "v", "label_id": "m", "kind": "mask", "label": "x", "mask": mask, "frame_number": 1}]
    )
    empty.annotate(schema={"frames.f": {"type": "instances", "classes": ["x"]}}, allow_spatial_edits=False)
    empty.hands.set("m", frame_number=2)
    (found,) = empty.load().refused.to_pylist()
    size = len(mask["counts"])
    assert (found["base"], found["theirs"]) == (
        f"mask of {size} bytes, in frame 1",
        f"mask of {size} bytes, in frame 2",
    )


def test_the_same_change_on_both_sides_is_no_conflict_and_no_write(sent):
    sent.ds.set_labels([{"label_id": "car0", "label": "person"}])
    sent.hands.set("car0", label="person")
    before = sent.versions()["labels"]
    report = sent.load(conflicts="fail")
    assert report.total == 0
    assert sent.versions()["labels"] == before
    sent.again_is_nothing(conflicts="fail")
    sent.hands.set("car0", label="car")  # back again, and nobody here changed it since
    assert sent.load(conflicts="fail").edited == 1
    assert sent.label("car0")["label"] == "car"


# Deleted here, there, and on both sides


def test_deleted_there_is_deleted_here(sent):
    sent.hands.delete("car0", "lane1")
    report = sent.load()
    assert report.counts["objects"]["delete"] == report.counts["lanes"]["delete"] == 1
    assert not {"car0", "lane1"} & set(sent.labels())
    sent.again_is_nothing()


def test_deleted_here_and_untouched_there_stays_deleted(sent):
    sent.ds.delete_labels(["car0"])
    sent.again_is_nothing()
    assert "car0" not in sent.labels()


def test_deleted_on_both_sides_is_settled(sent):
    sent.ds.delete_labels(["car0"])
    sent.hands.delete("car0")
    assert sent.load(conflicts="fail").total == 0
    sent.again_is_nothing()


@pytest.mark.parametrize("policy", ["theirs", "ours", "fail"])
def test_deleted_here_and_edited_there_is_a_conflict(sent, policy):
    sent.ds.delete_labels(["car0"])
    sent.hands.set("car0", label="person")
    assert components(sent.plan(conflicts=policy).conflicts) == {("car0", "existence")}
    if policy == "fail":
        with pytest.raises(ab.Conflict, match="car0"):
            sent.load(conflicts=policy)
        return
    sent.load(conflicts=policy)
    assert ("car0" in sent.labels()) == (policy == "theirs")
    if policy == "theirs":
        assert sent.label("car0")["label"] == "person"
        assert sent.label("car0")["bounding_box"] == [0.1, 0.1, 0.3, 1 / 3]
    again = sent.again_is_nothing(conflicts=policy)
    assert len(again.conflicts) == (policy == "ours")


@pytest.mark.parametrize("policy", ["theirs", "ours", "fail"])
def test_edited_here_and_deleted_there_is_a_conflict(sent, policy):
    sent.ds.set_labels([{"label_id": "car0", "label": "person"}])
    sent.hands.delete("car0")
    if policy == "fail":
        with pytest.raises(ab.Conflict, match="car0"):
            sent.load(conflicts=policy)
        return
    report = sent.load(conflicts=policy)
    assert components(report.conflicts) == {("car0", "existence")}
    assert ("car0" in sent.labels()) == (policy == "ours")
    again = sent.again_is_nothing(conflicts=policy)
    assert len(again.conflicts) == (policy == "ours")


def test_a_whole_field_deleted_here_does_not_come_back(sent):
    sent.ds.delete_labels(field="objects")
    sent.again_is_nothing()
    assert sent.labels("objects") == {}


def test_a_field_renamed_here_is_edited_where_it_is(sent):
    sent.ds.set_labels([{"label_id": i, "field": "things"} for i in sent.labels("objects")])
    sent.hands.set("car0", label="person")
    sent.hands.delete("man1")
    sent.load()
    assert sent.labels("objects") == {}
    assert sent.label("car0")["label"] == "person"
    assert set(sent.labels("things")) == {f"{n}{i}" for n in ("car", "man") for i in range(4)} - {"man1"}
    sent.again_is_nothing()


# Samples


def test_a_sample_deleted_here_brings_nothing_and_is_told(sent):
    sent.hands.set("car0", label="person")
    sent.hands.add("s0")
    sent.ds.delete_samples("s0")
    report = sent.load()
    assert report.total == 0
    assert any("1 samples of the run are not in the dataset any more" in n for n in report.notes)
    assert all(r["sample_id"] == "s0" for r in report.dropped.to_pylist())
    assert len(report.dropped) > 0
    assert not [r for r in sent.labels().values() if r["sample_id"] == "s0"]


def test_a_sample_that_nobody_knows_is_dropped_with_a_line(sent):
    task = next(iter(sent.server.labels))
    remote = sent.hands.add("nobody", task=task)
    report = sent.load()
    assert report.total == 0
    assert [(r["label_id"], r["sample_id"]) for r in report.dropped.to_pylist()] == [(remote, "nobody")]


def test_a_sample_of_the_dataset_that_was_not_sent_brings_nothing(bridge):
    bridge.annotate(view=bridge.ds.select(["s0", "s1"]))
    bridge.hands.add("s3", task=next(iter(bridge.server.labels)))
    report = bridge.load()
    assert report.total == 0
    assert len(report.dropped) == 1


@pytest.mark.parametrize("labels", [True, False])
def test_d16_a_sample_that_is_not_returned_contributes_nothing(sent, labels):
    sent.hands.delete("car0")
    sent.hands.set("man0", label="car")
    sent.hands.add("s0")
    sent.hands.drop_sample("s0", labels=labels)
    sent.hands.set("car1", label="person")
    report = sent.load()
    assert (report.added, report.edited, report.deleted) == (0, 1, 0)
    assert sent.label("man0")["label"] == "person"
    assert "car0" in sent.labels()
    sent.again_is_nothing()


# New labels


def test_a_new_label_gets_a_derived_id_and_all_that_was_said(sent):
    before = sent.labels()
    sent.hands.add("s1", label="person", index=7, confidence=0.25, tags=["t"], attributes={"color": "blue"})
    assert sent.load().added == 1
    (new,) = sent.new(before)
    assert (new["field"], new["label"], new["index"], new["confidence"], new["tags"]) == (
        "objects",
        "person",
        7,
        0.25,
        ["t"],
    )
    assert (new["run"], new["rev"]) == ("r", 1)
    assert sent.values(new["label_id"]) == {"color": '"blue"'}
    sent.again_is_nothing()


def test_d08_a_new_box_keeps_its_id_and_what_was_said_of_it_here(sent):
    before = sent.labels()
    remote = sent.hands.add("s1")
    sent.load()
    (new,) = sent.new(before)
    sent.ds.set_labels([{"label_id": new["label_id"], "tags": ["checked"]}])
    sent.again_is_nothing()
    sent.hands.set(remote, bounding_box=[0.0, 0.0, 0.5, 0.5])
    sent.load()
    now = sent.label(new["label_id"])
    assert now["tags"] == ["checked"]
    assert now["bounding_box"] == [0.0, 0.0, 0.5, 0.5]
    assert len(sent.new(before)) == 1


def test_a_new_label_deleted_here_stays_deleted(sent):
    before = sent.labels()
    sent.hands.add("s1")
    sent.load()
    (new,) = sent.new(before)
    sent.ds.delete_labels([new["label_id"]])
    sent.again_is_nothing()
    assert sent.new(before) == []


def test_a_new_label_deleted_there_is_deleted(sent):
    before = sent.labels()
    remote = sent.hands.add("s1")
    sent.load()
    sent.hands.delete(remote)
    assert sent.load().deleted == 1
    assert sent.labels() == before
    sent.again_is_nothing()


def test_a_label_without_a_field_goes_to_the_field_of_its_kind_and_class(sent):
    before = sent.labels()
    sent.hands.add("s1", field=None)
    sent.hands.add("s1", label="lane", field=None, kind="polyline")
    assert sent.load().added == 2
    assert sorted(r["field"] for r in sent.new(before)) == ["lanes", "objects"]


def test_a_label_that_was_not_sent_is_neither_touched_nor_doubled(bridge):
    bridge.annotate(schema={"objects": {**bridge_schema(bridge), "classes": ["car"]}})
    assert {r["label"] for r in bridge.hands.rows()} == {"car"}
    before = bridge.labels()
    bridge.hands.delete(*[f"car{i}" for i in range(4)])
    bridge.hands.add("s0")
    bridge.load()
    assert {f"man{i}" for i in range(4)} <= set(bridge.labels())
    assert all(bridge.label(f"man{i}") == before[f"man{i}"] for i in range(4))
    assert len(bridge.labels("objects")) == 5


def bridge_schema(bridge: Any) -> dict[str, Any]:
    return {"type": "detections", "attributes": {"color": {"type": "text"}}}


# Ids that people move and copy


def test_d02_a_copy_in_one_image_is_an_addition_and_the_original_keeps_its_id(sent):
    before = sent.labels()
    sent.hands.copy("car0", bounding_box=[0.6, 0.6, 0.2, 0.2])
    report = sent.load()
    assert (report.added, report.edited, report.deleted) == (1, 0, 0)
    assert sent.label("car0") == before["car0"]
    (twin,) = sent.new(before)
    assert (twin["sample_id"], twin["bounding_box"]) == ("s0", [0.6, 0.6, 0.2, 0.2])
    sent.again_is_nothing()


def test_d02_a_copy_that_the_tool_lists_first_does_not_take_the_originals_id(sent):
    before = sent.labels()
    sent.hands.copy("car0", first=True, bounding_box=[0.6, 0.6, 0.2, 0.2])
    report = sent.load()
    assert (report.added, report.edited, report.deleted) == (1, 0, 0)
    assert sent.label("car0") == before["car0"]
    sent.again_is_nothing()


def test_d02_original_and_copy_live_on_apart(sent):
    before = sent.labels()
    sent.hands.copy("car0", bounding_box=[0.6, 0.6, 0.2, 0.2])
    sent.load()
    (twin,) = sent.new(before)
    original = sent.hands.rows()[0]
    assert original["label_id"] == "car0"
    sent.hands.set("car0", label="person")  # the twin has no label_id there, so this is the original alone
    sent.load()
    assert sent.label("car0")["label"] == "person"
    assert sent.label(twin["label_id"])["bounding_box"] == [0.6, 0.6, 0.2, 0.2]
    sent.again_is_nothing()
    sent.hands.set("car0", bounding_box=[0.0, 0.0, 0.1, 0.1])
    report = sent.load()
    assert (report.added, report.edited, report.deleted) == (0, 1, 0)
    assert sent.label("car0")["bounding_box"] == [0.0, 0.0, 0.1, 0.1]
    assert sent.label(twin["label_id"])["bounding_box"] == [0.6, 0.6, 0.2, 0.2]
    sent.again_is_nothing()


def test_three_copies_are_three_labels(sent):
    before = sent.labels()
    for n in range(3):
        row = sent.hands.of("car0")
        sent.hands.add("s0", remote_id=row["remote_id"], bounding_box=[0.1 * n, 0.6, 0.1, 0.1])
    assert sent.load().added == 3
    assert sorted(r["bounding_box"][0] for r in sent.new(before)) == [0.0, 0.1, 0.2]
    sent.again_is_nothing()


def test_a_copy_in_another_image_is_an_addition_there(sent):
    before = sent.labels()
    row = sent.hands.of("car0")
    sent.hands.add("s2", remote_id=row["remote_id"], bounding_box=[0.6, 0.6, 0.2, 0.2])
    report = sent.load()
    assert (report.added, report.edited, report.deleted) == (1, 0, 0)
    assert sent.label("car0") == before["car0"]
    (twin,) = sent.new(before)
    assert (twin["sample_id"], twin["bounding_box"]) == ("s2", [0.6, 0.6, 0.2, 0.2])
    sent.again_is_nothing()


def test_a_label_moved_to_another_image_is_deleted_here_and_added_there(sent):
    before = sent.labels()
    sent.hands.set("car0", sample_id="s2")
    report = sent.load()
    assert (report.added, report.edited, report.deleted) == (1, 0, 1)
    (moved,) = sent.new(before)
    assert (moved["sample_id"], moved["label"], moved["confidence"]) == ("s2", "car", 0.9)
    assert "car0" not in sent.labels()
    sent.again_is_nothing()


def test_d09_ids_that_the_tool_forgets_do_no_harm(sent):
    sent.server.labels = {
        name: table.set_column(0, "label_id", pa.nulls(len(table), pa.string()))
        for name, table in sent.server.labels.items()
    }
    sent.again_is_nothing()


# Fields of one label per sample


@pytest.mark.parametrize("field", ["weather", None])
@pytest.mark.parametrize("deletions", [True, False])
def test_a_tag_deleted_and_made_again_is_an_edit(bridge, deletions, field):
    bridge.annotate(allow_deletions=deletions)
    before = bridge.labels()
    bridge.hands.delete("sun0")
    bridge.hands.add("s0", label="rain", field=field, kind="classification")
    report = bridge.load()
    assert (report.added, report.edited, report.deleted) == (0, 1, 0)
    assert bridge.label("sun0")["label"] == "rain"
    assert bridge.label("sun0")["confidence"] == 0.7
    assert set(bridge.labels()) == set(before)
    bridge.again_is_nothing()


def test_a_second_tag_is_refused_and_listed(sent):
    sent.hands.add("s0", label="rain", field="weather", kind="classification")
    report = sent.load()
    assert report.total == 0
    assert [r["reason"] for r in report.refused.to_pylist()] == [
        "the field holds one label per sample, and there is one"
    ]
    assert len(sent.again_is_nothing().refused) == 1


def test_a_tag_that_came_here_meanwhile_is_not_doubled(bridge):
    bridge.ds.delete_labels(field="weather", where="sample_id = 's0'")
    bridge.annotate()
    bridge.ds.add_labels("weather", [{"sample_id": "s0", "kind": "classification", "label": "fog"}])
    bridge.hands.add("s0", label="rain", field="weather", kind="classification")
    report = bridge.load()
    assert report.total == 0
    assert len(report.refused) == 1
    assert [r["label"] for r in bridge.labels("weather").values() if r["sample_id"] == "s0"] == ["fog"]


@pytest.mark.parametrize("policy", ["theirs", "ours"])
def test_a_tag_that_was_replaced_here_is_not_put_back_beside_the_new_one(sent, policy):
    sent.ds.delete_labels(["sun0"])
    sent.ds.add_labels("weather", [{"sample_id": "s0", "label_id": "mine", "kind": "classification", "label": "fog"}])
    sent.hands.set("sun0", label="rain")
    report = sent.load(conflicts=policy)
    assert report.total == 0
    assert [r["label_id"] for r in sent.labels("weather").values() if r["sample_id"] == "s0"] == ["mine"]
    if policy == "theirs":
        assert reasons(report.refused) == {
            ("sun0", "existence", "the field holds one label per sample, and there is one")
        }
        assert len(report.conflicts) == 0
    else:
        assert components(report.conflicts) == {("sun0", "existence")}
    again = sent.again_is_nothing(conflicts=policy)
    assert len(again.refused) + len(again.conflicts) == 1


def test_a_tag_whose_deletion_lost_a_conflict_keeps_its_place(empty):
    """Moved to another frame here and deleted there, where that frame got a new one: there is room for one."""
    empty.ds.add_samples([{"filepath": "v.mp4", "sample_id": "v", "media_type": "video"}])
    tag = {"sample_id": "v", "kind": "classification", "label": "sun", "frame_number": 2}
    empty.ds.add_labels("frames.weather", [{**tag, "label_id": "f"}])
    empty.annotate(schema={"frames.weather": {"type": "classification", "classes": ["sun", "rain"]}})
    empty.ds.set_labels([{"label_id": "f", "frame_number": 1}])
    empty.hands.delete("f")
    empty.hands.add("v", label="rain", field="frames.weather", kind="classification", frame_number=1)
    report = empty.load(conflicts="ours")
    assert (report.total, len(report.refused), len(report.conflicts)) == (0, 1, 1)
    assert [r["label"] for r in empty.labels().values()] == ["sun"]


def test_a_copied_tag_is_not_put_back_beside_a_new_one(bridge):
    bridge.annotate(schema={"weather": {"type": "classification", "classes": ["sun", "rain"]}})
    bridge.load(dest_field="checked")
    (copy,) = [i for i, r in bridge.labels("checked").items() if r["sample_id"] == "s0"]
    plan_with_edit = {"dest_field": "checked"}
    bridge.hands.set("sun0", label="rain")
    bridge.ds.delete_labels([copy])
    plan = bridge.plan(**plan_with_edit)
    assert plan.added == 1
    bridge.ds.add_labels("checked", [{"sample_id": "s0", "label_id": "mine", "kind": "classification", "label": "fog"}])
    with pytest.raises(ab.StalePlan, match=r"holds one label per sample and has labels already.*plan again"):
        plan.apply()
    with pytest.raises(ab.SchemaError, match="has labels already; choose a new field"):
        bridge.load(**plan_with_edit)
    assert [r["label_id"] for r in bridge.labels("checked").values() if r["sample_id"] == "s0"] == ["mine"]


def test_every_frame_of_a_video_holds_its_own_tag(empty):
    empty.ds.add_samples([{"filepath": "v.mp4", "sample_id": "v", "media_type": "video"}])
    tag = {"sample_id": "v", "kind": "classification", "label": "sun"}
    empty.ds.add_labels("frames.weather", [{**tag, "label_id": f"f{n}", "frame_number": n} for n in (1, 2)])
    empty.annotate(schema={"frames.weather": {"type": "classification", "classes": ["sun", "rain"]}})
    empty.hands.add("v", label="rain", field="frames.weather", kind="classification", frame_number=3)
    empty.hands.delete("f1", "f2")
    for n in (2, 1):
        empty.hands.add("v", label="rain", field="frames.weather", kind="classification", frame_number=n)
    report = empty.load()
    assert (report.added, report.edited, report.deleted) == (1, 2, 0)
    assert {i: (r["frame_number"], r["label"]) for i, r in empty.labels().items() if i in ("f1", "f2")} == {
        "f1": (1, "rain"), "f2": (2, "rain")}  # fmt: skip
    empty.again_is_nothing()


def test_a_scalar_is_edited_whatever_its_type(bridge):
    bridge.annotate(schema={"speed": {"type": "scalar"}})
    bridge.hands.set("speed0", value="70")
    bridge.hands.set("speed1", value='"fast"')
    report = bridge.load(unexpected="ignore")
    assert bridge.label("speed0")["value"] == "70"
    assert report.edited + len(report.unexpected) == 2  # no exception in the middle, and nothing goes without a line


def test_a_scalar_with_classes_is_not_unexpected(bridge):
    bridge.ds.add_labels("mode", [{"sample_id": "s0", "label_id": "m", "kind": "scalar", "value": '"day"'}])
    bridge.annotate(schema={"mode": {"type": "scalar", "classes": ["day", "night"]}})
    bridge.again_is_nothing()
    bridge.hands.set("m", value='"night"')
    assert bridge.load().edited == 1


# What the tool put elsewhere, and what it is not asked about


def test_a_label_moved_to_another_field_in_the_tool_stays_and_is_told(bridge):
    signs = {"type": "detections", "classes": ["stop"]}
    bridge.annotate(schema={"objects": {"type": "detections", "classes": ["car", "person"]}, "signs": signs})
    bridge.hands.set("car0", field="signs", bounding_box=[0.0, 0.0, 0.5, 0.5])
    report = bridge.load()
    assert report.counts == {"objects": {"add": 0, "edit": 1, "delete": 0}}
    assert (bridge.label("car0")["field"], bridge.label("car0")["bounding_box"]) == ("objects", [0.0, 0.0, 0.5, 0.5])
    assert [(r["label_id"], r["component"], r["base"], r["theirs"]) for r in report.refused.to_pylist()] == [
        ("car0", "field", "objects", "signs")
    ]
    assert "moved to another field in the tool" in report.refused["reason"][0].as_py()
    assert len(bridge.again_is_nothing().refused) == 1  # it stays pending


def test_what_the_tool_says_of_confidence_and_tags_is_ignored(sent):
    sent.hands.set("car0", confidence=0.1, tags=["theirs"])
    sent.again_is_nothing()
    assert (sent.label("car0")["confidence"], sent.label("car0")["tags"]) == (0.9, ["mine"])


# What is outside the schema


def test_attributes_outside_the_schema_stay_on_a_merged_label(sent):
    sent.hands.set("car0", attributes={"color": "blue"})
    sent.load()
    assert sent.values("car0") == {"color": '"blue"', "occluded": "false", "note": '"keep"'}


def test_an_attribute_removed_there_is_removed_here(sent):
    sent.hands.set("car0", attributes={"color": None})
    assert sent.load().edited == 1
    assert sent.values("car0") == {"occluded": "false", "note": '"keep"'}
    sent.again_is_nothing()


def test_d17_a_class_renamed_in_the_tool_is_told_and_breaks_nothing(sent):
    before = sent.labels()
    for i in range(4):
        sent.hands.set(f"car{i}", label="automobile")
    with pytest.raises(ab.UnexpectedLabels, match="4 × class not in the schema"):
        sent.load()
    report = sent.load(unexpected="return")
    assert report.unexpected["label"].to_pylist() == ["automobile"] * 4
    assert sent.labels() == before


@pytest.mark.parametrize("mode", ["return", "ignore"])
def test_d18_a_box_given_a_class_made_in_the_tool_is_not_deleted(sent, mode):
    before = sent.labels()
    sent.hands.set("car0", label="tank", bounding_box=[0.0, 0.0, 0.5, 0.5])
    report = sent.load(unexpected=mode)
    assert report.deleted == 0
    assert sent.label("car0")["label"] == "car"
    assert sent.label("car0")["bounding_box"] == [0.0, 0.0, 0.5, 0.5]  # what was expected of the edit is taken
    assert report.unexpected["label"].to_pylist() == ["tank"]
    assert set(sent.labels()) == set(before)


def test_d19_labels_of_classes_outside_the_schema_are_not_sent_and_not_touched(bridge):
    bridge.annotate(schema={"objects": {"type": "detections", "classes": ["car"], "attributes": False}})
    before = bridge.labels()
    bridge.hands.delete_all()
    bridge.load(force=True)
    assert bridge.labels("objects") == {i: r for i, r in before.items() if i.startswith("man")}


# Another field


def test_dest_field_receives_the_outcome_and_the_source_stays(sent):
    before = sent.labels()
    sent.hands.set("car0", label="person")
    sent.hands.delete("man0")
    sent.hands.add("s1")
    report = sent.load(dest_field={"objects": "checked"})
    assert set(report.counts) == {"checked"}
    assert {i: r for i, r in sent.labels().items() if r["field"] != "checked"} == before
    there = sent.labels("checked")
    assert len(there) == 8
    assert not set(there) & set(before)
    assert sorted(r["label"] for r in there.values() if r["sample_id"] == "s0") == ["person"]
    assert len([r for r in there.values() if r["sample_id"] == "s1"]) == 3
    assert {r["confidence"] for r in there.values()} == {0.8, 0.9, None}
    sent.again_is_nothing(dest_field={"objects": "checked"})


def test_dest_field_again_merges_with_what_was_done_there(sent):
    sent.load(dest_field={"objects": "checked"})
    there = {(r["sample_id"], r["label"]): i for i, r in sent.labels("checked").items()}
    sent.ds.set_labels([{"label_id": there["s0", "car"], "tags": ["seen"], "bounding_box": [0.0, 0.0, 0.5, 0.5]}])
    sent.hands.set("car0", attributes={"color": "blue"})
    sent.hands.delete("man1")
    report = sent.load(dest_field={"objects": "checked"}, conflicts="fail")
    assert (report.added, report.edited, report.deleted) == (0, 1, 1)
    now = sent.label(there["s0", "car"])
    assert (now["tags"], now["bounding_box"]) == (["seen"], [0.0, 0.0, 0.5, 0.5])
    assert sent.values(now["label_id"])["color"] == '"blue"'
    assert there["s1", "person"] not in sent.labels()
    sent.again_is_nothing(dest_field={"objects": "checked"})


def test_the_field_itself_can_still_be_loaded_after_dest_field(sent):
    sent.hands.set("car0", label="person")
    sent.load(dest_field={"objects": "checked"})
    assert sent.label("car0")["label"] == "car"
    there = sent.labels("checked")
    assert sent.load().edited == 1
    assert sent.label("car0")["label"] == "person"
    assert sent.labels("checked") == there
    sent.again_is_nothing()


def test_dest_field_of_one_field_only_leaves_the_others_to_themselves(sent):
    sent.hands.set("car0", label="person")
    sent.hands.set("sun0", label="rain")
    sent.load(dest_field={"objects": "checked"})
    assert sent.label("sun0")["label"] == "rain"
    assert sent.label("car0")["label"] == "car"


def test_dest_field_takes_nothing_of_a_sample_that_is_not_returned(sent):
    sent.hands.drop_sample("s0")
    sent.load(dest_field={"objects": "checked"})
    assert {r["sample_id"] for r in sent.labels("checked").values()} == {"s1", "s2", "s3"}


def test_undo_of_dest_field_empties_it(sent):
    before = sent.labels()
    sent.hands.set("car0", label="person")
    sent.load(dest_field={"objects": "checked"})
    sent.ds.undo_annotations("r")
    assert sent.labels() == before


@pytest.mark.parametrize(
    ("dest", "words"),
    [
        ("checked", "is one name, but the run has 3 fields; give a dictionary"),
        ({"nothing": "checked"}, "'nothing', which is not a field of the run; it has objects, weather, lanes"),
        ({"objects": "speed"}, "which holds labels of another type"),
        ({"objects": "weather"}, "which is a field of the run itself; choose another"),
        ({"objects": "objects"}, "which is a field of the run itself; choose another"),
        ({"objects": "not a name"}, "not a name"),
        ({"objects": ""}, "''"),
        ({"objects": "both", "lanes": "both"}, "both"),
        ({"objects": "frames.checked"}, "'frames.checked', which is a field of video frames; give 'checked'"),
    ],
)
def test_a_dest_field_that_cannot_be_is_refused_before_anything(sent, dest, words):
    sent.hands.set("car0", label="person")
    before = sent.state()
    with pytest.raises(ab.SchemaError, match=words):
        sent.load(dest_field=dest)
    assert sent.state() == before


def test_a_dest_field_of_frames_needs_the_prefix(empty):
    empty.ds.add_samples([{"filepath": "v.mp4", "sample_id": "v", "media_type": "video"}])
    empty.annotate(schema={"frames.f": {"type": "detections", "classes": ["car"]}})
    empty.hands.add("v", field="frames.f", frame_number=1)
    with pytest.raises(ab.SchemaError, match=r"labels of video frames need a field of frames; give 'frames\.checked'"):
        empty.load(dest_field="checked")
    assert empty.load(dest_field="frames.checked").added == 1


def test_a_run_that_was_renamed_knows_its_destination(bridge):
    bridge.annotate(schema={"weather": {"type": "classification", "classes": ["sun", "rain"]}})
    bridge.load(dest_field="checked")
    bridge.ds.rename_annotation_run("r", "better")
    bridge.hands.set("sun0", label="rain")
    assert bridge.load("better", dest_field="checked").edited == 1
    bridge.ds.annotate(
        "second", label_schema={"checked": {"type": "classification", "classes": ["sun", "rain"]}}, backend="memory",
        url=bridge.url,
    )  # fmt: skip
    with pytest.raises(ab.SchemaError, match="has labels already; choose a new field"):  # of another run
        bridge.annotate("third", schema={"weather": {"type": "classification"}}).load(dest_field="checked")


def test_a_destination_that_got_labels_of_another_type_makes_the_plan_stale(sent):
    plan = sent.plan(dest_field={"objects": "checked"})
    sent.ds.add_labels("checked", [{"sample_id": "s0", "kind": "classification", "label": "x"}])
    before = sent.versions()
    with pytest.raises(ab.StalePlan, match="holds labels of another type.*plan again"):
        plan.apply()
    assert sent.versions() == before


# Exact values, D1 and D3 to D7


@examples(8)
@given(data=st.data())
def test_d01_every_kind_of_label_comes_back_bit_equal_and_writes_nothing(fresh_bridge, data):
    bridge = fresh_bridge()
    bridge.ds.delete_labels(where="true")
    rows = data.draw(some.label_rows(("s0", "s1"), most=10))
    for name in {r["field"] for r in rows}:
        bridge.ds.add_labels(name, [r for r in rows if r["field"] == name])
    if not rows:
        return
    before = bridge.labels()
    fields = {r["field"] for r in rows}
    bridge.annotate(schema={f: {"type": some.FIELDS[f]} for f in sorted(fields)})
    assert len(bridge.hands.rows()) == len(rows)
    bridge.again_is_nothing()
    assert repr(bridge.labels()) == repr(before)  # repr: NaN equals itself


def test_d03_a_closed_polyline_of_two_parts_stays_one(sent):
    sent.hands.set("lane0", points=[[[0.0, 0.0], [1.0, 0.25]], [[0.5, 0.5], [0.75, 1.0]]])
    sent.load()
    lane = sent.label("lane0")
    assert lane["points"] == [[[0.0, 0.0], [1.0, 0.25]], [[0.5, 0.5], [0.75, 1.0]]]
    assert lane["closed"] is True


def test_d04_a_mask_is_the_same_after_three_round_trips(bridge, disc):
    bridge.ds.add_labels("parts", {"s0": [ab.Detection("wheel", mask=disc, label_id="w")]})
    before = bridge.label("w")
    for n in range(3):
        bridge.annotate(f"r{n}", schema={"parts": {"type": "instances"}})
        bridge.again_is_nothing(f"r{n}")
    assert bridge.label("w") == before
    bigger = ab.Detection("x", mask=np.ones_like(disc)).columns["mask"]
    last = next(
        r["remote_id"] for t, rows in bridge.server.labels.items() if t.startswith("r2") for r in rows.to_pylist()
    )
    bridge.hands.set(last, mask=bigger)
    assert bridge.load("r2").edited == 1
    assert bridge.label("w")["mask"] == bigger


def test_d05_texts_stay_texts(bridge):
    texts = {"a": "007", "b": "true", "c": "1e5", "d": "null", "e": ""}
    bridge.ds.add_labels("plates", {"s0": [ab.Detection("plate", [0, 0, 0.5, 0.5], label_id="p", **texts)]})
    before = bridge.label("p")
    bridge.annotate(schema="plates")
    bridge.again_is_nothing()
    bridge.hands.set("p", attributes={"a": "0070"})
    bridge.load()
    assert bridge.values("p") == {"a": '"0070"', "b": '"true"', "c": '"1e5"', "d": '"null"', "e": '""'}
    assert {a["type"] for a in bridge.label("p")["attributes"]} == {"str"}
    assert before["attributes"][1:] == bridge.label("p")["attributes"][1:]


@pytest.mark.parametrize("degrees", [0.25, 45.0, -90.0])
def test_d06_a_rotation_set_in_the_tool_is_taken(bridge, degrees):
    bridge.annotate(schema={"objects": {"type": "detections", "attributes": False}})
    bridge.hands.set("car0", rotation=degrees)
    assert bridge.load().edited == 1
    assert bridge.label("car0")["rotation"] == degrees
    assert bridge.label("car0")["bounding_box"] == [0.1, 0.1, 0.3, 1 / 3]


def test_d07_a_missing_keypoint_goes_and_comes(bridge):
    nan = float("nan")
    bridge.ds.add_labels("joints", {"s0": [ab.Keypoint("p", [(0.1, 0.2), (nan, nan)], label_id="k")]})
    bridge.annotate(schema="joints")
    bridge.again_is_nothing()
    bridge.hands.set("k", points=[[[0.1, 0.2], [0.3, 0.4]]], visibility=[2, 2])
    bridge.load()
    assert bridge.label("k")["points"] == [[[0.1, 0.2], [0.3, 0.4]]]
    assert bridge.label("k")["visibility"] == [2, 2]


# Tasks and servers


def test_d10_every_task_knows_its_labels(bridge):
    bridge.annotate(task_size=1)
    assert len(bridge.server.labels) == 4
    for i in range(4):
        bridge.hands.set(f"car{i}", label="person")
    report = bridge.load()
    assert (report.added, report.edited, report.deleted) == (0, 4, 0)
    assert all(bridge.label(f"car{i}")["label"] == "person" for i in range(4))


def test_d11_cleanup_leaves_nothing_on_the_server(bridge):
    found = bridge.annotate(task_size=1)
    found.cleanup()
    assert not bridge.server.labels
    assert not bridge.server.samples
    found.cleanup()  # gone already is no error


# D12 (a corrupt image) is in test_bad_input, D13 (a failure in the upload) in test_runs. D14 and D20 (errors of HTTP)
# are in tests/backend: nothing here speaks HTTP. D15 (ground-truth jobs) is for a backend: this tool has no jobs.


@examples(8)
@given(data=st.data())
def test_untouched_there_writes_nothing_whatever_was_done_here(fresh_bridge, data):
    bridge = fresh_bridge()
    bridge.annotate()
    ids = sorted(bridge.labels("objects"))
    gone = data.draw(st.sets(st.sampled_from(ids)), "deleted here")
    edited = data.draw(st.sets(st.sampled_from(ids)), "edited here") - gone
    if gone:
        bridge.ds.delete_labels(sorted(gone))
    if edited:
        bridge.ds.set_labels([{"label_id": i, "label": "person", "rotation": 5.0} for i in sorted(edited)])
    policy = data.draw(st.sampled_from(["theirs", "ours", "fail"]), "policy")
    before = bridge.labels()
    bridge.again_is_nothing(conflicts=policy)
    assert bridge.labels() == before


def test_every_label_type_can_be_edited_added_and_deleted_without_a_schema_of_classes(bridge, disc):
    made = {
        "a": ab.Classification("x"), "b": ab.Detection("x", [0, 0, 1, 1]), "c": ab.Detection("x", mask=disc),
        "d": ab.Polyline("x", [[(0, 0), (1, 1), (0, 1)]], filled=True), "e": ab.Polyline("x", [[(0, 0), (1, 1)]]),
        "f": ab.Keypoint("x", [(0, 0)]), "g": ab.Segmentation(disc, {1: "x"})[0], "h": ab.Scalar(1.5),
        "i": ab.Message("question", "why?"),
    }  # fmt: skip
    for name, label in made.items():
        bridge.ds.add_labels(name, {"s0": [label], "s1": [label]})
    bridge.annotate(schema=sorted(made))
    assert {LABEL_TYPES[f["type"]] for f in bridge.ds.get_annotation_info("r")["label_schema"].values()} == {
        label.kind for label in made.values()
    }
    first = {r["field"]: i for i, r in bridge.labels().items() if r["sample_id"] == "s0" and r["field"] in made}
    other = {r["field"]: i for i, r in bridge.labels().items() if r["sample_id"] == "s1" and r["field"] in made}
    for name in made:
        bridge.hands.set(first[name], index=5)
    bridge.hands.delete(*other.values())
    report = bridge.load(force=True)
    assert (report.added, report.edited, report.deleted) == (0, 9, 9)
    bridge.again_is_nothing()


def test_a_copy_that_replaces_the_one_label_of_its_frame_is_that_label(empty):
    empty.ds.add_samples([{"filepath": "v.mp4", "sample_id": "v", "media_type": "video"}])
    tag = {"sample_id": "v", "kind": "classification", "label": "sun"}
    empty.ds.add_labels("frames.weather", [{**tag, "label_id": f"f{n}", "frame_number": n} for n in (1, 2)])
    empty.annotate(schema={"frames.weather": {"type": "classification", "classes": ["sun", "rain"]}})
    empty.hands.delete("f2")
    for frame in (3, 2):
        empty.hands.add(
            "v", label="rain", field="frames.weather", kind="classification", frame_number=frame, remote_id="x"
        )
    report = empty.load()
    assert (report.added, report.edited, report.deleted) == (1, 1, 0)
    assert (empty.label("f2")["label"], empty.label("f2")["frame_number"]) == ("rain", 2)
    empty.again_is_nothing()
