"""Runs: kept, renamed, forgotten, resumed, aborted, cleaned up; stale plans, guards and undo."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pyarrow as pa
import pytest
from lance.commit import CommitConflictError

import annobridge as ab
from annobridge.backend.memory import MemoryBackend
from annobridge.bridge import apply as loading
from annobridge.bridge import undo as undoing
from annobridge.exceptions import Unreachable
from annobridge.store.commits import MAX_ATTEMPTS, Commits

FLAGS = ("allow_additions", "allow_deletions", "allow_label_edits", "allow_index_edits", "allow_spatial_edits")


def plain(labels: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Labels less their revisions."""
    return {i: {n: v for n, v in row.items() if n != "rev"} for i, row in labels.items()}


def work(hands: Any) -> None:
    """Two edits, a deletion, an addition, over three fields."""
    hands.set("car0", label="person")
    hands.set("sun1", label="rain")
    hands.delete("lane2")
    hands.add("s3")


# The ledger


def test_runs_are_listed_oldest_first_and_described(bridge):
    assert bridge.ds.list_annotation_runs() == []
    assert not bridge.ds.has_annotation_runs()
    bridge.annotate("zebra")
    bridge.annotate("ant", schema="objects", task_size=3)
    assert bridge.ds.list_annotation_runs() == ["zebra", "ant"]
    assert bridge.ds.has_annotation_run("ant")
    assert not bridge.ds.has_annotation_run("bee")
    info = bridge.ds.get_annotation_info("ant")
    assert (info["anno_key"], info["backend"], info["state"], info["loads"]) == ("ant", "memory", "sent", [])
    assert info["options"]["task_size"] == 3
    assert info["label_schema"]["objects"]["classes"] == ["car", "person"]


@pytest.mark.parametrize(
    "call",
    [
        lambda ds: ds.get_annotation_info("rund1"),
        lambda ds: ds.load_annotations("rund1"),
        lambda ds: ds.plan_annotations("rund1"),
        lambda ds: ds.undo_annotations("rund1"),
        lambda ds: ds.resume_annotation("rund1"),
        lambda ds: ds.abort_annotation("rund1"),
        lambda ds: ds.load_annotation_results("rund1"),
        lambda ds: ds.load_annotation_view("rund1"),
        lambda ds: ds.rename_annotation_run("rund1", "x"),
        lambda ds: ds.delete_annotation_run("rund1"),
    ],
)
def test_a_run_that_is_not_there_is_named_with_the_near_one(bridge, call):
    bridge.annotate("round1")
    with pytest.raises(ab.RunNotFound, match="no annotation run 'rund1'; did you mean 'round1'"):
        call(bridge.ds)


def test_a_run_is_renamed_and_goes_on(sent):
    work(sent.hands)
    sent.load()
    sent.ds.rename_annotation_run("r", "better")
    assert sent.ds.list_annotation_runs() == ["better"]
    sent.again_is_nothing("better")
    sent.ds.undo_annotations("better")
    sent.annotate("r")  # the old key is free
    assert sorted(sent.ds.list_annotation_runs()) == ["better", "r"]


def test_a_rename_to_a_key_in_use_or_to_no_name_is_refused(sent):
    sent.annotate("other")
    before = sent.state()
    with pytest.raises(ab.RunExists, match="'other' is in use"):
        sent.ds.rename_annotation_run("r", "other")
    with pytest.raises(ab.InvalidSchema, match="'not a name' is not a name"):
        sent.ds.rename_annotation_run("r", "not a name")
    assert sent.state() == before


def test_a_run_is_forgotten_and_neither_labels_nor_tasks_are(sent):
    work(sent.hands)
    sent.load()
    before = sent.labels()
    sent.ds.delete_annotation_run("r")
    assert sent.ds.list_annotation_runs() == []
    assert sent.labels() == before
    assert sent.server.labels
    for name in ("annotation_tasks", "annotation_receipts", "annotation_baseline", "annotation_changes"):
        assert sent.ds.stores.database.read(name).num_rows == 0
    sent.annotate("r")
    sent.again_is_nothing()


def test_all_runs_are_forgotten(sent):
    sent.annotate("other")
    sent.ds.delete_annotation_runs()
    assert sent.ds.list_annotation_runs() == []


def test_the_view_that_was_sent(bridge):
    view = bridge.ds.match("number > 0").filter_labels("objects", "label = 'car'").limit(2)
    bridge.annotate(view=view)
    again = ab.load_dataset(bridge.path).load_annotation_view("r")
    assert again.sample_ids() == ["s1", "s2"]
    assert {r["label_id"] for r in again.labels("objects").to_pylist()} == {"car1", "car2"}
    assert {r["label_id"] for r in bridge.hands.rows() if r["field"] == "objects"} == {"car1", "car2"}


def test_results_tell_how_far_it_is(sent, capsys):
    found = sent.ds.load_annotation_results("r")
    status = found.status()
    assert (status["anno_key"], status["state"]) == ("r", "sent")
    (task,) = status["tasks"].values()
    assert task["samples"] == {"labelled": 4, "empty": 0}
    found.print_status()
    assert "4 labelled" in capsys.readouterr().out
    assert "r" in repr(found)
    assert found.launch_editor() is None


def test_a_key_in_use_is_refused_before_anything(sent):
    before = sent.state()
    with pytest.raises(ab.RunExists, match="'r' is in use; choose another, resume_annotation"):
        sent.annotate("r", schema="weather")
    assert sent.state() == before


# Sending that fails half-way


@pytest.fixture
def flaky(monkeypatch):
    """The server fails at the n-th upload, before or after it has done the work; each task is counted."""
    calls: list[str] = []
    plain_upload = MemoryBackend.upload

    def arrange(nth: int, answered: bool) -> list[str]:
        def upload(self: MemoryBackend, task: ab.Task) -> ab.Receipt:
            calls.append(task.name)
            if len(calls) != nth:
                return plain_upload(self, task)
            if not answered:
                plain_upload(self, task)
            raise Unreachable("The memory server gave no answer; start it, and try again.")

        monkeypatch.setattr(MemoryBackend, "upload", upload)
        return calls

    return arrange


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("nth", [1, 3, 4])
def test_d13_sending_that_failed_is_resumed_and_nothing_is_sent_twice(bridge, flaky, nth, answered):
    calls = flaky(nth, answered)
    with pytest.raises(ab.Unreachable, match="gave no answer"):
        bridge.annotate(task_size=1)
    with pytest.raises(
        ab.RunIncomplete, match=rf"stopped after {nth - 1} of 4 tasks; finish it with resume_annotation\('r'\)"
    ):
        bridge.load()
    with pytest.raises(ab.RunExists, match="resume_annotation"):
        bridge.annotate()
    bridge.ds.resume_annotation("r")
    assert len(calls) == 5  # only the one that failed was sent again
    assert len(bridge.server.labels) == 4
    assert sorted(r["label_id"] for r in bridge.hands.rows()) == sorted(i for i in bridge.labels() if "speed" not in i)
    bridge.again_is_nothing()
    bridge.hands.set("car3", label="person")
    assert bridge.load().edited == 1
    bridge.ds.resume_annotation("r")  # nothing is left to do
    assert len(calls) == 5


@pytest.mark.parametrize("answered", [True, False])
def test_abort_removes_everything_also_what_was_not_answered(bridge, flaky, answered):
    before = bridge.labels()
    flaky(3, answered)
    with pytest.raises(ab.Unreachable):
        bridge.annotate(task_size=1)
    assert len(bridge.server.labels) == (2 if answered else 3)
    bridge.ds.abort_annotation("r")
    assert not bridge.server.labels
    assert not bridge.server.samples
    assert bridge.ds.list_annotation_runs() == []
    assert bridge.labels() == before
    bridge.annotate()  # the key is not used up
    bridge.again_is_nothing()


def test_abort_that_fails_can_be_repeated(bridge, monkeypatch):
    bridge.annotate(task_size=1)
    plain_delete, calls = MemoryBackend.delete, []

    def delete(self: MemoryBackend, receipt: ab.Receipt) -> None:
        calls.append(receipt.task)
        if len(calls) == 3:
            raise Unreachable("gone")
        plain_delete(self, receipt)

    monkeypatch.setattr(MemoryBackend, "delete", delete)
    with pytest.raises(ab.Unreachable):
        bridge.ds.abort_annotation("r")
    assert bridge.ds.list_annotation_runs() == ["r"]
    bridge.ds.abort_annotation("r")
    assert not bridge.server.labels
    assert bridge.ds.list_annotation_runs() == []


def test_abort_deletes_by_the_receipt_when_the_backend_cannot_find(bridge, monkeypatch):
    bridge.annotate()
    monkeypatch.setattr(MemoryBackend, "find", ab.AnnotationBackend.find)
    bridge.ds.abort_annotation("r")
    assert not bridge.server.labels


def test_labels_edited_here_between_failure_and_resume_are_not_reverted(bridge, flaky):
    flaky(2, False)
    with pytest.raises(ab.Unreachable):
        bridge.annotate(task_size=2)
    bridge.ds.set_labels([{"label_id": "car3", "label": "person"}])
    bridge.ds.delete_labels(["man3"])
    bridge.ds.resume_annotation("r")
    bridge.again_is_nothing(conflicts="fail")
    assert bridge.label("car3")["label"] == "person"
    assert "man3" not in bridge.labels()


# Cleaning up


def test_cleanup_after_a_load_that_took_everything(bridge):
    bridge.annotate(task_size=2)
    work(bridge.hands)
    report = bridge.load(cleanup=True)
    assert report.total == 4
    assert not bridge.server.labels
    assert not any("left on the server" in n for n in report.notes)
    assert bridge.ds.list_annotation_runs() == ["r"]
    with pytest.raises(
        ab.Gone, match=r"Nothing of the run 'r' is on the server any more; its labels here are untouched"
    ):
        bridge.load()
    bridge.ds.undo_annotations("r")  # needs no server


def test_what_stays_in_the_tool_is_counted_once(bridge):
    bridge.annotate()
    for number in range(3):
        bridge.hands.set(f"car{number}", label="person")
    bridge.hands.add("s1")
    report = bridge.load(where=bridge.ds.match("number = 3"), cleanup=True)
    assert "The tasks were left on the server: 4 changes or samples" in report.notes[-1]


@pytest.mark.parametrize("pending", ["refused", "conflicts", "unexpected"])
def test_cleanup_leaves_work_that_exists_only_there(bridge, pending):
    bridge.annotate(allow_spatial_edits=pending != "refused")
    options: dict[str, Any] = {"cleanup": True}
    match pending:
        case "refused":
            bridge.hands.set("car0", bounding_box=[0.0, 0.0, 1.0, 1.0])
        case "conflicts":
            bridge.ds.set_labels([{"label_id": "car0", "bounding_box": [0.0, 0.0, 0.5, 0.5]}])
            bridge.hands.set("car0", bounding_box=[0.0, 0.0, 1.0, 1.0])
            options["conflicts"] = "ours"
        case "unexpected":
            bridge.hands.set("car0", label="tank")
            options["unexpected"] = "return"
    report = bridge.load(**options)
    assert bridge.server.labels
    assert any("left on the server: 1 changes" in n and "results.cleanup()" in n for n in report.notes)
    bridge.ds.load_annotation_results("r").cleanup()
    assert not bridge.server.labels


@pytest.mark.parametrize("taken", ["conflicts", "unexpected"])
def test_cleanup_is_not_held_up_by_what_was_taken_in_full(bridge, taken):
    bridge.annotate()
    bridge.hands.set("car0", label="tank" if taken == "unexpected" else "person")
    if taken == "conflicts":
        bridge.ds.set_labels([{"label_id": "car0", "label": "bus"}])
    report = bridge.load(cleanup=True, unexpected="keep")
    assert report.edited == 1
    assert not bridge.server.labels


# Plans that went stale


def test_a_plan_is_applied_exactly(sent):
    work(sent.hands)
    plan = sent.plan()
    assert (plan.added, plan.edited, plan.deleted) == (1, 2, 1)
    before = sent.versions()
    assert sent.versions() == before
    planned = {(r["label_id"], r["action"]) for r in plan.to_arrow().to_pylist()}
    labels = sent.labels()
    report = plan.apply()
    done = {(i, "add") for i in set(sent.labels()) - set(labels)} | {
        (i, "delete") for i in set(labels) - set(sent.labels())
    }
    done |= {(i, "edit") for i in set(labels) & set(sent.labels()) if labels[i] != sent.label(i)}
    assert done == planned
    assert report.version == sent.versions()["labels"]


@pytest.mark.parametrize(
    "move",
    [
        lambda b: b.hands.set("man3", label="car"),
        lambda b: b.hands.add("s0"),
        lambda b: b.hands.delete("man3"),
        lambda b: b.hands.drop_sample("s0", labels=False),
        lambda b: b.hands.drop_task(),
    ],
    ids=["edited", "added", "deleted", "not returned", "task gone"],
)
def test_a_plan_is_stale_when_theirs_moved(sent, move):
    sent.hands.delete("car0", "man0", "sun0", "lane0")
    sent.hands.set("car1", label="person")
    plan = sent.plan()
    move(sent)
    before = sent.versions()
    with pytest.raises(ab.StalePlan, match="plan again"):
        plan.apply()
    assert sent.versions() == before


@pytest.mark.parametrize(
    "move",
    [
        lambda ds: ds.set_labels([{"label_id": "car0", "tags": ["new"]}]),
        lambda ds: ds.delete_labels(["car0"]),
        lambda ds: ds.delete_labels(where="true"),
        lambda ds: ds.delete_samples(["s0"]),
    ],
    ids=["edited", "deleted", "all deleted", "sample deleted"],
)
def test_a_plan_is_stale_when_ours_moved(sent, move):
    sent.hands.set("car0", label="person")
    plan = sent.plan()
    move(sent.ds)
    before, labels = sent.versions()["labels"], sent.labels()
    with pytest.raises(ab.StalePlan, match="plan again"):
        plan.apply()
    assert sent.versions()["labels"] == before
    assert sent.labels() == labels
    sent.load()  # and the run is not stuck
    sent.again_is_nothing()


def test_a_plan_is_not_stale_when_other_labels_moved(sent):
    sent.hands.set("car0", label="person")
    plan = sent.plan()
    sent.ds.set_labels([{"label_id": "car1", "tags": ["new"]}])
    sent.ds.add_labels("others", [{"sample_id": "s0", "kind": "classification", "label": "x"}])
    assert plan.apply().edited == 1
    assert sent.label("car0")["label"] == "person"
    assert sent.label("car1")["tags"] == ["new"]


def test_a_plan_is_stale_when_base_moved(sent):
    sent.hands.set("car0", label="person")
    plan, other = sent.plan(), sent.plan()
    other.apply()
    before = sent.versions()
    with pytest.raises(ab.StalePlan, match="plan again"):
        plan.apply()
    assert sent.versions() == before


def test_a_plan_is_applied_once(sent):
    sent.hands.set("car0", label="person")
    plan = sent.plan()
    plan.apply()
    before = sent.versions()
    with pytest.raises(ab.StalePlan):
        plan.apply()
    assert sent.versions() == before


def test_a_plan_of_a_run_that_was_deleted_is_not_applied(sent):
    sent.hands.set("car0", label="person")
    plan = sent.plan()
    sent.ds.delete_annotation_run("r")
    before = sent.versions()
    with pytest.raises(ab.AnnobridgeError):
        plan.apply()
    assert sent.versions() == before


# Tasks that are gone, and too many deletions


def test_a_task_that_is_gone_brings_nothing_and_the_others_load(bridge):
    bridge.annotate(task_size=2)
    bridge.hands.set("car3", label="person")
    name = bridge.hands.drop_task(0)
    before = bridge.labels()
    report = bridge.load()
    assert (report.added, report.edited, report.deleted) == (0, 1, 0)
    assert any(name in note and "brought nothing" in note for note in report.notes)
    assert set(bridge.labels()) == set(before)
    bridge.again_is_nothing()


def test_all_tasks_gone_is_an_error_and_nothing_is_deleted(bridge):
    bridge.annotate(task_size=2)
    bridge.hands.drop_task(0)
    bridge.hands.drop_task(0)
    before = bridge.state()
    with pytest.raises(ab.Gone, match=r"delete_annotation_run\('r'\) forgets it"):
        bridge.load()
    assert bridge.state() == before


def test_most_of_a_run_deleted_needs_force(sent):
    sent.hands.delete_all()
    before = sent.state()
    with pytest.raises(ab.TooManyDeletions, match=r"would delete 16 of the 16 labels that it looks at.*force=True"):
        sent.load()
    plan = sent.plan()
    assert plan.deleted == 16
    with pytest.raises(ab.TooManyDeletions):
        plan.apply()
    assert sent.state() == before
    assert sent.load(force=True).deleted == 16
    assert set(sent.labels()) == {f"speed{i}" for i in range(4)}
    sent.ds.undo_annotations("r")
    assert len(sent.labels()) == 20


def test_deletions_are_compared_with_what_is_there_now(sent):
    """Labels that an earlier load has deleted do not count; in a load of some samples, only theirs do."""
    samples = sorted({row["sample_id"] for row in sent.labels().values()})
    for number in range(4):
        sent.hands.delete(f"car{number}")
    sent.load()
    sent.hands.delete_all()
    for where, count in ((None, 12), (samples, 12), (samples[:1], 3)):
        assert sent.plan(where=where).outcome.looked_at == count


def test_a_busy_ledger_does_not_hide_that_a_load_has_happened(sent, monkeypatch):
    """Other runs are changed all the time, right after the labels are committed."""
    conflicts: list[CommitConflictError] = []

    def commit(self, *given, plain=Commits.commit):
        if self.name == "annotation_runs" and conflicts:
            raise conflicts.pop()
        version = plain(self, *given)
        if self.name == "labels":
            conflicts.extend([CommitConflictError("somebody was faster")] * MAX_ATTEMPTS)
        return version

    sent.hands.set("car0", label="person")
    monkeypatch.setattr(Commits, "commit", commit)
    report = sent.load()
    assert not conflicts
    assert (report.edited, report.version) == (1, sent.ds.stores.labels.version())
    (load,) = sent.ds.stores.runs.get_idle("r").loads
    assert (load.state, load.version) == ("applied", report.version)


def test_a_load_that_has_happened_is_told_though_another_process_has_the_run(sent, monkeypatch):
    """The other one planned meanwhile, and takes the lease to find that its plan is stale."""
    other, held = ab.load_dataset(sent.path).stores.runs, ExitStack()

    def apply(*given, plain=loading.apply):
        version = plain(*given)
        held.enter_context(other.hold(other.get_settled("r"), "is being loaded"))
        return version

    sent.hands.set("car0", label="person")
    monkeypatch.setattr(loading, "apply", apply)
    with held:
        report = sent.load()
    assert (report.edited, report.version) == (1, sent.ds.stores.labels.version())


def test_a_plan_can_be_forced(sent):
    sent.hands.delete_all()
    assert sent.plan().apply(force=True).deleted == 16


def test_a_few_deletions_need_no_force(bridge):
    bridge.annotate(schema="objects")
    bridge.hands.delete_all()
    assert bridge.load().deleted == 8


# One commit


def test_several_fields_are_exactly_one_version(sent):
    before = sent.versions()["labels"]
    work(sent.hands)
    report = sent.load()
    assert set(report.counts) == {"objects", "weather", "lanes"}
    assert sent.versions()["labels"] == report.version == before + 1


@pytest.mark.parametrize("task_size", [1, 2, 3])
def test_several_tasks_come_to_the_same_as_one(fresh_bridge, task_size):
    outcomes = []
    for size in (None, task_size):
        bridge = fresh_bridge()
        bridge.annotate(task_size=size)
        work(bridge.hands)
        bridge.hands.copy("man1", bounding_box=[0.0, 0.0, 0.1, 0.1])
        bridge.ds.set_labels([{"label_id": "car0", "label": "bus"}])
        version = bridge.versions()["labels"]
        report = bridge.load()
        assert bridge.versions()["labels"] == version + 1
        rows = sorted(
            repr({n: v for n, v in r.items() if n not in ("time", "label_id")}) for r in bridge.labels().values()
        )
        outcomes.append((report.counts, len(report.conflicts), rows))
    assert outcomes[0] == outcomes[1]


def test_two_runs_of_one_field_do_not_undo_each_other(sent):
    sent.annotate("second")
    tasks = sorted(sent.server.labels)
    first, second = (next(t for t in tasks if t.startswith(k)) for k in ("r-", "second-"))

    def set_in(task: str, label_id: str, **columns: Any) -> None:
        rows = [{**r, **columns} if r["label_id"] == label_id else r for r in sent.server.labels[task].to_pylist()]
        sent.server.labels[task] = pa.Table.from_pylist(rows, sent.server.labels[task].schema)

    set_in(first, "car0", label="person")
    set_in(second, "car0", bounding_box=[0.0, 0.0, 0.5, 0.5])
    set_in(second, "car1", label="person")
    sent.load("r")
    sent.load("second", conflicts="fail")
    assert (sent.label("car0")["label"], sent.label("car0")["bounding_box"]) == ("person", [0.0, 0.0, 0.5, 0.5])
    sent.again_is_nothing("r")
    sent.again_is_nothing("second")
    sent.ds.undo_annotations("r")
    assert (sent.label("car0")["label"], sent.label("car0")["bounding_box"]) == ("car", [0.0, 0.0, 0.5, 0.5])
    assert sent.label("car1")["label"] == "person"


# Undo


def test_undo_brings_back_what_was(sent):
    before = sent.labels()
    work(sent.hands)
    sent.load()
    version = sent.versions()["labels"]
    done = sent.ds.undo_annotations("r")
    assert done.counts == {"add": 1, "edit": 2, "delete": 1}
    assert done.version == sent.versions()["labels"] == version + 1
    assert plain(sent.labels()) == plain(before)
    assert done.kept.num_rows == 0


def test_undo_keeps_later_edits(sent):
    work(sent.hands)
    labels = sent.labels()
    sent.load()
    (new,) = sent.new(labels)
    sent.ds.set_labels([{"label_id": "car0", "bounding_box": [0.0, 0.0, 0.5, 0.5]}])  # another component
    sent.ds.set_labels([{"label_id": "sun1", "label": "fog"}])  # the same
    sent.ds.set_labels([{"label_id": new["label_id"], "label": "person"}])  # of a label that came
    sent.ds.set_labels([{"label_id": "man3", "label": "car"}])  # elsewhere
    sent.ds.add_labels(
        "objects", [{"sample_id": "s0", "label_id": "mine", "label": "car", "bounding_box": [0, 0, 1, 1]}]
    )
    done = sent.ds.undo_annotations("r")
    assert (sent.label("car0")["label"], sent.label("car0")["bounding_box"]) == ("car", [0.0, 0.0, 0.5, 0.5])
    assert sent.label("sun1")["label"] == "fog"
    assert sent.label(new["label_id"])["label"] == "person"
    assert sent.label("man3")["label"] == "car"
    assert "mine" in sent.labels()
    assert "lane2" in sent.labels()
    assert {r["label_id"] for r in done.kept.to_pylist()} == {"sun1", new["label_id"]}


def test_undo_of_what_was_deleted_here_since_stays_deleted(sent):
    work(sent.hands)
    labels = sent.labels()
    sent.load()
    (new,) = sent.new(labels)
    sent.ds.delete_labels(["car0", new["label_id"]])
    sent.ds.undo_annotations("r")
    assert not {"car0", new["label_id"]} & set(sent.labels())


def test_undo_does_not_put_a_tag_beside_the_one_that_replaced_it(sent):
    sent.hands.delete("sun0", "sun1")
    sent.load()
    sent.ds.add_labels("weather", [{"sample_id": "s0", "label_id": "mine", "kind": "classification", "label": "fog"}])
    done = sent.ds.undo_annotations("r")
    assert {r["label_id"] for r in sent.labels("weather").values()} == {"mine", "sun1", "sun2", "sun3"}
    assert [(r["label_id"], r["reason"]) for r in done.kept.to_pylist()] == [
        ("sun0", "the field holds one label per sample, and there is one")
    ]
    assert done.counts == {"add": 0, "edit": 0, "delete": 1}


def test_undo_does_not_put_a_tag_beside_one_in_another_field(bridge):
    bridge.annotate(schema={"weather": {"type": "classification", "classes": ["sun", "rain"]}})
    bridge.load(dest_field="checked")
    bridge.hands.delete("sun0")
    bridge.load(dest_field="checked")
    bridge.ds.add_labels("checked", [{"sample_id": "s0", "label_id": "mine", "kind": "classification", "label": "fog"}])
    done = bridge.ds.undo_annotations("r")
    assert [r["label_id"] for r in bridge.labels("checked").values() if r["sample_id"] == "s0"] == ["mine"]
    assert done.kept["field"].to_pylist() == ["checked"]


def test_undo_puts_no_label_on_a_sample_that_was_deleted(sent):
    sent.hands.delete("lane0", "lane1")
    sent.hands.set("car0", label="person")
    sent.hands.add("s0")
    sent.load()
    sent.ds.delete_samples("s0")
    done = sent.ds.undo_annotations("r")
    assert not [r for r in sent.labels().values() if r["sample_id"] == "s0"]
    assert "lane1" in sent.labels()
    assert {(r["label_id"], r["reason"]) for r in done.kept.to_pylist()} == {
        ("lane0", "its sample is not in the dataset any more"),
        ("car0", "its sample is not in the dataset any more"),
    }
    assert done.counts == {"add": 0, "edit": 0, "delete": 1}


def test_a_sample_deleted_while_an_undo_is_planned_makes_it_stale(sent, monkeypatch):
    sent.hands.delete("lane0")
    sent.load()
    plain_merge = undoing.merge

    def merge(*arguments: Any) -> Any:
        sent.ds.delete_samples("s0")
        return plain_merge(*arguments)

    monkeypatch.setattr(undoing, "merge", merge)
    with pytest.raises(ab.StalePlan, match="Samples of the run 'r' were deleted"):
        sent.ds.undo_annotations("r")
    assert "lane0" not in sent.labels()


@pytest.mark.parametrize("first", ["r", "second"])
def test_two_undos_in_any_order_lose_no_label(sent, first):
    """One run deleted a label, the other put it back: whichever is undone first, what was there at first is there."""
    before = sent.labels()
    sent.annotate("second")
    sent.hands_of("r").delete("car0", "car1")
    sent.hands_of("second").set("car0", label="person")
    sent.load("r")
    sent.load("second")
    assert sent.label("car0")["label"] == "person"
    done = sent.ds.undo_annotations(first)
    other = {"r": "second", "second": "r"}[first]
    assert sent.label("car0")["label"] == "person" if first == "r" else "car0" not in sent.labels()
    assert done.kept["label_id"].to_pylist() == (["car0"] if first == "r" else [])
    sent.ds.undo_annotations(other)
    assert plain(sent.labels()) == plain(before)


def test_an_undo_takes_back_a_label_that_was_deleted_here_and_put_back(sent):
    """Another run that deleted and gave back the same label later does not make it wanted."""
    sent.annotate("second")
    sent.ds.delete_labels(["car0"])
    sent.hands_of("second").set("car0", label="person")
    sent.load("second")
    sent.hands_of("r").delete("car0")
    sent.load("r")
    sent.ds.undo_annotations("r")
    assert sent.label("car0")["label"] == "person"
    sent.ds.undo_annotations("second")
    assert "car0" not in sent.labels()


def test_what_was_put_back_and_edited_since_is_kept_in_both_undos(sent):
    sent.annotate("second")
    sent.hands_of("r").delete("car0")
    sent.hands_of("second").set("car0", label="person")
    sent.load("r")
    sent.load("second")
    sent.ds.undo_annotations("r")
    sent.ds.set_labels([{"label_id": "car0", "label": "bus"}])
    done = sent.ds.undo_annotations("second")
    assert sent.label("car0")["label"] == "bus"
    assert done.kept["label_id"].to_pylist() == ["car0"]


def test_undo_gives_back_local_values_that_lost_a_conflict(sent):
    sent.ds.set_labels([{"label_id": "car0", "label": "bus", "bounding_box": [0.0, 0.0, 0.5, 0.5]}])
    sent.ds.delete_labels(["car1"])
    before = sent.labels()
    sent.hands.set("car0", label="person", bounding_box=[0.5, 0.5, 0.5, 0.5])
    sent.hands.set("car1", label="person")
    sent.load(conflicts="theirs")
    assert sent.label("car1")["label"] == "person"
    sent.ds.undo_annotations("r")
    assert plain(sent.labels()) == plain(before)


def test_undo_twice_takes_back_two_loads_and_then_there_is_none(sent):
    first = sent.labels()
    sent.hands.set("car0", label="person")
    sent.load()
    second = sent.labels()
    sent.hands.set("car0", bounding_box=[0.0, 0.0, 0.5, 0.5])
    sent.hands.delete("man0")
    sent.load()
    sent.ds.undo_annotations("r")
    assert plain(sent.labels()) == plain(second)
    sent.ds.undo_annotations("r")
    assert plain(sent.labels()) == plain(first)
    before = sent.versions()
    with pytest.raises(ab.RunError, match=r"no load to undo; load_annotations\('r'\) makes one"):
        sent.ds.undo_annotations("r")
    assert sent.versions() == before


def test_a_label_that_an_undo_kept_keeps_its_own_attributes_in_the_next_load_number(sent):
    before = sent.labels()
    sent.hands.add("s0", attributes={"color": "red"})
    sent.load()
    (new,) = sent.new(before)
    own = {"name": "mine", "type": "str", "value": '"yes"'}
    sent.ds.set_labels([{"label_id": new["label_id"], "attributes": [own], "label": "person"}])
    assert sent.ds.undo_annotations("r").kept["label_id"].to_pylist() == [new["label_id"]]
    report = sent.load()
    assert (report.edited, report.conflicts["component"].to_pylist()) == (1, ["existence"])
    assert sent.label(new["label_id"])["label"] == "car"
    assert sent.values(new["label_id"]) == {"color": '"red"', "mine": '"yes"'}
    sent.again_is_nothing()
    sent.ds.undo_annotations("r")
    assert sent.values(new["label_id"]) == {"mine": '"yes"'}
    assert sent.label(new["label_id"])["label"] == "person"


def test_load_undo_load_ends_where_the_first_load_did(sent):
    work(sent.hands)
    sent.load()
    loaded = sent.labels()
    sent.ds.undo_annotations("r")
    report = sent.load()
    assert (report.added, report.edited, report.deleted) == (1, 2, 1)
    now = sent.labels()
    assert {i: {**r, "rev": 0, "time": 0} for i, r in now.items()} == {
        i: {**r, "rev": 0, "time": 0} for i, r in loaded.items()
    }
    sent.again_is_nothing()
    sent.ds.undo_annotations("r")
    assert "lane2" in sent.labels()


def test_undo_of_a_load_that_wrote_nothing_is_refused_or_harmless(sent):
    sent.again_is_nothing()
    with pytest.raises(ab.RunError, match="no load to undo"):
        sent.ds.undo_annotations("r")


def test_undo_takes_back_the_last_load_of_this_run_only(sent):
    sent.hands.set("car0", label="person")
    sent.load()
    sent.annotate("other")
    task = next(t for t in sent.server.labels if t.startswith("other"))
    rows = [{**r, "label": "car"} if r["label_id"] == "man1" else r for r in sent.server.labels[task].to_pylist()]
    sent.server.labels[task] = pa.Table.from_pylist(rows, sent.server.labels[task].schema)
    sent.load("other")
    sent.ds.undo_annotations("r")
    assert sent.label("car0")["label"] == "car"
    assert sent.label("man1")["label"] == "car"


def test_the_history_of_a_run(sent):
    sent.hands.set("car0", label="person")
    sent.load()
    sent.ds.undo_annotations("r")
    sent.load()
    loads = sent.ds.get_annotation_info("r")["loads"]
    assert [(one["number"], one["state"], one["edit"]) for one in loads] == [(1, "undone", 1), (2, "applied", 1)]


# What comes out of a report


def test_a_report_speaks_arrow_dictionaries_and_html(sent):
    work(sent.hands)
    report = sent.load()
    assert pa.table(report).num_rows == 4
    assert report.to_dict()["added"] == 1
    assert "<table>" in report._repr_html_()
    assert repr(report).startswith("Loaded 'r': +1 ~2 -1")
    report.close()


def test_an_undo_speaks_arrow_dictionaries_and_html(sent):
    work(sent.hands)
    sent.load()
    sent.ds.set_labels([{"label_id": "sun1", "label": "fog"}])
    done = sent.ds.undo_annotations("r")
    assert sorted(pa.table(done)["action"].to_pylist()) == ["add", "delete", "edit"]
    assert {r["label_id"]: r["action"] for r in done.to_arrow().to_pylist()}["lane2"] == "add"
    assert done.to_dict()["taken_back"] == {"add": 1, "edit": 1, "delete": 1}
    assert "<table>" in done._repr_html_()
    assert repr(done) == "Undone load 1 of 'r': +1 ~1 -1 taken back; 1 kept as they are"


def test_an_error_while_downloading_leaves_no_trace(sent, monkeypatch):
    sent.hands.set("car0", label="person")
    before = sent.versions()

    def download(self: MemoryBackend, receipt: ab.Receipt) -> ab.Download:
        raise Unreachable("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryBackend, "download", download)
        with pytest.raises(ab.Unreachable):
            sent.load()
    assert sent.versions() == before
    assert sent.load().edited == 1


def test_an_error_while_committing_leaves_the_run_free(sent, monkeypatch):
    sent.hands.set("car0", label="person")
    before = sent.labels()
    from annobridge.store.labels import Labels

    def commit(*_: Any, **__: Any) -> int:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Labels, "commit_written", commit)
        with pytest.raises(OSError, match="No space left"):
            sent.load()
    assert sent.labels() == before
    assert sent.load().edited == 1
    sent.again_is_nothing()
