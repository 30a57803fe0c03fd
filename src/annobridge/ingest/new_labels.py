"""New labels are written: their ids are checked, and labels that have no sample are replaced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array
from ..exceptions import InvalidLabels
from ..store.commits import Fragments
from ..store.labels import ROW_KEYS
from ..store.stores import Stores


class NewLabels:
    """Writes new labels, whose ids must be new, and distinct.

    Labels whose sample is not in the dataset, as an interrupted addition leaves them, do not count: they are replaced.

    Attributes:
        count: how many labels were written.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._version = stores.labels.version()  # in which the ids are looked up
        self._empty = not stores.labels.count()
        self.count = 0
        self._ids: list[pa.Array] = []
        self._replaced: list[pa.Table] = []  # labels without a sample that have one of these ids

    def check_ids(self, label_ids: pa.ChunkedArray) -> None:
        """Record the ids that some labels came with; null for none. Raises ``InvalidLabels`` for one that exists already."""
        given = as_array(label_ids.drop_null())
        if not len(given):
            return
        if not self._empty and (found := self._stores.labels.get_by_ids(given, self._version)).num_rows:
            has_sample = pc.is_in(found["sample_id"], value_set=self._stores.samples.existing_ids(found["sample_id"]))
            if pc.any(has_sample).as_py():
                first = found["label_id"].filter(has_sample)[0].as_py()
                raise InvalidLabels(
                    "", [f"There is a label {first!r} already; set_labels changes it, or leave label_id out."]
                )
            self._replaced.append(found.select(ROW_KEYS.names))
        self._ids.append(given)

    def write(self, batches: Iterable[pa.RecordBatch]) -> Fragments:
        """Write labels, whose ids are checked while the batches are made, into files that no reader sees before ``commit``."""

        def counted() -> Iterator[pa.RecordBatch]:
            for batch in batches:
                self.count += batch.num_rows
                yield batch
            self._require_distinct_ids()

        return self._stores.labels.write(counted())

    def _require_distinct_ids(self) -> None:
        """Raise ``InvalidLabels`` for an id in two batches; within one, the checks of its rows find it."""
        ids = pa.chunked_array(self._ids, pa.string())
        if len(self._ids) > 1 and pc.count_distinct(ids).as_py() < len(ids):
            repeated = next(v["values"].as_py() for v in pc.value_counts(ids) if v["counts"].as_py() > 1)
            raise InvalidLabels(
                "", [f"The id {repeated!r} is given more than once; give every label an id of its own."]
            )

    def commit(self, files: Fragments, new_samples: pa.Array) -> None:
        """Add the labels that were written, as one version.

        Args:
            files: what ``write`` returned.
            new_samples: the ids of samples that are about to be added. Labels that an interrupted addition or deletion left for
                them are replaced.
        """
        labels, replaced = self._stores.labels, list(self._replaced)
        if len(new_samples) and not self._empty:
            replaced.append(labels.rows_of_samples(new_samples, self._version))
        rows = _distinct(pa.concat_tables([ROW_KEYS.empty_table(), *replaced]))
        labels.commit(self._version, rows, added=files, new_ids=lambda: self._ids, is_only_writer=lambda: not self._ids)


def _distinct(rows: pa.Table) -> pa.Table:
    """Rows of the labels table, each once."""
    first = np.unique(rows["_rowaddr"].to_numpy(), return_index=True)[1]
    return rows.take(pa.array(np.sort(first)))
