"""Loads on Dask: the same as here, whatever ends in between."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from proofs.storage import S3
from tests import children, command_line
from tests.bridge import clusters
from tests.bridge.clusters import TASKS, World
from tests.doubles import cluster_backend

import annobridge as ab
from annobridge.store import load_staging

pytest.importorskip("distributed", reason="the extra annobridge[dask] is not installed")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with clusters.built(tmp_path_factory.mktemp("built")) as root:
        yield root


@pytest.fixture(scope="module")
def expected(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a load in this process leaves."""
    root = tmp_path_factory.mktemp("expected") / "w"
    shutil.copytree(built, root)
    world = World(root)
    world.load(workers=1)
    return world.content()


@pytest.fixture
def world(built: Path, tmp_path: Path) -> World:
    shutil.copytree(built, tmp_path / "w")
    return World(tmp_path / "w")


@pytest.fixture(scope="module")
def started() -> Iterator[Callable[[int], dict[str, Any]]]:
    """Gives the options for a cluster of some workers, which is started when it is first asked for."""
    with ExitStack() as running:
        addresses: dict[int, str] = {}

        def options(workers: int) -> dict[str, Any]:
            if workers not in addresses:
                addresses[workers] = running.enter_context(clusters.dask_cluster(workers))
            return {"executor": "dask", "executor_address": addresses[workers]}

        yield options


@pytest.fixture
def dask(started: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
    """The options for two workers."""
    return started(2)


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with S3() as server:
        yield server


@pytest.mark.parametrize("workers", [2, 4])
@pytest.mark.parametrize("where", ["disk", "s3"])
def test_the_dataset_is_the_same_as_after_a_local_load(built, expected, started, tmp_path, s3, where, workers) -> None:
    shutil.copytree(built, tmp_path / "w")
    world = World(tmp_path / "w", s3 if where == "s3" else None)
    world.behave(cluster_backend.SLOW, "0.1")
    before = world.table("labels").version
    report = world.load(**started(workers))
    assert (report.added, report.edited, report.deleted) == (25, 69, 57)
    assert world.content() == expected
    assert world.table("labels").version == before + 1
    assert len(world.downloads()) == TASKS
    assert len(cluster_backend.processes(world.tool)) == workers
    del report
    assert world.files() == []
    assert world.table("labels").tags.list() == {}


def test_a_killed_worker_costs_only_its_jobs(world, expected, dask) -> None:
    task = sorted(path.stem for path in world.tool.glob("*.arrow"))[4]
    world.behave(cluster_backend.KILLS, task)
    world.load(**dask)
    assert world.content() == expected
    repeated = len(world.downloads()) - TASKS
    assert 1 <= repeated <= 4  # those of two workers' calls at most
    assert world.files() == []


# Where the driver is killed, and whether the load has happened then.
KILLS = {
    "after the first results": ("annobridge.bridge.job_files:from_json", 4, "after", False),
    "before anything is written": ("annobridge.store.runs:Runs.begin_load", 1, "before", False),
    "with files written": ("annobridge.bridge.apply:append_history", 1, "before", False),
    "with the history written": ("annobridge.bridge.apply:append_history", 1, "after", False),
    "right after the commit": ("annobridge.store.labels:Labels.commit_written", 1, "after", True),
    "before the end": ("annobridge.store.runs:Runs.end_load", 1, "before", True),
}


@pytest.mark.parametrize("point", KILLS)
def test_a_killed_driver_leaves_before_or_after(world, expected, dask, point) -> None:
    what, nth, when, has_happened = KILLS[point]
    before = world.content()["labels"]
    outcome = children.call(clusters.child_load, world.uri, str(world.tool), dask["executor_address"], what, nth, when)
    assert outcome.kind == "killed", outcome
    assert world.content()["labels"] == (expected["labels"] if has_happened else before)
    assert world.files()
    downloaded = len(world.downloads())
    report = world.load(**dask)
    assert world.content()["labels"] == expected["labels"]
    if point in list(KILLS)[:2]:  # what was planned before counts
        assert len(world.downloads()) - downloaded <= TASKS - 4
        assert len(set(world.downloads())) == TASKS
        assert "were downloaded by a load that was interrupted" in report.notes[0]
    del report
    assert world.files() == []
    assert world.table("labels").tags.list() == {}


def test_a_load_with_other_options_starts_anew(world, expected, dask) -> None:
    what, nth, when, _ = KILLS["before anything is written"]
    address = dask["executor_address"]
    assert children.call(clusters.child_load, world.uri, str(world.tool), address, what, nth, when).kind == "killed"
    left = {Path(path).parent for path in world.files()}
    report = world.load(**dask, invalid="refuse")
    assert len(world.downloads()) == 2 * TASKS
    assert left.isdisjoint({Path(path).parent for path in world.files()})
    assert report.notes == ()
    assert world.content()["labels"] == expected["labels"]


def test_files_of_a_load_that_nobody_repeated_are_removed_later(world, dask, monkeypatch) -> None:
    what, nth, when, _ = KILLS["before anything is written"]
    address = dask["executor_address"]
    assert children.call(clusters.child_load, world.uri, str(world.tool), address, what, nth, when).kind == "killed"
    ds = world.dataset()
    tool = world.tool.parent / "other"
    tool.mkdir()
    ds.annotate("other", label_schema="objects", backend="clustered", folder=str(tool), progress=False)
    other = ds.load_annotation_results("other", folder=str(tool))
    other.load(**dask, progress=False)
    assert world.files()  # the run may still be loaded
    monkeypatch.setattr(load_staging, "KEPT", load_staging.timedelta(0))
    other.load(**dask, progress=False)
    assert world.files() == []
    assert world.table("labels").tags.list() == {}


def test_a_plan_on_a_cluster_is_applied_there(world, expected, dask) -> None:
    plan = world.plan(**dask)
    assert len(plan.changes)
    assert world.files()
    assert len(world.table("labels").tags.list()) == 1
    plan.apply()
    assert world.content() == expected
    plan.close()
    assert world.files() == []


def test_the_commands_take_a_cluster(world, expected, dask) -> None:
    where = ["--executor", "dask", "--executor-address", dask["executor_address"], "--workers", "2"]
    common = ["r", "-d", world.uri, "-o", f"folder={world.tool}", "-o", f"token={clusters.SECRET}", *where]
    planned = command_line.data("plan", *common, code=2)
    loaded = command_line.data("load", *common)
    counts = {"added": 25, "edited": 69, "deleted": 57}
    assert {name: planned[name] for name in counts} == {name: loaded[name] for name in counts} == counts
    assert world.content() == expected


def test_labels_that_are_added_meanwhile_do_not_disturb(world, expected, dask) -> None:
    plan = world.plan(**dask)
    world.dataset().add_labels("mine", [{"sample_id": "s00", "kind": "classification", "label": "x"}])
    plan.apply()
    assert world.content()["labels"].num_rows == expected["labels"].num_rows + 1


def test_a_compaction_and_a_clean_up_meanwhile_do_not_disturb(world, expected, dask) -> None:
    plan = world.plan(**dask)
    world.dataset().add_labels("mine", [{"sample_id": "s00", "kind": "classification", "label": "x"}])
    kept = world.dataset().optimize(cleanup_older_than=timedelta(0)).kept
    assert "a load on a cluster" in str(kept)
    plan.apply()
    labels = world.content()["labels"]
    found, wanted = labels.filter(pc.equal(labels["field"], "objects")), expected["labels"]
    assert found.drop_columns(["_rowid"]) == wanted.drop_columns(["_rowid"])
    is_old = pc.less(wanted["_rowid"], 400)  # those of new labels are later, by the one that was added
    assert found["_rowid"].filter(is_old) == wanted["_rowid"].filter(is_old)


def test_a_label_that_is_changed_meanwhile_makes_the_plan_stale(world, dask) -> None:
    plan = world.plan(**dask)
    edited = next(row["label_id"] for row in plan.to_arrow().to_pylist() if row["action"] == "edit")
    world.dataset().delete_labels([edited])
    before = world.content()["labels"]
    with pytest.raises(ab.StalePlan, match="changed by somebody else meanwhile"):
        plan.apply()
    assert world.content()["labels"] == before


def test_a_dataset_with_a_load_under_way_can_be_overwritten_by_an_import(world, dask) -> None:
    plan = world.plan(**dask)
    assert world.files()
    source = world.tool.parent / "source"
    source.mkdir()
    (source / "metadata.jsonl").write_text("")
    with pytest.raises(ab.AnnobridgeError) as refused:
        ab.import_dataset(source, world.uri, mode="overwrite")
    assert "_staging" not in str(refused.value)
    plan.close()
