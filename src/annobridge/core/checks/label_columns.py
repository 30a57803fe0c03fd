"""What the checks of labels work with: the columns of a table as arrays, and the mistakes found in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import Bools, Ints, as_array, as_mask, is_rotated
from ..labels import LABELS

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mistake:
    """One kind of mistake: the numbers of the rows that have it, ascending, and the sentence for the k-th of them."""

    rows: Ints
    sentence: Callable[[int], str]


def wrong_values(rows: Ints, wrong: Bools, noun: str, values: Floats, advice: str) -> Mistake:
    """The mistake that a value is wrong. ``rows`` has the row of each value; a row is listed once, with its first wrong value."""
    at = np.flatnonzero(wrong)
    wrong_rows, first = np.unique(rows[at], return_index=True)
    return Mistake(wrong_rows, lambda k: f"has the {noun} {values[at[first[k]]].tolist()}, {advice}.")


class LabelColumns:
    """The columns of a table of labels, each as one array of its type in ``LABELS``; columns that it lacks are null."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.size = table.num_rows
        self._arrays: dict[str, pa.Array] = {}

    def __getitem__(self, name: str) -> pa.Array:
        if name not in self._arrays:
            kind = LABELS.field(name).type
            is_there = name in self.table.column_names
            self._arrays[name] = as_array(self.table[name].cast(kind)) if is_there else pa.nulls(self.size, kind)
        return self._arrays[name]

    def name(self, row: int) -> str:
        """The subject of a sentence about a row."""
        ids = {
            n: self.table[n][row].as_py() for n in ("label_id", "sample_id", "field") if n in self.table.column_names
        }
        label = f"Label {ids['label_id']!r}" if ids.get("label_id") is not None else f"Row {row}"
        return label + (f" of sample {ids['sample_id']!r}" if ids.get("sample_id") is not None else "")

    @cached_property
    def kinds(self) -> tuple[Ints, list[str | None]]:
        """The kind of each row as an index into a list of kinds, whose last entry, ``None``, stands for null."""
        coded = self["kind"].dictionary_encode()
        names = coded.dictionary.to_pylist()
        return pc.fill_null(coded.indices, len(names)).to_numpy(zero_copy_only=False), [*names, None]

    def any_of(self, *kinds: str) -> Bools:
        """Which rows are of these kinds."""
        codes, names = self.kinds
        return np.array([name in kinds for name in names])[codes]

    @cached_property
    def boxes(self) -> tuple[Ints, Floats, Bools]:
        """The rows that have a box, the boxes, and which of them are upright (a rotated one may overhang the image)."""
        column = self["bounding_box"]
        rows = np.flatnonzero(as_mask(column.is_valid()))
        upright = ~is_rotated(self["rotation"])[rows]
        return rows, column.flatten().to_numpy(zero_copy_only=False).reshape(-1, 4), upright
