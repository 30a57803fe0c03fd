"""The tables of a dataset that annobridge has not made: which it has, and their rows in the form that ``decode`` takes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annobridge.core.arrays import Bools, Ints, as_array, as_mask, index_of, list_lengths, set_columns
from annobridge.formats.pixano_library.codec.decode import Tables, xywh
from annobridge.formats.pixano_library.codec.layout import Layout
from annobridge.formats.pixano_library.codec.values import ARROW_TYPES
from annobridge.formats.pixano_library.reading.coordinates import relative_boxes, relative_keypoints

from . import rest_tables
from .api import Api

IMAGES = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "record_id", "logical_name", "format", "src")),
        *((name, pa.int32()) for name in ("width", "height")),
    ]
)
_BASES = {"records": ("id",), "entities": ("id", "record_id")}  # columns that all datasets have
_GROUPS = {"records": "record", "entities": "entity"}  # of the description


class AdoptedDataset:
    """A dataset in the library, with the methods that ``find_roles`` needs."""

    def __init__(self, api: Api, dataset: str, name: str) -> None:
        self._api, self.id, self.name = api, dataset, name
        self._description = api.describe(dataset)

    @property
    def path(self) -> str:
        """Its name, for messages."""
        return f"the Pixano dataset {self.name!r}"

    @property
    def tables(self) -> frozenset[str]:
        """The names of its tables, as on disk."""
        return frozenset(self._description["tables"])

    @cached_property
    def _counts(self) -> Mapping[str, int]:
        return self._api.counts(self.id)

    def count(self, name: str) -> int:
        """The number of rows of a table; 0 if there is no such table."""
        return self._counts.get(name, 0)

    def schema(self, name: str) -> pa.Schema:
        """The columns of records or entities that hold values; of types that annobridge knows."""
        if name not in _GROUPS or name not in self.tables:
            return pa.schema([])
        fields = ((self._description["info"].get(_GROUPS[name]) or {}).get("fields")) or {}
        types = {
            n: ARROW_TYPES.get("list" if f["collection"] and f["type"] == "str" else f["type"])
            for n, f in fields.items()
        }
        plain = {
            n: t
            for n, t in types.items()
            if t is not None and (not fields[n]["collection"] or t == ARROW_TYPES["list"])
        }
        return pa.schema([*((base, pa.string()) for base in _BASES[name]), *plain.items()])

    def scan(self, name: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """All rows of a table of records or entities."""
        schema = self.schema(name)
        wanted = pa.schema([("id", pa.string()), *(schema.field(c) for c in columns if c != "id")])
        yield from self._api.table(self.id, name, wanted).select(list(columns)).to_batches()

    def choices(self, name: str) -> dict[str, list[Any]]:
        """The values that the page offers for columns of ``records`` or ``entities``."""
        offered = (self._description.get("feature_values") or {}).get(name) or {}
        return {c["name"]: list(c["values"]) for c in offered.get(name, ()) if c["values"]}

    @cached_property
    def images(self) -> pa.Table:
        """The images, without pixels."""
        return self._api.table(self.id, "images", IMAGES)

    def read(self, layout: Layout, records: Collection[str] | None = None) -> Tables:
        """The tables in the form that ``decode`` takes; of tables that the dataset lacks, which reading would make, no rows.

        Args:
            layout: which column holds what.
            records: the ids of the records to read; all if ``None``.
        """
        found = {}
        for name, schema in rest_tables.schemas(layout).items():
            is_there = name.replace("-", "_") in self.tables
            rows = self._api.table(self.id, name, schema) if is_there else schema.empty_table()
            if records is not None:
                owner = rows["id" if name == "records" else "record_id"]
                rows = rows.filter(pc.is_in(owner, value_set=pa.array([*records], pa.string())))
            found[name] = rows.combine_chunks()
        found["bboxes"] = self._relative_boxes(found["bboxes"])
        found["keypoints"] = self._relative_keypoints(found["keypoints"])
        return found

    def _relative_boxes(self, rows: pa.Table) -> pa.Table:
        """Boxes by their corner and size, relative to the image where that has a size."""
        rows = set_columns(rows, coords=xywh(rows), format="xywh")
        in_pixels = ~as_mask(rows["is_normalized"])
        if not in_pixels.any():
            return rows
        sizes = self._sizes(rows)
        readable = ~in_pixels | (sizes > 0).all(axis=1)
        return _replaced(rows, readable, lambda some, where: relative_boxes(some, sizes[where]))

    def _relative_keypoints(self, rows: pa.Table) -> pa.Table:
        """Keypoints relative to the image; those of a label with a coordinate beyond 1 are in pixels."""
        coords = as_array(rows["coords"])
        beyond = as_mask(pc.greater(coords.flatten(), 1.0))
        in_pixels = np.isin(np.arange(len(rows)), np.repeat(np.arange(len(rows)), list_lengths(coords))[beyond])
        if not in_pixels.any():
            return rows
        sizes = self._sizes(rows)
        return _replaced(
            rows, in_pixels & (sizes > 0).all(axis=1), lambda some, where: relative_keypoints(some, sizes[where])
        )

    def _sizes(self, rows: pa.Table) -> Ints:
        """Width and height of the image of each row, shape (rows, 2); 0 where they are not known."""
        at = index_of(rows["record_id"], self.images["record_id"])
        columns = [as_array(self.images[n]).take(at).fill_null(0).to_numpy() for n in ("width", "height")]
        return np.stack(columns, axis=1).astype(np.int64)


def _replaced(rows: pa.Table, where: Bools, convert: Any) -> pa.Table:
    """The rows with some of them converted, in their order."""
    some = convert(rows.filter(pa.array(where)).combine_chunks(), where)
    order = np.argsort(np.concatenate([np.flatnonzero(where), np.flatnonzero(~where)]))
    return (
        pa.concat_tables([some.cast(rows.schema), rows.filter(pa.array(~where))]).combine_chunks().take(pa.array(order))
    )
