"""The labels of one field in a part, sample by sample, as the Python values that lines hold."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ....core import attributes
from ....core.arrays import as_array
from .line_writer import unsupported

_EXACT = 1 << 53  # up to here, a float holds every whole number


class FieldLabels:
    """The labels of a field, in the order of the samples.

    Args:
        samples: the samples of the part.
        labels: all labels of the part.
        name: the field.

    Attributes:
        rows: the labels of the field.
    """

    def __init__(self, samples: pa.Table, labels: pa.Table, name: str) -> None:
        rows = labels.filter(pc.equal(labels["field"], name))
        index = as_array(pc.index_in(rows["sample_id"], value_set=as_array(samples["sample_id"])))
        sample = index.to_numpy(zero_copy_only=False)
        order = np.argsort(sample, kind="stable")
        self.rows = rows.take(pa.array(order))
        self._sample = sample[order]  # of each label, the number of its sample
        self._ends = np.concatenate([[0], np.cumsum(np.bincount(self._sample, minlength=samples.num_rows))])

    def of_sample(self, number: int) -> slice:
        """Which of the labels are those of a sample."""
        return slice(int(self._ends[number]), int(self._ends[number + 1]))

    def column(self, name: str) -> list[Any]:
        """A column of ``LABELS``."""
        values: list[Any] = self.rows[name].to_pylist()
        return values

    def attribute(self, name: str, types: set[str]) -> list[Any]:
        """The values of an attribute. If some have fractions, whole numbers become floats, as a column has one type."""
        texts = attributes.values(self.rows["attributes"], name).to_pylist()
        values = [None if text is None else json.loads(text) for text in texts]
        if types != {"int", "float"}:
            return values
        if large := [v for v in values if type(v) is int and abs(v) > _EXACT]:
            raise unsupported(
                f"The attribute {name!r} has the whole number {large[0]}, and other values have fractions, among which it "
                "would lose digits; make its values texts with set_labels."
            )
        return [None if v is None else float(v) for v in values]

    def boxes(self, sizes: np.ndarray | None = None) -> list[Any]:
        """The boxes ``[x, y, width, height]``, relative to the image; ``None`` for a label without one.

        Args:
            sizes: ``[width, height]`` of the image of each sample; with these, the boxes are in pixels.
        """
        column = as_array(self.rows["bounding_box"])
        rows = np.flatnonzero(np.asarray(column.is_valid()))
        boxes = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
        if sizes is not None:
            boxes = boxes * np.tile(sizes[self._sample[rows]], 2)
        found: list[Any] = [None] * len(column)
        for row, box in zip(rows.tolist(), boxes.tolist(), strict=True):
            found[row] = box
        return found
