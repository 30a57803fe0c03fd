"""Threads that send and read tasks of one run through one backend: they share a connection, and the project."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import requests
from PIL import Image
from tests.cvat_servers import Server

import annobridge as ab
from annobridge.backend import Receipt, Task
from annobridge.backend.memory import MemoryBackend
from annobridge_cvat import CvatBackend
from annobridge_cvat.api import Api
from annobridge_cvat.config import CvatConfig

THREADS, TASKS = 4, 6


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    """Tasks of an image each, with a box and a number."""
    found: list[Task] = []
    upload = MemoryBackend.upload

    def note(backend: MemoryBackend, task: Task) -> Receipt:
        found.append(task)
        return upload(backend, task)

    dataset = ab.create_dataset(tmp_path / "set")
    for n in range(TASKS):
        Image.new("RGB", (64, 48)).save(tmp_path / f"{n}.png")
        boxes = [ab.Detection("car", [n / 10, 0.25, 0.25, 0.5])]
        dataset.add_samples([ab.Sample(tmp_path / f"{n}.png", sample_id=f"s{n}", objects=boxes, number=ab.Scalar(n))])
    schema = {"objects": {"type": "detections", "classes": ["car"]}, "number": {"type": "scalar"}}
    with monkeypatch.context() as patch:
        patch.setattr(MemoryBackend, "upload", note)
        dataset.annotate(
            f"run{uuid.uuid4().hex[:6]}", label_schema=schema, backend="memory", task_size=1, progress=False
        )
    return found


@pytest.fixture
def backend(server: Server) -> Iterator[CvatBackend]:
    """A backend that has not connected yet, whose runs have a project."""
    name = f"at once {uuid.uuid4().hex[:8]}"
    made = CvatBackend(CvatConfig(url=server.url, token=server.token, project_name=name))
    yield made
    made.close()


def at_once(call: Callable[[Any], Any], arguments: list[Any]) -> list[Any]:
    """What a call returns or raises for each argument, from threads."""

    def attempt(argument: Any) -> Any:
        try:
            return call(argument)
        except ab.BackendError as error:
            return error

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(attempt, arguments))


def projects(server: Server, backend: CvatBackend) -> list[dict[str, Any]]:
    """The projects of the backend's name, each with the number of its tasks."""
    token = {"Authorization": f"Token {server.token}"}
    answer = requests.get(f"{server.url}/api/projects?name={backend.config.project_name}", headers=token, timeout=60)
    return list(answer.json()["results"])


def boxes(downloads: list[Any]) -> set[tuple[Any, ...]]:
    rows = pa.concat_tables([download.labels for download in downloads]).to_pylist()
    return {(r["sample_id"], r["kind"], r["value"], *(r["bounding_box"] or ())) for r in rows}


def test_they_share_a_connection_and_a_project(
    tasks: list[Task], backend: CvatBackend, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = []
    init = Api.__init__
    monkeypatch.setattr(Api, "__init__", lambda api, *args: (connected.append(api), init(api, *args))[1])
    receipts = at_once(backend.upload, tasks)
    assert len(connected) == 1
    (project,) = projects(server, backend)
    assert project["tasks"]["count"] == TASKS
    assert {receipt.state["project"] for receipt in receipts} == {project["id"]}
    assert boxes(at_once(backend.download, receipts)) == boxes([backend.download(r) for r in receipts])
    assert [r.state for r in at_once(backend.upload, tasks)] == [r.state for r in receipts]
    at_once(backend.delete, receipts)
    assert not projects(server, backend)


def test_a_task_that_is_refused_leaves_the_project_to_the_others(
    tasks: list[Task], backend: CvatBackend, server: Server, tmp_path: Path
) -> None:
    for n in (0, 3):
        (tmp_path / f"{n}.png").write_bytes(b"no image")
    receipts = at_once(backend.upload, tasks)
    assert [isinstance(receipt, ab.Rejected) for receipt in receipts] == [n in (0, 3) for n in range(TASKS)]
    (project,) = projects(server, backend)
    assert project["tasks"]["count"] == TASKS - 2
    at_once(backend.delete, [receipt for receipt in receipts if isinstance(receipt, Receipt)])


def test_a_project_is_removed_if_all_are_refused(
    tasks: list[Task], backend: CvatBackend, server: Server, tmp_path: Path
) -> None:
    for n in range(TASKS):
        (tmp_path / f"{n}.png").write_bytes(b"no image")
    assert all(isinstance(answer, ab.Rejected) for answer in at_once(backend.upload, tasks))
    assert not projects(server, backend)
