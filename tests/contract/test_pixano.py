"""The Pixano backend obeys the laws, on a real server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from annobridge.bridge.results import AnnotationResults
from annobridge.testing import BackendContract, Tool
from annobridge_pixano import PixanoBackend
from annobridge_pixano.annotator import ScriptedAnnotator

Row = dict[str, Any]
pytestmark = pytest.mark.server


class AtThePage:
    """A person at Pixano's page, who sees labels and knows nothing of our rows."""

    def __init__(self, url: str, results: AnnotationResults) -> None:
        self.annotator = ScriptedAnnotator(url)
        self.datasets = [str(receipt.state["dataset"]) for receipt in results.receipts()]

    def _dataset_of(self, sample_id: str) -> str:
        return next(d for d in self.datasets if any(r["id"] == sample_id for r in self.annotator.rows(d, "records")))

    def _entity(self, dataset: str, row: Row) -> str:
        boxes = self.annotator.rows(dataset, "bboxes")
        return str(next(b["entity_id"] for b in boxes if b["id"] == row["remote_id"]))

    def edit(self, row: Row, **columns: Any) -> None:
        dataset = self._dataset_of(row["sample_id"])
        if "label" in columns:
            self.annotator.rename(dataset, self._entity(dataset, row), columns["label"])
        if "bounding_box" in columns:
            self.annotator.move(dataset, row["remote_id"], columns["bounding_box"])
        for name, value in columns.get("attributes", {}).items():
            self.annotator.set_attribute(dataset, self._entity(dataset, row), name, value)

    def delete(self, row: Row) -> None:
        dataset = self._dataset_of(row["sample_id"])
        self.annotator.delete(dataset, self._entity(dataset, row))

    def add(self, sample_id: str, **columns: Any) -> None:
        self.annotator.draw(self._dataset_of(sample_id), sample_id, columns["bounding_box"], columns["label"])


class TestPixano(BackendContract):
    backend = PixanoBackend
    annotator: list[ScriptedAnnotator]

    @pytest.fixture(autouse=True)
    def _server(self, pixano_url: str) -> Iterator[None]:
        self.url, self.annotator = pixano_url, []
        yield
        for annotator in self.annotator:
            annotator.close()

    def options(self) -> Mapping[str, Any]:
        return {"url": self.url}

    def tool(self, results: AnnotationResults) -> Tool:
        person = AtThePage(self.url, results)
        self.annotator.append(person.annotator)
        return person
