"""What a reader of label files gives: items (images, or frames of a video), and shapes on them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from ...core.labels import LABELS
from ...core.rows import attributes as attribute_list

ITEMS = pa.schema(
    [
        pa.field("name", pa.string(), nullable=False),  # as the format has it, with folders, with or without a suffix
        pa.field("split", pa.string()),  # the subset
        pa.field("width", pa.int32()),  # as the format says; pixels
        pa.field("height", pa.int32()),
        pa.field("frame", pa.int64()),  # its number, where the format counts frames; of a video, from 0
        pa.field("file", pa.string()),  # the archive's file of the image, where the reader knows it
        pa.field("video", pa.string()),  # the name of the video that it is a frame of, where the format has videos
        pa.field("frames", pa.int32()),  # how many frames that video has, where the format says
    ]
)
_LEFT_OUT = ("sample_id", "field", "run", "tool", "rev")
# A label on an item. Columns that a table lacks are null. Positions are in the unit that the format declares. ``kind`` may also be
# "corners" (``corners.py``): a box, upright or turned, whose four corners are the points.
SHAPES = pa.schema(
    [pa.field("item", pa.int32(), nullable=False)]
    + [f.with_nullable(f.name != "kind") for f in LABELS if f.name not in _LEFT_OUT]
    + [
        pa.field("place", pa.string()),  # where it is in the source, for messages
        pa.field("role", pa.string()),  # of labels that get a field of their own, as "predictions": the field's name
    ]
)
_INT32 = 1 << 31
_ROWS = 16_384  # of a batch
_FRAME = re.compile(r"(?:frame_)?(\d{1,18})(?:\.\w+)?")


def frame_of(name: str) -> int | None:
    """The number of the frame in a name like those that CVAT gives to the frames of a video; ``None`` in any other.

    >>> frame_of("frame_000007.jpg"), frame_of("12"), frame_of("cam 3.jpg")
    (7, 12, None)
    """
    found = _FRAME.fullmatch(name)
    return int(found[1]) if found else None


class Items:
    """The items of a source, numbered in the order in which they are added."""

    def __init__(self) -> None:
        self._columns: dict[str, list[Any]] = {name: [] for name in ITEMS.names}
        self._tables: list[pa.Table] = []
        self._count = 0
        self._more: list[tuple[int, pa.Table]] = []  # first item, and more columns of some items

    def __len__(self) -> int:
        return self._count

    def add(
        self,
        name: str,
        split: str | None = None,
        width: int | None = None,
        height: int | None = None,
        frame: int | None = None,
        file: str | None = None,
        video: str | None = None,
        frames: int | None = None,
    ) -> int:
        """Add an item; returns its number. A size or a frame that cannot be one is left out."""
        width, height, frames = (n if n is not None and 0 < n < _INT32 else None for n in (width, height, frames))
        frame = frame if frame is not None and 0 <= frame < _INT32 else None
        values = (name, split, width, height, frame, file, video, frames)
        for column, value in zip(self._columns.values(), values, strict=True):
            column.append(value)
        self._count += 1
        if len(self._columns["name"]) >= _ROWS:
            self._flush()
        return self._count - 1

    def extend(self, rows: pa.Table, more: pa.Table | None = None) -> int:
        """Add many items, with columns of ``ITEMS``; returns the number of the first. ``more`` are other columns of the samples."""
        self._flush()
        columns = [
            rows[f.name].cast(f.type) if f.name in rows.column_names else pa.nulls(len(rows), f.type) for f in ITEMS
        ]
        self._tables.append(pa.Table.from_arrays(columns, schema=ITEMS))
        if more is not None and more.num_columns and len(rows):
            self._more.append((self._count, more))
        self._count += len(rows)
        return self._count - len(rows)

    def columns(self) -> pa.Table | None:
        """The further columns of all items, null where an item has none; ``None`` if there are none. A column whose values are of
        several types becomes text.
        """
        if not self._more:
            return None
        fields = {name: _common_type([t.schema.field(name).type for _, t in self._more if name in t.column_names])
                  for _, table in self._more for name in table.column_names}  # fmt: skip
        schema = pa.schema([pa.field(name, type_) for name, type_ in fields.items()])
        pieces, at = [], 0
        for first, table in self._more:
            pieces += [_nulls(first - at, schema), _typed(table, schema)]
            at = first + len(table)
        return pa.concat_tables([*pieces, _nulls(self._count - at, schema)]).combine_chunks()

    def table(self) -> pa.Table:
        """All items (``ITEMS``)."""
        self._flush()
        return pa.concat_tables(self._tables).combine_chunks() if self._tables else ITEMS.empty_table()

    def _flush(self) -> None:
        if self._columns["name"]:
            self._tables.append(pa.Table.from_pydict(self._columns, schema=ITEMS))
            self._columns = {name: [] for name in ITEMS.names}


def _common_type(types: list[pa.DataType]) -> pa.DataType:
    """The type that holds the values of all; numbers may be of several widths."""
    found = [t for t in dict.fromkeys(types) if not pa.types.is_null(t)]
    if len(found) < 2:
        return found[0] if found else pa.string()
    if all(map(pa.types.is_integer, found)):
        return pa.int64()
    return pa.float64() if all(pa.types.is_integer(t) or pa.types.is_floating(t) for t in found) else pa.string()


def _nulls(count: int, schema: pa.Schema) -> pa.Table:
    return pa.Table.from_arrays([pa.nulls(count, f.type) for f in schema], schema=schema)


def _typed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = []
    for field in schema:
        column = table[field.name] if field.name in table.column_names else pa.nulls(len(table), field.type)
        if column.type != field.type and pa.types.is_string(field.type):
            values = column.to_pylist()
            column = pa.array(
                [v if isinstance(v, str | None) else json.dumps(v, default=str) for v in values], pa.string()
            )
        columns.append(column.cast(field.type))
    return pa.Table.from_arrays(columns, schema=schema)


class Shapes:
    """Rows of ``SHAPES``, added one by one, for formats that are read element by element.

    >>> shapes = Shapes()
    >>> shapes.add(0, "box", "car", bounding_box=[1, 2, 3, 4], attributes={"truncated": True})
    >>> shapes.take()["label"].to_pylist(), len(shapes)
    (['car'], 0)
    """

    def __init__(self) -> None:
        self._columns: dict[str, list[Any]] = {name: [] for name in SHAPES.names}

    def __len__(self) -> int:
        return len(self._columns["item"])

    def add(
        self,
        item: int,
        kind: str,
        label: str | None = None,
        attributes: dict[str, Any] | list[dict[str, str]] | None = None,
        **values: Any,
    ) -> None:
        """Add a label of an item. ``attributes`` are name → value, or what ``core.rows.attributes`` made of them; ``values`` are
        columns of ``SHAPES``.
        """
        values |= {"item": item, "kind": kind, "label": label}
        if attributes:
            values["attributes"] = attributes if isinstance(attributes, list) else attribute_list(attributes)
        for name, column in self._columns.items():
            column.append(values.get(name))

    def take(self) -> pa.Table:
        """The rows so far, which are then forgotten."""
        table = pa.Table.from_pydict(self._columns, schema=SHAPES)
        self._columns = {name: [] for name in SHAPES.names}
        return table

    def take_full(self) -> Iterable[pa.Table]:
        """The rows so far if they are many, else nothing: ``yield from`` it after each element."""
        if len(self) >= _ROWS:
            yield self.take()
