"""Infer what a field holds from its labels: kinds, classes and types of attributes, by aggregation over batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from ..labels import KIND_TYPES


@dataclass(slots=True)
class FieldStats:
    """Kinds, classes and attribute types that occur in a field. Its size depends on the vocabulary, not on the number of labels."""

    kinds: set[str] = field(default_factory=set)
    classes: set[str] = field(default_factory=set)
    attributes: dict[str, set[str]] = field(default_factory=dict)
    labels: int = 0
    most: int = 0  # the most labels on one sample (or frame) within one batch

    def types(self) -> set[str]:
        """The label types of the field: ``classification`` rather than ``classifications`` if no sample has two."""
        names = {KIND_TYPES[k] for k in self.kinds}
        return {"classification" if n == "classifications" and self.most <= 1 else n for n in names}


TYPE_COLUMNS = ("field", "sample_id", "frame_number", "kind")
COLUMNS = (*TYPE_COLUMNS, "label", "attributes")


def describe(batches: Iterable[pa.RecordBatch]) -> dict[str, FieldStats]:
    """Statistics of each field, from batches with the columns ``COLUMNS`` of ``LABELS``; with ``TYPE_COLUMNS``, without classes and
    attributes.
    """
    stats: dict[str, FieldStats] = {}
    for batch in batches:
        for name in pc.unique(batch["field"]).to_pylist():
            rows = batch.filter(pc.equal(batch["field"], name))
            _add(stats.setdefault(name, FieldStats()), rows)
    return stats


def summary_rows(found: Mapping[str, FieldStats]) -> list[list[str | int]]:
    """A row for each field, for a table: its name, types, number of labels, classes and attributes."""
    return [
        [name, " + ".join(sorted(s.types())), s.labels, ", ".join(sorted(s.classes)), ", ".join(sorted(s.attributes))]
        for name, s in sorted(found.items())
    ]


def _add(stats: FieldStats, rows: pa.RecordBatch) -> None:
    stats.labels += rows.num_rows
    stats.kinds.update(pc.unique(rows["kind"]).to_pylist())
    if stats.kinds == {"classification"} and rows.num_rows:
        samples = pa.table({"sample": rows["sample_id"], "frame": rows["frame_number"]})
        counts = samples.group_by(["sample", "frame"]).aggregate([([], "count_all")])
        stats.most = max(stats.most, pc.max(counts["count_all"]).as_py())
    if "label" in rows.schema.names:
        _add_values(stats, rows)


def _add_values(stats: FieldStats, rows: pa.RecordBatch) -> None:
    stats.classes.update(v for v in pc.unique(rows["label"]).to_pylist() if v is not None)
    flat = pc.list_flatten(rows["attributes"]).drop_null()
    if len(flat):
        pairs = (
            pa.table({"name": flat.field("name"), "type": flat.field("type")}).group_by(["name", "type"]).aggregate([])
        )
        for name, kind in zip(pairs["name"].to_pylist(), pairs["type"].to_pylist(), strict=True):
            if name is not None and kind is not None:
                stats.attributes.setdefault(name, set()).add(kind)
