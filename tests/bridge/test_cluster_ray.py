"""Loads on Ray: the same as here. Skipped without the extra."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from proofs.storage import S3
from tests.bridge import clusters
from tests.bridge.clusters import ROOT, TASKS, Sending, World
from tests.doubles import cluster_backend

import annobridge as ab
from annobridge.jobs import execution

os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # it listens on loopback only; Ray reads this when it is imported
ray = pytest.importorskip("ray", reason="the extra annobridge[ray] is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray leaves files and sockets open


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with clusters.built(tmp_path_factory.mktemp("built")) as root:
        yield root


@pytest.fixture(scope="module", params=[2, 4])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A cluster of so many workers in processes of its own."""
    folder = tmp_path_factory.mktemp("ray")
    variables = {
        "RAY_AUTH_MODE": "disabled", "RAY_TMPDIR": str(folder), "PYTHONPATH": os.pathsep.join(sys.path),
        "RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # the last: on loopback only
    }  # fmt: skip
    port = 20000 + os.getpid() % 20000 + request.param
    command = [
        sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--node-ip-address=127.0.0.1",
        f"--port={port}", f"--num-cpus={request.param}", "--include-dashboard=false", "--object-store-memory=100000000",
        "--disable-usage-stats",
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        head = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(port)
            yield {"executor": "ray", "executor_address": f"127.0.0.1:{port}"}
        finally:
            ray.shutdown()
            head.terminate()
            head.wait(60)


def wait_for(port: int) -> None:
    import socket
    import time

    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            time.sleep(3)  # until the node is known
            return
    raise TimeoutError("Ray did not start")


@pytest.mark.parametrize("where", ["disk", "s3"])
def test_the_dataset_is_the_same_as_after_a_local_load(built, tmp_path, cluster, where) -> None:
    shutil.copytree(built, tmp_path / "a")
    shutil.copytree(built, tmp_path / "b")
    here = World(tmp_path / "a")
    here.load(workers=1)
    with S3() as s3:
        world = World(tmp_path / "b", s3 if where == "s3" else None)
        world.load(**cluster)
        assert world.content() == here.content()
        assert len(world.downloads()) == TASKS
        assert world.files() == []


def test_a_killed_worker_costs_only_its_jobs(built, tmp_path, cluster) -> None:
    shutil.copytree(built, tmp_path / "a")
    shutil.copytree(built, tmp_path / "b")
    here, world = World(tmp_path / "a"), World(tmp_path / "b")
    here.load(workers=1)
    world.behave(cluster_backend.KILLS, sorted(path.stem for path in world.tool.glob("*.arrow"))[4])
    world.load(**cluster)
    assert world.content() == here.content()
    assert 1 <= len(world.downloads()) - TASKS <= 4


def test_an_error_of_the_tool_in_a_worker_is_raised_as_it_is(built, tmp_path, cluster, monkeypatch) -> None:
    shutil.copytree(built, tmp_path / "w")
    world = World(tmp_path / "w")
    world.behave(cluster_backend.DENIED)
    monkeypatch.setenv(cluster_backend.ACCESS, "1")
    with pytest.raises(ab.Denied, match=r"^The server refuses the credentials; correct them\. Nothing was loaded"):
        world.load(**cluster)


def test_nothing_listens_at_the_address(built, tmp_path) -> None:
    shutil.copytree(built, tmp_path / "w")
    with pytest.raises(
        ab.ExecutorError, match=r"^There is no Ray cluster at '127\.0\.0\.1:1' that answers within 10 sec"
    ):
        World(tmp_path / "w").load(executor="ray", executor_address="127.0.0.1:1")


def test_no_address(built, tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    shutil.copytree(built, tmp_path / "w")
    with pytest.raises(
        ab.InvalidOption, match="^executor='ray' needs the address of a cluster; give executor_address="
    ):
        World(tmp_path / "w").load(executor="ray")


def test_the_tool_has_what_it_has_after_sending_from_here(tmp_path, cluster, monkeypatch) -> None:
    monkeypatch.setenv(cluster_backend.VARIABLE, cluster_backend.NAME)
    monkeypatch.setattr(execution, "LABELS_AT_ONCE", 40)  # a task each
    here, there = Sending(tmp_path / "here"), Sending(tmp_path / "there")
    here.annotate(workers=1)
    there.annotate(**cluster)
    clusters.require_same(here, there)
