"""Unsent: what a run leaves behind here, counted by field, reason and value, so that nobody has to find out.

A tool that does not show a label makes people draw it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from . import attributes
from .labels import KIND_TYPES
from .masks import bools, equal, one
from .schema import FieldSchema, LabelSchema

_SHOWN = 5  # values that a sentence names
_SAID = {  # by reason: for one label, and for several
    "class": ("label of {field!r} is not sent, as its class is not in the schema", "labels of {field!r} are not sent, as their classes are not in the schema"),
    "type": ("label of {field!r} is not sent, as the field is sent as {type}", "labels of {field!r} are not sent, as the field is sent as {type}"),
    "attribute": ("label of {field!r} has attributes that are not in the schema and not sent", "labels of {field!r} have attributes that are not in the schema and not sent"),
    "tool": ("label of {field!r} was not sent, as the tool has no place for it", "labels of {field!r} were not sent, as the tool has no place for them"),
}  # fmt: skip
LABELS_LEFT = ("class", "type", "tool")  # reasons that keep a whole label from being sent


@dataclass
class Unsent:
    """Counts of labels by (field, reason, value). ``labels`` counts each label once per field and reason."""

    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    labels: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __bool__(self) -> bool:
        return bool(self.labels)

    def add(self, labels: pa.Table, schema: LabelSchema) -> None:
        """Count what of a task's labels the schema leaves out."""
        for spec in schema.fields.values():
            here = labels.filter(pa.array(equal(labels["field"], spec.name)))
            if here.num_rows:
                self._add_field(here, spec)

    def _add_field(self, rows: pa.Table, spec: FieldSchema) -> None:
        kind = equal(rows["kind"], spec.kind)
        self._count(spec.name, "type", [KIND_TYPES.get(k, k) for k in rows["kind"].filter(pa.array(~kind)).to_pylist()])
        rows = rows.filter(pa.array(kind))
        if spec.classes and spec.type != "scalar":
            known = bools(pc.is_in(rows["label"], value_set=pa.array(spec.classes, pa.string())))
            self._count(spec.name, "class", rows["label"].filter(pa.array(~known)))
            rows = rows.filter(pa.array(known))
        if spec.kind != "message":  # whose attributes are its form
            strange = sorted(attributes.names(rows["attributes"]) - set(spec.all_attributes()))
            some = pa.array([False] * rows.num_rows)
            for name in strange:
                has = attributes.column(rows["attributes"], name).is_valid()
                self.counts[spec.name, "attribute", name] += pc.sum(has).as_py() or 0
                some = pc.or_(some, has)
            if strange:
                self.labels[spec.name, "attribute"] += pc.sum(some).as_py() or 0

    def add_refused(self, labels: pa.Table, label_ids: pa.Array) -> None:
        """Count the labels that a backend says it has no place for."""
        rows = labels.filter(pc.is_in(labels["label_id"], value_set=label_ids))
        for name in pc.unique(one(rows["field"])).to_pylist():
            self._count(name, "tool", rows.filter(pc.equal(rows["field"], name))["label"])

    def _count(self, name: str, reason: str, values: pa.ChunkedArray | list[str]) -> None:
        if not len(values):
            return
        self.labels[name, reason] += len(values)
        for pair in pc.value_counts(pa.array(values) if isinstance(values, list) else one(values)).to_pylist():
            self.counts[name, reason, str(pair["values"])] += pair["counts"]

    def sentences(self, schema: LabelSchema) -> list[str]:
        """What is left out, a sentence for each field and reason, labels first."""
        return list(_sentences(self.to_list(), schema))

    def to_list(self) -> list[dict[str, Any]]:
        """The counts as plain data: field, reason, labels, and the labels of each value."""
        order = sorted(self.labels, key=lambda key: (key[1] == "attribute", key))
        return [
            {"field": name, "reason": reason, "labels": self.labels[name, reason],
             "values": {v: n for (f, r, v), n in self.counts.most_common() if (f, r) == (name, reason)}}
            for name, reason in order if self.labels[name, reason]
        ]  # fmt: skip


def sentences(unsent: Iterable[Mapping[str, Any]], schema: LabelSchema) -> list[str]:
    """What ``Unsent.to_list`` says, in sentences."""
    return list(_sentences(unsent, schema))


def _sentences(unsent: Iterable[Mapping[str, Any]], schema: LabelSchema) -> Iterator[str]:
    for entry in unsent:
        count, values = entry["labels"], list(entry["values"].items())
        spec = schema.fields.get(entry["field"])
        said = _SAID[entry["reason"]][count > 1].format(field=entry["field"], type=spec.type if spec else "")
        listed = ", ".join(f"{value!r} ({n})" for value, n in values[:_SHOWN])
        more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
        yield f"{count} {said}: {listed}{more}."
