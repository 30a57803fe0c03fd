"""Sending from the workers of a cluster: the tool and the baseline have what they have after sending from here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from proofs.storage import S3
from tests import children
from tests.bridge import clusters
from tests.bridge.clusters import SECRET, TASKS, Sending
from tests.doubles import cluster_backend

import annobridge as ab
from annobridge.jobs import execution

pytest.importorskip("distributed", reason="the extra annobridge[dask] is not installed")


@pytest.fixture(autouse=True)
def small_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cluster_backend.VARIABLE, cluster_backend.NAME)
    monkeypatch.setattr(execution, "LABELS_AT_ONCE", 80)  # two tasks a job


@pytest.fixture(scope="module")
def dask() -> Iterator[dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(cluster_backend.VARIABLE, cluster_backend.NAME)  # the workers inherit it
        with clusters.dask_cluster(2) as address:
            yield {"executor": "dask", "executor_address": address}


@pytest.mark.parametrize("where", ["disk", "s3"])
def test_the_tool_has_what_it_has_after_sending_from_here(tmp_path, dask, where) -> None:
    here = Sending(tmp_path / "here")
    here.annotate(workers=1)
    with S3() if where == "s3" else nullcontext() as server:
        there = Sending(tmp_path / "there", server)
        there.annotate(**dask)
        clusters.require_same(here, there)


def test_a_worker_that_ends_after_it_has_sent_a_task(tmp_path, dask) -> None:
    world = Sending(tmp_path / "w")
    world.behave(cluster_backend.KILLS_SENDER, "-00005")
    world.annotate(**dask)
    assert len(world.in_tool()) == TASKS  # none twice
    assert world.load().version is None


@pytest.mark.parametrize(
    ("what", "nth", "when"),
    [
        ("annobridge.store.runs:Runs.add_tasks", 1, "after"),
        ("annobridge.store.baseline:Baseline.add_written", 1, "before"),
        ("annobridge.store.baseline:Baseline.add_written", 1, "after"),
        ("annobridge.store.runs:Runs.add_receipts", 1, "after"),
        ("annobridge.store.runs:Runs.end_sending", 1, "before"),
    ],
)
def test_a_killed_driver_leaves_a_run_that_is_resumed(tmp_path, dask, what, nth, when) -> None:
    here, there = Sending(tmp_path / "here"), Sending(tmp_path / "there")
    here.annotate(workers=1)
    outcome = children.call(clusters.child_annotate, str(tmp_path / "there"), dask["executor_address"], what, nth, when)
    assert outcome.kind == "killed", outcome
    there.ds.resume_annotation("r", token=SECRET, folder=str(there.tool), progress=False, **dask)
    assert there.in_tool() == here.in_tool()
    assert there.baseline() == here.baseline()
    assert there.load().version is None


def test_a_cluster_that_is_not_there(tmp_path) -> None:
    world = Sending(tmp_path / "w")
    with pytest.raises(
        ab.ExecutorError, match=r"There is no Dask scheduler at 'tcp://127.0.0.1:1'.* Nothing was sent\.$"
    ) as caught:
        world.annotate(executor="dask", executor_address="tcp://127.0.0.1:1")
    assert SECRET not in str(caught.value)
    assert world.ds.list_annotation_runs() == []
    assert world.in_tool() == []


def test_an_executor_that_ends_while_tasks_are_sent(tmp_path) -> None:
    world = Sending(tmp_path / "w")
    with pytest.raises(
        ab.ExecutorError,
        match=r"The executor Ends ended before the work was done.*are sent: resume_annotation\('r'\) sends the rest",
    ):
        world.annotate(executor=Ends(after=10))  # four questions for versions, five jobs checked, one sent
    assert len(world.in_tool()) == 2
    assert world.ds.get_annotation_info("r")["state"] == "sending"
    world.ds.resume_annotation("r", token=SECRET, folder=str(world.tool))
    assert len(world.in_tool()) == TASKS
    assert world.load().version is None


class Ends:
    """Makes so many calls in this process, then none."""

    def __init__(self, after: int) -> None:
        self.left = after

    def submit(self, function: Any, *arguments: Any) -> Any:
        from concurrent.futures import BrokenExecutor, Future

        if not self.left:
            raise BrokenExecutor("The pool is gone.")
        self.left -= 1
        future: Any = Future()
        future.set_result(function(*arguments))
        return future


def test_a_tool_that_refuses_the_credentials_of_workers(tmp_path, dask, monkeypatch) -> None:
    world = Sending(tmp_path / "w")
    world.behave(cluster_backend.DENIED)
    monkeypatch.setenv(cluster_backend.ACCESS, "1")  # which this process has, and the workers have not
    with pytest.raises(
        ab.Denied, match=r"refuses the credentials; correct them\..*resume_annotation\('r'\) sends the rest"
    ) as caught:
        world.annotate(**dask)
    assert SECRET not in str(caught.value)
    assert world.in_tool() == []
    world.ds.abort_annotation("r", token=SECRET, folder=str(world.tool))
    assert world.ds.list_annotation_runs() == []


def test_a_tool_in_this_process(tmp_path, dask) -> None:
    world = Sending(tmp_path / "w")
    with pytest.raises(
        ab.InvalidOption, match="is in the memory of this process, where the workers of a cluster cannot reach it"
    ):
        world.ds.annotate("r", label_schema="objects", backend="memory", progress=False, **dask)
    assert world.ds.list_annotation_runs() == []
