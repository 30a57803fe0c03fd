"""A run of many small jobs, clusters on this machine, and what a load leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lance
import pyarrow as pa
import pytest
from proofs.storage import S3
from tests.doubles import cluster_backend, file_backend

import annobridge as ab

ROOT = Path(__file__).resolve().parents[2]
TASKS = 10
LABELS_PER_JOB = 40  # a task each
SECRET = "sesame-open-7341"
_TABLES = ("labels", "annotation_baseline", "annotation_changes")


def build(root: Path) -> None:
    """A dataset that was sent to a tool, where people have worked: edits, deletions and additions in each task."""
    ds = ab.create_dataset(root / "ds")
    ds.add_samples(
        ab.Sample(
            f"img{i:02}.jpg",
            sample_id=f"s{i:02}",
            objects=[ab.Detection("car", [j / 20, 0.1, 0.1, 0.1], label_id=f"car{i:02}-{j:02}") for j in range(10)],
        )
        for i in range(4 * TASKS)
    )
    tool = root / "tool"
    tool.mkdir()
    ds.annotate(
        "r", label_schema="objects", backend="clustered", folder=str(tool), token=SECRET, task_size=4, progress=False
    )
    number = 0

    def work(row: dict[str, Any]) -> list[dict[str, Any]]:
        nonlocal number
        number += 1
        if number % 7 == 0:
            return []
        if number % 5 == 0:
            return [row | {"bounding_box": [0.5, 0.5, 0.25, 0.25]}]
        if number % 11 == 0:
            return [row, row | {"remote_id": f"new{number:05}", "label_id": None}]
        return [row]

    file_backend.edit(tool, work)


@contextmanager
def built(root: Path) -> Iterator[Path]:
    """A folder with what ``build`` makes, whose tool is known during the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(cluster_backend.VARIABLE, cluster_backend.NAME)
        build(root)
        yield root


class World:
    """A dataset and its tool, in a folder; the dataset may be in a bucket."""

    def __init__(self, root: Path, s3: S3 | None = None) -> None:
        self.tool, self.options = root / "tool", s3.options if s3 else None
        self.uri = s3.uri(root / "ds") if s3 else str(root / "ds")
        self._s3, self._folder = s3, root / "ds"
        if s3:
            for path in sorted(self._folder.rglob("*")):
                if path.is_file():
                    s3.upload(path, f"{self.uri}/{path.relative_to(self._folder)}")

    def dataset(self) -> ab.Dataset:
        return ab.load_dataset(self.uri, self.options)

    def load(self, **options: Any) -> Any:
        """Load the run in small jobs."""
        results = self.dataset().load_annotation_results("r", token=SECRET, folder=str(self.tool))
        return results.load(**{"labels_per_job": LABELS_PER_JOB, "progress": False} | options)

    def plan(self, **options: Any) -> Any:
        """Plan a load in small jobs."""
        results = self.dataset().load_annotation_results("r", token=SECRET, folder=str(self.tool))
        return results.plan(**{"labels_per_job": LABELS_PER_JOB, "progress": False} | options)

    def table(self, name: str) -> lance.LanceDataset:
        return lance.dataset(f"{self.uri}/{name}.lance", storage_options=self.options)

    def content(self) -> dict[str, pa.Table]:
        """All columns of what a load writes, with the row ids of the labels, but for the times of the load."""
        found = {}
        for name in _TABLES:
            rows = self.table(name).scanner(with_row_id=name == "labels").to_table()
            found[name] = rows.drop_columns(["time"]).sort_by([("label_id", "ascending"), *_more(rows)])
        return found

    def files(self) -> list[str]:
        """All files of the staging folder."""
        if self._s3:
            return [key for key in self._s3.keys(self.uri) if "/_staging/" in key]
        return [str(path) for path in (self._folder / "_staging").rglob("*") if path.is_file()]

    def downloads(self) -> list[str]:
        return cluster_backend.downloads(self.tool)

    def behave(self, name: str, text: str = "") -> None:
        """Set how the tool behaves, see ``cluster_backend``."""
        (self.tool / name).write_text(text)


class Sending:
    """A dataset, and a tool that has nothing yet."""

    def __init__(self, root: Path, s3: S3 | None = None) -> None:
        self.tool, self.options = root / "tool", s3.options if s3 else None
        self.uri = s3.uri(root / "ds") if s3 else str(root / "ds")
        if self.tool.exists():
            self.ds = ab.load_dataset(self.uri, self.options)
            return
        self.tool.mkdir(parents=True)
        self.ds = ab.create_dataset(self.uri, self.options)
        self.ds.add_samples(
            ab.Sample(
                f"img{i:02}.jpg", sample_id=f"s{i:02}",
                objects=[ab.Detection("car", [j / 20, 0.1, 0.1, 0.1], label_id=f"car{i:02}-{j:02}") for j in range(10)],
            )
            for i in range(4 * TASKS)
        )  # fmt: skip

    def annotate(self, **options: Any) -> Any:
        return self.ds.annotate(
            "r", label_schema="objects", backend="clustered", folder=str(self.tool), token=SECRET, task_size=4, progress=False,
            **options,
        )  # fmt: skip

    def in_tool(self) -> list[tuple[list[str], list[dict[str, Any]]]]:
        """The samples and labels of each task."""
        tasks = [file_backend.read(path) for path in sorted(self.tool.glob("*.arrow"))]
        return [(samples, labels.drop_columns(["remote_id"]).to_pylist()) for labels, samples in tasks]

    def baseline(self) -> list[str]:
        rows = lance.dataset(f"{self.uri}/annotation_baseline.lance", storage_options=self.options).to_table()
        return sorted(map(str, rows.drop_columns(["remote_id", "run_id", "task"]).to_pylist()))

    def load(self) -> Any:
        return self.ds.load_annotation_results("r", token=SECRET, folder=str(self.tool)).load(progress=False)

    def behave(self, name: str, text: str = "") -> None:
        (self.tool / name).write_text(text)


def require_same(here: Sending, there: Sending) -> None:
    """Assert that a cluster of several workers has sent what this process has sent."""
    assert there.in_tool() == here.in_tool()
    assert there.baseline() == here.baseline()
    senders = cluster_backend.processes(there.tool, cluster_backend.UPLOADS)
    assert len(senders) >= 2
    assert str(os.getpid()) not in senders
    assert there.load().version is None  # nobody has edited anything


def _more(rows: pa.Table) -> list[tuple[str, str]]:
    return [("load", "ascending")] if "load" in rows.column_names else []


def child_load(uri: str, tool: str, address: str, what: str, nth: int, when: str) -> None:
    """Load on Dask, in a process that is killed at a step."""
    from tests.children import die_at

    os.environ[cluster_backend.VARIABLE] = cluster_backend.NAME
    die_at(what, nth, when)
    results = ab.load_dataset(uri).load_annotation_results("r", token=SECRET, folder=tool)
    results.load(labels_per_job=LABELS_PER_JOB, progress=False, executor="dask", workers=2, executor_address=address)


def child_annotate(root: str, address: str, what: str, nth: int, when: str) -> None:
    """Send from Dask, in a process that is killed at a step. The dataset is there."""
    from tests.children import die_at

    from annobridge.jobs import execution

    os.environ[cluster_backend.VARIABLE] = cluster_backend.NAME
    execution.LABELS_AT_ONCE = 80
    world = Sending(Path(root))
    die_at(what, nth, when)
    world.annotate(executor="dask", workers=2, executor_address=address)


@contextmanager
def dask_cluster(workers: int, **options: Any) -> Iterator[str]:
    """Processes of Dask on this machine; the address of their scheduler."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        dashboard_address="127.0.0.1:0",
        silence_logs=50,
        **options,
    ) as cluster:
        yield cluster.scheduler_address


@contextmanager
def dask_processes(
    folder: Path, variables: Mapping[str, str] | None = None
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A scheduler in a process of its own, which may be killed, with a worker; its address, and the process.

    ``variables`` are those of the worker.
    """
    file = folder / "scheduler.json"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **(variables or {})}
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": ROOT}

    scheduler = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
         "--scheduler-file", str(file)], **quiet,
    )  # fmt: skip
    worker = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(file), "--nthreads", "1",
         "--no-dashboard", "--host", "127.0.0.1", "--death-timeout", "20"], env=environment, **quiet,
    )  # fmt: skip
    try:
        yield _address(file), scheduler
    finally:
        for process in (worker, scheduler):
            process.kill()
            process.wait()


def _address(file: Path) -> str:
    for _ in range(600):
        if file.exists() and file.read_text().strip():
            return str(json.loads(file.read_text())["address"])
        time.sleep(0.1)
    raise TimeoutError("the scheduler did not start")
