"""Answers of annotators, from short rows."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from annobridge.core.agreement.given import Given
from annobridge.core.labels import REMOTE
from annobridge.core.rows import attributes as as_attributes

NO_SIZES = pa.table(
    {"sample_id": pa.array([], pa.string()), "width": pa.array([], pa.int32()), "height": pa.array([], pa.int32())}
)


def remote(*rows: dict[str, Any]) -> pa.Table:
    """Labels (``REMOTE``); what a row leaves out is as of a car on one image."""
    plain = []
    for number, given in enumerate(rows):
        row = {"sample_id": "s1", "field": "objects", "kind": "box", "label": "car", "remote_id": str(number), **given}
        if "attributes" in row:
            row["attributes"] = as_attributes(row["attributes"])
        plain.append(row)
    return pa.Table.from_pylist(plain, REMOTE)


def box(x: float, y: float, w: float = 0.2, h: float = 0.2, **more: Any) -> dict[str, Any]:
    """A box."""
    return {"bounding_box": [x, y, w, h], **more}


def answer(annotator: str, *rows: dict[str, Any], samples: tuple[str, ...] = ("s1",)) -> Given:
    """The answer of an annotator."""
    return Given(annotator, remote(*rows), pa.array(samples, pa.string()))
