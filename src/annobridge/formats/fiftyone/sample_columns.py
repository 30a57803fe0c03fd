"""Fields of samples that are not labels, as columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from ...core.labels import SAMPLES
from ...exceptions import InvalidSource
from . import extended_json
from .decode import ID_KEY, Unrepresentable

# Fields of FiftyOne's own, and fields that columns of SAMPLES hold.
RESERVED = frozenset(
    {"_id", "id", "filepath", "tags", "metadata", "_media_type", "_rand", "_dataset_id", "frames", "created_at"}
    | {"last_modified_at", ID_KEY}
)


def column_name(field: str) -> str:
    """The column for a field: its name, with ``_`` if a column of ``SAMPLES`` has that name."""
    return f"{field}_" if field in SAMPLES.names else field


def cell_value(value: Any, is_date: bool) -> Any:
    """The value of a field as a column holds it. Raises ``Unrepresentable``."""
    if isinstance(value, bytes):
        try:
            numbers = extended_json.decode_array(value)
        except ValueError as error:
            raise Unrepresentable(f"one {error}") from None
        if numbers.ndim != 1:
            raise Unrepresentable("an array of more than one dimension is not a column")
        return numbers.tolist()
    if isinstance(value, dict):
        point = value.get("point") if value.get("_cls") == "GeoLocation" else None
        if point is None or value.get("line") or value.get("polygon"):
            raise Unrepresentable("a nested document is not a column")
        return point["coordinates"]
    if isinstance(value, list) and any(isinstance(v, list | dict | bytes) for v in value):
        raise Unrepresentable("a list of lists or documents is not a column")
    return value.date() if is_date and isinstance(value, datetime) else value


def table(rows: Sequence[Mapping[str, Any]], place: str) -> pa.Table:
    """Rows as a table with columns of the types of their values, and all columns of ``SAMPLES``. Raises ``InvalidSource``."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: _column(name, [row.get(name) for row in rows], place) for name in names}
    for field in SAMPLES:
        if field.name not in ("fps", "frames") or field.name in columns:
            values = columns.get(field.name, pa.nulls(len(rows)))
            columns[field.name] = values.cast(field.type)
    return pa.table(columns)


def _column(name: str, cells: list[Any], place: str) -> pa.Array:
    try:
        return pa.array(cells)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        types = sorted({type(c).__name__ for c in cells if c is not None})
        raise _mixed_types(name, ", ".join(types), place) from None


def common_schema(schemas: Collection[pa.Schema], place: str) -> pa.Schema:
    """A schema for all parts of a source, without columns that have no value. Raises ``InvalidSource`` for mixed types."""
    found: dict[str, pa.Field] = {}
    for schema in schemas:
        for field in schema:
            try:
                merged = pa.unify_schemas(
                    [pa.schema([f]) for f in (found.get(field.name, field), field)], promote_options="permissive"
                )
            except pa.ArrowException:
                raise _mixed_types(field.name, f"{found[field.name].type}, {field.type}", place) from None
            found[field.name] = merged.field(0)
    return pa.schema([f for f in found.values() if not _has_no_values(f.type)])


def _has_no_values(kind: pa.DataType) -> bool:
    return bool(pa.types.is_null(kind.value_type if pa.types.is_list(kind) else kind))


def _mixed_types(name: str, types: str, place: str) -> InvalidSource:
    return InvalidSource(
        f"{place}: the field {name!r} holds values of several types ({types}), and a column has one; "
        f"convert them, or leave the field out with omit_fields=[{name!r}]."
    )


def with_columns(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The samples of a part with the columns of the whole source."""
    columns = [
        rows[f.name].cast(f.type) if f.name in rows.column_names else pa.nulls(rows.num_rows, f.type) for f in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)
