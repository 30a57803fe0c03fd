"""Rows that are written to data files of a table, and committed later: by another process, so fragments travel as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import lance
import pyarrow as pa

from .commits import Commits, Fragments
from .tables import Database


class WrittenRows:
    """Adds rows to a table in two steps."""

    def __init__(self, database: Database, table: str) -> None:
        self._commits = Commits(database, table)

    def write(self, batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> list[str]:
        """Write rows; returns their fragments. Nobody sees them before ``append``."""
        return to_texts(self._commits.write_fragments(batches, self._commits.latest(), schema))

    def append(self, fragments: Sequence[str]) -> None:
        """Add rows that ``write`` has written, as one version.

        Raises:
            StoreError: files of them are gone. Nothing is added.
        """
        if fragments:
            self._commits.append(of_texts(fragments))


def to_texts(fragments: Fragments) -> list[str]:
    """Fragments as JSON."""
    return [json.dumps(fragment.to_json()) for fragment in fragments]


def of_texts(texts: Sequence[str]) -> Fragments:
    """Fragments of JSON."""
    return [lance.FragmentMetadata.from_json(text) for text in texts]
