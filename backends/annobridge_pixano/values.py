"""Values: our JSON text <-> Pixano's typed columns, which have no null (``""``, ``0``, ``False``, ``[]``).

What was sent and has not changed is never decoded: the caller puts the original back, so nothing is lost on the way.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annobridge.core import attributes
from annobridge.core.labels import ATTRIBUTE
from annobridge.core.rows import VALUE_TYPES

from .arrays import STRINGS, Bools, bools, each, lengths, lists
from .layout import Column

ARROW = {
    "str": pa.string(),
    "json": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "list": STRINGS,
}
EMPTY: dict[str, Any] = {"str": "", "json": "", "int": 0, "float": 0.0, "bool": False, "list": []}


def encode(texts: pa.Array, kind: str) -> pa.Array:
    """JSON texts as a column of Pixano's; a null becomes the empty value."""
    empty = pa.scalar(EMPTY[kind], ARROW[kind])
    if kind == "json":
        return pc.fill_null(texts, empty)
    found = each(texts, lambda t: _encoded(t, kind), ARROW[kind])
    return lists(lengths(found), pc.list_flatten(found)) if kind == "list" else pc.fill_null(found, empty)


def _encoded(text: str, kind: str) -> Any:
    value = json.loads(text)
    if kind == "list":
        items = value if isinstance(value, list) else [value]
        return [v if isinstance(v, str) else json.dumps(v) for v in items]
    if kind == "str":
        return value if isinstance(value, str) else text
    return float(value) if kind == "float" else value


def fits(text: str, kind: str) -> bool:
    """Whether a column of this type can hold this JSON text."""
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


def is_empty(column: pa.Array, kind: str) -> Bools:
    """Which rows hold the empty value, or none."""
    if kind == "list":
        return np.asarray(lengths(column) == 0, bool)
    return bools(pc.fill_null(pc.equal(column, pa.scalar(EMPTY[kind], ARROW[kind])), True))


def decode(column: pa.Array, kind: str, choices: tuple[str, ...] = ()) -> pa.Array:
    """A column of Pixano's as JSON texts; null where it holds nothing."""
    typed = {json.loads(c) if isinstance(json.loads(c), str) else c: c for c in choices}
    decoder: Callable[[Any], str] = json.dumps
    if kind == "str":
        decoder = lambda v: typed.get(v, json.dumps(v))  # noqa: E731
    elif kind == "list":
        decoder = lambda v: json.dumps([json.loads(typed.get(word, json.dumps(word))) for word in v])  # noqa: E731
    elif kind == "json":
        decoder = _as_json
    if kind in ("list", "float"):
        return pa.array([None if v is None else decoder(v) for v in column.to_pylist()], pa.string())
    return each(column, decoder, pa.string())


def _as_json(text: str) -> str:
    """People type ``5`` and ``car`` alike; only what is JSON is JSON."""
    try:
        json.loads(text)
    except ValueError:
        return json.dumps(text)
    return text


def structs(name: str, texts: pa.Array) -> pa.StructArray:
    """Attributes of one name, as ``LABELS`` has them, from JSON texts; null where there is none."""
    types = each(texts, lambda t: VALUE_TYPES.get(type(json.loads(t)), "json"), pa.string())
    names = pa.repeat(pa.scalar(name), len(texts))
    return pa.StructArray.from_arrays([names, types, texts], fields=list(ATTRIBUTE), mask=pc.is_null(texts))


def encode_attributes(rows: pa.Array | pa.ChunkedArray, columns: dict[str, Column]) -> dict[str, pa.Array]:
    """The columns of entities that hold these attributes."""
    return {name: encode(attributes.values(rows, name), c.type) for name, c in columns.items()}


def misfits(labels: pa.Table, columns: dict[str, Column]) -> list[str]:
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
