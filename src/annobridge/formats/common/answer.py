"""A source of label files as the answer of a tool: its labels with the columns of ``REMOTE``, all of which may be null."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from ...core.labels import REMOTE, conform
from .source import LabelSource

ANSWER = pa.schema([f.with_nullable(True) for f in REMOTE])


def labels_of(source: LabelSource) -> Iterator[pa.Table]:
    """The labels, part by part. They have no field: which it is, the schema of the run says."""
    for part in source.parts():
        yield conform(part.labels, ANSWER, field=None)
