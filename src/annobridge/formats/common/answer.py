"""A source of label files as the answer of a tool: its labels with the columns of ``REMOTE``, all of which may be null."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from ...core.labels import REMOTE, conform
from ...core.merge.file_fit import Expected, fitted
from ...core.merge.seen import Seen
from .source import LabelSource

ANSWER = pa.schema([f.with_nullable(True) for f in REMOTE])


def labels_of(source: LabelSource, seen: Seen, expected: Expected) -> Iterator[pa.RecordBatch]:
    """The labels (``ANSWER``), of the kinds that are ``expected`` of their classes. Those that are expected are also shown to
    ``seen``: of a kind that is in the file for other classes only, it says nothing. They have no field: which it is, the schema of
    the run says.
    """
    for part in source.parts():
        labels = fitted(part.labels, expected)
        seen.add(labels, None if seen.only_class is not None else expected.where(labels))
        yield from conform(labels, ANSWER, field=None).to_batches()
