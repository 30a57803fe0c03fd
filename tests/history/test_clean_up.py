"""Clean-up: old versions go, what something needs stays, and the report says which and why."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import lance
import pytest
from lance.dataset import DatasetOptimizer
from tests import children
from tests.history import wrecks
from tests.history.conftest import NOTHING, content, table, versions

import annobridge as ab
from annobridge.backend import memory
from annobridge.store import runs as ledger
from annobridge.store import table_versions


def why(report: ab.OptimizeReport, name: str = "labels") -> list[str]:
    return [kept.why for kept in report.kept if kept.table == name]


def size(ds: ab.Dataset) -> int:
    return sum(path.stat().st_size for path in Path(ds.uri).rglob("*") if path.is_file())


def test_without_an_age_every_version_stays(ds):
    before = versions(ds)
    report = ds.optimize()
    assert (report.removed, report.bytes, report.recent, report.kept) == ({}, 0, 0, ())
    assert set(before) <= set(versions(ds))
    assert repr(report) == "Optimized: no old version removed"


def test_old_versions_of_every_table_go(ds):
    for label in ("bus", "truck"):
        ds.set_labels([{"label_id": "car0", "label": label}])
    before, was, count = content(ds), size(ds), len(versions(ds))
    report = ds.optimize(NOTHING)
    assert len(versions(ds)) == len(versions(ds, "samples")) == 1
    assert report.removed["labels"] >= count - 1  # compaction makes some more
    assert {"labels", "samples", "annotation_leases"} <= report.removed.keys()
    assert 0 < report.bytes <= was
    assert (report.recent, report.kept) == (0, ())
    assert content(ds) == before
    assert "of labels" in repr(report)
    assert f"{report.bytes:,} bytes" in report._repr_html_()
    assert report.to_dict()["bytes"] == report.bytes


def test_versions_that_are_not_old_enough_stay(ds):
    before = versions(ds)
    report = ds.optimize(timedelta(hours=1))
    assert set(before) <= set(versions(ds))
    assert report.removed == {}
    assert report.recent >= len(before) - 1
    assert f"kept: {report.recent} versions that are not old enough" in repr(report)


@pytest.mark.parametrize("age", [timedelta(seconds=-1), 14, timedelta(days=10**6)])
def test_an_age_that_is_none_is_refused(ds, age):
    before = versions(ds), versions(ds, "annotation_leases")
    with pytest.raises(
        ab.InvalidOption, match=r"^cleanup_older_than=.* is not an age; give a timedelta from 0 to some years, or None"
    ):
        ds.optimize(age)
    assert (versions(ds), versions(ds, "annotation_leases")) == before


def test_what_a_snapshot_needs_stays_until_it_is_deleted(ds):
    snapshot, before = ds.snapshot("v1"), content(ds)
    ds.set_labels([{"label_id": "car0", "label": "bus"}])
    ds.delete_samples(["s3"])
    report = ds.optimize(NOTHING)
    assert why(report) == why(report, "samples") == ["the snapshot 'v1'"]
    assert str(report.kept[0]) == f"version {snapshot.versions['labels']} of labels: the snapshot 'v1'"
    assert content(ds.at("v1")) == before
    ds.delete_snapshot("v1")
    assert why(ds.optimize(NOTHING)) == []
    assert len(versions(ds)) == 1


@pytest.mark.parametrize("moved", [False, True])
def test_a_snapshot_whose_tags_another_program_removed_or_moved_stays(ds, moved):
    snapshot, before = ds.snapshot("v1"), content(ds)
    ds.set_labels([{"label_id": "car0", "label": "bus"}])
    ds.delete_samples(["s3"])
    for name in ("labels", "samples"):
        tags = table(ds, name).tags
        if moved:
            tags.update("annobridge.snapshot.v1", versions(ds, name)[-1])
        else:
            tags.delete("annobridge.snapshot.v1")
    report = ds.optimize(NOTHING)
    assert why(report) == why(report, "samples") == ["the snapshot 'v1'"]
    assert content(ds.at("v1")) == before
    for name in ("labels", "samples"):
        assert table(ds, name).tags.list()["annobridge.snapshot.v1"]["version"] == snapshot.versions[name]


def test_a_snapshot_of_which_only_the_record_is_left_stops_no_clean_up(ds):
    ds.snapshot("v1")
    ds.set_labels([{"label_id": "car0", "label": "bus"}])
    table(ds).tags.delete("annobridge.snapshot.v1")
    table(ds).cleanup_old_versions(NOTHING)
    report = ds.optimize(NOTHING)
    assert (why(report), why(report, "samples")) == ([], [])
    with pytest.raises(ab.StoreError, match="needs version"):
        ds.at("v1")


def test_a_record_that_cannot_be_read_and_has_no_tag_keeps_all(ds):
    ds.snapshot("v1")
    ds.stores.snapshots._entries.put("v1", "{}")
    before = versions(ds)
    ds.set_labels([{"label_id": "car0", "label": "bus"}])
    assert why(ds.optimize(NOTHING)) == ["the snapshot 'v1'"]  # by its tag
    table(ds).tags.delete("annobridge.snapshot.v1")
    ds.set_labels([{"label_id": "car0", "label": "truck"}])
    report = ds.optimize(NOTHING)
    assert "the snapshot 'v1', whose record cannot be read, may need them" in why(report)
    assert before[-1] in versions(ds)


def test_a_tag_of_another_program_stays(ds):
    first = versions(ds)[0]
    table(ds).tags.create("mine", first)
    ds.set_labels([{"label_id": "car0", "label": "bus"}])
    report = ds.optimize(NOTHING)
    assert why(report) == ["the tag 'mine' of another program"]
    assert versions(ds)[0] == first
    assert list(table(ds).tags.list()) == ["mine"]


def test_a_run_that_is_being_sent_can_be_resumed(bridge, monkeypatch):
    ds, calls, plain = bridge.ds, [], memory.MemoryBackend.upload

    def fails(self: Any, *arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise ab.Unreachable("gone")
        return plain(self, *arguments, **options)

    monkeypatch.setattr(memory.MemoryBackend, "upload", fails)
    began = versions(ds)[-1]
    with pytest.raises(ab.Unreachable):
        bridge.annotate(task_size=2)
    ds.set_labels([{"label_id": f"car{n}", "label": "person"} for n in range(4)])
    report = ds.optimize(NOTHING)
    assert why(report) == ["the run 'r', which is not sent in full"]
    assert began in versions(ds)
    ds.resume_annotation("r")
    assert bridge.hands.of("car3")["label"] == "car"  # as it was when the run began
    bridge.again_is_nothing()
    assert why(ds.optimize(NOTHING)) == []


def test_an_extension_that_is_being_sent_can_be_resumed(bridge, monkeypatch):
    ds = bridge.ds
    bridge.annotate(view=ds.limit(2))
    ds.set_labels([{"label_id": "man3", "label": "car"}])
    began = versions(ds)[-1]

    def fails(*_: Any, **__: Any) -> Any:
        raise ab.Unreachable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(memory.MemoryBackend, "upload", fails)
        with pytest.raises(ab.Unreachable):
            ds.extend_annotation("r", ds)
    ds.set_labels([{"label_id": "car3", "label": "person"}])
    report = ds.optimize(NOTHING)
    assert why(report) == ["extension 1 of the run 'r', which was interrupted or is not done"]
    assert began in versions(ds)
    ds.resume_annotation("r")
    assert [bridge.hands.of(name)["label"] for name in ("car3", "man3")] == ["car", "car"]
    bridge.again_is_nothing()
    assert why(ds.optimize(NOTHING)) == []


def test_the_versions_since_an_interrupted_load_stay(bridge, monkeypatch):
    ds = bridge.ds
    bridge.annotate()
    bridge.hands.set("car0", label="person")
    since = versions(ds)[-1]

    class Killed(BaseException):
        pass

    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(ledger.Runs, "end_load", killed)
        patch.setattr(ledger.Runs, "abandon_load", lambda *_: None)
        with pytest.raises(Killed):
            bridge.load()
    made = versions(ds)[-1]
    ds.set_labels([{"label_id": "man0", "label": "car"}])
    with monkeypatch.context() as patch:
        patch.setattr(ledger.Runs, "get_settled", killed)  # nobody looks at the run
        report = ds.optimize(NOTHING)
    assert why(report) == ["load 1 of the run 'r', which was interrupted or is not done"]
    assert {since, made} <= set(versions(ds))
    assert [load["state"] for load in ds.get_annotation_info("r")["loads"]] == ["applied"]
    assert bridge.label("car0")["label"] == "person"
    assert why(ds.optimize(NOTHING)) == []


@pytest.mark.parametrize(
    ("state", "noun"), [("extending", "extension"), ("pushing", "push"), ("of a later version", "load")]
)
def test_a_load_in_another_state_keeps_its_versions(bridge, state, noun):
    bridge.annotate()
    bridge.hands.set("car0", label="person")
    bridge.load()
    runs = bridge.ds.stores.runs
    run = runs.get_settled("r")
    (load,) = run.loads
    runs.update(run, loads=(type(load)(**{n: getattr(load, n) for n in load.__slots__} | {"state": state}),))
    bridge.ds.set_labels([{"label_id": "man0", "label": "car"}])
    report = bridge.ds.optimize(NOTHING)
    assert why(report) == [f"{noun} 1 of the run 'r', which was interrupted or is not done"]
    assert load.since in versions(bridge.ds)


def test_an_entry_that_cannot_be_read_keeps_all(bridge):
    bridge.annotate()
    before = versions(bridge.ds)
    runs = lance.dataset(f"{bridge.ds.uri}/annotation_runs.lance")
    runs.update({"label_schema": "'{'"})
    report = bridge.ds.optimize(NOTHING)
    assert why(report)[0] == "a run whose entry in the ledger cannot be read may need them"
    assert set(before) <= set(versions(bridge.ds))


def test_columns_of_the_users_are_restored_by_an_undo(bridge):
    ds = bridge.ds
    table(ds).add_columns({"about": "concat('about ', label_id)"})
    bridge.ds = ds = ab.load_dataset(ds.uri)
    bridge.annotate()
    bridge.hands.delete("car1")
    bridge.load()
    ds.set_labels([{"label_id": "man0", "label": "car"}])
    report = ds.optimize(NOTHING)
    assert why(report) == ["undoing load 1 of the run 'r': values of columns that were added to the labels"]
    undone = ds.undo_annotations("r")
    assert undone.kept.num_rows == 0
    found = table(ds).to_table(columns=["label_id", "about"], filter="label_id = 'car1'").to_pylist()
    assert found == [{"label_id": "car1", "about": "about car1"}]
    assert why(ds.optimize(NOTHING)) == []


def test_between_all_verbs(bridge):
    """A run is sent, worked on, loaded twice, undone twice, with edits here and a clean-up between all of it."""
    ds, start = bridge.ds, content(bridge.ds)[1]

    def clean() -> None:
        before = content(ds)
        ds.optimize(NOTHING)
        assert content(ds) == before
        assert len(versions(ds)) <= 1 + len(ds.list_snapshots())

    clean()
    ds.snapshot("start")
    bridge.annotate(task_size=2)
    clean()
    bridge.hands.set("car0", label="person")
    bridge.hands.delete("car1")
    new = bridge.hands.add("s2")
    ds.set_labels([{"label_id": "man3", "confidence": 0.125}])
    plan = bridge.plan()
    ds.set_labels([{"label_id": "man3", "confidence": 0.25}])
    clean()
    assert (plan.added, plan.edited, plan.deleted) == (1, 1, 1)
    with pytest.raises(
        ab.StalePlan, match=r"The labels that this was planned on \(version \d+\) were cleaned away meanwhile"
    ):
        plan.apply()
    bridge.load()
    clean()
    bridge.again_is_nothing()
    ds.set_labels([{"label_id": "car0", "confidence": 0.125}])
    clean()
    bridge.hands.delete(new)
    bridge.hands.set("man2", label="car")
    bridge.load()
    clean()
    undone = ds.undo_annotations("r")
    clean()
    assert undone.counts == {"add": 0, "edit": 1, "delete": 1}
    ds.undo_annotations("r")
    clean()
    now = content(ds)[1]
    by_whom = ("rev", "time", "run", "tool", "confidence")
    plain = [{i: {n: v for n, v in row.items() if n not in by_whom} for i, row in t.items()} for t in (start, now)]
    assert plain[0] == plain[1]
    assert content(ds.at("start"))[1] == start
    bridge.load()  # takes the work of the tool again
    clean()
    assert bridge.label("man2")["label"] == "car"


def test_while_samples_are_added_nothing_is_removed(ds, monkeypatch):
    monkeypatch.setattr("annobridge.history.clean_up.WAIT", 0.0)
    before = versions(ds)
    with (
        ds.stores.changing_samples("is being imported into"),
        pytest.raises(ab.StoreError, match="is being imported into by process"),
    ):
        ds.optimize(NOTHING)
    assert set(before) <= set(versions(ds))


@pytest.mark.parametrize(("disturbed", "left"), [(2, ()), (99, ("labels",))])
def test_compaction_while_others_write(ds, monkeypatch, disturbed, left):
    """It is tried again, and a table that others write to all the time is passed over, and told."""
    ds.set_labels([{"label_id": "man0", "label": "bus"}])  # so that there is something to compact
    plain, attempts = DatasetOptimizer.compact_files, []

    def after_a_commit(self: DatasetOptimizer, **options: Any) -> Any:
        if self._dataset.uri.endswith("/labels.lance"):
            attempts.append(1)
            if len(attempts) <= disturbed:
                ds.set_labels([{"label_id": "car0", "confidence": len(attempts) / 128}])
        return plain(self, **options)

    monkeypatch.setattr(DatasetOptimizer, "compact_files", after_a_commit)
    report = ds.optimize()
    assert report.not_compacted == left
    assert len(attempts) == min(disturbed + 1, 5)
    told = "not compacted: labels, as other processes wrote to it during each attempt; repeat when it is quieter"
    assert (told in report.lines()) == bool(left)
    assert content(ds)[1]["car0"]["confidence"] == min(disturbed, 5) / 128


def test_a_table_that_cannot_be_compacted_is_an_error(ds, monkeypatch):
    def full(*_: Any, **__: Any) -> None:
        raise OSError("LanceError(IO): No space left on device")

    monkeypatch.setattr(DatasetOptimizer, "compact_files", full)
    with pytest.raises(ab.StoreError, match=r"^The table '\w+' of .* cannot be written: the disk is full\."):
        ds.optimize()


@pytest.mark.parametrize("nth", [1, 3, 6])
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_in_the_middle(ds, nth, when):
    ds.snapshot("v1")
    before = content(ds)
    ds.set_labels([{"label_id": "car0", "label": "bus"}])
    now = content(ds)
    what = "annobridge.store.table_versions:remove"
    assert children.call(wrecks.run, Path(ds.uri), "optimize", what, nth, when).kind == "killed"
    ds = ab.load_dataset(ds.uri)
    assert (content(ds), content(ds.at("v1"))) == (now, before)
    ds.optimize(NOTHING)
    assert len(versions(ds)) == 2
    assert (content(ds), content(ds.at("v1"))) == (now, before)


def test_what_begins_after_the_look_at_the_ledger_is_newer(bridge, monkeypatch):
    """A load that is applied while versions are chosen is not touched, and settles."""
    bridge.annotate()
    bridge.hands.set("car0", label="person")
    plain, loads = table_versions.remove, []

    def load_first(database: Any, name: str, chosen: Any) -> Any:
        if name == "labels":
            loads.append(bridge.load().version)
        return plain(database, name, chosen)

    monkeypatch.setattr(table_versions, "remove", load_first)
    bridge.ds.optimize(NOTHING)
    assert loads[0] in versions(bridge.ds)
    bridge.ds.undo_annotations("r")
    assert bridge.label("car0")["label"] == "car"
