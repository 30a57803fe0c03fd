"""Known samples: what an import says of samples that are there, and is not taken; and files that may be there twice."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array, as_mask
from ..core.compare import equal_rows
from ..store.samples import Samples

_IDENTITY = ("sample_id", "filepath", "width", "height")
_NOT_COMPARED = frozenset({"sample_id", "filepath", "media_type", "width", "height", "frames", "fps"})


class ExistingSamples:
    """The samples of a dataset before an import, and what the import says that is not taken."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self._schema = samples.schema()
        here = list(samples.scan(None, _IDENTITY))
        columns = {n: pa.chunked_array([b[n] for b in here], self._schema.field(n).type) for n in _IDENTITY}
        self.ids = columns["sample_id"].cast(pa.string()).combine_chunks()
        self.places = columns["filepath"].cast(pa.string()).combine_chunks()
        self._looks = _looks(pa.table(columns))
        self._other: Counter[str] = Counter()  # samples with another value, by column
        self._new: Counter[str] = Counter()  # samples with a value in a column that the dataset does not have
        self._differ = self._alike = 0
        self._first = ""

    def see(self, given: pa.Table, ids: pa.Array) -> None:
        """Look at rows for samples that are there, whose ids here are ``ids``."""
        names = [n for n in given.column_names if n not in _NOT_COMPARED]
        if not given.num_rows or not names:
            return
        shared = [n for n in names if n in self._schema.names]
        now = self._samples.rows(ids, shared)
        differ = np.zeros(given.num_rows, bool)
        for name in names:
            said = _says(given[name])
            other = said & ~_same(now[name], given[name]) if name in shared else said
            (self._other if name in shared else self._new)[name] += int(other.sum())
            differ |= other
        self._differ += int(differ.sum())

    def see_new(self, given: pa.Table) -> None:
        """Look at rows of new samples: whether files of their names and sizes are in the dataset at other places."""
        if not given.num_rows or not len(self._looks):
            return
        place = as_array(pc.index_in(_looks(given), value_set=self._looks))
        if (count := len(place) - place.null_count) and not self._alike:
            at = int(np.flatnonzero(as_mask(place.is_valid()))[0])
            self._first = f"{given['filepath'][at].as_py()!r} and {self.places[place[at].as_py()].as_py()!r}"
        self._alike += count

    def notes(self) -> list[str]:
        """What was not taken, or may be there twice, a sentence each."""
        found = []
        if self._differ:
            columns = [f"{n!r} ({count})" for n, count in sorted(self._other.items()) if count]
            columns += [f"{n!r} ({count}, a new column)" for n, count in sorted(self._new.items()) if count]
            found.append(
                f"{self._differ} samples that the dataset has already keep their values, and the source has others: "
                f"{', '.join(columns)}. To take them, import the source into a new dataset, or with mode='overwrite'."
            )
        if self._alike:
            found.append(
                f"{self._alike} of the new samples have the file name and the size of samples that the dataset has at another "
                f"place, as {self._first}. If these are the same files, moved or reached by a link, they are in the dataset "
                "twice now; delete the new samples with delete_samples, or import into a new dataset."
            )
        return found


def _looks(samples: pa.Table) -> pa.Array:
    """The file name and the size of each sample, as one text; null where either is not known."""
    if not {"width", "height"} <= set(samples.column_names):
        return pa.nulls(samples.num_rows, pa.string())
    base = pc.replace_substring_regex(samples["filepath"].cast(pa.string()), r"^.*[/\\]", "")
    return as_array(
        pc.binary_join_element_wise(base, *(samples[n].cast(pa.string()) for n in ("width", "height")), "/")
    )


def _says(column: pa.ChunkedArray) -> np.ndarray:
    """Where a column has a value; an empty list is none."""
    given = as_mask(as_array(column).is_valid())
    if pa.types.is_list(column.type):
        given &= as_mask(pc.greater(pc.list_value_length(as_array(column)), 0))
    return given


def _same(now: pa.ChunkedArray, given: pa.ChunkedArray) -> np.ndarray:
    try:
        return equal_rows(as_array(now), as_array(given.cast(now.type)))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return np.zeros(len(given), bool)
