"""The CVAT backend obeys the laws: on a double of the oldest and of a new server, and on a real one where there is one.

``ANNOBRIDGE_TEST_CVAT_URL`` with ``_USERNAME`` and ``_PASSWORD``, or ``_TOKEN``, names the real server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from tests.contract.cvat_hands import Editor
from tests.cvat_servers import HAS_REAL, Server

from annobridge.bridge.results import AnnotationResults
from annobridge.testing import BackendContract, Tool
from annobridge_cvat import CvatBackend


class _Laws(BackendContract):
    backend = CvatBackend
    server: Server
    editors: list[Editor]

    @pytest.fixture(autouse=True)
    def _editors(self) -> Iterator[None]:
        self.editors = []
        yield
        for editor in self.editors:
            editor.close()

    def options(self) -> Mapping[str, Any]:
        return {"url": self.server.url, "token": self.server.token}

    def tool(self, results: AnnotationResults) -> Tool:
        self.editors.append(Editor(self.server.url, self.server.token, results))
        return self.editors[-1]

    def image(self, results: AnnotationResults, sample_id: str) -> bytes:
        self.editors.append(Editor(self.server.url, self.server.token, results))
        return self.editors[-1].shown(sample_id)


class TestCvatOld(_Laws):
    @pytest.fixture(autouse=True)
    def _server(self, cvat_2_15: Server) -> None:
        self.server = cvat_2_15


class TestCvatNew(_Laws):
    @pytest.fixture(autouse=True)
    def _server(self, cvat_2_73: Server) -> None:
        self.server = cvat_2_73


if HAS_REAL:

    class TestCvatReal(_Laws):
        @pytest.fixture(autouse=True)
        def _server(self, cvat_real: Server) -> None:
            self.server = cvat_real
