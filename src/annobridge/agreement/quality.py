"""How good each annotator is, against the truth, as tables with intervals."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import pyarrow as pa

from ..core.agreement.compare import Compared
from . import rates
from .tables import Tables, not_compared

_BOUNDS = [f"{name}_{end}" for name in ("precision", "recall", "mean_iou") for end in ("low", "high")]
_QUALITY = [
    pa.field("annotator", pa.string()), pa.field("labels", pa.int64()), pa.field("true_labels", pa.int64()),
    pa.field("correct", pa.int64()), pa.field("precision", pa.float64()), pa.field("precision_low", pa.float64()),
    pa.field("precision_high", pa.float64()), pa.field("recall", pa.float64()), pa.field("recall_low", pa.float64()),
    pa.field("recall_high", pa.float64()), pa.field("f1", pa.float64()), pa.field("mean_iou", pa.float64()),
    pa.field("mean_iou_low", pa.float64()), pa.field("mean_iou_high", pa.float64()),
]  # fmt: skip
ANNOTATORS = pa.schema(_QUALITY)
CLASSES = pa.schema([_QUALITY[0], pa.field("class", pa.string()), *_QUALITY[1:]])
ATTRIBUTES = pa.schema(
    [
        _QUALITY[0], pa.field("attribute", pa.string()), pa.field("compared", pa.int64()), pa.field("correct", pa.int64()),
        pa.field("accuracy", pa.float64()), pa.field("accuracy_low", pa.float64()), pa.field("accuracy_high", pa.float64()),
    ]
)  # fmt: skip


class Quality(Tables):
    """How good each annotator is, against the truth, on the images that both saw. All tables are Arrow's.

    A label is correct if it is one of the truth: alike enough (``iou``) in the best assignment, with its class. ``…_low`` and
    ``…_high`` are the ends of the 95 % intervals: Wilson's of shares, the normal one of the mean IoU.

    Attributes:
        truth: the name of the truth.
        iou: how alike two shapes have to be.
        notes: what to keep in mind, a sentence each.
    """

    def __init__(self, compared: Compared, truth: str, iou: float) -> None:
        self._compared, self.truth, self.iou = compared, truth, iou
        alone, total = not_compared(compared.images), compared.images.num_rows
        self.notes = (
            [f"{alone:,} of {total:,} images have no truth, or nobody's answer, and do not count."] if alone else []
        )
        if alone == total:
            self.notes.append(
                "No image has an answer and the truth, so nobody is measured; choose other samples, or another truth."
            )

    @cached_property
    def annotators(self) -> pa.Table:
        """A row for each annotator, the best first (by ``f1``)."""
        rows = [self._row(row) for row in rates.of_pairs(self._compared.matches).to_pylist()]
        found = pa.Table.from_pylist(rows, ANNOTATORS)
        return found.sort_by([("f1", "descending"), ("annotator", "ascending")])

    @cached_property
    def classes(self) -> pa.Table:
        """As ``annotators``, for each class."""
        rows = rates.of_classes(self._compared.matches).to_pylist()
        return pa.Table.from_pylist([self._row(row, row["class"]) for row in rows], CLASSES)

    @cached_property
    def attributes(self) -> pa.Table:
        """The share of right values of each attribute, of correct labels."""
        rows = []
        for row in rates.of_attributes(self._compared.values).to_pylist():
            low, high = rates.interval(row["equal"], row["compared"])
            values = (row["left"], row["attribute"], row["compared"], row["equal"], row["accuracy"], low, high)
            rows.append(dict(zip(ATTRIBUTES.names, values, strict=True)))
        return pa.Table.from_pylist(rows, ATTRIBUTES)

    @property
    def weights(self) -> dict[str, float]:
        """A weight for each annotator, their F1, for ``annobridge.Consensus(weights=…)``; those of whom nothing is correct have a
        small one.
        """
        rows = self.annotators.select(["annotator", "f1"]).to_pylist()
        return {row["annotator"]: max(row["f1"], 0.01) for row in rows if row["f1"] is not None}

    def _row(self, rate: dict[str, Any], name: str | None = None) -> dict[str, Any]:
        total, squares, count = rates.sums_of(self._compared.matches, rate["left"], name)
        found = {
            "annotator": rate["left"], "class": name, "labels": rate["left_labels"], "true_labels": rate["right_labels"],
            "correct": rate["agreed"], "precision": rate["precision"], "recall": rate["recall"], "f1": rate["f1"],
            "mean_iou": rate["mean_iou"],
        }  # fmt: skip
        bounds = (
            rates.interval(rate["agreed"], rate["left_labels"]), rates.interval(rate["agreed"], rate["right_labels"]),
            rates.interval_of_mean(total, squares, count),
        )  # fmt: skip
        return found | dict(zip(_BOUNDS, (end for pair in bounds for end in pair), strict=True))

    def to_dict(self) -> dict[str, Any]:
        """All tables as plain data."""
        names = ("annotators", "classes", "attributes")
        tables = {name: getattr(self, name).to_pylist() for name in names}
        return {"truth": self.truth, "iou": self.iou, **tables, "weights": self.weights, "notes": self.notes}

    def _heading(self) -> str:
        return f"Quality, against {self.truth}"

    def _tables(self) -> Iterator[tuple[str, pa.Table]]:
        for name in ("annotators", "classes", "attributes"):
            yield name, getattr(self, name)

    def __repr__(self) -> str:
        return f"Quality(against {self.truth!r}, iou={self.iou})"

    def __str__(self) -> str:
        lines = [f"Quality against {self.truth} (IoU {self.iou}):"]
        for row in self.annotators.to_pylist():
            shares = ", ".join(
                f"{name} {row[name]:.3f}" for name in ("precision", "recall", "mean_iou") if row[name] is not None
            )
            lines.append(f"  {row['annotator']}: {shares.replace('mean_iou', 'mean IoU')}")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])
