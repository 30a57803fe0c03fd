"""A source of label files as the answer of a tool: its labels with the columns of ``REMOTE``, all of which may be null."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from ...core.labels import REMOTE, conform
from ...core.merge.seen import Seen
from .source import LabelSource

ANSWER = pa.schema([f.with_nullable(True) for f in REMOTE])


def labels_of(source: LabelSource, seen: Seen) -> Iterator[pa.RecordBatch]:
    """The labels (``ANSWER``), which are also shown to ``seen``. They have no field: which it is, the schema of the run says."""
    for part in source.parts():
        seen.add(part.labels)
        yield from conform(part.labels, ANSWER, field=None).to_batches()
