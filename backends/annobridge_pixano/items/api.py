"""The REST calls of the earlier generation, thinly: lists of rows ``{id, created_at, …, table_info, data}``.

An empty list is a 404 there, and lists have no total. So rows are asked for by the items or ids that they belong to: a
row that is edited moves, and would be missed, or met twice, by one who turns pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from annobridge.backend.http import Http
from annobridge.exceptions import Gone

Row = dict[str, Any]
_ROW = {"id": str, "table_info": {"name": str}, "data": dict}  # what is read of each; of some tables, more is
_ROWS = {
    "item": {**_ROW, "data": {"sample_id": str | None}},
    "image": {**_ROW, "data": {"item_ref": {"id": str}, "url": str}},
}
NAMED = 100  # ids in one address
LISTED = 500  # rows in one body
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
    """A row as it is sent."""
    group, base = _GROUPS[table]
    return {"id": key, "table_info": {"name": table, "group": group, "base_schema": base}, "data": data}


def path(dataset: str, table: str) -> str:
    """The address of a table: items and sources have one each, the others are named after their group."""
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
        """At most ``limit`` rows of a table, whichever come first."""
        return self._list(path(dataset, table), {"limit": limit}, _ROWS.get(table, _ROW))

    def all(self, dataset: str, table: str) -> list[Row]:
        """All rows of a table, in one answer. For tables that are as long as the task, not as its labels."""
        return self._list(path(dataset, table), {}, _ROWS.get(table, _ROW))

    def of_items(self, dataset: str, table: str, items: Sequence[str]) -> Iterator[list[Row]]:
        """The rows of these items, some items at a time."""
        key = "ids" if table == "item" else "item_ids"
        for some in _parts(items, NAMED):
            yield self._list(path(dataset, table), {key: some}, _ROWS.get(table, _ROW))

    def add(self, dataset: str, table: str, rows: Sequence[Row]) -> None:
        """New rows, with ids of our own; one that exists already is refused."""
        for some in _parts(rows, LISTED):
            self.http.send("POST", path(dataset, table), json=some)

    def put(self, dataset: str, table: str, rows: Sequence[Row]) -> None:
        """Rows as they shall be. They are those of a list, changed: without its time stamps a row would get new ones."""
        for some in _parts(rows, LISTED):
            self.http.send("PUT", path(dataset, table), json=some)

    def remove(self, dataset: str, table: str, ids: Iterable[str]) -> None:
        """Delete rows and nothing else; missing ones are no error."""
        for some in _parts(list(ids), NAMED):
            self.http.send("DELETE", path(dataset, table), params={"ids": some})

    def _list(self, address: str, params: Mapping[str, Any], shape: Mapping[str, Any]) -> list[Row]:
        try:
            return list(self.http.get(address, params, expect=[shape]))
        except Gone as error:
            said = error.detail.get("detail") if isinstance(error.detail, Mapping) else None
            if str(said).startswith(("No rows found", "No datasets found")):
                return []
            raise


def _parts(values: Sequence[Any], size: int) -> Iterator[list[Any]]:
    for at in range(0, len(values), size):
        yield list(values[at : at + size])
