"""Counts and tables of changed labels: what plans, reports and differences of versions have in common."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..core.merge import changed
from ..display import html
from ..spill.streams import Streams
from .counts import ACTIONS, Counts, total

SIGNS = {"add": "+", "edit": "~", "delete": "-"}
_SHOWN = 20  # pairs of classes that a notebook shows


class ChangedLabels:
    """Labels that are added, edited or deleted: the streams ``writes`` (``WRITES``) and ``replaced`` (``REPLACED``)."""

    def __init__(self, streams: Streams, counts: Counts) -> None:
        self._streams, self._counted = streams, counts

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Field → {"add", "edit", "delete"} → labels."""
        fields = sorted({f for f, _ in self._counted})
        return {f: {a: self._counted[f, a] for a in ACTIONS} for f in fields}

    @property
    def added(self) -> int:
        """Labels added."""
        return total(self._counted, "add")

    @property
    def edited(self) -> int:
        """Labels edited."""
        return total(self._counted, "edit")

    @property
    def deleted(self) -> int:
        """Labels deleted."""
        return total(self._counted, "delete")

    @property
    def total(self) -> int:
        """Labels added, edited and deleted."""
        return self.added + self.edited + self.deleted

    def writes(self) -> pa.Table:
        """The labels to write: ``LABELS``, and the columns ``action``, ``components`` and ``task``."""
        return self._streams.table("writes")

    def to_arrow(self) -> pa.Table:
        """One row per changed label: label_id, sample_id, field, action, label."""
        return changed_rows(self._streams)

    def changed(self) -> pa.Table:
        """One row per changed label, deletions first: label_id, sample_id, field, action, classes ``before`` and ``after``."""
        return changed.changed(self._streams.table("replaced"), self._streams.table("writes"))

    def class_pairs(self) -> pa.Table:
        """The number of ``labels`` for each ``field``, class ``before`` and class ``after``; null where there is no label."""
        return changed.class_pairs(self.changed())

    def by_sample(self) -> pa.Table:
        """The number of deleted, edited and added labels of each sample; samples with the most changes first."""
        return changed.by_sample(self.changed())

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The Arrow stream interface, for pandas, polars and duckdb."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def close(self) -> None:
        """Delete the temporary files. This also happens when the object is garbage-collected."""
        self._streams.close()

    def _signed_counts(self) -> list[str]:
        """The counts of each field, as lines of text."""
        return [f"  {field}: " + " ".join(f"{SIGNS[a]}{n[a]}" for a in ACTIONS) for field, n in self.counts.items()]

    def _tables_html(self) -> tuple[str, str]:
        """The counts by field, and by classes before and after (empty if no class changed)."""
        cells = [[field, *(n[a] for a in ACTIONS)] for field, n in self.counts.items()]
        counts = html.table(["field", "added", "edited", "deleted"], cells)
        names = ["field", "before", "after", "labels"]
        pairs = [pair for pair in self.class_pairs().slice(0, _SHOWN).to_pylist() if pair["before"] != pair["after"]]
        rows = [[pair[name] for name in names] for pair in pairs]
        return counts, html.table(["field", "class before", "class after", "labels"], rows) if rows else ""


def changed_rows(streams: Streams) -> pa.Table:
    """One row for each label that was, or would be, written or deleted."""
    columns = ["label_id", "sample_id", "field", "action", "label"]
    before = streams.table("replaced")
    deleted = before.filter(pc.equal(before["action"], "delete"))
    return pa.concat_tables(
        [streams.table("writes").select(columns), deleted.select(columns)], promote_options="permissive"
    )
