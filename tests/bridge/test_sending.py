"""Sending has one owner: what others do to a run that is being sent, and what becomes of one whose sender is gone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

import annobridge as ab
from annobridge.backend.memory import MemoryBackend
from annobridge.backend.values import Receipt
from annobridge.store import lease

TASKS = 4  # of one sample each


@pytest.fixture
def during(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Have something happen once, in the middle of the second upload."""

    def arrange(happen: Callable[[], Any]) -> None:
        upload, calls = MemoryBackend.upload, [0]

        def second(self: MemoryBackend, task: ab.Task) -> Receipt:
            calls[0] += 1
            receipt = upload(self, task)
            if calls[0] == 2:
                happen()
            return receipt

        monkeypatch.setattr(MemoryBackend, "upload", second)

    return arrange


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Callable[[], Any]]:
    """Another machine, long after the sender was heard of for the last time."""

    def elsewhere(call: Callable[[], Any]) -> Callable[[], Any]:
        def later() -> Any:
            with monkeypatch.context() as patch:
                patch.setattr(lease, "current_process", lambda: "elsewhere|boot|namespace|1|1")
                patch.setattr(lease.Lease, "valid", property(lambda _: False))
                return call()

        return later

    return elsewhere


def nothing_to_load(bridge: Any) -> None:
    """Nobody touched anything, so a load changes nothing, and every label is there."""
    before = bridge.labels()
    plan = bridge.plan(force=True)
    assert (plan.added, plan.edited, plan.deleted) == (0, 0, 0)
    bridge.load(force=True)
    assert bridge.labels() == before


@pytest.mark.parametrize("verb", ["resume_annotation", "abort_annotation", "delete_annotation_run", "load_annotations"])
def test_nobody_else_works_on_a_run_that_is_being_sent(bridge, during, verb):
    said: list[str] = []

    def other() -> None:
        with pytest.raises(ab.RunBusy) as caught:
            getattr(ab.load_dataset(bridge.path), verb)("r")
        said.append(str(caught.value))

    if verb == "load_annotations":
        other = lambda: said.append(_refused(bridge))  # noqa: E731
    during(other)
    bridge.annotate(task_size=1)
    assert len(said) == 1
    assert bridge.ds.get_annotation_info("r")["state"] == "sent"
    assert len(bridge.server.labels) == TASKS
    nothing_to_load(bridge)


def _refused(bridge: Any) -> str:
    with pytest.raises(ab.RunError) as caught:
        ab.load_dataset(bridge.path).load_annotations("r")
    return str(caught.value)


def test_of_two_resumes_at_once_one_sends(bridge, during, monkeypatch):
    def stop() -> None:
        raise ab.exceptions.Unreachable("the network is down")

    with monkeypatch.context() as patch:
        upload = MemoryBackend.upload
        patch.setattr(MemoryBackend, "upload", lambda self, task: stop() if self.server.labels else upload(self, task))
        with pytest.raises(ab.BackendError, match=r"1 are sent: resume_annotation\('r'\)"):
            bridge.annotate(task_size=1)
    barrier, said = threading.Barrier(2), []

    def resume() -> None:
        ds = ab.load_dataset(bridge.path)
        barrier.wait()
        try:
            ds.resume_annotation("r", progress=False)
            said.append("sent")
        except ab.RunBusy:
            said.append("busy")

    threads = [threading.Thread(target=resume) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said.count("sent") >= 1
    assert len(said) == 2
    assert len(bridge.server.labels) == TASKS
    baseline = bridge.ds.stores.database.read("annotation_baseline", ["label_id", "load"])
    assert len(set(baseline["label_id"].to_pylist())) == baseline.num_rows
    nothing_to_load(bridge)


def test_a_sender_that_was_taken_over_stops_and_doubles_nothing(bridge, during, silent):
    during(silent(lambda: ab.load_dataset(bridge.path).resume_annotation("r", progress=False)))
    with pytest.raises(ab.RunBusy, match="was taken over by another process"):
        bridge.annotate(task_size=1)
    assert bridge.ds.get_annotation_info("r")["state"] == "sent"
    assert len(bridge.server.labels) == TASKS
    nothing_to_load(bridge)


def test_a_sender_whose_run_was_aborted_removes_what_it_had_just_sent(bridge, during, silent):
    def abort() -> None:
        ab.load_dataset(bridge.path).abort_annotation("r")

    during(silent(abort))
    with pytest.raises(ab.RunBusy):
        bridge.annotate(task_size=1)
    assert bridge.ds.list_annotation_runs() == []
    assert bridge.server.labels == {}


def poison(bridge: Any) -> None:
    """What two processes that sent one run at once left, before sending had an owner."""
    stores = bridge.ds.stores
    for name in ("annotation_baseline", "annotation_receipts"):
        stores.database.append(name, stores.database.read(name))


def test_a_run_that_two_processes_sent_at_once_is_noticed_and_counts_once(bridge):
    bridge.annotate(task_size=1)
    poison(bridge)
    plan = bridge.plan(force=True)
    assert (plan.added, plan.edited, plan.deleted) == (0, 0, 0)
    assert plan.notes == ("Two processes sent this run at once, and recorded 16 labels twice; each counts once.",)
    bridge.hands.set("car0", label="person")
    assert bridge.load().edited == 1
    nothing_to_load(bridge)
    bridge.ds.undo_annotations("r")
    assert bridge.label("car0")["label"] == "car"


def test_the_guard_counts_labels_and_not_their_records(bridge):
    """Most of the labels of the run would go: doubled records must not hide it."""
    bridge.annotate(task_size=1)
    poison(bridge)
    bridge.hands.delete(*(f"{what}{n}" for what in ("car", "man", "sun") for n in range(4)))
    with pytest.raises(ab.exceptions.TooManyDeletions, match="would delete 12 of the 16 labels"):
        bridge.load()
