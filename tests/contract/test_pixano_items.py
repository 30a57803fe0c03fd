"""The Pixano backend obeys the laws with the earlier generation too, as far as that can hold labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.doubles.pixano_items import servers
from tests.doubles.pixano_items.annotator import ScriptedAnnotator

from annobridge.bridge.results import AnnotationResults
from annobridge.testing import BackendContract, Tool
from annobridge_pixano import PixanoBackend
from annobridge_pixano.items.generation import CAPABILITIES

Row = dict[str, Any]


class AtThePage:
    """A person at Pixano's page, who sees labels and knows nothing of our rows."""

    def __init__(self, url: str, results: AnnotationResults) -> None:
        self.annotator = [ScriptedAnnotator(url, str(receipt.state["dataset"])) for receipt in results.receipts()]

    def _annotator(self, sample_id: str) -> ScriptedAnnotator:
        return next(
            h for h in self.annotator if any(r["data"]["sample_id"] == sample_id for r in h.rows("item").values())
        )

    def edit(self, row: Row, **columns: Any) -> None:
        annotator = self._annotator(row["sample_id"])
        if "label" in columns:
            annotator.edit("objects", annotator.entity(row["remote_id"]), category=columns["label"])
        if "bounding_box" in columns:
            annotator.edit("bboxes", row["remote_id"], coords=columns["bounding_box"])
        if attributes := columns.get("attributes"):
            annotator.edit("objects", annotator.entity(row["remote_id"]), **attributes)

    def delete(self, row: Row) -> None:
        annotator = self._annotator(row["sample_id"])
        annotator.delete(annotator.entity(row["remote_id"]))

    def add(self, sample_id: str, **columns: Any) -> None:
        self._annotator(sample_id).draw(sample_id, columns["bounding_box"], category=columns["label"])


class TestPixanoItems(BackendContract):
    backend = PixanoBackend
    any_class = True
    people: list[AtThePage]

    @pytest.fixture(autouse=True, params=servers.KINDS)
    def _server(
        self, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[None]:
        can = replace(PixanoBackend.capabilities, push=CAPABILITIES.push, adopt=CAPABILITIES.adopt)
        monkeypatch.setattr(PixanoBackend, "capabilities", can)
        self.people = []
        with servers.options(request.param, tmp_path_factory.mktemp("pixano")) as options:
            self.given = options
            yield
        for person in self.people:
            for annotator in person.annotator:
                annotator.http.close()

    def require(self, label_type: str) -> None:
        super().require(label_type)
        if label_type not in CAPABILITIES.label_types:
            pytest.skip(f"this generation of Pixano does not label {label_type}")

    def options(self) -> Mapping[str, Any]:
        return self.given

    def tool(self, results: AnnotationResults) -> Tool:
        self.people.append(AtThePage(self.given["url"], results))
        return self.people[-1]
