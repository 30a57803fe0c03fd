"""Plans that people decide about: tables, verdicts, files, protections, and bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.bridge.conftest import SCHEMA, Bridge

import annobridge as ab
from annobridge.backend.memory import SERVERS
from annobridge.core.review.changes import CHANGES, DISPUTE, GROUPS
from annobridge.core.review.decisions import DECISIONS
from annobridge.core.rows import attribute


@pytest.fixture
def worked(bridge: Bridge) -> Bridge:
    """A run with a change of each group: a conflict, a deletion, a class, two moves, an attribute, an addition."""
    bridge.annotate()
    hands = bridge.hands
    hands.set("car0", bounding_box=[0.6, 0.1, 0.3, 1 / 3])
    hands.set("car1", bounding_box=[0.11, 0.1, 0.3, 1 / 3])
    hands.set("car2", label="person")
    hands.set("car3", attributes={"color": "blue"})
    hands.delete("man0")
    hands.add("s3")
    bridge.ds.set_labels([{"label_id": "man2", "bounding_box": [0.0, 0.0, 0.1, 0.1]}])
    hands.set("man2", bounding_box=[0.8, 0.8, 0.1, 0.1])
    return bridge


def changed(plan: ab.MergePlan, group: str) -> dict[str, Any]:
    found = [row for row in plan.changes.to_pylist() if row["group"] == group]
    assert found, group
    return dict(found[0])


def test_the_changes_are_listed_by_risk_with_what_there_is_to_look_at(worked: Bridge) -> None:
    plan = worked.plan()
    assert plan.changes.schema == CHANGES
    groups = plan.changes["group"].to_pylist()
    assert groups == sorted(groups, key=GROUPS.index)
    assert set(groups) == set(GROUPS) - {DISPUTE}
    conflict = changed(plan, "conflict")
    assert (conflict["kind"], conflict["component"], conflict["proposal"]) == ("edit/edit", "spatial", "theirs")
    assert conflict["choices"] == ["base", "ours", "theirs"]
    assert [json.loads(conflict[s])["bounding_box"][0] for s in ("base", "ours", "theirs")] == [0.5, 0.0, 0.8]
    large = changed(plan, "large move")
    assert large["ours_box"] == pytest.approx([0.1, 0.1, 0.3, 1 / 3])
    assert large["theirs_box"] == pytest.approx([0.6, 0.1, 0.3, 1 / 3])
    assert large["iou"] == 0
    assert changed(plan, "small move")["iou"] == pytest.approx(0.29 / 0.31)
    switched = changed(plan, "class change")
    assert (switched["class_from"], switched["class_to"]) == ("car", "person")
    assert (changed(plan, "deletion")["class_to"], changed(plan, "addition")["class_from"]) == (None, None)


def test_ids_and_content_are_the_same_in_the_next_plan(worked: Bridge) -> None:
    assert worked.plan().changes.equals(worked.plan().changes)


def test_what_is_not_decided_is_loaded_as_it_is_proposed(worked: Bridge) -> None:
    plan = worked.plan()
    plan.decide("kind = 'delete'", "refuse", note="it is there", by="alice")
    report = plan.apply()
    labels = worked.labels()
    assert "man0" in labels
    assert labels["car2"]["label"] == "person"
    assert report.deleted == 0
    assert [row["reason"] for row in report.refused.to_pylist()] == ["refused by alice: it is there"]


def test_what_was_refused_stays_refused_until_it_changes_in_the_tool(worked: Bridge) -> None:
    plan = worked.plan()
    plan.decide("group = 'class change'", "refuse")
    plan.apply()
    again = worked.plan()
    assert [row["state"] for row in again.states().to_pylist() if row["recorded"]] == ["decided"]
    assert again.notes == ("1 change was refused in an earlier load, and did not change since; kept out again.",)
    assert worked.load().version is None
    worked.hands.set("car2", label="lorry")
    assert worked.plan(unexpected="keep").states()["state"].to_pylist() == ["stale"]
    assert worked.load(unexpected="keep").edited == 1
    assert worked.label("car2")["label"] == "lorry"


def test_what_was_refused_can_be_accepted_later(worked: Bridge) -> None:
    plan = worked.plan()
    plan.decide("kind = 'delete'", "refuse")
    plan.apply()
    again = worked.plan()
    again.decide(verdict="accept")
    assert again.apply().deleted == 1


def test_undoing_the_load_takes_back_its_refusals(worked: Bridge) -> None:
    plan = worked.plan()
    plan.decide("kind = 'delete'", "refuse")
    plan.apply()
    worked.ds.undo_annotations("r")
    assert set(worked.plan().states()["state"].to_pylist()) == {"open"}


def test_only_what_is_decided_is_loaded_if_the_rest_is_left(worked: Bridge) -> None:
    plan = worked.plan()
    plan.decide(pc.field("group") == "addition", "accept")
    report = plan.load(undecided="leave")
    assert (report.added, report.edited, report.deleted) == (1, 0, 0)
    assert report.notes == ("6 changes were not decided about; left for later.",)
    assert worked.plan().changes.num_rows == 6


@pytest.mark.parametrize(("verdict", "x"), [("base", 0.5), ("ours", 0.0), ("theirs", 0.8)])
def test_a_conflict_is_settled(worked: Bridge, verdict: str, x: float) -> None:
    plan = worked.plan()
    plan.decide("group = 'conflict'", verdict, by="bob")
    report = plan.apply()
    assert worked.label("man2")["bounding_box"][0] == x
    assert report.conflicts.num_rows == 1
    assert report.conflicts["reason"][0].as_py().endswith("chosen by bob")
    assert not worked.plan().changes.num_rows or verdict == "ours"


def test_a_value_that_was_chosen_here_is_an_edit_of_ours(worked: Bridge) -> None:
    plan = worked.plan()
    plan.decide("label_id = 'car2'", "value", value="car")
    plan.apply()
    worked.hands.set("car2", label="lorry")
    assert worked.plan(unexpected="keep").changes["kind"].to_pylist() == ["edit/edit"]


def test_settled_conflicts_do_not_stop_a_load_that_fails_on_conflicts(worked: Bridge) -> None:
    with pytest.raises(ab.Conflict, match="1 changes were made both here and in the tool"):
        worked.load(conflicts="fail")
    plan = worked.plan(conflicts="fail")
    plan.decide("group = 'conflict'", "ours")
    assert plan.apply().total == 6


def test_another_class_is_given(worked: Bridge) -> None:
    plan = worked.plan()
    plan.decide("label_id = 'car2'", "value", value="car")
    assert plan.apply().edited == 4
    assert worked.label("car2")["label"] == "car"
    assert worked.load().total == 0


def test_both_labels_are_kept(bridge: Bridge) -> None:
    bridge.annotate()
    bridge.hands.add("s0")
    bridge.load()
    mine = bridge.new({f"{n}{i}": None for n in ("car", "man") for i in range(4)}, "objects")[0]["label_id"]
    bridge.ds.set_labels([{"label_id": mine, "label": "person"}])
    bridge.ds.undo_annotations("r")
    plan = bridge.plan()
    assert plan.changes["kind"].to_pylist() == ["add/add"]
    plan.decide(verdict="both")
    report = plan.apply()
    assert report.added == 1
    labels = [row["label"] for row in bridge.ds.labels("objects").to_pylist() if row["bounding_box"][0] == 0.2]
    assert sorted(labels) == ["car", "person"]
    assert bridge.load().total == 0
    bridge.ds.undo_annotations("r")
    assert bridge.label(mine)["label"] == "person"


def test_decisions_come_as_a_file_a_table_rows_or_a_plan(worked: Bridge, tmp_path: Path) -> None:
    plan = worked.plan()
    plan.decide("kind = 'delete'", "refuse")
    rows = plan.decisions.to_pylist()
    file = tmp_path / "decisions.jsonl"
    file.write_text("".join(json.dumps(row | {"at": row["at"].isoformat()}) + "\n" for row in rows))
    for given in (file, str(file), plan.decisions, rows, plan):
        assert worked.plan(decisions=given).deleted == 0
    assert worked.load(decisions=file).deleted == 0
    assert worked.load(decisions=file).version is None


def test_a_stale_decision_is_told_and_not_applied(worked: Bridge) -> None:
    plan = worked.plan()
    plan.decide("label_id = 'car0'", "refuse")
    worked.hands.set("car0", bounding_box=[0.5, 0.5, 0.3, 1 / 3])
    with pytest.raises(ab.StalePlan, match="went on since the plan of 'r' was made; plan again"):
        plan.apply()
    report = plan.load()
    assert worked.label("car0")["bounding_box"][0] == 0.1
    assert worked.label("car2")["label"] == "person"
    left = "1 change was decided about, and looked different then; the decisions are stale, and the changes were left for later."
    assert left in report.notes
    assert worked.plan().changes["label_id"].to_pylist() == ["car0"]


def test_a_plan_is_saved_and_loaded_elsewhere(worked: Bridge, tmp_path: Path) -> None:
    plan = worked.plan()
    plan.decide("kind = 'delete'", "refuse", note="no")
    plan.save(tmp_path / "r.plan")
    loaded = ab.load_plan(tmp_path / "r.plan")
    assert loaded.changes.equals(plan.changes)
    assert loaded.states().equals(plan.states())
    assert loaded.to_dict() == plan.to_dict()
    assert loaded.apply().deleted == 0
    with pytest.raises(
        ab.StalePlan, match=r"'r' was loaded or changed since the plan in .*r.plan' was saved; plan again"
    ):
        ab.load_plan(tmp_path / "r.plan")


def test_a_protected_field_needs_a_decision_about_every_change(worked: Bridge) -> None:
    worked.ds.protect("obj*", review="required")
    assert worked.ds.protections() == {"obj*": "required"}
    before = worked.labels()
    with pytest.raises(ab.ReviewRequired, match=r"7 of 'objects'. The pattern 'obj\*' protects what it matches"):
        worked.load()
    assert worked.labels() == before
    assert worked.load(undecided="leave").total == 0
    plan = worked.plan()
    plan.decide("kind = 'delete'", "refuse")
    with pytest.raises(ab.ReviewRequired, match="6 of 'objects'"):
        plan.apply()
    plan.decide(verdict="accept")
    assert plan.apply().total == 7
    worked.ds.undo_annotations("r")
    worked.ds.protect("obj*", review=None)
    assert worked.load().total == 7


def test_a_destination_is_reviewed_where_it_is_written(worked: Bridge) -> None:
    plan = worked.plan(dest_field={"objects": "checked"})
    assert set(plan.changes["field"].to_pylist()) == {"checked"}
    plan.decide("label = 'person'", "refuse")
    plan.apply()
    assert {row["label"] for row in worked.ds.labels("checked").to_pylist()} == {"car"}


def bad(plan: ab.MergePlan, **columns: Any) -> pa.Table:
    row = {
        **{n: plan.changes[n][0].as_py() for n in ("change_id", "bound_to")},
        "run_id": plan.run.run_id,
        "verdict": "ours",
    }
    return pa.Table.from_pylist([row | columns], DECISIONS)


def test_decisions_that_do_not_fit_change_nothing(worked: Bridge) -> None:
    plan, before = worked.plan(), worked.labels()
    for given, says in [
        (bad(plan, run_id="7"), "Some decisions are about another run"),
        (bad(plan, verdict="acept"), "The verdict 'acept' is not known; did you mean 'accept'"),
        (bad(plan, verdict="both"), "does not fit the change"),
        (bad(plan, verdict="value", value="1"), "does not fit the change"),
    ]:
        with pytest.raises(ab.InvalidOption, match=says):
            plan.add_decisions(given)
        with pytest.raises(ab.InvalidOption, match=says):
            worked.load(decisions=given)
    with pytest.raises(ab.InvalidOption, match="is not a table of decisions"):
        worked.load(decisions=[{"no": "decision"}])
    with pytest.raises(ab.InvalidOption, match="undecided='later' is not known; give 'take'"):
        worked.load(undecided="later")
    with pytest.raises(ab.StoreError, match=r"The condition 'knd = 1' cannot be run: .* The columns are change_id"):
        plan.decide("knd = 1", "accept")
    assert plan.decisions.num_rows == 0
    assert worked.labels() == before


def test_a_decision_about_something_else_is_told(worked: Bridge) -> None:
    plan = worked.plan()
    report = worked.load(decisions=bad(plan, change_id="gone"))
    assert (
        "1 change was decided about, and not among the changes any more; those decisions had no effect." in report.notes
    )


def test_two_verdicts_for_one_change_are_told(worked: Bridge) -> None:
    plan = worked.plan()
    plan.decide("kind = 'delete'", "accept")
    plan.decide("kind = 'delete'", "refuse")
    report = plan.apply()
    assert report.deleted == 0
    assert "1 change was decided about in different ways; the latest decision counts." in report.notes


def test_a_file_that_is_no_plan_is_told(worked: Bridge, tmp_path: Path) -> None:
    (tmp_path / "no.plan").write_text("hello")
    with pytest.raises(ab.InvalidSource, match=r"no.plan' cannot be read: it is not a plan, or damaged; save it again"):
        ab.load_plan(tmp_path / "no.plan")
    with pytest.raises(ab.InvalidSource, match="cannot be read: No such file"):
        ab.load_plan(tmp_path / "none.plan")
    with pytest.raises(ab.InvalidOption, match="made with a function as unexpected= cannot be saved"):
        worked.plan(unexpected=lambda rows: [None] * len(rows)).save(tmp_path / "f.plan")
    with pytest.raises(ab.InvalidOption, match="cannot be written to"):
        worked.plan().save(tmp_path / "none" / "f.plan")


def test_bad_protections_are_told(bridge: Bridge) -> None:
    with pytest.raises(ab.InvalidOption, match="review='yes' is not known; give 'required'"):
        bridge.ds.protect("a", review="yes")
    with pytest.raises(ab.InvalidOption, match="Nothing is protected by 'a'"):
        bridge.ds.protect("a", review=None)


def test_the_former_name_of_the_total_still_works(worked: Bridge) -> None:
    report = worked.load()
    with pytest.warns(DeprecationWarning, match="called total now"):
        assert report.changes == report.total


def test_a_plan_of_tasks_that_are_gone_cannot_be_applied(bridge: Bridge) -> None:
    bridge.annotate()
    bridge.hands.delete("car0")
    plan = bridge.plan()
    bridge.hands.drop_task()
    with pytest.raises(ab.StalePlan, match="Nothing of the run 'r' is in memory any more, so that the plan cannot be"):
        plan.apply()


def test_points_are_compared_one_by_one(tmp_path: Path) -> None:
    url = "memory://points"
    ds = ab.create_dataset(tmp_path / "ds")
    pose = [(0.2, 0.2), (0.5, 0.5), (0.8, 0.8)]
    ds.add_samples([ab.Sample("0.png", "s0", width=100, height=100, poses=[ab.Skeleton("man", pose, label_id="p")])])
    skeleton = {"labels": ["head", "hip", "foot"], "edges": [[0, 1], [1, 2]]}
    ds.annotate(
        "r1", {"poses": {"type": "skeletons", "classes": ["man"], "skeleton": skeleton}}, backend="memory", url=url
    )
    ((task, table),) = SERVERS[url].labels.items()
    (row,) = table.to_pylist()
    row["points"][0][1] = [0.7, 0.3]  # the extent stays as it was
    SERVERS[url].labels[task] = pa.Table.from_pylist([row], table.schema)
    (change,) = ds.plan_annotations("r1").changes.to_pylist()
    SERVERS.pop(url)
    assert change["iou"] == pytest.approx(2 / 3, abs=0.01)
    assert change["group"] == "large move"


def test_what_cannot_be_taken_is_counted_beside_the_changes(worked: Bridge) -> None:
    plan = worked.plan()
    plan.decide("kind = 'delete'", "refuse")
    plan.apply()
    worked.hands.set("man3", bounding_box=[0.9, 0.9, 0.5, 0.5])
    again = worked.plan()
    assert (again.refused.num_rows, again.not_allowed) == (2, 1)


def test_withdrawing_a_refusal_lasts(worked: Bridge) -> None:
    plan = worked.plan()
    plan.decide("kind = 'delete'", "refuse")
    plan.apply()
    again = worked.plan()
    again.decide(verdict="open")
    report = again.load(undecided="leave")
    assert (report.total, report.decided) == (0, {"looked_at": 0, "by_rule": 0})
    assert worked.plan().states()["state"].to_pylist() == ["open"]
    assert worked.load().deleted == 1


def test_tasks_with_changes_that_were_left_for_later_stay_in_the_tool(worked: Bridge) -> None:
    report = worked.load(undecided="leave", cleanup=True)
    assert len(worked.server.labels) == 1
    assert "The tasks were left on the server: 7 changes or samples" in report.notes[-1]
    assert worked.load(cleanup=True).total == 7
    assert not worked.server.labels


def test_decisions_about_the_class_do_not_settle_other_conflicts(worked: Bridge) -> None:
    worked.ds.set_labels(
        [
            {
                "label_id": "car3",
                "label": "lane",
                "attributes": [attribute("color", "green"), attribute("occluded", False)],
            }
        ]
    )
    worked.hands.set("car3", label="person")
    plan = worked.plan(conflicts="fail")
    plan.decide("label_id = 'car3' AND component = 'label'", "ours")
    plan.decide("label_id = 'car3' AND component = 'attributes.color'", "theirs")
    with pytest.raises(ab.Conflict, match="1 changes were made both here and in the tool"):
        plan.apply()
    assert worked.label("man2")["bounding_box"][0] == 0


def test_the_plan_of_another_run_is_refused(worked: Bridge) -> None:
    worked.annotate("q", schema={"lanes": SCHEMA["lanes"]})
    worked.hands_of("q").delete("lane0")
    other = worked.plan("q")
    other.decide(verdict="refuse")
    with pytest.raises(ab.InvalidOption, match="Some decisions are about another run"):
        worked.load(decisions=other)


def test_decisions_for_all_changes_are_by_a_rule(worked: Bridge) -> None:
    plan = worked.plan()
    plan.decide(verdict="accept")
    assert plan.apply().decided == {"looked_at": 0, "by_rule": 7}


def test_rows_that_lack_something_are_told(worked: Bridge) -> None:
    plan = worked.plan()
    for column in ("run_id", "change_id", "verdict", "bound_to"):
        with pytest.raises(ab.InvalidOption, match=f"Some decisions have no '{column}'"):
            worked.load(decisions=bad(plan, **{column: None}).to_pylist())
    with pytest.raises(ab.InvalidOption, match="is not a table of decisions"):
        plan.add_decisions(plan.changes)
    with pytest.raises(ab.InvalidOption, match="is not a table of decisions"):
        worked.load(decisions=["x"])
    plan.add_decisions(bad(plan).select(["run_id", "change_id", "verdict", "bound_to"]))
    assert plan.decisions.num_rows == 1


def test_tasks_with_changes_whose_decisions_are_stale_stay_in_the_tool(sent: Bridge) -> None:
    sent.hands.set("car1", label="person")
    plan = sent.plan()
    plan.decide(verdict="accept")
    sent.ds.set_labels([{"label_id": "car1", "label": "lane"}])
    report = sent.load(decisions=plan, cleanup=True)
    assert sent.label("car1")["label"] == "lane"
    assert len(sent.server.labels) == 1
    assert "The tasks were left on the server: 1 changes or samples" in report.notes[-1]


def test_a_stale_decision_does_not_ask_for_a_review(sent: Bridge) -> None:
    sent.ds.protect("objects")
    sent.hands.set("car1", label="person")
    plan = sent.plan()
    plan.decide(verdict="accept")
    sent.ds.set_labels([{"label_id": "car1", "label": "lane"}])
    assert plan.load().total == 0
    assert sent.label("car1")["label"] == "lane"
