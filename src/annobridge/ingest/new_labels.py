"""New labels on their way into the table: what they may be called, and what they replace."""

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
    """Writes new labels. The ids that they came with must be new, and none given twice.

    A label whose sample is not in the dataset is not part of it, and does not keep its id: it is replaced.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self.version = stores.labels.version()  # that the ids are looked for in
        self._empty = not stores.labels.count()
        self.labels = 0  # written
        self._parts: list[pa.Array] = []
        self._orphans: list[pa.Table] = []

    def add(self, label_ids: pa.ChunkedArray) -> None:
        """Look at the ids of a part; null is none."""
        given = as_array(label_ids.drop_null())
        if not len(given):
            return
        if not self._empty and (found := self._stores.labels.get_by_ids(given, self.version)).num_rows:
            present = pc.is_in(found["sample_id"], value_set=self._stores.samples.existing_ids(found["sample_id"]))
            if pc.any(present).as_py():
                first = found["label_id"].filter(present)[0].as_py()
                raise InvalidLabels(
                    "", [f"There is a label {first!r} already; set_labels changes it, or leave label_id out."]
                )
            self._orphans.append(found.select(ROW_KEYS.names))
        self._parts.append(given)

    def _require_distinct(self) -> None:
        """Each part was looked at by itself; an id may still be in two."""
        everything = pa.chunked_array(self._parts, pa.string())
        if len(self._parts) > 1 and pc.count_distinct(everything).as_py() < len(everything):
            twice = next(v["values"].as_py() for v in pc.value_counts(everything) if v["counts"].as_py() > 1)
            raise InvalidLabels("", [f"The id {twice!r} is given more than once; give every label an id of its own."])

    def write(self, batches: Iterable[pa.RecordBatch]) -> Fragments:
        """Write labels, whose ids are looked at on the way, into files that nobody sees before ``commit``."""

        def counted() -> Iterator[pa.RecordBatch]:
            for batch in batches:
                self.labels += batch.num_rows
                yield batch
            self._require_distinct()

        return self._stores.labels.write(counted())

    def commit(self, added: Fragments, new_samples: pa.Array) -> None:
        """Add labels that were written, as one version.

        ``new_samples`` are about to be added: labels that an interrupted addition or deletion left for them are replaced.
        """
        labels, gone = self._stores.labels, list(self._orphans)
        if len(new_samples) and not self._empty:
            gone.append(labels.rows_of_samples(new_samples, self.version))
        rows = _distinct(pa.concat_tables([ROW_KEYS.empty_table(), *gone]))
        labels.commit(
            self.version, rows, added=added, new_ids=lambda: self._parts, is_only_writer=lambda: not self._parts
        )


def _distinct(rows: pa.Table) -> pa.Table:
    """Rows of the labels table, each once."""
    first = np.unique(rows["_rowaddr"].to_numpy(), return_index=True)[1]
    return rows.take(pa.array(np.sort(first)))
