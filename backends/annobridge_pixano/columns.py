"""Columns of any type <-> the few that Pixano has; and what is said of them in ``info.json``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from .arrays import lengths, lists, one
from .layout import Column, column_type
from .values import ARROW, EMPTY

_SPECS = {"str": "str", "json": "str", "int": "int", "float": "float", "bool": "bool", "list": "str"}


def narrowest(types: Iterable[str]) -> str:
    """The type that holds values of all these."""
    found = set(types)
    if found == {"int", "float"}:
        return "float"
    return found.pop() if len(found) == 1 else "json" if found else "str"


def held(column: pa.Array | pa.ChunkedArray, of: str) -> pa.Array:
    """A column as Pixano holds it: of another type, and never null."""
    values, type_ = one(column), ARROW[of]
    if of == "json" and column_type(values.type) != "str":
        values = pa.array([None if v is None else json.dumps(v, default=_text) for v in values.to_pylist()], type_)
    if of == "list":
        return lists(lengths(values), pc.fill_null(pc.list_flatten(values.cast(type_)), ""))
    return pc.fill_null(values.cast(type_), pa.scalar(EMPTY[of], type_))


def _text(value: Any) -> str:
    """What JSON has no form for: times, bytes."""
    return value.isoformat() if hasattr(value, "isoformat") else repr(value)


def slot(base: str, columns: Iterable[Column] = ()) -> dict[str, Any]:
    """The description of a table in ``info.json``."""
    fields = {
        c.name: {"collection": c.type == "list", "type": _SPECS[c.type], "required": False, "default": EMPTY[c.type]}
        for c in columns
    }
    return {"base": base, "fields": fields, "name": f"Custom{base}"} if fields else {"base": base, "fields": {}}
