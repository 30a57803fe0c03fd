"""What a field holds, learnt by Arrow aggregation over batches of its rows: kinds, classes and attribute types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from ..labels import KIND_TYPES


@dataclass(slots=True)
class FieldStats:
    """Kinds, classes and attribute types that occur in a field. Grows with the vocabulary, not with the labels."""

    kinds: set[str] = field(default_factory=set)
    classes: set[str] = field(default_factory=set)
    attributes: dict[str, set[str]] = field(default_factory=dict)
    labels: int = 0
    most: int = 0  # labels on one sample (or frame), as far as one batch shows

    def types(self) -> set[str]:
        """The label types of these rows. Classifications, of which no sample has two, are a ``classification``."""
        names = {KIND_TYPES[k] for k in self.kinds}
        return {"classification" if n == "classifications" and self.most <= 1 else n for n in names}


COLUMNS = ("field", "sample_id", "frame_number", "kind", "label", "attributes")


def describe(batches: Iterable[pa.RecordBatch]) -> dict[str, FieldStats]:
    """Statistics of each field, from batches with the columns ``COLUMNS`` of ``LABELS``."""
    found: dict[str, FieldStats] = {}
    for batch in batches:
        for name in pc.unique(batch["field"]).to_pylist():
            rows = batch.filter(pc.equal(batch["field"], name))
            _add(found.setdefault(name, FieldStats()), rows)
    return found


def summary_rows(found: Mapping[str, FieldStats]) -> list[list[str | int]]:
    """For people, of each field: its name, types, number of labels, classes and attributes."""
    return [
        [name, " + ".join(sorted(s.types())), s.labels, ", ".join(sorted(s.classes)), ", ".join(sorted(s.attributes))]
        for name, s in sorted(found.items())
    ]


def _add(stats: FieldStats, rows: pa.RecordBatch) -> None:
    stats.labels += rows.num_rows
    stats.kinds.update(pc.unique(rows["kind"]).to_pylist())
    stats.classes.update(v for v in pc.unique(rows["label"]).to_pylist() if v is not None)
    if stats.kinds == {"classification"} and rows.num_rows:
        places = pa.table({"sample": rows["sample_id"], "frame": rows["frame_number"]})
        counts = places.group_by(["sample", "frame"]).aggregate([([], "count_all")])
        stats.most = max(stats.most, pc.max(counts["count_all"]).as_py())
    flat = pc.list_flatten(rows["attributes"]).drop_null()
    if len(flat):
        pairs = (
            pa.table({"name": flat.field("name"), "type": flat.field("type")}).group_by(["name", "type"]).aggregate([])
        )
        for name, kind in zip(pairs["name"].to_pylist(), pairs["type"].to_pylist(), strict=True):
            if name is not None and kind is not None:
                stats.attributes.setdefault(name, set()).add(kind)
