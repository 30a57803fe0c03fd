"""What is wrong with a cluster is a sentence, and changes nothing."""

from __future__ import annotations

import concurrent.futures
import os
import re
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from proofs.storage import S3
from tests.bridge import clusters
from tests.bridge.clusters import SECRET, TASKS, World
from tests.doubles import cluster_backend

import annobridge as ab
from annobridge.bridge import place
from annobridge.jobs import calls
from annobridge.store import staged_files

pytest.importorskip("distributed", reason="the extra annobridge[dask] is not installed")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with clusters.built(tmp_path_factory.mktemp("built")) as root:
        yield root


@pytest.fixture
def loaded(built: Path, tmp_path: Path) -> World:
    """A run that the test may load."""
    shutil.copytree(built, tmp_path / "w")
    return World(tmp_path / "w")


@pytest.fixture
def world(loaded: World) -> Iterator[World]:
    """A run; nothing of the dataset may be changed by the test."""
    before = loaded.content()
    yield loaded
    assert loaded.content() == before


@pytest.fixture(scope="module")
def dask() -> Iterator[dict[str, Any]]:
    with clusters.dask_cluster(1) as address:
        yield {"executor": "dask", "executor_address": address}


def refused(world: World, error: type[Exception], **options: Any) -> str:
    with pytest.raises(error) as caught:
        world.load(**options)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_nothing_listens_at_the_address(world) -> None:
    text = refused(world, ab.ExecutorError, executor="dask", executor_address="tcp://127.0.0.1:1")
    assert text.startswith("There is no Dask scheduler at 'tcp://127.0.0.1:1' that answers within 10 seconds; start it")
    assert not world.files()
    assert world.downloads() == []


def test_something_else_listens_at_the_address(world, monkeypatch) -> None:
    from annobridge.executors import dask as adapter

    monkeypatch.setattr(adapter, "CONNECTING", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        text = refused(world, ab.ExecutorError, executor="dask", executor_address=address)
        assert time.monotonic() - started < 30
    assert text.startswith(f"There is no Dask scheduler at '{address}' that answers")


def test_an_address_of_another_kind(world) -> None:
    text = refused(world, ab.InvalidOption, executor="dask", executor_address="carrier-pigeon")
    assert "executor_address='carrier-pigeon' is no address of a Dask scheduler; give one as tcp://" in text


def test_no_address(world) -> None:
    text = refused(world, ab.InvalidOption, executor="dask")
    assert text.startswith("executor='dask' needs the address of a scheduler; give executor_address=")


def test_an_address_for_this_machine(world) -> None:
    text = refused(world, ab.InvalidOption, executor="local", executor_address="tcp://127.0.0.1:1")
    assert "is the address of a cluster, which executor='local' does not take; leave it out" in text


def test_a_cluster_without_workers(world, monkeypatch) -> None:
    from distributed import LocalCluster

    from annobridge.executors import dask as adapter

    monkeypatch.setattr(adapter, "CONNECTING", 2.0)
    with LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0", silence_logs=50) as cluster:
        text = refused(world, ab.ExecutorError, executor="dask", executor_address=cluster.scheduler_address)
    assert "has no worker; start some. Nothing was loaded" in text
    assert not world.files()


def test_the_extra_is_not_installed(world, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "annobridge.executors.dask", raising=False)
    text = refused(world, ab.ConfigError, executor="dask", executor_address="tcp://127.0.0.1:1")
    assert text == "executor='dask' cannot be used, as distributed is not installed; pip install 'annobridge[dask]'."


def test_an_unknown_executor(world) -> None:
    text = refused(world, ab.InvalidOption, executor="dusk")
    assert text == "There is no executor 'dusk' (argument); did you mean 'dask'?"


@pytest.mark.parametrize("workers", [0, -1, True, 1.5, "many"])
def test_a_number_of_workers_that_is_none(world, workers) -> None:
    text = refused(world, ab.InvalidOption, workers=workers)
    assert text == f"workers={workers!r} (argument) is not a number of workers; give 1 or more."


def test_an_executor_that_is_none(world) -> None:
    text = refused(world, ab.InvalidOption, executor=3)
    assert text == "executor=3 (argument) should be the name of an executor."


@pytest.mark.parametrize(("package", "name"), [("annobridge", "annobridge"), ("pylance", "lance")])
def test_workers_have_another_version(world, tmp_path, package, name) -> None:
    info = tmp_path / "other" / f"{package}-9.9.9.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 9.9.9\n")
    path = os.pathsep.join([str(info.parent), *sys.path])
    with clusters.dask_processes(tmp_path, {"PYTHONPATH": path}) as (address, _):
        text = refused(world, ab.ExecutorError, executor="dask", executor_address=address)
    mine = calls.versions()[name]
    assert text.startswith(
        f"The workers have {name} 9.9.9, and this process has {name} {mine}; install the same version"
    )
    assert not world.files()
    assert world.downloads() == []


def test_a_single_worker_with_another_version_is_found_at_its_first_call(monkeypatch) -> None:
    sealed = calls.Sealed((max,))
    here = calls.versions()
    found = calls.in_worker({**here, "Python": "3.8"}, sealed, sealed, True)
    assert isinstance(found, ab.ExecutorError)
    assert str(found).startswith(f"The workers have Python {here['Python']}, and this process has Python 3.8; install")


def test_a_worker_cannot_reach_the_store(loaded, tmp_path, dask, monkeypatch) -> None:
    with S3() as s3:
        world = World(tmp_path / "w", s3)
        before = world.content()
        for name, value in (s3.options or {}).items():  # which this process has, and the workers have not
            monkeypatch.setenv(f"AWS_{name.upper().removeprefix('AWS_')}", value)
        world.options = None
        text = refused(world, ab.ExecutorError, **dask)
        assert text.startswith(f"A worker on {socket.gethostname()} cannot open the dataset: ")
        assert "those in storage_options are sent to them" in text
        assert world.content() == before
        assert world.downloads() == []


def test_a_worker_is_refused_by_the_tool(world, dask, monkeypatch) -> None:
    world.behave(cluster_backend.DENIED)
    monkeypatch.setenv(cluster_backend.ACCESS, "1")  # which this process has, and the workers have not
    text = refused(world, ab.BackendError, **dask)
    assert text.startswith(
        "The server refuses the credentials; correct them. Nothing was loaded; load_annotations('r')"
    )
    assert text.endswith(f"This was in a worker on {socket.gethostname()}.")
    assert world.downloads() == []


def test_a_tool_in_this_process(tmp_path, dask) -> None:
    ds = ab.create_dataset(tmp_path / "ds")
    ds.add_samples([ab.Sample("a.jpg", objects=[ab.Detection("car", [0, 0, 0.5, 0.5])])])
    ds.annotate("m", label_schema="objects", backend="memory", progress=False)
    with pytest.raises(ab.InvalidOption) as caught:
        ds.load_annotations("m", **dask)
    assert str(caught.value) == (
        "The backend 'memory' is in the memory of this process, where the workers of a cluster cannot reach it; leave executor= "
        "out."
    )


def test_a_function_that_cannot_be_sent(world, dask) -> None:
    lock = threading.Lock()
    text = refused(world, ab.InvalidOption, **dask, unexpected=lambda rows: [str(lock)] * len(rows))
    assert text.startswith("What this needs cannot be sent to workers (TypeError: cannot pickle '_thread.lock'")
    assert not world.files()


def test_a_file_is_removed_before_the_commit(loaded, dask, monkeypatch) -> None:
    world = loaded
    from annobridge.bridge import apply

    known = set((Path(world.uri) / "labels.lance" / "data").iterdir())
    plain = apply.append_history

    def clean_up(*arguments: Any) -> None:
        plain(*arguments)
        next(iter(set((Path(world.uri) / "labels.lance" / "data").iterdir()) - known)).unlink()

    version, labels = world.table("labels").version, world.content()["labels"]
    with monkeypatch.context() as patch:
        patch.setattr(apply, "append_history", clean_up)
        with pytest.raises(
            ab.StoreError, match="a clean-up has removed what was not committed yet. Nothing was published"
        ):
            world.load(**dask)
    assert world.content()["labels"] == labels
    assert world.table("labels").version == version
    assert world.dataset().load_annotation_results("r").to_dict()["loads"][0]["state"] == "aborted"


def test_credentials_are_in_no_text(world, dask) -> None:
    plan = world.plan(**dask)
    stores = world.dataset().stores
    tool = plan._answers
    for value in (
        place.Place.of(stores, tool), calls.Sealed((SECRET,)),
        staged_files.StagedFolder(world.uri, {"aws_secret_access_key": SECRET}),
        place.DatasetPlace(world.uri, {"aws_secret_access_key": SECRET}),
    ):  # fmt: skip
        assert SECRET not in repr(value)
    everything = [path for path in Path(world.uri).rglob("*") if path.is_file()]
    assert [path for path in everything if "_staging" in path.parts]
    assert not [path for path in everything if SECRET.encode() in path.read_bytes()]


def test_credentials_are_in_no_key_and_no_log_of_dask(world, dask) -> None:
    from distributed import Client

    world.behave(cluster_backend.DENIED)  # so that the calls fail
    refused(world, ab.BackendError, **dask)
    with Client(dask["executor_address"], set_as_default=False) as client:
        events = client.run_on_scheduler(lambda dask_scheduler: repr(list(dask_scheduler.transition_log)))
        logs = repr(client.get_worker_logs()) + repr(client.get_scheduler_logs())
    assert "in_worker-" in events
    assert SECRET not in events + logs


def test_what_dask_logs_of_a_call_that_fails_has_no_credentials(dask) -> None:
    from distributed import Client

    sealed = calls.Sealed((SECRET,))
    with Client(dask["executor_address"], set_as_default=False) as client:
        with pytest.raises(KeyError):  # a mistake, and no error of annobridge, so that it is raised there
            client.submit(calls.in_worker, {}, sealed, sealed, True, pure=False).result()
        logs = repr(client.get_worker_logs())
    assert "Compute Failed" in logs
    assert SECRET not in logs


def test_a_scheduler_that_ends_in_the_middle(loaded, tmp_path, dask) -> None:
    world, before = loaded, loaded.content()
    world.behave(cluster_backend.SLOW, "0.5")
    with clusters.dask_processes(tmp_path) as (address, scheduler):

        def kill() -> None:
            while len(world.downloads()) < 5:
                time.sleep(0.05)
            scheduler.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        text = refused(world, ab.ExecutorError, executor="dask", executor_address=address, workers=2)
        killer.join()
    assert text.startswith(f"The Dask scheduler at {address} did not finish the work: ")
    assert world.content() == before
    known = len(set(world.downloads()))
    assert 4 <= known < TASKS
    (world.tool / cluster_backend.SLOW).unlink()
    report = world.load(**dask)
    assert re.match(r"[45] tasks were downloaded by a load that was interrupted, and which began at", report.notes[0])
    assert len(set(world.downloads())) == TASKS
    assert len(world.downloads()) <= TASKS + 2  # the calls that went on are made again


class Broken:
    """An executor whose workers end."""

    def submit(self, function: Any, /, *arguments: Any) -> concurrent.futures.Future[Any]:
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        if function is calls.in_worker:
            future.set_exception(concurrent.futures.BrokenExecutor("gone"))
        else:
            future.set_result(function(*arguments))
        return future


def test_a_given_executor_that_breaks(world) -> None:
    text = refused(world, ab.ExecutorError, executor=Broken())
    assert text.startswith("The executor Broken ended before the work was done (BrokenExecutor). Start it again")


def test_a_given_executor_is_used(built, tmp_path) -> None:
    for name in ("a", "b"):
        shutil.copytree(built, tmp_path / name)
    here, there = World(tmp_path / "a"), World(tmp_path / "b")
    here.load(workers=1)
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        there.load(executor=threads)
    assert there.content() == here.content()


def test_a_function_for_unexpected_labels_is_sent(built, tmp_path, dask) -> None:
    shutil.copytree(built, tmp_path / "w")
    world = World(tmp_path / "w")
    assert world.load(**dask, unexpected=lambda rows: ["objects"] * len(rows)).added == 25
