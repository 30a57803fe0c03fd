"""Samples with all their labels, part by part: the labels are regrouped on disk, and one part is in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from ..store.by_task import ByTask
from ..store.labels import LABELS_WITH_ROW_ID, sort_by_insertion
from ..store.samples import Samples
from .base import PART, Part


class SampleParts:
    """Some samples, in the order of their ids, and labels (``LABELS_WITH_ROW_ID``) on them in any order."""

    def __init__(self, samples: Samples, sample_ids: pa.Array, labels: Iterable[pa.RecordBatch]) -> None:
        self._samples, self._ids = samples, sample_ids
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
            yield Part(samples, sort_by_insertion(self._labels.get(number)), self._samples.media(samples))
