"""The REST calls of this generation: lists of rows ``{id, created_at, …, table_info, data}``.

An empty list is a 404, and lists have no total. A row that is edited moves, so that it could be missed or found twice by turning
pages. Therefore rows are requested by the items or ids that they belong to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from annobridge.backend.http import Http
from annobridge.exceptions import Gone

Row = dict[str, Any]
_ROW = {"id": str, "table_info": {"name": str}, "data": dict}  # what is read of a row; of some tables, more is
_ROWS = {
    "item": {**_ROW, "data": {"sample_id": str | None}},
    "image": {**_ROW, "data": {"item_ref": {"id": str}, "url": str}},
}
IDS_IN_URL = 100
ROWS_IN_BODY = 500
_GROUPS = {
    "item": ("item", "Item"),
    "source": ("source", "Source"),
    "image": ("views", "Image"),
    "objects": ("entities", "Entity"),
    "conversations": ("entities", "Conversation"),
    "bboxes": ("annotations", "BBox"),
    "masks": ("annotations", "CompressedRLE"),
    "keypoints": ("annotations", "KeyPoints"),
    "messages": ("annotations", "Message"),
}


def row(table: str, key: str, **data: Any) -> Row:
    """A row, in the form that is sent."""
    group, base = _GROUPS[table]
    return {"id": key, "table_info": {"name": table, "group": group, "base_schema": base}, "data": data}


def path(dataset: str, table: str) -> str:
    """The path of a table: items and sources are the only ones of their group, all others are named after it."""
    group = _GROUPS[table][0]
    return f"/{group}s/{dataset}" if group in ("item", "source") else f"/{group}/{dataset}/{table}"


class ItemsApi:
    """One server of this generation."""

    def __init__(self, http: Http) -> None:
        self.http = http

    def datasets(self) -> list[Row]:
        """All datasets of the library, as it is on the server's disk now."""
        return self._list("/datasets/info", {}, {"id": str, "name": str})

    def dataset(self, **wanted: str) -> Row | None:
        """The dataset with this id or name, if there is one."""
        return next((d for d in self.datasets() if all(d.get(k) == v for k, v in wanted.items())), None)

    def head(self, dataset: str, table: str, limit: int) -> list[Row]:
        """The first rows of a table, ``limit`` at most."""
        return self._list(path(dataset, table), {"limit": limit}, _ROWS.get(table, _ROW))

    def all(self, dataset: str, table: str) -> list[Row]:
        """All rows of a table, in one answer; for tables with a row per image."""
        return self._list(path(dataset, table), {}, _ROWS.get(table, _ROW))

    def of_items(self, dataset: str, table: str, items: Sequence[str]) -> Iterator[list[Row]]:
        """The rows that belong to some items, in several lists."""
        key = "ids" if table == "item" else "item_ids"
        for some in _batches(items, IDS_IN_URL):
            yield self._list(path(dataset, table), {key: some}, _ROWS.get(table, _ROW))

    def add(self, dataset: str, table: str, rows: Sequence[Row]) -> None:
        """Insert rows, which have ids already; one that exists is refused."""
        for some in _batches(rows, ROWS_IN_BODY):
            self.http.send("POST", path(dataset, table), json=some)

    def put(self, dataset: str, table: str, rows: Sequence[Row]) -> None:
        """Replace rows. They must be those of a list, changed: without their timestamps, rows would get new ones."""
        for some in _batches(rows, ROWS_IN_BODY):
            self.http.send("PUT", path(dataset, table), json=some)

    def remove(self, dataset: str, table: str, ids: Iterable[str]) -> None:
        """Delete rows, and no others that refer to them; missing ones are no error."""
        for some in _batches(list(ids), IDS_IN_URL):
            self.http.send("DELETE", path(dataset, table), params={"ids": some})

    def _list(self, address: str, params: Mapping[str, Any], shape: Mapping[str, Any]) -> list[Row]:
        try:
            return list(self.http.get(address, params, expect=[shape]))
        except Gone as error:
            said = error.detail.get("detail") if isinstance(error.detail, Mapping) else None
            if str(said).startswith(("No rows found", "No datasets found")):
                return []
            raise


def _batches(values: Sequence[Any], size: int) -> Iterator[list[Any]]:
    for at in range(0, len(values), size):
        yield list(values[at : at + size])
