"""What each backend says of a task that was removed from its server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from proofs import servers

import annobridge as ab
from annobridge.exceptions import Gone

SCHEMA = {"objects": {"type": "detections", "classes": ["car"]}}


@pytest.fixture(params=servers.SERVERS)
def sent(request, tmp_path: Path, monkeypatch) -> Iterator[ab.AnnotationResults]:
    """Two images, sent in a task each."""
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    with servers.SERVERS[request.param](tmp_path) as running:
        ds = ab.create_dataset(tmp_path / "set.lancedb")
        for number in range(2):
            Image.new("RGB", (64, 48)).save(tmp_path / f"{number}.png")
            box = ab.Detection("car", [0.25, 0.25, 0.25, 0.25])
            ds.add_samples([ab.Sample(str(tmp_path / f"{number}.png"), objects=[box])])
        token = {"token": running.token} if running.token else {}
        yield ds.annotate(
            "k", label_schema=SCHEMA, backend=running.backend, url=running.url, task_size=1, progress=False, **token,
            **running.more,
        )  # fmt: skip


def test_the_others_are_shown_and_opened(sent: ab.AnnotationResults) -> None:
    first, second = sent.receipts()
    whole = sent.status()["tasks"]
    sent.backend.delete(first)
    left = sent.status()["tasks"]
    assert left[first.task] == {"state": "gone", "samples": {}, "jobs": [], "url": None, "reviewed": None, "mark": None}
    assert left[second.task] == whole[second.task]
    assert sent.launch_editor() == whole[second.task]["url"]


def test_after_a_cleanup_there_is_nothing_to_open(sent: ab.AnnotationResults) -> None:
    sent.cleanup()
    sent.cleanup()
    states: set[Any] = {task["state"] for task in sent.status()["tasks"].values()}
    assert states == {"gone"}
    with pytest.raises(Gone, match="Nothing of the run 'k' is on the server any more"):
        sent.launch_editor()


def test_a_part_of_a_task_may_be_gone(sent: ab.AnnotationResults) -> None:
    """A task with a video is several tasks in CVAT."""
    if sent.backend.name != "cvat":
        pytest.skip("a task of ours is one place there")
    first, second = sent.receipts()
    both = ab.Receipt("both", {**first.state, "tasks": [*first.state["tasks"], *second.state["tasks"]]})
    url = sent.backend.editor_url(second)
    sent.backend.delete(first)
    status = sent.backend.status(both)
    assert (status.state, dict(status.samples)) == ("annotation", {"new": 1})
    gone, job = status.jobs
    number = first.state["tasks"][0]["task"]
    assert gone == {"name": f"task {number}", "state": "gone", "assignee": None, "url": None}
    assert job["url"] == url == sent.backend.editor_url(both)
