"""Count the labels and attributes that a run does not send, by field, reason and value.

People would draw labels again that the tool does not show, so callers report the counts before anything is sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from . import attributes
from .arrays import as_array, as_mask, equal, filter_rows, not_null
from .labels import KIND_TYPES
from .schema import FieldSchema, LabelSchema

_SHOWN = 5  # values that a sentence lists
_SENTENCES = {
    "class": "{labels} of {field!r} {are} not sent, with a class that is not in the schema",
    "type": "{labels} of {field!r} {are} not sent, of another type than the field's",
    "attribute": "{labels} of {field!r} {are} sent without attributes that are not in the schema",
    "tool": "The tool has no place for {labels} of {field!r}",
}


@dataclass
class Unsent:
    """Counts of labels by field and reason, and of each value: a class, a type, or the name of an attribute."""

    labels: Counter[tuple[str, str]] = field(default_factory=Counter)
    values: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def add(self, labels: pa.Table, schema: LabelSchema) -> None:
        """Count the labels that the schema does not select, and attributes that it lacks."""
        labels = labels.select(["field", "kind", "label", "attributes"])
        for spec in schema.fields.values():
            self._add_field(filter_rows(labels, pc.equal(labels["field"], spec.name)), spec)

    def merge(self, other: Unsent) -> None:
        """Add the counts of other labels."""
        self.labels.update(other.labels)
        self.values.update(other.values)

    def _add_field(self, rows: pa.Table, spec: FieldSchema) -> None:
        fits = equal(rows["kind"], spec.kind)
        if not fits.all():
            types = [KIND_TYPES.get(kind, kind) for kind in rows["kind"].filter(pa.array(~fits)).to_pylist()]
            self._count(spec.name, "type", pa.array(types, pa.string()))
            rows = rows.filter(pa.array(fits))
        if spec.classes and spec.type != "scalar":
            known = as_mask(pc.is_in(rows["label"], value_set=pa.array(spec.classes, pa.string())))
            if not known.all():
                self._count(spec.name, "class", as_array(rows["label"].filter(pa.array(~known))))
                rows = rows.filter(pa.array(known))
        if spec.kind != "message":  # the schema does not list the attributes of messages
            self._add_attributes(rows, spec)

    def _add_attributes(self, rows: pa.Table, spec: FieldSchema) -> None:
        with_others = np.zeros(rows.num_rows, bool)
        for name in sorted(attributes.names(rows["attributes"]) - set(spec.all_attributes())):
            has = not_null(attributes.column(rows["attributes"], name))
            self.values[spec.name, "attribute", name] += int(has.sum())
            with_others |= has
        if with_others.any():
            self.labels[spec.name, "attribute"] += int(with_others.sum())

    def add_refused(self, labels: pa.Table, label_ids: pa.Array) -> None:
        """Count the labels that the tool cannot represent, as its backend reports."""
        if not len(label_ids):
            return
        rows = labels.filter(pc.is_in(labels["label_id"], value_set=label_ids))
        for name in pc.unique(as_array(rows["field"])).to_pylist():
            self._count(name, "tool", as_array(rows.filter(pc.equal(rows["field"], name))["label"]))

    def _count(self, name: str, reason: str, values: pa.Array) -> None:
        if len(values):
            self.labels[name, reason] += len(values)
        for pair in pc.value_counts(values).to_pylist():
            self.values[name, reason, str(pair["values"])] += pair["counts"]

    def to_list(self) -> list[dict[str, Any]]:
        """The counts as plain data, labels before attributes: field, reason, labels, and the labels of each value."""
        return [
            {
                "field": name,
                "reason": reason,
                "labels": self.labels[name, reason],
                "values": {v: n for (f, r, v), n in self.values.most_common() if (f, r) == (name, reason)},
            }
            for name, reason in sorted(self.labels, key=lambda key: (key[1] == "attribute", key))
        ]


def sentences(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """A sentence for each entry of ``Unsent.to_list``."""
    return [_sentence(entry["field"], entry["reason"], entry["labels"], entry["values"]) for entry in entries]


def _sentence(name: str, reason: str, labels: int, values: Mapping[str, int]) -> str:
    head = _SENTENCES[reason].format(
        field=name,
        labels=f"{labels} label{'s' * (labels != 1)}",
        are="is" if labels == 1 else "are",
    )
    shown = [f"{value!r} ({count})" for value, count in list(values.items())[:_SHOWN]]
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return f"{head}: {', '.join(shown)}{more}."
