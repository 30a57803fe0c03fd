"""A run is extended by further samples: once, resumed where it stopped, taken back, and loaded as one."""

from __future__ import annotations

import re
from typing import Any

import pytest

import annobridge as ab
from annobridge.backend.memory import MemoryBackend
from annobridge.backend.values import Receipt


@pytest.fixture
def half(bridge: Any) -> Any:
    """Two of the four images, sent as the run ``r``, one in each task."""
    bridge.annotate(view=bridge.ds.select(["s0", "s1"]), task_size=1)
    return bridge


def stop_after(monkeypatch: pytest.MonkeyPatch, uploads: int) -> None:
    upload, calls = MemoryBackend.upload, [0]

    def stopping(self: MemoryBackend, task: ab.Task) -> Receipt:
        calls[0] += 1
        if calls[0] > uploads:
            raise ab.Unreachable("The tool does not answer.")
        return upload(self, task)

    monkeypatch.setattr(MemoryBackend, "upload", stopping)


def tasks(bridge: Any) -> list[str]:
    return [name.rpartition("-")[2] for name in sorted(bridge.server.labels)]


def test_the_rest_goes_into_further_tasks_of_the_same_run(half: Any) -> None:
    results = half.ds.load_annotation_results("r")
    assert results.missing(half.ds).sample_ids() == ["s2", "s3"]
    extended = half.ds.extend_annotation("r", half.ds)
    assert tasks(half) == ["00000", "00001", "00002", "00003"]
    assert (extended.run.state, len(results.missing(half.ds))) == ("sent", 0)
    assert half.ds.load_annotation_view("r").sample_ids() == ["s0", "s1", "s2", "s3"]
    half.again_is_nothing()
    half.hands.set("car0", label="person")
    half.hands.set("car3", label="person")
    assert half.load().edited == 2


def test_labels_that_changed_since_the_run_began_are_no_edits(half: Any) -> None:
    half.ds.set_labels([{"label_id": "car2", "label": "person"}])
    half.ds.add_labels("objects", {"s3": [ab.Detection("car", [0.1, 0.1, 0.1, 0.1], label_id="new")]})
    half.ds.extend_annotation("r", half.ds)
    half.hands.delete("car2", "new")
    report = half.load()
    assert (report.deleted, len(report.conflicts)) == (2, 0)


def test_a_second_extension_follows_a_load(half: Any) -> None:
    half.ds.extend_annotation("r", ["s3"])
    half.hands.set("car3", label="person")
    assert half.load().edited == 1
    half.ds.extend_annotation("r", half.ds)
    assert half.ds.load_annotation_view("r").sample_ids() == ["s0", "s1", "s3", "s2"]
    half.again_is_nothing()
    info = half.ds.get_annotation_info("r")
    assert [len(info[name]) for name in ("loads", "extensions")] == [1, 2]
    assert half.ds.undo_annotations("r").counts == {"add": 0, "edit": 1, "delete": 0}


@pytest.mark.parametrize("uploads", [0, 1])
def test_an_extension_that_stopped_is_resumed(half: Any, monkeypatch: pytest.MonkeyPatch, uploads: int) -> None:
    with monkeypatch.context() as patch:
        stop_after(patch, uploads)
        with pytest.raises(ab.Unreachable, match=f"{uploads} are sent"):
            half.ds.extend_annotation("r", half.ds)
    half.ds.set_labels([{"label_id": "car3", "label": "person"}])  # after the extension began
    with pytest.raises(ab.RunIncomplete, match="takes the extension back"):
        half.load()
    with pytest.raises(ab.RunIncomplete, match="resume_annotation"):
        half.ds.extend_annotation("r", half.ds)
    half.ds.resume_annotation("r")
    assert tasks(half) == ["00000", "00001", "00002", "00003"]
    assert half.hands.of("car3")["label"] == "car"
    half.again_is_nothing()


def test_an_extension_that_stopped_is_taken_back(half: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stop_after(patch, 1)
        with pytest.raises(ab.Unreachable):
            half.ds.extend_annotation("r", half.ds)
    half.hands.set("car0", label="person")
    half.ds.abort_annotation("r")
    assert tasks(half) == ["00000", "00001"]
    assert half.ds.load_annotation_results("r").missing(half.ds).sample_ids() == ["s2", "s3"]
    assert half.load().edited == 1
    half.ds.extend_annotation("r", half.ds)
    assert tasks(half) == ["00000", "00001", "00002", "00003"]


def test_the_filters_of_the_run_hold_for_what_is_added(bridge: Any) -> None:
    view = bridge.ds.select(["s0"]).filter_labels("objects", "label = 'person'")
    bridge.annotate(schema={"objects": "detections"} and {"objects": {"type": "detections"}}, view=view)
    bridge.ds.extend_annotation("r", ["s1"])
    assert {row["label_id"] for row in bridge.hands.rows()} == {"man0", "man1"}
    other = bridge.ds.filter_labels("objects", "label = 'car'")
    with pytest.raises(ab.InvalidOption, match="filters the labels of 'objects' in another way than the run 'r'"):
        bridge.ds.extend_annotation("r", other)


def test_what_is_not_sent_of_an_extension_is_told(half: Any) -> None:
    half.ds.add_labels("objects", {"s2": [ab.Detection("tree", [0.1, 0.1, 0.1, 0.1])]})
    before = half.state()
    with pytest.raises(ab.InvalidLabels, match="strict=True"):
        half.ds.extend_annotation("r", half.ds, strict=True)
    assert half.state() == before
    with pytest.warns(ab.UnsentWarning, match="tree"):
        half.ds.extend_annotation("r", half.ds)
    assert any("tree" in text for text in half.load().not_sent)


def test_samples_that_the_tool_refuses_are_not_counted(half: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: MemoryBackend, task: ab.Task) -> Receipt:
        raise ab.Rejected("It cannot read them.", samples=task.samples["sample_id"].to_pylist())

    monkeypatch.setattr(MemoryBackend, "upload", refuse)
    with pytest.warns(ab.RefusedTaskWarning, match="refused 2 of 2 samples"):
        half.ds.extend_annotation("r", half.ds, on_rejected="skip")
    assert half.ds.get_annotation_info("r")["extensions"] == []
    assert half.ds.load_annotation_results("r").missing(half.ds).sample_ids() == ["s2", "s3"]
    half.again_is_nothing()


@pytest.mark.parametrize(
    ("view", "error", "message"),
    [
        (["s2", "s2"], ab.InvalidOption, "The sample 's2' is given twice"),
        (["s0", "s1"], ab.StoreError, "has all 2 samples of the view already"),
        ([], ab.StoreError, "The view is empty"),
        (None, ab.InvalidOption, "view= is None; give a view, or the ids of samples"),
        (5, ab.InvalidOption, "view= is 5; give a view, or the ids of samples"),
        ([5], ab.InvalidOption, "view= has 5; the ids of samples are texts"),
        (["nowhere"], ab.SampleNotFound, "no sample 'nowhere'"),
    ],
)
def test_what_cannot_be_added_is_refused(half: Any, view: Any, error: type[Exception], message: str) -> None:
    before = half.state()
    with pytest.raises(error, match=re.escape(message)):
        half.ds.extend_annotation("r", view)
    assert half.state() == before


def test_a_view_of_another_dataset_is_refused(half: Any, empty: Any) -> None:
    with pytest.raises(ab.InvalidOption, match="is one of the dataset"):
        half.ds.extend_annotation("r", empty.ds.limit(1))


def test_a_run_that_is_being_sent_is_not_extended(bridge: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stop_after(patch, 1)
        with pytest.raises(ab.Unreachable):
            bridge.annotate(task_size=1)
    before = bridge.state()
    with pytest.raises(ab.RunIncomplete, match="stopped after 1 of 4 tasks"):
        bridge.ds.extend_annotation("r", bridge.ds)
    assert bridge.state() == before


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (5, "where= is 5; give a view, or the ids of samples"),
        ([5], "where= has 5; the ids of samples are texts"),
        ([], "where= selects no sample: the view, or the list"),
    ],
)
def test_a_wrong_where_of_a_load_is_refused(half: Any, where: Any, message: str) -> None:
    before = half.state()
    for verb in (half.load, half.plan):
        with pytest.raises(ab.InvalidOption, match=re.escape(message)):
            verb(where=where)
    assert half.state() == before


def test_what_is_reviewed_is_asked_of_a_run_or_a_field(half: Any) -> None:
    for verb in (half.ds.reviewed, half.ds.match_reviewed, half.ds.exclude_reviewed):
        with pytest.raises(ab.InvalidOption, match="of= is None; give the key of a run, or the name of a label field"):
            verb(None)
        with pytest.raises(ab.StoreError, match=r"no run and no label field 'object'; did you mean 'objects'\?"):
            verb("object")
        with pytest.raises(ab.StoreError, match="no run and no label field 'nope'; there is .*'r'"):
            verb("nope")
