"""Samples with all their labels, part by part: the labels are regrouped on disk, and one part is in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array, set_columns
from ..store.by_task import ByTask
from ..store.labels import LABELS_WITH_ROW_ID, sort_by_insertion
from ..store.samples import Samples
from .base import PART, Part

REVIEWED_TAG = "reviewed"


class SampleParts:
    """Some samples, in the order of their ids, and labels (``LABELS_WITH_ROW_ID``) on them in any order.

    ``reviewed`` are the ids of those that people have reviewed, which get a tag; ``None`` leaves the samples as they are.
    """

    def __init__(
        self,
        samples: Samples,
        sample_ids: pa.Array,
        labels: Iterable[pa.RecordBatch],
        reviewed: pa.Array | None = None,
    ) -> None:
        self._samples, self._ids, self._reviewed = samples, sample_ids, reviewed
        parts = ByTask([sample_ids.slice(at, PART) for at in range(0, len(sample_ids), PART)])
        self._labels = parts.by_sample(LABELS_WITH_ROW_ID, labels)

    def __len__(self) -> int:
        return len(self._ids)

    def __enter__(self) -> SampleParts:
        return self

    def __exit__(self, *_: object) -> None:
        self._labels.close()

    def parts(self) -> Iterator[Part]:
        """The parts, one in memory at a time."""
        for number, at in enumerate(range(0, len(self._ids), PART)):
            samples = self._samples.rows(self._ids.slice(at, PART))
            labels, media = sort_by_insertion(self._labels.get(number)), self._samples.media(samples)
            if self._reviewed is None:
                yield Part(samples, labels, media)
                continue
            reviewed = as_array(pc.is_in(samples["sample_id"], value_set=self._reviewed))
            yield Part(set_columns(samples, tags=_tagged(samples["tags"], reviewed)), labels, media, reviewed)


def _tagged(tags: pa.ChunkedArray, reviewed: pa.Array) -> pa.Array:
    """The tags of samples, with ``REVIEWED_TAG`` where they are reviewed, and without it elsewhere."""
    others = ([tag for tag in some or () if tag != REVIEWED_TAG] for some in tags.to_pylist())
    marked = ([*some, REVIEWED_TAG] if seen else some for some, seen in zip(others, reviewed.to_pylist(), strict=True))
    return pa.array(list(marked), tags.type)
