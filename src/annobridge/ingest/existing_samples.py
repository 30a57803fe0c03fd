"""An import compared with the samples that the dataset has: other values, and files that may be in the dataset twice."""

from __future__ import annotations

from collections import Counter
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import Bools, as_array, as_mask
from ..core.compare import equal_rows
from ..core.lookup import TextIndex
from ..core.media import without_secrets
from ..store.samples import Samples

_COLUMNS = ("sample_id", "filepath", "width", "height")
_NOT_COMPARED = frozenset({"sample_id", "filepath", "media_type", "width", "height", "frames", "fps"})


class ExistingSamples:
    """The samples of a dataset before an import, and what the import has that is not taken.

    Attributes:
        ids: the ids of the samples.
        paths: their files, in the same order.
    """

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self._schema = samples.schema()
        batches = list(samples.scan(None, _COLUMNS))
        columns = {n: pa.chunked_array([b[n] for b in batches], self._schema.field(n).type) for n in _COLUMNS}
        self.ids = columns["sample_id"].cast(pa.string()).combine_chunks()
        self.paths = columns["filepath"].cast(pa.string()).combine_chunks()
        self._stored_paths = TextIndex(as_array(samples.paths.stored(self.paths)))
        self._names_and_sizes = _names_and_sizes(pa.table(columns))
        self._other_values: Counter[str] = Counter()  # samples with another value, by column
        self._new_columns: Counter[str] = Counter()  # samples with a value in a column that the dataset does not have
        self._differing = 0  # samples with either
        self._similar = 0  # new samples with the file name and size of an existing one
        self._first_similar = ""

    def find(self, files: pa.ChunkedArray) -> pa.Array:
        """The number of the sample of each file, by its path; null where there is none."""
        rows = self._stored_paths.find(as_array(self._samples.paths.stored(files.cast(pa.string()))))
        return pa.array(rows, mask=rows < 0)

    def have(self, sample_ids: pa.Array) -> Bools:
        """Which of the ids are those of samples of the dataset."""
        return self._by_id.find(sample_ids) >= 0

    @cached_property
    def _by_id(self) -> TextIndex:
        return TextIndex(self.ids)

    def compare(self, given: pa.Table, ids: pa.Array) -> None:
        """Compare rows of an import with the samples of these ids."""
        names = [n for n in given.column_names if n not in _NOT_COMPARED]
        if not given.num_rows or not names:
            return
        shared = [n for n in names if n in self._schema.names]
        existing = self._samples.rows(ids, shared)
        differs = np.zeros(given.num_rows, bool)
        for name in names:
            other = _has_value(given[name])
            if name in shared:
                other &= ~_equal_values(existing[name], given[name])
            (self._other_values if name in shared else self._new_columns)[name] += int(other.sum())
            differs |= other
        self._differing += int(differs.sum())

    def compare_new(self, given: pa.Table, unrecorded: Bools) -> None:
        """Look for files with the names and sizes of new samples at other paths in the dataset, among samples whose content is not
        known (``unrecorded``).
        """
        if not given.num_rows or not unrecorded.any():
            return
        known = pc.if_else(pa.array(unrecorded), self._names_and_sizes, None)
        index = as_array(pc.index_in(_names_and_sizes(given), value_set=known, skip_nulls=True))
        count = len(index) - index.null_count
        if count and not self._similar:
            row = int(np.flatnonzero(as_mask(index.is_valid()))[0])
            existing = self.paths[index[row].as_py()].as_py()
            new = given["filepath"][row].as_py()
            self._first_similar = f"{without_secrets(new)!r} and {without_secrets(existing)!r}"
        self._similar += count

    def notes(self) -> list[str]:
        """What was not taken, and what may be in the dataset twice, a sentence each."""
        found = []
        if self._differing:
            columns = [f"{n!r} ({count})" for n, count in sorted(self._other_values.items()) if count]
            columns += [f"{n!r} ({count}, a new column)" for n, count in sorted(self._new_columns.items()) if count]
            found.append(
                f"{self._differing} samples that the dataset has already keep their values, and the source has others: "
                f"{', '.join(columns)}. To take them, import the source into a new dataset, or with mode='overwrite'."
            )
        if self._similar:
            found.append(
                f"{self._similar} of the new samples have the file name and the size of samples that the dataset has at another "
                f"place, as {self._first_similar}. If these are the same files, moved or reached by a link, they are in the "
                "dataset twice now; delete the new samples with delete_samples, or import into a new dataset."
            )
        return found


def _names_and_sizes(samples: pa.Table) -> pa.Array:
    """The file name and the size of each sample, as one text; null where either is not known."""
    if not {"width", "height"} <= set(samples.column_names):
        return pa.nulls(samples.num_rows, pa.string())
    base = pc.replace_substring_regex(samples["filepath"].cast(pa.string()), r"^.*[/\\]", "")
    return as_array(
        pc.binary_join_element_wise(base, *(samples[n].cast(pa.string()) for n in ("width", "height")), "/")
    )


def _has_value(column: pa.ChunkedArray) -> Bools:
    """Where a column has a value, which an empty list is not."""
    has_value = as_mask(as_array(column).is_valid())
    if pa.types.is_list(column.type):
        has_value &= as_mask(pc.greater(pc.list_value_length(as_array(column)), 0))
    return has_value


def _equal_values(existing: pa.ChunkedArray, given: pa.ChunkedArray) -> Bools:
    try:
        return equal_rows(as_array(existing), as_array(given.cast(existing.type)))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return np.zeros(len(given), bool)
