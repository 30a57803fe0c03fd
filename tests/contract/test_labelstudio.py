"""The contract tests of the Label Studio backend. They also run against a real server if one is named: see
``tests/labelstudio_servers.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partialmethod
from typing import Any

import pytest
from tests import labelstudio_servers
from tests.contract.labelstudio_hands import Editor
from tests.labelstudio_servers import Server

from annobridge.bridge.results import AnnotationResults
from annobridge.dataset import Dataset
from annobridge.testing import BackendContract, Tool
from annobridge_labelstudio import LabelStudioBackend


class _Laws(BackendContract):
    backend = LabelStudioBackend
    any_class = True
    server: Server

    @pytest.fixture(autouse=True)
    def _push_over_finished_work(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever saves an image in Label Studio has finished it, and a push over finished work is to be asked for."""
        monkeypatch.setattr(Dataset, "push_annotations", partialmethod(Dataset.push_annotations, force=True))

    def options(self) -> Mapping[str, Any]:
        return self.server.options()

    def tool(self, results: AnnotationResults) -> Tool:
        return Editor(self.server, results)

    def image(self, results: AnnotationResults, sample_id: str) -> bytes:
        task = self.server.call("GET", f"/api/tasks/{Editor(self.server, results).task_of(sample_id)}")
        return self.server.send("GET", task["data"]["image"]).content

    def answer(self, results: AnnotationResults, samples: Sequence[Sequence[str]]) -> Sequence[str]:
        people = self.server, labelstudio_servers.second(self.server)
        editor = Editor(self.server, results)
        for person, ids in zip(people, samples, strict=True):
            for sample_id in ids:
                path = f"/api/tasks/{editor.task_of(sample_id)}"
                task = person.call("GET", path)
                sent = [one["result"] for one in (*task["annotations"], *task["predictions"])][:1]
                person.call("POST", f"{path}/annotations/", json={"result": sent[0] if sent else []})
        return [person.call("GET", "/api/current-user/whoami")["email"] for person in people]


class _Predictions(_Laws):
    """Labels are sent as predictions, which people correct and submit."""

    def options(self) -> Mapping[str, Any]:
        return {**super().options(), "as_predictions": True}


class _Double:
    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with labelstudio_servers.double() as self.server:
            yield


class TestDouble(_Double, _Laws): ...


class TestDoublePredictions(_Double, _Predictions): ...


if labelstudio_servers.HAS_REAL:

    class _Real:
        @pytest.fixture(autouse=True)
        def _server(self) -> Iterator[None]:
            with labelstudio_servers.real() as self.server:
                yield

    class TestReal(_Real, _Laws): ...

    class TestRealPredictions(_Real, _Predictions): ...
