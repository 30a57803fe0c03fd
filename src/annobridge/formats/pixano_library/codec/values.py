"""Values: JSON texts, or columns of any type, <-> Pixano's typed columns.

Pixano has no null: an absent value is the empty one of the type (``""``, ``0``, ``False``, ``[]``). So decoding loses
information. Callers decode only what was changed, and take the rest from the labels as they were sent.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ....core import attributes
from ....core.arrays import Bools, as_array, as_mask, list_array, list_lengths, map_distinct
from ....core.labels import ATTRIBUTE
from ....core.rows import VALUE_TYPES
from .layout import Column, column_type
from .tables import STRINGS

ARROW_TYPES = {  # of Column.type
    "str": pa.string(),
    "json": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "list": STRINGS,
}
EMPTY: dict[str, Any] = {"str": "", "json": "", "int": 0, "float": 0.0, "bool": False, "list": []}


def encode(texts: pa.Array, kind: str) -> pa.Array:
    """JSON texts as a column of the ``Column.type`` ``kind``; null becomes the empty value."""
    empty = pa.scalar(EMPTY[kind], ARROW_TYPES[kind])
    if kind == "json":
        return pc.fill_null(texts, empty)
    found = map_distinct(texts, lambda text: _encoded(text, kind), ARROW_TYPES[kind])
    return list_array(list_lengths(found), found.flatten()) if kind == "list" else pc.fill_null(found, empty)


def _encoded(text: str, kind: str) -> Any:
    value = json.loads(text)
    if kind == "list":
        items = value if isinstance(value, list) else [value]
        return [v if isinstance(v, str) else json.dumps(v) for v in items]
    if kind == "str":
        return value if isinstance(value, str) else text
    return float(value) if kind == "float" else value


def encode_column(column: pa.Array | pa.ChunkedArray, kind: str) -> pa.Array:
    """A column of any Arrow type as one of the ``Column.type`` ``kind``, without nulls."""
    values, type_ = as_array(column), ARROW_TYPES[kind]
    if kind == "json" and column_type(values.type) != "str":
        values = pa.array([None if v is None else json.dumps(v, default=_not_json) for v in values.to_pylist()], type_)
    if kind == "list":
        return list_array(list_lengths(values), pc.fill_null(values.cast(type_).flatten(), ""))
    return pc.fill_null(values.cast(type_), pa.scalar(EMPTY[kind], type_))


def _not_json(value: Any) -> str:
    """A text for values that JSON cannot express: times and bytes."""
    return value.isoformat() if hasattr(value, "isoformat") else repr(value)


def encode_attributes(lists: pa.Array | pa.ChunkedArray, columns: Mapping[str, Column]) -> dict[str, pa.Array]:
    """The columns of entities for a column of attribute lists, by attribute name."""
    return {name: encode(attributes.values(lists, name), c.type) for name, c in columns.items()}


def fits(text: str, kind: str) -> bool:
    """Whether a column of the ``Column.type`` ``kind`` can hold this JSON text."""
    value = json.loads(text)
    match kind:
        case "bool":
            return isinstance(value, bool)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool) and -(1 << 63) <= value < 1 << 63
        case "float":
            return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        case "list":
            return isinstance(value, list)
    return True


def misfits(labels: pa.Table, columns: Mapping[str, Column]) -> list[str]:
    """Sentences about attribute values that their column cannot hold."""
    out = []
    for name, c in columns.items():
        texts = attributes.values(labels["attributes"], name).drop_null()
        bad = [t for t in pc.unique(texts).to_pylist() if not fits(t, c.type)]
        if bad:
            out.append(
                f"The attribute {name!r} has {f'{len(bad)} values such as' if bad[1:] else 'the value'} {bad[0]}, "
                f"which a Pixano column of type {c.type} cannot hold; correct it, or make the attribute a 'text'."
            )
    return out


def is_empty(column: pa.Array, kind: str) -> Bools:
    """Where a column holds null or the empty value of its type."""
    if kind == "list":
        return np.asarray(list_lengths(column) == 0, bool)
    return as_mask(pc.fill_null(pc.equal(column, pa.scalar(EMPTY[kind], ARROW_TYPES[kind])), True))


def decode(column: pa.Array, kind: str, choices: tuple[str, ...] = ()) -> pa.Array:
    """A column as JSON texts; null stays null, and the empty value is decoded as any other.

    Args:
        column: values of the ``Column.type`` ``kind``.
        kind: that type.
        choices: ``Column.choices``.
    """
    by_string = {json.loads(c) if isinstance(json.loads(c), str) else c: c for c in choices}

    def choice(string: str) -> str:
        return by_string.get(string, json.dumps(string))

    def choice_list(strings: list[str]) -> str:
        return json.dumps([json.loads(choice(string)) for string in strings])

    if kind == "list":
        return pa.array([None if v is None else choice_list(v) for v in column.to_pylist()], pa.string())
    if kind == "float":  # not by distinct values, among which 0.0 and -0.0 are one
        return pa.array([None if v is None else json.dumps(v) for v in column.to_pylist()], pa.string())
    decoder: Callable[[Any], str] = {"str": choice, "json": _as_json}.get(kind, json.dumps)
    return map_distinct(column, decoder, pa.string())


def _as_json(text: str) -> str:
    """The text if it is JSON, else the JSON text of it: people type ``5`` and ``car`` alike."""
    try:
        json.loads(text)
    except ValueError:
        return json.dumps(text)
    return text


def attribute_structs(name: str, texts: pa.Array) -> pa.StructArray:
    """JSON texts as attributes of this name, in the form of ``LABELS``; null where the text is null."""
    types = map_distinct(texts, lambda text: VALUE_TYPES.get(type(json.loads(text)), "json"), pa.string())
    names = pa.repeat(pa.scalar(name), len(texts))
    return pa.StructArray.from_arrays([names, types, texts], fields=list(ATTRIBUTE), mask=pc.is_null(texts))
