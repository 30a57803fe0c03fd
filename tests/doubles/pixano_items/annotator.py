"""A person at this generation's page: rows are edited whole, and what is new has a random id."""

from __future__ import annotations

import secrets
from typing import Any

from annobridge.backend.http import Http
from annobridge_pixano.items.api import ItemsApi, Row, path, row

NONE = {"name": "", "id": ""}
BOX = {"format": "xywh", "is_normalized": True, "confidence": 1.0}


class ScriptedAnnotator:
    """Two annotator on one dataset."""

    def __init__(self, url: str, dataset: str) -> None:
        self.http, self.dataset = Http(url, backend="pixano"), dataset
        self.api = ItemsApi(self.http)

    def rows(self, table: str) -> dict[str, Row]:
        """The rows of a table, by id."""
        return {r["id"]: r for r in self.api.all(self.dataset, table)}

    def edit(self, table: str, key: str, **data: Any) -> None:
        """Change columns of a row."""
        now = self.rows(table)[key]
        self.api.put(self.dataset, table, [{**now, "data": {**now["data"], **data}}])

    def entity(self, key: str) -> str:
        """The entity of a box."""
        return str(self.rows("bboxes")[key]["data"]["entity_ref"]["id"])

    def item(self, sample: str) -> str:
        """The item of a sample."""
        return next(key for key, r in self.rows("item").items() if r["data"]["sample_id"] == sample)

    def delete(self, entity: str) -> None:
        """Delete an object: its shapes, then itself."""
        for table in ("bboxes", "masks", "keypoints"):
            own = [k for k, r in self.rows(table).items() if r["data"]["entity_ref"]["id"] == entity]
            self.api.remove(self.dataset, table, own)
        self.api.remove(self.dataset, "objects", [entity])

    def draw(self, sample: str, coords: list[float], **attributes: Any) -> str:
        """Draw a box around a new object; the id of the object."""
        entity, item = secrets.token_hex(5), self.item(sample)
        at = {"item_ref": {"name": "item", "id": item}, "view_ref": {"name": "image", "id": self.view(item)}}
        # The page sends all columns of the table: it knows them from rows that are there.
        blank = {n: type(v)() for r in self.rows("objects").values() for n, v in r["data"].items() if n not in at}
        blank |= {"category": "", "label_id": "", "label_field": ""}
        self.add("objects", entity, **{**blank, **at, "parent_ref": NONE, **attributes})
        refs = {**at, "entity_ref": {"name": "objects", "id": entity}, "source_ref": NONE, "inference_metadata": {}}
        self.add("bboxes", secrets.token_hex(5), **refs, **BOX, coords=coords)
        return entity

    def view(self, item: str) -> str:
        """The view of an item."""
        return next(k for k, r in self.rows("image").items() if r["data"]["item_ref"]["id"] == item)

    def add(self, table: str, key: str, **data: Any) -> None:
        """A new row."""
        self.api.add(self.dataset, table, [row(table, key, **data)])

    def call(self, method: str, table: str, body: Any) -> Any:
        """A call that the page would not make."""
        return self.http.send(method, path(self.dataset, table), json=body)
