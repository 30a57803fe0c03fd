"""Arrow columns of any type as JSON text, and as attributes of labels."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute as pc

from .arrays import as_array
from .labels import ATTRIBUTE


def to_json(values: pa.Array | pa.ChunkedArray) -> pa.StringArray:
    """The JSON text of each value; null stays null.

    >>> to_json(pa.array(["a", None, "a"])).to_pylist()
    ['"a"', None, '"a"']
    """
    values = as_array(values)
    if pa.types.is_nested(values.type) or pa.types.is_null(values.type):
        return pa.array([None if v is None else json.dumps(v, default=str) for v in values.to_pylist()], pa.string())
    if pa.types.is_integer(values.type):
        return values.cast(pa.string())
    if pa.types.is_floating(values.type) and pc.all(pc.is_finite(values), min_count=0).as_py():
        floats = values.cast(pa.float64()).to_pylist()
        return pa.array([None if v is None else repr(v) for v in floats], pa.string())  # as ``json`` writes them
    codes = values.dictionary_encode()
    return pa.array([json.dumps(v, default=str) for v in codes.dictionary.to_pylist()], pa.string()).take(codes.indices)


def is_plain_type(type_: pa.DataType) -> bool:
    """Whether a column of this type has a text, a number or a boolean per row, or a list of texts."""
    if pa.types.is_list(type_):
        return _is_text(type_.value_type)
    return any(kind(type_) for kind in (_is_text, pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating))


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))


def attribute_column(name: str, values: pa.Array | pa.ChunkedArray) -> pa.StructArray:
    """A column as one attribute of each label; null where the value is null."""
    values = as_array(values)
    return attribute_column_of_json(name, _kind(values.type), to_json(values))


def attribute_column_of_json(name: str, kind: str, values: pa.StringArray) -> pa.StructArray:
    """``attribute_column`` of values that are JSON text already; ``kind`` is the type of the attribute, as ``"int"``."""
    size = len(values)
    parts = [pa.repeat(pa.scalar(name), size), pa.repeat(pa.scalar(kind), size), values]
    return pa.StructArray.from_arrays(parts, fields=list(ATTRIBUTE), mask=values.is_null())


def _kind(type_: pa.DataType) -> str:
    if pa.types.is_boolean(type_):
        return "bool"
    if pa.types.is_integer(type_):
        return "int"
    if pa.types.is_floating(type_):
        return "float"
    return "json" if pa.types.is_nested(type_) else "str"
