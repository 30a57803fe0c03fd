"""What was done here to a label is never lost without a conflict, and no label becomes half of two things."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from tests.bridge.conftest import OBJECTS

import annobridge as ab

RING = {"kind": "polygon", "bounding_box": None, "points": [[[0.1, 0.1], [0.2, 0.2], [0.1, 0.3]]]}
WORK: dict[str, dict[str, Any]] = {
    "an attribute outside the schema": {"attributes": [
        {"name": "color", "type": "str", "value": '"red"'}, {"name": "eval", "type": "str", "value": '"fp"'},
        {"name": "note", "type": "str", "value": '"keep"'}, {"name": "occluded", "type": "bool", "value": "false"},
    ]},
    "an attribute outside the schema removed": {"attributes": [
        {"name": "color", "type": "str", "value": '"red"'}, {"name": "occluded", "type": "bool", "value": "false"},
    ]},
    "another field": {"field": "approved"},
    "another sample": {"sample_id": "s1"},
    "another kind": RING,
    "tags": {"tags": ["checked"]},
    "confidence": {"confidence": 0.25},
    "the class": {"label": "person"},
}  # fmt: skip


@pytest.mark.parametrize("what", WORK)
@pytest.mark.parametrize("policy", ["theirs", "ours", "fail"])
def test_a_label_worked_on_here_and_deleted_in_the_tool_is_a_conflict(sent, what, policy):
    sent.ds.set_labels([{"label_id": "car0", **WORK[what]}])
    before = sent.labels()
    sent.hands.delete("car0")
    if policy == "fail":
        with pytest.raises(ab.Conflict, match="car0"):
            sent.load(conflicts="fail")
        assert sent.labels() == before
        return
    report = sent.load(conflicts=policy)
    (row,) = report.conflicts.to_pylist()
    assert (row["label_id"], row["component"]) == ("car0", "existence")
    assert row["reason"] == f"changed here and deleted in the tool; {policy} is kept"
    assert report.deleted == (policy == "theirs")
    assert ("car0" in sent.labels()) == (policy == "ours")


def test_what_is_as_it_was_sent_is_no_conflict(sent):
    """Written and written back: nothing here would be lost."""
    was = sent.label("car0")
    sent.ds.set_labels([{"label_id": "car0", "label": "person", "tags": []}])
    sent.ds.set_labels([{"label_id": "car0", "label": was["label"], "tags": was["tags"]}])
    sent.hands.delete("car0")
    report = sent.load(conflicts="ours")
    assert (report.deleted, report.conflicts.num_rows) == (1, 0)


def test_attributes_outside_the_schema_that_were_there_when_it_was_sent_are_no_work(sent):
    """The note of each car was there before; a class changed here and loaded does not make it local work either."""
    sent.ds.set_labels([{"label_id": "car0", "label": "person"}])
    sent.hands.set("car0", bounding_box=[0.5, 0.5, 0.1, 0.1])
    assert sent.load().conflicts.num_rows == 0
    sent.ds.set_labels([{"label_id": "car0", "label": "car"}])
    sent.hands.delete("car0")
    report = sent.load(conflicts="ours")
    assert (report.deleted, report.conflicts.num_rows) == (1, 0)


def test_a_label_put_back_has_all_of_its_attributes(sent):
    """Deleted here, edited in the tool: what comes back is the whole label, not only what was sent of it."""
    sent.ds.delete_labels(["car0"])
    sent.hands.set("car0", label="person")
    assert sent.load(conflicts="theirs").added == 1
    assert sent.values("car0") == {"color": '"red"', "note": '"keep"', "occluded": "false"}


@pytest.mark.parametrize("policy", ["theirs", "ours"])
def test_a_box_made_a_polygon_here_and_moved_in_the_tool_is_one_of_the_two(sent, policy):
    sent.ds.set_labels([{"label_id": "car0", **RING}])
    sent.hands.set("car0", bounding_box=[0.3, 0.3, 0.1, 0.1])
    report = sent.load(conflicts=policy)
    assert [(r["label_id"], r["component"]) for r in report.conflicts.to_pylist()] == [("car0", "spatial")]
    row = sent.label("car0")
    box = {"kind": "box", "bounding_box": [0.3, 0.3, 0.1, 0.1], "points": None}
    assert {name: row[name] for name in box} == (box if policy == "theirs" else RING)
    sent.annotate(
        "next", {"objects": {"type": {"box": "detections", "polygon": "polygons"}[row["kind"]], "classes": ["car"]}}
    )
    assert [r["label_id"] for r in sent.hands_of("next").rows() if r["label_id"] == "car0"] == ["car0"]


def test_an_edit_that_would_leave_half_a_label_is_refused(sent, monkeypatch):
    """Whatever two valid sides come to, what cannot be stored is not stored."""
    from annobridge.core.checks import validate

    plain = validate.unstorable

    def strict(labels: Any, *parts: Any) -> dict[int, str]:
        found = plain(labels, *parts)
        both = zip(labels["label"].to_pylist(), labels["tags"].to_pylist(), strict=True)
        return found | {
            n: "is not possible." for n, (label, tags) in enumerate(both) if label == "person" and "x" in (tags or ())
        }

    monkeypatch.setattr(validate, "unstorable", strict)
    sent.ds.set_labels([{"label_id": "car0", "tags": ["x"]}])
    sent.hands.set("car0", label="person", bounding_box=[0.5, 0.5, 0.1, 0.1])
    report = sent.load()
    rows = report.refused.to_pylist()
    assert {(r["label_id"], r["component"]) for r in rows} == {("car0", "label"), ("car0", "spatial")}
    assert all(r["reason"] == "cannot be stored with what was changed here: it is not possible." for r in rows)
    assert sent.label("car0")["label"] == "car"


RESET = {"color": None, "occluded": True}


class TestClassNotTakenOver:
    """Tools reset the attributes when the class is changed. If the class stays, so do they."""

    def check(self, bridge: Any, listed: Any) -> None:
        assert bridge.label("car0")["label"] == "car"
        assert bridge.values("car0") == {"color": '"red"', "note": '"keep"', "occluded": "false"}
        lost = {
            row["component"]: row["reason"] for row in listed.to_pylist() if row["component"].startswith("attributes.")
        }
        assert lost == dict.fromkeys(
            ["attributes.color", "attributes.occluded"], "came with a class that is not taken over"
        )

    def test_refused(self, bridge, schema):
        bridge.annotate(schema={"objects": {**schema["objects"], "allow_label_edits": False}})
        bridge.hands.set("car0", label="person", attributes=RESET)
        report = bridge.load()
        assert report.total == 0
        self.check(bridge, report.refused)
        bridge.again_is_nothing()

    @pytest.mark.parametrize("unexpected", ["ignore", "return"])
    def test_unexpected(self, sent, unexpected):
        sent.hands.set("car0", label="bike", attributes=RESET)
        report = sent.load(unexpected=unexpected)
        assert report.total == 0
        self.check(sent, report.dropped)

    def test_lost_in_a_conflict(self, sent):
        sent.ds.set_labels([{"label_id": "car0", "label": "bus"}])
        sent.hands.set("car0", label="person", attributes=RESET)
        report = sent.load(conflicts="ours")
        sent.ds.set_labels([{"label_id": "car0", "label": "car"}])
        self.check(sent, report.refused)

    def test_a_move_that_came_with_it_is_taken(self, bridge, schema):
        bridge.annotate(schema={"objects": {**schema["objects"], "allow_label_edits": False}})
        bridge.hands.set("car0", label="person", attributes=RESET, bounding_box=[0.5, 0.5, 0.1, 0.1])
        report = bridge.load()
        assert report.edited == 1
        assert bridge.label("car0")["bounding_box"] == [0.5, 0.5, 0.1, 0.1]
        self.check(bridge, report.refused)

    def test_with_the_class_come_the_attributes(self, sent):
        sent.hands.set("car0", label="person", attributes=RESET)
        assert sent.load().edited == 1
        assert sent.values("car0") == {"note": '"keep"', "occluded": "true"}


def test_the_order_of_the_labels_of_an_image_stays(bridge, tmp_path):
    """Edited by a load, by hand, and by an undo: exported and sent in the order in which they were added."""
    order = ["car0", "man0", "sun0", "lane0", "speed0"]

    def now() -> list[str]:
        with bridge.ds.sample_parts() as content:
            (part,) = content.parts()
        return [r["label_id"] for r in part.labels.to_pylist() if r["sample_id"] == "s0"]

    assert now() == order
    bridge.annotate()
    bridge.hands.set("car0", label="person")
    bridge.load()
    assert now() == order
    bridge.ds.set_labels([{"label_id": "sun0", "label": "rain"}, {"label_id": "car0", "tags": ["x"]}])
    assert now() == order
    bridge.ds.undo_annotations("r")
    assert now() == order
    nested = bridge.ds.nested(["objects"]).to_pylist()[0]["objects"]
    assert [label["label_id"] for label in nested] == ["car0", "man0"]
    bridge.annotate("next")
    sent = [r["label_id"] for r in bridge.hands_of("next").rows() if r["sample_id"] == "s0" and r["field"] == "objects"]
    assert sent == ["car0", "man0"]


def test_an_edited_row_is_an_update_in_the_history_of_the_table(sent):
    import lance

    before = lance.dataset(f"{sent.ds.uri}/labels.lance")
    ids = dict(
        zip(*before.scanner(columns=["label_id"], with_row_id=True).to_table().to_pydict().values(), strict=True)
    )
    sent.hands.set("car0", label="person")
    sent.hands.add("s0")
    sent.load()
    now = lance.dataset(f"{sent.ds.uri}/labels.lance")
    columns = ["label_id", "_row_created_at_version"]
    rows = now.scanner(columns=columns, with_row_id=True).to_table().to_pylist()
    assert all(row["_rowid"] == ids[row["label_id"]] for row in rows if row["label_id"] in ids)
    assert sum(row["_row_created_at_version"] > before.version for row in rows) == 1


def test_a_new_label_that_was_moved_here_is_not_added_twice(bridge):
    """The undo keeps it, as it was changed here; the load after that finds it in its other field."""
    bridge.annotate()
    bridge.hands.add("s0")
    before = bridge.labels()
    bridge.load(dest_field={"objects": "checked"})
    for label in bridge.new(before, "checked"):
        bridge.ds.set_labels([{"label_id": label["label_id"], "field": "elsewhere"}])
    bridge.ds.undo_annotations("r")
    bridge.load()
    (new,) = (row for row in bridge.new(before) if row["field"] == "objects")
    bridge.ds.set_labels([{"label_id": new["label_id"], "field": "elsewhere"}])
    bridge.ds.undo_annotations("r")
    assert bridge.load().added == 0
    assert bridge.label(new["label_id"])["field"] == "elsewhere"
    moved = len(bridge.labels("elsewhere"))
    bridge.load(dest_field={"objects": "checked"})
    assert len(bridge.labels("elsewhere")) == moved  # no copy of a label that is not in its field any more
    bridge.labels()  # all ids are unique


def test_a_new_label_that_was_moved_here_to_an_image_of_another_task_has_no_copy(bridge):
    """It was loaded, moved, and kept when the load was undone. Which tasks are merged at once makes no difference."""
    bridge.annotate(schema={"objects": OBJECTS}, task_size=2)
    remote = bridge.hands.add("s0")
    before = set(bridge.labels())
    bridge.load()
    (new,) = set(bridge.labels()) - before
    bridge.ds.set_labels([{"label_id": new, "sample_id": "s3"}])
    bridge.ds.undo_annotations("r")
    assert bridge.label(new)["sample_id"] == "s3"
    bridge.hands.set(remote, label="person")
    bridge.load(dest_field={"objects": "checked"})
    copies = Counter(row["sample_id"] for row in bridge.labels().values() if row["field"] == "checked")
    assert copies == {f"s{number}": 2 for number in range(4)}
    bridge.again_is_nothing(dest_field={"objects": "checked"})


def test_an_edit_of_a_label_that_was_moved_here_is_undone_also_if_the_load_had_a_destination(sent):
    sent.ds.set_labels([{"label_id": "car0", "field": "elsewhere"}])
    before = sent.label("car0")["label"]
    sent.hands.set("car0", label="person")
    assert sent.load(dest_field={"objects": "checked"}).edited == 1
    assert sent.label("car0")["label"] == "person"
    assert sent.load(dest_field={"objects": "checked"}).total == 0
    assert not sent.ds.undo_annotations("r").kept.num_rows
    assert sent.label("car0")["label"] == before


def test_an_undone_deletion_does_not_restore_what_is_here_again_in_another_field(bridge):
    bridge.annotate("r")
    bridge.annotate("q")
    bridge.hands_of("r").delete("car0")
    bridge.load("r")
    bridge.hands_of("q").set("car0", label="person")
    bridge.load("q")  # which restores it
    bridge.ds.set_labels([{"label_id": "car0", "field": "elsewhere"}])
    kept = bridge.ds.undo_annotations("r").kept
    assert bridge.label("car0")["field"] == "elsewhere"
    assert kept["label_id"].to_pylist() == ["car0"]
