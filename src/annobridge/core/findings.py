"""Findings: what a load did not do, each with the label it is about and the reason. Nothing is dropped without one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

FINDINGS = pa.schema(
    [
        pa.field("label_id", pa.string()),
        pa.field("sample_id", pa.string()),
        pa.field("field", pa.string()),
        pa.field("component", pa.string()),  # existence | label | spatial | index | attributes.NAME | type
        pa.field("reason", pa.string()),
        pa.field("base", pa.string()),  # what was sent, where it has a short form
        pa.field("ours", pa.string()),
        pa.field("theirs", pa.string()),
    ]
)


def of(rows: pa.Table, where: np.ndarray, component: str, reason: str | pa.Array, **values: Any) -> pa.Table:
    """One finding for each row of ``rows`` (with label_id, sample_id, field) at which ``where`` holds.

    ``reason`` is one for all, or a column as long as ``rows``, as are ``values`` (for ``base``, ``ours`` and ``theirs``).
    """
    at = pa.array(np.flatnonzero(where))
    columns = {
        "label_id": rows["label_id"],
        "sample_id": rows["sample_id"],
        "field": rows["field"],
        "component": pa.repeat(component, rows.num_rows),
        "reason": pa.repeat(reason, rows.num_rows) if isinstance(reason, str) else reason,
        **values,
    }
    arrays = [columns.get(f.name, pa.nulls(rows.num_rows, f.type)) for f in FINDINGS]
    return pa.Table.from_arrays(arrays, schema=FINDINGS).take(at)


def text(rows: pa.Table, component: str) -> pa.Array | pa.ChunkedArray:
    """A short form of a component's value, for people to compare; null where it has none."""
    if component == "label":
        return pc.coalesce(rows["label"], rows["value"])
    if component == "index":
        return rows["index"].cast(pa.string())
    if component.startswith("attributes."):
        from . import attributes

        return attributes.values(rows["attributes"], component.removeprefix("attributes."))
    return pa.nulls(rows.num_rows, pa.string())
