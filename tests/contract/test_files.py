"""The contract tests of the files backend, in the formats that people use most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tests.contract.file_hands import Editor

from annobridge.bridge.reports import LoadReport
from annobridge.bridge.results import AnnotationResults
from annobridge.dataset import Dataset
from annobridge.testing import BackendContract, Tool
from annobridge_files import backend_of


class _Laws(BackendContract):
    format: ClassVar[str]
    moved_box = None  # files keep no ids, so a box is known by its place

    def options(self) -> Mapping[str, Any]:
        return {"path": str(self.folder / "files"), "format": self.format}

    def load(self, dataset: Dataset, **arguments: Any) -> LoadReport:
        return dataset.load_annotations("run", progress=False, **arguments)  # the run knows its path

    def tool(self, results: AnnotationResults) -> Tool:
        return Editor(results, self.format)


class TestCoco(_Laws):
    format = "coco"
    backend = backend_of("coco")


class TestCvatImages(_Laws):
    format = "cvat"
    backend = backend_of("cvat")


class TestYolo(_Laws):
    format = "yolo"
    backend = backend_of("yolo")


class TestVoc(_Laws):
    format = "voc"
    backend = backend_of("voc")


class TestLabelme(_Laws):
    format = "labelme"
    backend = backend_of("labelme")
