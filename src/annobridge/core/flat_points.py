"""The ``points`` column, which is nested (labels, parts, points), as one array of coordinates, and back.

>>> labels = pa.array([[[[0.5, 0.5], [1.0, 1.0]]], None], POINTS)
>>> FlatPoints.of(labels).to_pixels(np.array([[640, 480], [640, 480]])).to_lists()
[[[320.0, 240.0, 640.0, 480.0]], []]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .arrays import Ints, as_array, list_array, list_lengths
from .labels import LABELS, POINT

Floats = npt.NDArray[np.float64]
POINTS = LABELS.field("points").type


@dataclass(frozen=True, slots=True)
class FlatPoints:
    """The points of all labels, end to end.

    Attributes:
        xy: the coordinates, shape (n, 2); a missing point is NaN.
        part_sizes: the number of points in each part.
        parts: the number of parts of each label; 0 for a label without points.
    """

    xy: Floats
    part_sizes: Ints
    parts: Ints

    @classmethod
    def of(cls, points: pa.Array | pa.ChunkedArray) -> FlatPoints:
        """The points of a column ``points``."""
        labels = as_array(points)
        parts = labels.flatten()
        xy = parts.flatten().flatten().to_numpy(zero_copy_only=False).astype(np.float64, copy=False).reshape(-1, 2)
        return cls(xy, list_lengths(parts), list_lengths(labels))

    @classmethod
    def of_lists(cls, labels: Sequence[Sequence[Sequence[float]]]) -> FlatPoints:
        """The points of lists as ``to_lists`` makes them: of each label, of each part, x, y, x, y, …"""
        parts = [part for label in labels for part in label]
        xy = np.array([number for part in parts for number in part], np.float64).reshape(-1, 2)
        part_sizes = np.array([len(part) // 2 for part in parts], np.int64)
        return cls(xy, part_sizes, np.array([len(label) for label in labels], np.int64))

    def rows(self) -> Ints:
        """The row of the label that each point belongs to."""
        return np.repeat(np.repeat(np.arange(len(self.parts)), self.parts), self.part_sizes)

    def counts(self) -> Ints:
        """The number of points of each label, in all its parts."""
        return np.bincount(self.rows(), minlength=len(self.parts)).astype(np.int64)

    def to_pixels(self, sizes: Ints) -> FlatPoints:
        """Relative points in pixels. ``sizes`` are width and height of each label's image, shape (labels, 2)."""
        return replace(self, xy=self.xy * sizes[self.rows()])

    def to_relative(self, sizes: Ints) -> FlatPoints:
        """Points in pixels relative to their images; ``sizes`` as in ``to_pixels``."""
        return replace(self, xy=self.xy / sizes[self.rows()])

    def to_lists(self) -> list[list[list[float]]]:
        """Of each label, of each part, the numbers x, y, x, y, …"""
        return _cut(_cut(self.xy.ravel().tolist(), 2 * self.part_sizes), self.parts)

    def to_array(self) -> pa.Array:
        """A column ``points``; a label without points gets an empty list."""
        points = pa.FixedSizeListArray.from_arrays(pa.array(self.xy.ravel()), 2).cast(POINT)
        return list_array(self.parts, list_array(self.part_sizes, points)).cast(POINTS)


def _cut(values: list, lengths: Ints) -> list:  # type: ignore[type-arg]
    ends = [0, *np.cumsum(lengths).tolist()]
    return [values[start:end] for start, end in pairwise(ends)]
