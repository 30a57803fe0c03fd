"""A scripted annotator for demos and tests: edits a dataset over REST with the calls that Pixano's page makes.

>>> ScriptedAnnotator("http://127.0.0.1:7492").rename(dataset, "label-1", "bus")  # doctest: +SKIP
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from annobridge.backend.http import Http
from annobridge.formats.pixano_library.codec.tables import ANNOTATIONS

from .api import is_busy

_ALPHABET = string.ascii_letters + string.digits
_SOURCE = {"source_type": "other", "source_name": "Pixano", "source_metadata": "{}"}
Row = dict[str, Any]


class ScriptedAnnotator:
    """An annotator at a server. The methods take the id of the dataset first."""

    def __init__(self, url: str) -> None:
        self._http = Http(url, backend="pixano")

    def close(self) -> None:
        """Release connections."""
        self._http.close()

    def rows(self, dataset: str, table: str, **filters: str) -> list[Row]:
        """All rows of a table, as they are now."""
        return list(self._http.pages(f"/datasets/{dataset}/{table}", filters, size=1000))

    def move(self, dataset: str, bbox: str, coords: Sequence[float]) -> None:
        """Move a box; ``coords`` are relative x, y, width, height."""
        self.reshape(dataset, "bboxes", bbox, coords=list(coords), format="xywh", is_normalized=True)

    def reshape(self, dataset: str, table: str, annotation: str, **geometry: Any) -> None:
        """Change the geometry of an annotation, and its source, as the page does."""
        self._put(dataset, table, annotation, geometry | _SOURCE)

    def rename(self, dataset: str, entity: str, category: str) -> None:
        """Change the class of an object."""
        self.set_attribute(dataset, entity, "category", category)

    def set_attribute(self, dataset: str, entity: str, name: str, value: Any) -> None:
        """Change an attribute of an object."""
        self._edit(dataset, "entities", entity, name, value)

    def set_record(self, dataset: str, record: str, name: str, value: Any) -> None:
        """Change an attribute of an image, or its ``status``."""
        self._edit(dataset, "records", record, name, value)

    def draw(
        self, dataset: str, record: str, coords: Sequence[float], category: str, **attributes: Any
    ) -> tuple[str, str]:
        """Draw a box around a new object; returns the ids of the object and of its box."""
        entity = self.add_entity(dataset, record, category, **attributes)
        box = {"coords": list(coords), "format": "xywh", "is_normalized": True, "confidence": 1}
        return entity, self.add(dataset, "bboxes", record, entity, **box)

    def add_entity(self, dataset: str, record: str, category: str, **attributes: Any) -> str:
        """Add an object without annotations; returns its id."""
        row = {"record_id": record, "parent_id": "", "category": category, **attributes}
        return self._post(dataset, "entities", row)

    def add(self, dataset: str, table: str, record: str, entity: str, **geometry: Any) -> str:
        """Add an annotation of an object; returns its id."""
        view = self.rows(dataset, "images", record_id=record)[0]["id"]
        references = {"record_id": record, "entity_id": entity, "view_id": view, "frame_id": view, "frame_index": -1}
        return self._post(dataset, table, {**references, **_SOURCE, **geometry})

    def delete(self, dataset: str, entity: str) -> None:
        """Delete an object: its annotations, then itself."""
        for table in ANNOTATIONS:
            for row in self.rows(dataset, table, entity_id=entity):
                self.remove(dataset, table, row["id"])
        self.remove(dataset, "entities", entity)

    def remove(self, dataset: str, table: str, row: str) -> None:
        """Delete one row."""
        self._http.send("DELETE", _path(dataset, table, row), retry_on=is_busy)

    def _edit(self, dataset: str, table: str, row: str, name: str, value: Any) -> None:
        # The page sends the whole row. With an id in it, the server would make a second row; timestamps are the server's.
        now = self._http.get(_path(dataset, table, row))
        whole = {k: v for k, v in now.items() if k not in ("id", "created_at", "updated_at")}
        self._put(dataset, table, row, {**whole, name: value})

    def _put(self, dataset: str, table: str, row: str, values: Row) -> None:
        self._http.send("PUT", _path(dataset, table, row), json=values, retry_on=is_busy)

    def _post(self, dataset: str, table: str, row: Row) -> str:
        key = "".join(secrets.choice(_ALPHABET) for _ in range(10))
        # The server accepts the same row twice under the same id, so the call may be repeated.
        self._http.send(
            "POST", f"/datasets/{dataset}/{table}", json={"id": key, **row}, repeatable=True, retry_on=is_busy
        )
        return key


def _path(dataset: str, table: str, row: str) -> str:
    return f"/datasets/{dataset}/{table}/{quote(row, safe='')}"
