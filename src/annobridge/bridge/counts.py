"""Counts of labels by field and action."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

ACTIONS = ("add", "edit", "delete")
Counts = Counter[tuple[str, str]]  # (field, action) → labels


def counted(rows: pa.Table) -> Counts:
    """The number of rows with each ``field`` and ``action``."""
    found = rows.group_by(["field", "action"]).aggregate([([], "count_all")]).to_pylist()
    return Counter({(row["field"], row["action"]): row["count_all"] for row in found})


def counted_changes(writes: pa.Table, replaced: pa.Table) -> Counts:
    """The number of labels with each field and action: those that are replaced (``REPLACED``), and the new ones of those that are
    written (``WRITES``).
    """
    written = writes.select(["field", "action"])
    return counted(replaced) + counted(written.filter(pc.equal(written["action"], "add")))


def deletions(rows: pa.Table) -> pa.Table:
    """Rows of labels to delete, with their ``action``."""
    return rows.append_column("action", pa.repeat("delete", rows.num_rows))


def total(counts: Mapping[tuple[str, str], int], action: str) -> int:
    """The number of labels with an action, in all fields."""
    return sum(n for (_, a), n in counts.items() if a == action)


def totals(counts: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """The number of labels with each action, in all fields."""
    return {action: total(counts, action) for action in ACTIONS}
