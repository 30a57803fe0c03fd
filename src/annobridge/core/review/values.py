"""The value of a component of a label as JSON text: what a person who reviews a change looks at."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa

from .. import attributes
from ..arrays import Bools, as_array, equal, replace_values
from ..labels import ATTRIBUTE_PREFIX, COMPONENTS, LABELS

EXISTENCE, LABEL, INDEX, SPATIAL = "existence", "label", "index", "spatial"

# What a side of a change has: a label without its ids, its field and the columns that the bridge fills.
SIDE_COLUMNS = tuple(n for n in LABELS.names if n not in ("label_id", "sample_id", "field", "run", "tool", "rev"))
SIDE = pa.struct([LABELS.field(n).with_nullable(True) for n in SIDE_COLUMNS])
_BY_WHOM = ("annotator", "time")  # not a part of the value


def as_side(rows: pa.Table, present: Bools) -> pa.StructArray:
    """Rows of ``LABELS`` as one column; null where the side does not have the label."""
    columns = [as_array(rows[name]) for name in SIDE_COLUMNS]
    return pa.StructArray.from_arrays(columns, fields=list(SIDE), mask=pa.array(~present))


def side_table(side: pa.StructArray | pa.ChunkedArray) -> pa.Table:
    """The columns of a side; nulls where the side does not have the label."""
    array = as_array(side)
    return pa.table(dict(zip(SIDE_COLUMNS, array.flatten(), strict=True)))


def texts(side: pa.StructArray | pa.ChunkedArray, components: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The JSON text of a component of each row; null where the label, or the value, is absent.

    The text of ``"label"`` is the class, the value of a scalar, or both for messages; of ``"attributes.NAME"`` its value; of
    ``"index"`` the number; of ``"spatial"`` an object with the columns of the shape, and of ``"existence"`` one with all of the
    label; of ``"confidence"`` and ``"tags"`` what is in that column. A side has no field and no sample, so their texts are null.
    """
    rows, present = side_table(side), as_array(side).is_valid().to_numpy(zero_copy_only=False)
    found = pa.nulls(rows.num_rows, pa.string())
    for component in components.unique().to_pylist():
        at = np.flatnonzero(equal(components, component) & present)
        values = pa.array(_values(rows.take(pa.array(at)), component), pa.string())
        found = replace_values(found, at, values)
    return found


def _values(rows: pa.Table, component: str) -> Iterator[str | None]:
    if component.startswith(ATTRIBUTE_PREFIX):
        values = attributes.values(rows["attributes"], component.removeprefix(ATTRIBUTE_PREFIX))
        yield from values.to_pylist()
    elif component == LABEL:
        for label, value in zip(rows["label"].to_pylist(), rows["value"].to_pylist(), strict=True):
            yield value if label is None else to_json(label) if value is None else to_json([label, json.loads(value)])
    elif component == INDEX:
        yield from (None if index is None else to_json(index) for index in rows["index"].to_pylist())
    elif component in (SPATIAL, EXISTENCE):
        names = COMPONENTS[SPATIAL] if component == SPATIAL else [n for n in SIDE_COLUMNS if n not in _BY_WHOM]
        yield from (to_json(plain(row)) for row in rows.select(names).to_pylist())
    elif component in SIDE_COLUMNS:
        yield from (None if value is None else to_json(value) for value in rows[component].to_pylist())
    else:
        yield from (None for _ in range(rows.num_rows))


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """A label, or a part of one, as plain JSON data, without what it does not have; attributes as name → value."""
    found = {name: value for name, value in row.items() if value is not None}
    if "mask" in found:
        found["mask"] = {**found["mask"], "counts": found["mask"]["counts"].decode("ascii")}
    if "attributes" in found:
        found["attributes"] = {a["name"]: json.loads(a["value"]) for a in found["attributes"]}
    if "value" in found:
        found["value"] = json.loads(found["value"])
    return found


def to_json(value: Any) -> str:
    """Compact JSON; missing points (NaN) become null."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return json.dumps(_without_nan(value), ensure_ascii=False, separators=(",", ":"))


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(v) for name, v in value.items()}
    if isinstance(value, list):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def bound_to(kinds: pa.Array, *sides: pa.Array) -> pa.Array:
    """A hash of what is looked at, for each row: the kind of change, and the value on each side."""
    columns = (column.to_pylist() for column in (kinds, *sides))
    return pa.array([_hash(row) for row in zip(*columns, strict=True)], pa.string())


def _hash(row: tuple[str | None, ...]) -> str:
    return blake2b(to_json(row).encode(), digest_size=16).hexdigest()
