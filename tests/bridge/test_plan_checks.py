"""``plan.check()``: the evidence is what the dataset has after the load, and the report says what was found."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.bridge.conftest import Bridge

import annobridge as ab
from annobridge.bridge import evidence
from annobridge.checks import Evidence
from annobridge.core.labels import LABELS

FIELDS = ("objects", "weather", "lanes")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ANNOBRIDGE_CONFIG_PATH", raising=False)
    return tmp_path


def worked_on(bridge: Bridge) -> Bridge:
    """People added, edited and deleted labels in the tool and here, and conflicts are among that."""
    hands, ds = bridge.hands, bridge.ds
    hands.delete("car0", "car1", "man2")
    hands.set("man0", bounding_box=[0.7, 0.7, 0.1, 0.2], label="car")
    hands.set("car3", attributes={"color": "blue", "occluded": True})
    hands.set("man3", bounding_box=[0.5, 0.5, 0.12, 0.2])
    hands.set("sun0", label="rain")
    hands.add("s1", "person", bounding_box=[0.5, 0.5, 0.1, 0.2], attributes={"color": "red"})
    hands.add("s2", "car", bounding_box=[0.8, 0.1, 0.1, 0.1])
    ds.delete_labels(label_ids=["lane1"])
    hands.set("lane1", points=[[[0.0, 0.0], [0.5, 0.5]]])
    ds.set_labels([{"label_id": "man3", "bounding_box": [0.4, 0.4, 0.2, 0.2]}, {"label_id": "man2", "label": "car"}])
    return bridge


def evidence_of(plan: ab.MergePlan) -> Evidence:
    found: list[Evidence] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "of_plan", lambda *given, of=evidence.of_plan: found.append(of(*given)) or found[0])
        plan.check([])
    return found[0]


def counted(labels: list[dict[str, Any]]) -> tuple[Counter[Any], Counter[Any]]:
    values = ((row["field"], a["name"], a["value"]) for row in labels for a in row["attributes"] or ())
    return Counter((row["field"], row["label"]) for row in labels), Counter(values)


def labels_of(bridge: Bridge) -> list[dict[str, Any]]:
    return [row for row in bridge.labels().values() if row["field"] in FIELDS]


DECIDED: list[list[tuple[str | None, dict[str, Any]]]] = [
    [],
    [("kind = 'delete'", {"verdict": "refuse"})],
    [(None, {"verdict": "refuse"})],
    [("component = 'label' AND kind = 'edit' AND field = 'objects'", {"verdict": "value", "value": "person"})],
    [("kind = 'edit/edit'", {"verdict": "base"}), ("kind = 'edit/delete'", {"verdict": "ours"})],
    [("kind = 'delete/edit'", {"verdict": "ours"}), ("kind = 'add'", {"verdict": "refuse"})],
]


@pytest.mark.parametrize("decisions", DECIDED)
def test_the_evidence_is_what_the_load_makes(sent: Bridge, decisions: list[tuple[str, dict[str, Any]]]) -> None:
    before = labels_of(worked_on(sent))
    plan = sent.plan()
    for where, given in decisions:
        assert plan.decide(where, **given)
    found = evidence_of(plan)
    report = plan.load()
    after = labels_of(sent)

    changed = set(found.samples["sample_id"].to_pylist())
    written = report.to_arrow()
    assert set(written["sample_id"].to_pylist()) <= changed
    assert set(written["label_id"].to_pylist()) <= set(found.changes["label_id"].to_pylist())
    columns = [name for name in LABELS.names if name not in ("time", "rev", "run")]
    expected = pa.Table.from_pylist([row for row in after if row["sample_id"] in changed], LABELS).select(columns)
    assert sorted(found.after.select(columns).to_pylist(), key=str) == sorted(expected.to_pylist(), key=str)

    for name, labels in (("before", before), ("after", after)):
        classes = {(r["field"], r["label"]): r[name] for r in found.classes.to_pylist() if r[name]}
        values = {(r["field"], r["name"], r["value"]): r[name] for r in found.attributes.to_pylist() if r[name]}
        assert (classes, values) == counted(labels)
    if not decisions:
        assert {"add", "edit", "delete", "edit/edit", "edit/delete", "delete/edit"} == set(
            pc.unique(plan.changes["kind"]).to_pylist()
        )


def test_a_class_that_people_chose_is_the_class_of_the_change(bridge: Bridge) -> None:
    bridge.annotate(schema={"objects": {"type": "detections", "classes": ["car", "person", "bus"]}})
    bridge.hands.set("man0", label="car")
    plan = bridge.plan()
    plan.decide(verdict="value", value="bus")
    changes = evidence_of(plan).changes.select(["label", "class_from", "class_to"]).to_pylist()
    assert changes == [{"label": "bus", "class_from": "person", "class_to": "bus"}]
    plan.decide(verdict="value", value="person")
    assert evidence_of(plan).changes.num_rows == 0  # it is the class that it has


def test_the_shape_before_is_the_shape_of_the_change_where_people_chose_it(sent: Bridge) -> None:
    sent.hands.set("man3", bounding_box=[0.5, 0.5, 0.12, 0.2])
    sent.ds.set_labels([{"label_id": "man3", "bounding_box": [0.4, 0.4, 0.2, 0.2]}])
    plan = sent.plan()
    plan.decide(verdict="base")
    (change,) = evidence_of(plan).changes.to_pylist()
    assert change["theirs_box"] == pytest.approx([0.5, 0.5, 0.1, 0.2])
    assert change["theirs"] == change["base"]


def test_what_is_left_for_later_is_no_change_beside_one_of_the_same_label_that_is_made(sent: Bridge) -> None:
    sent.hands.set("man0", label="car", bounding_box=[0.7, 0.7, 0.1, 0.2])
    plan = sent.plan(undecided="leave")
    plan.decide("component = 'label'")
    assert evidence_of(plan).changes["component"].to_pylist() == ["label"]


def test_classes_are_counted_in_the_whole_dataset_and_on_the_samples_of_the_run(bridge: Bridge) -> None:
    bridge.annotate(view=bridge.ds.select(["s0", "s1"]))
    bridge.hands.delete("car0", "car1")
    plan = bridge.plan(force=True)
    rows = {(r["field"], r["label"]): r for r in evidence_of(plan).classes.to_pylist()}
    car = rows["objects", "car"]
    assert (car["in_dataset"], car["before"], car["after"]) == (4, 2, 0)
    report = plan.check(share_of_deletions={"at_least": 1})
    assert report.findings["check"].to_pylist() == ["share_of_deletions"]  # the class is on other samples
    assert report.findings["sentence"].to_pylist() == [
        "2 labels 'car' of 'objects' would be deleted, 100 % of 2; up to 2 % may be."
    ]


def test_a_plan_without_changes_has_nothing_to_find(sent: Bridge) -> None:
    report = sent.plan().check()
    assert report.ok
    assert report.findings.num_rows == 0
    assert repr(report) == "Checks of 'r': nothing found by 7 checks"
    assert report.to_dict() == {
        "anno_key": "r", "ok": True, "summary": "nothing found by 7 checks", "checks": list(report.checks),
        "counts": {"error": 0, "warning": 0}, "findings": [],
    }  # fmt: skip


def test_findings_are_about_changes_of_the_plan(sent: Bridge) -> None:
    worked_on(sent)
    plan = sent.plan()
    report = plan.check(share_of_deletions={"at_least": 1}, iou_floor={"limit": 0.9})
    ids = {i for row in report.findings.to_pylist() for i in row["change_ids"]}
    assert ids
    assert ids <= set(plan.changes["change_id"].to_pylist())
    assert not report.ok
    assert report.findings["check"].to_pylist()[:2] == ["duplicates", "share_of_deletions"]
    assert pa.table(report).num_rows == report.findings.num_rows
    assert "share_of_deletions" in repr(report)


def test_what_was_refused_is_not_found_again(sent: Bridge) -> None:
    sent.hands.delete("car0", "car1")
    limits = {"at_least": 1}
    plan = sent.plan()
    assert not plan.check(share_of_deletions=limits).ok
    plan.decide(verdict="refuse")
    assert plan.check(share_of_deletions=limits).ok
    plan.load()
    assert sent.plan().check(share_of_deletions=limits).ok


def test_the_labels_of_another_field_are_counted_there(sent: Bridge) -> None:
    worked_on(sent)
    found = evidence_of(sent.plan(dest_field={"objects": "checked"}))
    assert {row["field"] for row in found.classes.to_pylist()} >= {"objects", "checked"}
    sent.load(dest_field={"objects": "checked"})
    after, _ = counted([row for row in sent.labels().values() if row["field"] in (*FIELDS, "checked")])
    assert {(r["field"], r["label"]): r["after"] for r in found.classes.to_pylist() if r["after"]} == after
    sent.hands.add("s3", "car")
    again = evidence_of(sent.plan(dest_field={"objects": "checked"})).classes.to_pylist()
    assert {(r["field"], r["label"]): r["before"] for r in again if r["before"]} == after


def test_the_file_chooses_what_the_call_does_not(sent: Bridge, home: Path) -> None:
    (home / ".annobridge").write_text(
        '[checks]\nuse = ["share_of_deletions", "iou_floor"]\n[checks.share_of_deletions]\nat_least = 1\nlevel = "warning"\n'
        '[checks.iou_floor]\nlevel = "off"\n'
    )
    sent.hands.delete("car0")
    report = sent.plan().check()
    assert report.checks == ("share_of_deletions",)
    assert report.findings["level"].to_pylist() == ["warning"]
    assert sent.plan().check(share_of_deletions={"level": "error"}).findings["level"].to_pylist() == ["error"]
    assert sent.plan().check(["duplicates"], iou_floor={"level": "error"}).checks == ("duplicates", "iou_floor")


@pytest.mark.parametrize(
    ("checks", "limits", "sentence"),
    [
        (["duplicate"], {}, r"There is no check 'duplicate'; did you mean 'duplicates'\?"),
        (None, {"duplicates": {"limt": 1}}, r"The check 'duplicates' has no parameter 'limt'; did you mean 'limit'\?"),
        (None, {"duplicates": 1}, "The limits of the check 'duplicates' are a dictionary of parameters, and not 1."),
        (None, {"duplicates": {"limit": "x"}}, "duplicates.limit should be a number, as 0.9, and not 'x'."),
    ],
)
def test_a_wrong_choice_is_told_before_anything_is_read(sent: Bridge, checks: Any, limits: Any, sentence: str) -> None:
    plan = sent.plan()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "of_plan", lambda *_: pytest.fail("read"))
        with pytest.raises(ab.InvalidOption, match=f"^{sentence}$"):
            plan.check(checks, **limits)


def test_a_hostile_class_name_is_shown_as_text(bridge: Bridge) -> None:
    name = "<script>alert(1)</script>"
    bridge.ds.add_samples(
        [ab.Sample("evil.jpg", "evil", things=[ab.Detection(name, [0.1, 0.1, 0.2, 0.2], label_id="e")])]
    )
    bridge.annotate(schema={"things": {"type": "detections", "classes": [name]}})
    bridge.hands.delete("e")
    html = bridge.plan().check()._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
