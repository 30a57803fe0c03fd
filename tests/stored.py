"""Labels in a dataset as version 0.1 took them: what is refused today may be stored, and stays usable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

import annobridge as ab
from annobridge.core.labels import LABELS, conform
from annobridge.store.labels import fill_missing_ids


def store(ds: ab.Dataset, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add rows of ``LABELS`` without the checks of ``add_labels``."""
    table = pa.Table.from_pylist([{"label_id": None, **row} for row in rows], schema=pa.schema(
        [f for f in LABELS if any(f.name in row for row in rows) or f.name == "label_id"]
    ))  # fmt: skip
    ds.stores.database.append("labels", conform(fill_missing_ids(table), LABELS, rev=1))
