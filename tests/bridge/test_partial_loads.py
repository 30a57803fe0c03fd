"""Loads of a part of a run, what the tool says is done, conflicts by component, and shapes that stay over the border."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

import annobridge as ab
from annobridge.backend.memory import MemoryBackend
from annobridge.core.labels import REVIEWED

TIME = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def tasks(bridge: Any) -> Any:
    """Four images, each in a task of its own, with one edited label each."""
    bridge.annotate(task_size=1)
    for n in range(4):
        bridge.hands.set(f"car{n}", label="person")
    return bridge


def say(bridge: Any, reviewed: Sequence[str], others: Sequence[str] = (), time: datetime = TIME) -> None:
    """The tool says of some samples that they are reviewed, and of others that they are not."""
    for task, samples in bridge.server.samples.items():
        rows = [
            {"sample_id": s, "reviewed": s in reviewed, "state": "done" if s in reviewed else "open", "by": "alice", "time": time}
            for s in samples.to_pylist() if s in (*reviewed, *others)
        ]  # fmt: skip
        bridge.server.reviewed[task] = pa.Table.from_pylist(rows, REVIEWED)


def edited(bridge: Any) -> list[str]:
    """The images whose label was loaded."""
    return [f"s{n}" for n in range(4) if bridge.label(f"car{n}")["label"] == "person"]


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tasks that are downloaded."""
    found: list[str] = []
    download = MemoryBackend.download

    def noting(self: MemoryBackend, receipt: ab.Receipt) -> ab.Download:
        found.append(receipt.task.rpartition("-")[2])
        return download(self, receipt)

    monkeypatch.setattr(MemoryBackend, "download", noting)
    return found


def test_some_samples_are_loaded(tasks: Any, downloads: list[str]) -> None:
    report = tasks.load(where=tasks.ds.match_tags("even"))
    assert edited(tasks) == ["s0", "s2"]
    assert sorted(downloads) == ["00000", "00002"]
    assert "2 samples were left out by the options of the load" in report.notes[0]
    assert tasks.load(where=["s3"]).edited == 1
    assert tasks.load().edited == 1


def test_deletions_on_other_samples_are_left_for_later(sent: Any) -> None:
    sent.hands.delete("car0", "car1")
    assert sent.load(where=["s0"]).deleted == 1
    assert "car1" in sent.labels()
    assert sent.load().deleted == 1


def test_a_plan_of_some_samples_is_applied_and_saved(tasks: Any, tmp_path: Any) -> None:
    tasks.plan(where=["s1"]).save(tmp_path / "plan")
    plan = ab.load_plan(tmp_path / "plan", url=tasks.url)
    assert plan.apply().edited == 1
    assert edited(tasks) == ["s1"]


def test_only_what_is_reviewed_is_loaded(tasks: Any) -> None:
    say(tasks, ["s1"], ["s0"])
    report = tasks.load(reviewed_only=True)
    assert (edited(tasks), report.reviewed, report.edited) == (["s1"], 1, 1)
    say(tasks, ["s0", "s1"])
    assert tasks.load(reviewed_only=True).edited == 1
    assert edited(tasks) == ["s0", "s1"]


def test_what_changed_since_the_last_load_is_downloaded(tasks: Any, downloads: list[str]) -> None:
    assert tasks.load(since="last").edited == 4
    downloads.clear()
    assert tasks.load(since="last").edited == 0
    assert downloads == []
    tasks.hands.set("car2", label="car")
    assert tasks.load(since="last").edited == 1
    assert downloads == ["00002"]


def test_what_was_left_out_is_not_taken_for_loaded(tasks: Any) -> None:
    say(tasks, ["s1"])
    assert tasks.load(since="last", reviewed_only=True).edited == 1
    assert tasks.load(since="last", where=["s0"]).edited == 1
    assert tasks.load(since="last").edited == 2


def test_what_was_undone_is_loaded_again(tasks: Any) -> None:
    tasks.load(since="last")
    tasks.ds.undo_annotations("r")
    assert tasks.load(since="last").edited == 4


def test_what_was_left_for_later_is_looked_at_again(tasks: Any) -> None:
    assert tasks.load(since="last", undecided="leave").edited == 0
    assert tasks.load(since="last").edited == 4


def test_what_was_not_taken_is_looked_at_again(tasks: Any) -> None:
    tasks.hands.add("s1", label="tree", remote_id="odd")
    tasks.load(since="last", unexpected="ignore")
    assert tasks.load(since="last", unexpected="keep").added == 1
    tasks.ds.set_labels([{"label_id": "car2", "label": "car"}])
    tasks.hands.set("car2", bounding_box=[0.3, 0.3, 0.3, 0.3])
    tasks.ds.set_labels([{"label_id": "car2", "bounding_box": [0.4, 0.4, 0.3, 0.3]}])
    assert tasks.load(since="last", conflicts="ours").edited == 0
    assert tasks.load(since="last").edited == 1


def test_another_destination_is_another_load(tasks: Any) -> None:
    tasks.load(since="last", dest_field={"objects": "first"})
    assert tasks.load(since="last", dest_field={"objects": "second"}).added == 8
    assert tasks.load(since="last", dest_field={"objects": "second"}).total == 0


def test_samples_that_changed_since_a_time(tasks: Any) -> None:
    say(tasks, [], ["s0", "s1"], TIME)
    assert tasks.load(since=TIME + timedelta(seconds=1)).edited == 2  # those of which the tool gives no time
    assert edited(tasks) == ["s2", "s3"]
    assert tasks.load(since=TIME).edited == 2


def test_clean_up_after_a_partial_load_looks_at_everything(tasks: Any) -> None:
    report = tasks.load(where=["s0"], cleanup=True)
    assert "exist only there" in report.notes[-1]
    assert len(tasks.server.labels) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"where": []}, "where= selects no sample: the view, or the list of ids, is empty"),
        ({"where": ["s0", "s0"]}, "The sample 's0' is given twice"),
        ({"where": ["nowhere"]}, "no sample 'nowhere'"),
        ({"since": "yesterday"}, "since='yesterday' is not known; give 'last'"),
        ({"since": datetime(2026, 1, 1)}, "has no time zone"),
        ({"reviewed_only": "yes"}, "reviewed_only='yes' is not known"),
        ({"conflicts": {"shape": "ours"}}, "names 'shape', which is no component"),
        ({"conflicts": {"label": "mine"}}, "conflicts='mine' is not known"),
        ({"conflicts": 3}, "conflicts=3 is not known"),
    ],
)
def test_options_that_cannot_be_are_refused(tasks: Any, options: dict[str, Any], message: str) -> None:
    before = tasks.state()
    with pytest.raises(ab.AnnobridgeError, match=re.escape(message)):
        tasks.load(**options)
    assert tasks.state() == before


def test_samples_are_not_chosen_by_labels(tasks: Any) -> None:
    with pytest.raises(ab.InvalidOption, match="leave filter_labels out"):
        tasks.load(where=tasks.ds.filter_labels("objects", "label = 'car'"))


def test_a_tool_that_does_not_say_what_is_reviewed_is_not_asked_for_it(
    tasks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    monkeypatch.setattr(MemoryBackend, "capabilities", replace(MemoryBackend.capabilities, reviewed=False))
    for options in ({"reviewed_only": True}, {"since": TIME}):
        with pytest.raises(ab.InvalidOption, match="memory does not say which samples are reviewed"):
            tasks.load(**options)


# What is done


def test_looked_at_and_empty_is_not_never_looked_at(sent: Any) -> None:
    """A load records what the tool says also where no label changed; and once."""
    say(sent, ["s1", "s2"], ["s0"])
    assert sent.load().total == 0
    rows = {row["sample_id"]: row for row in sent.ds.reviewed("r").to_pylist()}
    assert {s: (row["reviewed"], row["state"], row["by"], row["run"]) for s, row in rows.items()} == {
        "s0": (False, "open", "alice", "r"), "s1": (True, "done", "alice", "r"), "s2": (True, "done", "alice", "r"),
    }  # fmt: skip
    assert sent.ds.match_reviewed("r").sample_ids() == sent.ds.match_reviewed("objects").sample_ids() == ["s1", "s2"]
    assert sent.ds.exclude_reviewed("r").sample_ids() == ["s0", "s3"]
    before = sent.ds.stores.database.table("annotation_sample_states").version
    sent.again_is_nothing()
    assert sent.ds.stores.database.table("annotation_sample_states").version == before


def test_the_last_word_of_the_tool_counts_and_an_undo_does_not_change_it(sent: Any) -> None:
    say(sent, ["s0"])
    sent.hands.set("car0", label="person")
    sent.load()
    sent.ds.undo_annotations("r")
    assert sent.ds.match_reviewed("r").sample_ids() == ["s0"]
    say(sent, [], ["s0"])
    sent.load()
    assert sent.ds.match_reviewed("r").sample_ids() == []
    sent.ds.delete_annotation_run("r")
    assert sent.ds.match_reviewed("objects").sample_ids() == []


def test_what_is_reviewed_is_asked_of_a_run_or_a_field(sent: Any) -> None:
    with pytest.raises(ab.StoreError, match="no label field 'objekts'"):
        sent.ds.reviewed("objekts")
    assert sent.ds.reviewed("objects").num_rows == 0


def test_a_sample_is_reviewed_if_any_run_of_the_field_says_so(bridge: Any) -> None:
    bridge.annotate("a", view=bridge.ds.select(["s0"]))
    say(bridge, ["s0"])
    bridge.load("a")
    bridge.annotate("b", view=bridge.ds)
    assert bridge.ds.match_reviewed("objects").sample_ids() == ["s0"]
    assert bridge.ds.match_reviewed("b").sample_ids() == []


# Loads that put right


def test_each_component_has_a_policy_of_its_own(sent: Any) -> None:
    sent.hands.set("car0", bounding_box=[0.3, 0.3, 0.1, 0.1], attributes={"color": "blue", "occluded": True})
    sent.ds.set_labels([{"label_id": "car0", "bounding_box": [0.4, 0.4, 0.1, 0.1], "attributes": []}])
    with pytest.raises(ab.Conflict, match="1 changes were made both here and in the tool"):
        sent.load(conflicts={"*": "fail", "attributes": "theirs"})
    plan = sent.plan(conflicts={"attributes": "ours", "attributes.color": "theirs"})
    proposals = {row["component"]: row["proposal"] for row in plan.changes.to_pylist()}
    assert proposals == {"spatial": "theirs", "attributes.color": "theirs", "attributes.occluded": "ours"}
    sent.load(conflicts={"*": "ours", "attributes": "theirs"})
    assert sent.label("car0")["bounding_box"] == [0.4, 0.4, 0.1, 0.1]
    assert sent.values("car0") == {"color": '"blue"', "occluded": "true"}


def test_a_shape_over_the_border_is_kept_if_asked(sent: Any) -> None:
    over = [0.9, 0.9, 0.2, 0.2]
    sent.hands.set("car0", bounding_box=over)
    sent.hands.add("s1", remote_id="new", bounding_box=over)
    report = sent.load(invalid="keep")
    assert (report.added, report.edited, len(report.refused)) == (1, 1, 0)
    assert sent.label("car0")["bounding_box"] == over
    assert "2 labels lie over the border of their image" in report.notes[0]
    sent.again_is_nothing(invalid="keep")
    assert sent.ds.doctor().ok
    sent.ds.set_labels([{"label_id": "car0", "label": "person"}])  # what is not its shape can be edited
    with pytest.raises(ab.InvalidLabels, match="not inside the image"):
        sent.ds.set_labels([{"label_id": "car0", "bounding_box": [0.9, 0.9, 0.3, 0.3]}])


@pytest.mark.parametrize("box", [[1.2, 0.1, 0.1, 0.1], [0.1, 0.1, float("nan"), 0.1]])
def test_what_is_no_shape_at_all_is_refused_even_so(sent: Any, box: list[float]) -> None:
    sent.hands.set("car0", bounding_box=box)
    assert len(sent.load(invalid="keep").refused) == 1
