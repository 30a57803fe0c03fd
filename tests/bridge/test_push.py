"""What changed here goes to the tool: by component, after a plan, with decisions, and found out after a crash."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

import annobridge as ab
from annobridge.backend.memory import MemoryBackend
from annobridge.backend.values import Pushed
from annobridge.bridge.push import settle
from annobridge.core.labels import REMOTE, REVIEWED
from annobridge.core.rows import attributes
from annobridge.store.runs import Runs


def counts(report: Any) -> tuple[int, int, int]:
    return report.added, report.edited, report.deleted


def edit_here(bridge: Any) -> None:
    bridge.ds.set_labels(
        [{"label_id": "car0", "label": "person"}, {"label_id": "car1", "bounding_box": [0.2, 0.2, 0.3, 0.3]}]
    )
    bridge.ds.delete_labels(["man2"])
    bridge.ds.add_labels("objects", {"s3": [ab.Detection("car", [0.6, 0.6, 0.2, 0.2], label_id="new", color="blue")]})


def test_a_push_is_planned_first(sent: Any) -> None:
    edit_here(sent)
    before = sent.state(), sent.hands.rows()
    plan = sent.ds.plan_push("r")
    assert counts(plan) == (1, 2, 1)
    assert (sent.state(), sent.hands.rows()) == before
    rows = {(row["label_id"], row["component"]): row for row in plan.changes.to_pylist()}
    change = rows["car0", "label"]
    assert (change["kind"], change["theirs"], change["ours"], change["why"]) == (
        "edit", '"car"', '"person"', "changed here only",
    )  # fmt: skip
    assert rows["man2", "existence"]["why"] == "deleted here, and not changed in the tool"
    assert counts(plan.apply()) == (1, 2, 1)
    assert sent.hands.of("car0")["label"] == "person"
    assert sent.hands.of("new")["bounding_box"] == [0.6, 0.6, 0.2, 0.2]
    assert "man2" not in {row["label_id"] for row in sent.hands.rows()}
    assert counts(sent.ds.plan_push("r")) == (0, 0, 0)
    sent.again_is_nothing()


def test_only_what_changed_is_pushed(sent: Any) -> None:
    """A person moves a label while its class is changed here: both hold afterwards, on both sides."""
    sent.hands.set("car0", bounding_box=[0.3, 0.3, 0.3, 0.3])
    sent.ds.set_labels([{"label_id": "car0", "label": "person"}])
    report = sent.ds.push_annotations("r")
    assert (counts(report), len(report.conflicts)) == ((0, 1, 0), 0)
    there = sent.hands.of("car0")
    assert (there["label"], there["bounding_box"]) == ("person", [0.3, 0.3, 0.3, 0.3])
    assert counts(sent.load()) == (0, 1, 0)
    assert sent.label("car0")["bounding_box"] == [0.3, 0.3, 0.3, 0.3]
    assert sent.label("car0")["label"] == "person"


def test_attributes_are_pushed_one_by_one_and_others_stay(sent: Any) -> None:
    sent.hands.set("car0", attributes={"occluded": True})
    mine = attributes({"color": "blue", "occluded": False, "note": "mine"})
    sent.ds.set_labels([{"label_id": "car0", "attributes": mine}])
    sent.ds.push_annotations("r")
    values = {a["name"]: a["value"] for a in sent.hands.of("car0")["attributes"]}
    assert values == {"color": '"blue"', "occluded": "true"}
    assert counts(sent.load()) == (0, 1, 0)
    assert sent.values("car0") == {"color": '"blue"', "note": '"mine"', "occluded": "true"}


@pytest.mark.parametrize(
    ("there", "here", "component"),
    [
        ({"label": "person"}, {"label": None, "delete": True}, "existence"),
        ({"delete": True}, {"label": "person"}, "existence"),
        ({"bounding_box": [0.1, 0.1, 0.1, 0.1]}, {"bounding_box": [0.4, 0.4, 0.1, 0.1]}, "spatial"),
    ],
)
def test_a_conflict_is_listed_whoever_wins(sent: Any, there: Any, here: Any, component: str) -> None:
    sent.hands.delete("car0") if there.get("delete") else sent.hands.set("car0", **there)
    if here.pop("delete", False):
        sent.ds.delete_labels(["car0"])
    else:
        sent.ds.set_labels([{"label_id": "car0", **here}])
    with pytest.raises(ab.Conflict, match="push with conflicts='theirs' or 'ours'"):
        sent.ds.push_annotations("r", conflicts="fail")
    report = sent.ds.push_annotations("r")
    assert (counts(report), report.conflicts["component"].to_pylist()) == ((0, 0, 0), [component])
    assert "theirs is kept" in report.conflicts["reason"][0].as_py()
    report = sent.ds.push_annotations("r", conflicts={component: "ours"})
    assert sum(counts(report)) == 1
    assert "ours is taken" in report.conflicts["reason"][0].as_py()
    sent.again_is_nothing()


def test_decisions_of_people_hold_for_pushes(sent: Any) -> None:
    edit_here(sent)
    plan = sent.ds.plan_push("r")
    assert plan.decide("kind = 'delete'", verdict="refuse", note="still needed there") == 1
    assert plan.decide("label_id = 'car0'", verdict="accept") == 1
    report = plan.apply()
    assert counts(report) == (1, 2, 0)
    assert sent.hands.of("man2")
    again = sent.ds.plan_push("r")
    assert counts(again) == (0, 0, 0)  # what was refused stays refused
    assert again.states()["recorded"].to_pylist() == [True]
    assert counts(sent.ds.push_annotations("r", undecided="leave")) == (0, 0, 0)


def test_a_conflict_is_decided_in_the_words_of_people(sent: Any) -> None:
    sent.hands.set("car0", label="person")
    sent.ds.set_labels([{"label_id": "car0", "label": "car", "bounding_box": [0.2, 0.2, 0.2, 0.2]}])
    sent.ds.set_labels([{"label_id": "man1", "label": "car"}])
    sent.hands.set("man1", bounding_box=[0.2, 0.2, 0.2, 0.2])
    sent.ds.set_labels([{"label_id": "man1", "bounding_box": [0.3, 0.2, 0.2, 0.2]}])
    plan = sent.ds.plan_push("r")
    (conflict,) = [row for row in plan.changes.to_pylist() if row["kind"] == "edit/edit"]
    assert (conflict["label_id"], conflict["proposal"], conflict["choices"]) == ("man1", "theirs", ["ours", "theirs"])
    for verdict in ("accept", "base", "both", "value"):  # which say nothing about a push, or would make a third value
        with pytest.raises(ab.InvalidOption, match=f"The verdict '{verdict}' does not fit .* give ours | theirs"):
            plan.decide("kind = 'edit/edit'", verdict=verdict, value=1)
    plan.decide("kind = 'edit/edit'", verdict="ours")
    plan.apply()
    assert sent.hands.of("man1")["bounding_box"] == [0.3, 0.2, 0.2, 0.2]
    assert sent.hands.of("car0")["label"] == "person"  # which was changed there only


def test_a_verdict_that_does_not_fit_is_refused_from_a_table_too(sent: Any) -> None:
    sent.ds.set_labels([{"label_id": "car0", "label": "person"}])
    plan = sent.ds.plan_push("r")
    plan.decide(verdict="refuse")
    (row,) = plan.decisions.to_pylist()
    before = sent.hands.rows()
    for verdict in ("base", "both", "value"):
        with pytest.raises(ab.InvalidOption, match=f"'{verdict}' does not fit"):
            sent.ds.push_annotations("r", decisions=[{**row, "verdict": verdict, "value": '"car"'}])
    assert sent.hands.rows() == before
    assert counts(sent.ds.push_annotations("r", decisions=plan)) == (0, 0, 0)


def test_decisions_of_loads_are_not_those_of_pushes(sent: Any) -> None:
    sent.hands.set("car0", label="person")
    plan = sent.plan()
    plan.decide(verdict="refuse")
    plan.load()
    sent.ds.set_labels([{"label_id": "car0", "label": "car", "bounding_box": [0.2, 0.2, 0.2, 0.2]}])
    assert sent.ds.plan_push("r").states()["state"].to_pylist() == ["open"]


def test_what_the_tool_says_about_a_push_is_told(sent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sent.ds.set_labels([{"label_id": "car0", "label": "person"}])
    done = Pushed(REMOTE.empty_table(), pa.array(["car0"]), notes=("It was deleted there.",))
    monkeypatch.setattr(MemoryBackend, "push", lambda *_: done)
    report = sent.ds.push_annotations("r")
    assert report.notes[-2:] == (
        "It was deleted there.", "1 of the changes were not taken by the tool; the next push has them again.",
    )  # fmt: skip


def test_what_cannot_be_pushed_for_want_of_an_answer_is_told(sent: Any) -> None:
    sent.ds.set_labels([{"label_id": "car0", "label": "person"}])
    sent.hands.drop_sample("s0", labels=False)
    report = sent.ds.push_annotations("r")
    assert counts(report) == (0, 0, 0)
    assert report.notes[-1] == "memory does not answer for 1 samples, so changes on them are not pushed."
    sent.ds.delete_samples(["s1"])
    assert "1 samples of the run are not in the dataset any more" in sent.ds.push_annotations("r").notes[0]


def test_a_shape_over_the_border_there_does_not_stop_a_push(sent: Any) -> None:
    sent.hands.set("car0", bounding_box=[0.9, 0.9, 0.2, 0.2])
    sent.ds.set_labels([{"label_id": "car0", "label": "person"}, {"label_id": "car1", "label": "person"}])
    assert counts(sent.ds.push_annotations("r")) == (0, 2, 0)
    assert sent.hands.of("car0")["bounding_box"] == [0.9, 0.9, 0.2, 0.2]


def test_a_push_that_was_found_out_is_counted(sent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    edit_here(sent)
    with monkeypatch.context() as patch:
        patch.setattr(Runs, "end_push", lambda *_: (_ for _ in ()).throw(ab.Unreachable("Stopped.")))
        with pytest.raises(ab.Unreachable):
            sent.ds.push_annotations("r")
    sent.load()
    (push,) = sent.ds.get_annotation_info("r")["pushes"]
    assert (push["state"], push["add"], push["edit"], push["delete"]) == ("pushed", 1, 2, 1)


def test_a_plan_that_is_stale_is_not_applied(sent: Any) -> None:
    edit_here(sent)
    plan = sent.ds.plan_push("r")
    sent.hands.set("car1", bounding_box=[0.5, 0.5, 0.2, 0.2])
    before = sent.hands.rows()
    with pytest.raises(ab.StalePlan, match="changed since the plan of 'r' was made"):
        plan.apply()
    assert sent.hands.rows() == before


def test_most_of_the_run_is_not_deleted_unasked(bridge: Any) -> None:
    bridge.annotate(schema={"objects": {"type": "detections"}})
    bridge.ds.add_labels(
        "objects", {f"s{n}": [ab.Detection("car", [0.1 * m, 0.1, 0.1, 0.1]) for m in range(5)] for n in range(4)}
    )
    bridge.ds.push_annotations("r")
    bridge.ds.delete_labels(field="objects")
    before = bridge.hands.rows()
    with pytest.raises(ab.TooManyDeletions, match=r"The push would delete 28 of the .* push with force=True"):
        bridge.ds.push_annotations("r")
    assert bridge.hands.rows() == before
    assert bridge.ds.push_annotations("r", force=True).deleted == 28


def test_what_people_have_finished_is_not_changed_unasked(sent: Any) -> None:
    (task,) = sent.server.labels
    rows = [{"sample_id": "s0", "reviewed": True}, {"sample_id": "s1", "reviewed": False}]
    sent.server.reviewed[task] = pa.Table.from_pylist(rows, REVIEWED)
    sent.ds.set_labels([{"label_id": "car1", "label": "person"}])
    assert counts(sent.ds.push_annotations("r")) == (0, 1, 0)
    sent.ds.set_labels([{"label_id": "car0", "label": "person"}])
    before = sent.hands.rows()
    with pytest.raises(ab.FinishedWork, match="1 samples that people have finished"):
        sent.ds.push_annotations("r")
    assert sent.hands.rows() == before
    assert counts(sent.ds.push_annotations("r", force=True)) == (0, 1, 0)


def test_labels_out_of_the_schema_stay_as_they_are_in_the_tool(sent: Any) -> None:
    """A class that the schema does not have, and a label that was moved to another field or sample, are no deletions."""
    sent.ds.set_labels([{"label_id": "car0", "label": "tree"}])
    sent.ds.set_labels([{"label_id": "man1", "field": "elsewhere"}])
    before = sent.hands.rows()
    report = sent.ds.push_annotations("r")
    assert counts(report) == (0, 0, 0)
    assert any("tree" in note for note in report.notes)
    assert sent.hands.rows() == before


@pytest.mark.parametrize("size", [None, 1])
def test_a_label_that_moved_to_another_sample_stays_where_it_is_in_the_tool(bridge: Any, size: int | None) -> None:
    bridge.annotate(task_size=size)
    bridge.ds.set_labels([{"label_id": "man1", "sample_id": "s2"}])
    report = bridge.ds.push_annotations("r")
    assert counts(report) == (0, 0, 0)
    assert "1 labels were moved to another sample or field here" in report.notes[0]
    assert bridge.hands.of("man1")["sample_id"] == "s1"


def test_labels_of_other_samples_and_deleted_ones_are_left_alone(bridge: Any) -> None:
    bridge.annotate(view=bridge.ds.select(["s0", "s1"]))
    bridge.ds.set_labels([{"label_id": "car3", "label": "person"}])
    bridge.ds.delete_samples(["s1"])
    before = bridge.hands.rows()
    assert counts(bridge.ds.push_annotations("r")) == (0, 0, 0)
    assert bridge.hands.rows() == before


def test_filters_of_the_view_hold_for_new_labels(bridge: Any) -> None:
    view = bridge.ds.filter_labels("objects", "label = 'person'")
    bridge.annotate(schema={"objects": {"type": "detections"}}, view=view)
    bridge.ds.add_labels(
        "objects", {"s0": [ab.Detection(c, [0.1, 0.1, 0.1, 0.1], label_id=f"new {c}") for c in ("car", "person")]}
    )
    assert counts(bridge.ds.push_annotations("r")) == (1, 0, 0)
    assert "new person" in {row["label_id"] for row in bridge.hands.rows()}


def test_labels_that_the_tool_cannot_hold_are_refused_before_anything_is_pushed(
    sent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit_here(sent)
    monkeypatch.setattr(MemoryBackend, "check_task", lambda *_: ["A label is too large; make it smaller."])
    before = sent.state(), sent.hands.rows()
    with pytest.raises(ab.InvalidLabels, match="so nothing was pushed"):
        sent.ds.push_annotations("r")
    assert (sent.state(), sent.hands.rows()) == before


def test_a_task_that_is_read_only_is_refused(sent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    edit_here(sent)
    monkeypatch.setattr(
        MemoryBackend, "check_push", lambda self, receipt: ["The task is read-only for you; ask its owner."]
    )
    before = sent.state(), sent.hands.rows()
    with pytest.raises(ab.InvalidLabels, match="The task is read-only for you; ask its owner"):
        sent.ds.push_annotations("r")
    assert (sent.state(), sent.hands.rows()) == before


def test_a_tool_without_pushes_names_the_alternative(sent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryBackend, "capabilities", replace(MemoryBackend.capabilities, push=False))
    with pytest.raises(ab.Unsupported, match="Annotate the changed samples under a new key"):
        sent.ds.push_annotations("r")


def test_what_the_tool_leaves_out_is_counted_and_pushed_again(sent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    edit_here(sent)
    push = MemoryBackend.push

    def without_car0(self: MemoryBackend, receipt: Any, edits: Any) -> Any:
        keep = pa.array([i != "car0" for i in edits.task.labels["label_id"].to_pylist()])
        task = replace(edits.task, labels=edits.task.labels.filter(keep))
        rest = replace(edits, task=task, remote_ids=edits.remote_ids.filter(keep))
        return replace(push(self, receipt, rest), left_out=pa.array(["car0"]))

    with monkeypatch.context() as patch:
        patch.setattr(MemoryBackend, "push", without_car0)
        report = sent.ds.push_annotations("r")
    assert (counts(report), report.left_out) == ((1, 1, 1), 1)
    assert counts(sent.ds.push_annotations("r")) == (0, 1, 0)


def test_a_file_is_not_loaded_before_an_interrupted_push_is_settled(sent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    edit_here(sent)

    def fail(*_: Any) -> Any:
        raise ab.Unreachable("The tool does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryBackend, "push", fail)
        with pytest.raises(ab.Unreachable, match="push_annotations\\('r'\\) goes on with the rest"):
            sent.ds.push_annotations("r")
    stores = sent.ds.stores
    with pytest.raises(ab.RunIncomplete, match="A push of the run 'r' was interrupted"):
        settle(stores, stores.runs.get_idle("r"), SimpleNamespace(is_file=True))  # type: ignore[arg-type]
    assert counts(sent.load()) == (0, 0, 0)
    assert counts(sent.ds.push_annotations("r")) == (1, 2, 1)


def test_a_push_after_a_clean_up_compares_with_the_baseline(sent: Any) -> None:
    edit_here(sent)
    sent.ds.optimize(timedelta(0))
    assert counts(sent.ds.push_annotations("r")) == (1, 2, 1)
    assert counts(sent.ds.push_annotations("r")) == (0, 0, 0)


def test_what_is_undone_after_a_push_is_proposed_again_or_a_change_here(sent: Any) -> None:
    sent.hands.set("car0", label="person")
    sent.hands.set("car1", label="person")
    sent.load()
    sent.ds.set_labels([{"label_id": "car1", "bounding_box": [0.2, 0.2, 0.2, 0.2]}])
    sent.ds.push_annotations("r")
    sent.ds.undo_annotations("r")
    assert (sent.label("car0")["label"], sent.label("car1")["label"]) == ("car", "car")
    assert sent.plan().to_arrow()["label_id"].to_pylist() == ["car0"]  # proposed again
    assert sent.ds.plan_push("r").to_arrow()["label_id"].to_pylist() == ["car1"]  # pushed since, so a change here
