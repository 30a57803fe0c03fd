"""Tasks that are gone from the server: the status and the editor go on with those that are there."""

from __future__ import annotations

from typing import Any

import pytest

from annobridge.backend import Status
from annobridge.backend.memory import MemoryBackend
from annobridge.exceptions import Gone, Unreachable

plain = MemoryBackend.status


def raising(backend: MemoryBackend, receipt: Any) -> Status:
    """As backends do that ask a server."""
    found = plain(backend, receipt)
    if found.state == "gone":
        raise Gone("GET /api/tasks/1 finds nothing (404).")
    return found


@pytest.fixture(params=[plain, raising], ids=["stated", "raised"])
def opened(request, monkeypatch) -> list[str]:
    """The pages that were opened; every task has one, as far as the backend can tell."""
    pages: list[str] = []
    monkeypatch.setattr("webbrowser.open", pages.append)
    monkeypatch.setattr(MemoryBackend, "status", request.param)
    monkeypatch.setattr(MemoryBackend, "editor_url", lambda _, receipt: f"https://tool.example/{receipt.task}")
    return pages


def test_a_task_that_is_gone_is_shown_as_gone(bridge, opened, capsys) -> None:
    results = bridge.annotate(task_size=2)
    gone = bridge.hands.drop_task(0)
    (there,) = bridge.server.labels
    status = results.status()
    assert status["tasks"][gone] == {
        "state": "gone",
        "samples": {},
        "jobs": [],
        "url": None,
        "reviewed": None,
        "mark": None,
    }
    assert status["tasks"][there]["samples"] == {"labelled": 2, "empty": 0}
    results.print_status()
    said = capsys.readouterr().out
    assert "gone" in said
    assert f"https://tool.example/{there}" in said.replace("\n", "")
    assert gone not in said.partition("Work on it")[2]


def test_the_editor_opens_the_first_task_that_is_there(bridge, opened) -> None:
    results = bridge.annotate(task_size=2)
    bridge.hands.drop_task(0)
    (there,) = bridge.server.labels
    assert results.launch_editor() == f"https://tool.example/{there}"
    assert opened == [f"https://tool.example/{there}"]


def test_after_a_cleanup_all_is_gone_and_the_editor_says_so(bridge, opened) -> None:
    results = bridge.annotate(task_size=2)
    bridge.load(cleanup=True)
    assert {task["state"] for task in results.status()["tasks"].values()} == {"gone"}
    before = bridge.versions()
    with pytest.raises(
        Gone, match="Nothing of the run 'r' is on the server any more, so there is no page to open"
    ) as e:
        results.launch_editor()
    assert "annotate under another key" in str(e.value)
    assert opened == []
    assert bridge.versions() == before


def test_another_failure_is_not_taken_for_gone(bridge, opened, monkeypatch) -> None:
    results = bridge.annotate()

    def down(*_: Any) -> Status:
        raise Unreachable("it refuses connections")

    monkeypatch.setattr(MemoryBackend, "status", down)
    for call in (results.status, results.launch_editor):
        with pytest.raises(Unreachable, match="refuses connections"):
            call()


def test_a_tool_without_pages_opens_none(sent) -> None:
    assert sent.ds.load_annotation_results("r").launch_editor() is None
