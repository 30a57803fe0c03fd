"""Fields of samples that are not labels, as columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from ...core.labels import SAMPLES
from ...exceptions import InvalidSource
from . import values
from .decode import OURS, Homeless

# What FiftyOne keeps for itself, and what the columns of SAMPLES say.
OWN = frozenset(
    {"_id", "id", "filepath", "tags", "metadata", "_media_type", "_rand", "_dataset_id", "frames", "created_at"}
    | {"last_modified_at", OURS}
)


def name_of(field: str) -> str:
    """The column for a field; one that has a meaning here is left to that meaning."""
    return f"{field}_" if field in SAMPLES.names else field


def cell(value: Any, is_date: bool) -> Any:
    """A value as a column holds it. Raises ``Homeless``."""
    if isinstance(value, bytes):
        try:
            numbers = values.array(value)
        except ValueError as error:
            raise Homeless(f"one {error}") from None
        if numbers.ndim != 1:
            raise Homeless("an array of more than one dimension is not a column")
        return numbers.tolist()
    if isinstance(value, dict):
        point = value.get("point") if value.get("_cls") == "GeoLocation" else None
        if point is None or value.get("line") or value.get("polygon"):
            raise Homeless("a nested document is not a column")
        return point["coordinates"]
    if isinstance(value, list) and any(isinstance(v, list | dict | bytes) for v in value):
        raise Homeless("a list of lists or documents is not a column")
    return value.date() if is_date and isinstance(value, datetime) else value


def table(rows: Sequence[Mapping[str, Any]], place: str) -> pa.Table:
    """The columns of some samples, each of the type of its values. Raises ``InvalidSource``."""
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
        raise _mixed(name, ", ".join(types), place) from None


def unified(schemas: Collection[pa.Schema], place: str) -> pa.Schema:
    """One schema for all parts of a source; columns without a value are left out. Raises ``InvalidSource``."""
    found: dict[str, pa.Field] = {}
    for schema in schemas:
        for field in schema:
            try:
                merged = pa.unify_schemas(
                    [pa.schema([f]) for f in (found.get(field.name, field), field)], promote_options="permissive"
                )
            except pa.ArrowException:
                raise _mixed(field.name, f"{found[field.name].type}, {field.type}", place) from None
            found[field.name] = merged.field(0)
    return pa.schema([f for f in found.values() if not _void(f.type)])


def _void(kind: pa.DataType) -> bool:
    return bool(pa.types.is_null(kind.value_type if pa.types.is_list(kind) else kind))


def _mixed(name: str, types: str, place: str) -> InvalidSource:
    return InvalidSource(
        f"{place}: the field {name!r} holds values of several types ({types}), and a column has one; "
        f"convert them, or leave the field out with omit_fields=[{name!r}]."
    )


def conformed(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Samples of a part with the columns of the source."""
    columns = [
        rows[f.name].cast(f.type) if f.name in rows.column_names else pa.nulls(rows.num_rows, f.type) for f in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)
