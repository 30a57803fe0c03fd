"""The contract tests of the DataGym backend, in both dialects, once from the tasks and once from the export of finished images.

They also run against a real server if one is named: see ``tests/datagym_servers.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from tests import datagym_servers
from tests.contract.datagym_hands import Editor
from tests.datagym_servers import Server

from annobridge.bridge.results import AnnotationResults
from annobridge.dataset import Dataset
from annobridge.testing import BackendContract, Tool
from annobridge_datagym import DatagymBackend


@pytest.mark.filterwarnings("ignore::annobridge_datagym.upload.BacklogWarning")
class _Laws(BackendContract):
    backend = DatagymBackend
    server: Server

    def options(self) -> Mapping[str, Any]:
        return {**self.server.options(), "unfinished": True}

    def tool(self, results: AnnotationResults) -> Tool:
        return Editor(self.server, results)


class _Finished(_Laws):
    """People finish every image before a load, so that the export is read."""

    def options(self) -> Mapping[str, Any]:
        return self.server.options()

    def finish(self, results: AnnotationResults) -> None:
        self.server.finish([task for receipt in results.receipts() for task in receipt.state["tasks"]])

    def send(self, dataset: Dataset, label_type: str, **arguments: Any) -> AnnotationResults:
        results = super().send(dataset, label_type, **arguments)
        self.finish(results)
        return results

    def rows(self, results: AnnotationResults) -> list[dict[str, Any]]:
        self.finish(results)
        return super().rows(results)


class _Hosted:
    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with datagym_servers.hosted() as self.server:
            yield


class _OpenCore:
    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with datagym_servers.open_core() as self.server:
            yield


class _OfOneType:
    """Without the laws of each type: the other two classes have both dialects and both ways to read between them."""

    test_untouched_labels_come_back_equal = None
    test_the_baseline_is_what_is_downloaded = None
    test_an_attribute_edited_in_the_tool_comes_back_as_its_type = None


class TestHosted(_OfOneType, _Hosted, _Laws): ...


class TestOpenCore(_OpenCore, _Laws): ...


class TestHostedExport(_Hosted, _Finished): ...


class TestOpenCoreExport(_OfOneType, _OpenCore, _Finished): ...


if datagym_servers.HAS_REAL:

    class _Real:
        @pytest.fixture(autouse=True)
        def _server(self) -> Iterator[None]:
            with datagym_servers.real() as self.server:
                yield

    class TestReal(_Real, _Laws): ...

    class TestRealExport(_Real, _Finished): ...
